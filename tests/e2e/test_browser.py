"""People: a browser, Google's sign-in page, and MLflow's page behind it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from harness.world import WRITER
from tests.e2e.browser import Visitor, visiting
from tests.e2e.programs import run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from harness.world import World

STRANGER = "eve@evil.test"


@pytest.fixture
def visitor() -> Iterator[Visitor]:
    with visiting() as somebody:
        yield somebody


@pytest.fixture
def photograph(request: pytest.FixtureRequest, visitor: Visitor) -> Callable[[str], None]:
    """Keeps a picture of the page where the command line asks for pictures."""
    folder = request.config.getoption("--pictures", default=None)
    return lambda name: visitor.photograph(folder / name) if folder else None


@pytest.fixture(scope="module")
def run_id(shared_world: World) -> str:
    return run(shared_world, "train.py", "charts", "200")["run_id"]


def test_a_stranger_is_refused_after_signing_in(shared_world: World, visitor: Visitor) -> None:
    visitor.sign_in(shared_world.url, STRANGER)
    expect(visitor.page).to_have_title("403 Forbidden")
    reason = visitor.page.get_by_text("You do not have permission to access this resource.")
    expect(reason).to_be_hidden()
    visitor.page.get_by_text("More info").click()
    expect(reason).to_be_visible()
    assert visitor.cookie() is None
    visitor.page.goto(shared_world.url)
    expect(visitor.page.get_by_role("heading", name="Sign in")).to_be_visible()


def test_somebody_of_the_domain_signs_in_and_out(shared_world: World, visitor: Visitor) -> None:
    visitor.sign_in(shared_world.url, WRITER)
    expect(visitor.page.get_by_text("Welcome to MLflow", exact=True)).to_be_visible()
    assert visitor.page.evaluate("isSecureContext")
    assert visitor.errors == []

    visitor.page.goto(f"{shared_world.url}/oauth2/sign_out")
    expect(visitor.page.get_by_role("heading", name="Sign in")).to_be_visible()
    assert visitor.cookie() is None


def test_the_session_is_one_small_cookie_of_this_host_that_no_script_reads(
    shared_world: World, visitor: Visitor
) -> None:
    visitor.sign_in(shared_world.url, WRITER)
    cookie = visitor.cookie()
    assert cookie is not None
    flags = {name: cookie[name] for name in ("domain", "path", "secure", "httpOnly", "sameSite")}
    assert flags == {"domain": "localhost", "path": "/", "secure": True, "httpOnly": True, "sameSite": "Lax"}
    assert len(str(cookie["value"])) < 1024
    assert "mlflow" not in visitor.page.evaluate("document.cookie")


def test_experiment_run_chart_and_artifact_are_seen(
    shared_world: World, visitor: Visitor, run_id: str, photograph: Callable[[str], None]
) -> None:
    page = visitor.page
    page.goto(shared_world.url)
    photograph("sign-in.png")
    visitor.sign_in(shared_world.url, WRITER)
    page.get_by_role("link", name="charts", exact=True).click()
    page.get_by_role("link", name="Training runs").click()
    page.get_by_role("link", name="forest", exact=True).first.click()
    expect(page.get_by_text(run_id).first).to_be_visible()

    page.get_by_role("tab", name="Model metrics").click()
    expect(page.locator(".js-plotly-plot .scatterlayer .trace").first).to_be_visible()
    photograph("metric-chart.png")

    page.get_by_role("tab", name="Artifacts").click()
    page.get_by_text("notes.txt").click()
    expect(page.get_by_text("Trained on made-up data.")).to_be_visible()
    assert visitor.errors == []
    # Any page may ask what there is of a feature that is off, and would report an error that nobody has caused.
    asked = "fetch('ajax-api/3.0/mlflow/gateway/endpoints/list').then((answer) => answer.status)"
    assert page.evaluate(asked) == 200
