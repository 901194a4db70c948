"""Stored events through today's and through new rules, on all cores: what `relay backtest` shows. Sends nothing.

The ids are dealt out to processes in turn; each lays its patches down in a file of its own, and the pages are added up
here. A process is started fresh (spawned), so it opens its own connection and shares nothing.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import islice
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from relay.config import Config
from relay.errors import MappingFailed
from relay.event import Event
from relay.lane_name import MAIN
from relay.operations.remap import Remapper, Stored, read_stored
from relay.outbox.connection import connect
from relay.outbox.outbox import Outbox
from relay.outbox.store import Retention
from relay.outbox.vault import Vault
from relay.rules.backtest import MAX_SAMPLES, ChangesPage, Pair, map_both, pack_rows, summarise, unpack_rows
from relay.rules.file.load import load
from relay.rules.rule import RuleBook
from relay.settings import Settings

#: Events read in one round trip, and dealt to a process at a time.
_PART = 500
#: Below this, starting processes costs more than they save.
ALONE_BELOW = 40_000


@dataclass(frozen=True, slots=True)
class Side:
    """One config with its rules, over the same outbox."""

    outbox: Outbox
    config: Config
    rulebook: RuleBook


@dataclass(frozen=True, slots=True)
class Order:
    """What a process needs to open everything for itself. Both files are read with `environ`; the events are those of `lane`."""

    redis_url: str
    old_file: str
    new_file: str
    environ: Mapping[str, str]
    lane: str = MAIN


def backtest(
    order: Order,
    *,
    since_ms: int,
    until_ms: int,
    source: str = "",
    jobs: int = 0,
    limit: int = MAX_SAMPLES,
    listed: Callable[[dict[str, Any]], None] | None = None,
    progress: Callable[[int], None] = lambda count: None,
) -> dict[str, Any]:
    """Return the diff of `relay.rules.backtest.summarise` (which says what `limit` and `listed` are), over the events that came in from
    `since_ms` to `until_ms`. `progress` hears how many more are done. Raises ConfigInvalid for either file, OutboxUnavailable."""
    old, new = _sides(order)
    now_ms = old.outbox.now_ms()
    since_ms = max(since_ms, now_ms - old.outbox.retention.events_s * 1000 - 60_000)
    ids = list(old.outbox.events.ids(since_ms=since_ms, until_ms=min(until_ms, now_ms), source=source))
    window = (since_ms, until_ms)
    jobs = jobs or os.cpu_count() or 1
    with TemporaryDirectory(prefix="relay-backtest-") as folder:
        if jobs == 1 or len(ids) < ALONE_BELOW:
            with (Path(folder) / "0").open("w+b") as file:
                page = map_both(
                    _counted(_pairs(old, new, ids, window), progress), old.rulebook, new.rulebook, file
                )
                return summarise([page], limit=limit, listed=listed)
        with _together(order, ids, window, jobs, folder, progress) as pages:
            return summarise(pages, limit=limit, listed=listed)


@contextmanager
def _together(
    order: Order,
    ids: Sequence[str],
    window: tuple[int, int],
    jobs: int,
    folder: str,
    progress: Callable[[int], None],
) -> Iterator[list[ChangesPage]]:
    shares = [ids[start : start + _PART * 10] for start in range(0, len(ids), _PART * 10)]
    pages: list[ChangesPage] = []
    try:
        with ProcessPoolExecutor(
            max_workers=min(jobs, len(shares)),
            mp_context=get_context("spawn"),
            initializer=_open,
            initargs=(order,),
        ) as pool:
            futures = {
                pool.submit(_share, list(share), window, f"{folder}/{number}"): len(share)
                for number, share in enumerate(shares)
            }
            for future in as_completed(futures):
                path, rows, page = future.result()
                pages.append(replace(page, file=Path(path).open("rb"), rows=unpack_rows(rows)))  # noqa: SIM115
                progress(futures[future])
        yield pages
    finally:
        for page in pages:
            page.file.close()


#: What a process opened for itself.
_held: list[tuple[Side, Side]] = []


def _open(order: Order) -> None:
    _held.append(_sides(order))


def _share(ids: Sequence[str], window: tuple[int, int], path: str) -> tuple[str, bytes, Any]:
    old, new = _held[0]
    with Path(path).open("w+b") as file:
        page = map_both(_pairs(old, new, ids, window), old.rulebook, new.rulebook, file)
    return path, pack_rows(page), replace(page, file=None, rows=[])  # type: ignore[arg-type]


def _sides(order: Order) -> tuple[Side, Side]:
    settings = Settings.read(order.environ)
    client = connect(order.redis_url, lane=order.lane)
    outbox = Outbox(client, lane=order.lane, base=settings.key_prefix, vault=Vault(settings.encryption_keys))
    old, new = (_side(outbox, file, order) for file in (order.old_file, order.new_file))
    outbox.retention = Retention.of(old.config.keep)
    return old, new


def _side(outbox: Outbox, file: str, order: Order) -> Side:
    config, book = load(file, order.environ)
    return Side(outbox, config.for_lane(order.lane), book)


def _pairs(old: Side, new: Side, ids: Sequence[str], window: tuple[int, int]) -> Iterator[Pair]:
    """Each stored event as both configs' adapters read it: once, where the source is configured alike."""
    before, after = Remapper(old, 0), Remapper(new, 0)
    alike = {
        name
        for name, found in old.config.sources.items()
        if name in new.config.sources
        and _as_written(found.options.raw) == _as_written(new.config.sources[name].options.raw)
    }
    rest = iter(ids)
    while part := list(islice(rest, _PART)):
        for stored in read_stored(old, part):
            if stored is None:
                yield None, None
                continue
            if not window[0] <= int(stored.facts.get("received_ms") or 0) <= window[1]:
                continue
            event = _read(before, stored)
            yield event, event if stored.source in alike else _read(after, stored)


def _as_written(raw: Mapping[str, Any]) -> dict[str, Any]:
    """What decides how a source is read; its type and limits do not."""
    return {
        key: value
        for key, value in raw.items()
        if key not in ("type", "rate_limit", "max_body_bytes", "enrich")
    }


def _read(remapper: Remapper, stored: Stored) -> Event | None:
    try:
        return remapper.event(stored)
    except MappingFailed:
        return None


def _counted(pairs: Iterator[Pair], progress: Callable[[int], None]) -> Iterator[Pair]:
    for pair in pairs:
        yield pair
        progress(1)
