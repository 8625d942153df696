"""One budget over many partitions: never exceeded whatever is leased when, and spent at last."""

from dataclasses import dataclass, field

import numpy as np
import pytest

from allocation.ports import PartitionReport
from allocation.purse import Purse, shared_out
from cluster.domain.ids import ShardId
from cluster.domain.work import Partition
from tests.unit.allocation.worlds import JOB


@dataclass
class Counter:
    """A partition as its shard counts it: it leases nothing beyond the end it was told."""

    end: int = 0
    answers: int = 0
    leased: int = 0

    def report(self, number: int) -> PartitionReport:
        return PartitionReport(
            job_id=JOB,
            partition=number,
            round=0,
            answers=self.answers,
            leased=self.leased,
            wanted=0,
            expected_error=0.5,
        )


@dataclass
class World:
    total: int
    counters: list[Counter]
    purse: Purse = field(default_factory=Purse)

    def publish(self, rng: np.random.Generator) -> None:
        """Tell every shard its end, as the board does; some do not hear it, or are not heard."""
        # What is known of the answers is what was stored before: others come meanwhile.
        seen = {number: found.answers for number, found in enumerate(self.counters)}
        left = max(0, self.total - sum(seen.values()))
        targets = shared_out(partitions(len(self.counters)), seen, left)
        for number in self.purse.unknown(list(targets)):
            self.tell(number, seen[number], rng)
        if self.purse.unknown(list(targets)):
            return
        for number in self.purse.in_turn(targets):
            self.work(rng)
            end = self.purse.end(number, targets[number], seen=seen[number], total=self.total)
            self.tell(number, end, rng)

    def tell(self, number: int, end: int, rng: np.random.Generator) -> None:
        self.purse.tell(number, end)
        if rng.random() < 0.9:
            self.counters[number].end = end
            if rng.random() < 0.9:
                self.purse.heed(self.counters[number].report(number))

    def work(self, rng: np.random.Generator) -> None:
        """Let leases go out, be answered or end."""
        for found in self.counters:
            room = max(0, found.end - found.answers - found.leased)
            found.leased += int(rng.integers(0, room + 1))
            answered = int(rng.integers(0, found.leased + 1))
            ended = int(rng.integers(0, found.leased - answered + 1))
            found.answers += answered
            found.leased -= answered + ended


def partitions(count: int) -> list[Partition]:
    return [
        Partition(
            job_id=JOB, number=number, first_position=0, items=1 + number, shard_id=ShardId(0)
        )
        for number in range(count)
    ]


@pytest.mark.parametrize("seed", range(60))
def test_a_budget_is_kept_whatever_is_leased_and_whoever_does_not_hear(seed: int) -> None:
    # Given shards that hold leases from before, in a world where replies get lost
    rng = np.random.default_rng(seed)
    total = int(rng.integers(0, 200))
    counters = [Counter() for _ in range(int(rng.integers(1, 6)))]
    for number, end in shared_out(
        partitions(len(counters)), dict.fromkeys(range(len(counters)), 0), total
    ).items():
        counters[number].end = end
    world = World(total, counters)

    for _ in range(60):
        # When they work, are told and heard in any order, and sometimes a new teller takes over
        world.work(rng)
        for number, found in enumerate(world.counters):
            world.purse.hear(found.report(number))
        if rng.random() < 0.1:
            world.purse = Purse()
        world.publish(rng)

        # Then answers and leases together never exceed the budget
        spent = sum(found.answers + found.leased for found in world.counters)
        assert spent <= total


def test_what_has_become_free_goes_to_those_who_may_use_it() -> None:
    # Given one partition that leased half the budget, so that the other had to stop at half
    purse = Purse()
    first, second = Counter(answers=50), Counter(leased=50)
    for number, found in enumerate((first, second)):
        purse.tell(number, 50)
        purse.heed(found.report(number))
    targets = {0: 75, 1: 25}
    purse.tell(1, purse.end(1, 25, seen=0, total=100))
    purse.heed(second.report(1))
    assert purse.end(0, 75, seen=50, total=100) == 50
    assert not purse.has_room(targets, total=100)

    # When those leases end
    second.leased = 0
    purse.hear(second.report(1))

    # Then there is room, and the first may go on
    assert purse.has_room(targets, total=100)
    assert purse.end(0, 75, seen=50, total=100) == 75
