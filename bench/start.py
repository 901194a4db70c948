"""(g) Start: `relay --help`, and `relay serve` until it is ready to take events; beside them a bare Python, and a bare Starlette
under uvicorn until it answers."""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench.figures import Cell, main, spin_ms
from bench.servers import ROOT, bare_server, environ, redis_server, web_server
from bench.traffic import write_config

PART = "start"


def options(parser: argparse.ArgumentParser) -> None:
    """None but the runs."""


def run(chosen: argparse.Namespace) -> list[Cell]:
    help_cell, serve_cell = Cell("relay --help"), Cell("relay serve")
    installed = Path(sys.executable).with_name("relay")
    relay = [str(installed)] if installed.exists() else [sys.executable, "-m", "relay.cli"]
    with tempfile.TemporaryDirectory(prefix="rb-") as name:
        folder = Path(name)
        config = write_config(folder)
        # The first start of all compiles to bytecode and fills the disk's cache.
        _took_s([*relay, "--help"])
        with redis_server(folder) as store:
            web_server(config, store.url).stop()
            for _ in range(chosen.runs):
                python_s, relay_s = _took_s([sys.executable, "-c", "pass"]), _took_s([*relay, "--help"])
                help_cell.add({"s": relay_s, "bare_python_s": python_s, "spin_ms": spin_ms()})
                with bare_server(folder) as bare:
                    bare_s = bare.ready_s
                with web_server(config, store.url) as web:
                    serve_cell.add({"ready_s": web.ready_s, "bare_ready_s": bare_s, "spin_ms": spin_ms()})
    return [help_cell, serve_cell]


def _took_s(command: list[str]) -> float:
    began = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=environ(), cwd=ROOT)
    return time.perf_counter() - began


if __name__ == "__main__":
    main(PART, (__doc__ or "").split("\n\n")[0], run, options)
