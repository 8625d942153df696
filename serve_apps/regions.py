"""Spans and boxes as corners, as masks on a grid of their own edges, and back from masks.

A region is a row (left, top, right, bottom) of whole units, half open: it holds what is at or after
left and top and before right and bottom. A span is a region one unit high.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

Corners = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Axis:
    """A line cut into pieces at `edges` (pieces + 1,), and how many `cells` (pieces,) each is."""

    edges: Corners
    cells: Corners

    @classmethod
    def of(cls, low: Corners, high: Corners, cells_max: int) -> "Axis":
        """Cut a line where any of the intervals begins or ends.

        Pieces in some interval have a cell a unit where that is no more than `cells_max` cells in
        all. Else they share these by their lengths, and have at least one each. Others have none.
        """
        edges = np.unique(np.concatenate([low, high]))
        changes = np.zeros(len(edges), dtype=np.int64)
        np.add.at(changes, np.searchsorted(edges, low), 1)
        np.add.at(changes, np.searchsorted(edges, high), -1)
        inside = np.cumsum(changes)[:-1] > 0
        lengths = np.diff(edges) * inside
        total = max(int(lengths.sum()), 1)
        share = np.rint(lengths * (min(cells_max, total) / total)).astype(np.int64)
        return cls(edges=edges, cells=np.where(inside, np.maximum(share, 1), 0))

    def pieces(self, low: int, high: int) -> slice:
        """Return the pieces of an interval between two of the edges."""
        first, last = np.searchsorted(self.edges, [low, high])
        return slice(int(first), int(last))


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Grid:
    """What regions are drawn on: pieces between their edges, each of one or more cells.

    Between edges all masks are the same, so a grid holds them exactly however large the regions
    are. The cells are there to make a large piece count for more than a small one.
    """

    down: Axis
    across: Axis

    @classmethod
    def of(cls, corners: Corners, cells_max: int) -> "Grid":
        """Return the grid of at least one region; `cells_max` is that of `Axis.of`."""
        left, top, right, bottom = corners.T
        return cls(down=Axis.of(top, bottom, cells_max), across=Axis.of(left, right, cells_max))

    @property
    def cells(self) -> int:
        """The number of cells of a mask."""
        return int(self.down.cells.sum()) * int(self.across.cells.sum())

    def areas(self) -> npt.NDArray[np.float64]:
        """Return how large each piece is, (down, across)."""
        heights, widths = (
            np.diff(axis.edges).astype(np.float64) for axis in (self.down, self.across)
        )
        return np.outer(heights, widths)

    def draw(self, corners: Corners) -> Mask:
        """Return which pieces lie in any of the regions; all edges must be of this grid."""
        mask = np.zeros((len(self.down.cells), len(self.across.cells)), dtype=np.bool_)
        for left, top, right, bottom in corners.tolist():
            mask[self.down.pieces(top, bottom), self.across.pieces(left, right)] = True
        return mask

    def cells_of(self, pieces: Mask) -> Mask:
        """Return a mask of cells."""
        return np.repeat(np.repeat(pieces, self.down.cells, 0), self.across.cells, 1)

    def pieces_of(self, cells: Mask) -> Mask:
        """Return a mask of pieces; all cells of a piece must be alike."""
        pieces = np.zeros((len(self.down.cells), len(self.across.cells)), dtype=np.bool_)
        places = [np.flatnonzero(axis.cells) for axis in (self.down, self.across)]
        starts = [
            (np.cumsum(axis.cells) - axis.cells)[place]
            for axis, place in zip((self.down, self.across), places, strict=True)
        ]
        pieces[np.ix_(*places)] = cells[np.ix_(*starts)]
        return pieces

    @staticmethod
    def regions(pieces: Mask) -> list[tuple[slice, slice]]:
        """Return the bounding boxes of what hangs together, not by corners alone, as slices."""
        labelled, _ = ndimage.label(pieces)
        return [(down, across) for down, across in ndimage.find_objects(labelled)]

    def corners(self, regions: list[tuple[slice, slice]]) -> Corners:
        """Return regions of pieces by their corners."""
        x, y = self.across.edges, self.down.edges
        rows = [
            (x[across.start], y[down.start], x[across.stop], y[down.stop])
            for down, across in regions
        ]
        return np.array(rows, dtype=np.int64).reshape(-1, 4)


def overlap(one: Corners, other: Corners) -> tuple[float, float]:
    """Return how much lies in regions of both, and how much in those of either."""
    both = np.concatenate([one, other])
    if not len(both):
        return 0.0, 0.0
    grid = Grid.of(both, 1)
    areas, first, second = grid.areas(), grid.draw(one), grid.draw(other)
    return float(areas[first & second].sum()), float(areas[first | second].sum())
