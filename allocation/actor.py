"""A shard as a Ray actor, and the client side of it. No decisions here."""

import asyncio
import gc
from collections.abc import Sequence
from contextlib import suppress
from time import perf_counter
from typing import Any, cast

import ray
from ray.actor import ActorHandle
from ray.exceptions import GetTimeoutError, RayActorError, RayTaskError

from allocation.combining import Combiner
from allocation.commands import Claim
from allocation.ports import (
    EVERY_JOB,
    Batch,
    Demand,
    Extension,
    Offer,
    Outcome,
    PartitionReport,
    Submission,
    TruthSnapshot,
)
from allocation.service import ShardService
from allocation.settlement import Request
from allocation.tally import GAUGES_EVERY_S, ShardTally
from allocation.terms import Rules
from cluster.clock import SteadyClock, SystemClock
from cluster.domain.ids import JobId, ShardId
from cluster.domain.work import WorkerProfile
from cluster.errors import MusterError, ShardUnavailable
from cluster.logs import set_up_logs
from cluster.runtime import ACTOR_CPUS
from cluster.settings import Settings
from cluster.stores.opened import open_stores
from cluster.stores.secrets import lease_secret
from cluster.telemetry.runtime import RayTelemetry
from cluster.tracing import current_traceparent, open_tracing

NAMESPACE = "muster"
_CALLS_MAX = 1_000


def allocator_name(shard_id: int) -> str:
    """Return the name of a shard's actor."""
    return f"allocator-{shard_id}"


class AllocatorActor:
    """One shard, rebuilt from the stores at the first call after the actor started.

    An asynchronous actor: a call that waits is a future, not a thread. The shard's state belongs
    to the event loop, so calls have it one at a time, in some order; only answers on their way to
    the log are written on a thread, and meanwhile claims and all else go on. Claims that wait
    together are served in one look, answers that do are committed together. Where the stores
    cannot be read the call fails as Unavailable and the next one tries again. Ray does not retry
    calls (an error may follow success), so whoever answers must be ready to send the same answer
    again.
    """

    def __init__(self, shard_id: int, settings: Settings) -> None:
        set_up_logs(level=settings.logs.level, as_json=settings.logs.as_json)
        self._shard_id, self._settings = ShardId(shard_id), settings
        self._rebuilt: ShardService | None = None
        self._tally = ShardTally(RayTelemetry(), ShardId(shard_id), SystemClock())
        self._told: asyncio.Task[None] | None = None
        self._tracing = open_tracing(settings.traces, "allocator")
        self._claims = Combiner(self._claim_all)
        self._answers = Combiner(self._answer_all)

    async def traced(self, traceparent: str, method: str, arguments: tuple[object, ...]) -> Any:
        """Do what another method does, as a span below the caller's."""
        call = getattr(self, method)
        with self._tracing.span(f"allocator.{method}", traceparent, shard=self._shard_id):
            return await call(*arguments)

    async def claim(self, worker: WorkerProfile, count: int) -> tuple[Offer, ...]:
        """See `allocation.ports.Crowd`."""
        return await self._claims.call(Claim(worker=worker, count=count))

    async def assign(
        self, workers: tuple[WorkerProfile, ...], counts: tuple[int, ...], batch: Batch = EVERY_JOB
    ) -> tuple[tuple[Offer, ...], ...]:
        """See `allocation.ports.Crowd`."""
        offers = self._service().assign(workers, counts, batch)
        self._tally.claimed([worker.worker_id for worker in workers], map(len, offers))
        return offers

    async def held(self, worker: WorkerProfile, count: int) -> tuple[Offer, ...]:
        """See `allocation.ports.Crowd`."""
        return self._service().held(worker, count)

    async def answer(
        self, worker: WorkerProfile, submissions: tuple[Submission, ...]
    ) -> tuple[Outcome, ...]:
        """See `allocation.ports.Crowd`."""
        return await self._answers.call(Request(worker=worker, submissions=submissions))

    async def release(self, worker: WorkerProfile, tokens: tuple[str, ...]) -> int:
        """See `allocation.ports.Crowd`."""
        return self._service().release(worker, tokens)

    async def heartbeat(
        self, worker: WorkerProfile, tokens: tuple[str, ...]
    ) -> tuple[Extension, ...]:
        """See `allocation.ports.Crowd`."""
        return self._service().heartbeat(worker, tokens)

    async def open(self, job_id: JobId, partition: int) -> None:
        """See `allocation.ports.Shard`."""
        self._service().open(job_id, partition)

    async def publish(self, snapshot: TruthSnapshot) -> PartitionReport:
        """See `allocation.ports.Shard`."""
        return self._service().publish(snapshot)

    async def reports(self, job_id: JobId) -> tuple[PartitionReport, ...]:
        """See `allocation.ports.Shard`."""
        return self._service().reports(job_id)

    async def demands(self) -> tuple[Demand, ...]:
        """See `allocation.ports.Shard`."""
        return self._service().demands()

    async def hold(self, job_id: JobId) -> None:
        """See `allocation.ports.Shard`."""
        self._service().hold(job_id)

    async def close(self, job_id: JobId, partition: int | None = None) -> None:
        """See `allocation.ports.Shard`."""
        self._service().close(job_id, partition)

    async def _claim_all(self, claims: Sequence[Claim]) -> tuple[tuple[Offer, ...], ...]:
        offers = self._service().claim_all(claims)
        self._tally.claimed([claim.worker.worker_id for claim in claims], map(len, offers))
        return offers

    async def _answer_all(self, requests: Sequence[Request]) -> tuple[tuple[Outcome, ...], ...]:
        """Take answers, and let other calls have the shard while these are written."""
        service = self._service()
        settlement = service.decide_answers(requests)
        while settlement.writes:
            started_at = perf_counter()
            try:
                await asyncio.to_thread(service.store_answers, settlement)
            finally:
                self._tally.wrote(perf_counter() - started_at)
                service.settle_answers(settlement)
        replies = settlement.replies()
        self._tally.answered([request.worker.worker_id for request in requests], replies)
        return replies

    def _service(self) -> ShardService:
        if self._rebuilt is None:
            rules = Rules(leases_per_worker_max=self._settings.allocator.leases_per_worker_max)
            stores, secret = open_stores(self._settings), lease_secret(self._settings)
            service = ShardService(self._shard_id, stores, SteadyClock(), secret, rules)
            service.recover()
            # All there is by now stays. To walk through it now and then, in search of garbage,
            # would hold every call up for a tenth of a second.
            gc.freeze()
            self._rebuilt = service
            self._told = asyncio.create_task(self._tell(service))
        return self._rebuilt

    async def _tell(self, service: ShardService) -> None:
        while True:
            with suppress(MusterError):
                self._tally.look(service)
            await asyncio.sleep(GAUGES_EVERY_S)


def start_allocator(shard_id: int, settings: Settings, *, detached: bool) -> ActorHandle[Any]:
    """Start a shard's actor, or find the one that runs.

    Ray starts it again whenever it dies. A detached one outlives this driver; any other lives as
    long as the handle returned.
    """
    actor = ray.remote(AllocatorActor).options(
        name=allocator_name(shard_id),
        namespace=NAMESPACE,
        get_if_exists=True,
        lifetime="detached" if detached else None,
        max_restarts=-1,
        max_task_retries=0,
        max_concurrency=_CALLS_MAX,
        num_cpus=ACTOR_CPUS,
    )
    return cast("ActorHandle[Any]", actor.remote(shard_id, settings))


class RemoteShard:
    """A `Shard` in another process, found by its actor's name.

    Raises ShardUnavailable where the actor is not there, dies under the call, or does not reply
    in `timeout_s`; the call may have been carried out nonetheless.
    """

    def __init__(self, shard_id: int, *, timeout_s: float = 10.0) -> None:
        self._shard_id, self._timeout_s = shard_id, timeout_s
        self._actor: ActorHandle[Any] | None = None

    def claim(self, worker: WorkerProfile, count: int) -> tuple[Offer, ...]:
        """See `allocation.ports.Crowd`."""
        offers: tuple[Offer, ...] = self._call("claim", worker, count)
        return offers

    def assign(
        self, workers: Sequence[WorkerProfile], counts: Sequence[int], batch: Batch = EVERY_JOB
    ) -> tuple[tuple[Offer, ...], ...]:
        """See `allocation.ports.Crowd`."""
        asked = tuple(workers), tuple(counts), batch
        offers: tuple[tuple[Offer, ...], ...] = self._call("assign", *asked)
        return offers

    def held(self, worker: WorkerProfile, count: int) -> tuple[Offer, ...]:
        """See `allocation.ports.Crowd`."""
        offers: tuple[Offer, ...] = self._call("held", worker, count)
        return offers

    def answer(
        self, worker: WorkerProfile, submissions: Sequence[Submission]
    ) -> tuple[Outcome, ...]:
        """See `allocation.ports.Crowd`."""
        outcomes: tuple[Outcome, ...] = self._call("answer", worker, tuple(submissions))
        return outcomes

    def release(self, worker: WorkerProfile, tokens: Sequence[str]) -> int:
        """See `allocation.ports.Crowd`."""
        released: int = self._call("release", worker, tuple(tokens))
        return released

    def heartbeat(self, worker: WorkerProfile, tokens: Sequence[str]) -> tuple[Extension, ...]:
        """See `allocation.ports.Crowd`."""
        extensions: tuple[Extension, ...] = self._call("heartbeat", worker, tuple(tokens))
        return extensions

    def open(self, job_id: JobId, partition: int) -> None:
        """See `allocation.ports.Shard`."""
        self._call("open", job_id, partition)

    def publish(self, snapshot: TruthSnapshot) -> PartitionReport:
        """See `allocation.ports.Shard`."""
        report: PartitionReport = self._call("publish", snapshot)
        return report

    def reports(self, job_id: JobId) -> tuple[PartitionReport, ...]:
        """See `allocation.ports.Shard`."""
        reports: tuple[PartitionReport, ...] = self._call("reports", job_id)
        return reports

    def demands(self) -> tuple[Demand, ...]:
        """See `allocation.ports.Shard`."""
        demands: tuple[Demand, ...] = self._call("demands")
        return demands

    def hold(self, job_id: JobId) -> None:
        """See `allocation.ports.Shard`."""
        self._call("hold", job_id)

    def close(self, job_id: JobId, partition: int | None = None) -> None:
        """See `allocation.ports.Shard`."""
        self._call("close", job_id, partition)

    def _call(self, method: str, *arguments: object) -> Any:
        try:
            actor, traceparent = self._found(), current_traceparent()
            reply = (
                getattr(actor, method).remote(*arguments)
                if traceparent is None
                else actor.traced.remote(traceparent, method, arguments)
            )
            return ray.get(reply, timeout=self._timeout_s)
        except (RayActorError, GetTimeoutError):
            self._actor = None
            raise ShardUnavailable(self._shard_id) from None
        except RayTaskError as error:
            if isinstance(error.cause, MusterError):
                raise error.cause from None
            raise

    def _found(self) -> ActorHandle[Any]:
        if self._actor is None:
            try:
                self._actor = ray.get_actor(allocator_name(self._shard_id), NAMESPACE)
            except ValueError:
                raise ShardUnavailable(self._shard_id) from None
        return self._actor
