"""A deployment of several nodes, PostgreSQL and S3, whose every part is struck while it works."""

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from rich.console import Console

from benchmarks.chaos.crowd import Crew
from benchmarks.chaos.deployment import Deployment
from benchmarks.chaos.faults import GATEWAY, RUNNER, SHARD, InTurn, NodeLost, OneKilled
from benchmarks.chaos.siege import Load, Siege
from benchmarks.chaos.store_faults import DatabaseStruck
from benchmarks.faults import SETTINGS

pytestmark = [pytest.mark.ray, pytest.mark.timeout(600)]

BLOWS, SEED = 5, 20
LOAD = Load(items=160, crew=Crew(workers=10, claim_items=4, think_s=1.0))
"""More workers than an item may have answers, 7, so that no question lacks somebody to ask."""


@pytest.fixture(scope="module")
def deployment() -> Iterator[Deployment]:
    # Not below pytest's own folder, which every run of it closes to all other users, and
    # PostgreSQL runs as one of its own.
    with TemporaryDirectory(prefix="muster-") as folder:
        Path(folder).chmod(0o755)
        with Deployment(
            Path(folder), {**SETTINGS, "MUSTER_ALLOCATOR__PARTITION_ITEMS_MAX": "25"}
        ) as running:
            yield running


def test_a_deployment_keeps_every_promise_whatever_is_struck(deployment: Deployment) -> None:
    # Given jobs and a crowd, and faults that fall at moments chosen by a seed
    faults = InTurn(
        [
            OneKilled(deployment, SHARD),
            DatabaseStruck(deployment),
            OneKilled(deployment, RUNNER, comes_and_goes=True),
            OneKilled(deployment, GATEWAY),
            NodeLost(deployment),
        ]
    )
    # When each has been dealt and all jobs have ended
    rounds = Siege(deployment, "all", faults, LOAD, SEED, Console(stderr=True)).run(BLOWS)
    # Then nothing that was promised to anybody is broken
    assert [violation for each in rounds for violation in each.violations] == []
    assert sum(len(each.hits) for each in rounds) == BLOWS
    # And no reply was an error that nobody had foreseen
    assert sum(each.internal_errors for each in rounds) == 0
    # And the crowd was at work
    assert sum(each.acknowledged for each in rounds) > LOAD.items * len(rounds)
