"""Tensors of the Open Inference Protocol 2, read with its binary extension, written without.

A tensor of the type BYTES holds its values in JSON as texts, and behind the JSON each after its
length in four bytes, little end first.
"""

import math
from base64 import b64encode
from collections.abc import Iterator, Sequence
from typing import Annotated, Literal

from fastapi.exceptions import RequestValidationError
from pydantic import Field, ValidationError
from pydantic_core import from_json

from cluster.domain.items import Modality
from cluster.errors import InvalidField, MalformedBody, TooLarge
from serve_apps.gateway.adapters.foreign import Foreign
from serve_apps.gateway.schemas.job_request import CONTENT_FIELDS, ItemBody
from serve_apps.gateway.schemas.predictions import ITEMS_MAX

_LENGTH_BYTES = 4


class InputParameters(Foreign):
    """How many bytes of the body behind the JSON are this tensor's."""

    binary_data_size: Annotated[int, Field(ge=0)] | None = None


class InputTensor(Foreign):
    """A tensor of contents: a flat list of them, or a column."""

    name: Annotated[str, Field(max_length=200)]
    shape: Annotated[list[Annotated[int, Field(ge=0)]], Field(min_length=1, max_length=2)]
    datatype: Literal["BYTES"]
    data: list[str | list[str]] | None = None
    parameters: InputParameters = InputParameters()


class RequestedOutput(Foreign):
    """An output that is asked for; it comes as JSON whatever its parameters ask."""

    name: Literal["label", "score", "probabilities"]


class InferRequest(Foreign):
    """A tensor of items to label, or two of pairs; all outputs unless some are named."""

    id: Annotated[str, Field(max_length=200)] | None = None
    inputs: Annotated[list[InputTensor], Field(min_length=1, max_length=2)]
    outputs: tuple[RequestedOutput, ...] = Field((), strict=False)


def read_request(body: bytes, header_length: str | None) -> tuple[InferRequest, bytes]:
    """Return a request and the bytes behind its JSON; raises MalformedBody and what pydantic found.

    `header_length` says how long the JSON is, all of the body where it is None.
    """
    size = len(body)
    if header_length is not None:
        if not (header_length.isascii() and header_length.isdigit() and len(header_length) <= 18):
            raise InvalidField("Inference-Header-Content-Length", "is not a number of bytes")
        size = int(header_length)
    try:
        value = from_json(body[:size], allow_inf_nan=False)
    except ValueError as error:
        # The parser's words say what stands at which line and column, and no more.
        raise MalformedBody(f"not JSON: {error}") from error
    try:
        return InferRequest.model_validate(value), body[size:]
    except ValidationError as error:
        wrong = [{**each, "loc": ("body", *each["loc"])} for each in error.errors()]
        raise RequestValidationError(wrong) from None


def items_of(inputs: Sequence[InputTensor], binary: bytes, modality: Modality) -> list[ItemBody]:
    """Return the values of a modality's tensors as items, numbered from 0; images are base64.

    Raises InvalidField where the values are not what the shapes say, and TooLarge.
    """
    for place, tensor in enumerate(inputs):
        count = math.prod(tensor.shape)
        if count > ITEMS_MAX:
            raise TooLarge(f"inputs.{place}", count, ITEMS_MAX, "items")
    names = CONTENT_FIELDS[modality]
    if sorted(tensor.name for tensor in inputs) != sorted(names):
        raise InvalidField("inputs", f"must be {' and '.join(names)}, which the model takes")
    parts = _parts(inputs, binary)
    columns = [
        _values(tensor, part, f"inputs.{place}", modality)
        for place, (tensor, part) in enumerate(zip(inputs, parts, strict=True))
    ]
    if len({len(values) for values in columns}) > 1:
        raise InvalidField("inputs", "must have as many values each")
    fields = [tensor.name for tensor in inputs]
    return [
        ItemBody.model_validate({"id": number, **dict(zip(fields, values, strict=True))})
        for number, values in enumerate(zip(*columns, strict=True))
    ]


def _parts(inputs: Sequence[InputTensor], binary: bytes) -> list[bytes | None]:
    """Return the bytes behind the JSON that are each tensor's, None for one with values in it."""
    parts, position = list[bytes | None](), 0
    for place, tensor in enumerate(inputs):
        size = tensor.parameters.binary_data_size
        if tensor.data is not None:
            parts.append(None)
        elif size is None:
            raise InvalidField(f"inputs.{place}.data", "is missing, and binary_data_size, too")
        else:
            parts.append(binary[position : position + size])
            position += size
    if any(part is not None for part in parts) and position != len(binary):
        reason = f"name {position:,} bytes by binary_data_size, but {len(binary):,} bytes follow"
        raise InvalidField("inputs", f"{reason} the JSON")
    return parts


def _values(tensor: InputTensor, part: bytes | None, field: str, modality: Modality) -> list[str]:
    if part is None:
        values = list(_flat(tensor.data or ()))
    else:
        values = [_text(value, field, modality) for value in _split(part, field)]
    count = math.prod(tensor.shape)
    if len(values) != count or not count:
        raise InvalidField(f"{field}.shape", f"says {count} values; there are {len(values)}")
    return values


def _flat(data: Sequence[str | list[str]]) -> Iterator[str]:
    for value in data:
        if isinstance(value, str):
            yield value
        else:
            yield from value


def _split(binary: bytes, field: str) -> Iterator[bytes]:
    position = 0
    while position < len(binary):
        length = int.from_bytes(binary[position : position + _LENGTH_BYTES], "little")
        position += _LENGTH_BYTES
        if position + length > len(binary):
            raise InvalidField(field, "has a value that reaches beyond its bytes")
        yield binary[position : position + length]
        position += length


def _text(value: bytes, field: str, modality: Modality) -> str:
    if modality == "image":
        return b64encode(value).decode()
    try:
        return value.decode()
    except UnicodeDecodeError:
        raise InvalidField(field, "has a text that is not UTF-8") from None
