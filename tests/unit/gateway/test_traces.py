"""A job's stages are spans below the request that submitted it."""

from dataclasses import replace

from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from starlette.testclient import TestClient

from cluster.domain.ids import JobId
from cluster.domain.jobs import JobState
from cluster.runner import JobDesk
from cluster.tracing import Tracing, tracing_to
from serve_apps.gateway.api import build_api
from serve_apps.jobs.traced import traced
from tests.unit.gateway.world import World, job_body

CALLER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


class Ingest:
    """A stage that does nothing."""

    def run(self, desk: JobDesk) -> JobState:
        del desk
        return JobState.PRELABELLING


def test_a_stage_is_in_the_trace_of_the_clients_own_request(world: World) -> None:
    # Given a gateway that traces, and a client that has a trace
    requests, stages_run = InMemorySpanExporter(), InMemorySpanExporter()
    gateway = tracing_to(requests, "gateway", share=0.0)
    runner = tracing_to(stages_run, "runner", share=0.0)
    http = TestClient(build_api(replace(world.services, tracing=gateway)))
    headers = {"Authorization": f"Bearer {world.key('client')}", "traceparent": CALLER}
    # When it submits a job, and the job's runner comes to a stage
    job_id = JobId(http.post("/v1/jobs", json=job_body(), headers=headers).json()["id"])
    stores = world.stores
    desk = JobDesk(stores.jobs.load(job_id), stores.jobs, stores.events, world.clock)
    stages = traced({JobState.INGESTING: Ingest()}, runner)
    stages[JobState.INGESTING].run(desk)
    gateway.close()
    runner.close()
    # Then the stage is a span below the request, in the client's trace
    (request,), (stage,) = requests.get_finished_spans(), stages_run.get_finished_spans()
    assert (request.name, stage.name) == ("POST /v1/jobs", "job.ingesting")
    assert stage.parent is not None
    assert stage.parent.span_id == request.context.span_id
    assert f"{stage.context.trace_id:032x}" == CALLER.split("-")[1]
    assert stage.attributes == {"job_id": job_id}


def test_nothing_stands_between_where_nothing_is_traced(world: World) -> None:
    stages = {JobState.INGESTING: Ingest()}
    assert traced(stages, Tracing(None)) is stages
    assert world.submitted().spec.traceparent is None
