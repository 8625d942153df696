"""What a run tells of itself after every epoch and at every save, and what may be asked there."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """Where a run stands after `epochs` of `epochs_planned` epochs.

    `rows` is how many rows all workers took since they last told, `loss` this worker's mean
    training loss over them. `due` tells that the run is to be saved here. `state` returns the file
    to go on from, `held_out_loss` the cross-fitted log loss (nats) by now; where one worker calls
    one of them, all must.
    """

    epochs: float
    epochs_planned: int
    rows: int
    loss: float
    due: bool
    state: Callable[[], bytes]
    held_out_loss: Callable[[], float]


OnProgress = Callable[[Progress], None]
