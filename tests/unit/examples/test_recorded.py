"""Folders of recorded answers as input; a small one made here, and real ones where there are."""

import json
import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from examples.demo.recorded import load_recorded, load_recording, save_recording


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write(tmp_path / "items.parquet", item_id=["a", "b", "c", "d"], text=["one", "two", "two", "x"])
    write(
        tmp_path / "answers.parquet",
        item_id=["a", "b", "a", "c", "b", "a"],
        worker_id=["w1", "w1", "w2", "w2", "w3", "w3"],
        label=["no", "yes", "yes", "no", "yes", "no"],
    )
    write(tmp_path / "truth.parquet", item_id=["a", "c"], label=["no", "no"])
    (tmp_path / "meta.json").write_text(json.dumps({"name": "small_set", "labels": ["no", "yes"]}))
    return tmp_path


def test_answered_items_become_the_job(folder: Path) -> None:
    dataset, recording = load_recorded(folder, items_max=10, seed=0)
    # "c" repeats the text of "b", nobody answered "d".
    assert [item.item_id for item in dataset.items] == ["a", "b"]
    assert (dataset.modality, dataset.base_model) == ("text", "minilm")
    assert dataset.gold == {"a": "no"}
    assert recording.truth.tolist() == [0, -1]
    assert recording.names == ("w1", "w2", "w3")
    assert recording.answers_per_item().tolist() == [3, 2]


def test_votes_are_the_answers_as_a_table(folder: Path) -> None:
    _, recording = load_recorded(folder, items_max=10, seed=0)
    assert recording.votes().tolist() == [[0, 1], [1, 1], [0, -1]]


def test_a_sample_is_drawn_by_the_seed(folder: Path) -> None:
    drawn = {
        load_recorded(folder, items_max=1, seed=seed)[0].items[0].item_id for seed in range(20)
    }
    assert drawn == {"a", "b"}


def test_a_recording_survives_its_file(folder: Path, tmp_path: Path) -> None:
    _, recording = load_recorded(folder, items_max=10, seed=0)
    save_recording(recording, tmp_path / "recording.npz")
    loaded = load_recording(tmp_path / "recording.npz")
    assert (loaded.keys, loaded.names) == (recording.keys, recording.names)
    assert np.array_equal(loaded.votes(), recording.votes())
    assert np.array_equal(loaded.truth, recording.truth)


@pytest.mark.parametrize("name", ["sentiment_polarity-mini", "cifar10n_10k-mini"])
def test_real_sets_are_read(name: str) -> None:
    root = os.environ.get("MUSTER_DATA")
    if root is None:
        pytest.skip("MUSTER_DATA names no folder of real data sets")
    dataset, recording = load_recorded(Path(root) / "loop" / name, items_max=200, seed=0)
    assert len(dataset.items) == 200
    assert recording.answers_per_item().min() >= 3
    assert (recording.truth >= 0).all()


def write(path: Path, **columns: list[str]) -> None:
    pq.write_table(pa.table(columns), path)
