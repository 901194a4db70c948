"""Redaction at the door: what the config names never reaches the rules or the store, however it was encoded, and equal values
stay equal."""

from __future__ import annotations

import asyncio
import base64
import json
import quopri
import time
from email.message import EmailMessage
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qsl, urlencode

import pytest
import redis
from cryptography.fernet import Fernet
from hypothesis import given
from hypothesis import strategies as st

from relay.config import Redaction
from relay.door.house import furnish
from relay.door.intake import Intake
from relay.door.redaction import Redactor, build_redactor
from relay.errors import MappingFailed, OutboxUnavailable, PayloadInvalid
from relay.operations.remap import Remapper, Stored
from relay.outbox.archive import unpack
from relay.outbox.items import Entry
from relay.outbox.outbox import Outbox
from relay.outbox.vault import Vault
from relay.outbox.veil_key import VeilKey
from relay.rules.file.load import load
from relay.sources.base import Inbound
from tests.door.test_credentials import Keeper
from tests.environ import WEAK

JSON = {"content-type": "application/json"}


def redactor(*rules: Redaction, key: bytes = b"k") -> Redactor:
    made = build_redactor(rules, lambda: key)
    assert made is not None
    return made


def redact(body: Any, *rules: Redaction, key: bytes = b"k") -> Any:
    return json.loads(redactor(*rules, key=key).request(Inbound(json.dumps(body).encode(), JSON)).body)


def test_without_rules_there_is_nothing_to_run() -> None:
    assert build_redactor((), bytes) is None


def test_a_field_is_dropped_and_its_neighbours_stay() -> None:
    body = {"event": {"user": "U1", "text": "hi"}}
    assert redact(body, Redaction("drop", field="event.user")) == {"event": {"text": "hi"}}


def test_a_star_is_any_key_or_index() -> None:
    body = {"to": [{"email": "a"}, {"email": "b", "name": "n"}]}
    assert redact(body, Redaction("drop", field="to.*.email")) == {"to": [{}, {"name": "n"}]}


def test_equal_values_hash_alike_and_other_keys_hash_otherwise() -> None:
    rule = Redaction("hash", field="*")
    one = redact({"a": "ann", "b": "ann", "c": "bob", "d": {"x": 1}}, rule)
    assert one["a"] == one["b"] != one["c"]
    assert one["a"].startswith("redacted-") and one["d"].startswith("redacted-")
    assert redact({"a": "ann"}, rule, key=b"other")["a"] != one["a"]


def test_a_pattern_is_found_in_every_text_and_in_keys() -> None:
    rule = Redaction("hash", pattern=r"[\w.]+@[\w.]+")
    out = redact({"text": "ask ann@example.com", "by": {"ann@example.com": [1, None, "x"]}}, rule)
    assert "ann@example.com" not in json.dumps(out)
    assert next(iter(out["by"])) in out["text"]


def test_json_within_a_text_is_looked_through_too() -> None:
    inner = json.dumps({"content": "caf\u00e9 +49 151 2345", "deep": json.dumps({"tel": "+49 151 2345"})})
    out = redact({"Message": inner}, Redaction("drop", pattern=r"\+49 [\d ]+"))
    assert json.loads(out["Message"])["content"] == "caf\u00e9 "
    assert "151" not in out["Message"]


def test_what_is_no_json_is_cleaned_as_text() -> None:
    change = redactor(Redaction("drop", pattern=r"\d{4}-\d{4}"))
    assert change.request(Inbound(b"From=a&card=1234-5678\xff", {})).body == b"From=a&card=\xff"


def test_a_form_is_cleaned_field_by_field() -> None:
    form = urlencode(
        {"From": "ann@example.com", "Body": "card 1234-5678 \u00e9", "More": '{"a": "1234-5678"}'}
    ).encode()
    change = redactor(Redaction("drop", pattern=r"\d{4}-\d{4}"), Redaction("hash", field="From"))
    made = change.request(Inbound(form, {"content-type": "application/x-www-form-urlencoded; charset=utf-8"}))
    fields = dict(parse_qsl(made.body.decode()))
    assert fields["Body"] == "card  \u00e9"
    assert fields["From"].startswith("redacted-")
    assert json.loads(fields["More"]) == {"a": ""}


def test_a_multipart_body_is_cleaned_part_by_part_and_files_stay() -> None:
    body = (
        b'--b\r\nContent-Disposition: form-data; name="text"\r\n\r\ncall 1234-5678\r\n'
        b'--b\r\nContent-Disposition: form-data; name="from"\r\n\r\nann@example.com\r\n'
        b'--b\r\nContent-Disposition: form-data; name="f"; filename="x.bin"\r\nContent-Type: image/png\r\n\r\n1234-5678\r\n--b--\r\n'
    )
    change = redactor(Redaction("drop", pattern=r"\d{4}-\d{4}"), Redaction("drop", field="from"))
    made = change.request(Inbound(body, {"content-type": 'multipart/form-data; boundary="b"'})).body
    assert made == body.replace(b"call 1234-5678", b"call ").replace(b"ann@example.com", b"")


def test_the_query_is_cleaned() -> None:
    change = redactor(Redaction("hash", pattern=r"\d{4}-\d{4}"))
    made = change.request(
        Inbound(b"{}", JSON, path_query="/hooks/x?tel=1234-5678&a=b", query={"tel": "1234-5678"})
    )
    assert "1234-5678" not in made.path_query + str(made.query)
    assert made.query["a"] == "b"


def test_a_body_too_deep_to_walk_is_malformed_and_no_crash() -> None:
    change = redactor(Redaction("drop", pattern="x"))
    with pytest.raises(PayloadInvalid):
        change.request(Inbound(b"[" * 1000 + b'"x"' + b"]" * 1000, JSON))


@given(
    st.recursive(
        st.none() | st.integers(-5, 5) | st.text(max_size=5) | st.just("ann@example.com"),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    )
)
def test_no_shape_hides_a_pattern(body: Any) -> None:
    assert "ann@example.com" not in json.dumps(redact(body, Redaction("hash", pattern="ann@example[.]com")))


@pytest.mark.parametrize(
    "pattern", [r"(a+)+$", r"(a|aa)+$", r"(.*a){20}", r"(\w+\s?)*$", r"a?" * 30 + "a" * 30]
)
def test_a_pattern_takes_linear_time_whatever_comes(pattern: str) -> None:
    change = redactor(Redaction("drop", pattern=pattern))

    def took_s(size: int) -> float:
        body = json.dumps({"text": "a" * size + "!"}).encode()
        began = time.process_time()
        change.request(Inbound(body, JSON))
        return time.process_time() - began

    # Of several pairs the best: a busy machine only ever adds.
    assert min(took_s(80_000) / max(took_s(40_000), 1e-3) for _ in range(5)) < 2.5


# -- what is encoded -------------------------------------------------------------------------------------------------

PHONE = "+49 151 2345678"
HASHED = "{pattern: '\\+49 \\d+ \\d+', how: hash}"


def mail(encoding: str, charset: str = "utf-8") -> bytes:
    text = f"Please call me: {PHONE}\n" + "x" * 200 + "\n"
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "ann@example.com", "help@relay.example", "Call"
    message["Message-ID"], message["Date"] = "<1@example.com>", "Wed, 14 Oct 2026 10:00:00 +0000"
    message.set_content("-")
    raw = text.encode(charset)
    body = base64.encodebytes(raw) if encoding == "base64" else quopri.encodestring(raw)
    head, _, _ = message.as_bytes().partition(b"\n\n")
    kept = [line for line in head.split(b"\n") if not line.lower().startswith((b"content-", b"mime"))]
    return b"\r\n".join(
        [*kept, b"MIME-Version: 1.0", f"Content-Type: text/plain; charset={charset}".encode(),
         f"Content-Transfer-Encoding: {encoding}".encode(), b"", body.replace(b"\n", b"\r\n")]
    )  # fmt: skip


def recorded(folder: Path, source: str, inbound: Inbound, rule: str = HASHED) -> list[Entry]:
    (folder / "relay.yaml").write_text(
        "planhat: {types: [Support email]}\ncompanies: [default: extid-acme]\n"
        f"sources: {{own: {{{source}, unauthenticated: true, type: Support email}}}}\nredact: [{rule}]\n"
    )
    config, book = load(str(folder / "relay.yaml"), WEAK)
    kept = Keeper()
    intake = Intake(
        house=furnish(config, book), records=kept, redact=build_redactor(config.redact, lambda: b"k")
    )
    asyncio.run(intake.receive(intake.source("own"), inbound))
    return kept.entries


@pytest.mark.parametrize(
    ("encoding", "charset"), [("base64", "utf-8"), ("base64", "utf-16"), ("quoted-printable", "utf-8")]
)
@pytest.mark.parametrize("adapter", ["sendgrid", "mailgun"])
def test_what_is_encoded_in_a_mail_is_redacted_and_its_raw_form_not_kept(
    tmp_path: Path, adapter: str, encoding: str, charset: str
) -> None:
    raw = mail(encoding, charset)
    field = {"sendgrid": b"email", "mailgun": b"body-mime"}[adapter]
    body = b'--b\r\nContent-Disposition: form-data; name="' + field + b'"\r\n\r\n' + raw + b"\r\n--b--\r\n"
    headers = {"content-type": "multipart/form-data; boundary=b"}
    [entry] = recorded(tmp_path, f"adapter: {adapter}", Inbound(body, headers))
    assert entry.verdict == "pending"
    assert b"redacted-" in entry.patch
    assert b"2345678" not in entry.patch + entry.record
    if b"2345678" in body:
        # Quoted-printable hides nothing of it: the request itself is clean, and kept.
        assert unpack(entry.record).body
    else:
        assert unpack(entry.record).body == b""
        assert unpack(entry.record).facts["withheld"] == "redaction"
        facts = unpack(entry.record).facts
        nowhere: Any = SimpleNamespace(rulebook=None)
        with pytest.raises(MappingFailed, match="was not kept: redaction"):
            Remapper(nowhere, 0).event(Stored(entry.event_id, "pending", 0, facts, None))


def test_what_can_be_reached_is_kept_without_it(tmp_path: Path) -> None:
    payload = {
        "MessageID": "1",
        "From": "ann@example.com",
        "Subject": "s",
        "TextBody": f"call {PHONE}",
        "Date": "Wed, 14 Oct 2026 10:00:00 +0000",
    }
    [entry] = recorded(tmp_path, "adapter: postmark", Inbound(json.dumps(payload).encode(), JSON))
    held = unpack(entry.record)
    assert json.loads(held.body)["TextBody"].startswith("call redacted-")
    assert "withheld" not in held.facts
    assert b"2345678" not in entry.patch + entry.record


# -- the key -----------------------------------------------------------------------------------------------------------


def test_a_kept_key_outlives_restarts_and_a_rotation_of_encryption_keys(redis_client: redis.Redis) -> None:
    first, second = Fernet.generate_key().decode(), Fernet.generate_key().decode()
    keys = [first]

    def key() -> VeilKey:
        return VeilKey(Outbox(redis_client, vault=Vault(lambda: ",".join(keys))), lambda: "")

    made = key()()
    assert (len(made), key()()) == (32, made)
    keys[:] = [second, first]
    assert key()() == made
    keys[:] = [second]
    assert key()() == made
    keys[:] = [Fernet.generate_key().decode()]
    with pytest.raises(OutboxUnavailable, match="no longer given"):
        key()()
    keys[:] = [second]
    assert key()() == made


@pytest.mark.simulated
def test_a_configured_key_needs_no_redis_and_is_its_own() -> None:
    nowhere = Outbox(redis.Redis(unix_socket_path="/nonexistent.sock"))
    one = VeilKey(nowhere, lambda: "one-key-of-its-own")
    assert one() == one.known() == VeilKey(nowhere, lambda: "one-key-of-its-own")()
    assert one() != VeilKey(nowhere, lambda: "another")()
    for ask in (VeilKey(nowhere, lambda: ""), VeilKey(nowhere, lambda: "").known):
        with pytest.raises(OutboxUnavailable):
            ask()
