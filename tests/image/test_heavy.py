"""No body of a signed-in person ends an instance of 1 GiB: a few of each kind, and eighty of all kinds at once."""

import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle, islice

import pytest

from harness.attackers import peak_of
from harness.heavy import BODIES, attack
from harness.service import Service

# Refused, or taken, or told to come again; never an error of ours, and never a broken connection.
ANSWERS = {"200", "400", "403", "404", "413", "415", "501", "503"}


@pytest.mark.parametrize("kind", BODIES)
def test_no_body_ends_an_instance(service: Service, kind: str) -> None:
    answers = attack(service, BODIES[kind], 2)
    assert set(answers) <= ANSWERS
    assert service.container.memory_kills() == 0
    assert service.search().status_code == 200


def test_eighty_at_once_do_not_end_it_either(service: Service, capsys: pytest.CaptureFixture[str]) -> None:
    kinds = list(islice(cycle(BODIES.values()), 80))
    for one in kinds:
        one.body()  # made before, as making them takes longer than sending
    with peak_of(service.container) as samples, ThreadPoolExecutor(len(kinds)) as pool:
        answers = sum(pool.map(lambda one: attack(service, one, 1), kinds), Counter[str]())
    with capsys.disabled():
        sys.stderr.write(f"[image] {len(kinds)} heavy bodies at once: peak {max(samples):.0f} MiB, {dict(answers)}\n")
    assert set(answers) <= ANSWERS
    assert service.container.memory_kills() == 0
    assert service.search().status_code == 200


def test_a_refused_body_leaves_nothing_behind(service: Service) -> None:
    # An exception that was not let go of kept the 16 MiB that had been unpacked before the refusal.
    attack(service, BODIES["gzip of a gigabyte"], 1)
    before = service.container.memory_mib()
    answers = attack(service, BODIES["gzip of a gigabyte"], 20)
    assert set(answers) <= {"413", "503"}
    assert service.container.memory_mib() < before + 128
