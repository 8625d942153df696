"""The commands that talk to a service, against a real one over real sockets."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from cluster import paths
from cluster.domain.access import Role
from cluster.domain.ids import JobId
from cluster.domain.jobs import Certificate, JobState, Progress, Stratum
from cluster.stores.memory import memory_stores
from cluster.stores.objects import FolderObjects
from serve_apps.cli import options
from serve_apps.cli.follow import LOOK_EVERY_S, follow
from serve_apps.cli.main import app
from serve_apps.client import MusterClient, Retries
from serve_apps.client.muster import PIECES_FROM_BYTES
from serve_apps.gateway.schemas.work import AnswerBody
from tests.unit.gateway.lines import add_versions
from tests.unit.gateway.serving import serving
from tests.unit.gateway.test_results import deliver
from tests.unit.gateway.world import World

Muster = Callable[..., Result]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with World.of(memory_stores(FolderObjects(tmp_path / "objects")), tmp_path) as opened:
        yield opened


@pytest.fixture
def url(world: World) -> Iterator[str]:
    with serving(world.http.app) as found:
        yield found


@pytest.fixture
def muster(world: World, url: str) -> Muster:
    """The command with the environment of a user who has a key."""

    def run(*arguments: str | Path, role: Role = "client") -> Result:
        environment = {"MUSTER_URL": url, "MUSTER_KEY": world.key(role), "COLUMNS": "200"}
        return CliRunner().invoke(app, [str(argument) for argument in arguments], env=environment)

    return run


@pytest.fixture
def items(tmp_path: Path) -> Path:
    file = tmp_path / "animals.jsonl"
    file.write_text('{"id": "1", "text": "meow"}\n{"id": "2", "text": "woof"}\n')
    return file


def last_json(result: Result) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(result.stdout.splitlines()[-1])
    return found


def test_a_file_is_uploaded_and_submitted(muster: Muster, world: World, items: Path) -> None:
    # When a file is submitted with labels, a goal and a budget
    result = muster(
        "submit", items, "--labels", "cat, dog", "--goal", "0.9", "--budget", "50", "--json"
    )
    # Then the job is stored as asked, named for the file, its items uploaded
    assert result.exit_code == 0, result.output
    shown = last_json(result)
    job = world.stores.jobs.load(JobId(shown["id"]))
    assert (job.spec.name, job.spec.label_set.names) == ("animals", ("cat", "dog"))
    assert (job.spec.goal.accuracy, job.spec.budget.answers_max) == (0.9, 50)
    (uploaded,) = world.stores.objects.list("uploads")
    assert world.stores.objects.read(uploaded) == items.read_bytes()


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("labels.txt", "cat\tmeows\n\ndog\n"),
        ("labels.json", '[{"name": "cat", "description": "meows"}, "dog"]'),
    ],
)
def test_labels_come_from_a_file(
    muster: Muster, world: World, items: Path, name: str, text: str
) -> None:
    file = items.with_name(name)
    file.write_text(text)
    shown = last_json(muster("submit", items, "--label-file", file, "--json"))
    labels = world.stores.jobs.load(JobId(shown["id"])).spec.label_set.labels
    assert [(label.name, label.description) for label in labels] == [("cat", "meows"), ("dog", "")]


def test_a_large_file_goes_in_pieces(muster: Muster, tmp_path: Path) -> None:
    # Given a file larger than what is sent in one go, and than what this service takes
    (tmp_path / "large.jsonl").write_bytes(bytes(PIECES_FROM_BYTES))
    refused = muster("submit", tmp_path / "large.jsonl", "--labels", "cat,dog")
    # Then it is refused when it is announced, before a byte is sent
    assert refused.exit_code == 3
    assert "the upload has 8,388,608 bytes; the limit is 50,000" in refused.stderr


def test_a_file_of_pairs_says_where_both_texts_are(
    muster: Muster, world: World, tmp_path: Path
) -> None:
    file = tmp_path / "pairs.csv"
    file.write_text("id,premise,hypothesis\n1,it rains,it is wet\n")
    named = ("--content-field", "premise", "--pair-field", "hypothesis")
    shown = last_json(
        muster("submit", file, "--modality", "text_pair", *named, "--labels", "yes,no", "--json")
    )
    spec = world.stores.jobs.load(JobId(shown["id"])).spec
    assert (spec.modality, spec.base_model) == ("text_pair", "minilm")
    assert (spec.source.content_field, spec.source.pair_field) == ("premise", "hypothesis")


def test_a_uri_is_submitted_as_it_is(muster: Muster, world: World) -> None:
    (world.inbox / "items.csv").write_text("id,text\n1,meow\n")
    uri = f"file://{world.inbox}/items.csv"
    shown = last_json(muster("submit", uri, "--labels", "cat,dog", "--json"))
    assert shown["source_uri"] == uri
    assert list(world.stores.objects.list("uploads")) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("nothing.jsonl", "--labels", "cat,dog"), "source: there is no file nothing.jsonl"),
        (("nothing.zip", "--labels", "cat,dog"), "format: .zip tells none; give --format"),
        (("nothing.csv", "--labels", "cat"), "labels: List should have at least 2 items"),
        (("nothing.csv", "--labels", "cat,cat"), "labels: label names must be unique"),
        (("nothing.csv", "--labels", "cat,dog", "--goal", "2"), "accuracy: Input should be less"),
    ],
)
def test_what_cannot_be_a_job_is_told_before_anything_is_sent(
    arguments: tuple[str, ...], message: str
) -> None:
    result = CliRunner().invoke(app, ["submit", *arguments, "--url", "http://127.0.0.1:9"])
    assert (result.exit_code, result.stdout) == (2, "")
    assert message in result.stderr


def test_a_refusal_is_shown_and_as_json_is_the_problem(muster: Muster) -> None:
    for_people = muster("watch", "job-0")
    assert (for_people.exit_code, for_people.stdout) == (3, "")
    assert "there is no such job (404): there is no job job-0" in for_people.stderr
    for_programs = muster("watch", "job-0", "--json")
    assert for_programs.exit_code == 3
    assert last_json(for_programs)["type"] == "urn:muster:problem:job-not-found"


def test_a_wrong_role_is_refused(muster: Muster) -> None:
    result = muster("jobs", role="worker")
    assert result.exit_code == 3
    assert "a worker key may not do this" in result.stderr


def test_silence_is_told_apart_from_refusal(
    muster: Muster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(options, "_RETRIES", Retries(attempts=2, first_wait_s=0.01))
    result = muster("jobs", "--url", "http://127.0.0.1:9")
    assert result.exit_code == 4
    assert "no answer from http://127.0.0.1:9" in result.stderr


def test_a_job_is_followed_to_its_end(world: World, url: str) -> None:
    # Given a job that goes a step on whenever its follower waits
    job = world.submitted()
    states = iter((JobState.INGESTING, JobState.ASKING, JobState.COMPLETED))
    waits: list[float] = []

    def wait(seconds: float) -> None:
        waits.append(seconds)
        world.moved(world.stores.jobs.load(job.job_id), next(states))

    with MusterClient(url, world.key("client")) as client:
        ended = follow(client, job.job_id, wait)
    assert (ended.state, waits) == (JobState.COMPLETED, [LOOK_EVERY_S] * 3)


@pytest.mark.parametrize(
    ("state", "exit_code"),
    [(JobState.COMPLETED, 0), (JobState.FAILED, 1), (JobState.CANCELLED, 1)],
)
def test_watch_ends_as_the_job_did(
    muster: Muster, world: World, state: JobState, exit_code: int
) -> None:
    job = world.moved(world.submitted(), state)
    result = muster("watch", job.job_id, "--json")
    assert (result.exit_code, last_json(result)["state"]) == (exit_code, state)
    assert state in muster("watch", job.job_id).stdout


def test_results_are_lines_on_stdout_or_in_a_file(
    muster: Muster, world: World, tmp_path: Path
) -> None:
    job = world.submitted()
    delivered = deliver(world, job, [3, 2])
    world.moved(job, JobState.COMPLETED)
    lines = muster("results", job.job_id).stdout.splitlines()
    assert [json.loads(line)["item_id"] for line in lines] == delivered
    file = tmp_path / "labels.jsonl"
    result = muster("results", job.job_id, "--follow", "-o", file, "--json")
    assert last_json(result) == {"job_id": job.job_id, "file": str(file), "rows": 5}
    assert file.read_text().splitlines() == lines


def test_the_finished_data_set_comes_as_parquet(
    muster: Muster, world: World, tmp_path: Path
) -> None:
    job = world.submitted()
    early = muster("results", job.job_id, "--format", "parquet", "-o", tmp_path / "labels.parquet")
    assert early.exit_code == 3
    assert "the export is not there yet" in early.stderr
    world.moved(job, JobState.COMPLETED)
    world.stores.objects.write(paths.export(job.job_id, "parquet"), b"PAR1")
    file = tmp_path / "labels.parquet"
    done = muster("results", job.job_id, "--format", "parquet", "--follow", "-o", file)
    assert (done.exit_code, file.read_bytes()) == (0, b"PAR1")
    assert muster("results", job.job_id, "--format", "parquet").exit_code == 2


def test_jobs_are_listed_and_cancelled(muster: Muster, world: World) -> None:
    job = world.submitted()
    assert job.job_id in muster("jobs").stdout
    assert last_json(muster("cancel", job.job_id, "--json"))["cancel_requested"] is True
    assert [found["id"] for found in last_json(muster("jobs", "--json"))["jobs"]] == [job.job_id]
    world.moved(world.stores.jobs.load(job.job_id), JobState.CANCELLED)
    refused = muster("cancel", job.job_id)
    assert refused.exit_code == 3
    assert "is already cancelled" in refused.stderr


def test_a_job_is_paused_amended_and_resumed(muster: Muster, world: World) -> None:
    job = world.submitted()
    assert last_json(muster("pause", job.job_id, "--json"))["paused"] is True
    assert "queued, paused" in muster("pause", job.job_id).stdout
    amended = last_json(muster("amend", job.job_id, "--weight", "2", "--budget", "9", "--json"))
    assert (amended["weight"], amended["budget"]["answers_max"]) == (2.0, 9)
    assert last_json(muster("resume", job.job_id, "--json"))["paused"] is False
    assert muster("amend", job.job_id, "--weight", "0").exit_code == 2
    assert muster("amend", job.job_id).exit_code == 3


def test_a_job_is_followed_event_by_event(muster: Muster, world: World) -> None:
    job = world.moved(world.submitted(), JobState.COMPLETED)
    shown = muster("follow", job.job_id)
    assert shown.exit_code == 0
    assert "the job is queued" in shown.stdout
    lines = muster("follow", job.job_id, "--json").stdout.splitlines()
    assert [json.loads(line).get("kind") for line in lines] == ["submitted", None]
    assert json.loads(lines[-1])["state"] == "completed"
    failed = world.moved(world.submitted(), JobState.FAILED)
    assert muster("follow", failed.job_id, "--after", "1").exit_code == 1
    assert muster("follow", "job-0").exit_code == 3


def test_workers_are_registered_and_listed(muster: Muster) -> None:
    register = ("workers", "register", "ann", "--skill", "birds", "--price", "0.02", "--json")
    worker = last_json(muster(*register, role="worker"))
    assert (worker["skills"], worker["price"]) == (["birds"], 0.02)
    assert last_json(muster("workers", "list", "--json", role="worker"))["workers"] == [worker]
    assert "birds" in muster("workers", "list", role="worker").stdout
    assert muster("workers", "register", "ann", "--price=-1", role="worker").exit_code == 2


def test_work_is_assigned_to_many_workers(muster: Muster, world: World) -> None:
    # Given a job that asks, and two workers
    job = world.asking(["meow", "woof", "hoot", "moo"])
    ann, bob = world.worker("ann"), world.worker("bob")
    # When its owner assigns one of them what is said, and the other as many as all
    made = last_json(muster("assign", job.job_id, f"{ann}=1", bob, "--count", "2", "--json"))
    # Then each has so many leases
    assert [(each["worker_id"], len(each["leases"])) for each in made["assignments"]] == [
        (ann, 1),
        (bob, 2),
    ]
    shown = muster("assign", job.job_id, f"{ann}=1", "--wait-price-per-hour", "1.5")
    assert (shown.exit_code, ann in shown.stdout) == (0, True)


@pytest.mark.parametrize(
    ("worker", "message"),
    [
        ("wrk-1=x", "workers: wrk-1=x is not WORKER or WORKER=COUNT"),
        ("wrk-1=0", "count: Input should be greater"),
        ("w/1", "worker_id: String should match"),
    ],
)
def test_an_assignment_that_says_nothing_sound_is_told_before_it_is_sent(
    worker: str, message: str
) -> None:
    result = CliRunner().invoke(app, ["assign", "job-1", worker, "--url", "http://127.0.0.1:9"])
    assert (result.exit_code, result.stdout) == (2, "")
    assert message in result.stderr


def test_a_worker_is_shown_with_its_figures(muster: Muster, world: World, url: str) -> None:
    ann = world.worker("ann", price=0.5)
    assert last_json(muster("workers", "show", ann, "--json", role="worker"))["totals"] == {
        "answers": 0,
        "earned": 0.0,
        "first_answered_at": None,
        "last_answered_at": None,
    }
    world.asking(["meow"])
    with MusterClient(url, world.key("worker")) as client:
        (offer,) = client.claim(ann)
        client.answer(ann, [AnswerBody(token=offer.token, label="cat")])
    shown = muster("workers", "show", ann, role="worker").stdout
    assert "0.50" in shown
    assert "1970-01-12 13:46:40" in shown
    assert muster("workers", "show", "wrk-0", role="worker").exit_code == 3


def test_a_workers_key_is_cleared_when_it_is_issued(muster: Muster) -> None:
    issue = ("keys", "issue", "hooli", "worker", "--cleared", "--json")
    assert last_json(muster(*issue, role="admin"))["clearances"] == ["pii"]


def test_unmasking_what_is_not_masked_is_wrong_use(muster: Muster, items: Path) -> None:
    asked = muster("submit", items, "--labels", "a,b", "--unmask-for-cleared")
    assert asked.exit_code == 2
    assert "nothing without --mask" in asked.stderr
    assert muster("submit", items, "--labels", "a,b", "--mask", "NAMES").exit_code == 2


def test_models_and_keys(muster: Muster) -> None:
    assert last_json(muster("models", "list", "--json")) == {"models": [], "next_cursor": None}
    assert muster("models", "live", "none").exit_code == 3
    assert muster("models", "versions", "none").exit_code == 3
    issued = last_json(muster("keys", "issue", "hooli", "client", "--json", role="admin"))
    assert muster("jobs", "--key", issued["key"]).exit_code == 0
    assert muster("keys", "revoke", issued["id"], role="admin").exit_code == 0
    assert muster("jobs", "--key", issued["key"]).exit_code == 3


def test_a_model_is_promoted_and_rolled_back(muster: Muster, world: World) -> None:
    add_versions(world, "one", 2)

    step = last_json(muster("models", "promote", "one", "1", "--reason", "better", "--json"))
    assert (step["live"], step["reason"]) == (1, "better")
    refused = muster("models", "rollback", "one", "--expected-live", "0")
    assert (refused.exit_code, "412" in refused.stderr) == (3, True)
    assert "rolled_back" in muster("models", "rollback", "one").stdout
    assert len(last_json(muster("models", "history", "one", "--json"))["steps"]) == 3
    assert "rolled_back" in muster("models", "versions", "one").stdout


def test_a_certificate_is_part_of_how_a_job_ended(muster: Muster, world: World) -> None:
    stratum = Stratum(
        name="overall", items=90, audited=40, accuracy_estimate=0.97, accuracy_lower=0.931
    )
    job = replace(
        world.submitted(),
        progress=Progress(items=90, rejected=2, final=90, answers=100, audit_answers=80, cost=1.8),
        certificate=Certificate(confidence=0.95, strata=(stratum,)),
    )
    world.moved(world.stores.jobs.save(job), JobState.COMPLETED)
    shown = muster("watch", job.job_id).stdout
    assert "accuracy >= 0.931 (40 of 90 audited) at 95%" in shown
    assert "90, 2 rejected" in shown
    assert "2.00" in shown
