"""What the rules cost per event: 50 rules for one source, the match first, in the middle, last, and none at all.

Run: python -m bench.rules
"""

from __future__ import annotations

import tempfile
import timeit
from pathlib import Path
from typing import Any

import yaml

from relay.rules.examples import example_event
from relay.rules.load import load

RULES = 50
ROUNDS = 5_000


def rule(number: int) -> dict[str, Any]:
    return {
        "name": f"channel-{number}",
        "source": "slack",
        "when": f'event.channel.id == "C{number}" and event.kind in ["message.created", "message.updated"] and not event.sender.bot',
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


def main() -> None:
    config = {
        "planhat": {"types": ["Slack thread"]},
        "sources": {"slack": {"adapter": "slack", "secrets": ["x"]}},
        "companies": [{"default": "extid-a"}],
        "rules": [rule(number) for number in range(RULES)],
    }
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "relay.yaml"
        path.write_text(yaml.safe_dump(config, sort_keys=False), encoding="utf-8")
        began = timeit.default_timer()
        _, book = load(str(path), {})
        print(f"load {RULES} rules: {(timeit.default_timer() - began) * 1000:.0f} ms")
        began = timeit.default_timer()
        load(str(path), {})
        print(f"load them again:  {(timeit.default_timer() - began) * 1000:.0f} ms")
    for words, number in (("first", 0), ("middle", RULES // 2), ("last", RULES - 1), ("none", RULES)):
        given = {
            "text": "hello " * 30,
            "channel": {"id": f"C{number}"},
            "sender": {"email": "ann@example.com"},
        }
        event = example_event(given, source="slack", adapter="slack")
        best_s = min(timeit.repeat(lambda event=event: book.map(event), number=ROUNDS, repeat=3)) / ROUNDS  # type: ignore[misc]
        print(f"match {words:7} {best_s * 1e6:6.1f} us an event")


if __name__ == "__main__":
    main()
