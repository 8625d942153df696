"""Partitions that change shards under a running job, with real shards and a crowd."""

from contextlib import suppress
from dataclasses import replace

import numpy as np

from allocation.board import Board
from allocation.campaign import Campaign
from allocation.ports import Demand, Offer, PartitionReport, Submission, TruthSnapshot
from allocation.purse import amounts
from allocation.service import ShardService
from allocation.terms import Rules
from cluster.domain.ids import ShardId
from cluster.domain.jobs import CrowdTerms, Goal, JobState
from cluster.domain.work import AnswerColumns
from cluster.errors import LeaseExpired, ShardUnavailable
from tests.unit.allocation.crowds import CrowdWorld, answers_of
from tests.unit.allocation.test_campaign import answer
from tests.unit.allocation.worlds import JOB, SECRET, job, partition, snapshot, worker

ITEMS = 1_200
LEASE_TTL_S = 30.0
CROWD = (0.95,) * 30


class Gone(ShardService):
    """A shard whose process is gone for good."""

    def __getattribute__(self, name: str) -> object:
        raise ShardUnavailable(0)


def given_a_job_on_one_shard() -> CrowdWorld:
    """Return a job of two partitions, both of them on shard 0, shard 1 having nothing."""
    crowd = CrowdTerms(audit_share=0.02, lease_ttl_s=LEASE_TTL_S)
    spec = replace(job().spec, goal=Goal(accuracy=0.8), crowd=crowd)
    given = CrowdWorld(spec, ITEMS, CROWD, np.random.default_rng(3))
    given.predict(accuracy=0.6)
    given.shards[0].open(JOB, 1)
    given.shards[1].close(JOB)
    return given


def owners(given: CrowdWorld) -> list[int]:
    return [found.shard_id for found in given.stores.partitions.of_job(JOB)]


def moves_recorded(given: CrowdWorld) -> int:
    events = given.stores.events.read(JOB, 0, 10_000)
    return sum(event.kind == "partition.moved" for event in events)


def test_a_partition_moves_to_the_idle_shard_once_its_leases_are_answered() -> None:
    # Given a crowd that works on one shard while another has nothing to ask
    given = given_a_job_on_one_shard()

    # When the stage runs to its end
    state = given.stage(rebalance_every_s=2.0).run(given.desk())

    # Then one partition has moved, once, and nothing is lost, refused or doubled
    assert state is JobState.EXPORTING
    assert sorted(owners(given)) == [0, 1]
    assert moves_recorded(given) == 1
    assert given.acknowledged == given.claimed == len(answers_of(given))
    assert len(given.delivered()) == ITEMS


def test_a_partition_is_drained_before_it_moves_but_not_for_ever() -> None:
    # Given somebody who sits on leases and holds on to them
    given = given_a_job_on_one_shard()
    stage, sitter = given.stage(rebalance_every_s=2.0), worker("sitter")
    held: list[Offer] = []
    moved_at: list[float] = []

    def wait(seconds: float) -> None:
        given.clock.time += seconds
        if not held:
            held.extend(given.shards[0].claim(sitter, 60))
        given.shards[0].heartbeat(sitter, [offer.token for offer in held])
        if moves_recorded(given):
            moved_at.append(given.clock.time)
            raise KeyboardInterrupt

    began_at = given.clock.time
    stage._wait = wait

    # When the stage wants to move a partition
    with suppress(KeyboardInterrupt):
        stage.run(given.desk())

    # Then it waits for one term of the leases, and those on the partition that went are void
    assert LEASE_TTL_S <= moved_at[0] - began_at <= LEASE_TTL_S + 6.0
    moved = next(found for found in given.stores.partitions.of_job(JOB) if found.shard_id == 1)
    end = moved.first_position + moved.items
    label = given.spec.label_set.names[0]
    for offer in held:
        sent = Submission(token=offer.token, label=label, duration_s=1.0)
        (outcome,) = given.shards[0].answer(sitter, [sent])
        gone = moved.first_position <= offer.position < end
        assert isinstance(outcome.error, LeaseExpired) if gone else outcome.error is None


def test_a_shard_that_never_comes_back_loses_its_partitions() -> None:
    # Given a job on two shards, of which one is gone after a while
    given = given_a_job_on_one_shard()
    given.shards[1].open(JOB, 1)
    stage, looks = given.stage(rebalance_every_s=2.0), iter(range(1_000))

    def wait(seconds: float) -> None:
        if next(looks) == 3:
            given.shards[1] = lost = Gone.__new__(Gone)
            given.living = [found for found in given.shards if found is not lost]
        given.wait(seconds)

    stage._wait = wait

    # When the stage runs
    stage.run(given.desk())

    # Then the other has taken over, and the job ends with every answer it acknowledged
    assert owners(given) == [0, 0]
    assert given.acknowledged == len(answers_of(given))
    assert len(given.delivered()) == ITEMS


def test_a_shard_that_missed_being_replaced_is_told_so() -> None:
    # Given a partition that moved while its old owner could not be told
    given = given_a_job_on_one_shard()
    given.shards[0].publish(replace(snapshot(ITEMS // 2), partition=1))
    given.shards[1].open(JOB, 1)
    stage, looks = given.stage(rebalance_every_s=2.0), iter(range(1_000))

    def wait(seconds: float) -> None:
        given.clock.time += seconds
        if next(looks) == 6:
            raise KeyboardInterrupt

    stage._wait = wait
    # When the stage looks at the loads
    with suppress(KeyboardInterrupt):
        stage.run(given.desk())

    # Then the old owner offers nothing of it any more
    assert {found.partition for found in given.shards[0].demands()} == {0}
    assert {found.partition for found in given.shards[1].demands()} == {1}


def test_a_demand_is_open_to_those_whom_the_shard_would_ask() -> None:
    # Given questions for people of a skill, and audits for reviewers alone
    latin, both = worker("l", skills=["latin"]), worker("b", skills=["latin", "review"])
    plain = Demand(job_id=JOB, partition=0, labels=7, audits=2)
    skilled = replace(plain, required_skills=frozenset({"latin"}))
    reviewed = replace(skilled, audit_skills=frozenset({"review"}))

    # Then each is counted what is theirs
    assert [plain.open_to(who) for who in (worker("a"), latin, both)] == [9, 9, 9]
    assert [skilled.open_to(who) for who in (worker("a"), latin, both)] == [0, 9, 9]
    assert [reviewed.open_to(who) for who in (worker("a"), latin, both)] == [0, 7, 2]


def test_a_publication_finds_out_once_what_it_tells_all_partitions_alike() -> None:
    # Given a campaign, and a board of two partitions on one shard that notes what it is told
    given = given_a_job_on_one_shard()
    heard: list[TruthSnapshot] = []

    class Noting(ShardService):
        def publish(self, snapshot: TruthSnapshot) -> PartitionReport:
            heard.append(snapshot)
            return super().publish(snapshot)

    noting = Noting(ShardId(0), given.stores, given.clock, SECRET, Rules())
    noting.recover()
    board = Board(given.stores.partitions, [noting, given.shards[1]], JOB, given.clock.now())
    campaign = Campaign(given.spec, ITEMS, trainings_max=0)
    campaign.absorb(AnswerColumns.of([answer(at, at % 3, "ann") for at in range(0, ITEMS, 2)]))
    campaign.refit()

    # When it publishes
    board.publish(campaign, audits_only=False)

    # Then what is said of the crowd is one and the same, and the rest that of each partition
    first, second = sorted(heard, key=lambda found: found.partition)
    assert first.log_confusion is second.log_confusion
    assert first.seconds is second.seconds
    assert (first.answers_seen, second.answers_seen) == (ITEMS // 4, ITEMS // 4)
    whole = partition(ITEMS)
    alike = campaign.snapshot(whole, amounts(1, 1.0), audits_only=False)
    for name in ("log_prior", "final", "audit"):
        halves = np.concatenate([getattr(first, name), getattr(second, name)])
        np.testing.assert_array_equal(halves, getattr(alike, name))
