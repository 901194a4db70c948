"""The spool: where accepted requests wait on local disk while Redis is away, full, read-only or loading.

SQLite in WAL mode with `synchronous=FULL`: an append returns after the fsync. Rows are sealed by the vault and carry a
checksum; a torn or corrupt row is set aside and counted, a corrupt file is renamed and a new one begun: neither ever
stops the start. Size-capped: over the cap the sender is told to try later. One process owns a folder, by a lock that ends
with it; `relay erase` looks in beside it.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
import threading
import time
import zlib
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from relay.errors import OutboxUnavailable, UserError
from relay.outbox.vault import Vault

_TABLES = """
CREATE TABLE IF NOT EXISTS spool (id INTEGER PRIMARY KEY AUTOINCREMENT, crc INTEGER NOT NULL, row BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS aside (id INTEGER PRIMARY KEY, why TEXT NOT NULL, row BLOB NOT NULL);
"""


@dataclass(frozen=True, slots=True)
class Spooled:
    row_id: int
    row: bytes


class Spool:
    """One process's spool in `folder`; with `visit`, a look into another's. All methods may be called from any thread.
    Raises UserError where the folder cannot be used, or belongs to another process."""

    def __init__(
        self,
        folder: str | Path,
        *,
        max_bytes: int = 1_000_000_000,
        vault: Vault | None = None,
        visit: bool = False,
    ) -> None:
        self._vault = vault or Vault()
        self._max_bytes = max_bytes
        self._lock = threading.Lock()
        self.set_aside = 0
        path = Path(folder)
        try:
            path.mkdir(parents=True, exist_ok=True, mode=0o700)
            self.path = path / "spool.sqlite"
            self._owned = None if visit else _own(path)
            self._db = self._connect() if visit else self._open()
        except (OSError, sqlite3.Error) as error:
            raise UserError(f"spool.dir {path}: cannot be used ({error})") from error
        self.count = self.size_bytes = 0
        self._count()

    def _open(self) -> sqlite3.Connection:
        try:
            return self._connect()
        except sqlite3.DatabaseError:
            # Damaged beyond reading: keep it for a person to look at, and go on.
            aside = self.path.with_suffix(f".corrupt-{int(time.time())}")
            self.path.rename(aside)
            for suffix in ("-wal", "-shm"):
                with suppress(OSError):
                    Path(f"{self.path}{suffix}").rename(f"{aside}{suffix}")
            self.set_aside += 1
            return self._connect()

    def _connect(self) -> sqlite3.Connection:
        # SQLite gives its log and its index the mode of the file itself, so that one is there first, closed.
        os.close(os.open(self.path, os.O_CREAT | os.O_RDWR, 0o600))
        for suffix in ("", "-wal", "-shm"):
            with suppress(FileNotFoundError):
                Path(f"{self.path}{suffix}").chmod(0o600)
        db = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False, timeout=5)
        try:
            db.execute("PRAGMA journal_mode=WAL")
            db.execute("PRAGMA synchronous=FULL")
            # What is removed is overwritten: an erased person leaves no bytes behind.
            db.execute("PRAGMA secure_delete=ON")
            db.executescript(_TABLES)
            found = db.execute("PRAGMA quick_check(1)").fetchone()
            if not found or found[0] != "ok":
                raise sqlite3.DatabaseError("quick_check failed")
        except sqlite3.Error:
            db.close()
            raise
        return db

    def append(self, rows: Sequence[bytes]) -> None:
        """Write `rows`; all of them are on disk when this returns. Raises OutboxUnavailable over the cap or on a full disk."""
        sealed = [self._vault.seal(row) for row in rows]
        size = sum(len(row) for row in sealed)
        with self._lock:
            if self.size_bytes + size > self._max_bytes:
                raise OutboxUnavailable("Redis is away and the spool is full", retry_after_s=30)
            try:
                self._db.execute("BEGIN IMMEDIATE")
                self._db.executemany(
                    "INSERT INTO spool (crc, row) VALUES (?, ?)", [(zlib.crc32(row), row) for row in sealed]
                )
                self._db.execute("COMMIT")
            except sqlite3.Error as error:
                with suppress(sqlite3.Error):
                    self._db.execute("ROLLBACK")
                raise OutboxUnavailable(
                    "Redis is away and the spool cannot be written", retry_after_s=30
                ) from error
            self.count += len(sealed)
            self.size_bytes += size

    def oldest(self, limit: int = 200, *, after: int = 0, max_bytes: int = 4_000_000) -> list[Spooled]:
        """Return the oldest readable rows behind the row `after`, in order, hardly more than `max_bytes` of them; damaged ones are set
        aside on the way. None: what is counted is put right, since somebody may have erased rows beside us."""
        rows, size = list[tuple[int, int, bytes]](), 0
        with self._lock:
            # A row is a whole request: a hundred large mails do not fit into memory.
            for row in self._db.execute(
                "SELECT id, crc, row FROM spool WHERE id > ? ORDER BY id LIMIT ?", (after, limit)
            ):
                rows.append(row)
                size += len(row[2])
                if size >= max_bytes:
                    break
            if not rows:
                self._count()
        good, size = list[Spooled](), 0
        for row_id, crc, stored in rows:
            if size >= max_bytes:
                # The rest is read with the next.
                break
            try:
                if zlib.crc32(stored) != crc:
                    raise ValueError("checksum")
                good.append(Spooled(row_id, self._vault.open(stored)))
                size += len(good[-1].row)
            except ValueError as error:
                self.put_aside(row_id, str(error))
        return good

    def remove(self, row_ids: Sequence[int]) -> None:
        with self._lock:
            self._db.execute("BEGIN IMMEDIATE")
            self._db.executemany("DELETE FROM spool WHERE id = ?", [(row_id,) for row_id in row_ids])
            self._db.execute("COMMIT")
            self._count()

    def put_aside(self, row_id: int, why: str) -> None:
        """Moves a row that cannot be taken in out of the way; it stays on disk for a person."""
        with self._lock:
            self._db.execute("BEGIN IMMEDIATE")
            self._db.execute(
                "INSERT OR REPLACE INTO aside (id, why, row) SELECT id, ?, row FROM spool WHERE id = ?",
                (why, row_id),
            )
            self._db.execute("DELETE FROM spool WHERE id = ?", (row_id,))
            self._db.execute("COMMIT")
            self._count()
            self.set_aside += 1

    def add_aside(self, sealed: Sequence[bytes], why: str) -> None:
        """Add rows from a damaged file, for a person to look at."""
        with self._lock:
            self._db.execute("BEGIN IMMEDIATE")
            self._db.executemany("INSERT INTO aside (why, row) VALUES (?, ?)", [(why, row) for row in sealed])
            self._db.execute("COMMIT")

    def erase(self, fits: Callable[[bytes], bool]) -> int:
        """Removes every row, set aside or not, which `fits`; the bytes leave the files too."""
        gone = 0
        with self._lock:
            for table in ("spool", "aside"):
                rows = self._db.execute(f"SELECT id, row FROM {table}").fetchall()  # noqa: S608 (our two names)
                for row_id, row in rows:
                    try:
                        plain = self._vault.open(row)
                    except ValueError:
                        plain = bytes(row)
                    if fits(plain):
                        self._db.execute(f"DELETE FROM {table} WHERE id = ?", (row_id,))  # noqa: S608
                        gone += 1
            # The write-ahead log still has them: into the file with it, where they are overwritten.
            self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
            self._count()
        return gone

    def _count(self) -> None:
        row = self._db.execute("SELECT COUNT(*), COALESCE(SUM(LENGTH(row)), 0) FROM spool").fetchone()
        self.count, self.size_bytes = int(row[0]), int(row[1])

    def full(self) -> bool:
        return self.size_bytes >= self._max_bytes

    def close(self) -> None:
        with self._lock:
            self._db.close()
            if self._owned is not None:
                self._owned.close()
                self._owned = None


def _own(folder: Path) -> IO[str]:
    """The folder's lock, held until it is closed or its process ends. Raises UserError where another holds it."""
    handle = os.open(folder / "spool.lock", os.O_CREAT | os.O_RDWR | os.O_APPEND, 0o600)
    file = open(handle, "a+", encoding="ascii")  # noqa: SIM115
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        file.seek(0)
        owner = file.read(20).strip()
        file.close()
        raise UserError(
            f"spool.dir {folder}: in use by another `relay serve`{f' (process {owner})' if owner.isdigit() else ''}; "
            "give each its own folder"
        ) from error
    file.seek(0)
    file.truncate()
    file.write(str(os.getpid()))
    file.flush()
    return file
