"""OpenAI's own client runs batches of classifications: files, batches, answers and errors."""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from openai import BadRequestError, NotFoundError, OpenAI, OpenAIError
from openai.types import Batch, FileObject

from cluster.domain.ids import JobId
from cluster.domain.jobs import JobState
from serve_apps.gateway.adapters.openai.files import FILES
from serve_apps.prelabel.fake import POISON
from tests.unit.gateway.running import run_job
from tests.unit.gateway.test_results import deliver
from tests.unit.gateway.world import TENANT, World

LABELS = ["refund", "delivery", "login"]
FORMAT = {
    "type": "json_schema",
    "json_schema": {
        "name": "ticket",
        "strict": True,
        "schema": {
            "type": "object",
            "properties": {"label": {"type": "string", "enum": LABELS}},
            "required": ["label"],
            "additionalProperties": False,
        },
    },
}
FAKE = {"muster_base_model": "fake"}


def client_of(world: World, tenant: str = TENANT) -> OpenAI:
    return OpenAI(
        base_url="http://testserver/openai/v1",
        api_key=world.key("client", tenant),
        http_client=world.http,
        max_retries=0,
    )


@pytest.fixture
def client(world: World) -> OpenAI:
    return client_of(world)


def asked(custom_id: str, text: object, **changes: object) -> dict[str, Any]:
    """Return a line as guides on classification by batches show it, changed as asked."""
    body: dict[str, object] = {
        "model": "gpt-4o-mini",
        "temperature": 0,
        "messages": [
            {"role": "system", "content": "What does the customer want?"},
            {"role": "user", "content": text},
        ],
        "response_format": FORMAT,
    }
    body.update(
        {
            name.removeprefix("body_"): changes.pop(name)
            for name in list(changes)
            if name.startswith("body_")
        }
    )
    line = {"custom_id": custom_id, "method": "POST", "url": "/v1/chat/completions", "body": body}
    return {**line, **changes}


def written(*lines: object) -> bytes:
    return b"\n".join(
        line if isinstance(line, bytes) else json.dumps(line).encode() for line in lines
    )


def uploaded(client: OpenAI, *lines: object) -> FileObject:
    return client.files.create(file=("tickets.jsonl", written(*lines)), purpose="batch")


def created(client: OpenAI, file: FileObject, metadata: Mapping[str, str] = FAKE) -> Batch:
    return client.batches.create(
        input_file_id=file.id,
        endpoint="/v1/chat/completions",
        completion_window="24h",
        metadata=dict(metadata),
    )


def ended(world: World, client: OpenAI, batch: Batch) -> Batch:
    run_job(world, batch.id.removeprefix("batch_"))
    return client.batches.retrieve(batch.id)


def rows_of(client: OpenAI, file_id: str | None) -> list[dict[str, Any]]:
    assert file_id is not None
    return [json.loads(line) for line in client.files.content(file_id).iter_lines()]


def test_a_batch_of_classifications_runs_as_it_is(world: World, client: OpenAI) -> None:
    # Given a file as it would be sent to OpenAI, one line of which is wrong
    texts = {f"t{number}": f"where is parcel {number}?" for number in range(5)}
    lines = [asked(custom_id, text) for custom_id, text in texts.items()]
    file = uploaded(client, *lines[:3], asked("bad", "x", url="/v1/embeddings"), *lines[3:])
    # When it is run as a batch
    batch = created(client, file, {**FAKE, "team": "support"})
    assert (batch.status, batch.output_file_id) == ("validating", None)
    done = ended(world, client, batch)
    # Then every sound line is answered once, in the words of the schema, with its confidence
    assert (done.status, done.metadata) == ("completed", {**FAKE, "team": "support"})
    counts = done.request_counts
    assert counts is not None
    assert (counts.total, counts.completed, counts.failed) == (6, 5, 1)
    answers = rows_of(client, done.output_file_id)
    assert sorted(answer["custom_id"] for answer in answers) == sorted(texts)
    for answer in answers:
        body = answer["response"]["body"]
        said = json.loads(body["choices"][0]["message"]["content"])
        assert said == {"label": body["muster"]["label"]}
        assert said["label"] in LABELS
        assert 0 < body["muster"]["probability"] <= 1
        assert (body["muster"]["decided_by"], answer["error"]) == ("model", None)
    # And the wrong one is told of by its line, in the batch and in its error file
    (refused,) = rows_of(client, done.error_file_id)
    assert (refused["custom_id"], refused["response"]) == ("bad", None)
    assert refused["error"]["message"] == "line 4: url must be /v1/chat/completions"
    assert done.errors is not None
    assert done.errors.data is not None
    assert [(error.line, error.param) for error in done.errors.data] == [(4, "url")]


def test_nobody_is_paid_unless_the_batch_says_so(world: World, client: OpenAI) -> None:
    file = uploaded(client, asked("a", "x"), asked("b", "y"))
    free = world.stores.jobs.load(created(client, file).id.removeprefix("batch_"))  # type: ignore[arg-type]
    terms = {"muster_accuracy": "0.9", "muster_cost_max": "12.5"}
    paid = world.stores.jobs.load(created(client, file, terms).id.removeprefix("batch_"))  # type: ignore[arg-type]
    assert (free.spec.budget.answers_max, free.spec.budget.deadline_s) == (0, 86_400)
    assert (paid.spec.budget.answers_max, paid.spec.budget.cost_max) == (None, 12.5)
    assert paid.spec.goal.accuracy == 0.9
    assert paid.spec.crowd.instructions == "What does the customer want?"


@pytest.mark.parametrize(
    ("content", "metadata", "answer"),
    [
        ([{"type": "text", "text": "in"}, {"type": "text", "text": "parts"}], FAKE, "{"),
        ("x", {**FAKE, "muster_labels": "yes, no"}, ""),
    ],
)
def test_labels_may_stand_in_the_metadata_and_texts_in_parts(
    world: World, client: OpenAI, content: object, metadata: dict[str, str], answer: str
) -> None:
    plain = {} if answer else {"body_response_format": None}
    done = ended(
        world, client, created(client, uploaded(client, asked("a", content, **plain)), metadata)
    )
    (row,) = rows_of(client, done.output_file_id)
    said = row["response"]["body"]["choices"][0]["message"]["content"]
    assert said.startswith(answer)
    assert answer or said in ("yes", "no")


NUMBERED = {"schema": {"type": "object", "properties": {"n": {"type": "number"}}}}
WRONG: dict[str, tuple[object, str]] = {
    "no JSON": (b"{", "not JSON at character 2"),
    "no object": ([1], "the line is an array"),
    "method": (asked("a", "x", method="GET"), "method must be POST"),
    "url": (asked("a", "x", url="/v1/responses"), "url must be /v1/chat/completions"),
    "no body": (asked("a", "x", body=None), "body must be an object"),
    "many choices": (asked("a", "x", body_n=3), "body.n must be 1"),
    "tools": (asked("a", "x", body_tools=[{"type": "function"}]), "body.tools cannot be used"),
    "an image": (asked("a", [{"type": "image_url", "image_url": {"url": "x"}}]), "of text"),
    "no user": (asked("a", "x", body_messages=[{"role": "system", "content": "x"}]), "the user"),
    "no messages": (asked("a", "x", body_messages=[]), "must be a list of messages"),
    "any JSON": (asked("a", "x", body_response_format={"type": "json_object"}), "json_schema"),
    "no enum": (
        asked("a", "x", body_response_format={"type": "json_schema", "json_schema": NUMBERED}),
        "two or more labels in an enum",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_no_classification_is_refused_by_line_and_reason(client: OpenAI, case: str) -> None:
    line, reason = WRONG[case]
    with pytest.raises(BadRequestError) as refused:
        created(client, uploaded(client, b"", line))
    assert refused.value.param == "input_file_id"
    assert "line 2: " in refused.value.message
    assert reason in refused.value.message


def test_a_file_that_begins_with_nothing_is_not_read_on(client: OpenAI) -> None:
    with pytest.raises(BadRequestError, match="gives no items"):
        created(client, uploaded(client, b"\n" * 1_000))


def test_all_lines_must_ask_alike_and_ids_be_unique(world: World, client: OpenAI) -> None:
    # Given a file whose later lines ask for other labels, for none, or have an id again or not
    other = json.loads(json.dumps(FORMAT))
    other["json_schema"]["schema"]["properties"]["label"]["enum"] = ["yes", "no"]
    renamed = json.loads(json.dumps(FORMAT))
    renamed["json_schema"]["schema"]["properties"] = {"kind": {"type": "string", "enum": LABELS}}
    nameless = asked("x", "x")
    del nameless["custom_id"]
    lines = [
        asked("a", "x"),
        asked("b", "x", body_response_format=other),
        asked("c", "x", body_response_format=renamed),
        asked("d", "x", body_response_format=None),
        asked("a", "y"),
        nameless,
        asked("e", " "),
    ]
    done = ended(world, client, created(client, uploaded(client, *lines)))
    # Then each of them is refused for its own reason, and the first line is answered
    assert [row["custom_id"] for row in rows_of(client, done.output_file_id)] == ["a"]
    assert done.errors is not None
    found = {error.line: error.code for error in done.errors.data or ()}
    assert found == {
        2: "labels-differ",
        3: "labels-differ",
        4: "labels-differ",
        5: "id-duplicate",
        6: "field-missing",
        7: "field-empty",
    }


def test_files_are_kept_listed_and_deleted(world: World, client: OpenAI) -> None:
    # Given three files
    contents = [written(asked(f"a{number}", "x")) for number in range(3)]
    files = [
        client.files.create(file=(f"{number}.jsonl", content), purpose="batch")
        for number, content in enumerate(contents)
    ]
    # Then they come newest first or last, page by page, with what was sent
    newest_first = [file.id for file in files][::-1]
    assert [file.id for file in client.files.list(limit=2)] == newest_first
    assert [file.id for file in client.files.list(limit=1, order="asc")] == newest_first[::-1]
    shown = client.files.retrieve(files[1].id)
    assert (shown.filename, shown.bytes, shown.purpose) == ("1.jsonl", len(contents[1]), "batch")
    assert client.files.content(files[1].id).read() == contents[1]
    # And one that is deleted is gone, for others all are
    assert client.files.delete(files[1].id).deleted
    with pytest.raises(NotFoundError):
        client.files.content(files[1].id)
    assert files[1].id not in [file.id for file in client.files.list()]
    stranger = client_of(world, "umbrella")
    assert list(stranger.files.list()) == []
    for refused in (stranger.files.retrieve, stranger.files.content, stranger.files.delete):
        with pytest.raises(NotFoundError):
            refused(files[0].id)


def test_batches_are_listed_and_cancelled(world: World, client: OpenAI) -> None:
    file = uploaded(client, asked("a", "x"))
    batches = [created(client, file) for _ in range(3)]
    assert [each.id for each in client.batches.list(limit=2)] == [each.id for each in batches][::-1]
    assert client.batches.cancel(batches[0].id).status == "cancelling"
    cancelled = ended(world, client, batches[0])
    assert (cancelled.status, cancelled.output_file_id) == ("cancelled", None)
    assert cancelled.cancelled_at is not None
    with pytest.raises(OpenAIError, match="already cancelled"):
        client.batches.cancel(batches[0].id)
    with pytest.raises(NotFoundError):
        client_of(world, "umbrella").batches.retrieve(batches[0].id)


def test_a_batch_that_is_sent_again_under_its_retry_key_is_one(
    world: World, client: OpenAI
) -> None:
    file = uploaded(client, asked("a", "x"))
    first, second = (
        client.batches.create(
            input_file_id=file.id,
            endpoint="/v1/chat/completions",
            completion_window="24h",
            metadata=FAKE,
            extra_headers={"Idempotency-Key": "once"},
        )
        for _ in range(2)
    )
    assert first.id == second.id
    assert len(list(client.batches.list())) == 1
    # And what it gives is its tenant's alone
    done = ended(world, client, first)
    assert done.output_file_id is not None
    assert client.files.retrieve(done.output_file_id).purpose == "batch_output"
    with pytest.raises(BadRequestError, match="stays"):
        client.files.delete(done.output_file_id)
    stranger = client_of(world, "umbrella")
    for refused in (stranger.files.retrieve, stranger.files.content):
        with pytest.raises(NotFoundError):
            refused(done.output_file_id)


def test_a_batch_of_which_no_line_is_sound_fails(world: World, client: OpenAI) -> None:
    done = ended(world, client, created(client, uploaded(client, asked("a", " "))))
    assert (done.status, done.output_file_id) == ("failed", None)
    assert done.failed_at is not None
    assert done.errors is not None
    assert [error.line for error in done.errors.data or ()] == [None, 1]
    assert len(rows_of(client, done.error_file_id)) == 1


@pytest.mark.parametrize(
    ("metadata", "param"),
    [
        ({"muster_acuracy": "0.9"}, "metadata.muster_acuracy"),
        ({"muster_accuracy": "high"}, "metadata.muster_accuracy"),
        ({"muster_labels": "a,b"}, "metadata.muster_labels"),
    ],
)
def test_terms_that_are_not_understood_are_refused(
    client: OpenAI, metadata: dict[str, str], param: str
) -> None:
    file = uploaded(client, asked("a", "x"))
    with pytest.raises(BadRequestError) as refused:
        created(client, file, metadata)
    assert refused.value.param == param


def test_a_file_for_another_purpose_leaves_nothing_behind(world: World, client: OpenAI) -> None:
    with pytest.raises(BadRequestError) as refused:
        client.files.create(file=b"{}", purpose="fine-tune")
    assert refused.value.param == "purpose"
    assert list(world.stores.objects.list("uploads")) == []


def test_errors_have_the_shape_their_client_knows(world: World, client: OpenAI) -> None:
    # A file over the limit, a wrong key, a wrong role: from the bounds, the gate and a route
    with pytest.raises(OpenAIError, match="the limit is 50,000"):
        client.files.create(file=b"x" * 60_000, purpose="batch")
    for key, status, code in (
        ("nobody", 401, "invalid_api_key"),
        (world.key("worker"), 403, "wrong_role"),
    ):
        response = world.http.get(FILES, headers={"Authorization": f"Bearer {key}"})
        error = response.json()["error"]
        assert (response.status_code, error["code"]) == (status, code)
        assert error["type"] == "invalid_request_error"


def test_what_the_model_fails_on_is_an_error_and_no_answer(world: World, client: OpenAI) -> None:
    # Given a batch with a text that the model cannot handle
    file = uploaded(client, asked("sound", "where is it?"), asked("bad", f"what is {POISON}?"))
    # When it has run
    done = ended(world, client, created(client, file))
    # Then that text has no answer but an error, and is counted as failed
    counts = done.request_counts
    assert counts is not None
    assert (done.status, counts.total, counts.completed, counts.failed) == ("completed", 2, 1, 1)
    assert [row["custom_id"] for row in rows_of(client, done.output_file_id)] == ["sound"]
    (error,) = rows_of(client, done.error_file_id)
    assert (error["custom_id"], error["response"]) == ("bad", None)
    assert error["error"]["code"] == "model-failed"
    # And the job itself tells of it in its results and its error file
    job = f"/v1/jobs/{done.id.removeprefix('batch_')}"
    results = world.get(f"{job}/results").json()["results"]
    assert {row["item_id"]: row["model_failed"] for row in results} == {"sound": False, "bad": True}
    (line,) = world.get(f"{job}/errors").text.splitlines()
    assert json.loads(line)["id"] == "bad"
    assert (json.loads(line)["line"], json.loads(line)["position"]) == (2, 1)
    for name in ("csv", "jsonl", "parquet", "arrow"):
        export = world.get(f"{job}/export", params={"format": name})
        assert b"model_failed" in export.content


def test_a_batch_that_ended_early_gives_what_was_delivered(world: World, client: OpenAI) -> None:
    # Given a batch that had delivered some labels when it was cancelled
    batch = created(client, uploaded(client, asked("t0", "where?")))
    job = world.stores.jobs.load(JobId(batch.id.removeprefix("batch_")))
    delivered = deliver(world, job, [2, 1])
    progress = replace(job.progress, final=len(delivered))
    world.moved(world.stores.jobs.save(replace(job, progress=progress)), JobState.CANCELLED)
    # Then its output has each of them
    ended_early = client.batches.retrieve(batch.id)
    assert ended_early.status == "cancelled"
    answers = rows_of(client, ended_early.output_file_id)
    assert sorted(row["custom_id"] for row in answers) == sorted(delivered)
