"""What a large request takes of memory: at most four times its size, whatever it is and holds."""

from __future__ import annotations

import base64
import contextlib
import os
import random
import threading
from collections.abc import Callable
from pathlib import Path

import orjson
import pytest

from relay.door.large import MEMORY_FACTOR, held_bytes
from tests.door.opened import CONFIG, opened, postmark

pytestmark = pytest.mark.process

SIZE = 6 * 1024 * 1024
#: What the process has of its own beside a body: RE2's notes, the C library's blocks.
SPARE = 0.6
REDACTED = CONFIG + "redact: [{pattern: 'DE\\d{20}', how: hash}, {field: Secret, how: drop}]\n"
FORM = "application/x-www-form-urlencoded"
JSON = "application/json"
LOGIN = {"authorization": "Basic " + base64.b64encode(b"user:pass").decode()}


def noise(size: int) -> str:
    return base64.encodebytes(random.Random(1).randbytes(size * 3 // 4)).decode()


def mime(text: str, file: str = "") -> str:
    head = "From: ana@customer.example.com\nMessage-ID: <m@x>\nContent-Type: multipart/mixed; boundary=y\n\n--y\n\n"
    kind = "Content-Type: application/zip; name=a.zip\nContent-Transfer-Encoding: base64\n\n"
    return f"{head}{text}\n--y\n{kind}{file}\n--y--\n"


def mail(**more: str) -> bytes:
    return postmark(1, padding="", **more)


BODIES: dict[str, tuple[str, str, Callable[[], bytes]]] = {
    "a mail with files": ("mail", JSON, lambda: postmark(1, padding=noise(SIZE).replace("\n", ""))),
    "a raw mail with a smiley": (
        "mail",
        JSON,
        lambda: mail(RawEmail=mime("\N{GRINNING FACE}", noise(SIZE - 500_000)), TextBody="", Headers=""),
    ),
    # Two megabytes of a text are read of each, so that here the share is that of a larger one.
    "a raw mail of text": (
        "mail",
        JSON,
        lambda: mail(RawEmail=mime("words in a line\n" * (3 * SIZE // 17)), TextBody="", Headers=""),
    ),
    "text to redact": ("mail", JSON, lambda: mail(Note=(f"DE{'1' * 20} " + "x" * 177) * (SIZE // 200))),
    "text to redact with line ends": ("mail", JSON, lambda: mail(Note=(f"DE{'1' * 20}\n" + "x" * 177) * (SIZE // 201))),
    "one wide letter": ("open", JSON, lambda: orjson.dumps({"text": "a" * SIZE + "\N{SNOWMAN}"})),
    "objects": ("open", JSON, lambda: b'{"text":"a","all":[' + b"{}," * (SIZE // 3) + b"1]}"),
    "records": (
        "open",
        JSON,
        lambda: b'{"text":"a","all":[' + b'{"id":"12345","state":"open"},' * (SIZE // 30) + b"1]}",
    ),
    "brackets in brackets": ("open", JSON, lambda: b"[" * SIZE),
    "a form of percent signs": ("open", FORM, lambda: b"id=1&text=" + b"%41" * (SIZE // 3 - 9)),
    "a form of words": ("open", FORM, lambda: b"id=1&text=" + b"words+in+a+line+" * (SIZE // 16 - 9)),
    "a multipart form": (
        "open",
        "multipart/form-data; boundary=x",
        lambda: b"--x\r\nContent-Disposition: form-data; name=text\r\n\r\n" + b"words " * (SIZE // 6 - 50) + b"\r\n--x--",
    ),
}  # fmt: skip


class Peak:
    """The most that a process and the bodies in files hold at one time, beyond what they held before, in bytes."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._before = self._held()
        self.bytes = 0
        self._stop = threading.Event()
        self._watch = threading.Thread(target=self._look)

    def _held(self) -> int:
        files: dict[int, int] = {}
        for pid in ("self", self._pid):
            for entry in os.scandir(f"/proc/{pid}/fd"):
                with contextlib.suppress(OSError):
                    if "memfd:relay-body" in os.readlink(entry.path):
                        found = os.stat(entry.path)
                        files[found.st_ino] = found.st_size
        return held_bytes(self._pid) + sum(files.values())

    def _look(self) -> None:
        while not self._stop.wait(0.003):
            with contextlib.suppress(OSError):
                self.bytes = max(self.bytes, self._held() - self._before)

    def __enter__(self) -> Peak:
        self._watch.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._watch.join()


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="the system does not tell")
def test_no_request_takes_more_than_its_share(redis_url: str, tmp_path: Path) -> None:
    heavy = {}
    with opened(redis_url, tmp_path, config=REDACTED) as door:
        headers = {"authorization": "Bearer token"}
        for name, (source, kind, make) in BODIES.items():
            body = make()
            door.mail(postmark(2, padding="x" * 100_000))
            (process,) = door.side.beside.processes()
            assert process is not None
            with Peak(process.pid) as peak:
                answer = door.http.post(
                    f"/hooks/{source}",
                    content=body,
                    headers={"content-type": kind, **(headers if source == "open" else LOGIN)},
                )
            assert answer.status_code in (202, 400), (name, answer.text)
            times = peak.bytes / len(body)
            if times > MEMORY_FACTOR + SPARE:
                heavy[name] = round(times, 2)
            assert peak.bytes > len(body) / 2, "it was read there"
    assert heavy == {}
