"""Snapshots: the right rows, always the same, and never a broken one."""

import json
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from io import BytesIO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cluster import paths
from cluster.domain.items import fold_of
from cluster.errors import TrainingFailed
from tests.model_lines import go_live
from tests.unit.training.encoders import TINY_BERT, backbone, data_of, texts
from tests.unit.training.worlds import JOB, LINE, NAMES, Points, World, a_job
from training.building import build_snapshot
from training.config import Recipe, TunedEncoder
from training.data import TrainingData
from training.plan import TrainingPlan
from training.recipes import text_head, text_lora
from training.snapshot import find_snapshot, read_audit, read_judged, read_training
from training.tables import lists_of

FOLDER = paths.snapshot(JOB, 1)


def test_a_snapshot_holds_every_trainable_item_and_no_audit_item() -> None:
    world = World.after_round(items=430)

    snapshot = build_snapshot(world.stores, world.job, 1)

    data = read_training(world.stores.objects, snapshot)
    audit = read_audit(world.stores.objects, snapshot)
    learnt = np.flatnonzero(np.arange(430) % 4)
    np.testing.assert_array_equal(data.features, world.points.features[learnt])
    np.testing.assert_allclose(data.targets, world.points.targets(0.1)[learnt])
    np.testing.assert_array_equal(audit.positions, np.arange(0, 430, 4))
    np.testing.assert_array_equal(audit.features, world.points.features[::4])
    np.testing.assert_allclose(audit.posterior, world.points.targets(0.1, seed=1)[::4])
    assert (snapshot.train.rows, snapshot.audit.rows) == (len(learnt), 108)


def test_a_model_is_judged_on_audited_and_taught_items_of_its_own_job() -> None:
    world = World.after_round(items=430)

    judged = read_judged(world.stores.objects, build_snapshot(world.stores, world.job, 1))

    # Given every fourth item audited, and all others taught
    assert judged.positions.tolist() == list(range(430))
    np.testing.assert_array_equal(judged.features, world.points.features)
    audited = np.arange(430) % 4 == 0
    np.testing.assert_array_equal(judged.audited, audited)
    taught, checked = world.points.targets(0.1), world.points.targets(0.1, seed=1)
    np.testing.assert_allclose(judged.posterior, np.where(audited[:, None], checked, taught))


def test_folds_are_those_of_the_contents() -> None:
    world = World.after_round()

    snapshot = build_snapshot(world.stores, world.job, 1)

    audit = read_audit(world.stores.objects, snapshot)
    hashes = world.content_hashes()
    expected = [fold_of(hashes[position], text_head().folds) for position in audit.positions]
    assert audit.folds.tolist() == expected
    assert snapshot.folds == text_head().folds


@pytest.mark.usefixtures("hub")
def test_a_recipe_that_reads_contents_finds_them_beside_the_features() -> None:
    contents, labels = texts(60)
    points = Points(data_of(contents, labels, backbone()).features, labels)
    world = World.of_texts(points, contents, TINY_BERT, "lora")

    snapshot = build_snapshot(world.stores, world.job, 1)

    data = read_training(world.stores.objects, snapshot)
    audit = read_audit(world.stores.objects, snapshot)
    assert (snapshot.inputs, snapshot.folds) == ("texts", 2)
    assert audit.contents == contents[::4]
    learnt = [each for row, each in enumerate(contents) if row % 4 and each not in contents[::4]]
    assert data.contents == learnt
    np.testing.assert_array_equal(audit.features, points.features[::4])


def test_a_recipe_that_reads_features_takes_no_contents_along() -> None:
    world = World.after_round()

    snapshot = build_snapshot(world.stores, world.job, 1)

    assert snapshot.inputs == "features"
    assert read_training(world.stores.objects, snapshot).contents == ()
    stored = pq.read_table(BytesIO(world.stores.objects.read(f"{FOLDER}/train.parquet")))
    assert stored["content"].null_count == len(stored)


def test_a_snapshot_from_before_there_were_contents_is_read() -> None:
    # Given a round's files as they were: no column of contents, and a manifest without inputs
    world = World.after_round()
    objects = world.stores.objects
    before = build_snapshot(world.stores, world.job, 1)
    fields = json.loads(before.to_json())
    for part in ("train", "audit"):
        table = pq.read_table(BytesIO(objects.read(f"{FOLDER}/{part}.parquet")))
        with objects.open_output(f"{FOLDER}/{part}.parquet") as sink:
            pq.write_table(table.drop_columns(["content"]), sink)
        content = objects.read(f"{FOLDER}/{part}.parquet")
        fields[part] |= {"sha256": sha256(content).hexdigest(), "shards": 1}
    del fields["inputs"]
    unsealed = json.dumps({**fields, "hash": ""}, indent=2, sort_keys=True).encode()
    fields["hash"] = sha256(unsealed).hexdigest()
    objects.write(f"{FOLDER}/manifest.json", json.dumps(fields, indent=2, sort_keys=True).encode())
    # When it is looked for
    snapshot = find_snapshot(objects, JOB, 1)
    # Then it is sound, and reads as the features it has
    assert snapshot is not None
    assert (snapshot.inputs, snapshot.hash) == ("features", fields["hash"])
    data = read_training(objects, snapshot)
    assert (len(data), data.contents) == (snapshot.train.rows, ())


def test_runs_of_recipes_that_say_different_things_under_one_name_are_different_runs() -> None:
    world = World.after_round()
    snapshot = build_snapshot(world.stores, world.job, 1)
    one, same, other = text_lora(), text_lora(), text_lora("another/base")

    def run(recipe: Recipe) -> str:
        return TrainingPlan(snapshot=snapshot, recipe=recipe, seed=1).name

    assert one.name == other.name
    assert run(one) == run(same)
    assert run(one) != run(other)
    assert isinstance(one.head, TunedEncoder)
    wider = replace(one, head=replace(one.head, base=replace(one.head.base, rank=16)))
    assert run(one) != run(wider)


def test_a_run_has_no_more_workers_than_are_worth_their_start() -> None:
    world = World.after_round(items=430)
    snapshot = build_snapshot(world.stores, world.job, 1)
    rows = snapshot.train.rows

    def workers(most: int, rows_per_worker_min: int) -> int:
        recipe = replace(text_head(), rows_per_worker_min=rows_per_worker_min)
        return TrainingPlan(snapshot=snapshot, recipe=recipe, seed=1).workers(most)

    assert workers(2, rows // 2) == 2
    assert workers(2, rows // 2 + 1) == 1
    assert workers(4, 10 * rows) == 1
    assert workers(10_000, 1) == snapshot.train.shards


@pytest.mark.parametrize("workers", [1, 2, 3, 7])
def test_workers_share_the_rows_evenly_and_without_overlap(workers: int) -> None:
    world = World.after_round()
    snapshot = build_snapshot(world.stores, world.job, 1)

    shares = [
        read_training(world.stores.objects, snapshot, rank, workers) for rank in range(workers)
    ]

    rows = np.concatenate([share.features for share in shares])
    whole = read_training(world.stores.objects, snapshot).features
    assert sorted(map(tuple, rows)) == sorted(map(tuple, whole))
    sizes = [len(share) for share in shares]
    assert max(sizes) - min(sizes) <= 30


def test_a_worker_with_no_shard_has_no_rows() -> None:
    world = World.after_round()
    snapshot = build_snapshot(world.stores, world.job, 1)

    share = read_training(world.stores.objects, snapshot, rank=999, size=1_000)

    assert (len(share), share.features.shape[1]) == (0, 16)


def test_a_snapshot_is_built_once_and_found_again() -> None:
    world = World.after_round()
    first = build_snapshot(world.stores, world.job, 1)
    world.store_consensus({**world.consensus(noise=0.5)})

    second = build_snapshot(world.stores, world.job, 1)

    assert second == first == find_snapshot(world.stores.objects, JOB, 1)


def test_equal_rounds_have_equal_snapshots_and_others_have_others() -> None:
    first, again, other = World.after_round(), World.after_round(), World.after_round(noise=0.2)

    hashes = [build_snapshot(world.stores, world.job, 1).hash for world in (first, again, other)]

    assert hashes[0] == hashes[1] != hashes[2]


def test_a_build_that_was_cut_off_is_no_snapshot_and_is_built_anew() -> None:
    world = World.after_round()
    whole = build_snapshot(world.stores, world.job, 1)
    world.stores.objects.delete(f"{FOLDER}/manifest.json")
    world.stores.objects.write(f"{FOLDER}/train.parquet", b"half of a file")

    assert find_snapshot(world.stores.objects, JOB, 1) is None
    assert build_snapshot(world.stores, world.job, 1) == whole


def test_items_without_features_are_left_out() -> None:
    world = World.after_round()
    chunk = world.chunks()[0]
    features = world.points.features[:50].copy()
    features[2] = np.nan
    failures: list[str | None] = [None, "not an image", *[None] * 48]
    world.store_features(chunk, features, failures)

    snapshot = build_snapshot(world.stores, world.job, 1)

    assert snapshot.train.rows == 300 - 2


def break_manifest(content: bytes) -> bytes:
    return json.dumps(json.loads(content) | {"folds": 4}).encode()


def flip_a_byte(content: bytes) -> bytes:
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


@pytest.mark.parametrize("name", ["train.parquet", "audit.parquet"])
@pytest.mark.parametrize("damage", [flip_a_byte, lambda content: content[:-9], lambda _: b""])
def test_a_damaged_file_is_noticed(name: str, damage: Callable[[bytes], bytes]) -> None:
    world = World.after_round()
    build_snapshot(world.stores, world.job, 1)
    path = f"{FOLDER}/{name}"
    world.stores.objects.write(path, damage(world.stores.objects.read(path)))

    with pytest.raises(TrainingFailed, match=f"{name} of its snapshot is corrupt"):
        build_snapshot(world.stores, world.job, 1)


@pytest.mark.parametrize("name", ["train.parquet", "audit.parquet"])
def test_a_missing_file_is_noticed(name: str) -> None:
    world = World.after_round()
    build_snapshot(world.stores, world.job, 1)
    world.stores.objects.delete(f"{FOLDER}/{name}")

    with pytest.raises(TrainingFailed, match=f"{name} of its snapshot is missing"):
        build_snapshot(world.stores, world.job, 1)


@pytest.mark.parametrize("damage", [break_manifest, lambda _: b"{}", lambda _: b"\xff"])
def test_a_damaged_manifest_is_noticed(damage: Callable[[bytes], bytes]) -> None:
    world = World.after_round()
    build_snapshot(world.stores, world.job, 1)
    path = f"{FOLDER}/manifest.json"
    world.stores.objects.write(path, damage(world.stores.objects.read(path)))

    with pytest.raises(TrainingFailed, match="manifest of its snapshot is corrupt"):
        build_snapshot(world.stores, world.job, 1)


def test_a_worker_notices_a_shard_that_was_damaged_later() -> None:
    world = World.after_round()
    snapshot = build_snapshot(world.stores, world.job, 1)
    path = f"{FOLDER}/train.parquet"
    content = world.stores.objects.read(path)
    damaged = content[:4] + bytes(byte ^ 0xFF for byte in content[4:600]) + content[600:]
    world.stores.objects.write(path, damaged)

    with pytest.raises(TrainingFailed, match=r"train\.parquet of its snapshot is corrupt"):
        read_training(world.stores.objects, snapshot)


def without_consensus(world: World) -> None:
    world.stores.objects.delete(paths.consensus(JOB, 1))


def without_features(world: World) -> None:
    world.stores.objects.delete(paths.features(JOB, "minilm", 3))


def with_features_of_another_chunk(world: World) -> None:
    objects = world.stores.objects
    other = objects.read(paths.features(JOB, "minilm", 2))
    objects.write(paths.features(JOB, "minilm", 3), other)


def with_one_class(world: World) -> None:
    targets = np.tile(np.array([0.2, 0.7, 0.1], np.float32), (400, 1))
    world.store_consensus({**world.consensus(), "target": lists_of(targets, pa.float32())})


def with_nothing_answered(world: World) -> None:
    world.store_consensus({**world.consensus(), "trainable": pa.array([False] * 400)})


def with_more_classes(world: World) -> None:
    targets = np.tile(np.eye(4, dtype=np.float32), (100, 1))
    world.store_consensus({**world.consensus(), "target": lists_of(targets, pa.float32())})


def with_another_label_set(world: World) -> None:
    other = a_job(names=(*NAMES[:2], "emu"))
    live = world.stores.models.live(LINE)
    changed = replace(live, spec=replace(live.spec, version=1, label_set=other.spec.label_set))
    world.stores.models.add(changed)
    go_live(world.stores.lines, LINE, 1)


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (without_consensus, "consensus/000001.parquet is missing"),
        (without_features, "features/minilm/000003.parquet is missing"),
        (with_features_of_another_chunk, "features of chunk 3 do not fit it"),
        (with_one_class, "fewer than two classes"),
        (with_nothing_answered, "fewer than two classes"),
        (with_more_classes, "consensus has 4 classes, the label set 3"),
        (with_another_label_set, "label set is not that of version 1"),
    ],
)
def test_what_cannot_be_learnt_from_is_a_clear_failure(
    spoil: Callable[[World], None], reason: str
) -> None:
    world = World.after_round()
    spoil(world)

    with pytest.raises(TrainingFailed, match=reason):
        build_snapshot(world.stores, world.job, 1)

    assert find_snapshot(world.stores.objects, JOB, 1) is None


def test_a_consensus_in_another_order_is_the_same_consensus() -> None:
    world, shuffled = World.after_round(), World.after_round()
    order = np.random.default_rng(0).permutation(400)
    columns = shuffled.consensus()
    shuffled.store_consensus({name: column.take(order) for name, column in columns.items()})

    first = build_snapshot(world.stores, world.job, 1)
    second = build_snapshot(shuffled.stores, shuffled.job, 1)

    assert first.hash == second.hash


def test_reading_gives_what_the_step_takes() -> None:
    world = World.after_round()
    data: TrainingData = read_training(
        world.stores.objects, build_snapshot(world.stores, world.job, 1)
    )

    assert [data.features.dtype, data.targets.dtype, data.weights.dtype] == [np.float32] * 3
    assert data.folds.dtype == np.int64
    np.testing.assert_allclose(data.weights, 1.0)
