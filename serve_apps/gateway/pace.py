"""How fast a job goes through its present stage, and so how long that stage will take."""

from collections import deque
from dataclasses import dataclass

from cluster.domain.ids import UnixSeconds
from cluster.domain.jobs import Job, JobState

WINDOW_S = 60.0
SPAN_MIN_S = 5.0
"""A pace is measured over the last minute, and not told before it was measured this long."""

MARKS_MAX = 120


@dataclass(frozen=True, slots=True)
class _Mark:
    at: UnixSeconds
    done: float


class Pace:
    """The pace of one job, from looks at it in order of time."""

    def __init__(self) -> None:
        self._state: JobState | None = None
        self._marks: deque[_Mark] = deque(maxlen=MARKS_MAX)

    def eta_s(self, job: Job, now: UnixSeconds) -> float | None:
        """Take one more look and return the seconds until the job's stage ends at this pace.

        None where nobody can say: in stages that do not tell how much is left, while the job is
        paused, and while nothing gets done. Asking ends at the deadline at the latest. Learning is
        taken to last as long as the last time; where there was none, or it has lasted longer,
        nobody can say.
        """
        done, left = _work(job)
        if job.paused or job.state is not self._state:
            self._state = job.state
            self._marks.clear()
        while self._marks and (self._marks[0].at < now - WINDOW_S or self._marks[0].done > done):
            self._marks.popleft()
        self._marks.append(_Mark(now, done))
        first = self._marks[0]
        if job.state is JobState.LEARNING:
            return _learning_left_s(job, now)
        if left is None or now - first.at < SPAN_MIN_S or done == first.done:
            return None
        eta_s = left * (now - first.at) / (done - first.done)
        time_left_s = job.time_left_s(now)
        if job.state is JobState.ASKING and time_left_s is not None:
            eta_s = min(eta_s, max(time_left_s, 0.0))
        return eta_s


def _learning_left_s(job: Job, now: UnixSeconds) -> float | None:
    since, took_s = job.progress.learning_since, job.progress.training_s
    if job.paused or since is None or took_s is None:
        return None
    left_s = since + took_s - now
    return min(left_s, took_s) if left_s > 0.0 else None


def _work(job: Job) -> tuple[float, float | None]:
    """Return how much of its stage a job has done and has left, None where it does not tell."""
    progress = job.progress
    if job.state is JobState.INGESTING and progress.read_share is not None:
        return progress.read_share, max(1.0 - progress.read_share, 0.0)
    if job.state is JobState.PRELABELLING:
        return progress.prelabelled, max(progress.items - progress.prelabelled, 0)
    if job.state is JobState.ASKING:
        return progress.answers, progress.open_questions
    return 0, None
