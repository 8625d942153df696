"""Whether a row makes an item: an id and a content, each of the right type, size and kind."""

from cluster.domain.ids import ItemId
from cluster.domain.items import RejectedRow
from cluster.domain.pairs import SEPARATOR, joined
from cluster.settings import Limits
from ingest.images import Fetch, check_image, image_bytes
from ingest.rows import Absent, Candidate, Code, Layout, Problem, Row

ID_CHARS_MAX = 200


class Validator:
    """Checks the rows of one job; the same row always gets the same verdict."""

    def __init__(self, layout: Layout, limits: Limits, fetch: Fetch) -> None:
        self._layout, self._limits, self._fetch = layout, limits, fetch

    def check(self, row: Row) -> Candidate | RejectedRow:
        """Return a row as a candidate, or the first thing wrong with it."""
        item_id = check_id(row.item_id, self._layout.id_field)
        if isinstance(item_id, Problem):
            return item_id.at(row.line)
        content = self._content(row)
        if isinstance(content, Problem):
            return content.at(row.line, ItemId(item_id))
        return Candidate(row.line, ItemId(item_id), content)

    def _content(self, row: Row) -> str | bytes | Problem:
        layout, bytes_max = self._layout, self._limits.row_bytes_max
        if layout.modality == "image":
            return self._image(row.content)
        if layout.pair_field is None:
            return check_text(row.content, layout.content_field, bytes_max)
        first = check_side(row.content, layout.content_field, bytes_max)
        if isinstance(first, Problem):
            return first
        second = check_side(row.second, layout.pair_field, bytes_max)
        return second if isinstance(second, Problem) else joined(first, second)

    def _image(self, value: object) -> bytes | Problem:
        field = self._layout.content_field
        if not isinstance(value, str | bytes):
            return _misfit(value, field, "base64, a URI or bytes")
        if not value:
            return Problem(field, Code.FIELD_EMPTY, f"{field!r} is empty")
        content = image_bytes(value, field, self._limits.image_bytes_max, self._fetch)
        if isinstance(content, Problem):
            return content
        return check_image(content, field, self._limits.image_pixels_max) or content


def check_id(value: object, field: str) -> str | Problem:
    """Return a client's id as text: a string of 1 to 200 characters, or an integer."""
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    text = _text(value, field, "a string or an integer")
    if isinstance(text, Problem):
        return text
    if not text:
        return Problem(field, Code.FIELD_EMPTY, f"{field!r} is empty")
    if len(text) > ID_CHARS_MAX:
        detail = f"{field!r} has {len(text):,} characters; the limit is {ID_CHARS_MAX}"
        return Problem(field, Code.ID_TOO_LONG, detail)
    return text


def check_text(value: object, field: str, bytes_max: int) -> str | Problem:
    """Return a text that holds more than white space and at most `bytes_max` bytes of UTF-8."""
    text = _text(value, field, "a string")
    if isinstance(text, Problem):
        return text
    if not text or text.isspace():
        return Problem(field, Code.FIELD_EMPTY, f"{field!r} holds nothing but white space")
    size = len(text) if text.isascii() else len(text.encode())
    if size > bytes_max:
        detail = f"{field!r} has {size:,} bytes; the limit is {bytes_max:,}"
        return Problem(field, Code.FIELD_TOO_LARGE, detail)
    return text


def check_side(value: object, field: str, bytes_max: int) -> str | Problem:
    """Return a text as `check_text` does, which can also be one of a pair."""
    text = check_text(value, field, bytes_max)
    if isinstance(text, str) and SEPARATOR in text:
        at = text.index(SEPARATOR) + 1
        detail = f"character {at:,} of {field!r} is U+001F, which no text of a pair may hold"
        return Problem(field, Code.SEPARATOR_RESERVED, detail)
    return text


def _text(value: object, field: str, wanted: str) -> str | Problem:
    """Return text that UTF-8 can hold; JSON escapes can spell half a character."""
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError as error:
            detail = f"byte {error.start + 1} of {field!r} is not UTF-8"
            return Problem(field, Code.UTF8_INVALID, detail)
    if not isinstance(value, str):
        return _misfit(value, field, wanted)
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError as error:
            detail = f"character {error.start + 1} of {field!r} is half of a surrogate pair"
            return Problem(field, Code.UTF8_INVALID, detail)
    return value


def _misfit(value: object, field: str, wanted: str) -> Problem:
    if value is Absent.ABSENT:
        return Problem(field, Code.FIELD_MISSING, f"the row has no {field!r}")
    if value is None:
        return Problem(field, Code.FIELD_MISSING, f"{field!r} is null")
    found = _TYPE_NAMES.get(type(value), type(value).__name__)
    return Problem(field, Code.FIELD_TYPE, f"{field!r} is {found}, not {wanted}")


_TYPE_NAMES = {
    bool: "a boolean",
    int: "an integer",
    float: "a number",
    list: "an array",
    dict: "an object",
    str: "a string",
    bytes: "bytes",
}
