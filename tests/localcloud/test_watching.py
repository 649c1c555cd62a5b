"""What this project's stack watches can be watched here: each alert is evaluated, each metric that is shown exists."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from localcloud.machine.conditions import unevaluated
from localcloud.services import metric_filter
from localcloud.store import Store

if TYPE_CHECKING:
    from tests.localcloud.conftest import Open


def test_every_alert_is_evaluated_and_every_chart_shows_what_there_is(open_workspace: Open) -> None:
    workspace = open_workspace("maximal")
    workspace.apply()
    store = Store(workspace.home)
    policies: Any = store.all("google_monitoring_alert_policy")
    dashboards = store.all("google_monitoring_dashboard")
    store.close()
    assert len(policies) > 5
    assert {policy["display_name"]: unevaluated(policy) for policy in policies if unevaluated(policy)} == {}
    shown = json.dumps([json.loads(str(dashboard["dashboard_json"])) for dashboard in dashboards])
    filters = {
        json.loads(f'"{found}"')
        for found in re.findall(r'"filter": "((?:[^"\\]|\\.)*metric\.type(?:[^"\\]|\\.)*)"', shown)
    }
    assert len(filters) > 3
    assert {source: metric_filter.problem(source) for source in filters if metric_filter.problem(source)} == {}
    assert workspace.plans_nothing()
