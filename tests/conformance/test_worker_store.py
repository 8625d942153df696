"""`WorkerStore`: registered workers by id."""

from dataclasses import replace

import pytest

from cluster.domain.ids import WorkerId
from cluster.errors import WorkerNotFound
from cluster.ports import Stores
from tests.conformance import samples


def test_a_worker_comes_back_as_it_was_stored(stores: Stores) -> None:
    bare = samples.worker("bob", skills=frozenset())
    stores.workers.add(samples.worker("ann"))
    stores.workers.add(bare)

    assert stores.workers.get(WorkerId("ann")) == samples.worker("ann")
    assert stores.workers.get(WorkerId("bob")) == bare


def test_storing_a_worker_again_replaces_nothing(stores: Stores) -> None:
    stores.workers.add(samples.worker("ann"))

    stores.workers.add(replace(samples.worker("ann"), name="somebody else"))

    assert stores.workers.get(WorkerId("ann")) == samples.worker("ann")


def test_an_unknown_worker_is_not_found(stores: Stores) -> None:
    with pytest.raises(WorkerNotFound):
        stores.workers.get(WorkerId("nobody"))
    with pytest.raises(WorkerNotFound):
        stores.workers.set_paused(WorkerId("nobody"), paused=True)


def test_pages_run_by_id_in_code_point_order(stores: Stores) -> None:
    ids = ["Zoe", "ann", "bob", "zoe", "Ödön"]
    for worker_id in reversed(ids):
        stores.workers.add(samples.worker(worker_id))

    first = stores.workers.page(None, 2)
    rest = stores.workers.page(first[-1].worker_id, 10)

    assert [found.worker_id for found in (*first, *rest)] == sorted(ids)


def test_a_worker_can_be_paused_and_resumed(stores: Stores) -> None:
    stores.workers.add(samples.worker("ann"))
    stores.workers.add(samples.worker("bob"))

    stores.workers.set_paused(WorkerId("ann"), paused=True)

    assert stores.workers.get(WorkerId("ann")) == replace(samples.worker("ann"), paused=True)
    assert not stores.workers.get(WorkerId("bob")).paused
    stores.workers.set_paused(WorkerId("ann"), paused=False)
    assert not stores.workers.get(WorkerId("ann")).paused
