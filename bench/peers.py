"""The relay beside other queues and relays, in one run: `python -m bench.peers [--lab FOLDER] [--work FOLDER]`.

The lab is a folder of peers with a driver of its own (`run.sh`, `bench.py`); where there is none, this says so and ends with 2.
It is copied, built once (a C compiler, OpenSSL's headers, Node and a package registry are needed), and runs the code of this checkout
beside the peers that are named, every one with the same `appendfsync always`. Prints a table of medians and of ratios against the targets.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import shutil
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.figures import machine, number
from bench.servers import ROOT
from bench.targets import Row

#: One run of a test: what the lab's driver wrote of it, a line of JSON.
Run = dict[str, Any]

RELAY = "project"
PEERS = ("ref_streams", "bullmq_manual", "bullmq", "faststream")
TESTS = ("satweb", "sat", "r500", "b", "d")
#: A run in which others used more of a core than this counts only where there is no quieter one.
NOISE_CORES = 0.15


@dataclass(frozen=True, slots=True)
class Figure:
    """One column: a figure of a run of `test`, None where the run has not got it."""

    name: str
    test: str
    of: Callable[[Run], float | None]


def _per_event_us(*names: str, by: str) -> Callable[[Run], float | None]:
    def of(run: Run) -> float | None:
        events = run.get(by) if by != "ok" else run["codes"].get("202") or run["codes"].get("200")
        return sum(run["use"][name] for name in names) / events * 1e6 if events else None

    return of


def _at(path: str) -> Callable[[Run], float | None]:
    def of(run: Run) -> float | None:
        found: Any = run
        for key in path.split("."):
            found = found.get(key) if isinstance(found, dict) else None
        return float(found) if isinstance(found, int | float) else None

    return of


FIGURES = (
    Figure("accepted/s, the door alone", "satweb", _at("accepted_s")),
    Figure("web CPU, us an event", "satweb", _per_event_us("cpu_peer", by="ok")),
    Figure("Redis CPU, us an event", "satweb", _per_event_us("cpu_redis", by="ok")),
    Figure("web + Redis CPU, us an event", "satweb", _per_event_us("cpu_peer", "cpu_redis", by="ok")),
    Figure("accepted/s while it delivers", "sat", _at("accepted_s")),
    Figure("answer at 500/s, p99 ms", "r500", _at("ms.p99")),
    Figure("50,000 end to end, delivered/s", "b", _at("delivered_s")),
    Figure(
        "the same, all CPU, us an event",
        "b",
        _per_event_us("cpu_peer", "cpu_redis", by="delivered"),
    ),
    Figure("the same, Redis at the peak, MB", "b", _at("redis_used_peak_mb")),
    Figure("at 200/s, 200 ms a call: wait p50 ms", "d", _at("e2e_ms.p50")),
    Figure("the same, p99 ms", "d", _at("e2e_ms.p99")),
)

#: The relay's figure / a peer's, or its own where no peer is named, beside its target.
TARGETS: tuple[tuple[Row, str | None], ...] = tuple(
    (Row(f"{figure} / {peer}" if peer else figure, "peers", "", figure, least=least, most=most), peer)
    for figure, peer, least, most in (
        ("50,000 end to end, delivered/s", "bullmq_manual", 1.3, None),
        ("50,000 end to end, delivered/s", "ref_streams", 0.85, None),
        ("the same, Redis at the peak, MB", None, None, 90),
        ("the same, all CPU, us an event", "bullmq_manual", None, 0.75),
        ("the same, all CPU, us an event", "ref_streams", None, 1.6),
        ("web + Redis CPU, us an event", "faststream", None, 0.7),
        ("web + Redis CPU, us an event", "bullmq", None, 0.9),
    )
)


def median_of(runs: Iterable[Run], figure: Figure, peer: str) -> float | None:
    """The median of a peer's figure over its quiet runs, or over all where none was quiet; None where there is none."""
    mine = [run for run in runs if run["peer"] == peer and run["test"] == figure.test and "error" not in run]
    quiet = [run for run in mine if run["use"]["cpu_other"] <= NOISE_CORES * max(run["use"]["wall"], 1)]
    values = [value for run in quiet or mine if (value := figure.of(run)) is not None]
    return statistics.median(values) if values else None


def markdown(runs: list[Run]) -> str:
    """The two tables: every figure by peer, and the relay's against its targets."""
    names = list(dict.fromkeys(run["peer"] for run in runs))
    lines = [f"| figure | {' | '.join(names)} |", "|" + "---|" * (len(names) + 1)]
    for figure in FIGURES:
        cells = [median_of(runs, figure, name) for name in names]
        lines.append(f"| {figure.name} | {' | '.join('' if c is None else number(c) for c in cells)} |")
    lines += ["", "| ratio | target | measured |  |", "|---|---|---|---|"]
    by_name = {figure.name: figure for figure in FIGURES}
    for row, peer in TARGETS:
        mine = median_of(runs, by_name[row.figure], RELAY)
        theirs = median_of(runs, by_name[row.figure], peer) if peer else 1.0
        if mine is not None and theirs:
            lines.append(
                f"| {row.what} | {row.target()} | {number(mine / theirs)} | {row.verdict(mine / theirs)} |"
            )
    failed = [f"{run['peer']}, {run['test']}: {run['error']}" for run in runs if "error" in run]
    return "\n".join([*lines, *(["", f"Failed: {'; '.join(failed)}."] if failed else [])])


def prepare(lab: Path, work: Path) -> None:
    """Copies the lab into `work` and builds it, unless that was done before; puts this checkout's `relay` into it."""
    if not (work / "run.sh").exists():
        shutil.copytree(lab, work, dirs_exist_ok=True)
        for place in (work, *work.rglob("*")):
            if not place.is_symlink():
                place.chmod(place.stat().st_mode | 0o200)
    subprocess.run(["bash", "run.sh", "build"], cwd=work, check=True)
    relay = work / "relay"
    relay.write_text(
        f'#!/bin/sh\nPYTHONPATH={shlex.quote(str(ROOT))} exec {shlex.quote(sys.executable)} -m relay.cli "$@"\n'
    )
    relay.chmod(0o755)


def measure(work: Path, peers: list[str], tests: list[str], repetitions: int) -> list[Run]:
    """Runs the lab's driver: this checkout first, then each peer, `repetitions` times."""
    out = work / "project.jsonl"
    out.unlink(missing_ok=True)
    command = [
        sys.executable,
        "bench.py",
        "bench",
        "--reps",
        str(repetitions),
        "--tests",
        ",".join(tests),
        "--out",
        str(out),
    ]
    command += ["--extra", f"{RELAY}={work / RELAY}", RELAY, *peers]
    env = {**os.environ, "FSYNC": "always", "RELAY_BIN": str(work / "relay")}
    subprocess.run(command, cwd=work, check=True, env=env)
    return [json.loads(line) for line in out.read_text().splitlines()]


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m bench.peers", description=(__doc__ or "").split("\n\n")[0]
    )
    parser.add_argument(
        "--lab", type=Path, default=ROOT.parent / "shared" / "peers", help="the folder of peers"
    )
    parser.add_argument(
        "--work", type=Path, default=ROOT / "bench" / "out" / "peers", help="where it is built; kept"
    )
    parser.add_argument("--peers", nargs="+", default=list(PEERS))
    parser.add_argument("--tests", nargs="+", default=list(TESTS))
    parser.add_argument("--repetitions", type=int, default=2)
    chosen = parser.parse_args()
    if not (chosen.lab / "run.sh").exists():
        print(f"There is no lab of peers at {chosen.lab}: name its folder with --lab.", file=sys.stderr)
        return 2
    prepare(chosen.lab.resolve(), chosen.work.resolve())
    before = machine()
    runs = measure(chosen.work.resolve(), chosen.peers, chosen.tests, chosen.repetitions)
    facts = (
        f"{before['cores']} cores",
        f"commit {before['commit']}",
        f"load average {before['load_average']:g} at the beginning",
    )
    print(
        f"\n{'; '.join(facts)}; {chosen.repetitions} repetitions, `appendfsync always`.\n\n{markdown(runs)}"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
