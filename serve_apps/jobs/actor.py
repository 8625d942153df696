"""The actors that run jobs: one for each active job, and a supervisor over them."""

import asyncio
import logging
from collections import Counter, deque
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from resource import RUSAGE_SELF, getrusage
from threading import Event
from typing import Any, cast

import ray
from ray import serve
from ray.actor import ActorHandle
from ray.exceptions import RayActorError, RayTaskError

from allocation.actor import NAMESPACE, RemoteShard
from allocation.stage import dismiss_crowd, hold_crowd
from cluster.clock import SystemClock
from cluster.domain.ids import JobId
from cluster.domain.jobs import JobState
from cluster.egress import EgressGuard
from cluster.errors import Unavailable
from cluster.logs import bound, set_up_logs
from cluster.ports import Stores
from cluster.runner import JobDesk, JobRunner
from cluster.runtime import ACTOR_CPUS
from cluster.settings import Settings
from cluster.stores.opened import open_stores
from cluster.telemetry.catalogue import RUNNERS_LOST, SUPERVISOR_AT
from cluster.telemetry.runtime import RayTelemetry
from cluster.tracing import open_tracing
from serve_apps.gateway.readiness import Readiness, parts_of
from serve_apps.jobs.chores import Chores
from serve_apps.jobs.meter import Meter
from serve_apps.jobs.rollout import Rollouts
from serve_apps.jobs.stages import job_stages
from serve_apps.jobs.sweep import sweep
from serve_apps.jobs.traced import traced
from serve_apps.jobs.turns import Turns
from serve_apps.jobs.watch import WATCH_EVERY_S, Watch
from serve_apps.prelabel.deployment import PRELABEL_APP, RemotePredictor, prelabel_runs
from serve_apps.prelabel.job import dedicated
from serve_apps.webhooks.courier import Courier
from training.trainer import RayTrainer, RayTuner, end_searches

SUPERVISOR = "supervisor"
LOOK_EVERY_S = 0.5

SPARE_WITHIN_S = 60.0
"""How soon the next job's actor is started at the latest; its imports take 4 s of a processor."""

SPARES_MAX = 2
"""A runner whose job has just ended stands before one that may still be starting."""

SPARE_BYTES_MAX = 2**30
"""A runner that has never held more memory may run another job."""

_BUSY = frozenset({JobState.QUEUED, JobState.INGESTING, JobState.PRELABELLING})
"""States of jobs that have work for every processor there is."""

CRASHES_MAX = 5
"""How often a job's runner may break down by an error of its own before the job is failed.

A killed process and an unreachable store or shard are nobody's error and do not count.
"""

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class RunEnd:
    """How a run has ended: whether its job has, or is held, and whether the process may run more.

    What a large job has taken of memory is given back by the end of its process alone, and a
    training that is not wanted any more ends with it.
    """

    has_ended: bool
    may_run_more: bool


class JobActor:
    """Drives one job from its stored state to its end; dies at any point without harm."""

    def run(self, job_id: JobId, settings: Settings) -> RunEnd:
        """Run the job until it has ended, or is paused and its crowd held.

        Raises Unavailable where a part cannot be reached.
        """
        set_up_logs(level=settings.logs.level, as_json=settings.logs.as_json)
        trainer = RayTrainer(settings)
        with bound(job_id=job_id):
            has_ended = self._run(job_id, settings, trainer)
        peak_bytes = 1_024 * getrusage(RUSAGE_SELF).ru_maxrss
        is_free = peak_bytes <= SPARE_BYTES_MAX and not trainer.is_at_work
        return RunEnd(has_ended, may_run_more=is_free)

    def _run(self, job_id: JobId, settings: Settings, trainer: RayTrainer) -> bool:
        stores, clock, shards = open_stores(settings), SystemClock(), _shards(settings)
        predictor = RemotePredictor(serve.get_app_handle(PRELABEL_APP), settings.prelabel)
        tracing = open_tracing(settings.traces, "runner")
        stages = job_stages(
            stores,
            settings,
            predictor=predictor,
            dedicated=dedicated(settings),
            shards=shards,
            trainer=trainer,
            tuner=RayTuner(settings, stores.objects),
            clock=clock,
            wait=_waiter(),
            code_version=version("muster"),
            warm=predictor.warm,
        )
        try:
            runner = JobRunner(
                stores.jobs,
                stores.events,
                traced(stages, tracing),
                clock,
                partial(_dismiss, stores, shards),
                partial(_hold, stores, shards),
                RayTelemetry(),
            )
            return runner.run(job_id).state.is_terminal
        finally:
            predictor.close()
            tracing.close()


class Supervisor:
    """Keeps one actor running for each unfinished job, up to a limit; `turns` says which.

    The database says which jobs there are, so nobody needs to tell the supervisor, and one that is
    started anew goes on where the last one died. Its actors die with it: a job never has two. A
    paused job is run once, to keep its crowd from being asked, and then not until it is resumed.
    The actor of a job that gives way is killed, which loses nothing, and its crowd is asked on.
    The next job's actor is there before there is a job: one whose small job has ended well, or a
    new one. Starting that takes seconds of a processor, and waits up to a minute while jobs have
    work for these.
    Beside the jobs it keeps the deployment's chores going: webhooks, deleting what expires, and the
    trials of model versions.
    """

    def __init__(self, settings: Settings) -> None:
        set_up_logs(level=settings.logs.level, as_json=settings.logs.as_json)
        self._settings = settings
        self._stores = open_stores(settings)
        self._telemetry = RayTelemetry()
        self._meter = Meter(self._telemetry, self._stores.jobs.load)
        self._running: dict[ray.ObjectRef[Any], tuple[JobId, ActorHandle[Any]]] = {}
        self._crashes: Counter[JobId] = Counter()
        self._turns = Turns(settings.runner.jobs_max, settings.runner.spell_s)
        self._spares: deque[ActorHandle[Any]] = deque([_job_actor()])
        self._spare_taken_at = 0.0
        self._chores = Chores(
            {
                "webhooks": self._deliver_webhooks,
                "sweep": self._sweep,
                "rollout": self._roll_out,
                "watch": self._watch,
            },
            SystemClock(),
        )

    def run(self) -> None:
        """Supervise until this process ends."""
        wait = _waiter()
        while True:
            self._chores.keep()
            self._start_missing()
            if self._running:
                ended, _ = ray.wait(list(self._running), timeout=LOOK_EVERY_S)
                for run in ended:
                    self._reap(run)
            else:
                wait(LOOK_EVERY_S)

    def _deliver_webhooks(self) -> None:
        guard = EgressGuard(self._settings.egress)
        courier = Courier(
            self._stores, self._settings.webhooks, guard, SystemClock(), self._telemetry
        )
        asyncio.run(courier.run())

    def _sweep(self) -> None:
        wait, settings = _waiter(), self._settings.retention
        while True:
            with suppress(Unavailable):
                sweep(self._stores, settings, SystemClock())
            wait(settings.sweep_every_s)

    def _roll_out(self) -> None:
        wait, settings = _waiter(), self._settings
        with closing(
            RemotePredictor(serve.get_app_handle(PRELABEL_APP), settings.prelabel)
        ) as predictor:
            rollouts = Rollouts(self._stores, settings.rollout, SystemClock(), predictor.warm)
            while True:
                with suppress(Unavailable):
                    rollouts.look()
                wait(settings.rollout.look_every_s)

    def _watch(self) -> None:
        wait, stores, shards = _waiter(), self._stores, _shards(self._settings)
        data_dir = self._settings.data_dir
        readiness = Readiness(parts_of(stores, shards, self._settings, prelabel_runs))
        watch = Watch(stores, readiness, data_dir, SystemClock(), self._telemetry)
        while True:
            watch.look()
            wait(WATCH_EVERY_S)

    def _start_missing(self) -> None:
        now = SystemClock().now()
        self._telemetry.set(SUPERVISOR_AT, now)
        try:
            unfinished = self._stores.jobs.unfinished()
            self._meter.look(unfinished, now, running=len(self._running))
        except Unavailable:
            return
        moves = self._turns.moves(unfinished, now)
        for job_id in moves.stop:
            self._stop(job_id)
        for job_id in moves.start:
            handle: Any = self._spares.popleft() if self._spares else _job_actor()
            self._spare_taken_at = now
            run: ray.ObjectRef[Any] = handle.run.remote(job_id, self._settings)
            self._running[run] = (job_id, handle)
        is_busy = any(job.state in _BUSY for job in unfinished)
        if not self._spares and (not is_busy or now - self._spare_taken_at >= SPARE_WITHIN_S):
            self._spares.append(_job_actor())

    def _stop(self, job_id: JobId) -> None:
        run = next(run for run, (running, _) in self._running.items() if running == job_id)
        _, actor = self._running.pop(run)
        ray.kill(actor)
        _logger.info("job %s has given its runner to another, and waits for its turn", job_id)

    def _reap(self, run: "ray.ObjectRef[Any]") -> None:
        job_id, running = self._running.pop(run)
        actor: ActorHandle[Any] | None = running
        held = may_run_more = False
        try:
            end: RunEnd = ray.get(run)
            held, may_run_more = not end.has_ended, end.may_run_more
        except (RayActorError, Unavailable):
            _logger.warning("the runner of job %s was lost; it is started again", job_id)
            self._telemetry.count(RUNNERS_LOST, why="killed")
        except RayTaskError:
            _logger.exception("the runner of job %s broke down", job_id)
            self._telemetry.count(RUNNERS_LOST, why="broken")
            self._crashes[job_id] += 1
            if self._crashes[job_id] >= CRASHES_MAX:
                with suppress(Unavailable):  # else it fails, and is failed, once more
                    self._fail(job_id)
        self._turns.end(job_id, held=held)
        if may_run_more:
            self._spares.appendleft(running)
            actor = self._spares.pop() if len(self._spares) > SPARES_MAX else None
        if actor is not None:
            ray.kill(actor)

    def _fail(self, job_id: JobId) -> None:
        _dismiss(self._stores, _shards(self._settings), job_id)
        desk = JobDesk(
            self._stores.jobs.load(job_id), self._stores.jobs, self._stores.events, SystemClock()
        )
        desk.move(
            JobState.FAILED,
            failure=f"an internal error stopped this job {CRASHES_MAX} times; the log has it",
        )


def start_supervisor(settings: Settings) -> ActorHandle[Any]:
    """Start the supervisor; Ray starts it again whenever it dies, as long as this driver lives."""
    actor = _actor(
        Supervisor,
        name=SUPERVISOR,
        namespace=NAMESPACE,
        max_restarts=-1,
        max_task_retries=-1,
        num_cpus=ACTOR_CPUS,
    )
    handle: Any = actor.remote(settings)
    handle.run.remote()
    return cast("ActorHandle[Any]", handle)


def _job_actor() -> Any:
    return _actor(JobActor, num_cpus=ACTOR_CPUS, max_restarts=0).remote()


def _actor(plain: type, **options: object) -> Any:
    """Return a plain class as a Ray actor class; Ray types it in a way mypy cannot follow."""
    remote: Any = ray.remote
    return remote(plain).options(**options)


def _dismiss(stores: Stores, shards: Sequence[RemoteShard], job_id: JobId) -> None:
    """Let nobody work for a job any more: neither its crowd nor a search for its recipe."""
    end_searches(job_id)
    dismiss_crowd(stores, shards, job_id)


def _hold(stores: Stores, shards: Sequence[RemoteShard], job_id: JobId) -> None:
    """Let nobody work for a job until it is resumed."""
    end_searches(job_id)
    hold_crowd(stores, shards, job_id)


def _shards(settings: Settings) -> tuple[RemoteShard, ...]:
    return tuple(RemoteShard(shard_id) for shard_id in range(settings.allocator.shards))


def _waiter() -> Callable[[float], object]:
    """Return a way to wait for some seconds that nothing interrupts but the process's end."""
    return Event().wait
