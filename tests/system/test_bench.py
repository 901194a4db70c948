"""That the benches measure what they say: generator and sink, in C (where there is a compiler) and in Python. No speed is tested."""

from __future__ import annotations

import http.client
import importlib
import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bench import native, tune
from bench.figures import Cell
from bench.load import measure, post
from bench.picture import draw
from bench.report import markdown
from bench.servers import Sink, free_port

pytestmark = pytest.mark.process


@pytest.fixture(params=["c", "python"])
def kind(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    if request.param == "python":
        monkeypatch.setenv("RELAY_BENCH_PYTHON", "1")
    native.binary.cache_clear()
    if request.param == "c" and not native.binary("load"):
        pytest.skip("no C compiler, or no epoll")
    yield request.param
    native.binary.cache_clear()


class Server:
    """Answers every POST with 202, its answer in two parts; hangs up on a request whose body says so."""

    def __init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self.bodies: list[bytes] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                link, _ = self._socket.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(link,), daemon=True).start()

    def _serve(self, link: socket.socket) -> None:
        with link, link.makefile("rb") as lines:
            while lines.readline():
                length = 0
                while (line := lines.readline().strip()) != b"":
                    if line.lower().startswith(b"content-length:"):
                        length = int(line[15:])
                body = lines.read(length)
                self.bodies.append(body)
                if body.startswith(b"hang up"):
                    return
                link.sendall(b"HTTP/1.1 202 Accepted\r\ncontent-length: 8\r\n\r\nacc")
                link.sendall(b"epted")

    def stop(self) -> None:
        self._socket.close()


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    yield made
    made.stop()


@pytest.mark.parametrize(
    "module",
    sorted(file.stem for file in Path(native.__file__).parent.glob("*.py") if file.stem != "__main__"),
)
def test_every_module_of_the_bench_can_be_loaded(module: str) -> None:
    """One of them spent a day importing what had moved."""
    importlib.import_module(f"bench.{module}")


@pytest.mark.parametrize("rate", [0, 2_000])
def test_every_request_goes_out_whole_and_once(kind: str, server: Server, rate: float) -> None:
    bodies = [f"{n}:".encode() + b"x" * (n * 1_000) for n in range(100)]
    result = measure(server.port, [post("/hooks/slack", body, {}) for body in bodies], 8, rate=rate, times=2)
    result.all_were(202)
    assert sorted(server.bodies) == sorted(bodies * 2)
    assert len(result.latencies_s) == 200
    assert result.latencies_s == sorted(result.latencies_s)
    if rate:
        assert result.took_s >= 199 / rate


def test_a_broken_connection_is_no_answer(kind: str, server: Server) -> None:
    requests = [post("/", body, {}) for body in (b"one", b"hang up", b"two")]
    if kind == "python":
        with pytest.raises(ConnectionError):
            measure(server.port, requests, 1)
        return
    result = measure(server.port, requests, 1)
    assert (result.errors, dict(result.statuses), len(result.latencies_s)) == (1, {202: 2}, 2)
    with pytest.raises(RuntimeError, match="broken connections: 1"):
        result.all_were(202)


def test_nobody_there_is_said(kind: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    with pytest.raises((RuntimeError, OSError)):
        measure(port, [post("/", b"x", {})], 1)


def test_the_sink_counts_items_and_names_them(kind: str, tmp_path: Path) -> None:
    items = [
        {"externalId": f"slack-{n}", "description": 'say "externalId": yes ' + "x" * 900}
        for n in range(5_000)
    ]
    with Sink(tmp_path, 20, keys=True) as sink:
        link = http.client.HTTPConnection("127.0.0.1", sink.port, timeout=10)
        for part in (items, items[:3]):
            body = json.dumps(part, separators=(",", ":")).encode()
            link.request("PUT", "/conversations", body)
            answer = json.loads(link.getresponse().read())
            assert answer["created"] == len(part)
            assert [key["externalId"] for key in answer["insertsKeys"]] == [i["externalId"] for i in part]
            assert all(len(key["_id"]) == 24 for key in answer["insertsKeys"])
        link.close()
        stats = sink.stats()
        assert (stats["calls"], stats["items"], stats["largest"]) == (2, 5_003, 5_000)
        assert stats["bytes"] > 5_000 * 900
        arrivals = sink.arrivals()
        assert [name for name, _ in arrivals[-3:]] == ["slack-0", "slack-1", "slack-2"]
        assert arrivals[-1][1] - arrivals[0][1] >= 20_000_000


@pytest.mark.process
@pytest.mark.parametrize("name", tune.WORLDS)
def test_a_world_of_self_tuning_is_one_that_the_sandbox_takes(name: str, tmp_path: Path) -> None:
    """Its command line had lost `--fault`, and the part could not begin."""
    port = free_port()
    with tune.sandbox_of(tune.WORLDS[name], port, tmp_path / "log") as sandbox:
        [fault] = json.loads(sandbox.get("/_sandbox/faults"))["faults"]
    assert fault["operation"] == "upsert" and fault["latency_ms"] == tune.WORLDS[name].latency_ms


def test_results_become_tables(tmp_path: Path) -> None:
    cell = Cell("saturation, 64 connections")
    for ratio in (0.31, 0.29, 0.33, float("nan")):
        cell.add({"ratio": ratio})
    assert cell.spread()["ratio"] == {"median": 0.31, "min": 0.29, "max": 0.33, "runs": 3}
    machine = {
        "cores": 2, "cpu": "x", "python": "3.11", "server": "s", "generator": "c", "sink": "c", "commit": "abc",
        "load_average": 0.1, "load_average_after": 0.2,
    }  # fmt: skip
    part: dict[str, Any] = {
        "machine": machine,
        "cells": [{"name": cell.name, "spread": cell.spread(), "runs": cell.runs, "facts": {}}],
    }
    older = {
        "parts": {"door": {**part, "cells": [{**part["cells"][0], "spread": {"ratio": {"median": 0.2}}}]}}
    }
    table = markdown({"parts": {"door": part}}, older)
    assert "| door / bare | >= 0.2, goal 0.3 | 0.2 | 0.31 (0.29-0.33) | 3 | met, goal too |" in table
    draw(tmp_path / "x.svg", "a < b", "x", "y", {"one": [(1, 2, 1, 3), (1000, 4, 4, 5)]})
    assert "a &lt; b" in (tmp_path / "x.svg").read_text()
