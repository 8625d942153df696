"""A replica's own work without Serve: chunks from objects to predictions in objects."""

from collections.abc import Callable, Sequence
from concurrent.futures import wait
from contextlib import closing
from time import perf_counter

from cluster.clock import SystemClock
from cluster.domain.items import Modality
from cluster.model_settings import PrelabelSettings
from cluster.stores.objects import MemoryObjects
from serve_apps.prelabel.cache import ModelCache
from serve_apps.prelabel.local import LocalPredictor
from serve_apps.prelabel.model import Content, Encoder, Version
from serve_apps.prelabel.predictor import ChunkPredictor
from serve_apps.prelabel.work import ChunkWork
from tests.unit.prelabel.support import model_spec, store_chunk

CHUNK_ROWS = 4_096
"""As large as the chunks of large jobs are."""


class OneModel:
    """A `ModelSource` of one encoder, loaded already, and of no trained versions."""

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder

    def encoder(self, base_model: str, modality: Modality) -> Encoder:
        """Return the encoder, whatever is asked for."""
        del base_model, modality
        return self._encoder

    def version(
        self, weights: bytes, base_model: str, encoder: Callable[[], Encoder], model: str
    ) -> Version:
        """Refuse."""
        del weights, base_model, encoder
        raise LookupError(model)


def seconds(encoder: Encoder, contents: Sequence[Content], modality: Modality) -> float:
    """Return how long a replica is at contents that lie in chunks, the model being loaded."""
    objects = MemoryObjects()
    spec = model_spec(modality=modality)
    predictor = ChunkPredictor(
        objects, PrelabelSettings(), ModelCache(OneModel(encoder), objects, 1), SystemClock()
    )
    predictor.warm(spec)
    works = [
        ChunkWork(
            chunk=store_chunk(objects, contents[first : first + CHUNK_ROWS], first), model=spec
        )
        for first in range(0, len(contents), CHUNK_ROWS)
    ]
    with closing(LocalPredictor(predictor)) as replica:
        started = perf_counter()
        done, _ = wait([replica.submit(work) for work in works])
        took = perf_counter() - started
    for future in done:
        future.result()
    return took
