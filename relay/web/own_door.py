"""A request that the console itself gives to the door, over no network: proof, limits, rules and outbox are those of any other."""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import quote

from anyio import from_thread
from starlette.types import Message

from relay.sources.base import Sample
from relay.web.hooks import Hooks

#: Stands in the archive and in lists of refused requests as the sender's address.
_ADDRESS: Final = ("127.0.0.1", 0)


class OwnDoor:
    """To be called in a thread that the event loop of `hooks` waits for, as Starlette's handlers are."""

    def __init__(self, hooks: Hooks) -> None:
        self._hooks = hooks

    def __call__(self, source: str, request: Sample) -> tuple[int, bytes]:
        """(status, body) of the answer. Raises RelayError as the door does for nobody: refusals are answers."""
        return from_thread.run(self._send, source, request)

    async def _send(self, source: str, request: Sample) -> tuple[int, bytes]:
        path = f"/hooks/{quote(source, safe='')}"
        headers = [
            (name.lower().encode(), value.encode("latin-1")) for name, value in request.headers.items()
        ]
        scope: dict[str, Any] = {
            "type": "http",
            "method": request.method,
            "path": f"/hooks/{source}",
            "raw_path": path.encode(),
            "query_string": b"",
            "headers": [*headers, (b"content-length", str(len(request.body)).encode())],
            "client": _ADDRESS,
        }
        answer: dict[str, Any] = {"status": 500, "body": b""}

        async def receive() -> Message:
            return {"type": "http.request", "body": request.body, "more_body": False}

        async def send(message: Message) -> None:
            answer["status"] = message.get("status", answer["status"])
            answer["body"] += message.get("body", b"")

        await self._hooks(scope, receive, send)
        return int(answer["status"]), bytes(answer["body"])
