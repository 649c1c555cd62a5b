"""Programs: a bearer token and nothing else."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

from tests.e2e.world import SEARCH

if TYPE_CHECKING:
    from tests.e2e.world import World


def test_curl_with_an_identity_token_gets_json(world: World) -> None:
    header = f"Authorization: Bearer {world.token()}"
    answer = subprocess.run(
        ["curl", "--silent", "--fail", "--config", "-", f"{world.url}{SEARCH}"],
        input=f'header = "{header}"\n',
        capture_output=True,
        text=True,
        check=True,
    )
    assert '"experiments"' in answer.stdout


def test_the_second_plan_is_empty(world: World) -> None:
    assert world.tracking.plans_nothing()
