"""What finding events costs the door: the relay as it is beside itself without what the index and the list want of the door (a bit
for each minute in which a source sent something; who wrote, and about what, among the facts of an event).

Both serve side by side, each with a server of its own, and take turns; what counts is the ratio of CPU an event, of the web process
and of Redis.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

import redis

from bench.door import Side
from bench.figures import Cell, main, spin_ms
from bench.servers import ROOT, Server, free_port, redis_server
from bench.traffic import slack_requests, write_config
from bench.usage import redis_cpu_s

PART = "search_door"
#: Short turns: what slows the machine for a moment slows both.
_TURNS = 50
#: File below `relay` -> what is taken out of it.
_WITHOUT = {
    "outbox/record.lua": (
        "    redis.call('SETBIT', minutes, minute % 1440, 1)\n",
        "    redis.call('EXPIRE', minutes, events_s + 86400)\n",
        "    local minutes = P .. 'minutes:' .. source .. ':' .. math.floor(minute / 1440)\n",
    ),
    "door/mapping.py": ('            "from": event.who,\n', '            "subject": event.about,\n'),
}


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--requests", type=int, default=20_000)
    parser.add_argument("--connections", type=int, default=64)


def run(chosen: argparse.Namespace) -> list[Cell]:
    cell = Cell("the door with the index beside the door without")
    with tempfile.TemporaryDirectory(prefix="rb-") as name:
        folder = Path(name)
        config, plain = write_config(folder), _without(folder / "without")
        for turn in range(chosen.runs):
            cell.add({**_one_run(config, plain, chosen, turn), "spin_ms": spin_ms()})
    return [cell]


def _without(folder: Path) -> Path:
    """A copy of the relay that the index asks nothing of."""
    shutil.copytree(ROOT / "relay", folder / "relay")
    for name, lines in _WITHOUT.items():
        file = folder / "relay" / name
        text = file.read_text()
        for line in lines:
            if line not in text:
                raise RuntimeError(f"{name} has changed: {line.strip()!r} is not in it")
            text = text.replace(line, "")
        file.write_text(text)
    return folder


def _one_run(config: Path, plain: Path, chosen: argparse.Namespace, turn: int) -> dict[str, float]:
    with ExitStack() as stack:
        sides = []
        for home in (ROOT, plain):
            store = stack.enter_context(redis_server(config.parent))
            client = redis.Redis.from_url(store.url)
            sides.append((Side(stack.enter_context(_door(config, store.url, home))), client))
        for side, _ in sides:
            side.measure(slack_requests(1_000, start=10_000_000), chosen.connections)
            side.forget()
        requests = slack_requests(chosen.requests)
        redis_s = [0.0, 0.0]
        for number in range(_TURNS):
            order = (0, 1) if (number + turn) % 2 == 0 else (1, 0)
            for place in order:
                side, client = sides[place]
                used = redis_cpu_s(client)
                side.measure(requests[number::_TURNS], chosen.connections)
                redis_s[place] += redis_cpu_s(client) - used
        (index, _), (without, _) = sides
        both = [
            side.cpu_us + used_s / len(requests) * 1e6
            for (side, _), used_s in zip(sides, redis_s, strict=True)
        ]
        return {
            "web_cpu_us": index.cpu_us,
            "web_cpu_us_without": without.cpu_us,
            "web_ratio": index.cpu_us / without.cpu_us,
            "redis_ratio": redis_s[0] / redis_s[1],
            "ratio": both[0] / both[1],
        }


def _door(config: Path, redis_url: str, home: Path) -> Server:
    port = free_port()
    own = {
        "RELAY_CONFIG": str(config),
        "RELAY_REDIS_URL": redis_url,
        "RELAY_PORT": str(port),
        "PYTHONPATH": str(home),
    }
    # -P: the folder it is started in does not go before `home`.
    command = [sys.executable, "-P", "-m", "relay.cli", "serve"]
    return Server(command, port, config.parent / "web.log", own, ready="/readyz")


if __name__ == "__main__":
    main(PART, (__doc__ or "").split("\n\n")[0], run, options)
