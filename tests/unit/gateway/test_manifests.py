"""SageMaker Ground Truth manifests: read as jobs, written with labels, and read again."""

import json
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cluster import paths
from cluster.domain.ids import JobId
from cluster.result_writer import DecidedLabels, ResultWriter
from cluster.runner import JobDesk
from serve_apps.export import ExportStage
from serve_apps.prelabel.image import sample_png
from tests.unit.gateway.running import run_job
from tests.unit.gateway.world import World, problem
from tests.unit.ingest.support import JOB, SETTINGS, Ingested, StepClock, ingest, source

Extras = dict[str, Any]

SOURCES: list[dict[str, object]] = [
    {"source": "I want my money back", "ticket": 7, "tags": ["a", {"b": None}]},
    {"source": "Wo ist mein Päckchen?", "ratio": 0.1},
    {"source": "I cannot log in", "urgency": 1, "urgency-metadata": {"job-name": "old"}},
]


def lines_of(content: bytes) -> list[dict[str, Any]]:
    return [json.loads(line) for line in content.splitlines()]


def manifest_of(*lines: object) -> bytes:
    return b"".join(
        (line if isinstance(line, bytes) else json.dumps(line).encode()) + b"\n" for line in lines
    )


def submitted(world: World, content: bytes, **changes: object) -> str:
    """Upload a manifest, submit a job over it that buys no answers, and return its id."""
    upload = world.call("POST", "/v1/uploads", "client", content=content).json()
    body: dict[str, object] = {
        "name": "tickets",
        "modality": "text",
        "labels": ["refund", "delivery", "login"],
        "base_model": "fake",
        "budget": {"answers_max": 0},
        "upload_id": upload["id"],
        "format": "manifest",
    }
    response = world.post("/v1/jobs", {**body, **changes})
    assert response.status_code == 201, response.text
    return str(response.json()["id"])


def exported(world: World, job_id: str) -> bytes:
    response = world.get(f"/v1/jobs/{job_id}/export", params={"format": "manifest"})
    assert response.status_code == 200, response.text
    return response.content


def test_a_manifest_comes_back_with_its_labels(world: World) -> None:
    # Given a manifest with a blank line and some that are wrong
    wrong = ({"source": 5}, {"source-ref": "s3://bucket/1.png"}, {"source": "x", "$id": 1}, b"{")
    content = manifest_of(SOURCES[0], b"", *wrong, *SOURCES[1:])
    job_id = submitted(world, content, label_field="topic")
    # When its job has ended
    assert run_job(world, job_id).progress.rejected == 4
    found = exported(world, job_id)
    # Then each sound line comes back as it was, in order, with its label and what is known of it
    results = world.get(f"/v1/jobs/{job_id}/results").json()["results"]
    assert sorted(result["item_id"] for result in results) == ["1", "7", "8"]
    by_line = {result["item_id"]: result for result in results}
    for line, original, number in zip(lines_of(found), SOURCES, ("1", "7", "8"), strict=True):
        label = line.pop("topic")
        metadata = line.pop("topic-metadata")
        assert line == original
        assert metadata["class-name"] == by_line[number]["label"]
        assert ["refund", "delivery", "login"][label] == metadata["class-name"]
        assert metadata["confidence"] == pytest.approx(by_line[number]["probability"])
        assert metadata["type"] == "groundtruth/text-classification"
        assert metadata["human-annotated"] == "no"
        assert metadata["job-name"] == f"labeling-job/{job_id}"
        assert metadata["creation-date"].startswith("1970-01-12T")
    errors = lines_of(world.get(f"/v1/jobs/{job_id}/errors").content)
    assert [(row["line"], row["code"]) for row in errors] == [
        (3, "field-type"),
        (4, "field-missing"),
        (5, "request-unsupported"),
        (6, "json-malformed"),
    ]


def test_what_one_job_wrote_the_next_one_reads(world: World) -> None:
    # Given the manifest of a job
    first = submitted(world, manifest_of(*SOURCES), label_field="topic")
    run_job(world, first)
    labelled = exported(world, first)
    # When another job adds its label, and a third writes the first one's anew
    second = submitted(world, labelled, label_field="mood", labels=["glad", "sad"])
    run_job(world, second)
    third = submitted(world, exported(world, second), label_field="topic", labels=["no", "yes"])
    run_job(world, third)
    # Then all labels stand side by side, and the newest of a name alone
    for before, line in zip(
        lines_of(exported(world, second)), lines_of(exported(world, third)), strict=True
    ):
        assert line["mood"] == before["mood"]
        assert line["topic-metadata"]["class-name"] in ("no", "yes")
        assert line.keys() == before.keys()
        assert before["topic-metadata"]["class-name"] in ("refund", "delivery", "login")


def test_images_are_named_by_reference(world: World) -> None:
    (world.inbox / "a.png").write_bytes(sample_png())
    images: list[dict[str, object]] = [
        {"source-ref": f"file://{world.inbox}/a.png", "shop": 3},
        {"source-ref": f"file://{world.inbox}/../a.png"},
    ]
    job_id = submitted(world, manifest_of(*images), modality="image")
    run_job(world, job_id)
    (line,) = lines_of(exported(world, job_id))
    assert line.items() >= images[0].items()
    assert line["label-metadata"]["type"] == "groundtruth/image-classification"
    (error,) = lines_of(world.get(f"/v1/jobs/{job_id}/errors").content)
    assert (error["line"], error["code"], error["field"]) == (2, "uri-forbidden", "source-ref")


def test_a_source_that_is_gone_costs_the_manifest_and_nothing_else(world: World) -> None:
    # Given a job whose source changes after it was read
    file: Path = world.inbox / "tickets.manifest"
    file.write_bytes(manifest_of(*SOURCES))
    job_id = submitted(world, b"{}", upload_id=None, uri=f"file://{file}")
    run_job(world, job_id)
    whole = exported(world, job_id)
    again = submitted(world, b"{}", upload_id=None, uri=f"file://{file}")
    file.write_bytes(manifest_of(*SOURCES))
    assert lines_of(whole)[0].items() >= SOURCES[0].items()

    def change(_: JobId) -> None:
        file.write_bytes(manifest_of(*reversed(SOURCES)))

    run_job(world, again, before_export=change)
    # Then its labels are there, and the manifest is refused for its reason
    assert len(lines_of(world.get(f"/v1/jobs/{again}/export").content)) == 3
    refused = world.get(f"/v1/jobs/{again}/export", params={"format": "manifest"})
    assert "had changed" in problem(refused, 422, "unreadable-source").detail
    events = world.get(f"/v1/jobs/{again}/events").json()["events"]
    assert "export.manifest_missing" in [event["kind"] for event in events]


def test_a_job_of_another_source_has_no_manifest(world: World) -> None:
    job_id = submitted(world, manifest_of({"id": "a", "text": "x"}), format="jsonl")
    run_job(world, job_id)
    refused = world.get(f"/v1/jobs/{job_id}/export", params={"format": "manifest"})
    assert "did not come from a manifest" in problem(refused, 422, "invalid-field").detail


@pytest.mark.parametrize("name", ["source", "x-ref", "x-metadata", "-x", "x_y", "x" * 128, "ä"])
def test_a_name_that_manifests_cannot_have_is_refused(world: World, name: str) -> None:
    upload = world.call("POST", "/v1/uploads", "client", content=b"{}").json()
    changes = {"upload_id": upload["id"], "format": "manifest", "label_field": name}
    body = {"name": "a", "modality": "text", "labels": ["a", "b"], **changes}
    refused = problem(world.post("/v1/jobs", body), 422, "invalid-field")
    assert [error.pointer for error in refused.errors] == ["#/label_field"]
    problem(world.post("/v1/jobs", {**body, "format": "jsonl"}), 422, "invalid-field")


def test_numbers_and_texts_that_few_can_hold_come_back(world: World) -> None:
    line = rb'{"source": "x", "big": 1e400, "whole": 123456789012345678901, "half": "\ud800"}'
    job_id = submitted(world, line)
    run_job(world, job_id)
    content = exported(world, job_id)
    assert b'"big": "1e400"' in content
    (found,) = lines_of(content)
    assert (found["whole"], found["half"]) == (123456789012345678901, "\ud800")
    assert paths.export(JobId(job_id), "manifest") in list(world.stores.objects.list("jobs"))


WORDS = st.text(st.characters(exclude_categories=["Cs"]), max_size=9)
KEYS = WORDS.filter(lambda key: not key.startswith("$") and key not in ("source", "topic"))
EXTRAS = st.dictionaries(
    KEYS,
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats(allow_nan=False, allow_infinity=False)
        | WORDS,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
        max_leaves=5,
    ),
    max_size=3,
)
LINES = st.lists(st.tuples(EXTRAS, WORDS), max_size=12)


@settings(max_examples=60, deadline=None)
@given(lines=LINES, codes=st.randoms(use_true_random=False))
def test_any_manifest_comes_back_and_is_one(lines: list[tuple[Extras, str]], codes: Random) -> None:
    # Given any lines, some without a text, and a job that has labelled those with one
    given_lines = [{**extras, "source": text} for extras, text in [*lines, ({}, "a text")]]
    spec_source = source("manifest", label_field="topic")
    found = ingest(manifest_of(*given_lines), spec_source)
    labels = [codes.randrange(2) for _ in found.items]
    deliver_all(found, labels)
    # When it is exported
    stored = found.stores.jobs.load(JOB)
    desk = JobDesk(stored, found.stores.jobs, found.stores.events, StepClock())
    ExportStage(found.stores, SETTINGS).run(desk)
    written = found.stores.objects.read(paths.export(JOB, "manifest"))
    # Then each item's line is there as it was, in order, with its label
    sound = [line for line in given_lines if line["source"].strip()]
    out = lines_of(written)
    assert [line.pop("topic") for line in out] == labels
    assert [line.pop("topic-metadata")["class-name"] for line in out] == [
        ("yes", "no")[label] for label in labels
    ]
    assert out == sound
    # And the manifest is a source with the same items
    again = ingest(written, spec_source)
    assert [text for _, _, text in again.items] == [text for _, _, text in found.items]
    assert again.progress.rejected == 0


def deliver_all(found: Ingested, labels: list[int]) -> None:
    """Deliver a label for every item, in two segments."""
    job = found.stores.jobs.load(JOB)
    writer = ResultWriter(found.stores, JOB, job.spec.label_set)
    half = len(labels) // 2
    for positions in (range(half, len(labels)), range(half)):
        count = len(positions)
        writer.append(
            DecidedLabels(
                positions=np.array(positions, dtype=np.int64),
                label=np.array([labels[at] for at in positions], dtype=np.int64),
                probability=np.full(count, 0.75),
                decided_by=["crowd"] * count,
                answers=np.ones(count, dtype=np.int32),
                model_version=np.zeros(count, dtype=np.int32),
                audited=np.zeros(count, dtype=np.bool_),
                revision=np.zeros(count, dtype=np.int32),
                difficulty=np.zeros(count, dtype=np.int8),
            )
        )
