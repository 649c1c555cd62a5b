"""The generated tables of docs/routes.md, from the table of routes that the image enforces."""

from collections import defaultdict

from image.mlflow_cloudrun.features import AJAX, API, Feature, features, graphql_operations


def feature_table() -> str:
    """A row for each feature: whether it is on, what it can reach, why."""
    rows = ["| feature | | can reach | why | routes |", "| --- | --- | --- | --- | --- |"]
    for feature in features():
        reach = ", ".join(feature.reach) or "nothing"
        rows.append(f"| {feature.name} | {state(feature)} | {reach} | {feature.why} | {len(feature.routes)} |")
    listed = [feature.on for feature in features() for _ in feature.routes]
    rows.append(f"| **all** | {sum(listed)} on, {listed.count(False)} off | | | {len(listed)} |")
    return "\n".join(rows)


def route_table() -> str:
    """A row for each path; `(ajax-)api` stands for the same route below /api/ and /ajax-api/."""
    rows = ["| route | methods | feature | |", "| --- | --- | --- | --- |"]
    for feature in features():
        methods: defaultdict[str, list[str]] = defaultdict(list)
        for method, template in feature.routes:
            methods[template].append(method)
        for template, found in sorted(methods.items()):
            twin = template.replace(AJAX, API, 1) if template.startswith(AJAX) else None
            if twin in methods:
                continue
            both = template.startswith(API) and template.replace(API, AJAX, 1) in methods
            path = template.replace(API, "/(ajax-)api/", 1) if both else template
            rows.append(f"| `{path}` | {', '.join(sorted(found))} | {feature.name} | {state(feature)} |")
    return "\n".join(rows)


def graphql_table() -> str:
    """A row for each operation of /graphql."""
    operations = graphql_operations()
    rows = ["| operation | kind | |", "| --- | --- | --- |"]
    rows += [f"| `{name}` | {kind} | on |" for kind in ("query", "mutation") for name in operations[kind]]
    rows += [f"| `{name}` | | off |" for name in operations["refused"]]
    return "\n".join(rows)


def state(feature: Feature) -> str:
    """Says whether it is on."""
    if feature.switch:
        return f"**off**, on with `{feature.setting}`"
    return "on" if feature.on else "**off**"
