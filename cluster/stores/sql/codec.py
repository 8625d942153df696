"""Nested domain values as JSON text."""

from collections.abc import Mapping
from typing import TypeVar

from pydantic import ConfigDict, TypeAdapter

from cluster.domain.jobs import Amendment, Certificate, JobSpec, Progress
from cluster.domain.models import Lineage, ModelSpec

T = TypeVar("T")

JOB_SPEC = TypeAdapter(JobSpec)
PROGRESS = TypeAdapter(Progress)
CERTIFICATE = TypeAdapter(Certificate | None)
AMENDMENT = TypeAdapter(Amendment | None)
MODEL_SPEC = TypeAdapter(ModelSpec)
LINEAGE = TypeAdapter(Lineage | None)
_FIGURES = TypeAdapter(dict[str, float], config=ConfigDict(ser_json_inf_nan="constants"))
_NAMES = TypeAdapter(list[str])


def dump(adapter: TypeAdapter[T], value: T) -> str:
    """Return a value as JSON; its adapter's `validate_json` reads it back."""
    return adapter.dump_json(value).decode()


def dump_figures(figures: Mapping[str, float]) -> str:
    """Return named numbers as JSON; NaN and the infinities survive, NumPy scalars are taken."""
    return dump(_FIGURES, {name: float(value) for name, value in figures.items()})


def load_figures(text: str) -> dict[str, float]:
    """Return named numbers from what `dump_figures` made of them."""
    return _FIGURES.validate_json(text)


def dump_names(names: frozenset[str]) -> str:
    """Return a set of names as JSON, sorted."""
    return dump(_NAMES, sorted(names))


def load_names(text: str) -> frozenset[str]:
    """Return a set of names from what `dump_names` made of it."""
    return frozenset(_NAMES.validate_json(text))
