"""(f) What the rules cost per event, from 1 to 100 rules for one source, where the first or the last of them matches, or none;
and how long loading them takes. `bench/rules.svg` is the picture.

Two kinds: conditions that name what they demand of single fields (`event.channel.id == "C7" and ...`), and conditions that
must be run to know.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

import yaml

from bench.figures import Cell, main, spin_ms
from bench.picture import draw
from relay.rules.examples import example_event
from relay.rules.file.load import load
from relay.rules.rule import RuleBook

PART = "rules"
_KINDS = {
    "plain": 'event.channel.id == "C{}" and event.kind in ["message.created", "message.updated"]',
    "opaque": '"C{}" in [event.channel.id, event.channel.name] and not event.sender.bot',
}


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--counts", type=int, nargs="+", default=[1, 2, 5, 10, 20, 50, 100])
    parser.add_argument("--events", type=int, default=3_000)
    parser.add_argument("--picture", default="", help="where the picture goes; bench/rules.svg")


def run(chosen: argparse.Namespace) -> list[Cell]:
    cells = [Cell(f"{count} rules", facts={"rules": count}) for count in chosen.counts]
    with tempfile.TemporaryDirectory(prefix="rb-") as name:
        # All sizes in turn, run after run: a machine that slows down for a minute shall not bend the curve.
        for _ in range(chosen.runs):
            for cell in cells:
                count = cell.facts["rules"]
                figures: dict[str, float] = {}
                for kind in _KINDS:
                    book, figures[f"load {kind}, ms"] = _book(Path(name), kind, count)
                    for words, number in (("first", 0), ("last", count - 1), ("none", count)):
                        figures[f"{kind}, match {words}, us"] = _map_us(book, number, chosen.events)
                cell.add({**figures, "spin_ms": spin_ms()})
    if len(cells) > 1:
        _draw(cells, Path(chosen.picture or Path(__file__).with_name("rules.svg")))
    return cells


def _rule(kind: str, number: int) -> dict[str, Any]:
    return {
        "name": f"channel-{number}",
        "source": "slack",
        "when": _KINDS[kind].format(number),
        "conversation": {
            "type": "Slack thread",
            "externalId": "slack-{{ event.thread }}",
            "subject": "#{{ event.channel.name or event.channel.id }}: {{ event.text | truncate(80) }}",
            "description": "{{ event.html or event.text }}",
            "date": "{{ event.time }}",
            "custom": {"Channel": "{{ event.channel.id }}"},
        },
        "merge": {"subject": "first", "date": "first", "description": "append"},
        "company": {"slack_channel": "{{ event.channel.id }}", "email": "{{ event.sender.email }}"},
    }


def _book(folder: Path, kind: str, count: int) -> tuple[RuleBook, float]:
    """So many rules, and the milliseconds that loading them took."""
    config = {
        "planhat": {"types": ["Slack thread"]},
        "sources": {"slack": {"adapter": "slack", "secrets": ["x"]}},
        "companies": [{"default": "extid-a"}],
        "rules": [_rule(kind, number) for number in range(count)],
    }
    path = folder / "relay.yaml"
    path.write_text(yaml.safe_dump(config, sort_keys=False), encoding="utf-8")
    began = time.process_time()
    _, book = load(str(path), {"RELAY_ALLOW_WEAK_SECRETS": "true"})
    return book, (time.process_time() - began) * 1000


def _map_us(book: RuleBook, number: int, events: int) -> float:
    """CPU microseconds to map one event of channel C<number>."""
    given = {
        "text": "hello " * 30,
        "channel": {"id": f"C{number}"},
        "sender": {"email": "ann@example.com"},
    }
    event = example_event(given, source="slack", adapter="slack")
    for _ in range(100):
        book.map(event)
    began = time.process_time()
    for _ in range(events):
        book.map(event)
    return (time.process_time() - began) / events * 1e6


def _draw(cells: list[Cell], path: Path) -> None:
    spreads = [(float(cell.facts["rules"]), cell.spread()) for cell in cells]
    names = [name for name in spreads[0][1] if name.endswith(", us") and "none" not in name]
    lines = {
        name.removesuffix(", us"): [
            (rules, of[name]["median"], of[name]["min"], of[name]["max"]) for rules, of in spreads
        ]
        for name in names
    }
    draw(path, "CPU to match and render one event", "rules of the source", "microseconds an event", lines)


if __name__ == "__main__":
    main(PART, (__doc__ or "").split("\n\n")[0], run, options)
