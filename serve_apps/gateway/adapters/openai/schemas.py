"""Files and batches as OpenAI's clients know them, and what is kept of each."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from serve_apps.gateway.schemas.base import Incoming, Outgoing

MetadataKey = Annotated[str, StringConstraints(max_length=64)]
MetadataValue = Annotated[str, StringConstraints(max_length=512)]
Status = Literal[
    "validating",
    "failed",
    "in_progress",
    "finalizing",
    "completed",
    "cancelling",
    "cancelled",
    "expired",
]


class FileView(Outgoing):
    """A file; `bytes` is 0 for one that is made while it is sent."""

    id: str
    object: Literal["file"] = "file"
    bytes: int
    created_at: int
    filename: str
    purpose: Literal["batch", "batch_output"]
    status: Literal["processed"] = "processed"


class FileList(Outgoing):
    """Files in the order of their making."""

    object: Literal["list"] = "list"
    data: tuple[FileView, ...]
    first_id: str | None
    last_id: str | None
    has_more: bool


class FileDeleted(Outgoing):
    """A file that is gone."""

    id: str
    object: Literal["file"] = "file"
    deleted: bool = True


class OutputExpiry(Incoming):
    """How long what a batch gives is kept, from its end on."""

    anchor: Literal["created_at"]
    seconds: Annotated[int, Field(ge=3_600, le=2_592_000)]


class BatchRequest(Incoming):
    """A batch to run over an uploaded file."""

    input_file_id: Annotated[str, Field(max_length=200)]
    endpoint: Literal["/v1/chat/completions"]
    completion_window: Literal["24h"]
    metadata: Annotated[dict[MetadataKey, MetadataValue], Field(max_length=16)] | None = None
    output_expires_after: OutputExpiry | None = None


class Terms(BaseModel):
    """What of a batch's metadata Muster reads: `muster_...`, texts as metadata are.

    Without a goal and a budget only the model labels, and nobody is paid.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    muster_labels: str | None = None
    muster_accuracy: Annotated[float, Field(gt=0, lt=1)] | None = None
    muster_answers_max: Annotated[int, Field(ge=0)] | None = None
    muster_cost_max: Annotated[float, Field(ge=0)] | None = None
    muster_base_model: str | None = None


class BatchRecord(BaseModel):
    """What is kept of a batch beside its job."""

    id: str
    input_file_id: str
    metadata: dict[str, str] | None


class BatchErrorView(Outgoing):
    """Why a line was refused, or the batch has failed."""

    code: str
    message: str
    param: str | None
    line: int | None


class BatchErrors(Outgoing):
    """The first of all errors."""

    object: Literal["list"] = "list"
    data: tuple[BatchErrorView, ...]


class RequestCounts(Outgoing):
    """How many requests a batch has, and what has become of them."""

    total: int
    completed: int
    failed: int


class BatchView(Outgoing):
    """A batch: a job as OpenAI's clients see it; times are Unix seconds."""

    id: str
    object: Literal["batch"] = "batch"
    endpoint: str
    errors: BatchErrors | None
    input_file_id: str
    completion_window: str
    status: Status
    output_file_id: str | None
    error_file_id: str | None
    created_at: int
    expires_at: int
    in_progress_at: int | None = None
    finalizing_at: int | None = None
    completed_at: int | None
    failed_at: int | None
    cancelled_at: int | None
    expired_at: None = None
    cancelling_at: int | None = None
    request_counts: RequestCounts
    metadata: dict[str, str] | None
    model: str


class BatchList(Outgoing):
    """Batches, newest first."""

    object: Literal["list"] = "list"
    data: tuple[BatchView, ...]
    first_id: str | None
    last_id: str | None
    has_more: bool
