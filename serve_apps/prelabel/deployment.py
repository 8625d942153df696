"""The Ray Serve shell: replicas that pre-label, and the runner's way to them."""

import asyncio
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from contextvars import copy_context
from dataclasses import replace
from functools import partial
from threading import Thread

from ray import serve
from ray.exceptions import RayError, RayTaskError
from ray.serve.config import AutoscalingConfig
from ray.serve.deployment import Application
from ray.serve.exceptions import BackPressureError, RayServeException
from ray.serve.handle import DeploymentHandle
from ray.serve.schema import ApplicationStatus

from cluster.domain.models import ModelSpec
from cluster.errors import Overloaded, Unavailable
from cluster.logs import bound, set_up_logs
from cluster.model_settings import PrelabelSettings
from cluster.replica_errors import ReplicaLost
from cluster.settings import Settings
from cluster.telemetry.runtime import RayTelemetry
from cluster.tracing import current_traceparent, open_tracing
from serve_apps.prelabel.answers import OnlineAnswer
from serve_apps.prelabel.ending import ended_if_broken
from serve_apps.prelabel.meter import ReplicaMeter
from serve_apps.prelabel.model import Content
from serve_apps.prelabel.opened import open_predictor
from serve_apps.prelabel.work import CHUNKS_AT_WORK, TIMELY_ROWS, ChunkOutcome, ChunkWork
from serve_apps.prelabel.yielding import yield_to_others

PRELABEL_APP = "prelabel"
DEPLOYMENT_NAME = "prelabel"

ONLINE_ROOM = 64
"""Requests one replica holds beside the chunks of all jobs: online requests must reach it, and
pass the chunks that wait there, rather than wait for a slot behind them."""

QUEUED_MAX = 256
"""Requests of one caller that may wait for a slot; more are refused, and callers slow down."""

PATIENCE = 2.0
"""A chunk may wait its turn: it is waited for so many times as long as a replica may be at it."""

COUNT_EVERY_S = 2.0
"""How soon a runner sees that there are more replicas, or fewer."""

ONLINE_THREADS = 4
"""Online requests in work at a time."""

WARM_TIMEOUT_S = 60.0
"""How long replicas may take to load a version before it goes live without them."""

DRAIN_S_MAX = 30.0
"""How long a stopping replica may finish its chunks; any it drops are done again elsewhere."""


_AT_WORK = frozenset({ApplicationStatus.RUNNING, ApplicationStatus.DEPLOYING})
"""The second is also what Serve calls an application that changes its number of replicas."""

HEALTH_CHECK_EVERY_S = 2.0
"""How soon a dead replica is noticed, and its chunks are done elsewhere."""


class Prelabel:
    """One replica: keeps its event loop free by working on threads."""

    def __init__(self, settings: Settings) -> None:
        set_up_logs(level=settings.logs.level, as_json=settings.logs.as_json)
        self._predictor = open_predictor(settings)
        self._meter = ReplicaMeter(RayTelemetry())
        self._tracing = open_tracing(settings.traces, "prelabel")
        self._chunks = ThreadPoolExecutor(
            CHUNKS_AT_WORK, thread_name_prefix="chunk", initializer=yield_to_others
        )
        self._online = ThreadPoolExecutor(ONLINE_THREADS, thread_name_prefix="online")
        self._health = ThreadPoolExecutor(1, thread_name_prefix="health")

    async def predict_chunk(self, work: ChunkWork) -> ChunkOutcome:
        """Pre-label a chunk; raises ObjectMissing, ModelUnusable."""
        ids: dict[str, str | int] = {"job_id": work.chunk.job_id, "chunk": work.chunk.number}
        with (
            bound(**ids),
            self._tracing.span("prelabel.chunk", work.traceparent, **ids),
            self._meter.timed("chunk", work.chunk.rows),
        ):
            loop = asyncio.get_running_loop()
            predict = partial(copy_context().run, self._predictor.predict, work)
            with ended_if_broken():
                return await loop.run_in_executor(self._chunks, predict)

    async def predict_online(self, contents: Sequence[Content], spec: ModelSpec) -> OnlineAnswer:
        """Return what a version says of a few contents; raises ObjectMissing, ModelUnusable."""
        with self._meter.timed("online", len(contents)), ended_if_broken():
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(
                self._online, self._predictor.predict_online, contents, spec
            )

    async def warm(self, spec: ModelSpec) -> None:
        """Load a version before it is asked; raises ObjectMissing, ModelUnusable."""
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._online, self._predictor.warm, spec)

    async def check_health(self) -> None:
        """Fail where a loaded model no longer handles its own sample, or does not answer."""
        with ended_if_broken():
            await asyncio.get_running_loop().run_in_executor(self._health, self._predictor.check)


def prelabel_deployment(settings: Settings) -> Application:
    """Return the replicas as a Serve application; the settings travel by value."""
    prelabel = settings.prelabel
    configure = serve.deployment(
        name=DEPLOYMENT_NAME,
        max_ongoing_requests=settings.runner.jobs_max * prelabel.chunks_per_replica + ONLINE_ROOM,
        max_queued_requests=QUEUED_MAX,
        health_check_period_s=HEALTH_CHECK_EVERY_S,
        graceful_shutdown_timeout_s=min(prelabel.chunk_timeout_s, DRAIN_S_MAX),
        ray_actor_options={
            "num_cpus": prelabel.cpus_per_replica,
            "num_gpus": prelabel.gpus_per_replica,
        },
        autoscaling_config=AutoscalingConfig(
            min_replicas=prelabel.replicas_min,
            max_replicas=prelabel.replicas_max,
            target_ongoing_requests=CHUNKS_AT_WORK,
            look_back_period_s=15.0,
            upscale_delay_s=prelabel.upscale_delay_s,
            downscale_delay_s=prelabel.downscale_delay_s,
        ),
    )
    return configure(Prelabel).bind(settings)


class RemotePredictor:
    """A `BulkPredictor` over the replicas: every chunk in flight is a task on one event loop.

    A chunk that has no answer in time, waiting included, is taken back: most likely it waited
    behind others. A replica that is at a chunk for too long ends itself, and one whose model never
    gives its turn back fails its health check.
    """

    def __init__(self, handle: DeploymentHandle[Prelabel], settings: PrelabelSettings) -> None:
        self._handle, self._timeout_s = handle, settings.chunk_timeout_s
        self._replicas_max = settings.replicas_max
        self._replicas = 0
        self._loop = asyncio.new_event_loop()
        self._thread = Thread(target=self._loop.run_forever, name="prelabel-wait", daemon=True)
        self._thread.start()
        self._counting = asyncio.run_coroutine_threadsafe(self._count(), self._loop)

    @property
    def replicas(self) -> int:
        """How many replicas ran when they were last counted; raises what ended the counting."""
        if self._counting.done():
            self._counting.result()
        return self._replicas

    @property
    def may_grow(self) -> bool:
        """Whether there are fewer replicas than there may be."""
        return self.replicas < self._replicas_max

    def submit(self, work: ChunkWork) -> Future[ChunkOutcome]:
        """Send a chunk to a replica."""
        traced = replace(work, traceparent=current_traceparent())
        return asyncio.run_coroutine_threadsafe(self._predict(traced), self._loop)

    def warm(self, spec: ModelSpec) -> None:
        """Load a version on every replica there is; raises as `warm_all` does, after a moment."""
        asyncio.run_coroutine_threadsafe(self._warm(spec), self._loop).result()

    def close(self) -> None:
        """Stop waiting for anything; replicas finish what they have."""
        self._loop.call_soon_threadsafe(self._stop)
        self._thread.join()
        self._loop.close()

    async def _predict(self, work: ChunkWork) -> ChunkOutcome:
        timeout_s = PATIENCE * self._timeout_s * max(work.chunk.rows / TIMELY_ROWS, 1.0)
        response = self._handle.predict_chunk.remote(work)
        try:
            outcome: ChunkOutcome = await asyncio.wait_for(response, timeout_s)
        except BackPressureError:
            raise await self._after_a_moment(
                Overloaded("the queue of chunks", QUEUED_MAX)
            ) from None
        except RayTaskError as error:
            # Ray's exception is of the cause's class too, but its text is a traceback.
            if isinstance(error.cause, Unavailable):
                raise await self._after_a_moment(error.cause) from None
            raise error.cause from None
        except TimeoutError:
            raise Overloaded("the time of a chunk in seconds", round(timeout_s)) from None
        except (RayError, RayServeException):
            lost = ReplicaLost(f"chunk {work.chunk.number} of job {work.chunk.job_id}")
            raise await self._after_a_moment(lost) from None
        return outcome

    async def _warm(self, spec: ModelSpec) -> None:
        try:
            await warm_all(self._handle, spec)
        except Unavailable as error:
            raise await self._after_a_moment(error) from None

    async def _after_a_moment(self, error: Unavailable) -> Unavailable:
        """Return the error once the cluster has had time to notice its cause."""
        await asyncio.sleep(error.retry_after_s)
        return error

    async def _count(self) -> None:
        """Count the replicas again and again."""
        while True:
            with suppress(RayError, RayServeException):
                self._replicas = await self._loop.run_in_executor(None, running_replicas)
            await asyncio.sleep(COUNT_EVERY_S)

    def _stop(self) -> None:
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
        self._loop.call_soon(self._loop.stop)


class OnlineReplicas:
    """`OnlineModels` over the replicas; an answer is waited for at most `timeout_s`.

    The replicas need not be there before somebody asks.
    """

    def __init__(self, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._handle: DeploymentHandle[Prelabel] | None = None

    async def predict(self, contents: Sequence[Content], spec: ModelSpec) -> OnlineAnswer:
        """Return what exactly this version says of some contents, ahead of bulk work.

        Raises Overloaded, ReplicaLost, ObjectMissing and ModelUnusable.
        """
        try:
            response = (await self._replicas()).predict_online.remote(contents, spec)
            answer: OnlineAnswer = await asyncio.wait_for(response, self._timeout_s)
        except BackPressureError:
            raise Overloaded("the queue of online requests", QUEUED_MAX) from None
        except RayTaskError as error:
            raise error.cause from None
        except (TimeoutError, RayError, RayServeException):
            raise ReplicaLost(f"{len(contents)} online items") from None
        return answer

    async def warm(self, spec: ModelSpec) -> None:
        """Load a version on every replica there is."""
        await warm_all(await self._replicas(), spec)

    async def _replicas(self) -> DeploymentHandle[Prelabel]:
        if self._handle is None:
            self._handle = await asyncio.to_thread(_replicas)
        return self._handle


async def warm_all(handle: DeploymentHandle[Prelabel], spec: ModelSpec) -> None:
    """Load a version on every replica there is now; one that starts later loads it when asked.

    Raises ObjectMissing, ModelUnusable, and ReplicaLost where not all have told in time.
    """
    try:
        await handle.broadcast("warm", spec).results_async(timeout_s=WARM_TIMEOUT_S)
    except RayTaskError as error:
        raise error.cause from None
    except (TimeoutError, RayError, RayServeException):
        raise ReplicaLost(f"loading version {spec.version} of {spec.name}") from None


def _replicas() -> DeploymentHandle[Prelabel]:
    return serve.get_app_handle(PRELABEL_APP)


def prelabel_runs() -> bool:
    """Whether Serve runs the replicas' application, were it with no replica at the moment."""
    try:
        application = serve.status().applications.get(PRELABEL_APP)
    except (RayError, RayServeException):
        return False
    return application is not None and application.status in _AT_WORK


def running_replicas() -> int:
    """Return how many replicas run, as the controller of Serve knows it."""
    for application in serve.status().applications.values():
        found = application.deployments.get(DEPLOYMENT_NAME)
        if found is not None:
            states = found.replica_states.items()
            return sum(count for state, count in states if state == "RUNNING")
    return 0
