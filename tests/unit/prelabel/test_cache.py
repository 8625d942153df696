from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, Event

import numpy as np
import pytest

from cluster.errors import ModelUnusable, ObjectMissing
from cluster.stores.objects import MemoryObjects
from serve_apps.prelabel.cache import Lru, ModelCache
from serve_apps.prelabel.model import Encoder, Features, Folds, Probabilities, Version
from tests.unit.prelabel.support import CountingSource, loader, model_spec


def embed(contents: object) -> Features:
    del contents
    return np.zeros((0, 8), dtype=np.float32)


def test_what_was_used_last_stays() -> None:
    # Given a cache of two that holds a and b, a used last
    cache, loads = Lru[str, str](2), list[str]()

    def load(key: str) -> str:
        loads.append(key)
        return key.upper()

    def get(key: str) -> str:
        return cache.get(key, lambda: load(key))

    for key in ("a", "b", "a"):
        assert get(key) == key.upper()
    # When a third comes
    get("c")
    # Then b was dropped and a was not
    get("a")
    get("b")
    assert loads == ["a", "b", "c", "b"]


def test_many_threads_load_a_key_once() -> None:
    cache, loads, together = Lru[str, int](4), list[int](), Barrier(8)

    def load() -> int:
        loads.append(1)
        return len(loads)

    def get() -> int:
        together.wait(10)
        return cache.get("key", load)

    with ThreadPoolExecutor(8) as threads:
        values = [future.result(10) for future in [threads.submit(get) for _ in range(8)]]
    assert values == [1] * 8
    assert len(loads) == 1


def test_a_slow_load_keeps_nobody_from_other_keys() -> None:
    cache, release = Lru[str, bool](4), Event()
    with ThreadPoolExecutor(1) as threads:
        slow = threads.submit(cache.get, "slow", lambda: release.wait(10))
        assert cache.get("fast", lambda: True)
        release.set()
        assert slow.result(10)


def test_a_failed_load_is_tried_again() -> None:
    cache = Lru[str, int](2)

    def fail() -> int:
        raise ValueError

    with pytest.raises(ValueError):  # noqa: PT011 - it has no message
        cache.get("key", fail)
    assert cache.values() == []
    assert cache.get("key", lambda: 7) == 7


def test_versions_share_one_encoder() -> None:
    source = CountingSource()
    models = ModelCache(source, MemoryObjects(), 4)
    assert models.encoder(model_spec(version=0)) is models.encoder(model_spec(version=1))
    assert source.loaded == ["fake"]


def test_an_encoder_that_cannot_be_loaded_is_unusable() -> None:
    models = ModelCache(loader(), MemoryObjects(), 4)
    with pytest.raises(ModelUnusable, match="encoder cannot be loaded"):
        models.encoder(model_spec("fake:not-a-number"))
    with pytest.raises(ModelUnusable, match="does not take image items"):
        models.encoder(model_spec("minilm", modality="image"))


def test_missing_weights_are_a_missing_object() -> None:
    models = ModelCache(loader(), MemoryObjects(), 4)
    with pytest.raises(ObjectMissing):
        models.version(model_spec(version=1, weights_path="models/none"), 8, embed)


class StubHead:
    """Gives the same numbers whatever it reads."""

    folds = 1

    def __init__(self, row: list[float]) -> None:
        self._row = row

    def predict(self, features: Features, folds: Folds | None) -> Probabilities:
        del folds
        return np.array([self._row] * len(features), dtype=np.float32)


class StubSource(CountingSource):
    def __init__(self, row: list[float]) -> None:
        super().__init__()
        self._row = row

    def version(
        self, weights: bytes, base_model: str, encoder: Callable[[], Encoder], model: str
    ) -> Version:
        del weights, base_model, encoder, model
        return Version(StubHead(self._row))


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ([0.5, 0.5], "weights are for 2 labels, the set has 3"),
        ([0.5, 0.5, float("nan")], "does not fit the features"),
    ],
)
def test_a_head_is_tried_before_it_is_used(row: list[float], reason: str) -> None:
    objects = MemoryObjects()
    objects.write("models/bad", b"weights")
    models = ModelCache(StubSource(row), objects, 4)
    with pytest.raises(ModelUnusable, match=reason):
        models.version(model_spec(version=1, weights_path="models/bad"), 8, embed)


def test_bytes_that_are_no_weights_are_unusable() -> None:
    objects = MemoryObjects()
    objects.write("models/bad", b"not safetensors at all")
    models = ModelCache(loader(), objects, 4)
    with pytest.raises(ModelUnusable, match="line-1 version 1"):
        models.version(model_spec(version=1, weights_path="models/bad"), 8, embed)
