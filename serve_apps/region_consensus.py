"""One set of spans or boxes an item, out of those of many workers, by crowd-kit's masks.

What the workers of an item mark with one label is drawn as masks, an empty one for who marks
nothing; crowd-kit makes one mask of them, and what hangs together in it is a region. The grid of a
mask is that of the answers' own edges, so nothing is rounded, and boxes may be in fractions of an
image whose size nobody knows. Its pieces are cells by their size: counted alike, the many slivers
between nearly equal edges would outweigh the insides, and EM and RASA judge workers by slivers.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from allocation.quality.votes import Codes
from cluster.errors import TooLarge
from serve_apps.region_tables import RegionTable, Shape
from serve_apps.regions import Corners, Grid, Mask
from serve_apps.structured import masks

CELLS_MAX = 2**23
"""The masks of one item and label at once; EM takes some 32 bytes a cell."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Drawing:
    """What the workers of an item mark with one label: one mask a worker, in pieces of a grid."""

    item: int
    label: int
    grid: Grid
    masks: tuple[Mask, ...]

    @property
    def cells(self) -> int:
        """The number of cells of all masks."""
        return self.grid.cells * len(self.masks)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Consensus:
    """What the crowd marks on an item with one label, in order of its corners.

    `agreement[j]` is the share of the item's workers who mark a place of `corners[j]`, in the mean.
    """

    item: int
    label: int
    corners: Corners
    agreement: npt.NDArray[np.float64]


def consensus(table: RegionTable, shape: Shape, method: str) -> Iterator[Consensus]:
    """Yield what is marked, by item and label; `method` is that of `structured.masks`.

    Raises TooLarge where the masks of an item and label would take too many cells.
    """
    for batch in _batches(_drawings(table, shape)):
        sizes = [len(each.masks) for each in batch]
        found = masks(
            np.repeat(np.arange(len(batch)), sizes),
            np.concatenate([np.arange(size) for size in sizes]),
            [each.grid.cells_of(mask) for each in batch for mask in each.masks],
            method,
        )
        for at, each in enumerate(batch):
            yield _regions(each, each.grid.pieces_of(found[at]))


def _regions(drawing: Drawing, agreed: Mask) -> Consensus:
    grid, areas = drawing.grid, drawing.grid.areas()
    share = np.mean(drawing.masks, axis=0)
    slices = grid.regions(agreed)
    corners = grid.corners(slices)
    agreement = [float(np.average(share[at], weights=areas[at])) for at in slices]
    order = np.lexsort(corners.T[::-1])
    return Consensus(
        item=drawing.item,
        label=drawing.label,
        corners=corners[order],
        agreement=np.array(agreement, dtype=np.float64)[order],
    )


def _drawings(table: RegionTable, shape: Shape) -> Iterator[Drawing]:
    for item, rows in groups(table.items):
        workers, labels = table.workers[rows], table.labels[rows]
        corners, crowd = table.corners[rows], np.unique(workers)
        for label in np.unique(labels[labels >= 0]).tolist():
            marked = labels == label
            grid = Grid.of(corners[marked], shape.cells_max)
            size = grid.cells * len(crowd)
            if size > CELLS_MAX:
                what = f"item {table.item_ids[item]!r}, as masks of its {shape.name},"
                raise TooLarge(what, size, CELLS_MAX, "cells")
            drawn = tuple(grid.draw(corners[marked & (workers == each)]) for each in crowd)
            yield Drawing(item=item, label=label, grid=grid, masks=drawn)


def groups(codes: Codes) -> Iterator[tuple[int, Codes]]:
    """Yield each code that occurs, in order, and the places where it does."""
    order = np.argsort(codes, kind="stable")
    found, starts = np.unique(codes[order], return_index=True)
    yield from zip(found.tolist(), np.split(order, starts)[1:], strict=True)


def _batches(drawings: Iterable[Drawing]) -> Iterator[Sequence[Drawing]]:
    """Yield drawings so many at a time that their masks take CELLS_MAX at most."""
    batch: list[Drawing] = []
    cells = 0
    for each in drawings:
        if batch and cells + each.cells > CELLS_MAX:
            yield batch
            batch, cells = [], 0
        batch.append(each)
        cells += each.cells
    if batch:
        yield batch
