"""A gateway over real stores and a real allocator shard."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from cluster.ports import Stores
from cluster.stores.memory import memory_stores
from cluster.stores.objects import FolderObjects, MemoryObjects
from tests.unit.gateway.world import World


@pytest.fixture
def stores(tmp_path: Path) -> Stores:
    return memory_stores(FolderObjects(tmp_path / "objects"))


@pytest.fixture
def world(stores: Stores, tmp_path: Path) -> Iterator[World]:
    with World.of(stores, tmp_path) as opened:
        yield opened


@pytest.fixture(scope="module")
def shared_world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A gateway for many tests that leave nothing behind which another would notice."""
    stores = memory_stores(MemoryObjects())
    with World.of(stores, tmp_path_factory.mktemp("gateway")) as opened:
        yield opened
