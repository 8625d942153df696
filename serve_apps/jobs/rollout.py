"""Takes model lines further, and back: the chore that ends trials and undoes bad promotions."""

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from itertools import groupby

from cluster import paths
from cluster.clock import Clock
from cluster.domain.ids import JobId, ModelName
from cluster.domain.jobs import Job
from cluster.domain.lines import LineStep, Stage, Traffic
from cluster.domain.models import ModelSpec
from cluster.errors import Fault, StaleRevision, Unavailable
from cluster.model_settings import RolloutSettings
from cluster.ports import Stores
from training.evidence import tally_of
from training.lines import asked_at, roll_back, take, version_before
from training.readings import Readings
from training.regression import Regression, Tally
from training.rollout import SERVICE, Seen, Why, next_step, rejected
from training.tallies import keep_tally, kept_tallies

Trial = tuple[ModelName, str]
"""A line, and which of its versions is compared with which in what phase."""

LOADS_MAX = 5
"""So often is a version loaded, look by look, before replicas that are lost are its own doing."""

_logger = logging.getLogger(__name__)


class Rollouts:
    """Looks at all lines again and again; all it decides by is in the stores.

    `warm` loads a version on the replicas before it answers; one over which they are lost again and
    again is rejected. Audits are read again only where a job has more answers of them, or
    other predictions.
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
        self._readings = Readings(stores)
        self._tallies: dict[Trial, _Tallies] = {}
        self._lost = Counter[tuple[ModelName, int]]()

    def look(self) -> None:
        """Take every step that is due; raises Unavailable where the stores cannot be reached."""
        jobs = sorted(self._stores.jobs.unfinished(), key=_line_of)
        by_line = {name: tuple(found) for name, found in groupby(jobs, key=_line_of)}
        trials = self._stores.lines.trials()
        for standing in trials:
            with _alone(standing.name):
                self._try(standing, by_line.get(standing.name, ()))
        if self._settings.rollback:
            for name, found in by_line.items():
                with _alone(name):
                    self._watch(name, found)
        looked_at = {standing.name for standing in trials} | by_line.keys()
        self._tallies = {key: kept for key, kept in self._tallies.items() if key[0] in looked_at}
        self._readings.forget_but(frozenset(job.job_id for job in jobs))

    def _try(self, standing: LineStep, jobs: tuple[Job, ...]) -> None:
        """End the trial of a version, or its phase, where that is due."""
        seen = Seen(
            traffic=self._traffic(standing),
            asked_at=asked_at(self._stores, standing.name),
            audit=self._judged(standing.name, standing.live, standing.version, "trial", jobs),
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
        since = self._stores.lines.came_live(name, standing.live).revision
        found = self._judged(name, before, standing.live, f"live-{since}", jobs)
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

    def _judged(
        self, name: ModelName, before: int, after: int, phase: str, jobs: Iterable[Job]
    ) -> Regression:
        """Compare two versions on what all jobs have audited in a phase of the later one's life.

        A job that is done has said what it said.
        """
        objects, place = self._stores.objects, f"{before}-{after}-{phase}"
        kept = self._tallies.get((name, place))
        if kept is None:
            kept = _Tallies(found=kept_tallies(objects, name, place))
            self._tallies[name, place] = kept
        models = self._stores.models
        for job in jobs:
            look = _Look.at(job, kept.looks.get(job.job_id))
            if look is None:
                continue
            kept.looks[job.job_id], path = look, paths.tally(name, place, job.job_id)
            records = models.get(name, before), models.get(name, after)
            tally = tally_of(self._stores, self._readings, job, *records)
            if tally.n and tally != kept.found.get(path):
                keep_tally(objects, name, place, job.job_id, tally)
                kept.found[path] = tally
        return sum(kept.found.values(), Tally()).judged(self._settings.confidence)

    def _traffic(self, standing: LineStep) -> Traffic:
        for seen in self._stores.traffic.of(standing.name):
            if (seen.version, seen.stage) == (standing.version, standing.stage):
                return seen
        return Traffic(name=standing.name, version=standing.version, stage=standing.stage)

    def _may_be_chance(self, spec: ModelSpec) -> bool:
        """Whether a version has been loaded in vain but a few times, and is worth another look."""
        self._lost[spec.name, spec.version] += 1
        return self._lost[spec.name, spec.version] < LOADS_MAX


@dataclass(frozen=True, slots=True)
class _Look:
    """As of which of a job's answers and predictions its audit was read, in which round.

    A round that is stored later holds all of them for certain: after it nothing more `is_to_come`.
    """

    audit_answers: int
    prelabelled: int
    trainings: int
    round: int
    is_to_come: bool = True

    @classmethod
    def at(cls, job: Job, last: "_Look | None") -> "_Look | None":
        """Return the look at a job that is due after its last one; None for none."""
        now = job.progress
        look = cls(now.audit_answers, now.prelabelled, now.trainings, now.rounds)
        if last is None or last.told != look.told:
            return look
        return (
            replace(look, is_to_come=False)
            if last.is_to_come and last.round != look.round
            else None
        )

    @property
    def told(self) -> tuple[int, int, int]:
        """What changes only with a job's audit, or with what has pre-labelled it."""
        return self.audit_answers, self.prelabelled, self.trainings


@dataclass(frozen=True, slots=True)
class _Tallies:
    """What jobs say of two versions, by the path it is kept at, and when they were asked."""

    found: dict[str, Tally]
    looks: dict[JobId, _Look] = field(default_factory=dict)


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
