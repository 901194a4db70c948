"""Bytes in and out of the sandbox, and what can be done to a connection."""

from __future__ import annotations

import asyncio
import gzip
import zlib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import parse_qsl

import orjson
from starlette.types import Receive, Scope, Send

_MAX_BODY_BYTES: Final = 256 * 1024 * 1024


class Answered(Exception):
    """This request is answered early. `payload` None: an empty body."""

    def __init__(self, status: int, payload: Any, headers: Mapping[str, str] | None = None) -> None:
        self.status = status
        self.payload = payload
        self.headers = headers or {}


class Silent(Exception):
    """The connection is gone; there is nobody to answer. `word` is for the log of calls."""

    def __init__(self, word: str) -> None:
        self.word = word


def header(scope: Scope, name: bytes) -> str:
    return next((value.decode("latin-1") for key, value in scope["headers"] if key == name), "")


def query_of(scope: Scope) -> dict[str, str]:
    return dict(parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True))


async def read_body(receive: Receive) -> bytes:
    pieces: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Silent("client gone")
        piece = message.get("body", b"")
        size += len(piece)
        if size > _MAX_BODY_BYTES:
            raise Answered(413, "Payload Too Large")
        pieces.append(piece)
        if not message.get("more_body"):
            return b"".join(pieces)


def parse(scope: Scope, body: bytes) -> Any:
    if header(scope, b"content-encoding") == "gzip":
        try:
            body = gzip.decompress(body)
        except (OSError, EOFError, zlib.error) as error:
            raise Answered(400, "Bad gzip") from error
    try:
        return orjson.loads(body)
    except (orjson.JSONDecodeError, RecursionError) as error:
        raise Answered(400, "Bad JSON") from error


async def hang(receive: Receive, hang_s: float) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(hang_s):
            while (await receive())["type"] != "http.disconnect":
                pass


async def drop(receive: Receive, send: Send, word: str) -> None:
    """Close the connection without a byte, where the server lets us reach it; otherwise in the middle of an answer."""
    transport = getattr(getattr(send, "__self__", None), "transport", None)
    if transport is not None:
        transport.abort()
        await hang(receive, 1)
    else:
        await send(
            {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"1000000")]}
        )
    raise Silent(word)


@dataclass(frozen=True, slots=True)
class Raw:
    body: bytes
    content_type: str


async def send_answer(send: Send, status: int, payload: Any, headers: Mapping[str, str]) -> None:
    if isinstance(payload, Raw):
        body, content_type = payload.body, payload.content_type
    else:
        body = b"" if payload is None else orjson.dumps(payload)
        content_type = "application/json; charset=utf-8"
    sent = {"Content-Type": content_type, "Content-Length": str(len(body)), **headers}
    await send(
        {
            "type": "http.response.start",
            "status": status,
            "headers": [
                (name.lower().encode(), value.encode("latin-1", "replace")) for name, value in sent.items()
            ],
        }
    )
    await send({"type": "http.response.body", "body": body})
