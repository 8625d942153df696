"""How much more than its share of the crowd a job gets that would not be done by its deadline.

Least laxity first, within bounds: what is left to ask and how long that takes at the rate of late
are compared with the time that is left. A job that is behind has its weight raised until it is
served as fast as its deadline asks, or `URGENCY_MAX` times its weight; one that is ahead goes back
to its own. Whatever the deadlines of others, a job whose weight is w thus keeps w / (w + 4 W) of
what is granted while it has something to ask, where W are the weights of all others: a quarter of
its fair share at the least, by the bound of `allocation.fairness`.
"""

from cluster.domain.ids import UnixSeconds
from cluster.domain.jobs import Job

URGENCY_MAX = 4.0

_GAIN = 0.5
"""How far a look follows what it sees, as a power: answers come by chance, so not all the way."""

_STEP_MAX = 2.0
_ANSWERS_NEEDED = 10.0
"""A look waits until so many answers were needed since the last one, that it may tell anything."""

_LOOKS_LEFT_MIN = 8.0
"""There are so many looks in the time that is left at the least, however few answers are."""


class Urgency:
    """The factor on one job's weight, from look to look; the first look only begins."""

    def __init__(self) -> None:
        self.factor = 1.0
        self._looked_at: UnixSeconds | None = None
        self._answers = 0

    def look(self, job: Job, now: UnixSeconds) -> bool:
        """Find the factor anew where it is time to; return whether it has changed.

        It may be looked as often as one likes: a look too early changes nothing.
        """
        time_left_s = job.time_left_s(now)
        if time_left_s is None or time_left_s <= 0.0:
            return self._settle(1.0)
        if self._looked_at is None or now < self._looked_at:
            self._begin(job, now)
            return False
        needed, span_s = answers_left(job) / time_left_s, now - self._looked_at
        if needed * span_s < _ANSWERS_NEEDED and span_s < time_left_s / _LOOKS_LEFT_MIN:
            return False
        given = max(job.progress.answers - self._answers, 0.5)
        self._begin(job, now)
        pressure = (needed * span_s / given) ** _GAIN
        return self._settle(self.factor * min(max(pressure, 1 / _STEP_MAX), _STEP_MAX))

    def _begin(self, job: Job, now: UnixSeconds) -> None:
        self._looked_at, self._answers = now, job.progress.answers

    def _settle(self, factor: float) -> bool:
        before, self.factor = self.factor, min(max(factor, 1.0), URGENCY_MAX)
        return self.factor != before


def answers_left(job: Job) -> float:
    """Return about how many more answers a job needs: as many an open question as items took."""
    progress = job.progress
    labels = progress.answers - progress.audit_answers
    each = labels / progress.asked if progress.asked else 1.0
    return progress.open_questions * max(each, 1.0)
