"""The spool: what is accepted while Redis is away is on disk, comes back in order, and damage never stops the start."""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
import stat
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import httpx
import pytest

from relay.door.house import furnish
from relay.door.intake import Intake, RecordsEvents
from relay.door.spooling import Spooler, encode
from relay.errors import OutboxUnavailable, UserError
from relay.outbox.embedded import EmbeddedServer
from relay.outbox.items import STATES, Entry, Recorded
from relay.outbox.spool import Spool
from relay.rules.file.load import load
from relay.settings import Settings
from relay.sources.base import Inbound
from relay.web.app import WebSide
from tests.environ import WEAK
from tests.web.test_hooks import CONFIG, Door, message, serve
from tests.workers.test_workers import wait_until

pytestmark = pytest.mark.process


async def drained(spooler: Spooler) -> int:
    async with asyncio.timeout(5):
        return await spooler.drain()


def test_the_spools_files_are_the_owners_alone_also_in_a_folder_that_was_there(tmp_path: Path) -> None:
    umask = os.umask(0o022)
    try:
        folder = tmp_path / "spool"
        folder.mkdir()
        (folder / "spool.sqlite-wal").touch(0o644)
        spool = Spool(folder)
        spool.append([b"row"])
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}
        assert len(modes) == 4
        assert set(modes.values()) == {0o600}, modes
        spool.close()
    finally:
        os.umask(umask)


def test_rows_come_back_in_order_after_a_restart(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    spool.append([b"1", b"2"])
    spool.append([b"3"])
    spool.close()
    again = Spool(tmp_path)
    assert [row.row for row in again.oldest()] == [b"1", b"2", b"3"]
    again.remove([row.row_id for row in again.oldest(2)])
    assert ([row.row for row in again.oldest()], again.count) == ([b"3"], 1)


def test_a_full_spool_takes_nothing(tmp_path: Path) -> None:
    spool = Spool(tmp_path, max_bytes=100)
    spool.append([bytes(range(90))])
    with pytest.raises(OutboxUnavailable):
        spool.append([b"y" * 20])
    assert spool.count == 1 and not spool.full()


def test_a_torn_row_is_set_aside_and_the_others_come_back(tmp_path: Path) -> None:
    first = Spool(tmp_path)
    first.append([b"good 1", b"torn", b"good 2"])
    first.close()
    with sqlite3.connect(tmp_path / "spool.sqlite") as db:
        db.execute("UPDATE spool SET row = ? WHERE row = ?", (b"jto", b"jtorn"))
    db.close()
    spool = Spool(tmp_path)
    assert [row.row for row in spool.oldest()] == [b"good 1", b"good 2"]
    assert (spool.set_aside, spool.count) == (1, 2)


def test_a_corrupt_file_is_put_away_and_a_new_one_begun(tmp_path: Path) -> None:
    (tmp_path / "spool.sqlite").write_bytes(
        b"this is no database, and long enough to be read as a header" * 50
    )
    spool = Spool(tmp_path)
    assert (spool.set_aside, spool.count) == (1, 0)
    assert list(tmp_path.glob("spool.corrupt-*"))
    spool.append([b"goes on"])
    assert [row.row for row in spool.oldest()] == [b"goes on"]


@pytest.fixture
def server(short_tmp: Path) -> EmbeddedServer:
    return EmbeddedServer(short_tmp / "r")


def _side(config: Path, server: EmbeddedServer) -> WebSide:
    return WebSide(Settings(config=str(config), redis_url=server.url), WEAK)


def test_a_relay_with_a_spool_loses_nothing_while_redis_is_away(
    server: EmbeddedServer, tmp_path: Path
) -> None:
    config = tmp_path / "relay.yaml"
    config.write_text(CONFIG + f"spool: {{dir: {tmp_path}/spool, max_bytes: 10MB}}\n")
    server.start()
    try:
        side = _side(config, server)
        for url in serve(side):
            door = Door(url, side)
            assert door.slack(message(1)).status_code == 202
            server.kill()
            for number in range(2, 7):
                answer = door.slack(message(number))
                assert (answer.status_code, answer.json()["status"]) == (202, "accepted")
            assert door.http.get("/readyz").status_code == 200
            # A retry of what is in the spool is taken again, and is one event in the end.
            assert door.slack(message(6)).status_code == 202
            assert side.spooler and side.spooler.spool.count == 6
            server.spawn()
            deadline = time.monotonic() + 10
            while side.spooler.spool.count:
                assert time.monotonic() < deadline
                time.sleep(0.05)
            counts = side.outbox.ledger()["slack"]
            assert (counts["accepted"], counts["duplicate"]) == (6, 1)
            assert counts["accepted"] == sum(counts[state] for state in STATES)
    finally:
        server.stop()


def test_a_folder_belongs_to_one_process_and_is_free_when_that_is_killed(tmp_path: Path) -> None:
    """Two on one folder would take in each other's rows and count what is not there."""
    hold = f"import time; from relay.outbox.spool import Spool; s = Spool({str(tmp_path)!r}); s.append([b'1']); print('up', flush=True); time.sleep(60)"
    other = subprocess.Popen([sys.executable, "-c", hold], stdout=subprocess.PIPE, text=True)
    assert other.stdout and other.stdout.readline() == "up\n"
    with pytest.raises(UserError, match=f"in use by another `relay serve` .process {other.pid}."):
        Spool(tmp_path)
    visitor = Spool(tmp_path, visit=True)
    assert visitor.count == 1
    visitor.close()
    other.kill()
    other.wait()
    spool = Spool(tmp_path)
    assert [row.row for row in spool.oldest()] == [b"1"]
    spool.close()


class Nothing(RecordsEvents):
    async def record(self, entries: Sequence[tuple[Entry, float]]) -> list[Recorded]:
        return [Recorded(entry.event_id) for entry, _ in entries]


def _spooler(folder: Path) -> Spooler:
    (folder / "relay.yaml").write_text(CONFIG)
    house = furnish(*load(str(folder / "relay.yaml"), WEAK))
    return Spooler(Spool(folder / "spool"), Intake(house=house, records=Nothing()))


def test_what_was_erased_beside_it_ends_a_drain(tmp_path: Path) -> None:
    spooler = _spooler(tmp_path)
    asyncio.run(spooler.spool_request("slack", Inbound(body=message(1), headers={}), 1.0))
    visitor = Spool(tmp_path / "spool", visit=True)
    assert visitor.erase(lambda row: True) == 1
    visitor.close()
    assert spooler.spool.count == 1
    assert asyncio.run(drained(spooler)) == 0
    assert (spooler.spool.count, spooler.spool.size_bytes) == (0, 0)
    spooler.spool.close()


def test_a_newer_release_s_rows_are_left_for_it(tmp_path: Path) -> None:
    spooler = _spooler(tmp_path)
    kept = json.loads(encode("slack", Inbound(body=message(1), headers={}), 1.0))
    newer = json.dumps({**kept, "v": kept["v"] + 1, "body": {"new": "shape"}}).encode()
    spooler.spool.append([newer, json.dumps(kept).encode(), newer])
    assert asyncio.run(drained(spooler)) == 1
    assert (spooler.spool.count, spooler.newer, spooler.spool.set_aside) == (2, 2, 0)
    spooler.spool.close()


def test_a_new_process_drains_first(server: EmbeddedServer, tmp_path: Path) -> None:
    config = tmp_path / "relay.yaml"
    config.write_text(CONFIG + f"spool: {{dir: {tmp_path}/spool}}\n")
    away = _side(config, server)
    for url in serve(away):
        assert Door(url, away).slack(message(1)).status_code == 202
    server.start()
    try:
        side = _side(config, server)
        for url in serve(side):
            # The first answer of any kind comes after the drain.
            assert httpx.get(f"{url}/healthz", trust_env=False).status_code == 200
            assert side.outbox.ledger()["slack"]["accepted"] == 1
            assert side.spooler and side.spooler.spool.count == 0
    finally:
        server.stop()


@pytest.mark.parametrize("random", [True, False], ids=["as it is", "compressed"])
def test_a_part_is_no_larger_than_fits_and_its_order_is_kept(random: bool, tmp_path: Path) -> None:
    """A hundred mails of ten megabytes were read at once: the process ended for want of memory, and began again with them."""
    spool = Spool(tmp_path)
    sizes = [3, 900, 900, 900, 5_000, 3, 3]
    spool.append([(os.urandom(size) if random else b"x" * size) for size in sizes])
    parts, last = [], 0
    while part := spool.oldest(4, after=last, max_bytes=1_000):
        parts.append([len(spooled.row) for spooled in part])
        last = part[-1].row_id
    spool.close()

    assert parts == [[3, 900, 900], [900, 5_000], [3, 3]]


def test_a_full_spool_holds_no_answer_up_at_the_start(short_tmp: Path, tmp_path: Path) -> None:
    """Each part waits for a sync, and nothing was answered until the last was there: a probe would have ended the process again and again."""
    server = EmbeddedServer(short_tmp / "r", appendfsync="everysec").start()
    config = tmp_path / "relay.yaml"
    config.write_text(CONFIG + f"spool: {{dir: {tmp_path}/spool}}\n")
    spool = Spool(tmp_path / "spool")
    # So large that a part has a hundred of them.
    long = os.urandom(20_000).hex()
    spool.append([encode("slack", Inbound(message(n, text=long), {}), time.time()) for n in range(1, 1_001)])
    spool.close()
    try:
        side = _side(config, server)
        began = time.monotonic()
        for url in serve(side):
            assert time.monotonic() - began < 8
            assert side.spooler and side.spooler.spool.count, "it goes first, but not for long"
            at = Door(url, side)
            assert at.http.get("/readyz").status_code == 200
            assert at.slack(message(2_000)).status_code == 202
            # The rest of what a process does goes on as well.
            config.write_text(config.read_text() + "# edited\n")
            wait_until(lambda: side.house.config.version == load(str(config), WEAK)[0].version, 5)
            assert side.spooler.spool.count, "and not only once all is there"
            wait_until(lambda: side.outbox.ledger()["slack"]["accepted"] == 1_001, 60)
    finally:
        server.stop()


def test_a_source_that_left_the_config_is_set_aside_not_lost(redis_url: str, tmp_path: Path) -> None:
    config = tmp_path / "relay.yaml"
    config.write_text(CONFIG + f"spool: {{dir: {tmp_path}/spool}}\n")
    side = WebSide(Settings(config=str(config), redis_url=redis_url), WEAK)
    assert side.spooler

    async def keep_and_drain() -> int:
        assert side.spooler
        await side.spooler.spool_request("gone", Inbound(body=b"{}", headers={}), 1.0)
        return await side.spooler.drain()

    assert asyncio.run(keep_and_drain()) == 0
    assert (side.spooler.spool.count, side.spooler.spool.set_aside) == (0, 1)
