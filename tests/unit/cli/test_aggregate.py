import csv
import json
from pathlib import Path

import pytest
import typer
from pyarrow import parquet
from typer.testing import CliRunner, Result

from serve_apps.cli.aggregate import aggregate

ANSWERS = """item,worker,label
a,ann,cat
a,bob,cat
a,cy,dog
b,ann,dog
b,bob,dog
b,cy,dog
c,ann,cat
"""


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "answers.csv"
    path.write_text(ANSWERS)
    return path


def run(*arguments: str | Path) -> Result:
    app = typer.Typer()
    app.command()(aggregate)
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def figures(result: Result) -> dict[str, object]:
    assert result.exit_code == 0, result.output
    found: dict[str, object] = json.loads(result.stdout.splitlines()[-1])
    return found


def test_json_holds_every_documented_figure(table: Path, tmp_path: Path) -> None:
    truth = tmp_path / "gold.csv"
    truth.write_text("item,label\na,cat\nb,cat\nz,dog\n")

    found = figures(run(table, "--truth", truth, "--method", "majority", "--json"))

    assert found == {
        "kind": "classes",
        "method": "majority",
        "accuracy": 0.5,
        "truth_items": 2,
        "answers_per_item": pytest.approx(7 / 3),
        "auto_share": 0.0,
        "certified_accuracy": None,
        "items": 3,
        "answers": 7,
        "workers": 3,
        "classes": 2,
        "iterations": 0,
        "seed": 0,
    }


def test_without_truth_accuracy_is_null(table: Path) -> None:
    found = figures(run(table, "--json"))

    assert found["accuracy"] is None
    assert found["method"] == "opinion-pool"


def test_a_folder_brings_its_own_truth(table: Path) -> None:
    (table.parent / "truth.csv").write_text("item,label\na,cat\nb,dog\n")

    assert figures(run(table.parent, "--json"))["accuracy"] == 1.0


def test_table_shows_accuracy_with_its_counts_and_workers(table: Path) -> None:
    (table.parent / "truth.csv").write_text("item,label\na,cat\nb,dog\nz,dog\n")

    shown = run(table.parent, "-m", "majority").stdout

    assert "1.0000 over 2 answered of 3 items" in shown
    assert "best workers" in shown
    assert "ann" in shown


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
def test_output_has_one_row_an_item(table: Path, tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"labels{suffix}"

    result = run(table, "-m", "majority", "-o", path)

    assert result.exit_code == 0, result.output
    if suffix == ".csv":
        with path.open() as lines:
            rows = list(csv.DictReader(lines))
    elif suffix == ".jsonl":
        rows = [json.loads(line) for line in path.read_text().splitlines()]
    else:
        rows = parquet.read_table(path).to_pylist()
    assert [(row["item_id"], row["label"]) for row in rows] == [
        ("a", "cat"),
        ("b", "dog"),
        ("c", "cat"),
    ]
    assert float(rows[0]["probability"]) == pytest.approx(2 / 3)
    assert [int(row["answers"]) for row in rows] == [3, 3, 1]
    assert 0.0 < float(rows[1]["difficulty"]) < float(rows[0]["difficulty"]) < 1.0


def test_workers_out_has_one_row_a_worker(table: Path, tmp_path: Path) -> None:
    path = tmp_path / "workers.jsonl"

    result = run(table, "--workers-out", path)

    assert result.exit_code == 0, result.output
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    assert [(row["worker_id"], row["answers"]) for row in rows] == [
        ("ann", 3),
        ("bob", 2),
        ("cy", 2),
    ]
    for row in rows:
        assert 0.0 <= row["lower"] < row["accuracy"] < row["upper"] <= 1.0
        assert 0.0 < row["spam"] < 1.0


def test_workers_are_judged_by_classes_alone(tmp_path: Path) -> None:
    path = tmp_path / "answers.csv"
    path.write_text("item,worker,label\na,ann,1.5\na,bob,2.5\n")

    result = run(path, "--workers-out", tmp_path / "workers.csv")

    assert result.exit_code == 2
    assert "not by numbers" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--method", "oracle"], "oracle"),
        (["--output", "labels.xml"], "must end in"),
        (["--output", "nowhere/labels.csv"], "no folder nowhere"),
        (["--item-column", "hit"], "no column 'hit'"),
        (["--truth", "nowhere.csv"], "no such file"),
    ],
)
def test_bad_input_is_named_without_a_traceback(
    table: Path, arguments: list[str], said: str
) -> None:
    result = run(table, *arguments)

    assert result.exit_code == 2
    assert said in result.stderr
    assert "Traceback" not in result.output
