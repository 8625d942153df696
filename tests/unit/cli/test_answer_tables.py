import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from cluster.errors import (
    BadInput,
    EmptySource,
    InvalidField,
    MissingColumn,
    TooLarge,
    UnreadableSource,
)
from serve_apps.answer_tables import AnswerTable, ColumnNames, read_answers, read_truth

ROWS = [("a", "ann", "cat"), ("a", "bob", "dog"), ("b", "ann", "dog"), ("c", "cy", "cat")]


def write(path: Path, header: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> Path:
    columns = {name: [row[at] for row in rows] for at, name in enumerate(header)}
    if path.suffix == ".parquet":
        parquet.write_table(pa.table(columns), path)
    elif path.suffix == ".jsonl":
        path.write_text(
            "".join(json.dumps(dict(zip(header, row, strict=True))) + "\n" for row in rows)
        )
    else:
        comma = "\t" if path.suffix == ".tsv" else ","
        path.write_text("\n".join(comma.join(row) for row in [header, *rows]) + "\n")
    return path


def check(table: AnswerTable) -> None:
    assert table.item_ids == ("a", "b", "c")
    assert table.worker_ids == ("ann", "bob", "cy")
    assert table.label_names == ("cat", "dog")
    np.testing.assert_array_equal(table.votes.items, [0, 0, 1, 2])
    np.testing.assert_array_equal(table.votes.workers, [0, 1, 0, 2])
    np.testing.assert_array_equal(table.votes.labels, [0, 1, 1, 0])


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".jsonl", ".parquet"])
@pytest.mark.parametrize(
    "header",
    [
        ("item_id", "worker_id", "label"),
        ("question", "worker", "answer"),
        ("Task", "Performer", "Response"),
    ],
)
def test_every_format_and_usual_name_reads_alike(
    tmp_path: Path, suffix: str, header: tuple[str, ...]
) -> None:
    check(read_answers(write(tmp_path / f"given{suffix}", header, ROWS)))


def test_columns_can_be_named_and_others_are_ignored(tmp_path: Path) -> None:
    rows = [(*row, "x") for row in ROWS]
    path = write(tmp_path / "given.csv", ("hit", "who", "said", "label"), rows)

    check(read_answers(path, ColumnNames(item="hit", worker="who", label="said")))


def test_quoted_text_bom_and_leading_zeros_survive(tmp_path: Path) -> None:
    path = tmp_path / "given.csv"
    path.write_text('\ufeffitem,worker,label\n007,"a,b","two\nlines"\n', encoding="utf-8")

    table = read_answers(path)

    assert (table.item_ids, table.worker_ids) == (("007",), ("a,b",))
    assert table.label_names == ("two\nlines",)


def test_whole_numbers_are_classes_in_numeric_order(tmp_path: Path) -> None:
    rows = [("a", "w", label) for label in ("10", "9", "-1")]

    table = read_answers(write(tmp_path / "given.csv", ("item", "worker", "label"), rows))

    assert table.label_names == ("-1", "9", "10")
    np.testing.assert_array_equal(table.votes.labels, [2, 1, 0])


def test_codes_in_parquet_are_read_as_texts(tmp_path: Path) -> None:
    path = tmp_path / "answers.parquet"
    parquet.write_table(
        pa.table({"item": [7, 7, 8], "worker": [1, 2, 1], "label": [True, False, True]}), path
    )

    table = read_answers(tmp_path)

    assert (table.item_ids, table.label_names) == (("7", "8"), ("false", "true"))


@pytest.mark.parametrize(
    ("text", "error", "said"),
    [
        ("item,worker\na,w\n", MissingColumn, "label or answer or response"),
        ("item,worker,label\n", EmptySource, "no rows"),
        ("", EmptySource, "no rows"),
        ("item,worker,label\na,w,x\nb,,y\n", InvalidField, "worker: row 2"),
        ("item,worker,label\na,w,\n", InvalidField, "label: row 1"),
        ("item,worker,label\n ,w,x\n", InvalidField, "item: row 1"),
        ("item,worker,label\na,w,3\nb,w,2.5\n", InvalidField, "label: row 2 .* the number 2.5"),
        ("item,worker,label\na,w\n", UnreadableSource, "well-formed"),
    ],
)
def test_faults_are_named_with_column_and_row(
    tmp_path: Path, text: str, error: type[BadInput], said: str
) -> None:
    path = tmp_path / "given.csv"
    path.write_text(text)

    with pytest.raises(error, match=said):
        read_answers(path)


def test_numbers_in_parquet_are_not_classes(tmp_path: Path) -> None:
    path = tmp_path / "given.parquet"
    parquet.write_table(pa.table({"item": ["a"], "worker": ["w"], "label": [25.0]}), path)

    with pytest.raises(InvalidField, match=r"label: row 1 .* 25\.0; labels must be classes"):
        read_answers(path)


def test_a_null_in_parquet_is_named(tmp_path: Path) -> None:
    path = tmp_path / "given.parquet"
    parquet.write_table(
        pa.table({"item": ["a", "b"], "worker": ["w", "w"], "label": ["x", None]}), path
    )

    with pytest.raises(InvalidField, match="label: row 2"):
        read_answers(path)


def test_a_column_of_lists_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "given.jsonl"
    path.write_text('{"item": "a", "worker": "w", "label": ["x"]}\n')

    with pytest.raises(InvalidField, match="label"):
        read_answers(path)


def test_free_text_is_not_a_label_set(tmp_path: Path) -> None:
    rows = [("a", "w", f"text {n}") for n in range(1_001)]

    with pytest.raises(TooLarge, match="labels"):
        read_answers(write(tmp_path / "given.csv", ("item", "worker", "label"), rows))


@pytest.mark.parametrize("name", ["missing.csv", "notes.txt", "."])
def test_what_is_no_table_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "notes.txt").write_text("x")

    with pytest.raises(UnreadableSource):
        read_answers(tmp_path / name)


def test_a_damaged_parquet_is_refused(tmp_path: Path) -> None:
    (tmp_path / "answers.parquet").write_bytes(b"PAR1 but not really")

    with pytest.raises(UnreadableSource):
        read_answers(tmp_path)


class TestTruth:
    def test_only_answered_items_count(self, tmp_path: Path) -> None:
        table = read_answers(write(tmp_path / "answers.csv", ("item", "worker", "label"), ROWS))
        known = [("c", "cat"), ("a", "dog"), ("z", "dog"), ("b", "fox")]
        write(tmp_path / "truth.csv", ("question", "truth"), known)

        truth = read_truth(tmp_path, table)

        np.testing.assert_array_equal(truth.codes, [1, 2, 0])
        assert (truth.known, truth.rows) == (3, 4)
        assert truth.accuracy(np.array([1, 1, 0])) == pytest.approx(2 / 3)

    def test_without_common_items_accuracy_is_unknown(self, tmp_path: Path) -> None:
        table = read_answers(write(tmp_path / "answers.csv", ("item", "worker", "label"), ROWS))
        path = write(tmp_path / "gold.csv", ("item", "label"), [("z", "cat")])

        truth = read_truth(path, table)

        assert truth.accuracy(np.array([0, 0, 0])) is None
        assert truth.known == 0
