"""What a client asks for when it submits a job, and how that becomes a job specification."""

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, get_args

from pydantic import Field, field_validator, model_validator

from cluster.domain.items import Modality
from cluster.domain.jobs import (
    Budget,
    CrowdTerms,
    Goal,
    JobSpec,
    RecipeName,
    Source,
    SourceFormat,
)
from cluster.domain.labels import LABELS_MAX, Label, LabelSet
from cluster.domain.pii import PiiKind, PiiTerms
from cluster.errors import InvalidField
from serve_apps.gateway.schemas.base import Incoming, Name, Prose

DEFAULT_BASE_MODEL: Mapping[Modality, str] = MappingProxyType(
    {"text": "minilm", "image": "resnet", "text_pair": "minilm"}
)

CONTENT_FIELDS: Mapping[Modality, tuple[str, ...]] = MappingProxyType(
    {"text": ("text",), "image": ("image",), "text_pair": ("text", "text_pair")}
)
"""What an item holds beside its id."""

_HUB_PART = "[A-Za-z0-9][A-Za-z0-9._-]*"
_BASE_MODEL = (
    rf"^(fake(:[0-9]{{1,5}}(\.[0-9]{{1,3}})?)?|{_HUB_PART}(/{_HUB_PART})?(@{_HUB_PART})?)$"
)

_LABEL_ATTRIBUTE = re.compile(
    r"(?!source$)(?!.*-(?:metadata|ref)$)[A-Za-z0-9](?:-*[A-Za-z0-9]){0,126}"
)
"""The names that SageMaker Ground Truth lets a label attribute have."""

INT_MAX = 2**53 - 1
"""The largest integer that every JSON reader keeps exactly (RFC 8259, section 6)."""


class LabelBody(Incoming):
    """A class of the label set; a bare string stands for a label without a description."""

    name: Name
    description: Prose = ""

    @model_validator(mode="before")
    @classmethod
    def _bare_name(cls, value: object) -> object:
        return {"name": value} if isinstance(value, str) else value


class GoalBody(Incoming):
    """The promise asked for: mean accuracy of the delivered labels, certified at `confidence`.

    Where it is to be `proven`, the job asks and audits on until its certificate says so.
    """

    accuracy: float = Field(Goal().accuracy, gt=0, lt=1)
    confidence: float = Field(Goal().confidence, ge=0.5, lt=1)
    proven: bool = False


class BudgetBody(Incoming):
    """Hard limits; a missing one means unlimited."""

    answers_max: int | None = Field(None, ge=0, le=INT_MAX)
    cost_max: float | None = Field(None, ge=0, le=1e12)
    deadline_s: float | None = Field(None, ge=0, le=1e9)


class CrowdBody(Incoming):
    """How the crowd may be asked; the domain's defaults where a field is missing."""

    required_skills: list[Name] = Field(default=[], max_length=64)
    audit_skills: list[Name] = Field(default=[], max_length=64)
    answers_per_item_max: int = Field(CrowdTerms().answers_per_item_max, ge=1, le=100)
    audit_share: float = Field(CrowdTerms().audit_share, ge=0, le=1)
    audit_items_min: int = Field(CrowdTerms().audit_items_min, ge=0, le=INT_MAX)
    audit_items_max: int = Field(CrowdTerms().audit_items_max, ge=0, le=INT_MAX)
    audit_answers_max: int = Field(CrowdTerms().audit_answers_max, ge=1, le=100)
    lease_ttl_s: float = Field(CrowdTerms().lease_ttl_s, ge=1, le=86_400)
    worker_hour_answers_max: int | None = Field(None, ge=1, le=INT_MAX)
    gold_answers: int = Field(CrowdTerms().gold_answers, ge=0, le=100)
    instructions: Prose = ""


class ItemBody(Incoming):
    """An item sent inline: its id, and a text, two texts, or an image as base64 or a URI."""

    id: str | Annotated[int, Field(ge=-INT_MAX, le=INT_MAX)]
    text: str | None = None
    text_pair: str | None = None
    image: str | None = None

    @property
    def contents(self) -> tuple[str, ...]:
        """The names of the content fields that were given."""
        names = ("text", "text_pair", "image")
        return tuple(name for name in names if getattr(self, name) is not None)


class PiiBody(Incoming):
    """What of the texts is masked before they are stored, by placeholders such as `<PERSON_1>`.

    With `unmask_for_cleared` workers with a cleared key of the tenant see what was there.
    """

    mask: Annotated[list[PiiKind], Field(min_length=1, max_length=len(get_args(PiiKind)))]
    score_min: float = Field(PiiTerms(mask=get_args(PiiKind)).score_min, ge=0, le=1)
    unmask_for_cleared: bool = False


class JobRequest(Incoming):
    """A job to run; exactly one of `items`, `upload_id` and `uri` says where its items are."""

    name: Name
    modality: Modality
    labels: Annotated[list[LabelBody], Field(min_length=2, max_length=LABELS_MAX)]
    goal: GoalBody = GoalBody()
    budget: BudgetBody = BudgetBody()
    crowd: CrowdBody = CrowdBody()
    base_model: (
        Annotated[
            str,
            Field(
                max_length=200,
                pattern=_BASE_MODEL,
                description=(
                    "`minilm` (the default for texts), `resnet` (for images) or a Hub id, "
                    "`org/name` or `org/name@revision`"
                ),
            ),
        ]
        | None
    ) = None
    recipe: RecipeName = Field(
        default="auto",
        description="What is trained of the base model: a `head` on it (seconds), low-rank "
        "adapters in it (`lora`), or all of it (`full`); `auto` is `head`",
    )
    dedicated: bool = Field(
        default=False,
        description="Pre-label on replicas of the job's own: for huge jobs, and models else unused",
    )
    weight: float = Field(1.0, gt=0, le=1_000)
    seed: int = Field(0, ge=0, le=INT_MAX)
    expires_after_s: float | None = Field(None, ge=60, le=10 * 365 * 86_400)
    pii: PiiBody | None = None
    items: Annotated[list[ItemBody], Field(min_length=1)] | None = None
    upload_id: Annotated[str, Field(min_length=1, max_length=100)] | None = None
    uri: (
        Annotated[str, Field(min_length=1, max_length=2_000, pattern=r"^[^\x00-\x20]+$")] | None
    ) = None
    format: SourceFormat | None = None
    id_field: Name = "id"
    content_field: Name | None = None
    pair_field: Name | None = None
    label_field: Name | None = None

    @field_validator("labels")
    @classmethod
    def _label_set(cls, labels: list[LabelBody]) -> list[LabelBody]:
        label_set_of(labels)
        return labels

    @property
    def sources(self) -> tuple[str, ...]:
        """The names of the source fields that were given."""
        names = ("items", "upload_id", "uri")
        return tuple(name for name in names if getattr(self, name) is not None)


def check(request: JobRequest) -> None:
    """Raise InvalidField where fields that are sound alone do not fit together."""
    if len(request.sources) != 1:
        given = " and ".join(request.sources) or "none"
        raise InvalidField("items", f"give exactly one of items, upload_id and uri, not {given}")
    if request.items is None and request.format is None:
        raise InvalidField("format", f"is needed beside {request.sources[0]}")
    _check_format(request)
    contents = f"{request.modality.replace('_', ' ')}s"
    own_default = DEFAULT_BASE_MODEL[request.modality]
    if request.base_model != own_default and request.base_model in DEFAULT_BASE_MODEL.values():
        raise InvalidField("base_model", f"{request.base_model} does not take {contents}")
    wanted = CONTENT_FIELDS[request.modality]
    _check_recipe(request)
    _check_pii(request)
    for index, item in enumerate(request.items or ()):
        missing = next((name for name in wanted if name not in item.contents), None)
        if missing is not None:
            raise InvalidField(f"items.{index}.{missing}", "is missing")
        other = next((name for name in item.contents if name not in wanted), None)
        if other is not None:
            raise InvalidField(f"items.{index}.{other}", f"does not fit a job of {contents}")


def _check_format(request: JobRequest) -> None:
    if request.format == "openai-batch" and request.modality != "text":
        raise InvalidField("modality", "openai-batch files hold texts")
    if request.format == "manifest" and request.modality == "text_pair":
        raise InvalidField("modality", "manifests hold texts or images, one a line")
    _check_pair_field(request)
    if request.label_field is None:
        return
    if request.format not in ("openai-batch", "manifest"):
        raise InvalidField("label_field", "is for openai-batch files and manifests")
    if request.format == "manifest" and not _LABEL_ATTRIBUTE.fullmatch(request.label_field):
        raise InvalidField(
            "label_field",
            "in manifests has 1 to 127 letters, digits and hyphens, and does not end with "
            "-metadata or -ref; it is not source",
        )


def _check_recipe(request: JobRequest) -> None:
    base_model = request.base_model or DEFAULT_BASE_MODEL[request.modality]
    if request.recipe != "auto" and base_model == DEFAULT_BASE_MODEL["image"]:
        raise InvalidField("recipe", f"{base_model} is always trained whole, from scratch")
    if request.recipe in ("lora", "full") and request.modality == "text_pair":
        raise InvalidField("recipe", "of text pairs only the head on both texts is trained")


def _check_pii(request: JobRequest) -> None:
    if request.pii is None:
        return
    if request.modality == "image":
        raise InvalidField("pii", "is masked in texts, not in images")
    if request.format == "manifest":
        raise InvalidField("pii", "is not masked in manifests: their lines are given back whole")


def _check_pair_field(request: JobRequest) -> None:
    if request.modality != "text_pair":
        if request.pair_field is not None:
            raise InvalidField("pair_field", "is for jobs of text pairs")
    elif (request.pair_field or "text_pair") == (request.content_field or "text"):
        raise InvalidField("pair_field", "names the field of the first text")


def label_set_of(labels: list[LabelBody]) -> LabelSet:
    """Return labels as a label set; raises ValueError where they do not make one."""
    return LabelSet(tuple(Label(label.name, label.description) for label in labels))


def spec_of(request: JobRequest, source: Source, expires_after_s: float | None) -> JobSpec:
    """Return what a request asks for, its items being read from `source`, and how long it lasts."""
    return JobSpec(
        name=request.name,
        modality=request.modality,
        label_set=label_set_of(request.labels),
        source=source,
        goal=Goal(
            accuracy=request.goal.accuracy,
            confidence=request.goal.confidence,
            proven=request.goal.proven,
        ),
        budget=Budget(
            answers_max=request.budget.answers_max,
            cost_max=request.budget.cost_max,
            deadline_s=request.budget.deadline_s,
        ),
        crowd=_crowd_terms(request.crowd),
        base_model=request.base_model or DEFAULT_BASE_MODEL[request.modality],
        recipe=request.recipe,
        dedicated=request.dedicated,
        weight=request.weight,
        seed=request.seed,
        expires_after_s=expires_after_s,
        pii=pii_terms_of(request),
    )


def pii_terms_of(request: JobRequest) -> PiiTerms | None:
    """Return what a request has masked, None where it is nothing."""
    if request.pii is None:
        return None
    return PiiTerms(
        mask=tuple(dict.fromkeys(request.pii.mask)),
        score_min=request.pii.score_min,
        unmask_for_cleared=request.pii.unmask_for_cleared,
    )


def _crowd_terms(crowd: CrowdBody) -> CrowdTerms:
    return CrowdTerms(
        required_skills=frozenset(crowd.required_skills),
        audit_skills=frozenset(crowd.audit_skills),
        answers_per_item_max=crowd.answers_per_item_max,
        audit_share=crowd.audit_share,
        audit_items_min=crowd.audit_items_min,
        audit_items_max=crowd.audit_items_max,
        audit_answers_max=crowd.audit_answers_max,
        lease_ttl_s=crowd.lease_ttl_s,
        worker_hour_answers_max=crowd.worker_hour_answers_max,
        gold_answers=crowd.gold_answers,
        instructions=crowd.instructions,
    )
