"""Fuzzing what strangers' bytes reach: `python -m bench.fuzz [--seconds 60] [--seed N] [--only NAME]`.

Mutated bytes (flips, splices, repeats, tokens of the formats) and mutated values, from each adapter's own samples and the
payloads of the tests, through: every adapter's `verify`, `handshake` and `parse`; the form and MIME readers; the
template and condition compiler and renderer; the config loader; the redactor; the spool's decoder. Only the errors that each of them documents
may come out, within two seconds of processor time; whatever else is printed with the input that did it. Exit code 1 if anything was found.
"""

from __future__ import annotations

import argparse
import base64
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import orjson

from relay.config import Redaction
from relay.door.redaction import build_redactor
from relay.door.spooling import decode
from relay.errors import ConfigInvalid, NotAuthentic, PayloadInvalid, VerificationUnavailable
from relay.rules.file.load import examine_config
from relay.rules.language.template import Compiled, TemplateFailed, TemplateInvalid, new_context
from relay.sources.base import Inbound, Sample
from relay.sources.mail.mime import read_mime
from relay.sources.read.multipart import parse_form
from relay.sources.registry import ADAPTERS
from tests.sources.test_every_source import (
    KEEP_ALL,
    NOW_S,
    ODD_VALUES,
    build,
    check_parsed,
    paths,
    seeds,
    with_value,
)

LIMIT_S = 2.0
#: Fewer inputs a second, and nothing before them has checked a signature or a person: more time.
SLOW = ("config", "template", "mime", "form", "redaction", "sendgrid", "mailgun")
ALLOWED = (NotAuthentic, PayloadInvalid, VerificationUnavailable)
TOKENS = (
    *(
        b"\r\n",
        b"\n",
        b"\r\n\r\n",
        b"--",
        b"\x00",
        b"\xff\xfe",
        b"\xed\xa0\x80",
        b'"',
        b"\\",
        b"\\u0000",
        b"\\ud800",
        b"{",
        b"}",
        b"[",
    ),
    *(
        b"]",
        b":",
        b",",
        b"=",
        b"&",
        b"%",
        b"%00",
        b";",
        b"=?utf-8?b?",
        b"?=",
        b"base64",
        b"quoted-printable",
        b"boundary=",
        b"charset=",
    ),
    *(
        b"utf-7",
        b"multipart/mixed",
        b"message/rfc822",
        b"null",
        b"1e400",
        b"-1",
        b"9" * 30,
        b"<",
        b">",
        b"<!--",
        b"<a href=",
        b"]]>",
    ),
    *(
        b"{{",
        b"}}",
        b"{%",
        b"%}",
        b"|",
        b"__class__",
        b"range(9)",
        b"*",
        b"**",
        b"for x in",
        b"if",
        b"else",
        b"endfor",
        b"Content-Type: ",
    ),
    *(
        b"name=",
        b"filename*=",
        b"&lt;",
        b"#",
        b"&amp",
        b"!!python/object",
        b"<<: ",
        b"*a",
        b"&a ",
        b"${X}",
        b"${file:/dev/null}",
        b"- ",
        b"? ",
    ),
)
TEMPLATES = (
    b"#{{ event.channel.name or event.channel.id }}: {{ event.text | truncate(80) }}",
    b"{% for a in event.recipients %}{{ a.email | lower }}, {% endfor %}",
    b"{{ payload.a.b[0]['c'] | default('x') | upper }}-{{ event.tags | join(', ') }}",
    b"event.kind in ['a', 'b'] and not event.sender.bot and payload.n * 3 > 4 and event.text[1:] ~ 'x'",
    b"{% set a = event.text | replace('a', 'b') %}{{ a if a else event.subject | striptags }}",
)
SCOPE: dict[str, Any] = {
    "event": {
        "text": "hello <b>{{ payload }}</b>", "subject": "s", "kind": "message.created", "tags": ["a", "b"],
        "sender": {"bot": False, "email": "a@example.com"}, "channel": {"id": "C1", "name": ""},
        "recipients": [{"email": "B@example.com"}, {"email": None}], "thread": "t" * 40,
    },
    "payload": {"a": {"b": [{"c": "d"}]}, "n": 2**62, "f": 1e308, "deep": [[[[[]]]]]},
}  # fmt: skip
MAIL = b"""From: =?utf-8?q?Ann_=C3=A9?= <ann@example.com>\r\nTo: help@example.com\r\nSubject: =?utf-8?b?aGVsbG8=?=\r
Message-ID: <1@example.com>\r\nReferences: <0@example.com>\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary="b"\r
\r\n--b\r\nContent-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\nhello =E9\r\n--b\r
Content-Type: message/rfc822\r\n\r\nSubject: inner\r\n\r\nx\r\n--b\r\nContent-Type: application/pdf; name*=utf-8''a%20b.pdf\r
Content-Disposition: attachment; filename="a.pdf"\r\nContent-Transfer-Encoding: base64\r\n\r\naGVsbG8=\r\n--b--\r\n"""
FORM = (
    b'--xx\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n--xx\r\nContent-Disposition: form-data; name="f"; '
    b'filename="x.txt"\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nfile\r\n--xx--\r\n'
)


class Mutator:
    def __init__(self, chance: Random) -> None:
        self.chance = chance

    def bytes(self, data: bytes, pool: tuple[bytes, ...] = TOKENS) -> bytes:
        chance, body = self.chance, bytearray(data)
        for _ in range(chance.randint(1, 6)):
            at = chance.randrange(len(body) + 1)
            end = min(len(body), at + chance.choice((1, 1, 2, 5, 40, 400)))
            match chance.randrange(7):
                case 0 if body:
                    body[min(at, len(body) - 1)] ^= 1 << chance.randrange(8)
                case 1:
                    del body[at:end]
                case 2:
                    body[at:at] = chance.choice(pool)
                case 3:
                    body[at:end] = chance.choice(pool)
                case 4:
                    body[at:at] = body[at:end] * chance.choice((1, 2, 50))
                case 5:
                    body[at:at] = chance.choice(pool) * chance.choice((2, 20, 2000))
                case _:
                    body[at:end] = chance.randbytes(chance.randint(0, 8))
        return bytes(body[:400_000])

    def value(self, payload: Any) -> Any:
        for _ in range(self.chance.randint(1, 5)):
            where = self.chance.choice(list(paths(payload)))
            if where:
                payload = with_value(payload, where, self.chance.choice((*ODD_VALUES, ...)))
        return payload


def source_target(name: str, mutate: Mutator) -> Callable[[], tuple[bytes, Callable[[], None]]]:
    chance = mutate.chance
    adapters = [build(name, keep=KEEP_ALL), build(name)]
    plain = [
        adapters[0].sign(
            adapters[0].sample(serial=n, now_s=NOW_S),
            now_s=NOW_S,
            url=f"https://hooks.example.com/hooks/my-{name}",
        )
        for n in range(4)
    ]
    payloads = [(payload, headers) for payload, headers in seeds(name)]

    def make() -> tuple[bytes, Callable[[], None]]:
        if payloads and chance.random() < 0.5:
            payload, headers = chance.choice(payloads)
            body = orjson.dumps(mutate.value(payload))
            sample = Sample(mutate.bytes(body) if chance.random() < 0.3 else body, headers)
        else:
            good = chance.choice(plain)
            headers = {k: v for k, v in good.headers.items() if chance.random() > 0.03}
            if chance.random() < 0.3 and headers:
                one = chance.choice(list(headers))
                headers[one] = mutate.bytes(headers[one].encode()).decode("latin-1")[:8000]
            sample = Sample(mutate.bytes(good.body), headers, good.method)
        lower = {k.lower(): v for k, v in sample.headers.items()}
        request = Inbound(sample.body, lower, sample.method, f"/hooks/my-{name}")
        adapter = chance.choice(adapters)

        def act() -> None:
            for ask in (adapter.verify, adapter.handshake, adapter.parse):
                try:
                    answer: Any = ask(request, now_s=NOW_S)
                except ALLOWED:
                    continue
                if ask == adapter.parse:
                    check_parsed(name, answer)

        return orjson.dumps({k: repr(v) for k, v in lower.items()}) + b"\n" + sample.body, act

    return make


def form_target(mutate: Mutator) -> Callable[[], tuple[bytes, Callable[[], None]]]:
    def make() -> tuple[bytes, Callable[[], None]]:
        if mutate.chance.random() < 0.3:
            body, kind = mutate.bytes(b"a=1&b=%20x&c[]=2&c[]=3;d"), "application/x-www-form-urlencoded"
        else:
            body, kind = mutate.bytes(FORM), "multipart/form-data; boundary=xx"
        if mutate.chance.random() < 0.2:
            kind = mutate.bytes(kind.encode()).decode("latin-1")

        def act() -> None:
            try:
                form = parse_form(body, kind)
                form.fields(), form.files(), form.text("a")
            except ALLOWED:
                return

        return kind.encode("latin-1") + b"\n" + body, act

    return make


def mime_target(mutate: Mutator) -> Callable[[], tuple[bytes, Callable[[], None]]]:
    def make() -> tuple[bytes, Callable[[], None]]:
        body = mutate.bytes(MAIL)

        def act() -> None:
            try:
                read_mime(body)
            except ALLOWED:
                return

        return body, act

    return make


def template_target(mutate: Mutator) -> Callable[[], tuple[bytes, Callable[[], None]]]:
    def make() -> tuple[bytes, Callable[[], None]]:
        text = mutate.bytes(mutate.chance.choice(TEMPLATES), (*TOKENS, *TEMPLATES)).decode(
            "utf-8", "replace"
        )[:20_000]
        native = mutate.chance.random() < 0.4

        def act() -> None:
            try:
                Compiled(text, native=native)(new_context(SCOPE))
            except (TemplateInvalid, TemplateFailed):
                return

        return text.encode(), act

    return make


def config_target(mutate: Mutator, folder: Path) -> Callable[[], tuple[bytes, Callable[[], None]]]:
    root = Path(__file__).resolve().parent.parent
    files = [*(root / "relay" / "examples").glob("*.yaml"), *(root / "tests" / "configs").glob("*.yaml")]
    texts = [file.read_bytes() for file in files]
    path = folder / "relay.yaml"

    def make() -> tuple[bytes, Callable[[], None]]:
        body = mutate.bytes(mutate.chance.choice(texts))

        def act() -> None:
            path.write_bytes(body)
            try:
                examine_config(str(path), {"X": "x", "SLACK_SIGNING_SECRET": "s"})
            except ConfigInvalid:
                return

        return body, act

    return make


def redaction_target(mutate: Mutator) -> Callable[[], tuple[bytes, Callable[[], None]]]:
    redact = build_redactor(
        (
            Redaction(field="event.user", how="hash"),
            Redaction(field="*.*.email", how="drop"),
            Redaction(pattern=r"[\w.]{1,64}@[\w.]{1,64}", how="hash"),
        ),
        key=lambda: b"k",
    )
    assert redact is not None
    kinds = (
        "application/json",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=b",
        "text/plain",
    )
    bodies = (
        b'{"event":{"user":"U1","items":[{"email":"a@example.com"}]},"x":[1,null,"b@example.com"]}',
        MAIL,
        FORM,
    )

    def make() -> tuple[bytes, Callable[[], None]]:
        body = mutate.bytes(mutate.chance.choice(bodies))

        def act() -> None:
            redact.request(Inbound(body, {"content-type": mutate.chance.choice(kinds)}))

        return body, act

    return make


def spool_target(mutate: Mutator) -> Callable[[], tuple[bytes, Callable[[], None]]]:
    row = b'{"v":1,"source":"slack","at":1.5,"method":"POST","target":"/hooks/slack","query":{},"headers":{"a":"b"},"body":"aGVsbG8="}'

    def make() -> tuple[bytes, Callable[[], None]]:
        body = mutate.bytes(row)

        def act() -> None:
            try:
                decode(body)
            except (ValueError, KeyError):
                return

        return body, act

    return make


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--only", default="")
    given = parser.parse_args()
    mutate = Mutator(Random(given.seed))
    folder = Path(tempfile.mkdtemp(prefix="fuzz-"))
    targets = {name: source_target(name, mutate) for name in ADAPTERS}
    targets |= {
        "form": form_target(mutate),
        "mime": mime_target(mutate),
        "template": template_target(mutate),
        "config": config_target(mutate, folder),
        "redaction": redaction_target(mutate),
        "spool row": spool_target(mutate),
    }
    targets = {name: make for name, make in targets.items() if given.only in ("", name)}
    ends = time.monotonic() + given.seconds
    tries: Counter[str] = Counter()
    slowest: dict[str, float] = {}
    found: dict[str, tuple[str, bytes]] = {}
    while time.monotonic() < ends:
        for name, make in targets.items():
            until = min(ends, time.monotonic() + (1.0 if name in SLOW else 0.1))
            while time.monotonic() < until:
                sample, act = make()
                began = time.process_time()
                try:
                    act()
                except Exception as error:
                    place = traceback.extract_tb(error.__traceback__)[-1]
                    key = f"{name}: {type(error).__name__} at {Path(place.filename).name}:{place.lineno}"
                    if key not in found:
                        found[key] = (traceback.format_exc(), sample)
                        print(
                            f"!! {key}\n{traceback.format_exc()}\n{base64.b64encode(sample[:3000]).decode()}",
                            flush=True,
                        )
                took = time.process_time() - began
                slowest[name] = max(slowest.get(name, 0.0), took)
                if took > LIMIT_S and f"{name}: slow" not in found:
                    found[f"{name}: slow"] = ("", sample)
                    (folder / f"slow-{name}").write_bytes(sample)
                    print(
                        f"!! {name}: {took:.1f} s for {len(sample)} bytes, kept in {folder}/slow-{name}",
                        flush=True,
                    )
                tries[name] += 1
    print(f"| what | inputs | slowest ms |\n|---|---|---|   (seed {given.seed})")
    for name in targets:
        print(f"| {name} | {tries[name]:,} | {slowest.get(name, 0) * 1000:.0f} |")
    print(f"{sum(tries.values()):,} inputs in {given.seconds:.0f} s; found: {len(found)}")
    for key in found:
        print(f"  {key}")
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
