"""Lines of OpenAI's batch files as rows: one chat completion a line, which asks for a label.

The item is the text of the last message, which is the user's. The labels are those of
`response_format`: a JSON schema of an object with one property, or of a string, with an `enum`. All
lines of a file ask in the same way.
"""

import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import BinaryIO, NamedTuple, TypeGuard

from cluster.domain.ids import ItemId
from cluster.domain.items import RejectedRow
from ingest.jsonl import json_objects
from ingest.rows import Absent, Code, Layout, Problem, Row

ENDPOINT = "/v1/chat/completions"

_FORMAT = "body.response_format"
_REFUSED = ("stream", "tools", "functions", "web_search_options")
_LABELS_SHOWN = 5


class Question(NamedTuple):
    """How a line asks: the labels it names, none where it leaves that to others, and the property
    of the answer that holds the label, None where the answer is the label itself."""

    labels: tuple[str, ...]
    label_field: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatRequest:
    """A line that asks for a label; `instructions` is what stands before the text, if anything."""

    custom_id: object
    text: str
    instructions: str
    question: Question


def request_rows(stream: BinaryIO, layout: Layout) -> Iterator[Row | RejectedRow]:
    """Yield each line's request as a row, or why it is none; `line` is the line's number."""
    for line, found in json_objects(stream, layout.record_bytes_max):
        yield found if isinstance(found, RejectedRow) else _row(line, found, layout)


def first_request(stream: BinaryIO, bytes_max: int) -> ChatRequest | RejectedRow | None:
    """Return the request of the first line that is not blank, or why it is none.

    A line may have `bytes_max` bytes. None where all lines within twice as many are blank: what
    comes after them is not looked at.
    """
    head = io.BytesIO(stream.read(2 * bytes_max))
    for line, found in json_objects(head, bytes_max):
        if isinstance(found, RejectedRow):
            return found
        request = read_request(found)
        return request.at(line) if isinstance(request, Problem) else request
    return None


def read_request(found: Mapping[str, object]) -> ChatRequest | Problem:
    """Return a line's object as a request, or the first thing wrong with it."""
    body = found.get("body")
    fields = body if isinstance(body, dict) else {}
    sound = (
        ("method", found.get("method") == "POST", "must be POST"),
        ("url", found.get("url") == ENDPOINT, f"must be {ENDPOINT}"),
        ("body", isinstance(body, dict), "must be an object"),
        ("body.n", fields.get("n") in (None, 1), "must be 1: an item has one label"),
        *((f"body.{name}", not fields.get(name), "cannot be used here") for name in _REFUSED),
    )
    wrong = next(((field, reason) for field, is_sound, reason in sound if not is_sound), None)
    if wrong is not None:
        return _unsupported(*wrong)
    text, question = _text_of_last(fields.get("messages")), _question(fields.get("response_format"))
    if isinstance(text, Problem):
        return text
    if isinstance(question, Problem):
        return question
    return ChatRequest(
        custom_id=found.get("custom_id", Absent.ABSENT),
        text=text,
        instructions=_instructions(fields.get("messages")),
        question=question,
    )


def _row(line: int, found: Mapping[str, object], layout: Layout) -> Row | RejectedRow:
    request = read_request(found)
    if not isinstance(request, Problem):
        difference = _difference(request.question, layout)
        if difference is None:
            return Row(line, request.custom_id, request.text)
        request = Problem(_FORMAT, Code.LABELS_DIFFER, difference)
    custom_id = found.get("custom_id")
    known = isinstance(custom_id, str) and custom_id.isprintable() and len(custom_id) <= 200
    return request.at(line, ItemId(str(custom_id)) if known else None)


def _difference(question: Question, layout: Layout) -> str | None:
    """Return how a line asks for something else than its job does, None where it does not."""
    if not question.labels:
        return "it names no labels, as the first line does" if layout.label_field else None
    if question.labels != layout.labels:
        named = ", ".join(label[:50] for label in question.labels[:_LABELS_SHOWN])
        return f"its labels ({named}, ...) are not those of the first line, in the same order"
    if question.label_field != layout.label_field:
        return "it names another property than the first line"
    return None


def _text_of_last(messages: object) -> str | Problem:
    field = "body.messages"
    if not isinstance(messages, list) or not messages:
        return _unsupported(field, "must be a list of messages")
    last = messages[-1]
    if not isinstance(last, dict) or last.get("role") != "user":
        return _unsupported(field, "must end with a message of the user: the text to label")
    text = _text(last.get("content"))
    if text is None:
        return _unsupported(field, "must end with a message of text, not of images or sounds")
    return text


def _instructions(messages: object) -> str:
    """Return the texts of the system's and the developer's messages."""
    found = messages if isinstance(messages, list) else []
    told = (
        _text(message.get("content"))
        for message in found
        if isinstance(message, dict) and message.get("role") in ("system", "developer")
    )
    return "\n\n".join(text for text in told if text)


def _text(content: object) -> str | None:
    """Return the text of a message, which may come in parts; None where it is anything else."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list) or not content:
        return None
    parts = [
        part.get("text") if isinstance(part, dict) and part.get("type") == "text" else None
        for part in content
    ]
    texts = [part for part in parts if isinstance(part, str)]
    return "\n".join(texts) if len(texts) == len(parts) else None


def _question(response_format: object) -> Question | Problem:
    asked = {"type": "text"} if response_format is None else response_format
    kind = asked.get("type") if isinstance(asked, dict) else None
    if kind == "text":
        return Question((), None)
    if not isinstance(asked, dict) or kind != "json_schema":
        return _unsupported(_FORMAT, "must be of the type json_schema, or text")
    named = asked.get("json_schema")
    schema = named.get("schema") if isinstance(named, dict) else None
    return _question_of(schema if isinstance(schema, dict) else {})


def _question_of(schema: Mapping[str, object]) -> Question | Problem:
    properties = schema.get("properties")
    if schema.get("type") == "object" and isinstance(properties, dict) and len(properties) == 1:
        (field, label), *_ = properties.items()
        return _enum(label, field)
    if schema.get("type") == "string":
        return _enum(schema, None)
    detail = "must be the schema of an object with one property, or of a string, with an enum"
    return _unsupported(_FORMAT, detail)


def _enum(schema: object, field: str | None) -> Question | Problem:
    labels = schema.get("enum") if isinstance(schema, dict) else None
    if not _are_labels(labels):
        return _unsupported(_FORMAT, "must name two or more labels in an enum of strings")
    return Question(tuple(labels), field)


def _are_labels(labels: object) -> TypeGuard[Sequence[str]]:
    return isinstance(labels, list) and len(labels) > 1 and all(isinstance(n, str) for n in labels)


def _unsupported(field: str, reason: str) -> Problem:
    return Problem(field, Code.REQUEST_UNSUPPORTED, f"{field} {reason}")
