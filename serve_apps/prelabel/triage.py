"""Finds what is to blame when a model fails: an item, or the model itself.

A model's code is not ours and may raise anything, so this is the one module that catches anything.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain, repeat
from typing import TypeVar

import numpy as np

from cluster.domain.models import ModelSpec
from cluster.errors import ModelUnusable, MusterError
from serve_apps.prelabel.model import Features, Inference

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Failure:
    """Why an item cannot be labelled: the name of the error its own run raised."""

    reason: str


class NotFiniteError(ArithmeticError):
    """The model gave NaN or infinity for some content of a batch."""


def isolate(
    indices: Sequence[int], run: Callable[[Sequence[int]], Result]
) -> Iterator[tuple[Sequence[int], Result | Failure]]:
    """Run a group of items, and halves of a group that fails, down to the items that fail alone.

    Yields every index once: in a group with its result, or alone with its failure. With k bad
    items among n it takes O(k log n) runs. Deliberate errors pass through.
    """
    pending = [indices] if indices else []
    while pending:
        group = pending.pop()
        result = _attempt(group, run)
        if isinstance(result, Failure) and len(group) > 1:
            middle = len(group) // 2
            pending += [group[middle:], group[:middle]]
        else:
            yield group, result


def launched(
    groups: Iterable[Sequence[int]],
    launch: Callable[[Sequence[int]], Inference],
    ahead: int,
) -> Iterator[tuple[Sequence[int], Features | Failure]]:
    """Launch groups of items in order, up to `ahead` of them before the one that is waited for.

    A group that fails, on the way or in the end, is run again and isolated. Yields as `isolate`.
    """

    def finished(group: Sequence[int]) -> Features:
        return require_finite(launch(group)())

    flying: deque[tuple[Sequence[int], Inference | Failure]] = deque()
    for group in chain(groups, repeat((), ahead)):
        if group:
            flying.append((group, _attempt(group, launch)))
        if flying and (len(flying) > ahead or not group):
            yield from _landed(*flying.popleft(), finished)


def _landed(
    group: Sequence[int],
    inference: Inference | Failure,
    run: Callable[[Sequence[int]], Features],
) -> Iterator[tuple[Sequence[int], Features | Failure]]:
    if not isinstance(inference, Failure):
        found = _attempt(group, lambda _: require_finite(inference()))
        if not isinstance(found, Failure):
            yield group, found
            return
    yield from isolate(group, run)


def _attempt(group: Sequence[int], run: Callable[[Sequence[int]], Result]) -> Result | Failure:
    try:
        return run(group)
    except MusterError:
        raise
    except Exception as error:  # noqa: BLE001 - a model may raise anything over a bad item
        return Failure(type(error).__name__)


@contextmanager
def blamed_on(spec: ModelSpec, reason: str) -> Iterator[None]:
    """Turn whatever a model's code raises in this context into ModelUnusable."""
    try:
        yield
    except MusterError:
        raise
    except Exception as error:
        name = f"{spec.name} version {spec.version} on {spec.base_model}"
        raise ModelUnusable(name, f"{reason} ({type(error).__name__})") from error


def require_finite(features: Features) -> Features:
    """Return the features; raises NotFiniteError where any is not a number."""
    if not np.isfinite(features).all():
        raise NotFiniteError
    return features
