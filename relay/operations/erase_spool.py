"""Erasing from the spool: its rows, those that were set aside, and files that were put away because they are damaged."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path

from relay.door.house import House
from relay.door.intake import Intake
from relay.door.placing import asking_again, moved
from relay.door.spooling import decode
from relay.errors import RelayError
from relay.event import Event
from relay.operations.person import Needle
from relay.outbox.spool import Spool
from relay.outbox.vault import Vault
from relay.thread_ids import ThreadIds


class RowTest:
    """Whether a spooled row is the person's, or of one of the conversations. `find_threads` asks to which a mail belongs."""

    def __init__(
        self,
        house: House,
        needle: Needle,
        conversations: frozenset[str],
        *,
        find_threads: Callable[[Sequence[ThreadIds]], Sequence[str]] = lambda asked: [""] * len(asked),
    ) -> None:
        self._intake = Intake(house=house, records=None)  # type: ignore[arg-type] # it only maps here
        self._needle = needle
        self._conversations = conversations
        self._find_threads = find_threads

    def __call__(self, row: bytes) -> bool:
        try:
            name, inbound, received_s = decode(row)
        except (ValueError, KeyError, TypeError):
            return self._needle.in_bytes(row)
        if self._needle.email and (
            self._needle.in_bytes(inbound.body)
            or self._needle.in_value([inbound.path_query, dict(inbound.query), dict(inbound.headers)])
        ):
            return True
        try:
            source = self._intake.source(name)
            entries, _ = self._intake.map(source, inbound, now_s=received_s)
            asked = asking_again(entries)
            names = dict(zip(asked, self._find_threads(list(asked.values())), strict=True))
            if threads := moved(entries, {event_id: name for event_id, name in names.items() if name}):
                entries, _ = self._intake.map(source, inbound, now_s=received_s, threads=threads)
            if self._conversations.intersection(entry.external_id for entry in entries):
                return True
            parsed = source.adapter.parse(inbound, now_s=received_s)
        except RelayError:
            return False
        events = (one for one in parsed if isinstance(one, Event))
        return any(
            self._needle.in_value(event.view()) or self._needle.in_value(dict(event.payload))
            for event in events
        )


def erase_spool(
    folder: str, vault: Vault, holds: Callable[[bytes], bool], *, max_bytes: int, dry_run: bool = False
) -> dict[str, int]:
    """Erase from the spool. Returns `{"spool", "damaged_files"}`: rows that went, and damaged files that were taken apart: what can be read of them and is
    not to go lies in the spool's own `aside` afterwards, for a person to look at. Raises UserError."""
    if not Path(folder).is_dir():
        return {"spool": 0, "damaged_files": 0}
    damaged = [
        path for path in Path(folder).glob("spool.corrupt-*") if not path.name.endswith(("-wal", "-shm"))
    ]
    if dry_run:
        going = sum(holds(_opened(vault, row)) for row in _rows(Path(folder) / "spool.sqlite"))
        return {"spool": going, "damaged_files": len(damaged)}
    spool = Spool(folder, max_bytes=max_bytes, vault=vault, visit=True)
    try:
        gone = spool.erase(holds)
        for path in damaged:
            rows = _rows(path)
            kept = [row for row in rows if not holds(_opened(vault, row))]
            gone += len(rows) - len(kept)
            spool.add_aside(kept, f"from {path.name}")
            for piece in (path, Path(f"{path}-wal"), Path(f"{path}-shm")):
                _wipe(piece)
    finally:
        spool.close()
    return {"spool": gone, "damaged_files": len(damaged)}


def _rows(path: Path) -> list[bytes]:
    """What can be read of a spool's file, sealed as it stands there: from both ends, since damage may lie in the middle."""
    found: dict[tuple[str, int], bytes] = {}
    if not path.exists():
        return []
    with contextlib.suppress(sqlite3.Error), contextlib.closing(_read_only(path)) as db:
        for table in ("spool", "aside"):
            for order in ("ASC", "DESC"):
                with contextlib.suppress(sqlite3.Error):
                    for row_id, row in db.execute(f"SELECT id, row FROM {table} ORDER BY id {order}"):  # noqa: S608
                        found.setdefault((table, row_id), bytes(row))
    return list(found.values())


def _read_only(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=5)


def _opened(vault: Vault, row: bytes) -> bytes:
    try:
        return vault.open(row)
    except ValueError:
        return row


def _wipe(path: Path) -> None:
    with contextlib.suppress(FileNotFoundError):
        size = path.stat().st_size
        with path.open("r+b") as file:
            file.write(b"\0" * size)
        path.unlink()
