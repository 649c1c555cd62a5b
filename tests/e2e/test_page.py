"""MLflow's page as this image serves it: what it may run, what it offers, and what comes of a session that ends."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, quote, urlsplit

import httpx
import mlflow
import pytest
from playwright.sync_api import Page, Request, Response, expect

from harness.waiting import wait_for
from harness.world import WRITER
from tests.e2e.browser import Visitor, visiting
from tests.e2e.programs import run

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness.world import World

PAGES = Path(__file__).parents[2] / "image" / "page"
SCRIPTS = Path(mlflow.__file__).parent / "server" / "js" / "build" / "static" / "js"
# Chromium draws WebGL without a graphics card.
WEBGL = ("--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader")
# What a policy forbade, in the page and in frames of its origin.
WATCH = """
window.forbidden = [];
addEventListener("securitypolicyviolation", (event) => forbidden.push([event.violatedDirective, event.blockedURI]));
"""


# What MLflow's page asks for in vain: users of its own, the AI gateway, the assistant, SCRIPT's picture, what does not
# exist, and the model that no flavor wrote.
EXPECTED_FAILURES = re.compile(
    r"/ajax-api/[23]\.0/mlflow/(users/|gateway|assistant/|[^?]*/none\b)|/x$|/model-versions/get-artifact$"
)


def routes() -> list[str]:
    """Returns the routes of MLflow's page, as its script has them."""
    (script,) = SCRIPTS.glob("main.*.js")
    found = sorted(set(re.findall(r'\(0,[\w$]+\.Oz\)\("(/[^"]*)"\)', script.read_text())))
    assert len(found) > 50, "MLflow names its routes in another way"
    return found


@pytest.fixture(scope="module", autouse=True)
def patience() -> Iterator[None]:
    """MLflow's page loads megabytes of script where two cores run everything."""
    expect.set_options(timeout=30_000)
    yield
    expect.set_options(timeout=None)


@pytest.fixture(scope="module")
def shown(shared_world: World) -> dict[str, Any]:
    return run(shared_world, "show.py")


@pytest.fixture(scope="module")
def visitor(shared_world: World) -> Iterator[Visitor]:
    with visiting(*WEBGL) as somebody:
        somebody.context.add_init_script(WATCH)
        somebody.sign_in(shared_world.url, WRITER)
        yield somebody


@pytest.fixture
def page(shared_world: World, visitor: Visitor) -> Page:
    """MLflow's page at its start, of somebody who is signed in."""
    if visitor.cookie() is None:
        visitor.sign_in(shared_world.url, WRITER)
    visitor.errors.clear()
    visitor.page.goto(f"{shared_world.url}/#/experiments")
    visitor.page.reload()
    expect(visitor.page.get_by_role("link", name="Settings")).to_be_visible()
    return visitor.page


def go(page: Page, route: str) -> None:
    """Follows a link inside MLflow's page, which stays loaded."""
    page.evaluate("(route) => { location.hash = route }", route)


def nothing_was_forbidden(page: Page) -> None:
    assert page.evaluate("forbidden") == []
    assert page.evaluate("window.taken") is None


def test_pages_show_everything_under_their_policy(page: Page, shown: dict[str, Any]) -> None:
    experiment, runs = shown["experiment"], shown["runs"]
    for route, text in {
        f"/experiments/{experiment}/runs": "second",
        f"/experiments/{experiment}/traces": "why?",
        f"/experiments/{experiment}/overview/usage": "Latency",
        f"/experiments/{experiment}/evaluation-runs": "second",
        f"/experiments/{experiment}/runs/{runs[0]}": runs[0],
        "/prompts/greeting": "Hello",
    }.items():
        go(page, route)
        expect(page.get_by_text(text).first).to_be_visible()
    go(page, f"/experiments/{experiment}/runs/{runs[0]}/model-metrics")
    expect(page.locator(".js-plotly-plot").first).to_be_visible()
    nothing_was_forbidden(page)


def test_every_route_of_the_page_works(page: Page, shown: dict[str, Any]) -> None:
    runs, experiments = json.dumps(shown["runs"]), json.dumps([shown["experiment"]])
    queries = {
        "/compare-runs": f"?runs={runs}&experiments={experiments}",
        "/compare-experiments/none": f"?experiments={experiments}",
        "/compare-model-versions": '?name="shown"&runs=' + json.dumps({"1": shown["runs"][0]}),
        "/metric": f"?runs={runs}&experiments={experiments}&plot_metric_keys=[]&plot_layout={{}}&deselected_curves=[]"
        '&metric="loss"&x_axis=step&y_axis_scale=linear&line_smoothness=1&last_linear_y_axis_range=[]',
    }
    values = {"experimentId": shown["experiment"], "runUuid": shown["runs"][0], "traceId": shown["trace"]}
    values |= {
        "overviewTab": "usage",
        "tabName": "runs",
        "promptName": "greeting",
        "modelName": "shown",
        "version": "1",
    }
    failed: set[str] = set()
    waiting: set[Request] = set()

    def begin(request: Request) -> None:
        if request.resource_type in ("fetch", "xhr"):
            waiting.add(request)

    def note(response: Response) -> None:
        path = urlsplit(response.url).path
        if response.status >= httpx.codes.BAD_REQUEST and not EXPECTED_FAILURES.match(path):
            failed.add(f"{response.status} {path} in {page.url}")

    page.on("request", begin)
    page.on("requestfinished", lambda request: waiting.discard(request))  # noqa: PLW0108 - Playwright marks functions
    page.on("requestfailed", lambda request: waiting.discard(request))  # noqa: PLW0108
    page.on("response", note)
    for template in routes():
        route = re.sub(r":(\w+)", lambda name: values.get(name[1], "none"), template).removesuffix("/*")
        go(page, route + queries.get(route, ""))
        page.wait_for_timeout(200)  # until it asks
        wait_for(lambda: page.wait_for_timeout(50) or not waiting, f"the end of {route}")
        if page.get_by_text("Something went wrong").count():
            failed.add(f"Something went wrong in {page.url}")
    assert failed == set()
    assert page.evaluate("forbidden") == []


def test_runs_are_compared_in_charts_that_plotly_compiles(page: Page, shown: dict[str, Any]) -> None:
    runs, experiments = quote(json.dumps(shown["runs"])), quote(json.dumps([shown["experiment"]]))
    go(page, f"/compare-runs?runs={runs}&experiments={experiments}")
    expect(page.locator(".js-plotly-plot canvas").first).to_be_visible()
    expect(page.get_by_text("WebGL is not supported")).to_have_count(0)
    nothing_was_forbidden(page)


def test_the_page_shows_who_signed_in_as_the_creator(page: Page, shown: dict[str, Any]) -> None:
    # MLflow's client claims whoever runs the process on this machine.
    creator = re.compile(rf"(Created by|Creator)\s*:?\s*{re.escape(WRITER)}")
    experiment = f"/experiments/{shown['experiment']}"
    for route in (f"{experiment}/runs/{shown['runs'][0]}", f"{experiment}/models/{shown['model']}"):
        go(page, route)
        expect(page.locator("body")).to_have_text(creator, use_inner_text=True)
    go(page, "/models/shown/versions/1")
    expect(page.locator("body")).to_have_text(creator, use_inner_text=True)
    go(page, f"{experiment}/runs?searchFilter={quote(f'tags.`mlflow.user` = {WRITER!r}')}")
    expect(page.get_by_text("first").first).to_be_visible()


def test_artifacts_are_shown_and_their_scripts_are_apart_from_the_page(page: Page, shown: dict[str, Any]) -> None:
    loaded: list[str] = []
    page.route("https://cdn.plot.ly/**", lambda route: (loaded.append(route.request.url), route.fulfill(body=""))[1])
    go(page, f"/experiments/{shown['experiment']}/runs/{shown['runs'][0]}/artifacts")
    for name, text in {
        "table.csv": "in a cell",
        "read.md": "Heading",
        "code.py": "print",
        "data.json": "value",
    }.items():
        page.get_by_text(name, exact=True).first.click()
        expect(page.get_by_text(text).last).to_be_visible()
    for name in ("picture.png", "picture.svg"):
        page.get_by_text(name, exact=True).first.click()
        expect(page.locator("img[src^='blob:']").first).to_be_visible()

    page.get_by_text("report.html", exact=True).first.click()
    told = page.frame_locator("iframe.mlflow-html-iframe").locator("#told")
    expect(told).to_have_text("run in null, apart from the page, without cookies, without the API")
    assert len(loaded) == 1  # log_figure's charts have their script from there
    nothing_was_forbidden(page)


def test_an_artifact_that_is_opened_as_a_page_runs_nothing(shared_world: World, shown: dict[str, Any]) -> None:
    parameters = {"path": "report.html", "run_uuid": shown["runs"][0]}
    answer = httpx.get(f"{shared_world.url}/get-artifact", params=parameters, headers=shared_world.bearer(), timeout=60)
    assert answer.status_code == httpx.codes.OK
    assert answer.headers["content-security-policy"].startswith("sandbox; default-src 'none'")
    assert answer.headers["content-disposition"].startswith("attachment")
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_mlflows_page_has_our_scripts_before_its_own(shared_world: World) -> None:
    headers = shared_world.bearer()
    page = httpx.get(shared_world.url, headers={**headers, "If-None-Match": "*"}, timeout=60)
    assert page.status_code == httpx.codes.OK
    assert [len(page.headers.get_list("content-security-policy"))] == [1]
    scripts = re.findall(r'<script[^>]* src="([^"]+)"', page.text) + re.findall(r"<script>", page.text)
    assert [script.partition(".")[0] for script in scripts] == [
        "page/session",
        "page/artifacts",
        "static-files/static/js/main",
    ]
    for name in re.findall(r'"(page/[^"]+)"', page.text):
        answer = httpx.get(f"{shared_world.url}/{name}", headers=headers, timeout=60)
        hidden = (PAGES / "without-keys.css").read_text() if name.endswith("features.css") else ""
        assert answer.text == (PAGES / Path(name).name).read_text() + hidden


def test_what_is_entered_outlives_the_session(shared_world: World, page: Page, visitor: Visitor) -> None:
    page.get_by_role("button", name="Create").first.click()
    page.get_by_placeholder("Input an experiment name").fill("kept")
    visitor.context.clear_cookies()
    page.get_by_role("dialog").get_by_role("button", name="Create").click()
    banner = page.get_by_role("alert").filter(has_text="Your session has ended")
    expect(banner).to_be_visible()
    assert page.get_by_placeholder("Input an experiment name").input_value() == "kept"

    with visitor.context.expect_page() as opened:
        banner.get_by_role("link", name="Sign in again").click()
    opened.value.get_by_label("E-mail").fill(WRITER)
    opened.value.get_by_role("button", name="Next").click()
    expect(banner).to_have_count(0)
    expect(page.get_by_text("kept").first).to_be_visible()  # MLflow goes to the experiment that it created
    expect(page.get_by_placeholder("Input an experiment name")).to_have_count(0)
    found = httpx.get(
        f"{shared_world.url}/api/2.0/mlflow/experiments/get-by-name",
        params={"experiment_name": "kept"},
        headers=shared_world.bearer(),
        timeout=60,
    )
    assert found.status_code == httpx.codes.OK


def test_a_link_into_the_page_outlives_the_sign_in(
    shared_world: World, visitor: Visitor, shown: dict[str, Any]
) -> None:
    visitor.context.clear_cookies()
    link = f"{shared_world.url}/#/experiments/{shown['experiment']}/runs/{shown['runs'][0]}"
    visitor.page.goto("about:blank")
    with visitor.page.expect_request("**/oauth2/start?**") as started:
        visitor.page.goto(link)
    assert parse_qs(urlsplit(started.value.url).query)["rd"] == [f"/#{link.partition('#')[2]}"]
    visitor.page.get_by_label("E-mail").fill(WRITER)
    visitor.page.get_by_role("button", name="Next").click()
    expect(visitor.page).to_have_url(link)
    expect(visitor.page.get_by_text(shown["runs"][0]).first).to_be_visible()


def test_a_person_signs_out_in_the_page(page: Page, visitor: Visitor) -> None:
    page.get_by_role("link", name="Sign out").click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    assert visitor.cookie() is None


def test_what_is_off_is_not_offered(page: Page, shown: dict[str, Any]) -> None:
    go(page, "/")
    for offered in (
        page.get_by_text("Start Demo"),
        page.get_by_text("Information about UI telemetry"),
        page.locator("[data-assistant-ui]").first,
    ):
        expect(offered).to_be_attached()
        expect(offered).to_be_hidden()
    go(page, "/settings/general")
    expect(page.get_by_role("heading", name="Theme preference")).to_be_visible()
    for name in ("LLM Connections", "Webhooks", "Enable telemetry", "Clear all demo data"):
        expect(page.get_by_text(name).first).to_be_hidden()
    go(page, f"/experiments/{shown['experiment']}/runs")
    page.get_by_role("button", name="New run").click()
    expect(page.get_by_role("menuitem").filter(visible=True)).to_have_count(1)
    expect(page.get_by_role("menuitem", name="Prompt Engineering")).to_be_hidden()


def test_the_page_says_what_is_off_why_and_who_can_change_it(page: Page) -> None:
    with page.expect_popup() as opened:
        page.get_by_role("link", name="Off in this deployment").click()
    expect(opened.value.get_by_role("heading", name="Off in this deployment")).to_be_visible()
    for name, why in (("Jobs", "no job runner runs beside the server"), ("Webhooks", "hosts that any user names")):
        expect(opened.value.get_by_text(name, exact=True)).to_be_visible()
        expect(opened.value.get_by_text(why).first).to_be_visible()
    expect(opened.value.get_by_text("Whoever builds this deployment's image decides that")).to_be_visible()
    opened.value.close()


def test_every_component_that_is_hidden_is_one_of_mlflows_page() -> None:
    scripts = [path.read_text() for path in SCRIPTS.glob("*.js")]
    named = re.findall(r'data-component-id="([^"]+)"', (PAGES / "features.css").read_text())
    assert named
    assert [name for name in named if not any(f'"{name}"' in script for script in scripts)] == []
