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
from serve_apps.gateway.schemas.job_request import ItemBody
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
    """One tensor of items to label; all outputs unless some are named."""

    id: Annotated[str, Field(max_length=200)] | None = None
    inputs: Annotated[list[InputTensor], Field(min_length=1, max_length=1)]
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


def items_of(tensor: InputTensor, binary: bytes, modality: Modality) -> list[ItemBody]:
    """Return a tensor's values as items, numbered from 0; images are base64 in JSON.

    Raises InvalidField where the values are not what the shape says, and TooLarge.
    """
    count = math.prod(tensor.shape)
    if count > ITEMS_MAX:
        raise TooLarge("inputs.0", count, ITEMS_MAX, "items")
    if tensor.name != modality:
        raise InvalidField("inputs.0.name", f"must be {modality}, which the model takes")
    if tensor.data is None:
        values = _from_bytes(tensor, binary, modality)
    else:
        values = list(_flat(tensor.data))
    if len(values) != count or not count:
        raise InvalidField("inputs.0.shape", f"says {count} values; there are {len(values)}")
    if modality == "text":
        return [ItemBody(id=number, text=value) for number, value in enumerate(values)]
    return [ItemBody(id=number, image=value) for number, value in enumerate(values)]


def _flat(data: Sequence[str | list[str]]) -> Iterator[str]:
    for value in data:
        if isinstance(value, str):
            yield value
        else:
            yield from value


def _from_bytes(tensor: InputTensor, binary: bytes, modality: Modality) -> list[str]:
    size = tensor.parameters.binary_data_size
    if size is None:
        raise InvalidField("inputs.0.data", "is missing, and binary_data_size, too")
    if size != len(binary):
        reason = f"is {size:,}, but {len(binary):,} bytes follow the JSON"
        raise InvalidField("inputs.0.parameters.binary_data_size", reason)
    return [_text(value, modality) for value in _split(binary)]


def _split(binary: bytes) -> Iterator[bytes]:
    position = 0
    while position < len(binary):
        length = int.from_bytes(binary[position : position + _LENGTH_BYTES], "little")
        position += _LENGTH_BYTES
        if position + length > len(binary):
            raise InvalidField("inputs.0", "has a value that reaches beyond the body")
        yield binary[position : position + length]
        position += length


def _text(value: bytes, modality: Modality) -> str:
    if modality == "image":
        return b64encode(value).decode()
    try:
        return value.decode()
    except UnicodeDecodeError:
        raise InvalidField("inputs.0", "has a text that is not UTF-8") from None
