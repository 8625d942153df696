"""What a metric is: a name, a unit, a meaning, and labels of which each has few values."""

from dataclasses import dataclass
from typing import Literal

from cluster.errors import InvalidField

EXPORT_PREFIX = "ray_"
"""What Ray puts before the name of every metric that it exports."""

OTHER = "other"
"""What stands for a label's value once the label has as many as it may."""

RESERVED = frozenset(
    {"container", "endpoint", "instance", "job", "le", "namespace", "node", "pod", "service"}
)
"""Labels that Prometheus puts on what it reads itself, in the place of others of that name."""

Unit = Literal["", "seconds", "bytes", "rows", "ratio", "money"]
"""What a metric counts or measures; nothing stands for a plain number of what its name says.

`money` is in the currency of worker prices.
"""


@dataclass(frozen=True, slots=True)
class Label:
    """A label of a metric, with its values where these are known, or at most `values_max`."""

    name: str
    values: frozenset[str] = frozenset()
    values_max: int = 100

    def __post_init__(self) -> None:
        if self.name in RESERVED or not self.name.isidentifier():
            raise ValueError(f"{self.name!r} cannot be a label")
        if not 1 <= self.values_max <= 1_000:
            raise ValueError(f"a label has 1 to 1000 values, not {self.values_max}")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Metric:
    name: str
    meaning: str
    unit: Unit = ""
    labels: tuple[Label, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Counter(_Metric):
    """Something that is added up, from 0 in each process."""

    @property
    def exported(self) -> str:
        """The name under which Prometheus reads it."""
        return f"{EXPORT_PREFIX}{self.name}_total"


@dataclass(frozen=True, slots=True, kw_only=True)
class Gauge(_Metric):
    """Something as it is now; what is not set again for half a minute is exported no more."""

    @property
    def exported(self) -> str:
        """The name under which Prometheus reads it."""
        return f"{EXPORT_PREFIX}{self.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Histogram(_Metric):
    """How often something was at most so large, for each of rising positive `bounds`."""

    bounds: tuple[float, ...]

    def __post_init__(self) -> None:
        rising = all(low < high for low, high in zip(self.bounds, self.bounds[1:], strict=False))
        if not self.bounds or self.bounds[0] <= 0 or not rising:
            raise ValueError(f"{self.name}: bounds must be positive and rise")

    @property
    def exported(self) -> str:
        """The name before `_bucket`, `_sum` and `_count` under which Prometheus reads it."""
        return f"{EXPORT_PREFIX}{self.name}"


Metric = Counter | Gauge | Histogram


class LabelBook:
    """Checks labels, and keeps each to its number of values.

    What is too many becomes `other` where figures are added up; of a gauge, which is exported only
    as long as it is set, the value that was not used for longest makes room.
    """

    def __init__(self, catalogue: tuple[Metric, ...]) -> None:
        self._known = {metric.name: metric for metric in catalogue}
        if len(self._known) != len(catalogue):
            raise ValueError("two metrics of one name")
        self._seen: dict[tuple[str, str], dict[str, None]] = {}

    def tags(self, metric: Metric, labels: dict[str, str]) -> dict[str, str]:
        """Return the labels as they may be exported.

        Raises InvalidField for a metric or a label that the catalogue does not declare, for one
        that is missing, and for a value that is none of those declared.
        """
        if self._known.get(metric.name) is not metric:
            raise InvalidField("metric", f"the catalogue has no {metric.name}")
        if len(labels) != len(metric.labels):
            raise InvalidField("labels", f"{metric.name} is not labelled by {sorted(labels)}")
        return {label.name: self._value(metric, label, labels) for label in metric.labels}

    def _value(self, metric: Metric, label: Label, labels: dict[str, str]) -> str:
        value = labels.get(label.name)
        if value is None:
            raise InvalidField("labels", f"{metric.name} lacks its label {label.name}")
        if label.values:
            if value not in label.values:
                raise InvalidField("labels", f"{metric.name}: {label.name} is never {value!r}")
            return value
        seen = self._seen.setdefault((metric.name, label.name), {})
        is_gauge = isinstance(metric, Gauge)
        if value not in seen and len(seen) >= label.values_max:
            if not is_gauge:
                return OTHER
            del seen[next(iter(seen))]
        if is_gauge:
            seen.pop(value, None)
        seen[value] = None
        return value
