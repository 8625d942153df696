"""A gateway over real stores and a real allocator shard."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from cluster.ports import Stores
from cluster.stores.memory import memory_stores
from cluster.stores.objects import FolderObjects
from tests.unit.gateway.world import World


@pytest.fixture
def stores(tmp_path: Path) -> Stores:
    return memory_stores(FolderObjects(tmp_path / "objects"))


@pytest.fixture
def world(stores: Stores, tmp_path: Path) -> Iterator[World]:
    with World.of(stores, tmp_path) as opened:
        yield opened
