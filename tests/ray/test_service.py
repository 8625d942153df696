"""The whole service as its users meet it: a data folder, a port, and HTTP."""

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from threading import Event
from time import monotonic

import pytest
from openai import OpenAI

from benchmarks.chaos.audit import audit_answers, audit_export
from benchmarks.chaos.book import Book, Standing, sqlite_url
from benchmarks.chaos.corpus import Corpus, generate
from benchmarks.chaos.crowd import Crew, Crowd, Worker
from benchmarks.chaos.door import Door
from benchmarks.chaos.service import MusterUp
from benchmarks.chaos.submit import submit
from cluster.domain.jobs import JobState
from cluster.telemetry import catalogue as told
from serve_apps.client import MusterClient, newest
from serve_apps.gateway.schemas.base import Problem
from serve_apps.gateway.schemas.jobs import EventPage, EventView, JobPage, JobView
from serve_apps.gateway.schemas.results import ResultPage, ResultView
from serve_apps.gateway.schemas.streams import ProgressEvent
from tests.ray.figures import Figures

pytestmark = [pytest.mark.ray, pytest.mark.timeout(600)]

SETTINGS = {
    "MUSTER_LEARNING__TRAININGS_MAX": "1",
    "MUSTER_LEARNING__WORKERS": "1",
    "MUSTER_ASKING__DELIVERY_ROWS_MIN": "1",
}

ITEMS = 120
STEP_TIMEOUT_S = 240.0
LOOK_EVERY_S = 0.05
QUIET_S = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """A job of this service and everybody concerned."""

    client: Door
    gate: Door
    corpus: Corpus
    workers: tuple[Worker, ...]
    job_id: str
    book: Book

    @property
    def path(self) -> str:
        return f"/v1/jobs/{self.job_id}"

    def job(self) -> JobView:
        return JobView.model_validate_json(self.client.get(self.path).content)


@contextmanager
def site(service: MusterUp, seed: int) -> Iterator[Site]:
    """Submit a job and register its crowd."""
    corpus = generate(ITEMS, seed)
    with (
        closing(Door(service.url, service.keys.client)) as client,
        closing(Door(service.url, service.keys.worker)) as gate,
    ):
        body = {
            "name": f"job {seed}",
            "modality": "text",
            "labels": corpus.labels,
            "items": corpus.items,
            "base_model": "fake",
            "goal": {"accuracy": 0.9},
            "crowd": {"lease_ttl_s": 10},
            "seed": seed,
        }
        reply = client.post("/v1/jobs", body, {"Idempotency-Key": f"job-{seed}"})
        job_id = JobView.model_validate_json(reply.content).id
        yield Site(
            client=client,
            gate=gate,
            corpus=corpus,
            workers=tuple(Worker(gate, corpus, number, seed) for number in range(12)),
            job_id=job_id,
            book=Book(sqlite_url(service.data_dir), job_id),
        )


def crowd_of(here: Site, think_s: float) -> Crowd:
    return Crowd(here.workers, Crew(claim_items=4, think_s=think_s))


def wait_until(here: Site, crowd: Crowd, is_so: Callable[[Standing], bool]) -> Standing:
    give_up_at, pause = monotonic() + STEP_TIMEOUT_S, Event()
    while not is_so(standing := here.book.standing()):
        crowd.check()
        assert monotonic() < give_up_at, standing
        pause.wait(LOOK_EVERY_S)
    return standing


def has_ended(standing: Standing) -> bool:
    return standing.state.is_terminal


def wait_for_silence(here: Site) -> int:
    """Wait until no answer has come for a while and return how many there are."""
    give_up_at, pause = monotonic() + STEP_TIMEOUT_S, Event()
    stored, since = -1, monotonic()
    while monotonic() < since + QUIET_S:
        if (found := len(here.book.answers())) != stored:
            assert monotonic() < give_up_at
            stored, since = found, monotonic()
        pause.wait(LOOK_EVERY_S)
    return stored


def follow(here: Site) -> list[tuple[JobState, ResultView]]:
    """Read results by cursor until there are no more, each with the state it was read in."""
    read: list[tuple[JobState, ResultView]] = []
    params: dict[str, str | int] = {"limit": 7}
    pause = Event()
    while True:
        state = here.job().state
        reply = here.client.get(f"{here.path}/results", params)
        page = ResultPage.model_validate_json(reply.content)
        read += [(state, result) for result in page.results]
        if page.next_cursor is None:
            return read
        params["cursor"] = page.next_cursor
        if not page.results:
            pause.wait(LOOK_EVERY_S)


def exported(here: Site) -> dict[str, ResultView]:
    """Return the finished data set by item."""
    lines = here.client.get(f"{here.path}/export", {"format": "jsonl"}).content.splitlines()
    rows = [ResultView.model_validate_json(line) for line in lines]
    return {row.item_id: row for row in rows}


def wait_for_figures(service: MusterUp, answers: int) -> Figures:
    """Return what is exported once it tells of a job's last stage, its end and all its answers.

    Each process hands over what it counted when its own time has come.
    """
    give_up_at, pause = monotonic() + STEP_TIMEOUT_S, Event()
    while True:
        figures = Figures(service)
        ended = figures.sum(told.JOBS_ENDED, state="completed")
        stored = figures.sum(told.ANSWERS, outcome="stored")
        exported = figures.observations(told.STAGE_SECONDS, state="exporting")
        if ended and exported and stored == answers:
            return figures
        assert monotonic() < give_up_at, (ended, exported, stored, answers)
        pause.wait(1.0)


def jobs(client: Door) -> set[str]:
    listed = JobPage.model_validate_json(client.get("/v1/jobs").content)
    return {job.id for job in listed.jobs}


def test_a_job_runs_from_submit_to_export(service: MusterUp) -> None:
    # Given a job and a crowd
    with (
        site(service, 1) as here,
        MusterClient(service.url, service.keys.client) as client,
        ThreadPoolExecutor(2) as readers,
    ):
        # When somebody reads results by cursor, and follows its events, while the crowd answers
        reading = readers.submit(follow, here)
        following = readers.submit(lambda: list(client.follow(here.job_id)))
        with crowd_of(here, think_s=0.3) as crowd:
            ended = wait_until(here, crowd, has_ended)
        read = reading.result(STEP_TIMEOUT_S)
        seen = following.result(STEP_TIMEOUT_S)
        # Then the job is complete, and it has learnt
        assert ended.state is JobState.COMPLETED, ended.failure
        events = EventPage.model_validate_json(here.client.get(f"{here.path}/events").content)
        kinds = [event.kind for event in events.events]
        assert {"ingest.done", "prelabel.done", "learn.done", "export.done"} <= set(kinds)
        # And whoever followed it was told each event once, how it stood meanwhile, and the end
        assert [event for event in seen if isinstance(event, EventView)] == list(events.events)
        states = {event.state for event in seen if isinstance(event, ProgressEvent)}
        assert {JobState.ASKING, JobState.COMPLETED} <= states
        assert seen[-1] == here.job()
        # And each item came once, and under a revision once, some of them before the end
        first = [result.item_id for _, result in read if result.revision == 0]
        assert sorted(first) == list(here.corpus.ids)
        assert len({(result.item_id, result.revision) for _, result in read}) == len(read)
        assert any(not state.is_terminal for state, _ in read)
        export = audit_export(here.client, here.job_id, here.corpus)
        assert (export.delivered, export.missing, export.repeated) == (ITEMS, 0, 0)
        assert export.right / ITEMS > 0.85
        # And what stands for whoever followed is what is exported
        stands = newest(result for _, result in read)
        assert {result.item_id: result for result in stands} == exported(here)
        # And every answer was counted, and the certificate covers every item
        answers = audit_answers(here.book, crowd.told)
        assert (answers.lost, answers.uncounted, answers.unheard) == (0, 0, 0)
        job = here.job()
        assert job.certificate is not None
        assert job.certificate.strata[-1].items == ITEMS
        # And operators are told the same
        figures = wait_for_figures(service, len(here.book.answers()))
        assert figures.sum(told.ITEMS_INGESTED) == ITEMS
        assert figures.sum(told.LABELS_DELIVERED) == ITEMS
        assert figures.sum(told.ANSWERS_BOUGHT) == job.progress.answers
        assert figures.sum(told.TRAININGS) == kinds.count("learn.done")
        assert figures.sum(told.NOTICES, kind="job.completed") == 1
        assert figures.sum(told.HTTP_REQUESTS, route="/v1/jobs", status="201") == 1
        assert figures.observations(told.HTTP_SECONDS, route="/v1/jobs") == 1
        assert figures.observations(told.PRELABEL_SECONDS, kind="chunk") > 0
        assert figures.observations(told.WRITE_SECONDS) > 0
        parts = ("database", "objects", "prelabel", "disk", "allocator-0", "allocator-1")
        assert figures.labels(told.PART_READY, "part") == set(parts)


def test_a_cancelled_job_takes_no_more_answers(service: MusterUp) -> None:
    # Given a job that asks
    with site(service, 2) as here, crowd_of(here, think_s=0.3) as crowd:
        wait_until(here, crowd, lambda standing: standing.progress.answers > 0)
        # When it is cancelled
        assert here.client.post(f"{here.path}/cancel", {}).status == 202
        ended = wait_until(here, crowd, has_ended)
        stored = len(here.book.answers())
        # Then it ends so, and whoever still answers is told that it does not count
        assert ended.state is JobState.CANCELLED
        Event().wait(1.0)
        assert len(here.book.answers()) == stored
        answers = audit_answers(here.book, crowd.told)
        assert (answers.lost, answers.smuggled) == (0, 0)
        # And it cannot be cancelled again
        again = here.client.post(f"{here.path}/cancel", {})
        assert again.status == 409
        problem = Problem.model_validate_json(again.content)
        assert problem.type == "urn:muster:problem:job-finished"


def test_a_paused_job_asks_nobody_also_after_a_kill_until_it_is_resumed(service: MusterUp) -> None:
    # Given a job that is paused while its crowd answers
    with site(service, 5) as here, crowd_of(here, think_s=0.3) as crowd:
        wait_until(here, crowd, lambda standing: standing.progress.answers > ITEMS / 4)
        wait_until(here, crowd, lambda standing: standing.state is JobState.ASKING)
        assert here.client.post(f"{here.path}/pause", {}).status == 202
        stored = wait_for_silence(here)
        # When every process of the service is killed, and it is started again
        service.kill()
        service.start()
        service.wait_ready()
        # Then it is still paused and the crowd, which goes on claiming, gets nothing
        assert wait_for_silence(here) == stored
        assert here.job().paused
        assert not here.book.standing().state.is_terminal
        # And once resumed the job goes on to its end
        assert here.client.post(f"{here.path}/resume", {}).status == 202
        ended = wait_until(here, crowd, has_ended)
        assert ended.state is JobState.COMPLETED, ended.failure
        answers = audit_answers(here.book, crowd.told)
        assert len(here.book.answers()) > stored
        assert (answers.lost, answers.uncounted, answers.smuggled) == (0, 0, 0)


def test_many_submits_under_one_key_are_one_job(service: MusterUp) -> None:
    corpus = generate(3, 3)
    body = {
        "name": "once",
        "modality": "text",
        "labels": corpus.labels,
        "items": corpus.items,
        "base_model": "fake",
    }
    with closing(Door(service.url, service.keys.client)) as client:
        before = jobs(client)
        submitted = submit(client, body, key="once")
        after = jobs(client)
        client.post(f"/v1/jobs/{submitted.job_id}/cancel", {})
    assert after - before == {submitted.job_id}
    assert submitted.created == 1
    assert submitted.mismatch


def test_a_killed_service_goes_on_where_it_was(service: MusterUp) -> None:
    # Given a job that has some answers, some of its labels delivered perhaps
    with site(service, 4) as here, crowd_of(here, think_s=0.5) as crowd:
        wait_until(here, crowd, lambda standing: standing.progress.answers > ITEMS / 4)
        # When every process of the service is killed, and it is started again
        service.kill()
        service.start()
        service.wait_ready()
        # Then the job goes on by itself to its end
        ended = wait_until(here, crowd, has_ended)
        assert ended.state is JobState.COMPLETED, ended.failure
    with closing(Door(service.url, service.keys.client)) as client:
        export = audit_export(client, here.job_id, here.corpus)
    # And each item is delivered once, and no acknowledged answer is lost
    assert (export.delivered, export.missing, export.repeated) == (ITEMS, 0, 0)
    answers = audit_answers(here.book, crowd.told)
    assert (answers.lost, answers.changed, answers.twice) == (0, 0, 0)
    assert (answers.smuggled, answers.uncounted) == (0, 0)


def test_a_batch_of_another_protocol_runs_through_the_whole_service(service: MusterUp) -> None:
    # Given OpenAI's own client, and a batch that asks the fake model alone
    labels = {"type": "object", "properties": {"topic": {"type": "string", "enum": ["a", "b"]}}}
    asked = {"type": "json_schema", "json_schema": {"name": "topics", "schema": labels}}
    lines = [
        {
            "custom_id": f"t{number}",
            "method": "POST",
            "url": "/v1/chat/completions",
            "body": {
                "messages": [{"role": "user", "content": f"text {number}"}],
                "response_format": asked,
            },
        }
        for number in range(ITEMS)
    ]
    with OpenAI(base_url=f"{service.url}/openai/v1", api_key=service.keys.client) as client:
        content = "\n".join(json.dumps(line) for line in lines).encode()
        file = client.files.create(file=("texts.jsonl", content), purpose="batch")
        batch = client.batches.create(
            input_file_id=file.id,
            endpoint="/v1/chat/completions",
            completion_window="24h",
            metadata={"muster_base_model": "fake"},
        )
        # When it is polled until it ends
        give_up_at, pause = monotonic() + STEP_TIMEOUT_S, Event()
        while batch.status != "completed":
            assert batch.status in ("validating", "in_progress", "finalizing"), batch
            assert monotonic() < give_up_at, batch
            pause.wait(LOOK_EVERY_S)
            batch = client.batches.retrieve(batch.id)
        # Then its file answers every request once, with one of the labels
        assert batch.output_file_id is not None
        answers = client.files.content(batch.output_file_id).read().splitlines()
    found = {answer["custom_id"]: answer for answer in map(json.loads, answers)}
    assert len(answers) == len(found) == ITEMS
    contents = [
        answer["response"]["body"]["choices"][0]["message"]["content"] for answer in found.values()
    ]
    assert {json.loads(content)["topic"] for content in contents} <= {"a", "b"}
