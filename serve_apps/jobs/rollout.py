"""Takes model lines further, and back: the chore that ends trials and undoes bad promotions."""

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from itertools import groupby

from cluster.clock import Clock
from cluster.domain.ids import JobId, ModelName
from cluster.domain.jobs import Job
from cluster.domain.lines import LineStep, Stage, Traffic
from cluster.domain.models import ModelSpec
from cluster.errors import Fault, StaleRevision, Unavailable
from cluster.model_settings import RolloutSettings
from cluster.ports import Stores
from training.evidence import regression
from training.lines import asked_at, roll_back, take, version_before
from training.regression import Regression
from training.rollout import SERVICE, Seen, Why, next_step, rejected

Pair = tuple[ModelName, int, int]
"""A line and two of its versions, the one judged last."""

Rounds = tuple[tuple[JobId, int], ...]

LOADS_MAX = 5
"""So often is a version loaded, look by look, before replicas that are lost are its own doing."""

_logger = logging.getLogger(__name__)


class Rollouts:
    """Looks at all lines again and again; all it decides by is in the stores.

    `warm` loads a version on the replicas before it answers; one over which they are lost again and
    again is rejected. Answers are read again only where a
    job of the line has come to another round since the last look.
    """

    def __init__(
        self,
        stores: Stores,
        settings: RolloutSettings,
        clock: Clock,
        warm: Callable[[ModelSpec], None],
    ) -> None:
        self._stores, self._settings, self._clock = stores, settings, clock
        self._warm = warm
        self._known: dict[Pair, tuple[Rounds, Regression]] = {}
        self._lost = Counter[tuple[ModelName, int]]()

    def look(self) -> None:
        """Take every step that is due; raises Unavailable where the stores cannot be reached."""
        jobs = sorted(self._stores.jobs.unfinished(), key=_line_of)
        by_line = {name: tuple(found) for name, found in groupby(jobs, key=_line_of)}
        for standing in self._stores.lines.trials():
            with _alone(standing.name):
                self._try(standing, by_line.get(standing.name, ()))
        if self._settings.rollback:
            for name, found in by_line.items():
                with _alone(name):
                    self._watch(name, found)
        self._known = {pair: known for pair, known in self._known.items() if pair[0] in by_line}

    def _try(self, standing: LineStep, jobs: tuple[Job, ...]) -> None:
        """End the trial of a version, or its phase, where that is due."""
        seen = Seen(
            traffic=self._traffic(standing),
            asked_at=asked_at(self._stores, standing.name),
            audit=self._judged((standing.name, standing.live, standing.version), jobs),
        )
        now = self._clock.now()
        step = next_step(standing, seen, self._settings, now)
        if step is None:
            return
        if step.stage is not Stage.REJECTED:
            spec = self._stores.models.get(step.name, step.version).spec
            try:
                self._warm(spec)
            except (Fault, Unavailable) as error:
                if isinstance(error, Unavailable) and self._may_be_chance(spec):
                    return
                step = rejected(standing, Why(by=SERVICE, reason=str(error), at=now))
        self._lost.pop((step.name, step.version), None)
        take(self._stores, step)

    def _watch(self, name: ModelName, jobs: tuple[Job, ...]) -> None:
        """Roll the live version back where answers show it to be worse than the one before it."""
        if all(job.progress.rounds == 0 for job in jobs):
            return
        standing = self._stores.lines.standing(name)
        before = version_before(self._stores, standing)
        if before is None:
            return
        found = self._judged((name, before, standing.live), jobs)
        if not found.is_worse:
            return
        reason = (
            f"right on {found.score:.3f} of {found.n:,} audited items, "
            f"version {before} on {found.before_score:.3f}"
        )
        with suppress(Unavailable):  # it was live before: whoever asks first loads it then
            self._warm(self._stores.models.get(name, before).spec)
        why = Why(by=SERVICE, reason=reason, at=self._clock.now(), p_value=found.p_value)
        roll_back(self._stores, standing, why)

    def _judged(self, pair: Pair, jobs: Iterable[Job]) -> Regression:
        name, before, after = pair
        rounds = tuple((job.job_id, job.progress.rounds) for job in jobs)
        known = self._known.get(pair)
        if known is not None and known[0] == rounds:
            return known[1]
        lineage = self._stores.models.get(name, after).lineage
        found = regression(self._stores, jobs, before, after, lineage, self._settings.confidence)
        self._known[pair] = rounds, found
        return found

    def _traffic(self, standing: LineStep) -> Traffic:
        for seen in self._stores.traffic.of(standing.name):
            if (seen.version, seen.stage) == (standing.version, standing.stage):
                return seen
        return Traffic(name=standing.name, version=standing.version, stage=standing.stage)

    def _may_be_chance(self, spec: ModelSpec) -> bool:
        """Whether a version has been loaded in vain but a few times, and is worth another look."""
        self._lost[spec.name, spec.version] += 1
        return self._lost[spec.name, spec.version] < LOADS_MAX


@contextmanager
def _alone(name: ModelName) -> Iterator[None]:
    """Let one line's trouble be no other's: a step somebody else took, a version that is broken."""
    try:
        yield
    except StaleRevision:
        return
    except Fault:
        _logger.exception("the line %s stays as it is", name)


def _line_of(job: Job) -> ModelName:
    return job.model_name
