"""A bucket that goes away, or is full, says so: nothing is half there, and all goes on after it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.chaos.buckets import CREDENTIALS, Buckets
from benchmarks.chaos.proxy import FAIR, FaultProxy, Weather
from cluster.errors import ObjectMissing
from cluster.storage_errors import StorageFull, StorageUnreachable
from cluster.stores.objects import open_objects

CONTENT = bytes(range(256)) * 100


@pytest.fixture
def door(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultProxy]:
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    with Buckets(tmp_path) as buckets, FaultProxy(buckets.port, seed=0, http=True) as proxy:
        yield proxy


def test_a_bucket_that_is_away_is_unreachable_also_for_what_is_open(door: FaultProxy) -> None:
    # Given an object, opened
    objects = open_objects(Buckets.uri_at(door.port))
    objects.write("whole", CONTENT)
    opened = objects.open_input("whole")
    # When the bucket is away, for longer than requests are sent again
    door.turn(Weather(down=True))
    # Then whoever reads or writes is told to come again
    with pytest.raises(StorageUnreachable):
        opened.read()
    with pytest.raises(StorageUnreachable), objects.open_output("other") as stream:
        stream.write(CONTENT)
    # And once it is back, what was whole is there, and what was not is not
    door.turn(FAIR)
    assert objects.read("whole") == CONTENT
    assert list(objects.list("")) == ["whole"]
    with pytest.raises(ObjectMissing):
        objects.read("other")


def test_a_bucket_without_room_is_full(door: FaultProxy) -> None:
    objects = open_objects(Buckets.uri_at(door.port))
    door.turn(Weather(full=True))
    with pytest.raises(StorageFull):
        objects.write("large", CONTENT)
    door.turn(FAIR)
    objects.write("large", CONTENT)
    assert objects.read("large") == CONTENT


def test_three_refusals_of_ten_are_not_noticed(door: FaultProxy) -> None:
    objects = open_objects(Buckets.uri_at(door.port))
    door.turn(Weather(refused=0.3))
    for number in range(5):
        objects.write(f"object {number}", CONTENT)
        assert objects.read(f"object {number}") == CONTENT
    assert door.refused > 0
