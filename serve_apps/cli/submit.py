"""`muster submit`: a file or a URI becomes a job."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer
from pydantic import TypeAdapter
from rich.console import Console

from cluster.domain.items import Modality
from cluster.domain.jobs import RecipeName, SourceFormat
from cluster.errors import InvalidField
from serve_apps.cli.follow import finish, follow
from serve_apps.cli.options import DEFAULT_URL, AsJson, Key, Url, checked, connected
from serve_apps.cli.output import show_job, show_json
from serve_apps.client import MusterClient
from serve_apps.gateway.schemas.job_request import (
    BudgetBody,
    CrowdBody,
    GoalBody,
    JobRequest,
    LabelBody,
    PiiBody,
)
from serve_apps.gateway.schemas.jobs import JobView

_FORMATS: Mapping[str, SourceFormat] = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".csv": "csv",
    ".parquet": "parquet",
    ".manifest": "manifest",
}

_JSON_LABELS = TypeAdapter(list[LabelBody])

LabelFile = Annotated[
    Path | None,
    typer.Option(help="A JSON list, or lines of name, tab, description", exists=True),
]
FileFormat = Annotated[
    SourceFormat | None, typer.Option("--format", help="How to read it (by the file's suffix)")
]
ContentField = Annotated[str | None, typer.Option(help="Field of the content (text or image)")]
PairField = Annotated[str | None, typer.Option(help="Field of a pair's second text (text_pair)")]
BaseModelName = Annotated[
    str | None, typer.Option(help="minilm, resnet or a Hugging Face id (by modality)")
]
Recipe = Annotated[
    RecipeName, typer.Option(help="What is trained of the base model (a head on it)")
]
Dedicated = Annotated[
    bool, typer.Option("--dedicated", help="Pre-label on replicas of the job's own")
]
Masked = Annotated[
    str, typer.Option(help="Kinds of personal data to mask in the texts, separated by commas")
]
Unmasked = Annotated[
    bool, typer.Option("--unmask-for-cleared", help="Show cleared workers what was masked")
]
RetryKey = Annotated[str | None, typer.Option(help="Idempotency key: the same key is the same job")]


def submit(
    source: Annotated[str, typer.Argument(help="JSONL, CSV or Parquet: a local file, or a URI")],
    *,
    labels: Annotated[str, typer.Option(help="Label names, separated by commas")] = "",
    label_file: LabelFile = None,
    name: Annotated[str, typer.Option(help="Name of the job (that of the file)")] = "",
    modality: Annotated[Modality, typer.Option(help="What the items are")] = "text",
    file_format: FileFormat = None,
    goal: Annotated[float, typer.Option(help="Accuracy the labels shall have")] = 0.95,
    confidence: Annotated[float, typer.Option(help="Confidence of the certificate")] = 0.95,
    proven: Annotated[bool, typer.Option(help="Go on until the goal is certified")] = False,
    budget: Annotated[int | None, typer.Option(help="Answers that may be bought")] = None,
    cost_max: Annotated[float | None, typer.Option(help="Money that may be spent")] = None,
    deadline_s: Annotated[float | None, typer.Option(help="Seconds the job may take")] = None,
    id_field: Annotated[str, typer.Option(help="Field of the item id")] = "id",
    content_field: ContentField = None,
    pair_field: PairField = None,
    instructions: Annotated[str, typer.Option(help="What workers are told")] = "",
    skill: Annotated[list[str] | None, typer.Option(help="A skill workers must have")] = None,
    audit_skill: Annotated[list[str] | None, typer.Option(help="A skill auditors have")] = None,
    audit_share: Annotated[float, typer.Option(help="Share of items to audit")] = 0.05,
    base_model: BaseModelName = None,
    recipe: Recipe = "auto",
    dedicated: Dedicated = False,
    mask: Masked = "",
    unmask_for_cleared: Unmasked = False,
    weight: Annotated[float, typer.Option(help="Share of the crowd beside other jobs")] = 1.0,
    seed: Annotated[int, typer.Option(help="Seed of everything random in the job")] = 0,
    retry_key: RetryKey = None,
    watch: Annotated[bool, typer.Option("--watch", help="Follow the job until it ends")] = False,
    url: Url = DEFAULT_URL,
    key: Key = "",
    as_json: AsJson = False,
) -> None:
    """Submit a job; a local file is uploaded first."""
    with checked():
        request = JobRequest(
            name=name or Path(source).stem,
            modality=modality,
            labels=_labels(labels, label_file),
            goal=GoalBody(accuracy=goal, confidence=confidence, proven=proven),
            budget=BudgetBody(answers_max=budget, cost_max=cost_max, deadline_s=deadline_s),
            crowd=CrowdBody(
                required_skills=skill or [],
                audit_skills=audit_skill or [],
                audit_share=audit_share,
                instructions=instructions,
            ),
            base_model=base_model,
            recipe=recipe,
            dedicated=dedicated,
            weight=weight,
            seed=seed,
            uri=source if _is_uri(source) else None,
            format=file_format or _format_of(source),
            id_field=id_field,
            content_field=content_field,
            pair_field=pair_field,
            pii=_pii(mask, unmask_for_cleared=unmask_for_cleared),
        )
        _check_source(source)
    with connected(url, key, as_json=as_json) as client:
        if request.uri is None:
            request = _uploaded(client, request, Path(source))
        job = client.submit(request, idempotency_key=retry_key)
        _tell(client, job, watch=watch, as_json=as_json)


def _tell(client: MusterClient, job: JobView, *, watch: bool, as_json: bool) -> None:
    """Show a job that was submitted, or all that becomes of it."""
    if watch:
        finish(follow(client, job.id), as_json=as_json)
    elif as_json:
        show_json(job)
    else:
        show_job(job)


def _pii(kinds: str, *, unmask_for_cleared: bool) -> PiiBody | None:
    """Return what is to be masked; raises ValidationError for a kind that is none."""
    names = [kind.strip() for kind in kinds.split(",") if kind.strip()]
    if not names and unmask_for_cleared:
        raise InvalidField("unmask_for_cleared", "is nothing without --mask")
    asked = {"mask": names, "unmask_for_cleared": unmask_for_cleared}
    return PiiBody.model_validate(asked) if names else None


def _check_source(source: str) -> None:
    if not _is_uri(source) and not Path(source).is_file():
        raise InvalidField("source", f"there is no file {source}")


def _is_uri(source: str) -> bool:
    return "://" in source


def _uploaded(client: MusterClient, request: JobRequest, file: Path) -> JobRequest:
    """Upload a file and return the request with its place."""
    with Console(stderr=True).status(f"uploading {file.name}"):
        uploaded = client.upload(file)
    return request.model_copy(update={"upload_id": uploaded.id})


def _format_of(source: str) -> SourceFormat:
    suffix = Path(source).suffix.lower()
    if suffix not in _FORMATS:
        raise InvalidField("format", f"{suffix or source} tells none; give --format")
    return _FORMATS[suffix]


def _labels(names: str, file: Path | None) -> list[LabelBody]:
    """Return the labels of the option and of the file, in this order."""
    found = [LabelBody(name=name.strip()) for name in names.split(",") if name.strip()]
    if file is None:
        return found
    text = file.read_text()
    if file.suffix == ".json":
        return found + _JSON_LABELS.validate_json(text)
    pairs = [line.partition("\t") for line in text.splitlines() if line.strip()]
    return found + [
        LabelBody(name=name.strip(), description=about.strip()) for name, _, about in pairs
    ]
