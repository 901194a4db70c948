"""The command line of `python -m bench.chaos`."""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from random import Random

import bench.chaos
from bench.chaos.house import House, Means, sandbox, small_disk
from bench.chaos.run import Run
from bench.chaos.tally import Tally
from relay.event import iso_time
from relay.planhat.sandbox.server import running
from tests.alerting import receiving_posts


def main(arguments: list[str] | None = None) -> int:
    """0 where nothing was wrong."""
    chosen = _parser().parse_args(arguments)
    only = [name for name in chosen.only.split(",") if name]
    began, tally = time.monotonic(), Tally()
    folder = Path(tempfile.mkdtemp(prefix="chaos-"))
    bad: list[int] = []
    try:
        for seed in range(chosen.seed, chosen.seed + chosen.seeds):
            failed = run_seed(seed, chosen.seconds, chosen.port, folder / str(seed), only, tally)
            for line in failed[:10]:
                print(f"seed {seed}: {line[:6000]}", file=sys.stderr, flush=True)
            if failed:
                bad.append(seed)
    finally:
        if not chosen.keep:
            shutil.rmtree(folder, ignore_errors=True)
    print("\n".join(tally.lines()))
    print(f"failed seeds: {bad or 'none'}; {time.monotonic() - began:.0f} s, {iso_time(time.time())}")
    return 1 if bad else 0


def run_seed(seed: int, seconds: float, port: int, folder: Path, only: list[str], tally: Tally) -> list[str]:
    """What was wrong."""
    chance, means = Random(seed), Means.found()
    fsync, spool = chance.choice(("always", "everysec")), chance.random() < 0.5
    with ExitStack() as stack:
        planhat = sandbox()
        url = stack.enter_context(running(planhat))
        alerts = stack.enter_context(receiving_posts())
        if means.disk:
            mounted = stack.enter_context(small_disk(folder / "redis"))
            means = Means(disk=mounted, clock=means.clock)
        house = House(
            folder, port, fsync=fsync, spool=spool, alerts_url=alerts.url, planhat_url=url, means=means
        )
        stack.callback(house.stop)
        tally.injected[f"seed with fsync {fsync}, {'a' if spool else 'no'} spool"] += 1
        return Run(seed, seconds, house, planhat, alerts, tally, only).run()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bench.chaos", description=(bench.chaos.__doc__ or "").split("\n\n")[0]
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seeds", type=int, default=1, help="how many seeds, from --seed on")
    parser.add_argument("--seconds", type=float, default=10.0, help="of load and breaking for each seed")
    parser.add_argument(
        "--only", default="", help="the states that are entered, by name, with commas between"
    )
    parser.add_argument("--port", type=int, default=21450)
    parser.add_argument("--keep", action="store_true", help="keep the folder with the logs")
    return parser
