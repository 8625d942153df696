"""`muster aggregate` of spans of texts and of boxes in images."""

import json
import re
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet

from tests.unit.cli.test_aggregate import figures, run
from tests.unit.cli.test_aggregate_kinds import assert_said, rows, write

SPANS = """item,worker,start,end,label
a,ann,0,5,person
a,ann,9,12,place
a,bob,0,5,person
a,bob,9,13,place
a,cy,0,4,person
b,ann,,,
b,bob,,,
b,cy,3,6,person
"""
SPAN_TRUTH = """item,start,end,label
a,0,5,person
a,9,13,place
b,,,
z,1,2,place
"""
BOXES = """item,worker,x,y,width,height
a,ann,.1,.1,.2,.2
a,bob,.1,.1,.2,.21
a,cy,.1,.1,.2,.2
a,cy,.5,.1,.2,.2
b,ann,12,0,30,40
"""


class TestSpans:
    def test_json_holds_every_documented_figure(self, tmp_path: Path) -> None:
        write(tmp_path, SPANS)
        write(tmp_path, SPAN_TRUTH, "truth.csv")

        found = figures(run(tmp_path, "--json"))

        # Then item a has 8 of 9 characters and b just its nothing
        assert found == {
            "kind": "spans",
            "method": "rasa",
            "iou": pytest.approx((8 / 9 + 1) / 2),
            "answer_iou": pytest.approx((8 / 9 + 1 + 4 / 9 + 1 + 1 + 0) / 6),
            "exact": 0.5,
            "truth_items": 2,
            "regions": 2,
            "answers_per_item": 3.0,
            "items": 2,
            "answers": 6,
            "workers": 3,
            "labels": 2,
            "seed": 0,
        }

    def test_each_item_is_written_by_its_spans_or_as_having_none(self, tmp_path: Path) -> None:
        out = tmp_path / "spans.jsonl"

        assert run(write(tmp_path, SPANS), "-o", out).exit_code == 0

        found = [json.loads(line) for line in out.read_text().splitlines()]
        assert [tuple(line.values())[:4] for line in found] == [
            ("a", 0, 5, "person"),
            ("a", 9, 12, "place"),
            ("b", None, None, None),
        ]
        assert found[0]["agreement"] == pytest.approx((4 * 3 + 2) / (5 * 3))
        assert [line["answers"] for line in found] == [3, 3, 3]

    @pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
    def test_what_is_written_can_be_a_reference(self, tmp_path: Path, suffix: str) -> None:
        out = tmp_path / f"gold{suffix}"
        run(write(tmp_path, SPANS), "-o", out)

        found = figures(run(tmp_path / "answers.csv", "--truth", out, "--json"))

        assert (found["iou"], found["exact"], found["truth_items"]) == (1.0, 1.0, 2)

    def test_every_format_reads_alike(self, tmp_path: Path) -> None:
        expected = figures(run(write(tmp_path, SPANS), "--json"))
        marks = [line.split(",") for line in SPANS.splitlines()[1:]]
        items, workers, starts, ends, labels = (list(column) for column in zip(*marks, strict=True))
        table = pa.table(
            {
                "item": items,
                "worker": workers,
                "start": [int(start) if start else None for start in starts],
                "end": [float(end) if end else None for end in ends],
                "label": [label or None for label in labels],
            }
        )
        parquet.write_table(table, tmp_path / "spans.parquet")
        lines = "".join(json.dumps(row) + "\n" for row in table.to_pylist())

        assert figures(run(tmp_path / "spans.parquet", "--json")) == expected
        assert figures(run(write(tmp_path, lines, "spans.jsonl"), "--json")) == expected

    def test_without_labels_all_spans_are_of_one_kind(self, tmp_path: Path) -> None:
        out = tmp_path / "spans.csv"
        path = write(tmp_path, "item,worker,start,end\na,ann,0,4\na,ann,2,6\na,ann,6,7\n")

        assert figures(run(path, "-o", out, "--json"))["labels"] == 0

        # Then spans of one worker that overlap or meet are one
        assert [(row["start"], row["end"]) for row in rows(out)] == [("0", "7")]
        assert "label" not in rows(out)[0]

    def test_a_crowd_that_sees_nothing_agrees_on_nothing(self, tmp_path: Path) -> None:
        out = tmp_path / "spans.csv"
        path = write(tmp_path, "item,worker,start,end,label\na,v,,,\na,w, , ,\n")
        truth = write(tmp_path, "item,start,end,label\na,,,\n", "gold.csv")

        found = figures(run(path, "--truth", truth, "-o", out, "--json"))

        assert (found["kind"], found["regions"], found["iou"]) == ("spans", 0, 1.0)
        assert [row["start"] for row in rows(out)] == [""]

    def test_a_span_of_millions_of_characters_keeps_its_ends(self, tmp_path: Path) -> None:
        out = tmp_path / "spans.csv"
        table = "item,worker,start,end\na,u,7,9999999\na,v,7,9999999\na,w,1,2\n"

        assert run(write(tmp_path, table), "-o", out).exit_code == 0

        assert [(row["start"], row["end"]) for row in rows(out)] == [("7", "9999999")]

    def test_the_table_says_what_was_taken(self, tmp_path: Path) -> None:
        write(tmp_path, SPANS)
        write(tmp_path, SPAN_TRUTH, "truth.csv")

        shown = run(tmp_path).stdout

        for said in ("spans found", "0.9444 over 2 items", "that of single answers", "0.5000"):
            assert said in shown

    def test_starts_and_ends_that_are_times_make_no_spans(self, tmp_path: Path) -> None:
        table = "item,worker,label,start,end\na,v,cat,2026-01-01T10:00,2026-01-01T10:01\n"

        assert figures(run(write(tmp_path, table), "--json"))["kind"] == "classes"

    @pytest.mark.parametrize(
        ("line", "said"),
        [
            ("a,v,1,,x", "end: row 2 .* is empty"),
            ("a,v,,4,x", "start: row 2 .* is empty"),
            ("a,v,one,4,x", "start: row 2 .* 'one', not a finite number"),
            ("a,v,1,nan,x", "end: row 2 .* 'nan', not a finite number"),
            ("a,v,1.5,4,x", "start: row 2 .* is 1.5, not a whole number"),
            ("a,v,-1,4,x", "start: row 2 .* is -1, below 0"),
            ("a,v,4,4,x", "end: row 2 .* is 4, not after the start"),
            ("a,v,0,10000001,x", "end: row 2 .* is 10000001, over the limit, 10,000,000"),
            ("a,v,1,4,", "label: row 2 .* is empty"),
            (",v,1,4,x", "item: row 2 .* is empty"),
            ("a,,1,4,x", "worker: row 2 .* is empty"),
        ],
    )
    def test_what_is_no_span_is_named_by_row_and_column(
        self, tmp_path: Path, line: str, said: str
    ) -> None:
        table = f"item,worker,start,end,label\na,u,,,\n{line}\n"

        result = run(write(tmp_path, table), "--kind", "spans")

        assert result.exit_code == 2
        assert_said(result.stderr, said)

    def test_columns_that_hold_neither_text_nor_numbers_are_refused(self, tmp_path: Path) -> None:
        for line, said in [
            ('{"item": "a", "worker": "v", "start": [1], "end": 2}', "start: .* holds list"),
            ('{"item": "a", "worker": "v", "start": 1, "end": true}', "end: .* holds bool"),
            ('{"item": "a", "worker": "v", "start": 1, "end": null}', "end: row 1 .* is empty"),
            (
                '{"item": "a", "worker": "v", "start": 1, "end": 2, "label": ["x"]}',
                "label: .* holds list",
            ),
        ]:
            result = run(write(tmp_path, f"{line}\n", "answers.jsonl"), "--kind", "spans")

            assert result.exit_code == 2
            assert_said(result.stderr, said)

    def test_an_item_with_too_many_spans_is_named_by_row_and_limit(self, tmp_path: Path) -> None:
        lines = "".join(f"a,v,{3 * at},{3 * at + 1}\n" for at in range(1_001))

        result = run(write(tmp_path, f"item,worker,start,end\nb,v,1,2\n{lines}"))

        assert result.exit_code == 2
        assert_said(result.stderr, "item of row 1002 of .* has 1,001 spans; the limit is 1,000")

    def test_labels_on_one_side_only_are_refused(self, tmp_path: Path) -> None:
        truth = write(tmp_path, "item,start,end\na,0,5\n", "gold.csv")

        result = run(write(tmp_path, SPANS), "--truth", truth)

        assert_said(result.stderr, "label: .* have labels, not both")

    @pytest.mark.parametrize(
        ("arguments", "said"),
        [
            (["-m", "rover"], "method: rover is none of rasa, em, majority for spans"),
            (["--label-column", "tag"], "no column"),
            (["--workers-out", "w.csv"], "workers-out: .* not by spans"),
        ],
    )
    def test_what_spans_do_not_have_is_refused(
        self, tmp_path: Path, arguments: list[str], said: str
    ) -> None:
        result = run(write(tmp_path, SPANS), *arguments)

        assert result.exit_code == 2
        assert_said(result.stderr, said)


class TestBoxes:
    def test_boxes_in_fractions_come_back_as_they_were_written(self, tmp_path: Path) -> None:
        out = tmp_path / "boxes.csv"

        found = figures(run(write(tmp_path, BOXES), "-o", out, "--json"))

        assert (found["kind"], found["regions"], found["answers"]) == ("boxes", 2, 4)
        assert [tuple(row.values())[:5] for row in rows(out)] == [
            ("a", "0.1", "0.1", "0.2", "0.2"),
            ("b", "12", "0", "30", "40"),
        ]

    def test_large_boxes_are_compared_by_their_areas(self, tmp_path: Path) -> None:
        answers = "item,worker,x,y,width,height\na,v,0,0,900000,900000\nb,v,0,0,10,10\n"
        truth = "item,x,y,width,height\na,0,300000,900000,600000\nb,5,5,10,10\n"
        gold = write(tmp_path, truth, "gold.csv")

        found = figures(run(write(tmp_path, answers), "--truth", gold, "--json"))

        assert found["iou"] == pytest.approx((2 / 3 + 25 / 175) / 2)

    def test_boxes_that_touch_are_one_and_those_that_meet_at_a_corner_two(
        self, tmp_path: Path
    ) -> None:
        out = tmp_path / "boxes.csv"
        touching = "a,v,0,0,2,2\na,v,2,1,2,3\n"
        cornered = "b,v,0,0,2,2\nb,v,2,2,1,1\n"

        run(write(tmp_path, f"item,worker,x,y,w,h\n{touching}{cornered}"), "-o", out)

        assert [tuple(row.values())[:5] for row in rows(out)] == [
            ("a", "0", "0", "4", "4"),
            ("b", "0", "0", "2", "2"),
            ("b", "2", "2", "1", "1"),
        ]

    @pytest.mark.parametrize(
        ("line", "said"),
        [
            ("1,1,0,4", "width: row 1 .* is 0, not above 0"),
            ("1,1,4,-2.5", "height: row 1 .* is -2.5, not above 0"),
            ("1,1,4,1e-12", "height: row 1 .* is 1e-12, not above 0"),
            ("1,1,4,", "height: row 1 .* is empty"),
            ("1,,4,4", "y: row 1 .* is empty"),
            ("inf,1,4,4", "x: row 1 .* 'inf', not a finite number"),
            ("-1000001,1,4,4", "x: row 1 .* is -1000001, beyond the limit, 1,000,000"),
        ],
    )
    def test_what_is_no_box_is_named_by_row_and_column(
        self, tmp_path: Path, line: str, said: str
    ) -> None:
        path = write(tmp_path, f"item,worker,x,y,width,height\na,v,{line}\n")

        result = run(path, "--kind", "boxes")

        assert result.exit_code == 2
        assert_said(result.stderr, said)

    def test_masks_too_large_to_hold_are_refused_by_item_and_limit(self, tmp_path: Path) -> None:
        nested = [f"a,{at % 3},{at},{at},{3000 - 2 * at},{3000 - 2 * at}" for at in range(1_000)]
        table = "\n".join(["item,worker,x,y,width,height", *nested])

        result = run(write(tmp_path, table))

        assert result.exit_code == 2
        assert re.search(
            r"item 'a', .* boxes, has [\d,]+ cells; the limit is 8,388,", result.stderr
        )
