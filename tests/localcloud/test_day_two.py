"""Jobs, their schedules and monitoring through Terraform: made, changed in place, as planned, and gone again."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from harness.workspace import Workspace
from localcloud.session import session

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

APIS = ("cloudscheduler", "iam", "monitoring", "run")
AFTER = {"depends_on": ["google_project_service.apis"]}
FAILED = (
    'resource.type="cloud_run_job" AND metric.type="run.googleapis.com/job/completed_execution_count" '
    'AND metric.labels.result="failed"'
)
WATCHES = (
    'resource.type="uptime_url" AND metric.type="monitoring.googleapis.com/uptime_check/check_passed" '
    'AND metric.labels.check_id="${google_monitoring_uptime_check_config.page.uptime_check_id}"'
)


def condition(source: str, aligner: str) -> dict[str, Any]:
    aggregation = {"alignment_period": "300s", "per_series_aligner": aligner}
    series = {"filter": source, "duration": "0s", "comparison": "COMPARISON_GT", "aggregations": [aggregation]}
    return {"display_name": "condition", "condition_threshold": series}


def document(region: str = "europe-west1") -> dict[str, Any]:
    container = {
        "image": "gcr.io/acme/worker:1",
        "args": ["${each.key}"],
        "env": [{"name": "LEVEL", "value": "info"}, {"name": "AREA", "value": region}],
    }
    task = {"containers": [container], "max_retries": 0, "timeout": "3600s"}
    mails = "${[for channel in google_monitoring_notification_channel.mail : channel.name]}"
    return {
        "terraform": {"required_providers": {"google": {"source": "hashicorp/google"}}},
        "provider": {"google": {"project": "acme", "region": region}},
        "resource": {
            "google_project_service": {
                "apis": {
                    "for_each": f"${{toset({json.dumps([f'{name}.googleapis.com' for name in APIS])})}}",
                    "service": "${each.key}",
                }
            },
            "google_service_account": {name: {"account_id": f"acme-{name}", **AFTER} for name in ("worker", "clock")},
            "google_cloud_run_v2_job": {
                "worker": {
                    "for_each": '${toset(["collect", "verify"])}',
                    "name": "${each.key}",
                    "location": region,
                    "deletion_protection": False,
                    "template": {
                        "template": {**task, "service_account": "${google_service_account.worker.email}"},
                    },
                }
            },
            "google_cloud_run_v2_job_iam_member": {
                "clock": {
                    "name": '${google_cloud_run_v2_job.worker["collect"].name}',
                    "location": region,
                    "role": "roles/run.invoker",
                    "member": "${google_service_account.clock.member}",
                }
            },
            "google_cloud_scheduler_job": {
                "collect": {
                    "name": "collect",
                    "region": region,
                    "schedule": "0 3 * * 0",
                    "time_zone": "Europe/Vienna",
                    "retry_config": {"retry_count": 1},
                    "http_target": {
                        "http_method": "POST",
                        "uri": 'https://run.googleapis.com/v2/${google_cloud_run_v2_job.worker["collect"].id}:run',
                        "oauth_token": {"service_account_email": "${google_service_account.clock.email}"},
                    },
                }
            },
            "google_monitoring_notification_channel": {
                "mail": {
                    "for_each": '${toset(["ada@example.com", "bob@example.com"])}',
                    "type": "email",
                    "display_name": "${each.key}",
                    "labels": {"email_address": "${each.key}"},
                    # Else Terraform deletes one before the policies let go of it, which Monitoring refuses.
                    "lifecycle": {"create_before_destroy": True},
                    **AFTER,
                }
            },
            "google_monitoring_alert_policy": {
                "failed": {
                    "display_name": "failed jobs",
                    "combiner": "OR",
                    "conditions": [condition(FAILED, "ALIGN_SUM")],
                    "documentation": {"content": "Look at its log."},
                    "notification_channels": mails,
                },
                "down": {
                    "display_name": "down",
                    "combiner": "OR",
                    "conditions": [condition(WATCHES, "ALIGN_FRACTION_TRUE")],
                },
                "errors": {
                    "display_name": "errors",
                    "combiner": "OR",
                    "conditions": [{"display_name": "error", "condition_matched_log": {"filter": "severity>=ERROR"}}],
                    "alert_strategy": {"auto_close": "3600s", "notification_rate_limit": {"period": "3600s"}},
                    **AFTER,
                },
            },
            "google_monitoring_uptime_check_config": {
                "page": {
                    "display_name": "page",
                    "timeout": "10s",
                    "http_check": {
                        "path": "/",
                        "use_ssl": True,
                        "accepted_response_status_codes": [{"status_value": 401}],
                    },
                    "monitored_resource": {
                        "type": "uptime_url",
                        "labels": {"project_id": "acme", "host": "example.com"},
                    },
                    **AFTER,
                }
            },
            "google_monitoring_dashboard": {
                "all": {"dashboard_json": '${jsonencode({displayName = "all", gridLayout = {widgets = []}})}', **AFTER}
            },
        },
    }


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    folder = tmp_path / "document"
    folder.mkdir()
    with session(tmp_path / "cloud", folder) as variables:
        workspace = Workspace(tmp_path / "cloud", folder, variables)
        workspace.document = document()
        workspace.init()
        workspace.apply()
        yield workspace


def test_it_is_as_planned_and_changes_in_place_and_goes(workspace: Workspace) -> None:
    assert workspace.plans_nothing()
    changed = document()
    resources = changed["resource"]
    task = resources["google_cloud_run_v2_job"]["worker"]["template"]["template"]
    task["timeout"] = "7200s"
    task["containers"][0]["env"][0]["value"] = "debug"
    resources["google_cloud_scheduler_job"]["collect"] |= {"schedule": "30 4 * * *", "paused": True}
    resources["google_monitoring_alert_policy"]["failed"]["conditions"][0]["condition_threshold"]["threshold_value"] = 2
    resources["google_monitoring_notification_channel"]["mail"]["for_each"] = (
        '${toset(["ada@example.com", "eve@example.com"])}'
    )
    resources["google_monitoring_uptime_check_config"]["page"]["period"] = "60s"
    resources["google_monitoring_dashboard"]["all"]["dashboard_json"] = (
        '${jsonencode({displayName = "some", gridLayout = {widgets = []}})}'
    )
    workspace.document = changed
    actions = {change["address"]: change["change"]["actions"] for change in workspace.plan()["resource_changes"]}
    kinds = {address: action for address, action in actions.items() if action != ["no-op"] and "mail" not in address}
    assert {*map(tuple, kinds.values())} == {("update",)}
    assert len(kinds) == 6
    workspace.apply()
    assert workspace.plans_nothing()
    workspace.destroy()
    assert workspace.addresses() == []


def test_what_a_region_changes_is_made_anew_and_watched_again(workspace: Workspace) -> None:
    workspace.document = document("europe-west4")
    replaced = {
        change["address"]: change["change"]["actions"]
        for change in workspace.plan()["resource_changes"]
        if change["change"]["actions"] == ["delete", "create"]
    }
    assert {address.partition(".")[0] for address in replaced} == {
        "google_cloud_run_v2_job",
        "google_cloud_run_v2_job_iam_member",
        "google_cloud_scheduler_job",
    }
    workspace.apply()
    assert workspace.plans_nothing()
