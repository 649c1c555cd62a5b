"""No request without a credential ends an instance: sizes, shapes, slowness, one or eighty at a time, in 1 GiB."""

import sys

import pytest

from harness.anonymous import ANONYMOUS
from harness.attackers import HEADER, PARALLEL, outcome
from harness.service import Service


@pytest.mark.parametrize("name", ANONYMOUS)
def test_no_request_without_a_credential_ends_the_instance(
    service: Service, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    found = {parallel: outcome(service, ANONYMOUS[name], parallel=parallel) for parallel in PARALLEL}
    with capsys.disabled():
        rows = [each.row(name, parallel) for parallel, each in found.items()]
        sys.stderr.write("\n".join(["", HEADER, *rows, ""]))
    assert all(not each.killed and each.served for each in found.values())
    assert not any(each.answers["200"] for each in found.values())
