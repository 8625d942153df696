"""Which label each item of a job was delivered with, and how often it was corrected."""

import numpy as np
import numpy.typing as npt

from allocation.conclusions import Delivery
from allocation.quality.votes import Bools, Floats

RECALLS_MAX = 3
"""How often an item is delivered anew while its job runs; its end may add one correction."""

_NEVER = -1


class Deliveries:
    """What clients have been told of a job's items; a label told later replaces an earlier one."""

    def __init__(self, items: int) -> None:
        self._labels = np.full(items, _NEVER, dtype=np.int32)
        self._revisions = np.full(items, _NEVER, dtype=np.int32)

    @property
    def final(self) -> Bools:
        """Which items have been delivered, (items,)."""
        return np.asarray(self._revisions > _NEVER)

    @property
    def correctable(self) -> Bools:
        """Which delivered items may be corrected while the job runs, (items,)."""
        return self.final & (self._revisions < RECALLS_MAX)

    @property
    def revisions(self) -> npt.NDArray[np.int32]:
        """Return how often each item was corrected, (items,); -1 where it was never delivered."""
        return self._revisions

    def unsettled(self, log_posterior: Floats) -> Bools:
        """Return which items were delivered as something else than is likeliest now, or never.

        `log_posterior` has the shape (items, K), the result (items,).
        """
        return np.asarray(self._labels != log_posterior.argmax(axis=1))

    def note(self, delivery: Delivery) -> None:
        """Take in what has just been delivered."""
        self._labels[delivery.positions] = delivery.labels
        self._revisions[delivery.positions] = delivery.revisions

    def restore(self, labels: npt.NDArray[np.int32], revisions: npt.NDArray[np.int32]) -> None:
        """Take over what was delivered before, (items,) each, as `note` would have left it."""
        self._labels, self._revisions = labels.copy(), revisions.copy()
