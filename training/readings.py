"""What versions say of single items: as replicas stored it, or by a head that is asked here."""

from collections import defaultdict
from contextlib import suppress

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq

from cluster import paths
from cluster.domain.ids import JobId
from cluster.domain.items import Chunk, fold_of
from cluster.domain.jobs import Job
from cluster.domain.models import ModelSpec
from cluster.errors import ModelUnusable, ObjectMissing
from cluster.ports import Stores
from training.held_out import content_hashes
from training.incumbent import read_probabilities
from training.model import CrossFitted
from training.tables import matrix_of
from training.weights import shape_of

Floats = npt.NDArray[np.float32]
Positions = npt.NDArray[np.int64]

Place = tuple[JobId, int]
"""A job, and the version that was asked about its items."""


class Readings:
    """Reads each item once for each version: neither features nor predictions of a chunk change.

    A job is pre-labelled by one version at a time. What another one would say of it costs next to
    nothing where that is a head over features that are stored, and is worked out here; zero-shot
    versions and tuned encoders say nothing where no replica has asked them.
    """

    def __init__(self, stores: Stores) -> None:
        self._stores = stores
        self._said = defaultdict[Place, dict[int, Floats]](dict)

    def of(self, job: Job, spec: ModelSpec, positions: Positions) -> Floats:
        """Return what a version says of rising positions, (n, K); NaN where it says nothing."""
        known = self._said[job.job_id, spec.version]
        unread = np.array([place for place in positions.tolist() if place not in known], np.int64)
        if len(unread):
            self._read(job, spec, unread, known)
        nothing = np.full(len(job.spec.label_set), np.nan, np.float32)
        said = [known.get(place, nothing) for place in positions.tolist()]
        return np.stack(said) if said else np.empty((0, len(nothing)), np.float32)

    def forget_but(self, jobs: frozenset[JobId]) -> None:
        """Keep only what was said of the items of some jobs."""
        for place in [place for place in self._said if place[0] not in jobs]:
            del self._said[place]

    def _read(
        self, job: Job, spec: ModelSpec, positions: Positions, known: dict[int, Floats]
    ) -> None:
        head: CrossFitted | None = None
        for chunk in self._stores.chunks.chunks(job.job_id):
            ends = (chunk.first_position, chunk.first_position + chunk.rows)
            start, stop = np.searchsorted(positions, ends)
            if start == stop:
                continue
            rows = positions[start:stop] - chunk.first_position
            said = self._stored(job, spec, chunk, rows)
            if said is None:
                head = head or self._head(spec)
                said = None if head is None else self._foretold(job, chunk, rows, head)
            if said is not None:
                finite = np.flatnonzero(np.isfinite(said).all(axis=1))
                known.update((int(positions[start + row]), said[row]) for row in finite)

    def _stored(self, job: Job, spec: ModelSpec, chunk: Chunk, rows: Positions) -> Floats | None:
        path = paths.predictions(job.job_id, spec.version, chunk.number)
        with suppress(ObjectMissing):
            return read_probabilities(self._stores.objects, path)[rows]
        return None

    def _head(self, spec: ModelSpec) -> CrossFitted | None:
        if spec.weights_path is None:
            return None
        model = f"{spec.name} version {spec.version}"
        with suppress(ObjectMissing, ModelUnusable):
            weights = self._stores.objects.read(spec.weights_path)
            return None if shape_of(weights, model).base else CrossFitted.load(weights, model)
        return None

    def _foretold(
        self, job: Job, chunk: Chunk, rows: Positions, head: CrossFitted
    ) -> Floats | None:
        """Return what a head says of some items of a chunk, each by its own member."""
        objects = self._stores.objects
        path = paths.features(job.job_id, job.spec.base_model, chunk.number)
        with suppress(ObjectMissing, ModelUnusable):
            with objects.open_input(path) as stream:
                table = pq.read_table(stream, columns=["features", "failure"]).take(rows)
            hashes = content_hashes(objects, chunk)
            folds = np.array([fold_of(hashes[row], head.shape.folds) for row in rows], np.int64)
            features = matrix_of(table["features"]).astype(np.float32)
            failed = ~table["failure"].is_null().to_numpy() | ~np.isfinite(features).all(axis=1)
            features[failed] = 0.0
            said = head.predict(features, folds)
            said[failed] = np.nan
            return said
        return None
