"""The body of a request -> the encoded images in it, in memory and within limits."""

import asyncio
import base64
import binascii
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from fastapi import Request
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import ClientDisconnect

from graft.serving.server.limits import Limits, RefusedError

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

MULTIPART, JSON = "multipart/form-data", "application/json"
FIELD_BYTES = 4096  # of a form's field that is no file
NAME_LENGTH = 200  # characters of a file's name that are given back


class Form(NamedTuple):
    """The contents of a request.

    Attributes:
        files: (name, encoded image) in their order; the name is the client's.
        fields: of a form, beside its files.
    """

    files: list[tuple[str, bytes]]
    fields: dict[str, str]


class Images(BaseModel):
    """The JSON that `POST /v1/predict` takes."""

    model_config = ConfigDict(extra="forbid", strict=True)
    images: list[str] = Field(description="encoded images (JPEG, PNG, GIF, BMP or WEBP), each in base64")


def media_type(request: Request) -> tuple[str, bytes]:
    """Tell what a body is: `MULTIPART` with its boundary, or `JSON`.

    Raises:
        RefusedError: 415, if it is neither; 422 without a boundary.
    """
    kind, options = parse_options_header(request.headers.get("content-type", ""))
    name = kind.decode("latin-1")
    if name not in (MULTIPART, JSON):
        raise RefusedError(
            415, "wrong_type", f"expected Content-Type {MULTIPART} or {JSON}, received {name[:80] or 'none'}"
        )
    if name == MULTIPART and not options.get(b"boundary"):
        raise RefusedError(422, "malformed", f"expected Content-Type {MULTIPART} with a boundary")
    return name, options.get(b"boundary", b"")


async def read_body(request: Request, limits: Limits, take: Callable[[int], None]) -> bytes:
    """Read a body, also a chunked one.

    Args:
        request, limits: what is read, within what.
        take: is called with the number of bytes that come into memory.

    Raises:
        RefusedError: 413 if it is too large, by its header or by what arrives; 408 if it is too slow;
            what `take` raises.
    """
    too_large = RefusedError(413, "too_large", f"expected a body of at most {limits.max_bytes:,} bytes")
    if int(request.headers.get("content-length", 0)) > limits.max_bytes:
        raise too_large
    chunks, size = [], 0
    try:
        async with asyncio.timeout(limits.timeout):
            async for chunk in request.stream():
                size += len(chunk)
                if size > limits.max_bytes:
                    raise too_large
                take(len(chunk))
                chunks.append(chunk)
    except TimeoutError:
        raise RefusedError(408, "slow", f"expected the body within {limits.timeout:g} s") from None
    except ClientDisconnect:
        raise RefusedError(400, "gone", "the client went away") from None
    return b"".join(chunks)


def parse(kind: str, boundary: bytes, body: bytes, max_files: int) -> Form:
    """Find the images in a body.

    Args:
        kind, boundary: what `media_type` said.
        body: bytes.
        max_files: how many images it may hold.

    Raises:
        RefusedError: 422 if the body is damaged or holds no image; 413 if it holds too many.
    """
    form = Form(_read_json(body, max_files), {}) if kind == JSON else _read_form(body, boundary, max_files)
    if not form.files:
        raise RefusedError(422, "malformed", "expected at least one image, received none")
    return form


def _too_many(max_files: int) -> RefusedError:
    return RefusedError(413, "too_many", f"expected at most {max_files} images in a request")


def _read_json(body: bytes, max_files: int) -> list[tuple[str, bytes]]:
    if body.count(b",") >= max_files:  # base64 has no comma; the rest is not worth the memory
        raise _too_many(max_files)
    try:
        images = Images.model_validate_json(body).images
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(map(str, first["loc"]))
        said = f'expected {{"images": ["<base64>", ...]}}: {place}: {first["msg"]}'[:300]
        raise RefusedError(422, "malformed", said) from None
    return [(str(number), _decode_base64(number, text)) for number, text in enumerate(images)]


def _decode_base64(number: int, text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise RefusedError(
            422, "malformed", f"images.{number}: expected base64, without the `data:` of a URL"
        ) from None


def _read_form(body: bytes, boundary: bytes, max_files: int) -> Form:
    parts = _Parts(max_files)
    try:
        parser = MultipartParser(boundary, parts.callbacks(), max_header_count=8, max_header_size=2048)
        parser.write(body)
    except FormParserError as error:
        raise RefusedError(422, "malformed", f"expected a multipart form: {error}"[:300]) from None
    if not parts.ended:
        raise RefusedError(422, "malformed", "expected a multipart form: its last boundary is missing")
    return Form(parts.files, parts.fields)


class _Parts:
    """Collects the parts of a form; python-multipart calls it."""

    def __init__(self, max_files: int) -> None:
        self.max_files, self.parts, self.ended = max_files, 0, False
        self.files: list[tuple[str, bytes]] = []
        self.fields: dict[str, str] = {}

    def callbacks(self) -> "MultipartCallbacks":
        return {
            "on_part_begin": self.begin,
            "on_header_field": self.header_field,
            "on_header_value": self.header_value,
            "on_part_data": self.part_data,
            "on_part_end": self.part_end,
            "on_end": self.end,
        }

    def begin(self) -> None:
        self.header, self.disposition, self.data = b"", b"", list[bytes]()
        self.parts += 1
        if self.parts > self.max_files:
            raise _too_many(self.max_files)

    def header_field(self, data: bytes, start: int, end: int) -> None:
        self.header = data[start:end].lower()

    def header_value(self, data: bytes, start: int, end: int) -> None:
        if self.header == b"content-disposition":
            self.disposition = data[start:end]

    def part_data(self, data: bytes, start: int, end: int) -> None:
        self.data.append(data[start:end])

    def part_end(self) -> None:
        _, options = parse_options_header(self.disposition)
        data, name = b"".join(self.data), options.get(b"name", b"").decode("utf-8", "replace")
        if b"filename" in options:
            self.files.append((options[b"filename"].decode("utf-8", "replace")[:NAME_LENGTH], data))
        elif len(data) > FIELD_BYTES:
            raise RefusedError(422, "malformed", f"field {name[:80]!r}: expected a file, with a file name")
        else:
            self.fields[name[:80]] = data.decode("utf-8", "replace")

    def end(self) -> None:
        self.ended = True
