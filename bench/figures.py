"""Figures of several runs: median and spread, as a table and as JSON, with the facts about the machine that they need.

A part is a module with `run(options) -> list[Cell]`; `main` here gives each the same command line."""

from __future__ import annotations

import argparse
import contextlib
import json
import math
import os
import platform
import statistics
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench.native import kind
from bench.servers import redis_binary

#: Where `python -m bench` keeps what it measured.
OUT = Path(__file__).resolve().parent / "out" / "results.json"

#: A loop of so many turns is what `spin_ms` times: the same work everywhere, to see a machine that is slow today.
_TURNS = 300_000


@dataclass
class Cell:
    """What was measured under one set of circumstances, `name`: one mapping of figures a run. `facts`: what is not a figure
    of each run."""

    name: str
    runs: list[dict[str, float]] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)

    def add(self, figures: Mapping[str, float]) -> None:
        self.runs.append(dict(figures))
        said = "  ".join(f"{key} {number(value)}" for key, value in figures.items() if not math.isnan(value))
        print(f"  {self.name}: {said}", flush=True)

    def spread(self) -> dict[str, dict[str, float]]:
        """figure -> median, min, max, runs; a figure that could not be had is left out."""
        found: dict[str, dict[str, float]] = {}
        for name in dict.fromkeys(name for run in self.runs for name in run):
            values = [run[name] for run in self.runs if name in run and not math.isnan(run[name])]
            if values:
                found[name] = {
                    "median": statistics.median(values),
                    "min": min(values),
                    "max": max(values),
                    "runs": len(values),
                }
        return found

    def table(self) -> str:
        lines = [f"**{self.name}**", "", "| figure | median | min-max | runs |", "|---|---|---|---|"]
        for name, of in self.spread().items():
            lines.append(
                f"| {name} | {number(of['median'])} | {number(of['min'])}-{number(of['max'])} | {of['runs']} |"
            )
        return "\n".join(lines)


def number(value: float) -> str:
    """Three digits or so, as people read them."""
    if math.isnan(value):
        return "?"
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.3g}"


def spin_ms() -> float:
    """CPU milliseconds of a loop that is always the same: half the speed shows as double the time."""
    began = time.process_time()
    turn = 0
    while turn < _TURNS:
        turn += 1
    return (time.process_time() - began) * 1000


def machine() -> dict[str, Any]:
    """What a figure depends on and a name of a machine would not tell."""
    facts: dict[str, Any] = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "cpu": _cpu_model(),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "python": platform.python_version(),
        "server": _server_version(),
        "generator": kind("load"),
        "sink": kind("sink"),
        "commit": _commit(),
        "load_average": load_average(),
        "spin_ms": round(spin_ms(), 1),
    }
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        facts["memory_gb"] = round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30, 1)
    return facts


def load_average() -> float:
    return round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else float("nan")


def _cpu_model() -> str:
    with contextlib.suppress(OSError, StopIteration):
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line for line in lines if line.startswith("model name")).partition(": ")[2]
    return platform.processor()


def _server_version() -> str:
    said = subprocess.run([redis_binary(), "--version"], check=False, capture_output=True, text=True).stdout
    words = said.split()
    return " ".join([*words[:3], *[word for word in words[3:] if word.startswith("malloc=")]])


def _commit() -> str:
    with contextlib.suppress(OSError):
        said = subprocess.run(
            ["git", "describe", "--always", "--dirty"],
            check=False,
            capture_output=True,
            text=True,
            cwd=Path(__file__).parent,
        )
        return said.stdout.strip()
    return ""


def main(
    part: str,
    about: str,
    run: Callable[[argparse.Namespace], list[Cell]],
    options: Callable[[argparse.ArgumentParser], None],
) -> None:
    """One part's command line: its tables on standard output, with --json its results in a file."""
    parser = argparse.ArgumentParser(
        prog=f"python -m bench.{part}",
        description=about,
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--runs", type=int, default=5)
    options(parser)
    parser.add_argument("--json", dest="json_file", help="write the results there as well")
    chosen = parser.parse_args()
    before, began = machine(), time.monotonic()
    if before["generator"] == "python":
        print("No C compiler: the Python generator and sink are used; they take CPU from what they measure.")
    cells = run(chosen)
    for cell in cells:
        print("\n" + cell.table(), flush=True)
    if chosen.json_file:
        results = {
            "part": part,
            "options": {key: value for key, value in vars(chosen).items() if key != "json_file"},
            "machine": {**before, "load_average_after": load_average()},
            "took_s": round(time.monotonic() - began, 1),
            "cells": [
                {"name": cell.name, "facts": cell.facts, "spread": cell.spread(), "runs": cell.runs}
                for cell in cells
            ],
        }
        Path(chosen.json_file).write_text(json.dumps(results, indent=1, default=str))
