"""Everything a finished demo run is worth remembering; the report is drawn from nothing else."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal

from pydantic import TypeAdapter

from cluster.domain.items import Modality


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """A job as seen at one moment, `at_s` seconds after the demo began.

    `answers` counts all that were bought so far, audits included, `promotions` how often a newly
    trained model went live; `accuracy` is the share of items whose label is the true one.
    """

    at_s: float
    answers: int
    final: int
    promotions: int
    accuracy: float | None
    expected_accuracy: float | None


@dataclass(frozen=True, slots=True)
class Bought:
    """How many answers a job had got `at_s` seconds after the demo began."""

    at_s: float
    answers: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A stage of a job's life, in seconds after the demo began; `work` counts `unit`s done."""

    stage: str
    start_s: float
    end_s: float
    work: int
    unit: Literal["items", "answers", "rounds"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunEvent:
    """An entry of a job's event log."""

    at_s: float
    kind: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """The delivered labels of one kind: how many, and the share that is true."""

    items: int
    accuracy: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CertifiedPart:
    """One stratum of the certificate."""

    name: str
    items: int
    audited: int
    estimate: float
    lower: float


@dataclass(frozen=True, slots=True, kw_only=True)
class FixedRedundancy:
    """What a majority vote of a fixed number of answers an item would take and reach."""

    redundancy: int
    answers: int
    cost: float
    accuracy: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ReliabilityBin:
    """Delivered labels whose probability lies in one interval."""

    low: float
    high: float
    items: int
    mean_probability: float
    accuracy: float


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRun:
    """One job of the run, judged against gold.

    `asked` counts items that somebody was asked about towards their label; `fixed_by` says whose
    votes `fixed` counts; `pace` is how answers came in, as the crowd saw it.
    """

    name: str
    title: str
    tenant: str
    modality: Modality
    labels: tuple[str, ...]
    state: str
    items: int
    goal_accuracy: float
    confidence: float
    overall: Part
    auto: Part
    crowd: Part
    asked: int
    label_answers: int
    audit_answers: int
    cost: float
    trainings: int
    promotions: int
    model_version: int | None
    certificate: tuple[CertifiedPart, ...]
    fixed: tuple[FixedRedundancy, ...]
    fixed_by: str
    reliability: tuple[ReliabilityBin, ...]
    samples: tuple[Sample, ...]
    pace: tuple[Bought, ...]
    spans: tuple[Span, ...]
    events: tuple[RunEvent, ...]

    @property
    def answers(self) -> int:
        """All answers bought, audits included."""
        return self.label_answers + self.audit_answers

    @property
    def answers_per_item(self) -> float:
        """Answers bought for each item on average, audits included."""
        return self.answers / max(self.items, 1)

    @property
    def certified(self) -> CertifiedPart | None:
        """The stratum of the certificate that covers every label, if there is one."""
        return next((part for part in self.certificate if part.name == "overall"), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerRun:
    """One worker: `accuracy` is the share of their answers that were true, over all jobs.

    `estimated` is what the service believes it to be, where it says so.
    """

    name: str
    persona: str
    answers: int
    cost: float
    accuracy: float | None
    estimated: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoRun:
    """One run of the demo; `wall_s` counts from the start of the service to the last export."""

    title: str
    input_note: str
    crowd_note: str
    started_at: datetime
    version: str
    seed: int
    cpus: int
    startup_s: float
    wall_s: float
    jobs: tuple[JobRun, ...]
    workers: tuple[WorkerRun, ...]

    def save(self, path: Path) -> None:
        """Write the run as JSON."""
        path.write_bytes(_ADAPTER.dump_json(self, indent=1))


def load_run(path: Path) -> DemoRun:
    """Read what `DemoRun.save` wrote; raises pydantic's ValidationError for anything else."""
    return _ADAPTER.validate_json(path.read_bytes())


_ADAPTER = TypeAdapter(DemoRun)
