"""The client against a real server over real sockets, and against servers that misbehave."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from cluster import paths
from cluster.domain.access import Role
from cluster.domain.ids import JobId
from cluster.domain.jobs import JobState
from serve_apps.client import (
    ClientProblem,
    MusterClient,
    Retries,
    ServiceUnreachable,
    newest,
)
from serve_apps.client.downloads import BREAKS_MAX
from serve_apps.gateway.schemas.assignments import AssignmentRequest, SeatBody
from serve_apps.gateway.schemas.job_change import BudgetChange, JobChange
from serve_apps.gateway.schemas.job_request import GoalBody, ItemBody, JobRequest, LabelBody
from serve_apps.gateway.schemas.webhooks import EVENTS
from serve_apps.gateway.schemas.work import AnswerBody, WorkerRequest, WorkerView
from tests.unit.gateway.lines import add_versions
from tests.unit.gateway.serving import serving
from tests.unit.gateway.test_results import correct, deliver
from tests.unit.gateway.world import World, job_body


@pytest.fixture
def connect(world: World) -> Iterator[Callable[[Role], MusterClient]]:
    """A function that connects to a served world with a key of a role."""
    with serving(world.http.app) as url:
        opened: list[MusterClient] = []

        def connect(role: Role) -> MusterClient:
            opened.append(MusterClient(url, world.key(role)))
            return opened[-1]

        yield connect
        for client in opened:
            client.close()


REQUEST = JobRequest(
    name="animals",
    modality="text",
    labels=[LabelBody(name="cat"), LabelBody(name="dog", description="barks")],
    goal=GoalBody(accuracy=0.9),
    items=[ItemBody(id="i0", text="meow"), ItemBody(id=1, text="woof")],
)


def test_a_client_runs_a_job_from_submit_to_export(
    world: World, connect: Callable[[Role], MusterClient], tmp_path: Path
) -> None:
    client = connect("client")
    # When a job is submitted, twice with one key
    job = client.submit(REQUEST, idempotency_key="one")
    assert client.submit(REQUEST, idempotency_key="one").id == job.id
    assert (job.state, job.goal.accuracy, job.labels[1].description) == ("queued", 0.9, "barks")
    # And it delivers and completes
    stored = world.stores.jobs.load(JobId(job.id))
    delivered = deliver(world, stored, [3, 2])
    world.stores.objects.write(paths.errors(stored.job_id), b'{"line": 9}\n')
    assert [result.item_id for result in client.results(job.id)] == delivered
    # And corrects a label, which replaces the first one
    correct(world, stored, number=2, first_row=5, position=3)
    assert [result.item_id for result in client.results(job.id)] == [*delivered, "i3"]
    stands = newest(client.results(job.id))
    assert [result.item_id for result in stands] == delivered
    assert [result.label for result in stands] == ["cat", "cat", "cat", "dog", "cat"]
    world.moved(stored, JobState.COMPLETED)
    world.stores.objects.write(paths.export(stored.job_id, "jsonl"), b"{}\n" * 3)
    # Then all of it is read back
    assert client.job(job.id).state is JobState.COMPLETED
    assert [found.id for found in client.jobs()] == [job.id]
    assert [event.kind for event in client.events(job.id)] == ["submitted"]
    assert list(client.errors(job.id)) == [{"line": 9}]
    client.export(job.id, tmp_path / "labels.jsonl")
    assert (tmp_path / "labels.jsonl").read_bytes() == b"{}\n" * 3
    assert [path.name for path in tmp_path.glob("*labels*")] == ["labels.jsonl"]
    with pytest.raises(ClientProblem) as refused:
        client.cancel(job.id)
    assert refused.value.problem.type == "urn:muster:problem:job-finished"


def test_a_client_pauses_resumes_and_amends_a_job(
    world: World, connect: Callable[[Role], MusterClient]
) -> None:
    client = connect("client")
    job = client.submit(REQUEST)
    assert client.pause(job.id).paused
    resumed = client.resume(job.id)
    assert not resumed.paused
    # A field that is given as None takes a limit off; one that is not given stays
    change = JobChange(weight=2.0, budget=BudgetChange(answers_max=7, cost_max=None))
    amended = client.amend(job.id, change, if_revision=resumed.revision)
    assert (amended.weight, amended.budget.answers_max, amended.budget.cost_max) == (2.0, 7, None)
    assert client.amend(job.id, JobChange(weight=3.0)).budget.answers_max == 7
    with pytest.raises(ClientProblem) as refused:
        client.amend(job.id, JobChange(weight=4.0), if_revision=resumed.revision)
    assert refused.value.problem.status == 412
    assert world.stores.jobs.load(JobId(job.id)).agreed.weight == 3.0


def test_a_client_uploads_a_file_in_blocks(
    world: World, connect: Callable[[Role], MusterClient], tmp_path: Path
) -> None:
    file = tmp_path / "items.csv"
    file.write_bytes(b"id,text\n" + b"1,x\n" * 8_000)
    uploaded = connect("client").upload(file)
    assert uploaded.size_bytes == 32_008
    (path,) = world.stores.objects.list("uploads")
    assert world.stores.objects.read(path) == file.read_bytes()


def test_results_are_followed_until_the_job_ends(world: World) -> None:
    # Given a running job, and a wait in which it delivers and completes
    job = world.moved(world.submitted(), JobState.ASKING)
    waits: list[float] = []
    delivered: list[str] = []

    def wait(seconds: float) -> None:
        waits.append(seconds)
        delivered.extend(deliver(world, job, [4]))
        world.moved(job, JobState.COMPLETED)

    with (
        serving(world.http.app) as url,
        MusterClient(url, world.key("client"), wait=wait) as client,
    ):
        # When its results are followed
        found = [result.item_id for result in client.results(job.job_id, follow_every_s=2.5)]
    # Then they come when they are there, and the iteration ends with the job
    assert (found, waits) == (delivered, [2.5])


def test_a_worker_works_through_the_client(
    world: World, connect: Callable[[Role], MusterClient]
) -> None:
    client = connect("worker")
    world.asking(["meow", "woof", "hoot"])
    ann = client.register_worker(WorkerRequest(name="ann", price=0.01))
    assert [WorkerView(**dict(client.worker(ann.id))), *client.workers()] == [ann, ann]
    first, second = client.claim(ann.id, 2)
    assert client.heartbeat(ann.id, [first.token])[0].expires_at is not None
    assert client.release(ann.id, [second.token]) == 1
    answers = [
        AnswerBody(token=first.token, label="dog", duration_s=2.0),
        AnswerBody(token=second.token, label="dog"),
    ]
    results = client.answer(ann.id, answers)
    assert [result.status for result in results] == ["accepted", "refused"]
    assert results[1].problem is not None
    assert results[1].problem.status == 410
    assert client.worker(ann.id).totals.earned == 0.01


def test_an_owner_assigns_work_through_the_client(
    world: World, connect: Callable[[Role], MusterClient]
) -> None:
    job = world.asking(["meow", "woof", "hoot"])
    workers = connect("worker")
    ann, bob = (workers.register_worker(WorkerRequest(name=name)).id for name in ("ann", "bob"))
    seats = [SeatBody(worker_id=ann, count=2), SeatBody(worker_id=bob, count=1)]
    made = connect("client").assign(job.job_id, AssignmentRequest(workers=seats))
    assert [(each.worker_id, len(each.leases)) for each in made] == [(ann, 2), (bob, 1)]
    for each in made:
        assert [offer.token for offer in workers.leases(each.worker_id)] == [
            lease.token for lease in each.leases
        ]


def test_keys_are_issued_and_revoked(connect: Callable[[Role], MusterClient]) -> None:
    admin = connect("admin")
    issued = admin.issue_key("hooli", "client")
    admin.revoke_key(issued.id)
    assert (issued.tenant_id, issued.key.split("_")[1]) == ("hooli", issued.id)
    assert list(admin.models()) == []
    with pytest.raises(ClientProblem, match="there is no model x"):
        admin.live_model("x")


def test_a_client_promotes_and_rolls_back(
    world: World, connect: Callable[[Role], MusterClient]
) -> None:
    add_versions(world, "one", 2)
    client = connect("client")

    live = client.make_live("one", 1, expected_live=0, reason="it is better")
    back = client.roll_back("one", expected_live=1)

    assert [step.stage for step in (live, back)] == ["live", "rolled_back"]
    assert list(client.model_history("one"))[:2] == [back, live]
    assert [each.stage for each in client.model_versions("one")] == ["live", "rolled_back"]
    with pytest.raises(ClientProblem, match="has none before it"):
        client.roll_back("one")


Step = httpx.Response | httpx.TransportError
FAST = Retries(attempts=4)


def scripted(*steps: Step) -> tuple[MusterClient, list[httpx.Request], list[float]]:
    """Return a client of a server that does these things in turn, what it got, and the waits."""
    requests: list[httpx.Request] = []
    waits: list[float] = []
    script = iter(steps)

    def serve(request: httpx.Request) -> httpx.Response:
        request.read()
        requests.append(request)
        step = next(script)
        if isinstance(step, httpx.TransportError):
            raise step
        return step

    client = MusterClient(
        "http://muster.test",
        "msk_a_b",
        retries=FAST,
        wait=waits.append,
        transport=httpx.MockTransport(serve),
    )
    return client, requests, waits


def problem_reply(status: int, **headers: str) -> httpx.Response:
    body = {"type": "urn:muster:problem:x", "title": "X", "status": status, "detail": "why"}
    media_type = {"Content-Type": "application/problem+json"}
    return httpx.Response(status, content=json.dumps(body), headers={**media_type, **headers})


@pytest.fixture
def created(world: World) -> httpx.Response:
    return httpx.Response(201, content=world.post("/v1/jobs", job_body()).content)


def test_a_submit_is_repeated_with_one_retry_key(created: httpx.Response) -> None:
    # Given a server that is away, loses a reply, and whose proxy loses its replica
    client, requests, waits = scripted(
        httpx.ConnectError("refused"),
        httpx.ReadError("reset"),
        httpx.Response(500, text="Internal Server Error"),
        created,
    )
    # When a job is submitted
    assert client.submit(REQUEST).name == "animals"
    # Then the same request came each time, under one key, with growing waits between
    assert len({request.headers["idempotency-key"] for request in requests}) == 1
    assert len({request.content for request in requests}) == 1
    assert all(low < wait <= 2 * low for wait, low in zip(waits, (0.125, 0.25, 0.5), strict=True))


def test_retry_after_goes_before_backoff(created: httpx.Response) -> None:
    busy = {"Retry-After": "7"}
    client, _, waits = scripted(
        problem_reply(503, **busy), problem_reply(429, **{"Retry-After": "999"}), created
    )
    client.submit(REQUEST)
    assert waits == [7.0, 60.0]


def test_an_upload_is_read_anew_for_each_attempt(tmp_path: Path) -> None:
    file = tmp_path / "items.jsonl"
    file.write_bytes(b"x" * 100)
    reply = httpx.Response(201, json={"id": "upl-1", "size_bytes": 100})
    client, requests, _ = scripted(httpx.WriteError("reset"), problem_reply(503), reply)
    assert client.upload(file).id == "upl-1"
    assert [request.content for request in requests] == [b"x" * 100] * 3


def test_what_may_not_be_done_twice_is_not_repeated() -> None:
    # Given a registration whose reply is lost
    client, requests, _ = scripted(httpx.ReadTimeout("slow"))
    with pytest.raises(ServiceUnreachable):
        client.register_worker(WorkerRequest(name="ann"))
    assert len(requests) == 1
    # And one that a proxy could not deliver, or not tell of
    client, requests, _ = scripted(httpx.Response(502, text="Bad Gateway"))
    with pytest.raises(ClientProblem) as lost:
        client.register_worker(WorkerRequest(name="ann"))
    assert (len(requests), lost.value.problem.type) == (1, "about:blank")


def test_what_was_certainly_not_done_is_repeated() -> None:
    shown = {
        "id": "wrk-1",
        "name": "ann",
        "kind": "human",
        "skills": [],
        "price": 0.0,
        "registered_at": "2026-01-01T00:00:00Z",
        "paused": False,
    }
    client, requests, _ = scripted(
        httpx.ConnectError("refused"),
        httpx.Response(404, text="Path '/v1/workers' not found."),
        problem_reply(503),
        httpx.Response(201, json=shown),
    )
    assert client.register_worker(WorkerRequest(name="ann")).id == "wrk-1"
    assert len(requests) == 4


def test_a_refusal_is_final_and_carries_its_problem() -> None:
    client, requests, _ = scripted(problem_reply(500))
    with pytest.raises(ClientProblem, match=r"X \(500\): why") as refused:
        client.job("job-1")
    assert (len(requests), refused.value.problem.detail) == (1, "why")


def test_patience_ends() -> None:
    client, requests, waits = scripted(*[httpx.ConnectError("refused")] * 4)
    with pytest.raises(ServiceUnreachable, match="after 4 attempts"):
        client.job("job-1")
    assert (len(requests), len(waits)) == (4, 3)
    client, requests, _ = scripted(*[problem_reply(503)] * 4)
    with pytest.raises(ClientProblem) as refused:
        client.job("job-1")
    assert (len(requests), refused.value.problem.status) == (4, 503)


def test_a_download_that_breaks_off_leaves_no_file(tmp_path: Path) -> None:
    class Broken(httpx.SyncByteStream):
        def __iter__(self) -> Iterator[bytes]:
            yield b"half"
            raise httpx.ReadError("reset")

    broken = [httpx.Response(200, stream=Broken()) for _ in range(BREAKS_MAX + 2)]
    client, _, waits = scripted(*broken)
    with pytest.raises(ServiceUnreachable):
        client.export("job-1", tmp_path / "labels.jsonl")
    assert list(tmp_path.iterdir()) == []
    assert len(waits) == BREAKS_MAX + 1
    assert waits[-1] > waits[0] > 0.0


def test_a_download_goes_on_where_it_broke_off(tmp_path: Path) -> None:
    class Broken(httpx.SyncByteStream):
        def __iter__(self) -> Iterator[bytes]:
            yield b"half"
            raise httpx.ReadError("reset")

    whole = httpx.Response(206, content=b" and half")
    client, requests, _ = scripted(
        httpx.Response(200, stream=Broken(), headers={"ETag": '"v1"'}), whole
    )
    client.export("job-1", tmp_path / "labels.jsonl")
    assert (tmp_path / "labels.jsonl").read_bytes() == b"half and half"
    assert (requests[1].headers["range"], requests[1].headers["if-range"]) == ("bytes=4-", '"v1"')


def test_an_endpoint_is_registered_tried_and_removed(
    connect: Callable[[Role], MusterClient],
) -> None:
    client = connect("client")
    made = client.add_webhook("https://hooks.example/")
    assert made.events == tuple(sorted(EVENTS))
    assert client.rotate_webhook(made.id).secret != made.secret
    assert client.ping_webhook(made.id).next_attempt_at is not None
    assert client.enable_webhook(made.id).state == "enabled"
    assert client.webhooks() == (client.webhook(made.id),)
    client.remove_webhook(made.id)
    assert client.webhooks() == ()
    with pytest.raises(ClientProblem, match="not public"):
        client.add_webhook("https://inside.example/")
