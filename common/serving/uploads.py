"""Bodies of requests, received within limits and kept in memory: nothing is written to disk.

The length is counted while the bytes come, so that an upload that is too large, or has no end, is refused
before it is read.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import ClientDisconnect, Request

from common.serving.errors import ClientGoneError, RequestError

RECEIVING_S = 300.0
"""the longest time for receiving a body"""
STALLED_S = 30.0
"""the longest time without any byte"""
MOST_PARTS = 256
"""parts of a form"""
FIELD_BYTES = 64 * 1024
"""all fields of a form together, without the file"""
FORM_BYTES = 256 * 1024
"""what a form may have besides its file: boundaries, headers of parts and fields"""
MOST_NAME = 200
"""characters of the name of a file"""
HELD_UPLOADS = 16
"""uploads of the largest size that are held at a time, by all requests together"""


class Form(NamedTuple):
    """A form that was received.

    fields: the values of each field, in order; "[]" at the end of a name is left out.
    file: the content of its file; None if it has none.
    file_name: how the client calls it, without folders; it is for answers alone.
    """

    fields: dict[str, list[str]]
    file: bytes | None
    file_name: str


class Uploads:
    """Receives bodies, and counts the bytes that are held for all requests.

    Args:
        most_bytes: the largest file.
    """

    def __init__(self, most_bytes: int) -> None:
        self.most_bytes, self.held_bytes = most_bytes, 0

    @contextmanager
    def holding(self) -> "Iterator[Held]":
        """Give what counts the bytes of one request, for as long as they are held."""
        held = Held(self)
        try:
            yield held
        finally:
            self.held_bytes -= held.count
            held.count = 0


class Held:
    """The bytes that are held for one request."""

    def __init__(self, uploads: Uploads) -> None:
        self.uploads, self.count = uploads, 0

    def add(self, count: int) -> None:
        """Hold more bytes; RequestError if all requests together hold too many."""
        if self.uploads.held_bytes + count > HELD_UPLOADS * self.uploads.most_bytes:
            raise RequestError(429, "too many uploads at once; try again", code="busy", retry_after_s=2)
        self.uploads.held_bytes += count
        self.count += count

    async def form(self, request: Request) -> Form:
        """Receive a form with at most one file.

        Raises:
            RequestError: it is no form, it is damaged, or a limit is exceeded.
            ClientGoneError: the client closed the connection.
        """
        kind, options = parse_options_header(request.headers.get("content-type"))
        boundary = options.get(b"boundary", b"")
        if kind != b"multipart/form-data" or not boundary:
            raise RequestError(
                415, "the body is no multipart/form-data with a boundary", code="unsupported_media_type"
            )
        form = _FormReader(self.uploads.most_bytes)
        try:
            parser = MultipartParser(boundary, form.callbacks())
            async for piece in self._pieces(request, self.uploads.most_bytes + FORM_BYTES):
                parser.write(piece)
            parser.finalize()
        except FormParserError as error:
            raise RequestError(
                400, "the form is damaged, or its boundary is wrong", code="bad_form"
            ) from error
        if not form.ended:
            raise RequestError(400, "the form has no end, or its boundary is wrong", code="bad_form")
        return Form(form.fields, form.file, form.file_name)

    async def json(self, request: Request) -> dict[str, Any]:
        """Receive a JSON object, which may hold a file in base64; the errors are those of `form`."""
        kind, _ = parse_options_header(request.headers.get("content-type"))
        if kind != b"application/json":
            raise RequestError(415, "the body is no application/json", code="unsupported_media_type")
        body = bytearray()
        async for piece in self._pieces(request, self.uploads.most_bytes * 4 // 3 + FORM_BYTES):
            body += piece
        try:
            found = json.loads(body)
        except (ValueError, RecursionError):
            raise RequestError(400, "the body is not valid JSON", code="bad_json") from None
        if not isinstance(found, dict):
            raise RequestError(400, "the body is no JSON object", code="bad_json")
        return found

    async def _pieces(self, request: Request, most_bytes: int) -> AsyncIterator[bytes]:
        """Yield the body as it comes, as long as it stays within limits."""
        announced = request.headers.get("content-length", "")
        if announced.isdecimal() and int(announced) > most_bytes:
            raise too_large(self.uploads.most_bytes)
        clock, received, stream = asyncio.get_running_loop().time, 0, request.stream()
        end_s = clock() + RECEIVING_S
        while True:
            try:
                async with asyncio.timeout(min(STALLED_S, max(0.0, end_s - clock()))):
                    piece = await anext(stream, None)
            except TimeoutError:
                raise RequestError(408, "the body came too slowly; try again", code="timeout") from None
            except ClientDisconnect:
                raise ClientGoneError from None
            if piece is None:
                return
            received += len(piece)
            if received > most_bytes:
                raise too_large(self.uploads.most_bytes)
            self.add(len(piece))
            yield piece


def too_large(most_bytes: int) -> RequestError:
    """Return the error for a file that is too large."""
    return RequestError(
        413, f"the file is larger than {most_bytes / 1e6:g} MB; split it", "file", "file_too_large"
    )


class _FormReader:
    """Collects what the parser of a form finds."""

    def __init__(self, most_bytes: int) -> None:
        self.most_bytes = most_bytes
        self.fields: dict[str, list[str]] = {}
        self.file: bytes | None = None
        self.file_name = ""
        self.ended = False
        self._parts = self._field_bytes = 0
        self._header, self._value, self._disposition = b"", b"", b""
        self._data, self._name, self._is_file = bytearray(), "", False

    def callbacks(self) -> Any:
        """Return the functions that the parser calls."""
        names = ("part_begin", "part_data", "part_end", "header_field", "header_value", "header_end")
        return {f"on_{name}": getattr(self, f"_{name}") for name in (*names, "headers_finished", "end")}

    def _part_begin(self) -> None:
        self._parts += 1
        if self._parts > MOST_PARTS:
            raise RequestError(400, f"the form has more than {MOST_PARTS} parts", code="bad_form")
        self._disposition, self._data = b"", bytearray()

    def _header_field(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _header_end(self) -> None:
        if self._header.lower() == b"content-disposition":
            self._disposition = self._value
        self._header = self._value = b""

    def _headers_finished(self) -> None:
        _, options = parse_options_header(self._disposition)
        if b"name" not in options:
            raise RequestError(400, "a part of the form has no name", code="bad_form")
        self._name = _text(options[b"name"]).removesuffix("[]")
        self._is_file = b"filename" in options
        if self._is_file and (self.file is not None or self._name != "file"):
            raise RequestError(400, "one file is wanted, as `file`", "file", "bad_form")
        if self._is_file:
            self.file_name = bare_name(_text(options[b"filename"]))

    def _part_data(self, data: bytes, start: int, end: int) -> None:
        if self._is_file:
            if len(self._data) + end - start > self.most_bytes:
                raise too_large(self.most_bytes)
        else:
            self._field_bytes += end - start
            if self._field_bytes > FIELD_BYTES:
                raise RequestError(
                    400, f"the fields have more than {FIELD_BYTES} bytes in all", code="bad_form"
                )
        self._data += memoryview(data)[start:end]

    def _part_end(self) -> None:
        if self._is_file:
            self.file = bytes(self._data)
        else:
            self.fields.setdefault(self._name, []).append(_text(bytes(self._data)))
        self._data = bytearray()

    def _end(self) -> None:
        self.ended = True


def bare_name(name: str) -> str:
    """Return the name of a file without folders, and without what is no letter, digit or mark."""
    bare = name.replace("\\", "/").rpartition("/")[2]
    return "".join(letter for letter in bare if letter.isprintable())[:MOST_NAME].strip(".") or "file"


def _text(raw: bytes) -> str:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        raise RequestError(400, "a field is not UTF-8", code="bad_form") from None
