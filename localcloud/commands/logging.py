"""`gcloud logging`: read the log.

https://cloud.google.com/sdk/gcloud/reference/logging/read
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from localcloud.commands.commands import Command, Unknown, number
from localcloud.machine.logbook import entries
from localcloud.services.logging_query import Query
from localcloud.services.query import BadFilter

if TYPE_CHECKING:
    from localcloud.commands.commands import Call


def _read(call: Call) -> None:
    try:
        query = Query(call.options.filter) if call.options.filter else None
    except BadFilter as error:
        raise Unknown(f"argument filter: {error}") from error
    newest_first = [*entries(call.machine.logs)][::-1]
    found = [entry for entry in newest_first if query is None or query.matches(entry)]
    limit = number("limit", call.options.limit) if call.options.limit else None
    call.out += [json.dumps(entry) for entry in found[:limit]]


COMMANDS = {"logging read": Command(run=_read, positional=["filter?"], flags={"limit": ""})}
