"""A door over a real socket with a config and bounds of the test's own, and the senders that it has."""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import orjson

from relay.bounds import Bounds
from relay.outbox.archive import unpack
from relay.outbox.items import DeadLetter
from relay.settings import Settings
from relay.web.app import WebSide
from tests.environ import WEAK
from tests.web.test_hooks import serve

CONFIG = """
planhat: {types: [Support email, Help-desk ticket]}
sources:
  mail: {adapter: postmark, basic_auth: ["user:pass"], type: Support email}
  mailgun: {adapter: mailgun, secrets: ["key"], type: Support email}
  github: {adapter: github, secrets: ["key"], type: Help-desk ticket}
  open: {adapter: generic, bearer: ["token"], type: Help-desk ticket, max_body_bytes: 25MiB}
companies: [{default: extid-acme}]
"""
JSON = {"content-type": "application/json"}


class Opened:
    """`url`: where it listens."""

    def __init__(self, url: str, side: WebSide, file: Path) -> None:
        self.url, self.side, self.file = url, side, file
        self.http = httpx.Client(base_url=url, timeout=30, trust_env=False)

    def mail(self, body: bytes, *, login: str = "user:pass", **headers: str) -> httpx.Response:
        user, _, password = login.partition(":")
        return self.http.post("/hooks/mail", content=body, headers={**JSON, **headers}, auth=(user, password))

    def github(self, payload: Any, **headers: str) -> httpx.Response:
        body = orjson.dumps(payload)
        digest = hmac.new(b"key", body, hashlib.sha256).hexdigest()
        proof = {"x-hub-signature-256": f"sha256={digest}", **JSON, **headers}
        return self.http.post("/hooks/github", content=body, headers=proof)

    def mailgun(self, body: bytes, content_type: str) -> httpx.Response:
        return self.http.post("/hooks/mailgun", content=body, headers={"content-type": content_type})

    def archived(self, event_id: str) -> bytes:
        """The body as it is kept."""
        found = self.side.outbox.events.get(event_id)
        assert found
        return unpack(found[2]).body

    def letters(self) -> list[DeadLetter]:
        return self.side.outbox.dead.get_many(self.side.outbox.dead.ids())


def mailgun_proof(token: str, *, secret: str = "key", at_s: float | None = None) -> dict[str, str]:
    sent_at = str(int(time.time() if at_s is None else at_s))
    signature = hmac.new(secret.encode(), (sent_at + token).encode(), hashlib.sha256).hexdigest()
    return {"timestamp": sent_at, "token": token, "signature": signature}


def postmark(number: int = 1, *, padding: str = "", **changes: Any) -> bytes:
    return json.dumps(
        {
            "From": "ana@customer.example.com",
            "FromFull": {"Email": "ana@customer.example.com", "Name": "Ana"},
            "To": "support@example.com",
            "Subject": "The export stops",
            "MessageID": f"m-{number}",
            "Headers": [{"Name": "Message-ID", "Value": f"<{number}@customer.example.com>"}],
            "TextBody": "It stops after 500 rows.",
            "Attachments": [
                {"Name": "rows.bin", "Content": padding, "ContentType": "application/octet-stream"}
            ],
            **changes,
        }
    ).encode()


@contextlib.contextmanager
def opened(
    redis_url: str, folder: Path, *, config: str = CONFIG, bounds: Bounds | None = None, **more: Any
) -> Iterator[Opened]:
    file = folder / "relay.yaml"
    file.write_text(config)
    settings = Settings(
        config=str(file), redis_url=redis_url, require_durable=False, bounds=bounds or Bounds(), **more
    )
    side = WebSide(settings, dict(WEAK))
    for url in serve(side):
        door = Opened(url, side, file)
        yield door
        door.http.close()
