"""Finding events among many: how long `relay events` takes by sender, by word and for the first page, what the index weighs in Redis
beside the events, and what making it costs.

Slack messages and mails of prose (from the manual that Python brings along), their senders as unevenly spread as people are, over
the last three days; each is stored as the door stores it and ends as filtered: no conversation is kept of it, so that the index is
measured against the least that events can weigh. Nothing is stored twice: one run fills the server, then asks.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import pydoc_data.topics
import random
import re
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import redis

from bench.figures import machine
from bench.servers import redis_server
from relay.door.house import furnish
from relay.door.intake import Intake
from relay.operations.context import WebContext
from relay.operations.search.build import Indexer
from relay.operations.search.list_events import list_events, terms_of
from relay.operations.search.words import distinct_words
from relay.outbox.delivery import Delivery
from relay.outbox.index.store import EventIndex
from relay.outbox.items import Entry
from relay.outbox.outbox import Outbox
from relay.outbox.vault import Vault
from relay.rules.file.load import load
from relay.settings import Settings
from relay.sources.base import Inbound

CONFIG = """
planhat: {types: [Slack thread, Support email]}
sources:
  slack: {adapter: slack, secrets: ["bench-secret"], type: Slack thread}
  mail: {adapter: postmark, basic_auth: ["bench:secret"], type: Support email}
companies: [{default: extid-acme}]
keep: {events: 96h}
"""
_SENDERS = 20_000
_SPAN_MS = 72 * 3_600_000
_GROUP = 64
_DAY = "24h"
_PROSE = re.sub(r"\s+", " ", " ".join(pydoc_data.topics.topics.values()))


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m bench.search", description=(__doc__ or "").split("\n\n")[0]
    )
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--questions", type=int, default=200, help="of each kind")
    parser.add_argument("--plain", action="store_true", help="nothing is encrypted; otherwise everything is")
    parser.add_argument(
        "--late", type=int, default=5_000, help="events that came since the index was made, before each kind"
    )
    parser.add_argument("--json", type=Path)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="rb-") as name:
        folder = Path(name)
        with redis_server(folder, appendfsync="no", rewrite=False) as store:
            found = _run(folder, redis.Redis.from_url(store.url), chosen)
    found = {"machine": machine(), "events": chosen.events, "encrypted": not chosen.plain, **found}
    for name, value in found.items():
        print(f"{name}: {value}")
    if chosen.json:
        chosen.json.write_text(json.dumps(found, indent=2))
    return 0


def _run(folder: Path, client: redis.Redis, chosen: argparse.Namespace) -> dict[str, Any]:
    context, intake = _context(
        folder, client, "" if chosen.plain else base64.urlsafe_b64encode(os.urandom(32)).decode()
    )
    outbox = context.outbox
    empty = _used(client)
    began_ms = outbox.now_ms() - _SPAN_MS
    step = _SPAN_MS / chosen.events
    _fill(outbox, intake, 0, chosen.events, lambda at: int(began_ms + at * step))
    events = _used(client) - empty
    indexer, cpu, began = Indexer(context, terms_of(context)), time.process_time(), time.perf_counter()
    redis_cpu = _cpu(client)
    while not indexer.run(3):
        pass
    figures: dict[str, Any] = {
        "bytes_an_event": events / chosen.events,
        "index_bytes_an_event": (_used(client) - empty - events) / chosen.events,
        "index_share_percent": 100 * (_used(client) - empty - events) / events,
        "index_cpu_us_an_event": (time.process_time() - cpu) / chosen.events * 1e6,
        "index_redis_us_an_event": (_cpu(client) - redis_cpu) / chosen.events * 1e6,
        "index_seconds": time.perf_counter() - began,
        "blocks": len(EventIndex(outbox).state().blocks),
        "tail_events": EventIndex(outbox).state().tail,
    }
    chance = random.Random(1)
    numbers = [chance.randrange(chosen.events) for _ in range(chosen.questions)]
    words = sorted(
        {
            word
            for n in range(0, chosen.events, max(1, chosen.events // 3_000))
            for word in distinct_words(_text(n))
        }
    )
    kinds: dict[str, list[dict[str, str]]] = {
        "first page": [{}] * chosen.questions,
        "first page, one source": [{"source": "mail"}] * chosen.questions,
        "by sender, last day": [{"from": _sender(n), "since": _DAY} for n in numbers],
        "by a rare sender, last day": [
            {"from": _address(chance.randrange(_SENDERS)), "since": _DAY} for _ in numbers
        ],
        "by a word as often as it is said, last day": [
            {"text": chance.choice(distinct_words(_text(n))), "since": _DAY} for n in numbers
        ],
        "by any word, last day": [{"text": chance.choice(words), "since": _DAY} for _ in numbers],
        "by three words, last day": [
            {"text": " ".join(chance.sample(distinct_words(_text(n)), 3)), "since": _DAY} for n in numbers
        ],
        "by any word, all time": [{"text": chance.choice(words)} for _ in numbers],
        "a word that nobody said, all time": [{"text": f"zz{n}zz"} for n in numbers],
    }
    for turn, (name, asked) in enumerate(kinds.items()):
        while not indexer.run(3):
            pass
        _fill_late(outbox, intake, chosen.events + turn * chosen.late, chosen.late)
        figures[name] = _asked(context, asked)
    return figures


def _fill_late(outbox: Outbox, intake: Intake, first: int, count: int) -> None:
    now_ms = outbox.now_ms()
    _fill(outbox, intake, first, count, lambda at: now_ms - 1000 + at * 1000 // count)


def _asked(context: WebContext, questions: Sequence[Mapping[str, str]]) -> dict[str, float]:
    """Milliseconds of a page of 50, as the API and the command line have it; `first_ms`: of the first one, for
    which alone what came since is new. `cut`: how many had not looked through all when their time was up; `hits` of a page on average."""
    took, cut, hits = list[float](), 0, 0
    for asked in questions:
        began = time.perf_counter()
        page = list_events(context, asked, limit=50)
        took.append((time.perf_counter() - began) * 1000)
        cut += page["searched_to"] is not None
        hits += len(page["events"])
    first_ms = took[0]
    took.sort()
    return {
        "first_ms": round(first_ms, 1),
        "p50_ms": round(took[len(took) // 2], 1),
        "p95_ms": round(took[int(len(took) * 0.95)], 1),
        "max_ms": round(took[-1], 1),
        "cut": cut,
        "hits": round(hits / len(took), 1),
    }


def fill_searched(folder: Path, client: redis.Redis, events: int) -> None:
    """Stores `events` of the last three days, and makes the index of them."""
    context, intake = _context(folder, client, "")
    began_ms, step = context.outbox.now_ms() - _SPAN_MS, _SPAN_MS / events
    _fill(context.outbox, intake, 0, events, lambda at: int(began_ms + at * step))
    indexer = Indexer(context, terms_of(context))
    while not indexer.run(3):
        pass


def question_words(events: int) -> list[str]:
    """Words of some of them, as often as they are said."""
    chance = random.Random(2)
    return [chance.choice(distinct_words(_text(chance.randrange(events)))) for _ in range(500)]


# -- what is stored ------------------------------------------------------------------------------------------------------


def _context(folder: Path, client: redis.Redis, key: str) -> tuple[WebContext, Intake]:
    file = folder / "relay.yaml"
    file.write_text(CONFIG)
    house = furnish(*load(str(file), {"RELAY_ALLOW_WEAK_SECRETS": "true"}))
    outbox = Outbox(client, vault=Vault(lambda: key))
    settings = Settings(encryption_keys=lambda: key)
    context = WebContext(outbox=outbox, delivery=Delivery(client), settings=settings, current=lambda: house)
    return context, Intake(house, records=None)  # type: ignore[arg-type]


def _fill(outbox: Outbox, intake: Intake, first: int, count: int, at_ms: Any) -> None:
    group: list[Entry] = []
    for at in range(count):
        group.append(_entry(intake, first + at, at_ms(at)))
        if len(group) == _GROUP or at == count - 1:
            outbox.record(group, now_ms=at_ms(at))
            group.clear()
        if at % 100_000 == 99_999:
            print(f"{at + 1:,} stored", flush=True)


def _entry(intake: Intake, n: int, at_ms: int) -> Entry:
    name = "slack" if n % 5 < 3 else "mail"
    inbound = _slack(n, at_ms) if name == "slack" else _mail(n)
    [entry], _ = intake.map(intake.house.sources[name], inbound, now_s=at_ms / 1000)
    return replace(entry, verdict="filtered", patch=b"", thread="", threading=None, kept_keys=())


def _slack(n: int, at_ms: int) -> Inbound:
    ts = f"{at_ms // 1000}.{n % 1_000_000:06d}"
    event = {
        "type": "message", "channel": f"C{n % 300:08d}", "user": _user(_who(n)), "text": _text(n), "ts": ts, "event_ts": ts,
        "channel_type": "channel",
    }  # fmt: skip
    body = {"type": "event_callback", "team_id": "T0", "event_id": f"Ev{n:010d}", "event": event}
    return Inbound(orjson.dumps(body), {"content-type": "application/json"}, "POST", "/hooks/slack", {})


def _mail(n: int) -> Inbound:
    address, text = _address(_who(n)), _text(n)
    body = {
        "From": address, "FromName": f"Person {_who(n)}", "FromFull": {"Email": address, "Name": f"Person {_who(n)}"},
        "ToFull": [{"Email": "support@relay.example"}], "Subject": text[:60], "MessageID": f"{n:032x}",
        "Date": "Thu, 26 Nov 2026 10:00:00 +0000", "TextBody": text,
        "Headers": [{"Name": "Message-ID", "Value": f"<{n}@customer.example>"}],
    }  # fmt: skip
    return Inbound(orjson.dumps(body), {"content-type": "application/json"}, "POST", "/hooks/mail", {})


def _who(n: int) -> int:
    """A few write much, most a little."""
    return int(_SENDERS * random.Random(n).random() ** 4)


def _sender(n: int) -> str:
    return _user(_who(n)) if n % 5 < 3 else _address(_who(n))


def _user(who: int) -> str:
    return f"U{who:08d}"


def _address(who: int) -> str:
    return f"person{who}@customer{who % 900}.example"


def _text(n: int) -> str:
    """200-1,200 characters, each its own piece of the prose."""
    chance = random.Random(-n - 1)
    start = chance.randrange(len(_PROSE) - 1_300)
    return _PROSE[start : start + 200 + chance.randrange(1_000)]


def _used(client: redis.Redis) -> int:
    about: Any = client.info("memory")
    return int(about["used_memory_dataset"])


def _cpu(client: redis.Redis) -> float:
    about: Any = client.info("cpu")
    return float(about["used_cpu_user"]) + float(about["used_cpu_sys"])


if __name__ == "__main__":
    raise SystemExit(main())
