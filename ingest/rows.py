"""What the parts of the ingest hand on: rows as read, problems found, items accepted."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, StrEnum, auto
from typing import NamedTuple, assert_never

import numpy as np
import numpy.typing as npt

from cluster.domain.ids import ItemId
from cluster.domain.items import Modality, RejectedRow
from cluster.domain.jobs import JobSpec, Source, SourceFormat
from cluster.settings import Limits

Integers = npt.NDArray[np.int64]

_NAMES_SHOWN = 20
_NAME_CHARS_SHOWN = 100


class Code(StrEnum):
    """Why a row was not accepted; stable, for programs to act on."""

    ROW_TOO_LARGE = "row-too-large"
    UTF8_INVALID = "utf8-invalid"
    JSON_MALFORMED = "json-malformed"
    JSON_NOT_OBJECT = "json-not-object"
    JSON_TOO_DEEP = "json-too-deep"
    JSON_NUMBER_TOO_LONG = "json-number-too-long"
    CSV_MALFORMED = "csv-malformed"
    CSV_FIELD_COUNT = "csv-field-count"
    FIELD_MISSING = "field-missing"
    FIELD_TYPE = "field-type"
    FIELD_EMPTY = "field-empty"
    FIELD_TOO_LARGE = "field-too-large"
    SEPARATOR_RESERVED = "separator-reserved"
    ID_TOO_LONG = "id-too-long"
    ID_DUPLICATE = "id-duplicate"
    BASE64_INVALID = "base64-invalid"
    URI_FORBIDDEN = "uri-forbidden"
    URI_UNREADABLE = "uri-unreadable"
    IMAGE_UNSUPPORTED = "image-unsupported"
    IMAGE_BROKEN = "image-broken"
    IMAGE_TOO_LARGE = "image-too-large"
    REQUEST_UNSUPPORTED = "request-unsupported"
    LABELS_DIFFER = "labels-differ"
    PII_UNMASKED = "pii-unmasked"
    MORE_REJECTED = "more-rejected"


class Absent(Enum):
    """The value of a field that a row does not have."""

    ABSENT = auto()


class Place(NamedTuple):
    """Where to read on: the next line or record, from 1, and the byte it begins at.

    An offset of 0 before another line than the first says that nobody knows.
    """

    line: int
    offset: int


class Row(NamedTuple):
    """One record of a source with its fields as they came, not yet checked.

    `second` is the second text of a pair, and absent of all else.
    """

    line: int
    item_id: object
    content: object
    second: object = Absent.ABSENT


class Problem(NamedTuple):
    """What is wrong with a row, or with one field of it."""

    field: str | None
    code: Code
    detail: str

    def at(self, line: int, item_id: ItemId | None = None) -> RejectedRow:
        """Return the problem as a rejection of a row."""
        return RejectedRow(
            line=line, field=self.field, code=self.code, detail=self.detail, item_id=item_id
        )


class Candidate(NamedTuple):
    """A row that is sound by itself."""

    line: int
    item_id: ItemId
    content: str | bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """What to read of a source, and the bounds on it.

    `record_bytes_max` bounds one line of JSONL or record of CSV, `page_bytes_max` one unpacked
    page of Parquet and one batch of rows, `decoded_bytes_max` all that a source may unpack to.
    Where items are pairs, and only there, `pair_field` has the second text of each.
    Lines that name labels of their own must name `labels`, under `label_field`. Where contents are
    `masked` no message shows a name that was found: what should be a header may be a content.
    """

    uri: str
    format: SourceFormat
    modality: Modality
    id_field: str
    content_field: str
    record_bytes_max: int
    decoded_bytes_max: int
    page_bytes_max: int = 256 * 2**20
    pair_field: str | None = None
    labels: tuple[str, ...] = ()
    label_field: str | None = None
    masked: bool = False

    @property
    def fields(self) -> tuple[str, ...]:
        """What to read of a record, each name once."""
        names = (self.id_field, self.content_field, self.pair_field)
        return tuple(dict.fromkeys(name for name in names if name is not None))


def layout_of(spec: JobSpec, limits: Limits) -> Layout:
    """Return how a job's source is to be read, with the fields that are its modality's by default.

    Beside its other fields a record may hold a whole image in base64 (4 bytes for 3), or a second
    text as long as the first.
    """
    source = spec.source
    id_field, content_field = _fields(source, spec.modality)
    return Layout(
        uri=source.uri,
        format=source.format,
        modality=spec.modality,
        id_field=id_field,
        content_field=content_field,
        record_bytes_max=limits.row_bytes_max + _more_bytes(spec.modality, limits),
        decoded_bytes_max=limits.source_bytes_max,
        pair_field=(source.pair_field or "text_pair") if spec.modality == "text_pair" else None,
        labels=spec.label_set.names,
        label_field=source.label_field,
        masked=spec.pii is not None,
    )


def _more_bytes(modality: Modality, limits: Limits) -> int:
    match modality:
        case "text":
            return 0
        case "image":
            return limits.image_bytes_max * 4 // 3
        case "text_pair":
            return limits.row_bytes_max
        case _:
            assert_never(modality)


def _fields(source: Source, modality: Modality) -> tuple[str, str]:
    """Return where a record has its id and its content, which some formats fix."""
    match source.format:
        case "openai-batch":
            return "custom_id", "body.messages"
        case "manifest":
            return "line", "source" if modality == "text" else "source-ref"
        case _:
            by_default = "image" if modality == "image" else "text"
            return source.id_field, source.content_field or by_default


def shown(names: Sequence[str], layout: Layout) -> tuple[str, ...]:
    """Return the first names, cut short, as a message may show them."""
    if layout.masked:
        return (f"{len(names)} others",)
    return tuple(name[:_NAME_CHARS_SHOWN] for name in names[:_NAMES_SHOWN])
