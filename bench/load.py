"""The load generator: requests built beforehand, sent over kept-alive connections by `load.c`, or by `load_python.py` where
there is no C compiler.

Closed loop (`rate` 0): each connection sends its next request when it has its answer. Open loop: requests have times set
beforehand, and latency counts from the time a request *should* have gone out, so that a stall is not hidden.
"""

from __future__ import annotations

import resource
import struct
import subprocess
import tempfile
from collections import Counter
from collections.abc import Sequence
from typing import Any

import orjson

from bench.load_result import Result
from bench.native import binary


def measure(
    port: int, requests: Sequence[bytes], connections: int = 64, rate: float = 0, times: int = 1
) -> Result:
    """Sends all `requests`, `times` times over, to 127.0.0.1. Raises RuntimeError where the server cannot be reached or
    falls silent."""
    program = binary("load")
    if not program:
        return _by_python(port, requests, connections, rate, times)
    with tempfile.NamedTemporaryFile(prefix="relay-bench-") as file:
        for request in requests:
            file.write(struct.pack("<I", len(request)) + request)
        file.flush()
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run(
            [program, str(port), file.name, str(connections), str(rate), str(times)],
            check=False,
            capture_output=True,
        )
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        raise RuntimeError(f"the generator gave up: {done.stderr.decode().strip()}")
    said = orjson.loads(done.stdout)
    return Result(
        began_s=said["began_ns"] / 1e9,
        took_s=said["took_s"],
        statuses=Counter({int(status): number for status, number in said["statuses"].items()}),
        latencies_s=sorted(ns / 1e9 for ns in said["latencies_ns"] if ns >= 0),
        errors=said["errors"],
        cpu_s=after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime,
    )


def _by_python(port: int, requests: Sequence[bytes], connections: int, rate: float, times: int) -> Result:
    import asyncio

    from bench.load_python import run

    before = resource.getrusage(resource.RUSAGE_SELF)
    try:
        import uvloop

        runner: Any = uvloop.run
    except ImportError:  # not on every platform
        runner = asyncio.run
    result: Result = runner(
        run("127.0.0.1", port, list(requests) * times, connections=connections, rate=rate)
    )
    after = resource.getrusage(resource.RUSAGE_SELF)
    result.cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return result


def post(path: str, body: bytes, headers: dict[str, str]) -> bytes:
    lines = [f"POST {path} HTTP/1.1", "Host: 127.0.0.1", f"Content-Length: {len(body)}"]
    lines += [f"{key}: {value}" for key, value in headers.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body
