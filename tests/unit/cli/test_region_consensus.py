"""One set of spans or boxes an item: beside crowd-kit itself, of crowds that agree or err."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from crowdkit import aggregation
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from serve_apps.answer_tables import ColumnNames
from serve_apps.cli.aggregate_regions import (
    METHODS,
    RegionSummary,
    aggregate_boxes,
    aggregate_spans,
)
from serve_apps.cli.inferred import Inferred
from serve_apps.structured import MASK_METHODS

Box = tuple[int, int, int, int]
"""Left, top, right, bottom; a span is one high."""
Answers = Sequence[Sequence[Sequence[Box]]]
"""By item and worker."""

Aggregate = Callable[[Path, Path | None, str | None, ColumnNames], Inferred]

IMAGE = 64
TEXT = 300


def found_in(
    folder: Path, answers: Answers, method: str, *, high: bool, truth: Answers | None = None
) -> tuple[RegionSummary, list[set[Box]]]:
    """Return the figures, and the regions of each item."""
    gold = None if truth is None else _write(folder / "truth.csv", truth, high=high)
    aggregate: Aggregate = aggregate_boxes if high else aggregate_spans
    inferred = aggregate(
        _write(folder / "answers.csv", answers, high=high), gold, method, ColumnNames()
    )
    found: list[set[Box]] = [set() for _ in answers]
    for row in inferred.rows().to_pylist():
        match row:
            case {"start": int(start), "end": int(end)}:
                found[int(row["item_id"])].add((start, 0, end, 1))
            case {"x": float(x), "y": float(y), "width": float(w), "height": float(h)}:
                corners = np.rint(1_000 * np.array([x, y, x + w, y + h])).astype(int).tolist()
                found[int(row["item_id"])].add(tuple(corners))
    return inferred.figures, found


def _write(path: Path, answers: Answers, *, high: bool) -> Path:
    """Write boxes in thousandths, so that coordinates have fractions; spans as they are."""
    lines = ["item,worker,x,y,width,height" if high else "item,worker,start,end"]
    for item, crowd in enumerate(answers):
        for worker, marked in enumerate(crowd):
            if not marked:
                lines.append(f"{item},{worker}," + ("," * (3 if high else 1)))
            for left, top, right, bottom in marked:
                box = [each / 1_000 for each in (left, top, right - left, bottom - top)]
                place = ",".join(map(str, box)) if high else f"{left},{right}"
                lines.append(f"{item},{worker},{place}")
    path.write_text("\n".join(lines) + "\n")
    return path


def drawn(boxes: Sequence[Box], width: int, height: int) -> npt.NDArray[np.bool_]:
    mask = np.zeros((height, width), dtype=np.bool_)
    for left, top, right, bottom in boxes:
        mask[top:bottom, left:right] = True
    return mask


def shaken(rng: np.random.Generator, box: Box, deviation: float, size: int, *, high: bool) -> Box:
    """Return a box as somebody draws it who sees it so exactly."""
    left, top, right, bottom = (np.array(box) + np.rint(rng.normal(0, deviation, 4))).astype(int)
    left, top = (int(np.clip(each, 0, size - 1)) for each in (left, top))
    right = int(np.clip(right, left + 1, size))
    return (left, top, right, int(np.clip(bottom, top + 1, size))) if high else (left, 0, right, 1)


def crowd(
    seed: int, items: int, size: int, *, high: bool
) -> tuple[list[list[list[Box]]], list[list[list[Box]]]]:
    """Return two true regions an item, and what three good workers and two bad ones mark."""
    rng = np.random.default_rng(seed)
    truth, answers = [], []
    for _ in range(items):
        halves = [(at * size // 2 + 2, (at + 1) * size // 2 - 2) for at in range(2)]
        regions: list[Box] = []
        for low, up in halves:
            left, right = low + rng.integers(0, size // 8), up - rng.integers(0, size // 8)
            top, bottom = rng.integers(0, size // 4), size - rng.integers(0, size // 4)
            regions.append(
                (int(left), int(top), int(right), int(bottom))
                if high
                else (int(left), 0, int(right), 1)
            )
        truth.append([regions])
        answers.append(
            [
                [
                    shaken(rng, box, size / 80 if worker < 3 else size / 8, size, high=high)
                    for box in regions
                    if worker < 3 or rng.random() < 0.7
                ]
                for worker in range(5)
            ]
        )
    return truth, answers


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("high", [False, True])
@pytest.mark.parametrize("seed", range(3))
def test_the_crowd_is_nearer_the_truth_than_its_mean_worker(
    tmp_path: Path, seed: int, method: str, *, high: bool
) -> None:
    # Given a crowd of which two in five mark carelessly, and miss things
    truth, answers = crowd(seed, 30, IMAGE if high else TEXT, high=high)

    # When their answers are aggregated
    figures, _ = found_in(tmp_path, answers, method, high=high, truth=truth)

    # Then more of what either marks is marked by both than for the mean of the workers
    assert figures.iou is not None
    assert figures.answer_iou is not None
    assert figures.iou > figures.answer_iou + 0.05


@pytest.mark.parametrize(
    ("method", "expected"),
    [
        ("majority", [{(0, 0, 20, 1)}, set()]),
        ("rasa", [{(5, 0, 20, 1)}, set()]),
        ("em", [{(0, 0, 10, 1)}, {(30, 0, 33, 1)}]),
    ],
)
def test_few_who_contradict_one_another_are_settled_as_documented(
    tmp_path: Path, method: str, expected: list[set[Box]]
) -> None:
    two = [[(0, 0, 10, 1)], [(5, 0, 20, 1)]]
    three = [[(0, 0, 4, 1)], [(10, 0, 16, 1)], [(30, 0, 33, 1)]]

    _, found = found_in(tmp_path, [two, three], method, high=False)

    assert found == expected


@pytest.mark.parametrize("method", METHODS)
def test_spans_are_those_of_crowdkits_masks_of_characters(tmp_path: Path, method: str) -> None:
    # Given masks of the characters that somebody marks
    _, answers = crowd(0, 12, TEXT, high=False)
    masks = [np.array([drawn(marked, TEXT, 1) for marked in each]) for each in answers]
    touched = [each.any(axis=(0, 1)) for each in masks]

    # When crowd-kit aggregates them itself
    expected = crowdkits(
        method, [mask[:, :, kept] for mask, kept in zip(masks, touched, strict=True)]
    )

    # Then its masks are what the spans cover
    _, found = found_in(tmp_path, answers, method, high=False)
    for at, kept in enumerate(touched):
        covered = drawn(sorted(found[at]), TEXT, 1)
        np.testing.assert_array_equal(covered[:, kept], expected[at])
        assert not covered[:, ~kept].any()


@pytest.mark.parametrize("method", METHODS)
def test_boxes_are_those_around_crowdkits_masks_of_pixels(tmp_path: Path, method: str) -> None:
    # Given answers that cover as many pixels each way as a mask has cells, so that both are alike
    _, answers = crowd(1, 12, IMAGE, high=True)
    for each in answers:
        each[-1] = [(0, 0, IMAGE, IMAGE)]
    masks = [np.array([drawn(marked, IMAGE, IMAGE) for marked in each]) for each in answers]

    # When crowd-kit aggregates masks of pixels itself
    expected = crowdkits(method, masks)

    # Then the boxes are those around what hangs together in them
    _, found = found_in(tmp_path, answers, method, high=True)
    assert found == [set(around(mask)) for mask in expected]


def crowdkits(method: str, masks: Sequence[npt.NDArray[np.bool_]]) -> list[npt.NDArray[np.bool_]]:
    rows = [(at, worker, mask) for at, each in enumerate(masks) for worker, mask in enumerate(each)]
    frame = pd.DataFrame(rows, columns=["task", "worker", "segmentation"])
    found = getattr(aggregation, MASK_METHODS[method])().fit_predict(frame)
    return [found.loc[at] for at in range(len(masks))]


def around(mask: npt.NDArray[np.bool_]) -> Iterator[Box]:
    for down, across in ndimage.find_objects(ndimage.label(mask)[0]):
        yield across.start, down.start, across.stop, down.stop


def apart(boxes: Sequence[Box]) -> list[Box]:
    """Return boxes that share no point but corners, the first of those that do."""
    kept: list[Box] = []
    for box in boxes:
        if not any(touch(box, other) for other in kept):
            kept.append(box)
    return kept


def touch(one: Box, other: Box) -> bool:
    across = min(one[2], other[2]) - max(one[0], other[0])
    down = min(one[3], other[3]) - max(one[1], other[1])
    return min(across, down) >= 0 and max(across, down) > 0


EDGE = st.tuples(st.integers(0, 5_000), st.integers(1, 900)).map(lambda at: (at[0], sum(at)))
SPANS = st.lists(EDGE.map(lambda at: (at[0], 0, at[1], 1)), max_size=6).map(apart)
BOXES = st.lists(
    st.tuples(EDGE, EDGE).map(lambda at: (at[0][0], at[1][0], at[0][1], at[1][1])), max_size=6
).map(apart)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("high", [False, True])
def test_a_unanimous_crowd_gets_back_what_it_marked(
    tmp_path_factory: pytest.TempPathFactory, method: str, *, high: bool
) -> None:
    folder = tmp_path_factory.mktemp("unanimous")

    @settings(max_examples=25, deadline=None)
    @given(st.lists(BOXES if high else SPANS, min_size=1, max_size=3), st.integers(1, 5))
    def check(items: list[list[Box]], workers: int) -> None:
        # Given workers who all mark the same, nothing included
        truth = [[marked] for marked in items]

        figures, found = found_in(
            folder, [[marked] * workers for marked in items], method, high=high, truth=truth
        )

        # Then that is what is found, to the last digit
        assert found == [set(marked) for marked in items]
        assert (figures.iou, figures.exact) == (1.0, 1.0)

    check()
