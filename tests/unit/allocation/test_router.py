"""The router over real shards in memory."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from allocation.ports import EVERY_JOB, Batch, Demand, Offer, Outcome, Submission
from allocation.router import ShardRouter, by_worth
from allocation.service import ShardService
from allocation.terms import Rules
from cluster.domain.ids import JobId, ShardId
from cluster.domain.jobs import CrowdTerms, Job
from cluster.domain.work import WorkerProfile
from cluster.errors import LeaseInvalid, ShardUnavailable
from cluster.ports import Stores
from tests.unit.allocation.worlds import (
    SECRET,
    ManualClock,
    job,
    partition,
    snapshot,
    stores_with,
    worker,
)

ITEMS = 20
JUNK = "junk"


class Breakable(ShardService):
    """A shard whose process can be away."""

    away = False
    world: "World"

    def claim(
        self, worker: WorkerProfile, count: int, eligible: object = None
    ) -> tuple[Offer, ...]:
        assert eligible is None
        self._reach()
        self.world.asked[self._state.shard_id] += 1
        return super().claim(worker, count)

    def assign(
        self, workers: Sequence[WorkerProfile], counts: Sequence[int], batch: Batch = EVERY_JOB
    ) -> tuple[tuple[Offer, ...], ...]:
        self._reach()
        return super().assign(workers, counts, batch)

    def held(self, worker: WorkerProfile, count: int) -> tuple[Offer, ...]:
        self._reach()
        return super().held(worker, count)

    def answer(
        self, worker: WorkerProfile, submissions: Sequence[Submission]
    ) -> tuple[Outcome, ...]:
        self._reach()
        return super().answer(worker, submissions)

    def demands(self) -> tuple[Demand, ...]:
        self._reach()
        return super().demands()

    def release(self, worker: WorkerProfile, tokens: Sequence[str]) -> int:
        self._reach()
        return super().release(worker, tokens)

    def _reach(self) -> None:
        if self.away:
            raise ShardUnavailable(self._state.shard_id)


class World:
    """One job for each of three shards, and a router before them."""

    def __init__(
        self,
        items: Sequence[int] = (ITEMS, ITEMS, ITEMS),
        crowds: Sequence[CrowdTerms] = (),
    ) -> None:
        self.jobs = [JobId(f"job-{number}") for number in range(len(items))]
        terms = crowds or [CrowdTerms()] * len(items)
        self.stores: Stores = stores_with(*map(job_with, self.jobs, terms))
        self.asked = [0] * len(items)
        self.shards = [
            Breakable(ShardId(n), self.stores, ManualClock(), SECRET, Rules())
            for n in range(len(items))
        ]
        for shard, job_id, size in zip(self.shards, self.jobs, items, strict=True):
            self.stores.partitions.add([replace(partition(size, job_id), shard_id=ShardId(0))])
            shard.open(job_id, 0)
            shard.publish(snapshot(size, job_id))
        self.router = ShardRouter(self.shards, np.random.default_rng(5), SECRET)

        for shard in self.shards:
            shard.world = self

    def answers(self) -> int:
        return sum(len(self.stores.answers.read(job_id, 0, 1_000)) for job_id in self.jobs)


def job_with(job_id: JobId, crowd: CrowdTerms) -> Job:
    return job(job_id, crowd=crowd)


def said(offers: Sequence[Offer]) -> list[Submission]:
    return [Submission(token=offer.token, label="cat", duration_s=1.0) for offer in offers]


def test_a_claim_falls_over_to_other_shards_until_it_is_filled() -> None:
    world = World()

    offers = world.router.claim(worker("ann"), 50)

    assert len(offers) == 50
    assert len({(offer.job_id, offer.position) for offer in offers}) == 50
    assert len(world.router.claim(worker("ann"), 50)) == 10
    assert world.router.claim(worker("ann"), 50) == ()


def test_a_crowd_is_assigned_over_all_shards_that_can_be_reached() -> None:
    world = World()
    world.shards[2].away = True
    crew = [worker(f"w{number}") for number in range(6)]

    found = world.router.assign(crew, [5, 5, 5, 5, 5, 30])

    offers = [offer for each in found for offer in each]
    assert len(offers) == len({(offer.job_id, offer.position) for offer in offers}) == 2 * ITEMS
    assert all(len(each) <= 30 for each in found)


def test_an_assignment_that_reaches_no_shard_says_so() -> None:
    world = World()
    for shard in world.shards:
        shard.away = True

    with pytest.raises(ShardUnavailable):
        world.router.assign([worker("ann")], [1])


def test_answers_reach_the_shards_of_their_tokens_in_the_order_sent() -> None:
    world = World()
    offers = world.router.claim(worker("ann"), 45)
    mixed = said(offers)[::-1]

    outcomes = world.router.answer(worker("ann"), mixed)

    assert [outcome.token for outcome in outcomes] == [sent.token for sent in mixed]
    assert all(outcome.error is None for outcome in outcomes)
    assert world.answers() == 45


def test_a_shard_that_is_away_blocks_nobody_else() -> None:
    world = World()
    offers = world.router.claim(worker("ann"), 3 * ITEMS)
    world.shards[1].away = True
    junk = Submission(token=JUNK, label="cat", duration_s=1.0)

    outcomes = world.router.answer(worker("ann"), [*said(offers), junk])

    errors = Counter(type(outcome.error) for outcome in outcomes)
    assert errors == {type(None): 2 * ITEMS, ShardUnavailable: ITEMS, LeaseInvalid: 1}
    assert len(world.router.claim(worker("bob"), 3 * ITEMS)) == 2 * ITEMS
    world.shards[1].away = False
    assert len(world.router.claim(worker("bob"), 3 * ITEMS)) == ITEMS


def test_a_claim_that_reaches_no_shard_says_so() -> None:
    world = World()
    for shard in world.shards:
        shard.away = True

    with pytest.raises(ShardUnavailable):
        world.router.claim(worker("ann"), 1)


def test_releases_and_heartbeats_find_their_shards() -> None:
    world = World()
    offers = world.router.claim(worker("ann"), 50)
    tokens = [offer.token for offer in offers]

    beats = world.router.heartbeat(worker("ann"), [JUNK, *tokens])

    assert [beat.token for beat in beats] == [JUNK, *tokens]
    assert beats[0].expires_at is None
    assert all(beat.expires_at is not None for beat in beats[1:])
    world.shards[0].away = True
    released = world.router.release(worker("ann"), tokens)
    assert released == sum(offer.job_id != world.jobs[0] for offer in offers)


def test_a_claim_goes_where_there_are_questions_for_the_worker() -> None:
    # Given two large jobs, one of them for people who know Latin, and a small one for anybody
    latin = CrowdTerms(required_skills=frozenset({"latin"}))
    world = World(items=(1_000, 1_000, 30), crowds=(latin, CrowdTerms(), CrowdTerms()))
    world.router.claim(worker("first"), 1_100)

    # When people who do not know it come
    asked = world.asked = [0, 0, 0]
    for number in range(100):
        assert len(world.router.claim(worker(f"w{number}"), 1)) == 1

    # Then nobody is sent to the shard that has nothing for them, unless nobody has looked for long
    assert asked[0] <= 5
    assert asked[1] > asked[2] > 0


def test_whoever_has_done_all_on_a_shard_is_sent_elsewhere_at_once() -> None:
    # Given somebody who holds every item of the shard that has more to ask of others
    world, ann = World(items=(90, 60)), worker("ann")
    assert len(world.shards[0].claim(ann, 90)) == 90
    asked = world.asked = [0, 0]

    # When they come again and again
    for _ in range(20):
        assert len(world.router.claim(ann, 1)) == 1

    # Then that shard is asked in vain once
    assert asked == [1, 20]


@given(st.permutations(range(5)), st.lists(st.integers(0, 9), min_size=5, max_size=5))
def test_the_worthier_of_two_goes_first_and_the_worthless_last(
    order: list[int], worth: list[int]
) -> None:
    found = by_worth(order, worth)

    assert sorted(found) == sorted(order)
    assert worth[found[0]] >= max(worth[shard] for shard in order[:2])
    useless = [worth[shard] == 0 for shard in found]
    assert useless == sorted(useless)


def test_claims_go_where_the_backlog_is() -> None:
    world = World(items=(10, 1_000, 1_000))

    first = Counter(world.router.claim(worker(f"w{number}"), 1)[0].job_id for number in range(600))

    assert first[world.jobs[0]] <= 20
    assert min(first[world.jobs[1]], first[world.jobs[2]]) >= 150
