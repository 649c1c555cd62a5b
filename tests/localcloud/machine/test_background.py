"""Where the servers listen that containers call."""

from __future__ import annotations

import socket

import pytest

from containers.engine import Bridge, EngineError
from localcloud.machine.background import bound_to


def test_what_listens_for_containers_hears_their_bridge_alone() -> None:
    with bound_to(Bridge("lo", "127.0.0.1"), 0) as bound:
        assert bound.getsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, 16).rstrip(b"\0") == b"lo"
        assert bound.getsockname()[0] == "127.0.0.1"


def test_where_docker_has_no_bridge_on_this_machine_it_is_said() -> None:
    with pytest.raises(EngineError, match=r"cannot listen on 192\.0\.2\.1 of lo, .* must run on this machine itself"):
        bound_to(Bridge("lo", "192.0.2.1"), 0)
