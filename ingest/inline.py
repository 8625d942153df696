"""Items that came within a request, as the file they would have been."""

import json
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class InlineItem:
    """One item of a request: its id, and a text, two, or an image (base64 or URI)."""

    id: str | int
    text: str | None = None
    image: str | None = None
    text_pair: str | None = None


def inline_to_jsonl(items: Iterable[InlineItem]) -> bytes:
    """Return items as JSON Lines with the fields `id` and `text`, `text` and `text_pair`, or
    `image`.

    The n-th item is line n, so rejected rows name the item's place in the request. Nothing is
    checked here: the ingest of the file does it, as for any other.
    """
    return b"".join(_line(item) for item in items)


def _line(item: InlineItem) -> bytes:
    fields = {
        "id": item.id,
        "text": item.text,
        "text_pair": item.text_pair,
        "image": item.image,
    }
    present = {name: value for name, value in fields.items() if value is not None}
    return json.dumps(present).encode() + b"\n"
