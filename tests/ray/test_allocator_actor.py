"""A shard as a real Ray actor over SQLite: it dies and comes back, and no answer is lost."""

import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import ray
from ray._common.test_utils import wait_for_condition
from ray.exceptions import GetTimeoutError, RayActorError, RayTaskError

from allocation.actor import NAMESPACE, RemoteShard, allocator_name, start_allocator
from allocation.board import Board
from allocation.ports import Batch, Submission
from cluster.domain.ids import JobId, ShardId
from cluster.errors import LeaseExpired, LeaseForeign, LeaseInvalid, ShardUnavailable
from cluster.settings import Settings
from cluster.stores.opened import open_stores
from tests.unit.allocation.worlds import JOB, job, partition, snapshot, worker

pytestmark = [pytest.mark.ray, pytest.mark.timeout(180)]

ITEMS = 40
SHARD = ShardId(0)


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    settings = Settings(data_dir=tmp_path_factory.mktemp("muster"))
    stores = open_stores(settings)
    stores.jobs.create(job(), None)
    stores.partitions.add([partition(ITEMS)])
    return settings


@pytest.fixture(scope="module")
def shard(settings: Settings) -> Iterator[RemoteShard]:
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("RAY_AUTH_MODE", "disabled")
        ray.init("local", include_dashboard=False, num_cpus=1, log_to_driver=False)
    allocator = start_allocator(SHARD, settings, detached=False)
    yield RemoteShard(SHARD)
    del allocator
    ray.shutdown()


def stored(settings: Settings) -> int:
    return len(open_stores(settings).answers.read(JOB, 0, 1_000))


def pid_of(shard_id: int) -> int | None:
    """Return the process of a shard, or None while it has none."""
    actor: Any = ray.get_actor(allocator_name(shard_id), NAMESPACE)
    try:
        return int(ray.get(actor.__ray_call__.remote(lambda _: os.getpid()), timeout=10))
    except (RayActorError, GetTimeoutError):
        return None


def kill(shard_id: int) -> None:
    """Kill a shard's process and wait for the next one."""
    killed = pid_of(shard_id)
    assert killed is not None
    os.kill(killed, signal.SIGKILL)
    wait_for_condition(lambda: pid_of(shard_id) not in (None, killed), timeout=60)


def test_a_shard_dies_and_comes_back_with_every_acknowledged_answer(
    shard: RemoteShard, settings: Settings
) -> None:
    shard.open(JOB, 0)
    shard.publish(snapshot(ITEMS))
    kept, lost = shard.claim(worker("ann"), 2)
    sent = Submission(token=kept.token, label="cat", duration_s=1.0)
    before = shard.answer(worker("ann"), [sent])

    kill(SHARD)

    assert [(found.error, found.replayed) for found in before] == [(None, False)]
    again = shard.answer(
        worker("ann"), [sent, Submission(token=lost.token, label="cat", duration_s=1.0)]
    )
    assert (again[0].error, again[0].replayed) == (None, True)
    assert isinstance(again[1].error, LeaseExpired)
    assert stored(settings) == 1


def test_refusals_cross_processes_as_they_were_raised(shard: RemoteShard) -> None:
    shard.publish(snapshot(ITEMS))
    (offer,) = shard.claim(worker("bob"), 1)

    foreign, invalid = shard.answer(
        worker("eve"),
        [Submission(token=token, label="cat", duration_s=1.0) for token in (offer.token, "junk")],
    )

    assert isinstance(foreign.error, LeaseForeign)
    assert foreign.error.worker_id == "eve"
    assert isinstance(invalid.error, LeaseInvalid)


def test_many_workers_at_once_are_all_served(shard: RemoteShard, settings: Settings) -> None:
    shard.publish(snapshot(ITEMS))
    before = stored(settings)

    def work(number: int) -> int:
        me = worker(f"crowd-{number}")
        sent = [
            Submission(token=offer.token, label="owl", duration_s=1.0)
            for offer in shard.claim(me, 3)
        ]
        return sum(outcome.error is None for outcome in shard.answer(me, sent))

    with ThreadPoolExecutor(8) as pool:
        accepted = sum(pool.map(work, range(16)))

    assert accepted > 0
    assert stored(settings) - before == accepted


def test_who_is_assigned_work_finds_it_with_the_actor(shard: RemoteShard) -> None:
    shard.publish(replace(snapshot(ITEMS), seconds=np.array([5.0], dtype=np.float32)))
    crew = [worker("push-1"), worker("push-2")]

    made = shard.assign(crew, [2, 1], Batch(job_id=JOB, wait_price=0.01))

    assert [len(offers) for offers in made] == [2, 1]
    assert [shard.held(who, 10) for who in crew] == list(made)
    for who, offers in zip(crew, made, strict=True):
        assert shard.release(who, [offer.token for offer in offers]) == len(offers)


def test_a_shard_that_is_not_there_is_unavailable(shard: RemoteShard) -> None:
    assert {found.job_id for found in shard.demands()} == {JOB}
    with pytest.raises(ShardUnavailable) as missing:
        RemoteShard(7).claim(worker("ann"), 1)
    assert missing.value.shard_id == 7


def test_publishing_to_a_partition_that_is_not_open_is_said_to_the_caller(
    shard: RemoteShard,
) -> None:
    with pytest.raises(ShardUnavailable) as closed:
        shard.publish(snapshot(ITEMS, JobId("another")))
    assert not isinstance(closed.value, RayTaskError)


def test_a_partition_moves_to_an_idle_process_with_its_answers(
    shard: RemoteShard, settings: Settings
) -> None:
    # Given a job whose two partitions are on one shard, an answer, and another lease
    moving, stores = JobId("moving"), open_stores(settings)
    shard.close(JOB)
    stores.jobs.create(job(moving), None)
    stores.partitions.add(
        [partition(ITEMS, moving, number=number, first=number * ITEMS) for number in range(2)]
    )
    idle = start_allocator(1, settings, detached=False)
    shards = [shard, RemoteShard(1)]
    for number in range(2):
        shard.open(moving, number)
        shard.publish(replace(snapshot(ITEMS, moving), partition=number))
    offers = shard.claim(worker("ann"), 12)
    answered = {offer.position for offer in offers}
    said = [Submission(token=offer.token, label="cat", duration_s=1.0) for offer in offers]
    assert all(outcome.error is None for outcome in shard.answer(worker("ann"), said))
    (late,) = shard.claim(worker("bob"), 1)

    wait_for_condition(lambda: {found.job_id for found in shard.demands()} == {moving})

    # When the job's stage looks at the loads, and does not wait for leases
    board = Board(stores.partitions, shards, moving, 0.0, spare=0)
    assert board.rebalance(10.0, every_s=10.0, drain_s=0.0) == []
    (move,) = board.rebalance(20.0, every_s=10.0, drain_s=0.0)

    # Then the other process has the partition, its answers and its questions, and the old none
    first = move.number * ITEMS
    there = range(first, first + ITEMS)
    report = shards[1].publish(replace(snapshot(ITEMS, moving), partition=move.number))
    assert report.answers == len(answered.intersection(there))
    assert not {found.position for found in shards[1].claim(worker("ann"), 100)} & answered
    (outcome,) = shard.answer(
        worker("bob"), [Submission(token=late.token, label="cat", duration_s=1.0)]
    )
    assert (outcome.error is None) == (late.position not in there)
    del idle
