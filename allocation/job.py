"""Truth inference over Ray: each task passes over its own items, their counts are added up.

The answers are stored once in the object store, cut into sheets; an iteration sends the tables out
and brings counts back, both of workers x K x (K - 1) numbers, whatever the number of answers. Tasks
keep nothing, so one whose worker or node dies is simply run again.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import ray
from ray import ObjectRef

from allocation.quality.kernels import Reals
from allocation.quality.passes import Counted, LocalPasses, Precision, Sheet, Tables
from allocation.quality.votes import Floats


class RayPasses:
    """`Passes` over sheets that lie in Ray's object store.

    All sheets code workers and labels alike, and hold different items. Ray must be running.
    """

    def __init__(self, sheets: Iterable[Sheet], precision: Precision = np.float32) -> None:
        self._precision = precision
        self.answers_per_cell: Floats = np.zeros(0)
        self._sheets: list[ObjectRef[Sheet]] = []
        for sheet in sheets:
            answers = sheet.answers_per_cell()
            known = bool(self._sheets)
            self.answers_per_cell = self.answers_per_cell + answers if known else answers
            self._sheets.append(ray.put(sheet))

    def begin(self) -> Counted:
        """Count the answers under vote shares."""
        return self._everywhere(_begin)

    def sweep(self, tables: Tables) -> Counted:
        """Count the answers under the posteriors that the tables give."""
        return self._everywhere(_sweep, ray.put(tables))

    def posteriors(self, tables: Tables) -> Iterator[Reals]:
        """Yield the posteriors (items, K) that the tables give, sheet by sheet."""
        task, sent = _remote(_posterior), ray.put(tables)
        for sheet in self._sheets:
            yield ray.get(task.remote(sheet, sent, self._precision))

    def _everywhere(self, work: Callable[..., Counted], *sent: ObjectRef[Tables]) -> Counted:
        task = _remote(work)
        waiting = [task.remote(sheet, *sent, self._precision) for sheet in self._sheets]
        total: Counted | None = None
        while waiting:
            done, waiting = ray.wait(waiting)
            found: Counted = ray.get(done[0])
            total = _added(total, found)
        if total is None:
            raise ValueError("there must be one sheet at least")
        return total


def _added(total: Counted | None, more: Counted) -> Counted:
    """Return the sum of two passes; the counts of the first are changed to hold it."""
    if total is None:
        return replace(more, counts=more.counts.astype(np.float64))
    np.add(total.counts, more.counts, out=total.counts)
    return Counted(
        counts=total.counts,
        class_mass=total.class_mass + more.class_mass,
        log_evidence=total.log_evidence + more.log_evidence,
        entropy=total.entropy + more.entropy,
    )


def _remote(work: Callable[..., Any]) -> Any:
    return ray.remote(work).options(num_cpus=1)


def _begin(sheet: Sheet, precision: Precision) -> Counted:
    return LocalPasses(sheet, precision=precision).begin()


def _sweep(sheet: Sheet, tables: Tables, precision: Precision) -> Counted:
    return LocalPasses(sheet, precision=precision).sweep(tables)


def _posterior(sheet: Sheet, tables: Tables, precision: Precision) -> Reals:
    passes = LocalPasses(sheet, precision=precision)
    passes.sweep(tables)
    return passes.posterior
