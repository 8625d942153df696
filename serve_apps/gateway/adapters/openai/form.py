"""A file out of a multipart form (RFC 7578), block by block, whatever its size."""

from collections.abc import AsyncIterator, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from cluster.errors import InvalidField, MalformedBody, TooLarge, UnsupportedMedia

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

MEDIA_TYPE = "multipart/form-data"
FILE = "file"

FIELD_BYTES_MAX = 4_096
"""All fields but the file together, their names included."""


class FileForm:
    """A form that is being received: its file is iterated over, its fields are there afterwards.

    Holds what one block of the body gives. Raises MalformedBody for what is no form, InvalidField
    for two files or none, and TooLarge for fields over their limit.
    """

    def __init__(self, content_type: str, body: AsyncIterator[bytes]) -> None:
        media_type, options = parse_options_header(content_type)
        boundary = options.get(b"boundary", b"")
        if media_type.decode("latin-1") != MEDIA_TYPE or not boundary:
            raise UnsupportedMedia(content_type[:100], (MEDIA_TYPE,))
        self._body, self._parts = body, _Parts()
        try:
            self._parser = MultipartParser(boundary, self._parts.callbacks())
        except FormParserError:
            raise MalformedBody("the boundary of the form is too long") from None

    @property
    def fields(self) -> Mapping[str, str]:
        """The fields beside the file, by name."""
        return MappingProxyType(self._parts.fields)

    @property
    def filename(self) -> str:
        """What the client calls the file."""
        return self._parts.filename

    async def blocks(self) -> AsyncIterator[bytes]:
        """Yield the file's bytes; the form is whole once this ends."""
        async for block in self._body:
            try:
                self._parser.write(block)
            except FormParserError:
                raise MalformedBody("not a multipart form") from None
            if content := self._parts.taken():
                yield content
        if not self._parts.ended:
            raise MalformedBody("the form breaks off")
        if not self._parts.files:
            raise InvalidField(FILE, "is missing")


class _Parts:
    """What the parser has told of the parts so far."""

    def __init__(self) -> None:
        self.fields: dict[str, str] = {}
        self.filename, self.files, self.ended = "", 0, False
        self._header, self._value = bytearray(), bytearray()
        self._name, self._field_bytes = "", 0
        self._field, self._content = bytearray(), bytearray()

    def callbacks(self) -> "MultipartCallbacks":
        """Return what the parser is to call."""
        return {
            "on_part_begin": self._begin,
            "on_header_field": lambda data, start, end: self._header.extend(data[start:end]),
            "on_header_value": lambda data, start, end: self._value.extend(data[start:end]),
            "on_header_end": self._end_header,
            "on_part_data": self._add,
            "on_part_end": self._end,
            "on_end": self._end_form,
        }

    def taken(self) -> bytes:
        """Return what has come of the file since the last call."""
        content = bytes(self._content)
        self._content.clear()
        return content

    def _begin(self) -> None:
        self._name = ""
        self._field.clear()

    def _end_header(self) -> None:
        if self._header.lower() == b"content-disposition":
            _, options = parse_options_header(bytes(self._value))
            self._name = options.get(b"name", b"").decode(errors="replace")
            if self._name == FILE:
                self.files += 1
                self.filename = options.get(b"filename", b"").decode(errors="replace")
                if self.files > 1:
                    raise InvalidField(FILE, "is there twice")
        self._header.clear()
        self._value.clear()

    def _add(self, data: bytes, start: int, end: int) -> None:
        if self._name == FILE:
            self._content += data[start:end]
            return
        self._field_bytes += end - start
        self._check()
        self._field += data[start:end]

    def _end(self) -> None:
        if self._name != FILE:
            self._field_bytes += len(self._name)
            self._check()
            self.fields[self._name] = self._field.decode(errors="replace")

    def _end_form(self) -> None:
        self.ended = True

    def _check(self) -> None:
        if self._field_bytes > FIELD_BYTES_MAX:
            raise TooLarge("the fields of the form", self._field_bytes, FIELD_BYTES_MAX)
