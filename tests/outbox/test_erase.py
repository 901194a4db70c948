"""Erasing: one person, or one conversation, out of everything that is stored; the books stay balanced, others stay whole."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Literal

import pytest
import redis
from click.testing import CliRunner

from relay.cli import cli
from relay.outbox.dead import scan_dead
from relay.outbox.embedded import EmbeddedServer
from relay.outbox.erase import Eraser
from relay.outbox.items import STATES, Entry
from relay.outbox.notes import Note, write_notes
from relay.outbox.outbox import Outbox
from relay.outbox.spool import Spool
from relay.outbox.vault import Vault

ANN, BOB = "ann.canary@example.com", "bob@example.com"


def entry(
    number: int, who: str, verdict: Literal["pending", "filtered", "dead"] = "pending", thread: str = ""
) -> Entry:
    event_id = f"evt_{number:024x}"
    external_id = thread or f"mail-{number}"
    facts = {"v": 1, "id": event_id, "source": "mail", "external_id": external_id}
    return Entry(
        event_id,
        "mail",
        verdict,
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
    held = []
    for key in client.scan_iter():
        held.append(key)
        kind = client.type(key)
        if kind == b"string":
            held.append(client.get(key))
        elif kind == b"hash":
            held += [part for pair in client.hgetall(key).items() for part in pair]
        elif kind == b"list":
            held += client.lrange(key, 0, -1)
        elif kind == b"set":
            held += list(client.smembers(key))
        else:
            held += client.zrange(key, 0, -1)
    return b"\n".join(held)


def balanced(outbox: Outbox) -> dict[str, int]:
    counts = outbox.ledger()["mail"]
    assert counts["accepted"] == sum(counts[state] for state in STATES)
    return counts


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
    redis_client.set(f"{outbox.prefix}document:mail-1", Vault().seal(b'{"email":"ann.canary@example.com"}'))
    assert ANN.encode() in everything(redis_client)
    eraser = Eraser(outbox, email=ANN.upper())
    report = eraser.erase()
    assert ANN.encode() not in everything(redis_client)
    assert (report["events"], report["waiting"], report["documents"], report["dead_letters"]) == (5, 3, 1, 1)
    assert (report["dedupe"], report["notes"], len(eraser.dead_ids)) == (10, 1, 1)
    counts = balanced(outbox)
    assert (counts["pending"], counts["dead"], counts["discarded"]) == (2, 1, 4)
    assert [head.facts["reason"] for head in scan_dead(outbox)] == [BOB]
    assert [p.event_id[-1] for p in outbox.waiting_patches("shared")] == ["8"]
    assert outbox.event("evt_" + "0" * 23 + "2")


def test_a_conversation_goes_whole(outbox: Outbox, redis_client: redis.Redis) -> None:
    outbox.record([entry(1, ANN, thread="slack-C1-9.9"), entry(2, BOB, thread="slack-C1-9.9"), entry(3, BOB)])
    redis_client.set(f"{outbox.prefix}planhat:p1", "slack-C1-9.9")
    report = Eraser(outbox, external_id="slack-C1-9.9").erase()
    assert (report["events"], report["waiting"]) == (2, 2)
    assert b"slack-C1-9.9" not in everything(redis_client)
    assert balanced(outbox)["pending"] == 1


def test_what_is_in_flight_cannot_be_settled_afterwards(outbox: Outbox) -> None:
    from relay.outbox.outbox import Later

    outbox.record([entry(1, ANN, thread="shared"), entry(2, BOB, thread="shared")])
    generation = outbox.ring() or int(outbox.redis.get(outbox.prefix + "generation") or 0)
    claim = outbox.claim(generation)
    assert claim.items
    Eraser(outbox, email=ANN).erase()
    settled = outbox.settle([Later(claim.items[0], 0, refused=False)])
    assert settled.lost == {"shared"}
    assert [p.event_id[-1] for p in outbox.waiting_patches("shared")] == ["2"]
    balanced(outbox)


@pytest.mark.parametrize(
    "value",
    [
        b"From: ann.canary%40example.com",
        b'{"from":"ANN.canary\\u0040example.com"}',
        b"Content-Transfer-Encoding: base64\n\naGVsbG8gYW5uLmNhbmFyeUBleGFtcGxlLmNvbSE=\n\n--b",
        b"hello ann.can=\nary@example.com",
    ],
)
def test_an_address_is_found_in_the_ways_that_mail_and_forms_write_it(outbox: Outbox, value: bytes) -> None:
    assert Eraser(outbox, email=ANN).holds(value)
    assert not Eraser(outbox, email="someone@example.com").holds(value)


def test_the_spools_files_hold_nothing_afterwards(outbox: Outbox, tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    spool.append([ANN.encode() * 3, BOB.encode()])
    spool.append([ANN.encode()])
    spool.put_aside(spool.oldest()[-1].row_id, "test")
    assert spool.erase(Eraser(outbox, email=ANN).holds) == 2
    assert [row.row for row in spool.oldest()] == [BOB.encode()]
    for file in tmp_path.iterdir():
        assert ANN.encode() not in file.read_bytes()


def test_the_command_reports_and_redis_own_files_hold_nothing_afterwards(
    short_tmp: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = EmbeddedServer(short_tmp / "r").start()
    try:
        (short_tmp / "relay.yaml").write_text(
            "planhat: {types: [Mail]}\n"
            f"spool: {{dir: {short_tmp}/spool}}\n"
            "sources: {mail: {adapter: postmark, basic_auth: ['u:p'], type: Mail}}\ncompanies: [default: extid-a]\n"
        )
        monkeypatch.setenv("RELAY_CONFIG", str(short_tmp / "relay.yaml"))
        monkeypatch.setenv("RELAY_REDIS_URL", server.url)
        outbox = Outbox(redis.Redis.from_url(server.url))
        outbox.record([entry(1, ANN), entry(2, ANN, "dead"), entry(3, BOB)])

        def files() -> bytes:
            return b"".join(path.read_bytes() for path in (short_tmp / "r").rglob("*aof*") if path.is_file())

        assert ANN.encode() in files()
        done = CliRunner().invoke(cli, ["erase", "--email", ANN, "--yes", "--json"])
        assert done.exit_code == 0, done.output
        report = json.loads(done.output)
        assert (report["events"], report["dead_letters"], report["rewritten"]) == (2, 1, True)
        ends = time.monotonic() + 5
        while ANN.encode() in files() and time.monotonic() < ends:
            time.sleep(0.05)
        assert ANN.encode() not in files()
        assert BOB.encode() in files() or outbox.event("evt_" + "0" * 23 + "3")
    finally:
        server.stop()
