"""Lets through what routes.toml lists as on, and refuses every other request with a sentence.

An MLflow upgrade thus opens nothing that nobody has looked at: a new route is refused until it is in the table.
"""

import re
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Any

from mlflow_cloudrun.bodies import Stream
from mlflow_cloudrun.features import AJAX, API, Feature, features_here, graphql_operations
from mlflow_cloudrun.identity import asked
from mlflow_cloudrun.logs import App, Message, Receive, Send
from mlflow_cloudrun.refusals import refuse

PARAMETER = re.compile(r"\{(?P<name>\w+)(?P<rest>:path)?\}")
WHO_DECIDES = "Whoever builds this deployment's image decides that, in image/mlflow_cloudrun/routes.toml."
WHO_SWITCHES = "Whoever runs this deployment can switch them on: {setting}."
POLICY_VIOLATION = 1008  # https://www.rfc-editor.org/rfc/rfc6455#section-7.4.1


@dataclass(frozen=True, slots=True)
class Match:
    """The match of a path for one method: the feature, the template, and the values of the template's parameters."""

    feature: Feature
    template: str
    parameters: tuple[str, ...] = ()

    @property
    def rank(self) -> tuple[bool, int]:
        """Which of several templates counts: one that is off, or else the one that says most."""
        return not self.feature.on, len(self.template)


class Matcher:
    """Finds the features of a path: paths without a parameter by a dictionary, the others by their literal head."""

    def __init__(self, table: tuple[Feature, ...]) -> None:
        self.exact: dict[str, dict[str, Match]] = {}
        self.by_head: dict[str, list[tuple[re.Pattern[str], str, Match]]] = {}
        for feature in table:
            for method, template in feature.routes:
                first = PARAMETER.search(template)
                if first is None:
                    self.exact.setdefault(template, {})[method] = Match(feature, template)
                    continue
                head = template[: first.start()].rpartition("/")[0]
                self.by_head.setdefault(head, []).append((compiled(template), method, Match(feature, template)))
        self.depth = max(head.count("/") for head in self.by_head) + 1

    def find(self, path: str) -> dict[str, Match]:
        """Returns what the path is to each method that it has.

        Where several templates match, MLflow's routers choose one: a feature that is off wins here.
        """
        found = dict(self.exact.get(path, {}))
        head = ""
        for number, segment in enumerate(path.split("/", self.depth)[:-1]):
            head = f"{head}/{segment}" if number else segment
            for pattern, method, match in self.by_head.get(head, ()):
                if (method not in found or match.rank > found[method].rank) and (it := pattern.fullmatch(path)):
                    found[method] = replace(match, parameters=it.groups())
        return found


def compiled(template: str) -> re.Pattern[str]:
    """Returns the pattern of a template, as MLflow's routers read it."""
    literals = [re.escape(part) for part in PARAMETER.split(template)[::3]]
    rest = ["(.*)" if match["rest"] else "([^/]+)" for match in PARAMETER.finditer(template)]
    return re.compile("".join(part for pair in zip(literals, [*rest, ""], strict=True) for part in pair))


@dataclass(frozen=True, slots=True)
class Refusal:
    """A refusal, as `refuse` sends it."""

    status: HTTPStatus
    error_code: str
    message: str


def operation(template: str) -> str:
    """Returns a route's name, which is the same for programs and for MLflow's page."""
    return template.removeprefix(API).removeprefix(AJAX)


def who_decides(feature: Feature) -> str:
    """Says who can switch a feature on, and where."""
    return WHO_SWITCHES.format(setting=feature.setting) if feature.switch else WHO_DECIDES


def off(feature: Feature) -> Refusal:
    """Returns the answer for a feature that is off; clients do not retry a 501."""
    sentence = f"{feature.name}: off in this deployment, because {feature.why}. {who_decides(feature)}"
    return Refusal(HTTPStatus.NOT_IMPLEMENTED, "NOT_IMPLEMENTED", sentence)


class RouteGate:
    """ASGI middleware: refuses what the table does not list as on, and keeps nothing of its body; notes what is asked.

    The path is the one that MLflow's two routers match: decoded, and otherwise as it came. To both, a path with `//`,
    `/./`, a slash at the end or another case is another path, and so it is to the table.
    """

    def __init__(self, app: App) -> None:
        self.app = app
        self.matcher = Matcher(features_here())

    def refusal(self, method: str, path: str) -> Refusal | None:
        """Returns the answer to a request that is refused."""
        found = self.matcher.find(path)
        if not found:
            sentence = f"This deployment serves no {path}. {WHO_DECIDES}"
            return Refusal(HTTPStatus.NOT_FOUND, "ENDPOINT_NOT_FOUND", sentence)
        if method == "OPTIONS":  # a browser's question before a request; no route of MLflow's own has it
            features = [match.feature for match in found.values()]
            return None if any(feature.on for feature in features) else off(features[0])
        match = found.get("GET" if method == "HEAD" else method)
        if match is None:
            sentence = f"{path} takes {', '.join(sorted(found))}, and not {method}."
            return Refusal(HTTPStatus.METHOD_NOT_ALLOWED, "BAD_REQUEST", sentence)
        asked.get().operation = f"{method} {operation(match.template)}"
        asked.get().name(*match.parameters)
        return None if match.feature.on else off(match.feature)

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Passes on what is on."""
        if scope["type"] == "websocket":  # MLflow has none
            await send({"type": "websocket.close", "code": POLICY_VIOLATION})
        elif scope["type"] == "http" and (refusal := self.refusal(scope["method"], scope["path"])):
            await Stream(receive).drain()
            await refuse(send, refusal.status, refusal.error_code, refusal.message)
        else:
            await self.app(scope, receive, send)


def limit_graphql(schema: Any) -> None:  # noqa: ANN401  graphql-core's, which comes with MLflow
    """Takes every operation out of the schema that the table does not list."""
    operations = graphql_operations()
    for kind, listed in ((schema.query_type, operations["query"]), (schema.mutation_type, operations["mutation"])):
        for name in set(kind.fields) - set(listed):
            del kind.fields[name]
