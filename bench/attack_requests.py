"""What a stranger sends: the bytes of each attack, made by repetition of short pieces, and the config that they are sent to."""

from __future__ import annotations

import base64
import json
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from urllib.parse import urlencode

import orjson

from bench.traffic import SECRET

MIB = 1024 * 1024
KEY = "attack-suite-secret-of-some-length-0123"
LOGIN = "relay:attack-suite-password-0123456789"
OPERATOR = "attack-suite-operator-token-of-256-bits-0123456789"
TOPIC = "arn:aws:sns:eu-central-1:111122223333:inbound-mail"
CONFIG = f"""
planhat: {{types: [Slack thread, Support email, Help-desk ticket], calls_per_minute: 100}}
sources:
  slack: {{adapter: slack, secrets: ["{SECRET}"], type: Slack thread}}
  postmark: {{adapter: postmark, basic_auth: ["{LOGIN}"], type: Support email}}
  mailgun: {{adapter: mailgun, secrets: ["{KEY}"], type: Support email}}
  ses: {{adapter: ses, topics: ["{TOPIC}"], type: Support email}}
  aircall: {{adapter: aircall, secrets: ["{KEY}"], type: Help-desk ticket}}
  graph: {{adapter: graph, secrets: ["{KEY}"], type: Help-desk ticket}}
  salesforce: {{adapter: salesforce, secrets: ["{KEY}"], type: Help-desk ticket}}
  twilio: {{adapter: twilio, secrets: ["{KEY}"], public_url: "https://hooks.example.com", type: Help-desk ticket}}
  open: {{adapter: generic, bearer: ["{KEY}"], type: Help-desk ticket, max_body_bytes: 25MiB}}
  small: {{adapter: generic, bearer: ["{KEY}"], type: Help-desk ticket}}
  sendgrid: {{adapter: sendgrid, basic_auth: ["{LOGIN}"], type: Support email}}
companies: [{{default: extid-acme}}]
redact: [{{pattern: '[A-Z]{{2}}\\d{{10,30}}', how: hash}}, {{field: Secret, how: drop}}]
"""
FORM = "application/x-www-form-urlencoded"
JSON = "application/json"
MULTIPART = "multipart/form-data; boundary=x"
_BASIC = "Basic " + base64.b64encode(LOGIN.encode()).decode()


def request(path: str, body: bytes, content_type: str = JSON, **headers: str) -> bytes:
    lines = [
        f"POST {path} HTTP/1.1",
        "Host: x",
        f"Content-Type: {content_type}",
        f"Content-Length: {len(body)}",
    ]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


@dataclass(frozen=True)
class Bodies:
    """Whole requests, `at_once` at a time, each with the answers that are right. `size` is a body's, for the memory."""

    name: str
    make: Callable[[], bytes]
    size: int
    right: frozenset[int]
    at_once: int = 1
    times: int = 3


def _form(size: int, unit: bytes) -> bytes:
    return (
        b"body-plain="
        + unit * (size // len(unit))
        + b"&"
        + urlencode({"timestamp": "1", "token": "t", "signature": "s"}).encode()
    )


def _dense(size: int, unit: bytes, tail: bytes) -> bytes:
    return b'{"all":[' + unit * (size // len(unit)) + b"1]," + tail


def _xml(size: int) -> bytes:
    return (
        b"<e:Envelope xmlns:e='x'><e:Body><notifications>"
        + b"<a/>" * (size // 4)
        + b"</notifications></e:Body></e:Envelope>"
    )


def _parts(size: int, unit: bytes) -> bytes:
    return (
        b"--x\r\nContent-Disposition: form-data; name=a\r\n\r\n" + unit * (size // len(unit)) + b"\r\n--x--"
    )


def _mail(number: int, size: int, **more: str) -> bytes:
    # Bytes of which nothing comes twice, as a compressed attachment has them.
    noise = base64.b64encode(random.Random(number).randbytes(size * 3 // 4)).decode()
    return json.dumps(
        {
            "From": "ana@customer.example.com",
            "FromFull": {"Email": "ana@customer.example.com", "Name": "Ana"},
            "Subject": f"The export stops {number}",
            "MessageID": f"m-{number}",
            "TextBody": "It stops after 500 rows.",
            "Attachments": [
                {"Name": "rows.bin", "Content": noise, "ContentType": "application/octet-stream"}
            ],
            **more,
        }
    ).encode()


def _mime(number: int, size: int) -> bytes:
    noise = base64.encodebytes(random.Random(number).randbytes(size * 11 // 15))
    head = (
        f"From: ana@customer.example.com\nSubject: It stops\nMessage-ID: <m{number}@customer.example.com>\n"
    )
    parts = "Content-Type: multipart/mixed; boundary=y\n\n--y\n\nIt stops \N{GRINNING FACE}\n--y\n"
    file = "Content-Type: application/zip; name=a.zip\nContent-Transfer-Encoding: base64\n\n"
    return (head + parts + file).encode() + noise + b"--y--\n"


def _field(name: str, content: bytes, head: bytes = b"") -> bytes:
    return (
        b"--x\r\nContent-Disposition: form-data; name=%b%b\r\n\r\n" % (name.encode(), head)
        + content
        + b"\r\n--x--\r\n"
    )


def _multipart_mail(number: int, size: int) -> bytes:
    said = {
        "from": "ana@customer.example.com",
        "subject": "It stops",
        "text": "After 500 rows.",
        "headers": f"Message-ID: <f{number}@x.example>",
    }
    fields = b"".join(_field(name, text.encode())[:-7] for name, text in said.items())
    return fields + _field(
        "attachment1",
        random.Random(number).randbytes(size - 2000),
        b"; filename=a.zip\r\nContent-Type: application/zip",
    )


def _numbered(make: Callable[[int], bytes]) -> Callable[[], bytes]:
    """A request that is another one each time."""
    numbers: Iterator[int] = iter(range(1, 1_000_000))
    return lambda: make(next(numbers))


def _always(body: bytes) -> Callable[[], bytes]:
    return lambda: body


REFUSED, KEPT = frozenset({401}), frozenset({202})
#: What cannot be read within its memory, and so not be redacted.
REDACTABLE = frozenset({400})
RECORD = b'{"id":"12345","type":"ticket","state":"open","name":"Ana Lopez"},'
#: Deeper than what is given to a parser, in pieces that no parser minds.
HTML = {"deep": ("<div>" * 250 + "x" + "</div>" * 250) * 360, "quotes": "> a\n" * 250_000}
NESTED = "From: a@customer.example.com\n" + "".join(
    f"Content-Type: multipart/mixed; boundary=b{n}\n\n--b{n}\n" for n in range(60)
)


def warm_up() -> bytes:
    """A mail that is large enough to be read beside the event loop."""
    return request("/hooks/postmark", _mail(0, 200_000), Authorization=_BASIC)


def unproven() -> list[Bodies]:
    """Nobody signed these."""
    return [
        Bodies("24 MiB before a login", _always(request("/hooks/postmark", b"x" * 24 * MIB)), 24 * MIB, REFUSED, at_once=16, times=1),
        Bodies("12 MiB form to mailgun", _always(request("/hooks/mailgun", _form(12 * MIB, b"a"), FORM)), 12 * MIB, REFUSED),
        Bodies("24 MiB of %41 to mailgun", _always(request("/hooks/mailgun", _form(24 * MIB, b"%41"), FORM)), 24 * MIB, REFUSED),
        Bodies("24 MiB JSON of {} to mailgun", _always(request("/hooks/mailgun", _dense(24 * MIB, b"{},", b'"a":1}'))), 24 * MIB, REFUSED),
        Bodies("24 MiB JSON of [] to ses", _always(request("/hooks/ses", _dense(24 * MIB, b"[],", b'"Type":"Notification"}'))), 24 * MIB, REFUSED),
        Bodies("24 MiB multipart, a boundary a line", _always(request("/hooks/mailgun", _parts(24 * MIB, b"\r\n--xy"), MULTIPART)), 24 * MIB, REFUSED),
        Bodies("24 MiB multipart, boundaries in a row", _always(request("/hooks/mailgun", _parts(24 * MIB, b"--x"), MULTIPART)), 24 * MIB, REFUSED),
        Bodies("1 MiB XML to salesforce", _always(request("/hooks/salesforce", _xml(MIB - 200), "text/xml")), MIB, REFUSED),
        Bodies("1 MiB JSON to aircall", _always(request("/hooks/aircall", _dense(MIB - 100, b"{},", b'"token":"no"}'))), MIB, REFUSED),
        Bodies("1 MiB JSON of {} to graph", _always(request("/hooks/graph", b'{"value":[' + b"{}," * (MIB // 3 - 50) + b"{}]}")), MIB, REFUSED),
        Bodies("1 MiB form to twilio", _always(request("/hooks/twilio", b"a=" + b"%41" * (MIB // 3 - 20), FORM, X_Twilio_Signature="x")), MIB, REFUSED),
        Bodies("64 KiB JSON to aircall", _always(request("/hooks/aircall", _dense(64 * 1024 - 100, b"{},", b'"token":"no"}'))), 64 * 1024, REFUSED, times=20),
        Bodies("24 MiB forms to mailgun, four at once", _always(request("/hooks/mailgun", _form(24 * MIB, b"%41"), FORM)), 4 * 24 * MIB, frozenset({401, 503}), at_once=4, times=1),
    ]  # fmt: skip


def proven() -> list[Bodies]:
    """A customer wrote these, or a sender that is known."""

    def mail(size: int, **more: str) -> Callable[[], bytes]:
        return _numbered(lambda n: request("/hooks/postmark", _mail(n, size, **more), Authorization=_BASIC))

    open_door = {"Authorization": f"Bearer {KEY}"}
    return [
        Bodies("a mail of 24 MiB", mail(23 * MIB), 24 * MIB, KEPT),
        Bodies("redaction over 23 MiB of text", mail(MIB, Note="DE12 " * (22 * MIB // 5)), 23 * MIB, KEPT),
        Bodies("a mail of 1,000,000 letters, 250 levels deep", mail(1000, HtmlBody=HTML["deep"]), MIB, KEPT),
        Bodies("a mail of 1,000,000 letters of quotes", mail(1000, TextBody=HTML["quotes"]), MIB, KEPT),
        Bodies("a MIME mail of 60 nested parts, empty lines", mail(1000, RawEmail=NESTED + "\n" * 150_000), 155_000, KEPT),
        Bodies("24 MiB JSON of {}", _numbered(lambda n: request("/hooks/open", _dense(24 * MIB, b"{},", f'"text":"{n}"}}'.encode()), **open_door)), 24 * MIB, REDACTABLE),
        Bodies("1 MiB JSON of {}", _numbered(lambda n: request("/hooks/small", _dense(MIB - 100, b"{},", f'"text":"{n}"}}'.encode()), **open_door)), MIB, REDACTABLE),
        Bodies("1 MiB of records", _numbered(lambda n: request("/hooks/small", _dense(MIB - 200, RECORD, f'"text":"{n}"}}'.encode()), **open_door)), MIB, REDACTABLE | KEPT),
        Bodies("200 KiB of records", _numbered(lambda n: request("/hooks/small", _dense(200 * 1024, RECORD, f'"text":"{n}"}}'.encode()), **open_door)), MIB, KEPT),
        Bodies("24 MiB of [, one in the other", _always(request("/hooks/open", b"[" * 24 * MIB, **open_door)), 24 * MIB, frozenset({400})),
        Bodies("a form of 24 MiB", _numbered(lambda n: request("/hooks/open", b"id=%d&text=" % n + b"%41" * (8 * MIB - 100), FORM, **open_door)), 24 * MIB, KEPT),
        Bodies("a multipart mail of 24 MiB", _numbered(lambda n: request("/hooks/sendgrid", _multipart_mail(n, 24 * MIB), MULTIPART, Authorization=_BASIC)), 24 * MIB, KEPT),
        Bodies("a MIME mail of 24 MiB in a multipart", _numbered(lambda n: request("/hooks/sendgrid", _field("email", _mime(n, 24 * MIB)), MULTIPART, Authorization=_BASIC)), 24 * MIB, KEPT),
        Bodies("a MIME mail of 23 MiB with a smiley in JSON", _numbered(lambda n: request("/hooks/postmark", orjson.dumps({"From": "ana@customer.example.com", "RawEmail": _mime(n, 23 * MIB).decode()}), Authorization=_BASIC)), 24 * MIB, KEPT),
        Bodies("a MIME mail of 23 MiB of plain text", _numbered(lambda n: request("/hooks/postmark", orjson.dumps({"From": "ana@customer.example.com", "RawEmail": f"From: a@b.example\nMessage-ID: <t{n}@x>\n\n" + "It stops after 500 rows of the export, again and again.\n" * 410_000}), Authorization=_BASIC)), 24 * MIB, KEPT),
        Bodies("24 MiB of letters, one of them wide", _numbered(lambda n: request("/hooks/open", json.dumps({"text": f"{n}" + "a" * (23 * MIB) + "☃"}, ensure_ascii=False).encode(), **open_door)), 24 * MIB, KEPT),
    ]  # fmt: skip
