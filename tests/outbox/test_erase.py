"""Erasing: one person, or one conversation, out of everything that is stored, in whatever encoding; it stays so, the books stay
balanced, others stay whole, and what Planhat still has is known until it is gone there."""

from __future__ import annotations

import asyncio
import base64
import json
import quopri
import sqlite3
import stat
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import orjson
import pytest
import redis
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from relay.cli import cli
from relay.conversation import safe_external_id
from relay.door import spooling
from relay.door.intake import Intake
from relay.door.spooling import Covered, Spooler, encode
from relay.errors import UserError
from relay.operations.dead.replay import replay_dead
from relay.operations.erase import Erasure
from relay.operations.erase_spool import erase_spool
from relay.operations.person import Needle
from relay.operations.remap import Remapper
from relay.operations.replay import replay_events
from relay.operations.selection import Selection
from relay.operations.tombstones import Tombs, erased_of
from relay.outbox.address_digest import address_digest
from relay.outbox.audit import AuditLine, read_audit, write_audit
from relay.outbox.embedded import EmbeddedServer
from relay.outbox.erased import Erased, Standing
from relay.outbox.items import STATES, Entry, Later
from relay.outbox.notes import Note, write_notes
from relay.outbox.outbox import Outbox
from relay.outbox.spool import Spool
from relay.outbox.vault import Vault
from relay.outbox.veil_key import VeilKey
from relay.planhat.sandbox import NO_QUOTAS, create_sandbox
from relay.planhat.sandbox.server import running
from relay.sources.base import Inbound
from tests.acl import documented_rights
from tests.door.test_redaction import mail
from tests.operating import Shop, slack_message
from tests.outbox.servers import admin, as_user
from workers.dead_jobs import post_dead_letters

ANN, BOB = "ann.canary@example.com", "bob@example.com"


def entry(number: int, who: str, verdict: str = "pending", thread: str = "") -> Entry:
    event_id = f"evt_{number:024x}"
    external_id = thread or f"mail-{number}"
    facts = {"v": 1, "id": event_id, "source": "mail", "external_id": external_id}
    return Entry(
        event_id,
        "mail",
        verdict,  # type: ignore[arg-type]
        (event_id, f"message-{number}"),
        json.dumps(facts).encode() + b"\n" + json.dumps({"From": who}).encode(),
        external_id if verdict == "pending" else "",
        json.dumps({"email": who}).encode() if verdict == "pending" else b"",
        dead=json.dumps({"cause": "c", "reason": who, "document": None}).encode()
        if verdict == "dead"
        else b"",
    )


def everything(client: redis.Redis) -> bytes:
    """All keys and values, as bytes."""
    held: list[Any] = []
    for key in client.scan_iter():
        held.append(key)
        kind: Any = client.type(key)
        if kind == b"string":
            held.append(client.get(key))
        elif kind == b"hash":
            pairs: Any = client.hgetall(key)
            held += [part for pair in pairs.items() for part in pair]
        elif kind == b"list":
            held += client.lrange(key, 0, -1)
        elif kind == b"set":
            held += list(client.smembers(key))
        elif kind == b"stream":
            rows: Any = client.xrange(key)
            held += [value for _, row in rows for value in row.values()]
        else:
            held += client.zrange(key, 0, -1)
    return b"\n".join(held)


def balanced(outbox: Outbox) -> dict[str, int]:
    counts = outbox.ledger()["mail"]
    assert counts["accepted"] == sum(counts[state] for state in STATES)
    return counts


class Raw:
    """A context without a config: raw bytes decide."""

    def __init__(self, outbox: Outbox) -> None:
        self.outbox = outbox


def erasure_of(outbox: Outbox, **needle: str) -> Erasure:
    context: Any = Raw(outbox)
    return Erasure(context, Needle(**needle), Erased(outbox, VeilKey(outbox, lambda: "")), remapper=None)


def shop_erasure(shop: Shop, **needle: str) -> Erasure:
    return Erasure(
        shop.context, Needle(**needle), erased_of(shop.context), remapper=Remapper(shop.context, 0)
    )


# -- one person --------------------------------------------------------------------------------------------------------


def test_a_person_goes_from_every_place_and_nobody_else(outbox: Outbox, redis_client: redis.Redis) -> None:
    outbox.record(
        [
            entry(1, ANN),
            entry(2, BOB),
            entry(3, ANN, "dead"),
            entry(4, ANN, "filtered"),
            entry(5, BOB, "dead"),
            entry(6, ANN, thread=f"mail-{ANN}"),
            entry(7, ANN, thread="shared"),
            entry(8, BOB, thread="shared"),
        ]
    )
    write_notes(outbox, [Note("evt_" + "0" * 23 + "1", {"what": "edited", "old": ANN})])
    write_notes(outbox, [Note("evt_" + "0" * 23 + "2", {"what": "edited", "old": ANN})])
    redis_client.set(f"{outbox.prefix}document:mail-1", Vault().seal(b'{"email":"ann.canary@example.com"}'))
    redis_client.hset(f"{outbox.prefix}something:new", "asked", ANN)
    redis_client.set(f"{outbox.prefix}sample:slack", Vault().seal(b"x" * 5000 + ANN.encode()))
    redis_client.set(f"{outbox.prefix}directory:email:{address_digest(ANN)}", "[]")
    write_audit(outbox, AuditLine("cli:x", "look", "host", {"id": ANN}))
    post_dead_letters(redis_client, outbox)
    assert ANN.encode() in everything(redis_client)
    erasure = erasure_of(outbox, email=ANN.upper())
    would = erasure.search()
    assert (len(would.events), len(would.dead)) == (6, 1)
    assert ANN.encode() in everything(redis_client)

    report = erasure.erase()

    assert ANN.encode() not in everything(redis_client)
    # Bob's raw mail of the shared conversation goes too: it may quote hers.
    assert (report["events"], report["waiting"], report["documents"], report["dead_letters"]) == (6, 3, 1, 1)
    assert not redis_client.exists(f"{outbox.prefix}directory:email:{address_digest(ANN)}")
    counts = balanced(outbox)
    assert (counts["pending"], counts["dead"], counts["discarded"]) == (2, 1, 4)
    assert [head.facts["reason"] for head in outbox.dead.scan()] == [BOB]
    assert [p.event_id[-1] for p in outbox.waiting_patches("shared")] == ["8"]
    assert outbox.events.get("evt_" + "0" * 23 + "2")
    [line] = read_audit(outbox)[0]
    assert (line.what, str(line.of["id"]).startswith("erased-")) == ("look", True)


def test_a_senders_repetition_stays_a_duplicate(outbox: Outbox) -> None:
    outbox.record([entry(1, ANN)])
    erasure_of(outbox, email=ANN).erase()
    _, [again] = outbox.record([entry(1, ANN)])
    assert again.duplicate_of
    assert outbox.events.get(again.event_id) is None
    # Nor is that it came remembered for ever.
    assert outbox.redis.ttl(outbox.prefix + f"event:{again.event_id}") > 0


def test_a_conversation_goes_whole(outbox: Outbox, redis_client: redis.Redis) -> None:
    outbox.record(
        [
            entry(1, ANN, thread="slack-C1-9.9"),
            entry(2, BOB, thread="slack-C1-9.9"),
            entry(3, BOB),
            entry(4, BOB, thread="slack-C1-9.99"),
        ]
    )
    redis_client.set(f"{outbox.prefix}planhat:p1", "slack-C1-9.9")
    report = erasure_of(outbox, conversation="slack-C1-9.9").erase()
    assert (report["events"], report["waiting"]) == (2, 2)
    assert b"slack-C1-9.9" not in everything(redis_client).replace(b"slack-C1-9.99", b"")
    assert balanced(outbox)["pending"] == 2
    assert outbox.waiting_patches("slack-C1-9.99")


def test_an_erased_event_is_none_of_its_conversations(outbox: Outbox) -> None:
    outbox.record([entry(1, ANN, thread="a"), entry(2, BOB, thread="b"), entry(3, BOB, thread="b")])
    erasure_of(outbox, email=ANN).erase()
    assert not outbox.events.of("a") and not outbox.redis.exists(outbox.prefix + "ids:a")
    Erased(outbox, VeilKey(outbox, lambda: "")).forget("b", [entry(2, BOB).event_id])
    assert outbox.events.of("b") == [entry(3, BOB).event_id]
    assert outbox.redis.ttl(outbox.prefix + "ids:b") > 0


def test_what_is_in_flight_cannot_be_settled_afterwards_and_is_told(outbox: Outbox) -> None:
    outbox.record([entry(1, ANN, thread="shared"), entry(2, BOB, thread="shared")])
    held: Any = outbox.redis.get(outbox.prefix + "generation") or 0
    claim = outbox.lane.claim(outbox.lane.ring() or int(held))
    assert claim.items
    erasure = erasure_of(outbox, email=ANN)
    assert erasure.erase()["in_flight"] == ["shared"]
    assert erasure.standing() == [Standing("shared")]
    settled = outbox.lane.settle([Later(claim.items[0], 0, refused=False)])
    assert settled.lost == {"shared"}
    assert [p.event_id[-1] for p in outbox.waiting_patches("shared")] == ["2"]
    balanced(outbox)


def test_sealed_values_are_looked_into(redis_client: redis.Redis) -> None:
    from cryptography.fernet import Fernet

    key = Fernet.generate_key().decode()
    outbox = Outbox(redis_client, vault=Vault(lambda: key))
    outbox.record([entry(1, ANN), entry(2, BOB), entry(3, ANN, "dead")])
    report = erasure_of(outbox, email=ANN).erase()
    assert (report["events"], report["waiting"], report["dead_letters"]) == (2, 1, 1)
    assert outbox.events.get("evt_" + "0" * 23 + "2")


# -- encodings ---------------------------------------------------------------------------------------------------------

PLAIN = f"Hello from {ANN}, who wrote a line that is long enough."


@pytest.mark.parametrize(
    "value",
    [
        f"From: {quote(ANN)}".encode(),
        b'{"from":"ANN.canary\\u0040example.com"}',
        b'{"from":"\\u0041nn.canary@ex\\u0061mple.com"}',
        b"<p>ann.canary&#64;example.com</p>",
        b"<p>&#97;&#x6e;n.canary@example.com</p>",
        b"Content-Transfer-Encoding: base64\n\n" + base64.encodebytes(PLAIN.encode()) + b"\n--b",
        b"Content-Transfer-Encoding: base64\r\n\r\n"
        + base64.encodebytes(PLAIN.encode() * 4).replace(b"\n", b"\r\n"),
        b'--b\r\nContent-Disposition: form-data; name="email"\r\n\r\nSubject: x\r\n\r\n'
        + base64.encodebytes(PLAIN.encode() * 4).replace(b"\n", b"\r\n") + b"--b--",
        json.dumps({"RawEmail": "Subject: x\r\n\r\n" + base64.encodebytes(PLAIN.encode() * 4).decode().replace("\n", "\r\n")}).encode(),
        base64.b64encode(base64.b64encode(PLAIN.encode())),
        base64.urlsafe_b64encode(PLAIN.encode()).rstrip(b"="),
        PLAIN.encode("utf-16"),
        PLAIN.encode("utf-16-be"),
        base64.encodebytes(PLAIN.encode("utf-16") * 3),
        base64.encodebytes(PLAIN.encode("utf-16-le") * 3),
        quopri.encodestring(PLAIN.encode().replace(b"@", b"=40")),
        b"hello ann.can=\nary@example.com",
        b"hello ann.can=\r\nary=40example.com",
        b"payload=" + quote(json.dumps({"from": ANN})).encode(),
    ],
)  # fmt: skip
def test_an_address_is_found_in_the_ways_that_mail_and_forms_write_it(value: bytes) -> None:
    assert Needle(email=ANN).in_bytes(value)
    assert not Needle(email="someone@example.com").in_bytes(value)


@pytest.mark.parametrize(
    "other",
    [
        "joann.canary@example.com",
        "x-ann.canary@example.com",
        "ann.canary@example.com.au",
        "ann.canary@example.community",
    ],
)
def test_another_address_is_not_the_persons(other: str) -> None:
    for value in (
        other.encode(),
        json.dumps({"a": other}).encode(),
        base64.b64encode(f"mail of {other} here".encode()),
    ):
        assert not Needle(email=ANN).in_bytes(value)
    assert Needle(email=other).in_bytes(other.encode())
    assert Needle(email=ANN).in_bytes(f"write to {ANN}.".encode())
    assert Needle(email=ANN).in_name("mail-ann.canary_40example.com")


@pytest.mark.parametrize(
    ("given", "written"),
    [
        ("ann+test@example.com", "Ann+Test@Example.com"),
        ("ann@müller.example", "ANN@MÜLLER.example"),
        ("ann@müller.example", "ann@xn--mller-kva.example"),
        ("ann@xn--mller-kva.example", "ann@müller.example"),
        ("zoë.o'brien@straße.example", "ZOË.O'Brien@xn--strae-oqa.example"),
    ],
)
def test_an_address_of_whatever_letters_is_found_as_others_write_it(given: str, written: str) -> None:
    """In texts, in bytes, in an externalId that is made of it, and in the audit: a plus sign, letters that are not ASCII's, a domain as
    DNS has it."""
    needle = Needle(email=given)
    assert needle.in_value({"from": f"Ann <{written}>"})
    assert needle.in_bytes(json.dumps({"from": written}).encode())
    assert needle.in_bytes(orjson.dumps({"from": written}))
    assert needle.in_name(safe_external_id(f"mail-{written}"))
    assert needle.replaced(f"({written}) mail-{safe_external_id(written)}".encode(), b"X") == b"(X) mail-X"
    assert not needle.in_value(f"jo{written}")
    assert not needle.in_name(safe_external_id(f"mail-jo{written}"))


def test_a_domain_of_other_letters_is_not_a_like_one_in_ascii() -> None:
    assert not Needle(email="ann@straße.example").in_value("ann@strasse.example")
    assert not Needle(email="ann@müller.example").in_value("ann@muller.example")


def test_a_person_goes_in_each_spelling_and_comes_back_in_none(
    outbox: Outbox, redis_client: redis.Redis
) -> None:
    """Also where nothing but a conversation's id tells of them any more."""
    given, other = "ann+test@müller.example", "ann+test@xn--mller-kva.example"
    thread = safe_external_id(f"mail-{given}")
    outbox.record([entry(1, other), entry(2, BOB)])
    redis_client.set(f"{outbox.prefix}document:{thread}", Vault().seal(b'{"v":2}'))
    redis_client.set(f"{outbox.prefix}directory:email:{address_digest(other)}", "[]")
    report = erasure_of(outbox, email=given).erase()
    assert (report["events"], report["documents"]) == (1, 1)
    left = everything(redis_client)
    assert not any(word.encode() in left for word in (given, other, thread))
    assert not redis_client.exists(f"{outbox.prefix}directory:email:{address_digest(other)}")
    tombs = Erased(outbox, VeilKey(outbox, lambda: "")).tombstones()
    assert tombs.cover(emails=[other], external_id="", received_ms=1)
    assert tombs.cover(emails=[given], external_id="", received_ms=1)


@given(st.binary(max_size=300))
def test_no_bytes_make_the_search_fail(value: bytes) -> None:
    Needle(email=ANN).in_bytes(value)
    assert Needle(email=ANN).in_bytes(value + b" " + ANN.encode())


@pytest.mark.parametrize("piece", [b"A", b"=41", b"&#", b"\\u0041", b"a\x00", b"A" * 76 + b"\n"])
def test_searching_takes_linear_time(piece: bytes) -> None:
    needle = Needle(email=ANN)
    small, large = (piece * (size // len(piece)) for size in (400_000, 800_000))

    def took_s(value: bytes) -> float:
        began = time.process_time()
        needle.in_bytes(value)
        return time.process_time() - began

    # Of several pairs the best: a busy machine only ever adds.
    assert min(took_s(large) / max(took_s(small), 1e-3) for _ in range(5)) < 2.5


def test_what_only_the_parsed_mail_shows_is_found(redis_client: redis.Redis, tmp_path: Path) -> None:
    """An address in a word that is encoded by MIME: no search over bytes would see it."""
    raw = mail("base64").replace(b"From: ann@example.com", b"From: =?utf-8?q?ann?= <ann@\r\n example.com>")
    body = b'--b\r\nContent-Disposition: form-data; name="email"\r\n\r\n' + raw + b"\r\n--b--\r\n"
    shop = Shop(redis_client, tmp_path)
    (tmp_path / "relay.yaml").write_text(
        "planhat: {types: [Support email]}\ncompanies: [default: extid-acme]\n"
        "sources: {own: {adapter: sendgrid, unauthenticated: true, type: Support email}}\n"
    )
    from relay.door.house import furnish
    from relay.rules.file.load import load

    shop.house = furnish(*load(str(tmp_path / "relay.yaml"), {}))
    intake = Intake(house=shop.house, records=None)  # type: ignore[arg-type]
    inbound = Inbound(body, {"content-type": "multipart/form-data; boundary=b"})
    entries, _ = intake.map(intake.source("own"), inbound, now_s=1_800_000_000)
    shop.outbox.record(entries)
    found = shop_erasure(shop, email="ann@example.com").search()
    assert list(found.events) == [entries[0].event_id]
    assert found.conversations == {entries[0].external_id}


# -- it stays so -------------------------------------------------------------------------------------------------------


def test_no_replay_brings_back_what_was_erased(redis_client: redis.Redis, tmp_path: Path) -> None:
    shop = Shop(redis_client, tmp_path)
    now_ms = shop.outbox.now_ms() - 60_000
    event_id = shop.arrive("hello", now_ms=now_ms)
    other = shop.arrive("kept", number=2, ts="1800000009.000100", now_ms=now_ms)
    shop.deliver(now_ms + 1000)
    prefix = shop.outbox.prefix
    kept: Any = {
        key: redis_client.dump(key) for key in (f"{prefix}event:{event_id}", f"{prefix}event:{other}")
    }
    conversation = "slack-C024BE91L-1800000000.000100"
    report = shop_erasure(shop, conversation=conversation).erase()
    assert report["events"] == 1
    # A backup from before, restored; and rules that differ.
    for key, value in kept.items():
        redis_client.restore(key, 0, value, replace=True)
    shop.change_rules("new: {{ event.text }}")
    done = replay_events(shop.context, since_ms=now_ms - 1000, until_ms=shop.outbox.now_ms(), by="test")
    assert (done["erased"], done["changed"]) == (1, 1)
    assert not shop.outbox.waiting_patches(conversation)


def test_a_restored_event_with_another_id_is_known_by_its_conversation_and_new_ones_are_new(
    redis_client: redis.Redis, tmp_path: Path
) -> None:
    shop = Shop(redis_client, tmp_path)
    conversation = "slack-C024BE91L-1800000000.000100"
    old_ms = shop.outbox.now_ms() - 60_000
    shop_erasure(shop, conversation=conversation).erase()
    shop.arrive("from an older backup", now_ms=old_ms)
    shop.deliver(old_ms + 1)
    shop.change_rules("new: {{ event.text }}")
    done = replay_events(shop.context, since_ms=old_ms - 1000, until_ms=shop.outbox.now_ms(), by="test")
    assert (done["erased"], done["changed"]) == (1, 0)
    new_ms = shop.outbox.now_ms() + 5
    shop.arrive("written later", number=2, thread="1800000000.000100", ts="1800000001.000100", now_ms=new_ms)
    shop.deliver(new_ms + 1)
    shop.change_rules("newer: {{ event.text }}")
    done = replay_events(
        shop.context, since_ms=new_ms - 1, until_ms=new_ms + 1000, by="test", now_ms=new_ms + 1000
    )
    assert (done["count"], done["erased"]) == (1, 0)


def test_a_dead_letter_of_what_was_erased_is_not_replayed(redis_client: redis.Redis, tmp_path: Path) -> None:
    shop = Shop(redis_client, tmp_path)
    shop.arrive("hello", now_ms=shop.outbox.now_ms() - 60_000)
    [dead_id] = shop.bury("no", now_ms=shop.outbox.now_ms())
    keys = [key for key in redis_client.scan_iter("*") if b"dead" in key or b"event:" in key]
    kept: Any = {key: redis_client.dump(key) for key in keys}
    assert shop_erasure(shop, conversation="slack-C024BE91L-1800000000.000100").erase()["dead_letters"] == 1
    for key, value in kept.items():
        redis_client.restore(key, 0, value, replace=True)
    done = replay_dead(shop.context, Selection(ids=(dead_id,)), by="test")
    assert (done["replayed"], done["failed"]) == (0, 1)
    assert "it was erased" in done["failures"][0]["cause"]


def test_a_spool_that_an_erasure_could_not_reach_brings_nothing_back(
    redis_client: redis.Redis, tmp_path: Path
) -> None:

    shop = Shop(redis_client, tmp_path)
    spool = Spool(tmp_path / "spool")
    before_s = shop.outbox.now_ms() / 1000 - 60
    for number, ts in ((1, "1800000000.000100"), (2, "1800000009.000100")):
        body = slack_message("hello", ts=ts, number=number)
        spool.append([encode("slack", Inbound(body, {"content-type": "application/json"}), before_s)])
    shop_erasure(shop, conversation="slack-C024BE91L-1800000000.000100").erase()
    came: list[Entry] = []

    class Records:
        async def record(self, entries: Any) -> list[Any]:
            came.extend(entry for entry, _ in entries)
            return []

    intake = Intake(house=shop.house, records=Records())
    tombs = Tombs(erased_of(shop.context))
    asyncio.run(Spooler(spool, intake, covered=lambda *asked: tombs.cover_any(*asked[:3])).drain())
    assert [entry.external_id for entry in came] == ["slack-C024BE91L-1800000009.000100"]
    assert spool.count == 0


def test_an_erasure_while_a_spool_comes_back_is_known_from_the_next_part_on(
    redis_client: redis.Redis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was erased was read once, before the first part; a full spool takes minutes."""
    monkeypatch.setattr(spooling, "_PART", 1)
    shop = Shop(redis_client, tmp_path)
    spool = Spool(tmp_path / "spool")
    before_s = shop.outbox.now_ms() / 1000 - 60
    for number in (1, 2, 3):
        body = slack_message("hello", ts=f"180000000{number}.000100", number=number)
        spool.append([encode("slack", Inbound(body, {"content-type": "application/json"}), before_s)])
    came: list[str] = []

    class Records:
        async def record(self, entries: Any) -> list[Any]:
            came.extend(entry.external_id for entry, _ in entries)
            if len(came) == 1:
                shop_erasure(shop, conversation="slack-C024BE91L-1800000002.000100").erase()
            return []

    tombs: list[Tombs] = []

    async def refresh() -> None:
        tombs.append(Tombs(erased_of(shop.context)))

    intake = Intake(house=shop.house, records=Records())
    covered: Covered = lambda *asked: tombs[-1].cover_any(*asked[:3])  # noqa: E731
    asyncio.run(Spooler(spool, intake, covered=covered, refresh=refresh).drain())

    assert came == [f"slack-C024BE91L-180000000{number}.000100" for number in (1, 3)]
    assert len(tombs) == 3 and spool.count == 0


def test_tombstones_name_nobody(outbox: Outbox, redis_client: redis.Redis) -> None:
    outbox.record([entry(1, ANN, thread=f"mail-{ANN}")])
    redis_client.set(f"{outbox.prefix}document:mail-{ANN}", Vault().seal(b'{"x":1}'))
    erasure = erasure_of(outbox, email=ANN)
    erasure.erase()
    assert [one.external_id for one in erasure.standing()] == [f"mail-{ANN}"]
    assert ANN.encode() not in everything(redis_client)


# -- the spool ---------------------------------------------------------------------------------------------------------


def spooled(text: str) -> bytes:
    return encode("mail", Inbound(text.encode(), {}), 1.0)


def holds(row: bytes) -> bool:
    from relay.door.spooling import decode

    return Needle(email=ANN).in_bytes(decode(row)[1].body)


def test_the_spools_files_hold_nothing_afterwards(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    spool.append([spooled(ANN * 3 + " " + ANN), spooled(BOB)])
    spool.append([spooled(ANN)])
    spool.put_aside(spool.oldest()[-1].row_id, "test")
    spool.close()
    assert erase_spool(str(tmp_path), Vault(), holds, max_bytes=10**9, dry_run=True) == {
        "spool": 2,
        "damaged_files": 0,
    }
    assert erase_spool(str(tmp_path), Vault(), holds, max_bytes=10**9) == {"spool": 2, "damaged_files": 0}
    assert [row.row for row in Spool(tmp_path).oldest()] == [spooled(BOB)]
    needle = base64.b64encode(ANN.encode())[:20]
    for file in tmp_path.iterdir():
        assert needle not in file.read_bytes()


def test_a_file_that_was_put_away_as_damaged_is_taken_apart(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    spool.append([spooled(BOB + f" {number}") for number in range(50)] + [spooled(ANN + " x" * 50)])
    spool.close()
    file = tmp_path / "spool.sqlite"
    # A page in the middle is gone.
    raw = bytearray(file.read_bytes())
    raw[len(raw) // 2 : len(raw) // 2 + 4096] = b"\xff" * 4096
    file.write_bytes(raw)
    Spool(tmp_path).close()
    [damaged] = [
        path for path in tmp_path.glob("spool.corrupt-*") if not path.name.endswith(("-wal", "-shm"))
    ]
    assert damaged.exists()
    report = erase_spool(str(tmp_path), Vault(), holds, max_bytes=10**9)
    assert report["damaged_files"] == 1
    assert list(tmp_path.glob("spool.corrupt-*")) == []
    with sqlite3.connect(file) as db:
        aside = [bytes(row) for (row,) in db.execute("SELECT row FROM aside")]
    assert not [row for row in aside if holds(Vault().open(row))]
    needle = base64.b64encode(ANN.encode())[:20]
    for path in tmp_path.iterdir():
        assert needle not in path.read_bytes()
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


# -- the command -------------------------------------------------------------------------------------------------------


@pytest.fixture
def server(short_tmp: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[EmbeddedServer]:
    server = EmbeddedServer(short_tmp / "r").start()
    (short_tmp / "relay.yaml").write_text(
        "planhat: {types: [Mail]}\n"
        f"spool: {{dir: {short_tmp}/spool}}\n"
        "sources: {mail: {adapter: postmark, basic_auth: ['u:p'], type: Mail}}\ncompanies: [default: extid-a]\n"
    )
    monkeypatch.setenv("RELAY_CONFIG", str(short_tmp / "relay.yaml"))
    monkeypatch.setenv("RELAY_REDIS_URL", server.url)
    yield server
    server.stop()


def command(*words: str) -> tuple[int, Any, str]:
    done = CliRunner().invoke(cli, ["erase", *words, "--json"])
    code = 2 if isinstance(done.exception, UserError) else done.exit_code
    return code, json.loads(done.stdout) if done.stdout.startswith("{") else None, done.output


def test_the_command_reports_and_redis_own_files_hold_nothing_afterwards(
    short_tmp: Path, server: EmbeddedServer
) -> None:
    outbox = Outbox(redis.Redis.from_url(server.url))
    outbox.record([entry(1, ANN), entry(2, ANN, "dead"), entry(3, BOB)])

    def files() -> bytes:
        return b"".join(path.read_bytes() for path in (short_tmp / "r").rglob("*aof*") if path.is_file())

    assert ANN.encode() in files()
    code, would, said = command("--email", ANN, "--dry-run")
    assert (code, would["events"], would["dead_letters"], would["dry_run"]) == (0, 2, 1, True), said
    assert ANN.encode() in files()
    code, report, said = command("--email", ANN, "--yes")
    assert code == 0, said
    assert (report["events"], report["dead_letters"], report["rewritten"]) == (2, 1, True)
    ends = time.monotonic() + 5
    while ANN.encode() in files() and time.monotonic() < ends:
        time.sleep(0.05)
    assert ANN.encode() not in files()
    assert BOB.encode() in files() or outbox.events.get("evt_" + "0" * 23 + "3")
    [line] = [line for line in read_audit(outbox)[0] if line.what == "erase"]
    assert ANN not in str(line)
    assert command("--email", "no address")[0] == 2
    assert command("--email", ANN)[0] == 2


def test_a_user_who_may_not_rewrite_the_file_is_told_what_still_holds_it(
    server: EmbeddedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    Outbox(redis.Redis.from_url(server.url)).record([entry(1, ANN)])
    user = f"user plain on >word {documented_rights()}".split()
    admin(server).execute_command("ACL", "SETUSER", *user[1:])  # type: ignore[no-untyped-call]
    monkeypatch.setenv("RELAY_REDIS_URL", as_user(server, "plain"))
    done = CliRunner().invoke(cli, ["erase", "--email", ANN, "--yes", "--json"])
    assert done.exit_code == 0, done.output
    report = json.loads(done.stdout)
    assert (report["events"], report["rewritten"]) == (1, False)
    assert "Redis: not permitted" in done.stderr and "BGREWRITEAOF" in done.stderr


def test_what_planhat_still_has_is_said_and_goes_in_a_second_run(
    short_tmp: Path, server: EmbeddedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox = create_sandbox(types=["Mail"], quotas=NO_QUOTAS)
    client = redis.Redis.from_url(server.url)
    outbox = Outbox(client)
    with running(sandbox) as url:
        monkeypatch.setenv("RELAY_PLANHAT_URL", url)
        monkeypatch.setenv("RELAY_PLANHAT_TOKEN", "token")
        from relay.planhat.client import Planhat

        with Planhat(url, "token") as planhat:
            made = planhat.create(
                {"companyId": "extid-acme", "externalId": "mail-1", "type": "Mail", "subject": ANN}
            )
        outbox.record([entry(1, ANN)])
        document = orjson.dumps(
            {"v": 1, "x": "mail-1", "f": {}, "d": {}, "m": {}, "k": [], "s": "mail", "n": "", "e": ANN}
            | {"h": "", "p": made["_id"], "c": "", "l": []}
        )
        client.set(f"{outbox.prefix}document:mail-1", Vault().seal(document))
        code, report, said = command("--email", ANN, "--yes")
        assert (code, len(report["still_in_planhat"])) == (0, 1), said
        assert sandbox.store.get("extid-mail-1") is not None
        assert not outbox.document("mail-1")
        # Planhat is away: it stays on the list, and that is no success.
        monkeypatch.setenv("RELAY_PLANHAT_URL", "http://127.0.0.1:9")
        code, report, _ = command("--email", ANN, "--planhat", "--yes")
        assert (code, report["planhat"], len(report["still_in_planhat"])) == (1, 0, 1)
        monkeypatch.setenv("RELAY_PLANHAT_URL", url)
        assert command("--email", ANN, "--dry-run")[1]["still_in_planhat"]
        code, report, said = command("--email", ANN, "--planhat", "--yes")
        assert (code, report["planhat"], report["still_in_planhat"]) == (0, 1, []), said
        assert sandbox.store.get("extid-mail-1") is None
        assert command("--email", ANN, "--dry-run")[1]["still_in_planhat"] == []
    assert replace(Standing("a"), planhat_id="b").key == "b"


@pytest.mark.parametrize("known", [False, True], ids=["new", "known"])
def test_what_a_call_brings_to_planhat_after_the_erasure_goes_in_the_next_run(
    short_tmp: Path, server: EmbeddedServer, monkeypatch: pytest.MonkeyPatch, known: bool
) -> None:
    """Planhat does not have it yet, or had it deleted: the call that was under way writes it afterwards."""
    sandbox = create_sandbox(types=["Mail"], quotas=NO_QUOTAS)
    outbox = Outbox(redis.Redis.from_url(server.url))
    item = {"companyId": "extid-acme", "externalId": "mail-1", "type": "Mail", "subject": ANN}
    with running(sandbox) as url:
        monkeypatch.setenv("RELAY_PLANHAT_URL", url)
        monkeypatch.setenv("RELAY_PLANHAT_TOKEN", "token")
        outbox.record([entry(1, ANN)])
        held: Any = outbox.redis.get(outbox.prefix + "generation") or 0
        assert outbox.lane.claim(outbox.lane.ring() or int(held)).items
        if known:
            sandbox.store.upsert([item])
        code, report, said = command("--email", ANN, "--planhat", "--yes")
        assert (code, report["planhat"], report["in_flight"]) == (1, int(known), ["mail-1"]), said
        assert report["still_in_planhat"] == ["extid-mail-1"]
        sandbox.store.upsert([item])
        code, report, said = command("--email", ANN, "--planhat", "--yes")
        assert (code, report["planhat"], report["still_in_planhat"]) == (0, 1, []), said
        assert sandbox.store.get("extid-mail-1") is None
