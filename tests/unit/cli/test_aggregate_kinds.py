"""`muster aggregate` of answers that are not classes: numbers, comparisons, texts."""

import csv
import os
import re
import sys
from dataclasses import fields
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from serve_apps.cli.aggregate_numbers import NumberSummary
from serve_apps.cli.aggregate_pairs import PairSummary
from serve_apps.cli.aggregate_regions import RegionSummary
from serve_apps.cli.aggregate_texts import TextSummary, word_errors
from tests.unit.cli.test_aggregate import figures, run

NUMBERS = """item,worker,value
a,ann,1.5
a,bob,2.5
b,ann,10
b,bob,12
b,cy,11
"""
PAIRS = """left,right,worker,winner
x,y,ann,x
y,z,ann,y
x,z,bob,x
x,y,bob,x
z,y,cy,y
"""
TEXTS = """item,worker,text
a,ann,the cat sat down
a,bob,the cat sat down
a,cy,the bat sat down
b,ann,no
"""
DOCS = Path(__file__).resolve().parents[3] / "docs" / "truth-inference.md"


def write(folder: Path, text: str, name: str = "answers.csv") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def rows(path: Path) -> list[dict[str, str]]:
    with path.open() as lines:
        return list(csv.DictReader(lines))


class TestNumbers:
    def test_json_holds_every_documented_figure(self, tmp_path: Path) -> None:
        write(tmp_path, NUMBERS)
        write(tmp_path, "item,value\na,2.0\nb,13\nz,1\n", "truth.csv")

        found = figures(run(tmp_path, "--method", "mean", "--json"))

        assert found == {
            "kind": "numbers",
            "method": "mean",
            "mae": pytest.approx(1.0),
            "rmse": pytest.approx(2.0**0.5),
            "interval_coverage": pytest.approx(0.5),
            "truth_items": 2,
            "answers_per_item": 2.5,
            "items": 2,
            "answers": 5,
            "answers_set_aside": 0,
            "workers": 3,
            "iterations": 0,
            "seed": 0,
        }

    def test_without_truth_errors_are_null_and_the_default_is_named(self, tmp_path: Path) -> None:
        found = figures(run(write(tmp_path, NUMBERS), "--json"))

        assert found["mae"] is found["rmse"] is found["interval_coverage"] is None
        assert found["method"] == "random-effects"

    def test_each_item_gets_a_value_with_an_interval(self, tmp_path: Path) -> None:
        out = tmp_path / "values.csv"

        assert run(write(tmp_path, NUMBERS), "-m", "median", "-o", out).exit_code == 0

        found = rows(out)
        assert [(row["item_id"], float(row["value"])) for row in found] == [("a", 2.0), ("b", 11.0)]
        assert all(float(row["lower"]) < float(row["value"]) < float(row["upper"]) for row in found)
        assert [row["answers"] for row in found] == ["2", "3"]

    def test_the_table_says_what_was_taken_and_who_is_close(self, tmp_path: Path) -> None:
        write(tmp_path, NUMBERS)
        write(tmp_path, "item,value\na,2.0\n", "truth.csv")

        shown = run(tmp_path).stdout

        for said in ("numbers", "closest workers", "bias", "over 1 answered of 1 items"):
            assert said in shown

    def test_a_column_of_floats_is_numbers(self, tmp_path: Path) -> None:
        path = tmp_path / "answers.parquet"
        table = pa.table({"item": ["a", "a"], "worker": ["v", "w"], "label": [25.0, 80.0]})
        parquet.write_table(table, path)

        assert figures(run(path, "--json"))["kind"] == "numbers"

    def test_whole_numbers_are_classes_unless_told(self, tmp_path: Path) -> None:
        path = write(tmp_path, "item,worker,label\na,v,3\na,w,5\nb,v,4\n")

        assert figures(run(path, "--json"))["kind"] == "classes"
        assert "--kind numbers" in run(path).stdout
        assert figures(run(path, "--kind", "numbers", "--json"))["kind"] == "numbers"

    @pytest.mark.skipif("MUSTER_DATA" not in os.environ, reason="set MUSTER_DATA to real answers")
    def test_a_recorded_crowd_has_the_errors_documented(self) -> None:
        folder = Path(os.environ["MUSTER_DATA"]) / "truth" / "n_emotion"

        mean = figures(run(folder, "-m", "mean", "--json"))
        default = figures(run(folder, "--json"))

        assert (mean["mae"], mean["rmse"]) == (
            pytest.approx(12.02, abs=0.01),
            pytest.approx(17.84, abs=0.01),
        )
        assert (default["mae"], default["rmse"]) == (
            pytest.approx(12.14, abs=0.05),
            pytest.approx(18.66, abs=0.1),
        )

    @pytest.mark.parametrize(
        ("table", "said"),
        [
            ("item,worker,value\na,v,1.5\na,w,nan\n", "value: row 2 .* 'nan', not a finite"),
            ("item,worker,value\na,v,1.5\na,w,inf\n", "value: row 2 .* 'inf', not a finite"),
            ("item,worker,value\na,v,1e999\n", "value: row 1 .* inf, not a finite"),
            ("item,worker,value\na,v,1.5\na,w,cat\n", "value: row 2 .* 'cat', not a finite"),
            ("item,worker,value\na,v,1.5\na,w,\n", "value: row 2 .* empty"),
            ("item,worker,value\n,v,1.5\n", "item: row 1 .* empty"),
            ("item,worker\na,v\n", "no column"),
        ],
    )
    def test_what_is_no_number_is_named_by_row_and_column(
        self, tmp_path: Path, table: str, said: str
    ) -> None:
        result = run(write(tmp_path, table), "--kind", "numbers")

        assert result.exit_code == 2
        assert_said(result.stderr, said)

    def test_nan_in_parquet_is_named_by_its_row(self, tmp_path: Path) -> None:
        path = tmp_path / "answers.parquet"
        table = pa.table({"item": ["a", "a"], "worker": ["v", "w"], "label": [1.0, np.nan]})
        parquet.write_table(table, path)

        assert_said(run(path).stderr, "label: row 2 .* nan, not a finite number")

    def test_a_method_for_classes_is_refused(self, tmp_path: Path) -> None:
        result = run(write(tmp_path, NUMBERS), "-m", "dawid-skene")

        assert result.exit_code == 2
        assert_said(result.stderr, "method: dawid-skene is none of mean, .* for numbers")


class TestPairs:
    def test_json_holds_every_documented_figure(self, tmp_path: Path) -> None:
        truth = write(tmp_path, "item,score\nx,3\ny,2\nz,1\n", "gold.csv")

        found = figures(run(write(tmp_path, PAIRS), "--truth", truth, "--json"))

        assert found.pop("iterations") in range(1, 101)
        assert found == {
            "kind": "pairs",
            "method": "crowd-bradley-terry",
            "agreement": 1.0,
            "rank_correlation": pytest.approx(1.0),
            "truth_items": 3,
            "comparisons_per_item": pytest.approx(10 / 3),
            "items": 3,
            "comparisons": 5,
            "workers": 3,
            "seed": 0,
        }

    def test_items_are_written_strongest_first(self, tmp_path: Path) -> None:
        out = tmp_path / "ranked.csv"

        assert run(write(tmp_path, PAIRS), "-o", out).exit_code == 0

        assert [row["item_id"] for row in rows(out)] == ["x", "y", "z"]

    def test_the_table_says_what_was_taken(self, tmp_path: Path) -> None:
        shown = run(write(tmp_path, PAIRS)).stdout

        assert "pairs" in shown
        assert "least reliable workers" in shown

    @pytest.mark.parametrize(
        ("row", "said"),
        [
            ("x,y,ann,z", "winner: row 1 .* is 'z', neither 'x' nor 'y'"),
            ("x,x,ann,x", "right: row 1 .* compares 'x' with itself"),
            ("x,,ann,x", "right: row 1 .* empty"),
        ],
    )
    def test_what_is_no_comparison_is_named_by_row(
        self, tmp_path: Path, row: str, said: str
    ) -> None:
        result = run(write(tmp_path, f"left,right,worker,winner\n{row}\n"))

        assert result.exit_code == 2
        assert_said(result.stderr, said)


class TestTexts:
    def test_json_holds_every_documented_figure(self, tmp_path: Path) -> None:
        write(tmp_path, TEXTS)
        write(tmp_path, "item,text\na,the cat sat up\nb,no\n", "truth.csv")

        found = figures(run(tmp_path, "--json"))

        assert found == {
            "kind": "texts",
            "method": "rover",
            "word_error_rate": pytest.approx(1 / 5),
            "exact": 0.5,
            "truth_items": 2,
            "answers_per_item": 2.0,
            "items": 2,
            "answers": 4,
            "workers": 3,
            "seed": 0,
        }

    def test_each_item_gets_a_text(self, tmp_path: Path) -> None:
        out = tmp_path / "texts.csv"

        assert run(write(tmp_path, TEXTS), "-o", out).exit_code == 0

        assert [row["text"] for row in rows(out)] == ["the cat sat down", "no"]

    def test_without_crowdkit_the_extra_is_named(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(sys.modules, "crowdkit", None)

        result = run(write(tmp_path, TEXTS))

        assert result.exit_code == 2
        assert "pip install 'muster[structured]'" in result.stderr

    def test_a_text_too_long_to_align_is_named_by_row_and_limit(self, tmp_path: Path) -> None:
        long = "word " * 1_001

        result = run(write(tmp_path, f"item,worker,text\na,v,short\na,w,{long}\n"))

        assert result.exit_code == 2
        assert_said(result.stderr, "row 2 .* has 1,001 words; the limit is 1,000")

    @pytest.mark.parametrize(
        ("text", "reference", "errors"),
        [("a b c", "a b c", 0), ("a c", "a b c", 1), ("a x c d", "a b c", 2), ("", "a b", 2)],
    )
    def test_word_errors_are_counted(self, text: str, reference: str, errors: int) -> None:
        assert word_errors(text, reference) == errors


@pytest.mark.parametrize("summary", [NumberSummary, PairSummary, TextSummary, RegionSummary])
def test_every_key_is_documented(summary: type) -> None:
    section = DOCS.read_text().partition(f"`--json` of {summary.__name__[:-7].lower()}s")[2]
    line = section.partition("\n\n")[0]

    missing = [field.name for field in fields(summary) if f"`{field.name}`" not in line]

    assert missing == []


def assert_said(text: str, pattern: str) -> None:
    assert re.search(pattern, text), text
