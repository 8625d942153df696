"""What may be searched of a recipe, how much a search may cost, and what comes of it.

A recipe is a tree of frozen dataclasses. A field is searched by its name: `DOMAINS` tells, from the
value it has, where better ones may lie, so that a new kind of recipe is searched as soon as its
fields are called what others call them. What no entry names stays as it is: `folds` and `balance`,
which the snapshot is built with, and what would make a model dearer to serve.
"""

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, is_dataclass, replace
from hashlib import sha256
from itertools import pairwise
from typing import Any, Self

from training.config import Recipe

Value = float | int | str | tuple[float, ...] | tuple[int, ...]
"""What a field that is searched may hold."""

ACTOR_PREFIX = "search-"
"""How the actor that searches is called: this, and the name of the run it searches for."""

GROWTH = 4.0
"""With so many times the rows a search was made on, it is made again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Real:
    """Any number from `low` to `high`, both above 0; drawn by its logarithm."""

    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """One of some values; a point names it by its place among them."""

    options: tuple[Value, ...]


Domain = Real | Choice
Space = Mapping[str, Domain]
"""Domains by the path of their field, as in `head.learning_rate`."""

Point = Mapping[str, float | int]
"""A place in a space: a number for each path, that of a `Choice` being whole."""

Changes = Mapping[str, Value]
"""Fields of a recipe, by their path, with other values."""


def space_of(recipe: Recipe) -> Space:
    """Return what may be searched of a recipe, around what it says; its own values lie within."""
    return {
        path: domain
        for path, value in _leaves(recipe)
        if (domain := _domain(path.rpartition(".")[2], value)) is not None
    }


def point_of(recipe: Recipe, space: Space) -> Point:
    """Return where a recipe lies in its own space."""
    values = dict(_leaves(recipe))
    return {path: _coordinate(domain, values[path]) for path, domain in space.items()}


def changes_at(recipe: Recipe, space: Space, point: Point) -> Changes:
    """Return what is different from a recipe at a point of its space."""
    values = dict(_leaves(recipe))
    found = {path: _value(domain, point[path], values[path]) for path, domain in space.items()}
    return {path: value for path, value in found.items() if value != values[path]}


def changed(recipe: Recipe, changes: Changes) -> Recipe:
    """Return a recipe with other values, under a name that tells the changes apart.

    Raises ValueError where a path leads to no field that may be searched, or the value is not of
    its type.
    """
    space, values = space_of(recipe), dict(_leaves(recipe))
    for path, value in changes.items():
        if path not in space or type(value) is not type(values[path]):
            raise ValueError(f"{path} of the recipe {recipe.name} cannot be {value!r}")
    if not changes:
        return recipe
    digest = sha256(json.dumps(dict(changes), sort_keys=True).encode()).hexdigest()[:8]
    renamed = replace(recipe, name=f"{recipe.name}-{digest}")
    for path, value in changes.items():
        renamed = _with(renamed, path.split("."), value)
    return renamed


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowance:
    """What a job may still use: seconds to its deadline, and money; None where it has no limit."""

    time_s: float | None = None
    money: float | None = None


UNLIMITED = Allowance()


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchBudget:
    """How much a search may take: trials, seconds, and money where a trial's hour has a price."""

    trials: int
    trials_at_once: int
    time_s: float
    spend: float | None = None
    trial_hour_price: float = 0.0

    def seconds(self) -> float:
        """Return how long the search may take with all its trials running."""
        if self.spend is None or self.trial_hour_price <= 0.0:
            return self.time_s
        hours = self.spend / (self.trial_hour_price * self.trials_at_once)
        return min(self.time_s, 3_600.0 * hours)

    def within(self, allowance: Allowance, share: float) -> Self:
        """Return the budget where it may take no more than a share of what its job may still use.

        A job that is late, or has spent all, leaves nothing.
        """
        times = [self.time_s, _share(allowance.time_s, share)]
        spends = [self.spend, _share(allowance.money, share)]
        return replace(
            self,
            time_s=min(each for each in times if each is not None),
            spend=min((each for each in spends if each is not None), default=None),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """How a point did: the cross-fitted log loss (nats) after a share `done` of its run."""

    point: Point
    log_loss: float
    done: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchResult:
    """A recipe that was found, as its difference from the one the search set out from.

    `log_loss` is the least cross-fitted one of all trials that ran to their end, on snapshot
    `snapshot_hash` of `rows` rows.
    """

    base: str
    changes: Changes
    log_loss: float
    trials: int
    finished: int
    rows: int
    snapshot_hash: str

    def recipe(self, base: Recipe) -> Recipe | None:
        """Return what was found; None where `base` is not, or no more, what was set out from."""
        if base.name != self.base:
            return None
        try:
            return changed(base, self.changes)
        except ValueError:
            return None

    def covers(self, rows: int) -> bool:
        """Return whether it still speaks for a snapshot of so many rows."""
        return rows < GROWTH * self.rows

    def to_json(self) -> bytes:
        """Return the result as it is stored."""
        return json.dumps(asdict(self), indent=2, sort_keys=True).encode()

    @classmethod
    def of_json(cls, content: bytes) -> Self:
        """Return a stored result; raises ValueError, KeyError, TypeError for anything else."""
        told = json.loads(content)
        changes = {
            path: tuple(value) if isinstance(value, list) else value
            for path, value in told["changes"].items()
        }
        return cls(**{**told, "changes": changes})


def result_of(
    recipe: Recipe, space: Space, trials: Sequence[Trial], rows: int, snapshot_hash: str
) -> SearchResult | None:
    """Return the best of the trials that ran to their end; None where none did.

    A trial that was stopped early is not one of them, whatever its loss: losses are comparable only
    at the same place of a schedule.
    """
    finished = [each for each in trials if each.done >= 1.0 and math.isfinite(each.log_loss)]
    if not finished:
        return None
    best = min(finished, key=lambda each: each.log_loss)
    return SearchResult(
        base=recipe.name,
        changes=changes_at(recipe, space, best.point),
        log_loss=best.log_loss,
        trials=len(trials),
        finished=len(finished),
        rows=rows,
        snapshot_hash=snapshot_hash,
    )


def _share(left: float | None, share: float) -> float | None:
    return None if left is None else share * max(0.0, left)


def _around(factor: float) -> Callable[[Any], Domain | None]:
    """Return a domain from a `factor`-th of a positive value to `factor` times it."""

    def domain(value: Any) -> Domain | None:
        return Real(low=value / factor, high=value * factor) if value > 0 else None

    return domain


def _batches(rows: int) -> Domain:
    return Choice(options=tuple(sorted({max(2, rows // 2), rows, 2 * rows})))


def _shifts(pixels: int) -> Domain:
    return Choice(options=tuple(sorted({0, 1, 2, 4, pixels})))


def _ranks(rank: int) -> Domain | None:
    return Choice(options=(max(1, rank // 2), rank, 2 * rank)) if rank > 0 else None


def _dropouts(dropout: float) -> Domain:
    return Choice(options=tuple(sorted({0.0, 0.05, 0.1, 0.2, dropout})))


def _warm_ups(share: float) -> Domain:
    return Choice(options=tuple(sorted({0.05, 0.1, 0.3, share})))


def _losses(loss: str) -> Domain:
    return Choice(options=tuple(sorted({"posterior", "symmetric", "generalised", loss})))


def _penalties(path: tuple[float, ...]) -> Domain:
    """Return a path of ridge penalties, or one of twice as many, as far apart in proportion."""
    between = tuple(math.sqrt(above * below) for above, below in pairwise(path))
    return Choice(options=(path, tuple(sorted({*path, *between}, reverse=True))))


DOMAINS: Mapping[str, Callable[[Any], Domain | None]] = {
    "learning_rate": _around(10.0),
    "weight_decay": _around(10.0),
    "batch_rows": _batches,
    "shift_pixels": _shifts,
    "warm_up_share": _warm_ups,
    "loss": _losses,
    "rank": _ranks,
    "dropout": _dropouts,
    "l2_path": _penalties,
}


def _leaves(node: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the fields of a tree of dataclasses that are none themselves, with their paths."""
    for field in fields(node):
        value = getattr(node, field.name)
        if is_dataclass(value):
            yield from _leaves(value, f"{path}{field.name}.")
        else:
            yield f"{path}{field.name}", value


def _domain(name: str, value: Any) -> Domain | None:
    maker = DOMAINS.get(name)
    return maker(value) if maker and isinstance(value, float | int | str | tuple) else None


def _coordinate(domain: Domain, value: Any) -> float | int:
    return domain.options.index(value) if isinstance(domain, Choice) else float(value)


def _value(domain: Domain, coordinate: float, default: Value) -> Value:
    if isinstance(domain, Choice):
        return domain.options[int(coordinate)]
    same = isinstance(default, float) and math.isclose(coordinate, default, rel_tol=1e-9)
    return default if same else float(coordinate)


def _with(node: Any, path: Sequence[str], value: Value) -> Any:
    """Return a dataclass with the field at a path replaced."""
    first, rest = path[0], path[1:]
    return replace(node, **{first: _with(getattr(node, first), rest, value) if rest else value})
