"""Prints MLflow's own list of what it serves and of where it keeps locations, as JSON; run inside the image."""

import json
import re
import sys

import uvicorn  # noqa: F401  mlflow.server switches its checks of hosts on where a web server is loaded
from fastapi.routing import iter_route_contexts
from mlflow.server import app as flask_app
from mlflow.server.fastapi_app import app
from mlflow.server.graphql.graphql_schema_extensions import schema
from mlflow.store.db.base_sql_model import Base
from mlflow.store.model_registry.dbmodels import models as _registry  # noqa: F401  its tables
from mlflow.store.tracking.dbmodels import models as _tracking  # noqa: F401
from mlflow.store.workspace.dbmodels import models as _workspaces  # noqa: F401

AUTOMATIC = {"HEAD", "OPTIONS"}
found, native, mounted = set(), set(), []
for route in iter_route_contexts(app.routes):
    if route.methods:
        native |= {(method, route.path) for method in route.methods}
    else:
        mounted.append(f"{type(route.original_route).__name__} {route.original_route.path}")
found |= native
for rule in flask_app.url_map.iter_rules():
    template = re.sub(r"<(?:(path):)?(\w+)>", lambda name: f"{{{name[2]}{':path' if name[1] else ''}}}", rule.rule)
    found |= {(method, template) for method in rule.methods - AUTOMATIC}
operations = {kind: sorted(getattr(schema.graphql_schema, f"{kind}_type").fields) for kind in ("query", "mutation")}
LOCATION = re.compile(r"(.*_)?(uri|url|location|root)|source|dataset_source")
columns = sorted(
    f"{table.name}.{column.name}"
    for table in Base.metadata.tables.values()
    for column in table.columns
    if LOCATION.fullmatch(column.name)
)
listed = {
    "routes": sorted(found),
    "fastapi": sorted(native),
    "mounted": mounted,
    "graphql": operations,
    "columns": columns,
}
json.dump(listed, sys.stdout)
