"""The relay beside the packages: a real `relay serve` that takes what they sign, and `relay send` for what they take."""

from __future__ import annotations

import base64
import secrets
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import orjson
import redis
import yaml
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from cryptography.x509.oid import NameOID
from jwt.algorithms import RSAAlgorithm

from bench.servers import ROOT, Server, environ, redis_server, web_server
from relay.outbox.outbox import Outbox

PUBLIC = "https://hooks.example.com"
TOPIC = "arn:aws:sns:eu-west-1:000000000000:inbound-mail"
#: Sources whose secret is base64 behind `whsec_`.
STANDARD = ("svix", "standard_webhooks", "resend", "fathom")
_PLAIN = ("slack", "stripe", "github", "linear", "plain", "crisp", "zoom")


@dataclass(frozen=True, slots=True)
class Request:
    """What goes to the relay, or came from it. Header names are in lower case where they came."""

    headers: Mapping[str, str]
    body: bytes
    path: str = ""


class Keys:
    """Secrets of one run: `own` and `next` are configured, `other` is not."""

    def __init__(self, folder: Path) -> None:
        self.text = {which: secrets.token_hex(24) for which in ("own", "next", "other")}
        self.standard = {
            which: "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode() for which in self.text
        }
        self.rsa = {which: rsa.generate_private_key(65537, 2048) for which in self.text}
        self.ec = {which: ec.generate_private_key(ec.SECP256R1()) for which in self.text}
        self.folder = folder

    def secret(self, source: str, which: str) -> str:
        """What a package signs with, or verifies with."""
        if source in STANDARD:
            return self.standard[which]
        return self.private(source, which) if source == "google_chat" else self.text[which]

    def private(self, source: str, which: str) -> str:
        key = self.ec[which] if source == "sendgrid" else self.rsa[which]
        raw: bytes = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        return raw.decode()

    def public(self, which: str) -> str:
        """SendGrid's verification key: base64 of its DER."""
        raw = self.ec[which].public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return base64.b64encode(raw).decode()

    def certificate(self, which: str) -> str:
        """One that stands where Amazon's would."""
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sns.amazonaws.com")])
        now = datetime.now(UTC)
        made = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(self.rsa[which].public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=1))
            .sign(self.rsa[which], SHA256())
        )
        return made.public_bytes(Encoding.PEM).decode()


def write_config(keys: Keys) -> Path:
    """A config with every source that a package speaks for. Returns its place."""
    folder = keys.folder
    listed = {name: {"adapter": name, "secrets": [keys.text["own"], keys.text["next"]]} for name in _PLAIN}
    sources: dict[str, dict[str, object]] = {name: dict(one) for name, one in listed.items()}
    for name in STANDARD:
        sources[name] = {"adapter": name, "secrets": [keys.standard["own"], keys.standard["next"]]}
    for name, versions in (("hubspot", "v3"), ("hubspot_v2", "v2"), ("hubspot_v1", "v1")):
        sources[name] = {
            **listed["slack"],
            "adapter": "hubspot",
            "versions": [versions],
            "public_url": f"{PUBLIC}/hooks/{name}",
        }
    sources["twilio"] = {**listed["slack"], "adapter": "twilio", "public_url": f"{PUBLIC}/hooks/twilio"}
    sources["cloudevents"] = {"adapter": "cloudevents", "bearer": [keys.text["own"], keys.text["next"]]}
    (folder / "sendgrid.pem").write_text(keys.private("sendgrid", "own"))
    sources["sendgrid"] = {"adapter": "sendgrid", "secrets": [f"${{file:{folder}/sendgrid.pem}}"]}
    (folder / "sns.pem").write_text(keys.certificate("own") + keys.private("ses", "own"))
    sources["ses"] = {"adapter": "ses", "topics": [TOPIC], "certificate_files": [f"{folder}/sns.pem"]}
    known = [
        {**orjson.loads(RSAAlgorithm.to_jwk(keys.rsa[which].public_key())), "kid": kid}
        for which, kid in (("own", "k1"), ("next", "k2"))
    ]
    (folder / "keys.json").write_bytes(orjson.dumps({"keys": known}))
    sources["google_chat"] = {
        "adapter": "google_chat",
        "jwt": {"jwks_file": "keys.json", "audience": ["1234567890", "9876543210"]},
    }
    for one in sources.values():
        one["type"] = "Note thread"
    config = {
        "planhat": {"types": ["Note thread"]},
        "sources": sources,
        "companies": [{"default": "extid-acme"}],
    }
    place = folder / "relay.yaml"
    place.write_text(yaml.safe_dump(config))
    return place


@dataclass(frozen=True, slots=True)
class Door:
    server: Server
    outbox: Outbox

    def post(self, request: Request) -> str:
        """What became of it: "taken", "refused", or a sentence where it is neither. A dead letter is not taken: what its
        provider signs can be read."""
        dead = self.outbox.dead.count()
        target = f"http://127.0.0.1:{self.server.port}{request.path}"
        with httpx.Client(trust_env=False, timeout=20) as client:
            answer = client.post(target, content=request.body, headers=dict(request.headers))
        if answer.status_code == httpx.codes.UNAUTHORIZED:
            return "refused"
        if not answer.is_success:
            return f"answered {answer.status_code}: {answer.text[:200]}"
        return "taken" if self.outbox.dead.count() == dead else "a dead letter"


@contextmanager
def open_door(config: Path) -> Iterator[Door]:
    """`relay serve` on a Redis of its own."""
    with redis_server(config.parent) as server, web_server(config, server.url) as web:
        yield Door(web, Outbox(redis.Redis.from_url(server.url)))


class Catcher:
    """Stands where the relay would and keeps what comes."""

    def __init__(self) -> None:
        self.caught: list[Request] = []
        catcher = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length") or 0))
                headers = {name.lower(): value for name, value in self.headers.items()}
                catcher.caught.append(Request(headers, body, self.path))
                self.send_response(202)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def send(config: Path, source: str, catcher: Catcher) -> Request:
    """What `relay send` posts for a source. Raises RuntimeError where it posts nothing."""
    before = len(catcher.caught)
    command = [sys.executable, "-m", "relay.cli", "send", "--source", source, "--url", catcher.url]
    done = subprocess.run(
        [*command, "--config", str(config)],
        cwd=ROOT,
        env=environ(),
        capture_output=True,
        text=True,
        check=False,
    )
    if len(catcher.caught) == before:
        raise RuntimeError(f"relay send --source {source}: {done.stderr.strip()[-300:]}")
    return catcher.caught[-1]
