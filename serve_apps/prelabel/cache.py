"""Loaded models: the most recently used stay, each is loaded once."""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from threading import Lock
from typing import Generic, Protocol, TypeVar

import numpy as np

from cluster.domain.items import Modality
from cluster.domain.models import ModelSpec
from cluster.errors import ModelUnusable
from cluster.ports import ObjectStore
from serve_apps.prelabel.model import Content, Encoder, Features, Version
from serve_apps.prelabel.triage import blamed_on, require_finite

Embed = Callable[[Sequence[Content]], Features]
"""Turns contents into features on the model's encoder."""

Key = TypeVar("Key")
Value = TypeVar("Value")


class Lru(Generic[Key, Value]):
    """A bounded cache whose misses are loaded once, however many threads ask at the same time."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._entries: OrderedDict[Key, Future[Value]] = OrderedDict()
        self._lock = Lock()

    def get(self, key: Key, load: Callable[[], Value]) -> Value:
        """Return the key's value, loading it if need be; a failed load is forgotten and raised."""
        entry, mine = self._reserve(key)
        if mine:
            self._fill(key, entry, load)
        return entry.result()

    def values(self) -> list[Value]:
        """Return what is loaded now, least recently used first."""
        with self._lock:
            entries = list(self._entries.values())
        return [entry.result() for entry in entries if entry.done() and not entry.exception()]

    def _reserve(self, key: Key) -> tuple[Future[Value], bool]:
        with self._lock:
            mine = key not in self._entries
            if mine:
                self._entries[key] = Future()
            self._entries.move_to_end(key)
            entry = self._entries[key]
            while len(self._entries) > self._capacity:
                self._entries.popitem(last=False)
        return entry, mine

    def _fill(self, key: Key, entry: Future[Value], load: Callable[[], Value]) -> None:
        try:
            entry.set_result(load())
        except BaseException as error:
            with self._lock:
                if self._entries.get(key) is entry:
                    del self._entries[key]
            entry.set_exception(error)
            raise


class ModelSource(Protocol):
    """Where models come from; `serve_apps.prelabel.loading` is the real one."""

    def encoder(self, base_model: str, modality: Modality) -> Encoder:
        """Load a base model; may raise anything."""
        ...

    def version(
        self, weights: bytes, base_model: str, encoder: Callable[[], Encoder], model: str
    ) -> Version:
        """Load a trained version from its file's bytes, over its base model where it is tuned.

        May raise anything.
        """
        ...


class ModelCache:
    """The base encoders and versions one replica holds, at most `capacity` of each."""

    def __init__(self, source: ModelSource, objects: ObjectStore, capacity: int) -> None:
        self._source, self._objects = source, objects
        self._encoders: Lru[tuple[str, Modality], Encoder] = Lru(capacity)
        self._versions: Lru[ModelSpec, Version] = Lru(capacity)

    def encoder(self, spec: ModelSpec) -> Encoder:
        """Return the base model's encoder; raises ModelUnusable where it cannot be loaded."""
        return self._encoders.get(
            (spec.base_model, spec.modality), lambda: self._load_encoder(spec)
        )

    def version(self, spec: ModelSpec, dimensions: int, embed: Embed) -> Version:
        """Return a version over base features of that width; zero-shot heads use `embed`.

        Raises ObjectMissing where its weights are not there, and ModelUnusable where they are not
        what the version says: another width, another number of labels, numbers that are none.
        """
        return self._versions.get(spec, lambda: self._load_version(spec, dimensions, embed))

    def encoders(self) -> list[Encoder]:
        """Return the encoders loaded now, those of tuned versions among them."""
        own = [encoder for version in self._versions.values() for encoder in version.encoders]
        return self._encoders.values() + own

    def _load_encoder(self, spec: ModelSpec) -> Encoder:
        with blamed_on(spec, "its encoder cannot be loaded"):
            encoder = self._source.encoder(spec.base_model, spec.modality)
        return _tried(encoder, spec)

    def _load_version(self, spec: ModelSpec, dimensions: int, embed: Embed) -> Version:
        path = spec.weights_path
        version = self._zero_shot(spec, embed) if path is None else self._trained(spec, path)
        width = version.encoders[0].dimensions if version.encoders else dimensions
        with blamed_on(spec, "its head does not fit the features"):
            probe = version.head.predict(np.zeros((1, width), np.float32), None)
            require_finite(probe)
        if probe.shape != (1, len(spec.label_set)):
            raise ModelUnusable(
                f"{spec.name} version {spec.version}",
                f"its weights are for {probe.shape[-1]} labels, the set has {len(spec.label_set)}",
            )
        return version

    def _zero_shot(self, spec: ModelSpec, embed: Embed) -> Version:
        encoder = self.encoder(spec)
        with blamed_on(spec, "it cannot read the label set"):
            contents = encoder.label_contents(spec.label_set)
            return Version(encoder.zero_shot(spec.label_set, embed(contents)))

    def _trained(self, spec: ModelSpec, weights_path: str) -> Version:
        weights = self._objects.read(weights_path)
        name = f"{spec.name} version {spec.version}"
        with blamed_on(spec, "its weights cannot be loaded"):
            version = self._source.version(
                weights, spec.base_model, lambda: self.encoder(spec), name
            )
        for encoder in version.encoders:
            _tried(encoder, spec)
        return version


def _tried(encoder: Encoder, spec: ModelSpec) -> Encoder:
    """Return an encoder that handles its own sample: if it fails on it later, it was broken."""
    with blamed_on(spec, "its encoder fails on its own sample"):
        require_finite(encoder.launch(encoder.prepare([encoder.sample]))())
    return encoder
