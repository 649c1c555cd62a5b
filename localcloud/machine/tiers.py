"""How large the tiers of Cloud SQL are."""

from __future__ import annotations

import re

from localcloud.terraform.model import Problem, Refused

# https://cloud.google.com/sql/docs/postgres/instance-settings#machine-type-2ndgen
SHARED_CORE_MB = {"db-f1-micro": 614, "db-g1-small": 1_740}
PERFORMANCE_MB_PER_CPU = 8_192


def size_of(tier: str) -> tuple[int, int]:
    """Returns a tier's CPUs and its memory in MB.

    Raises:
        Refused: No such tier.
    """
    if tier in SHARED_CORE_MB:
        return 1, SHARED_CORE_MB[tier]
    if found := re.fullmatch(r"db-custom-(\d+)-(\d+)", tier):
        return int(found[1]), int(found[2])
    if found := re.fullmatch(r"(?:db-perf-optimized-N|db-c4a-highmem)-(\d+)", tier):
        return int(found[1]), int(found[1]) * PERFORMANCE_MB_PER_CPU
    detail = "Use db-f1-micro, db-g1-small, db-custom-CPUS-MEMORY_MB, db-perf-optimized-N-CPUS or db-c4a-highmem-CPUS."
    raise Refused(Problem(f"Error 400: invalid tier ({tier})", detail, ("settings",)))
