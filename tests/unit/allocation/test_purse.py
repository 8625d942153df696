"""One budget over many partitions: never exceeded whatever is leased when, and spent at last."""

from dataclasses import dataclass, field

import numpy as np
import pytest

from allocation.ports import PartitionReport
from allocation.purse import NOTHING, Amounts, Purse, amounts, shared_out
from tests.unit.allocation.worlds import JOB

PRICES = (0.0, 0.5, 2.0)


@dataclass
class Counter:
    """A partition as its shard counts it: it leases nothing beyond the end it was told."""

    end: Amounts = field(default_factory=lambda: NOTHING)
    answers: Amounts = field(default_factory=lambda: NOTHING)
    leases: list[float] = field(default_factory=list)

    @property
    def reached(self) -> Amounts:
        return self.answers + amounts(len(self.leases), sum(self.leases))

    def report(self, number: int) -> PartitionReport:
        return PartitionReport(
            job_id=JOB,
            partition=number,
            round=0,
            answers=int(self.answers[0]),
            leased=len(self.leases),
            wanted=0,
            open=1,
            audits=0,
            cost=float(self.reached[1]),
            expected_error=0.5,
        )


@dataclass
class World:
    total: Amounts
    counters: list[Counter]
    purse: Purse = field(default_factory=Purse)

    def publish(self, rng: np.random.Generator) -> None:
        """Tell every shard its end, as the board does; some do not hear it, or are not heard."""
        # What is known of the answers is what was stored before: others come meanwhile.
        seen = {number: found.answers for number, found in enumerate(self.counters)}
        left = np.maximum(self.total - sum(seen.values(), NOTHING), 0.0)
        weights = {number: int(rng.integers(0, 9)) for number in seen}
        shares = shared_out(weights, left, float(rng.choice(PRICES)))
        targets = {number: spent + shares[number] for number, spent in seen.items()}
        for number in self.purse.unknown(list(targets)):
            self.tell(number, seen[number], rng)
        if self.purse.unknown(list(targets)):
            return
        for number in self.purse.in_turn(targets):
            self.work(rng)
            end = self.purse.end(number, targets[number], seen=seen[number], total=self.total)
            self.tell(number, end, rng)

    def tell(self, number: int, end: Amounts, rng: np.random.Generator) -> None:
        self.purse.tell(number, end)
        if rng.random() < 0.9:
            self.counters[number].end = end
            if rng.random() < 0.9:
                self.purse.heed(self.counters[number].report(number))

    def work(self, rng: np.random.Generator) -> None:
        """Let leases go out, be answered or end."""
        for found in self.counters:
            for price in rng.choice(PRICES, size=int(rng.integers(0, 30))).tolist():
                if (found.reached + amounts(1, price) <= found.end).all():
                    found.leases.append(price)
            answered = int(rng.integers(0, len(found.leases) + 1))
            paid = [found.leases.pop() for _ in range(answered)]
            found.answers = found.answers + amounts(answered, sum(paid))
            del found.leases[: int(rng.integers(0, len(found.leases) + 1))]


@pytest.mark.parametrize("seed", range(60))
def test_a_budget_is_kept_whatever_is_leased_and_whoever_does_not_hear(seed: int) -> None:
    # Given shards that hold leases from before, in a world where replies get lost
    rng = np.random.default_rng(seed)
    total = amounts(int(rng.integers(0, 200)), float(rng.integers(0, 400)) / 2)
    counters = [Counter() for _ in range(int(rng.integers(1, 6)))]
    shares = shared_out(dict.fromkeys(range(len(counters)), 1), total, 2.0)
    for number, end in shares.items():
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
        spent = sum((found.reached for found in world.counters), NOTHING)
        assert (spent <= total).all()


def test_what_has_become_free_goes_to_those_who_may_use_it() -> None:
    # Given one partition that leased half the budget, so that the other had to stop at half
    purse, total, half = Purse(), amounts(100, 100.0), amounts(50, 50.0)
    first, second = Counter(answers=half), Counter(leases=[1.0] * 50)
    for number, found in enumerate((first, second)):
        purse.tell(number, half)
        purse.heed(found.report(number))
    targets = {0: amounts(75, 75.0), 1: amounts(25, 25.0)}
    purse.tell(1, purse.end(1, targets[1], seen=NOTHING, total=total))
    purse.heed(second.report(1))
    assert purse.end(0, targets[0], seen=half, total=total).tolist() == [50, 50.0]
    assert not purse.has_room(targets, total=total)
    assert purse.is_short(targets, total=total)

    # When those leases end
    second.leases.clear()
    purse.hear(second.report(1))

    # Then there is room, and the first may go on
    assert purse.has_room(targets, total=total)
    assert purse.end(0, targets[0], seen=half, total=total).tolist() == [75, 75.0]


def test_shares_of_money_buy_whole_answers_and_what_is_left_over_goes_where_most_is_asked() -> None:
    shares = shared_out({0: 1, 1: 2, 2: 0}, amounts(10, 9.5), 2.0)
    assert {number: share.tolist() for number, share in shares.items()} == {
        0: [3, 2.0],
        1: [7, 7.5],
        2: [0, 0.0],
    }


def test_where_no_price_is_known_the_money_stays_together() -> None:
    shares = shared_out({0: 1, 1: 2}, amounts(9, 4.0), 0.0)
    assert [share.tolist() for share in shares.values()] == [[3, 0.0], [6, 4.0]]
