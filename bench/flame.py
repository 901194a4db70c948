"""(e) Where the time goes in the real processes: `relay serve` under load and a flush worker at work, sampled. Writes
`bench/flame-door.svg` and `bench/flame-drain.svg` (flame graphs), and prints what each package and each function costs itself.

Shares of CPU time, of the main thread; how much that is an event, `bench.door` and `bench.drain` say.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from html import escape
from pathlib import Path

import redis

from bench.drain import let_drain
from bench.figures import Cell, main
from bench.load import measure
from bench.servers import Process, Server, Sink, free_port, redis_server
from bench.traffic import entries, fill, slack_requests, write_config
from relay.outbox.bell import Bell
from relay.outbox.delivery import Delivery
from relay.outbox.outbox import Outbox

PART = "flame"
_WIDTH, _ROW, _LEAST_PIXELS = 1200, 17, 1.5
#: How many functions are listed.
_LISTED = 20
_COLOURS = {
    "relay": "#e8a25c",
    "workers": "#e8a25c",
    "redis": "#c96a5b",
    "rq": "#c96a5b",
    "uvicorn": "#7ea6cf",
    "starlette": "#7ea6cf",
    "httpx": "#8bbf8f",
    "httpcore": "#8bbf8f",
}


@dataclass
class Node:
    """A function within its caller; `count` includes what it calls."""

    count: int = 0
    inside: dict[str, Node] = field(default_factory=dict)


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--events", type=int, default=20_000)
    parser.add_argument("--pictures", type=Path, default=Path(__file__).parent)


def run(chosen: argparse.Namespace) -> list[Cell]:
    """The pictures are of the last run."""
    cells = {part: Cell(f"{part}: share of its CPU time, %") for part in ("door", "drain")}
    with tempfile.TemporaryDirectory(prefix="rb-") as name:
        folder = Path(name)
        for _ in range(chosen.runs):
            for part, sampled in (("door", _door), ("drain", _drain)):
                stacks = _read(sampled(folder, chosen.events))
                cells[part].facts["samples"] = sum(stacks.values())
                cells[part].add(_shares(stacks))
                draw(chosen.pictures / f"flame-{part}.svg", part, stacks)
    return list(cells.values())


def _door(folder: Path, events: int) -> Path:
    config, out, port = write_config(folder), folder / "door.stacks", free_port()
    with redis_server(folder) as store:
        own = {"RELAY_CONFIG": str(config), "RELAY_REDIS_URL": store.url, "RELAY_PORT": str(port)}
        command = [sys.executable, "-m", "bench.sampler", str(out), "relay.cli", "serve"]
        with Server(command, port, folder / "web.log", own, ready="/readyz") as web:
            measure(web.port, slack_requests(events), 64).all_were(202)
    return out


def _drain(folder: Path, events: int) -> Path:
    config, out = write_config(folder), folder / "drain.stacks"
    with redis_server(folder) as store, Sink(folder) as sink:
        client = redis.Redis.from_url(store.url)
        Delivery(client).pause()
        fill(Outbox(client), entries(config, events), 500)
        own = {
            "RELAY_CONFIG": str(config),
            "RELAY_REDIS_URL": store.url,
            "RELAY_PLANHAT_URL": f"http://127.0.0.1:{sink.port}",
            "RELAY_PLANHAT_TOKEN": "bench",
            "RELAY_ALLOW_WEAK_SECRETS": "true",
        }
        # Without its supervisor: this one is its parent, and rings for it.
        worker = ["workers", "--queue", "flush", "--parent", str(os.getpid())]
        with Process([sys.executable, "-m", "bench.sampler", str(out), *worker], folder / "w.log", own):
            let_drain(client, until=0)
            Bell(client).ring_flush(Outbox(client).lane.ring())
    return out


def _read(file: Path) -> Counter[tuple[str, ...]]:
    """Stacks and their samples; without what stood around the module itself, and without its start."""
    stacks: Counter[tuple[str, ...]] = Counter()
    for line in file.read_text().splitlines():
        text, _, count = line.rpartition(" ")
        names = [
            name for name in text.split(";") if not name.startswith(("runpy:", "bench.sampler:", "_frozen"))
        ]
        importing = any(name.startswith(("importlib", "_frozen_importlib")) for name in text.split(";"))
        if names and not importing:
            stacks[tuple(names)] += int(count)
    return stacks


def _shares(stacks: Counter[tuple[str, ...]]) -> dict[str, float]:
    """Per cent by package and by function, of what each costs itself, without what it calls."""
    whole = sum(stacks.values()) or 1
    packages: Counter[str] = Counter()
    functions: Counter[str] = Counter()
    for stack, count in stacks.items():
        packages[stack[-1].partition(".")[0].partition(":")[0]] += count
        functions[stack[-1]] += count
    listed = {f"package {name}": 100 * count / whole for name, count in packages.most_common(8)}
    return listed | {name: 100 * count / whole for name, count in functions.most_common(_LISTED)}


def draw(path: Path, title: str, stacks: Counter[tuple[str, ...]]) -> None:
    """A flame graph: callers below, widths are shares of the samples, hovering names the function."""
    root = Node()
    for stack, count in stacks.items():
        node = root
        node.count += count
        for name in stack:
            node = node.inside.setdefault(name, Node())
            node.count += count
    # What starts the process and then runs all of it says nothing: the picture begins where ways part.
    while (
        root.inside
        and (most := max(root.inside.values(), key=lambda child: child.count)).count > 0.9 * root.count
    ):
        root = most
    depth = _depth(root, root.count)
    height = (depth + 2) * _ROW + 30
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}" height="{height}" '
        'font-family="ui-monospace, monospace" font-size="11" fill="#222">',
        f'<rect width="{_WIDTH}" height="{height}" fill="#ffffff"/>',
        f'<text x="8" y="20" font-family="system-ui, sans-serif" font-size="15">{escape(title)}: CPU time by function, '
        f"{root.count:,} samples (orange: relay and workers; red: redis, rq; blue: uvicorn, starlette; green: httpx)</text>",
    ]
    _boxes(out, root, 0.0, height - _ROW - 6, _WIDTH / max(1, root.count), root.count)
    path.write_text("\n".join([*out, "</svg>"]) + "\n", encoding="utf-8")


def _depth(node: Node, whole: int) -> int:
    shown = [child for child in node.inside.values() if child.count * _WIDTH / max(1, whole) >= _LEAST_PIXELS]
    return 1 + max((_depth(child, whole) for child in shown), default=0)


def _boxes(out: list[str], node: Node, x: float, y: float, pixels: float, whole: int) -> None:
    for name, child in sorted(node.inside.items(), key=lambda pair: -pair[1].count):
        width = child.count * pixels
        if width >= _LEAST_PIXELS:
            package = name.partition(".")[0].partition(":")[0]
            label = name.rpartition(":")[2]
            room = int((width - 6) / 6.7)
            words = label if len(label) <= room else label[: max(0, room - 1)] + "…" if room > 3 else ""
            out.append(
                f'<g><title>{escape(name)}: {100 * child.count / whole:.1f} %</title><rect x="{x:.1f}" y="{y:.0f}" '
                f'width="{max(0.5, width - 0.6):.1f}" height="{_ROW - 1}" rx="1" fill="{_COLOURS.get(package, "#d9d3c7")}"/>'
                f'<text x="{x + 3:.1f}" y="{y + 12:.0f}">{escape(words)}</text></g>'
            )
            _boxes(out, child, x, y - _ROW, pixels, whole)
        x += width


if __name__ == "__main__":
    main(PART, (__doc__ or "").split("\n\n")[0], run, options)
