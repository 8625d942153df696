"""A bulk labelling job: what was asked for, where it stands, what it may promise."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Literal

from cluster.domain.ids import JobId, ModelName, TenantId, UnixSeconds
from cluster.domain.items import Modality
from cluster.domain.labels import LabelSet
from cluster.domain.pii import PiiTerms


class JobState(StrEnum):
    """The stages of a job; `cluster.jobs` says which may follow which."""

    QUEUED = "queued"
    INGESTING = "ingesting"
    PRELABELLING = "prelabelling"
    ASKING = "asking"
    LEARNING = "learning"
    EXPORTING = "exporting"
    COMPLETED = "completed"
    CANCELLED = "cancelled"
    FAILED = "failed"
    EXPIRED = "expired"

    @property
    def is_terminal(self) -> bool:
        """Whether the job has ended; all that can come is that it expires."""
        return self in _ENDS


_ENDS = frozenset({JobState.COMPLETED, JobState.CANCELLED, JobState.FAILED, JobState.EXPIRED})

SourceFormat = Literal["jsonl", "csv", "parquet", "openai-batch", "manifest"]
"""How a source is written: tables, batch files of chat completions, Ground Truth manifests."""


RecipeName = Literal["auto", "head", "lora", "full"]
"""What of a job's model is trained: a head on the frozen base model, adapters in it, all of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where a job's items are read from: a URI the service may open, and how to read it.

    Uploads and inline items are stored first and referred to by an `upload://` URI. `pair_field`
    has the second text of a pair. `label_field` is the name under which answers hold the label, in
    the formats that have answers of their own.
    """

    uri: str
    format: SourceFormat
    id_field: str = "id"
    content_field: str | None = None
    pair_field: str | None = None
    label_field: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """The promise: mean accuracy of the delivered labels, certified at `confidence`.

    A job is done once it expects to have met it, and all audits that were planned are in; where it
    is to be `proven`, once the certificate says so too, if that is to be had by more answers and
    more audits: surer labels than the goal asks for, within the budget and the terms of the crowd.
    """

    accuracy: float = 0.95
    confidence: float = 0.95
    proven: bool = False

    def __post_init__(self) -> None:
        if not 0.0 < self.accuracy < 1.0:
            raise ValueError(f"goal.accuracy must lie between 0 and 1, not {self.accuracy}")
        if not 0.5 <= self.confidence < 1.0:
            raise ValueError(f"goal.confidence must lie in [0.5, 1), not {self.confidence}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """Limits; None means unlimited. `cost_max` is in the currency of worker prices.

    Neither is ever exceeded, by whatever workers come: leases count as if they were answered. What
    is left of `cost_max` at the end is less than an answer costs that is paid for.
    """

    answers_max: int | None = None
    cost_max: float | None = None
    deadline_s: float | None = None

    def __post_init__(self) -> None:
        for name in ("answers_max", "cost_max", "deadline_s"):
            value = getattr(self, name)
            if value is not None and not value >= 0:
                raise ValueError(f"budget.{name} must be 0 or more, not {value}")


@dataclass(frozen=True, slots=True, kw_only=True)
class CrowdTerms:
    """How the crowd may be asked.

    `answers_per_item_max` bounds the answers towards one item's label, `audit_share` the random
    share of items that independent workers check, `audit_answers_max` the checks of one item.
    Where `audit_skills` is not empty, only workers who have all of them audit (reviewers), they
    do nothing else, and what they say is the reference the certificate is about; where it is
    empty the crowd audits itself, and the certificate allows for its noise. Whoever has given
    `worker_hour_answers_max` answers to the job within an hour rests until fewer lie in the hour.
    Every worker is asked, unknowingly, about `gold_answers` items whose label is settled, which
    tells more of the worker than of the item.
    """

    required_skills: frozenset[str] = frozenset()
    audit_skills: frozenset[str] = frozenset()
    answers_per_item_max: int = 7
    audit_share: float = 0.05
    audit_items_min: int = 40
    audit_items_max: int = 250
    audit_answers_max: int = 3
    lease_ttl_s: float = 120.0
    worker_hour_answers_max: int | None = None
    gold_answers: int = 0
    instructions: str = ""

    def __post_init__(self) -> None:
        if not 1 <= self.answers_per_item_max <= 100:
            raise ValueError("crowd.answers_per_item_max must lie in 1..100")
        if not 0.0 <= self.audit_share <= 1.0:
            raise ValueError("crowd.audit_share must lie in [0, 1]")
        if not 1 <= self.audit_answers_max <= 100:
            raise ValueError("crowd.audit_answers_max must lie in 1..100")
        if self.worker_hour_answers_max is not None and self.worker_hour_answers_max < 1:
            raise ValueError("crowd.worker_hour_answers_max must be at least 1")
        if not 0 <= self.gold_answers <= 100:
            raise ValueError("crowd.gold_answers must lie in 0..100")
        if not 1.0 <= self.lease_ttl_s <= 86_400.0:
            raise ValueError("crowd.lease_ttl_s must lie in 1..86400 seconds")


@dataclass(frozen=True, slots=True, kw_only=True)
class JobSpec:
    """What the client asked for; never changes after submit.

    `base_model` names the encoder that pre-labels (`minilm`, `resnet`, `fake`, or a Hugging Face
    id) and `recipe` what of it is trained; `auto` leaves that to the service. A `dedicated` job has
    replicas of its own to pre-label it. `weight` is the job's share of the crowd beside other jobs.
    So long after its end the job expires, and its items and results are deleted; None stands for
    never. `traceparent` is the span of the submit (W3C Trace Context), below which the job's are.
    `pii` says what of its texts is masked; nothing where it is None.
    """

    name: str
    modality: Modality
    label_set: LabelSet
    source: Source
    goal: Goal = field(default_factory=Goal)
    budget: Budget = field(default_factory=Budget)
    crowd: CrowdTerms = field(default_factory=CrowdTerms)
    base_model: str = "minilm"
    recipe: RecipeName = "auto"
    dedicated: bool = False
    weight: float = 1.0
    seed: int = 0
    expires_after_s: float | None = None
    traceparent: str | None = None
    pii: PiiTerms | None = None

    def __post_init__(self) -> None:
        if not 0.0 < self.weight <= 1_000.0:
            raise ValueError("weight must lie in (0, 1000]")
        if self.expires_after_s is not None and not self.expires_after_s >= 0:
            raise ValueError("expires_after_s must be 0 or more")


@dataclass(frozen=True, slots=True, kw_only=True)
class Amendment:
    """What its owner has changed of a job since submit; both stand in the place of the spec's."""

    weight: float
    budget: Budget


@dataclass(frozen=True, slots=True, kw_only=True)
class Stratum:
    """The certified accuracy of one part of the delivered labels (`auto`, `crowd`, `overall`)."""

    name: Literal["auto", "crowd", "overall"]
    items: int
    audited: int
    accuracy_estimate: float
    accuracy_lower: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """An anytime-valid statement: accuracy >= `accuracy_lower` of each stratum at `confidence`."""

    confidence: float
    strata: tuple[Stratum, ...]

    @property
    def overall(self) -> Stratum:
        """The stratum that covers every delivered label."""
        return next(stratum for stratum in self.strata if stratum.name == "overall")


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a job has come; counts of items unless named otherwise.

    On `poisoned` items the model failed; `model_failed` of them are delivered though nobody has
    answered them either. `rounds` numbers the newest stored consensus, `trainings` counts the
    models trained so far and `trained_items` the items the last of them learned from.
    `reachable_accuracy` is about what the certificate can say in the end, at best, with the audit
    that is planned. `open_questions` counts those that are out or that would be asked next, as far
    as is known. `learning_since` tells when the crowd began to wait for a model, None while it does
    not, and `learning_s` how long it waited the last time, of which the stage that trained took
    `training_s`. `read_share` is how much of the source was read, None where nobody knows.
    """

    items: int = 0
    rejected: int = 0
    duplicates: int = 0
    poisoned: int = 0
    chunks: int = 0
    prelabelled: int = 0
    auto_accepted: int = 0
    asked: int = 0
    final: int = 0
    model_failed: int = 0
    answers: int = 0
    audit_answers: int = 0
    cost: float = 0.0
    rounds: int = 0
    trainings: int = 0
    trained_items: int = 0
    open_questions: int = 0
    expected_accuracy: float | None = None
    reachable_accuracy: float | None = None
    learning_since: UnixSeconds | None = None
    learning_s: float | None = None
    training_s: float | None = None
    read_share: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A job as stored; `revision` rises by one with every save and guards against lost updates.

    `cancel_requested`, `paused` and `amendment` are its owner's to write, all else its runner's.
    `expires_at` is set at the end, and is None again once all the job held has been deleted.
    """

    job_id: JobId
    tenant_id: TenantId
    spec: JobSpec
    model_name: ModelName
    state: JobState = JobState.QUEUED
    revision: int = 0
    created_at: UnixSeconds
    updated_at: UnixSeconds
    cancel_requested: bool = False
    paused: bool = False
    amendment: Amendment | None = None
    progress: Progress = field(default_factory=Progress)
    certificate: Certificate | None = None
    failure: str | None = None
    expires_at: UnixSeconds | None = None

    @property
    def stored_items(self) -> int:
        """How many items are stored of the job."""
        return 0 if self.state is JobState.EXPIRED else self.progress.items

    @property
    def agreed(self) -> JobSpec:
        """What the job runs by: its spec as its owner has amended it."""
        if self.amendment is None:
            return self.spec
        return replace(self.spec, weight=self.amendment.weight, budget=self.amendment.budget)

    def time_left_s(self, now: UnixSeconds) -> float | None:
        """Return how long it is to the deadline, less than 0 after it; None where there is none."""
        deadline_s = self.agreed.budget.deadline_s
        return None if deadline_s is None else self.created_at + deadline_s - now

    def is_late(self, now: UnixSeconds) -> bool:
        """Whether the deadline has passed."""
        left_s = self.time_left_s(now)
        return left_s is not None and left_s <= 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class JobEvent:
    """Something that happened to a job; `seq` counts from 1 within the job once stored."""

    job_id: JobId
    kind: str
    at: UnixSeconds
    message: str
    figures: Mapping[str, float] = field(default_factory=dict)
    seq: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class IdempotencyKey:
    """A client's retry key and the fingerprint of the request it came with.

    `former` is the fingerprint that releases before 0.2 stored of the same request.
    """

    key: str
    fingerprint: str
    former: str | None = None

    def is_of(self, stored: str) -> bool:
        """Whether a fingerprint that was stored is one of this request."""
        return stored in (self.fingerprint, self.former)
