"""What earlier jobs of a line add to a snapshot, and what no job may learn from."""

import json
from dataclasses import replace
from hashlib import sha256
from typing import BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from cluster import paths
from cluster.domain.ids import JobId
from cluster.domain.models import Lineage
from cluster.ports import ObjectStore
from cluster.stores.objects import MemoryObjects
from tests.unit.training.worlds import JOB, LINE, Points, World
from training.building import SAMPLE_CHUNKS, build_snapshot
from training.drift import FALSE_ALARM
from training.held_out import held_out, keep_out
from training.snapshot import Replayed, Snapshot, find_snapshot, read_training

NEXT = JobId("job-2")
ITEMS = 400


class Watched(MemoryObjects):
    """An object store that remembers what was read of it."""

    def __init__(self) -> None:
        super().__init__()
        self.opened: list[str] = []

    def open_input(self, path: str) -> BinaryIO:
        self.opened.append(path)
        return super().open_input(path)


def a_line(objects: ObjectStore | None = None) -> tuple[World, World]:
    """Return two jobs of one line, of which the first has trained version 1.

    Their items are numbered alike and so have equal contents: the first has 400, the second 200.
    """
    first = World.after_round(items=ITEMS, objects=objects)
    snapshot = build_snapshot(first.stores, first.job, 1)
    lineage = Lineage(
        job_id=JOB,
        round=1,
        parent=0,
        recipe="text_head",
        snapshot_path=snapshot.folder,
        snapshot_hash=snapshot.hash,
        code_version="test",
        seed=7,
    )
    live = first.stores.models.live(LINE)
    spec = replace(live.spec, version=1, weights_path="models/one")
    first.stores.models.add(replace(live, spec=spec, lineage=lineage))
    return first, first.then(NEXT, items=200, seed=5)


def test_the_rows_of_an_earlier_job_come_behind_the_jobs_own() -> None:
    # Given a second job of the line; every fourth item of both is audited
    first, second = a_line()

    # When its snapshot is built
    snapshot = build_snapshot(second.stores, second.job, 1)

    # Then it holds its own rows, then all of the first job's, and the manifest says so
    data = read_training(second.stores.objects, snapshot)
    own, replayed = np.flatnonzero(np.arange(200) % 4), np.flatnonzero(np.arange(ITEMS) % 4)
    np.testing.assert_array_equal(data.features[: len(own)], second.points.features[own])
    np.testing.assert_array_equal(data.features[len(own) :], first.points.features[replayed])
    (said,) = snapshot.replayed
    assert said == Replayed(job_id=JOB, round=1, rows=300, drift_p_value=said.drift_p_value)
    assert said.drift_p_value > FALSE_ALARM
    assert snapshot.own_rows == len(own)
    assert find_snapshot(second.stores.objects, NEXT, 1) == snapshot


def test_a_round_reads_no_chunk_of_an_earlier_job_that_the_round_before_has_read() -> None:
    # Given a job that has learnt from the rows of an earlier one
    objects = Watched()
    _, second = a_line(objects)
    build_snapshot(second.stores, second.job, 1)
    second.next_round()
    job = second.stores.jobs.load(NEXT)
    chunks = [path for path in objects.list(paths.job(JOB)) if "/features/" in path]

    # When its next round does
    objects.opened.clear()
    snapshot = build_snapshot(second.stores, job, 2)

    # Then of the earlier job's chunks it has read those alone that tell of drift
    read = [path for path in objects.opened if path in chunks]
    assert len(read) == SAMPLE_CHUNKS < len(chunks)
    # And it is the snapshot that it would be if it had read them all
    kept = paths.replayed(NEXT, JOB)
    for spoil in (objects.delete, lambda path: objects.write(path, b"PAR1 broken")):
        spoil(kept)
        objects.delete(f"{snapshot.folder}/manifest.json")
        assert build_snapshot(second.stores, job, 2) == snapshot
    assert snapshot.replayed


def test_what_was_kept_of_an_earlier_job_is_not_learnt_once_it_is_held_out() -> None:
    # Given a job that keeps what it has read of an earlier one
    first, second = a_line()
    before = build_snapshot(second.stores, second.job, 1)
    # When another job of the line audits some of these contents
    third = first.then(JobId("job-3"), items=ITEMS, seed=9)
    audited = np.arange(ITEMS)[1::4]
    keep_out(third.stores, third.job, audited)
    second.next_round()
    after = build_snapshot(second.stores, second.stores.jobs.load(NEXT), 2)
    # Then it learns from these no more
    assert before.replayed[0].rows == 300
    assert after.replayed[0].rows == 200


def test_what_any_job_of_the_line_audits_is_learnt_by_none() -> None:
    # Given a second job that asks about items which the first one audits, and audits others
    first, second = a_line()
    positions = np.arange(200)
    audit = pa.array(positions % 4 == 1)
    second.store_consensus({**second.consensus(), "audit": audit, "audited": audit})

    # When its snapshot is built
    snapshot = build_snapshot(second.stores, second.job, 1)

    # Then neither what it audits nor what the first one audited is among its rows
    data = read_training(second.stores.objects, snapshot)
    own = np.flatnonzero((positions % 4 != 0) & (positions % 4 != 1))
    replayed = np.flatnonzero(
        (np.arange(ITEMS) % 4 != 0) & ~((np.arange(ITEMS) % 4 == 1) & (np.arange(ITEMS) < 200))
    )
    np.testing.assert_array_equal(data.features[: len(own)], second.points.features[own])
    np.testing.assert_array_equal(data.features[len(own) :], first.points.features[replayed])


def test_what_was_audited_is_known_after_the_job_is_deleted() -> None:
    first, second = a_line()
    audited = {hash_ for n, hash_ in enumerate(first.content_hashes()) if n % 4 == 0}
    for path in list(first.stores.objects.list(paths.job(JOB))):
        first.stores.objects.delete(path)

    snapshot = build_snapshot(second.stores, second.job, 1)

    assert audited <= held_out(second.stores.objects, LINE)
    assert snapshot.replayed == ()
    assert snapshot.train.rows == 150


def test_an_earlier_job_without_features_adds_nothing() -> None:
    first, second = a_line()
    first.stores.objects.delete(paths.features(JOB, "minilm", 3))

    snapshot = build_snapshot(second.stores, second.job, 1)

    assert snapshot.replayed == ()
    assert snapshot.train.rows == snapshot.own_rows == 150


def test_manifests_of_before_are_read_as_they_were_sealed() -> None:
    # Given the manifest of a release that knew of neither earlier jobs nor contents
    world = World.after_round()
    fields = json.loads(build_snapshot(world.stores, world.job, 1).to_json())
    older = {name: fields[name] for name in fields if name not in ("replayed", "inputs")}
    unsealed = json.dumps({**older, "hash": ""}, indent=2, sort_keys=True).encode()
    sealed = {**older, "hash": sha256(unsealed).hexdigest()}

    # Then it is read, and has none
    snapshot = Snapshot.of_json(json.dumps(sealed).encode())
    assert (snapshot.replayed, snapshot.inputs) == ((), "features")


def test_rows_of_earlier_jobs_are_told_from_the_manifest() -> None:
    _, second = a_line()
    snapshot = build_snapshot(second.stores, second.job, 1)

    assert Snapshot.of_json(snapshot.to_json()) == snapshot
    with second.stores.objects.open_input(f"{snapshot.folder}/train.parquet") as stream:
        assert pq.read_metadata(stream).num_rows == snapshot.train.rows == 150 + 300


def test_a_job_of_other_items_is_said_to_have_drifted() -> None:
    # Given a second job whose items lie elsewhere
    first, second = a_line()
    elsewhere = World(
        second.stores,
        Points(second.points.features + 3.0, second.points.labels),
        second.job,
    )
    for chunk in elsewhere.chunks():
        rows = slice(chunk.first_position, chunk.first_position + chunk.rows)
        elsewhere.store_features(chunk, elsewhere.points.features[rows], [None] * chunk.rows)

    # When its snapshot is built
    snapshot = build_snapshot(first.stores, second.job, 1)

    # Then the manifest says that the items differ
    assert snapshot.replayed[0].drift_p_value <= FALSE_ALARM
