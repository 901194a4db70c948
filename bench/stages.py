"""(e) CPU per event by stage of the door, in one process: verify, parse, rules, the rest of map, the arguments of record.

python -m bench.stages [--runs 5] [--requests 5000] [--profile] [--json FILE]
"""

from __future__ import annotations

import argparse
import cProfile
import json
import pstats
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import redis

from bench.door import CONFIG, slack_requests
from relay.intake import Intake, Source, furnish
from relay.outbox.outbox import Outbox
from relay.rules.load import load
from relay.sources.base import Inbound


def inbounds(requests: list[bytes]) -> list[Inbound]:
    made = []
    for request in requests:
        head, _, body = request.partition(b"\r\n\r\n")
        pairs = (line.split(": ", 1) for line in head.decode().split("\r\n")[1:])
        made.append(Inbound(body, {key.lower(): value for key, value in pairs}, "POST", "/hooks/slack", {}))
    return made


def timed(work: Callable[[Any], Any], things: list[Any]) -> tuple[float, list[Any]]:
    """(CPU microseconds a thing, results)."""
    began = time.process_time()
    results = [work(thing) for thing in things]
    return (time.process_time() - began) / len(things) * 1e6, results


def one_run(intake: Intake, source: Source, outbox: Outbox, things: list[Inbound]) -> dict[str, float]:
    now_s = time.time()
    adapter, book = source.adapter, intake.house.book
    verify, _ = timed(lambda inbound: adapter.verify(inbound, now_s=now_s), things)
    parse, parsed = timed(lambda inbound: list(adapter.parse(inbound, now_s=now_s)), things)
    rules, verdicts = timed(book.map, [event for events in parsed for event in events])
    encode, _ = timed(lambda verdict: verdict.patch.encode(), verdicts)
    whole, mapped = timed(lambda inbound: intake.map(source, inbound, now_s=now_s), things)
    arguments, _ = timed(outbox.record_args, [[(entries[0], 0.0)] for entries, _ in mapped])
    return {
        "verify": verify,
        "parse": parse,
        "rules (match, render)": rules,
        "patch encode": encode,
        "map, all of it (parse to archive)": whole,
        "record arguments": arguments,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--requests", type=int, default=5_000)
    parser.add_argument("--profile", action="store_true", help="the functions that cost most, instead")
    parser.add_argument("--json", dest="json_file")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="rb-") as name:
        file = Path(name) / "relay.yaml"
        file.write_text(CONFIG)
        config, book = load(str(file), {})
    house = furnish(config, book)
    intake = Intake(house, records=None)  # type: ignore[arg-type]
    source, outbox = house.sources["slack"], Outbox(redis.Redis())
    things = inbounds(slack_requests(options.requests))
    one_run(intake, source, outbox, things[:500])
    if options.profile:
        profile = cProfile.Profile()
        profile.runcall(lambda: [intake.map(source, thing, now_s=time.time()) for thing in things])
        pstats.Stats(profile).sort_stats("tottime").print_stats(30)
        return
    rows = [one_run(intake, source, outbox, things) for _ in range(options.runs)]
    print("| stage | CPU us an event, median | min | max |\n|---|---|---|---|")
    for stage in rows[0]:
        values = [row[stage] for row in rows]
        print(f"| {stage} | {statistics.median(values):.1f} | {min(values):.1f} | {max(values):.1f} |")
    if options.json_file:
        Path(options.json_file).write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
