"""What a job has in the object store, in memory: chunks, their pre-labels, result segments."""

from collections.abc import Sequence
from itertools import islice
from threading import Lock

from cluster.domain.ids import JobId, Position
from cluster.domain.items import Chunk, ChunkPrediction
from cluster.domain.results import ResultSegment
from cluster.errors import StaleRevision


class MemoryChunks:
    """A `ChunkLedger` in memory."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._chunks: dict[JobId, dict[int, Chunk]] = {}
        self._predictions: dict[JobId, dict[int, ChunkPrediction]] = {}

    def add(self, chunks: Sequence[Chunk]) -> None:
        """Record chunks; recording one (job, number) again changes nothing."""
        with self._lock:
            for chunk in chunks:
                self._chunks.setdefault(chunk.job_id, {}).setdefault(chunk.number, chunk)

    def chunks(self, job_id: JobId) -> tuple[Chunk, ...]:
        """Return a job's chunks by number."""
        with self._lock:
            return tuple(chunk for _, chunk in sorted(self._chunks.get(job_id, {}).items()))

    def holding(self, job_id: JobId, position: Position) -> Chunk | None:
        """Return the chunk that holds an item."""
        with self._lock:
            chunks = self._chunks.get(job_id, {}).values()
            return next((chunk for chunk in chunks if position in chunk.positions), None)

    def set_predicted(self, predictions: Sequence[ChunkPrediction]) -> None:
        """Point chunks at predictions; one chosen earlier in the line's history replaces none."""
        with self._lock:
            for new in predictions:
                newest = self._predictions.setdefault(new.job_id, {})
                old = newest.get(new.number)
                if old is None or old.line_revision <= new.line_revision:
                    newest[new.number] = new

    def predictions(self, job_id: JobId) -> tuple[ChunkPrediction, ...]:
        """Return the newest prediction of each pre-labelled chunk, by chunk number."""
        with self._lock:
            return tuple(found for _, found in sorted(self._predictions.get(job_id, {}).items()))

    def drop(self, job_id: JobId) -> None:
        """Forget a job's chunks and their predictions."""
        with self._lock:
            self._chunks.pop(job_id, None)
            self._predictions.pop(job_id, None)


class MemoryResults:
    """A `ResultLog` in memory."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._segments: dict[JobId, list[ResultSegment]] = {}

    def append(self, segment: ResultSegment) -> None:
        """Add the next segment; raises StaleRevision unless `number` and `first_row` continue."""
        with self._lock:
            log = self._segments.setdefault(segment.job_id, [])
            rows = log[-1].first_row + log[-1].rows if log else 0
            if (segment.number, segment.first_row) != (len(log), rows):
                raise StaleRevision(f"the results of job {segment.job_id}", segment.number)
            log.append(segment)

    def segments(self, job_id: JobId, from_row: int, limit: int) -> tuple[ResultSegment, ...]:
        """Return up to `limit` segments that hold rows from `from_row` on, in order."""
        with self._lock:
            log = self._segments.get(job_id, [])
            holding = (s for s in log if s.rows and s.first_row + s.rows > from_row)
            return tuple(islice(holding, limit))

    def before(self, job_id: JobId, number: int | None, limit: int) -> tuple[ResultSegment, ...]:
        """Return up to `limit` segments, newest first, of those before `number` where given."""
        with self._lock:
            return tuple(self._segments.get(job_id, [])[:number][::-1][:limit])

    def drop(self, job_id: JobId) -> None:
        """Forget a job's results."""
        with self._lock:
            self._segments.pop(job_id, None)
