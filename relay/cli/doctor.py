"""`relay doctor`: the live set-up, one line a check, and what to do about each failure."""

from __future__ import annotations

import json
import sys
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

import click

from relay.cli.place import Place, place_options
from relay.errors import OutboxUnavailable, RelayError

#: A clock that is off by more makes good signatures look stale.
_MAX_SKEW_S = 30


@click.command()
@place_options
@click.option("--json", "as_json", is_flag=True, help="The checks as JSON.")
def doctor(place: Place, as_json: bool) -> None:
    """Check the live set-up: config, Redis and its persistence, workers, Planhat's address, token, region, permissions,
    conversation types and custom fields, clocks. Exit code 1 if any check fails.

    \b
    Example:
        relay doctor
    """
    from relay.cli.context import open_context

    context = open_context(place)
    checks = list(_checks(context))
    if as_json:
        click.echo(json.dumps({"ok": all(c["ok"] for c in checks), "checks": checks}, indent=2))
    else:
        for check in checks:
            mark = "ok  " if check["ok"] else "FAIL"
            click.echo(f"{mark} {check['check']}: {check['found']}")
            if not check["ok"] and check["do"]:
                click.echo(f"       {check['do']}")
    sys.exit(0 if all(c["ok"] for c in checks) else 1)


def _line(check: str, ok: bool, found: str, do: str = "") -> dict[str, Any]:
    return {"check": check, "ok": ok, "found": found, "do": do}


def _checks(context: Any) -> Iterator[dict[str, Any]]:
    config = None
    try:
        config = context.house.config
        yield _line(
            "config",
            True,
            f"{context.settings.config}, {len(config.sources)} sources, {len(config.rules)} rules",
        )
    except RelayError as error:
        yield _line("config", False, str(error).split("\n")[0], "run `relay check` for all mistakes")
    yield from _redis_checks(context)
    yield from _source_checks(context, config)
    yield from _planhat_checks(context, config)


def _redis_checks(context: Any) -> Iterator[dict[str, Any]]:
    from relay.outbox.durability import CLUSTER, examine_durability, try_write
    from relay.outbox.processes import delivering, read_processes
    from relay.outbox.room import nearly_full

    try:
        found = examine_durability(context.redis)
    except OutboxUnavailable as error:
        yield _line("redis", False, str(error), "is RELAY_REDIS_URL right, and the server up?")
        return
    fsync = found.fsync or f"not told: {found.not_told}"
    yield _line("redis", True, f"version {found.version}, appendfsync {fsync}")
    if found.cluster:
        sentence, _, do = CLUSTER.partition("; ")
        yield _line("redis", False, sentence, do)
    for problem in found.problems:
        sentence, _, do = problem.partition("; ")
        yield _line("redis durability", False, sentence, do)
    refusal = try_write(context.redis, found, prefix=context.outbox.prefix)
    if not found.problems:
        vouches = {
            "always": "each write is on disk before Redis answers (appendfsync always); nothing is evicted",
            "waitaof": "each write is confirmed to be on disk with WAITAOF; nothing is evicted",
            "watched": (
                "each write is waited for until it is on disk, a second and more, since WAITAOF of this server answers too "
                "early; nothing is evicted. With appendfsync always it takes a millisecond"
            ),
        }
        if not refusal:
            yield _line("redis durability", True, vouches[found.confirmed_by])
    yield _line(
        "redis writes", not refusal, refusal or "taken", "free memory or mend the disk" if refusal else ""
    )
    full, _, do = nearly_full(found).partition("; ")
    used = f"{found.used_bytes / 1e6:.0f} MB" + (
        f" of {found.max_bytes / 1e6:.0f}" if found.max_bytes else ""
    )
    yield _line("redis memory", not full, full or f"{used} used", do)
    skew_s = abs(time.time() - context.outbox.now_ms() / 1000)
    yield _line(
        "clock against redis", skew_s < _MAX_SKEW_S, f"{skew_s:.1f} s apart", "run NTP on both machines"
    )
    now_ms = context.outbox.now_ms()
    processes = read_processes(context.outbox, now_ms=now_ms)
    found_flush = delivering(context.outbox, processes, now_ms=now_ms)
    yield _line(
        "worker",
        found_flush.alive,
        found_flush.sentence(now_ms) or "a flush worker asks for work",
        "look at its log" if found_flush.dying else "start one with `relay work`",
    )
    running = Counter((process.release, process.role) for process in processes if process.alive(now_ms))
    releases = sorted({release for release, _ in running})
    told = "; ".join(
        f"{release}: "
        + ", ".join(f"{n} {role}" for (of, role), n in sorted(running.items()) if of == release)
        for release in releases
    )
    yield _line("releases running", True, told or "none has told yet")
    state = context.delivery.read()
    yield _line(
        "delivery",
        state.state in ("open", "backing_off"),
        f"{state.state} {state.reason}".strip(),
        "`relay resume`" if state.state == "paused" else "see Planhat's checks below",
    )


def _source_checks(context: Any, config: Any) -> Iterator[dict[str, Any]]:
    """What came in without its words, or without saying whether it is public."""
    from relay.operations.stats import REMARKED_MS, remarks_in_words

    try:
        now_ms = context.outbox.now_ms()
        remarks = context.outbox.remarks(since_ms=now_ms - REMARKED_MS)
    except OutboxUnavailable:
        return
    known = {name: counts for name, counts in remarks.items() if config is None or name in config.sources}
    problems = [
        problem
        for name, counts in known.items()
        for problem in remarks_in_words({name: counts}, chosen=config is not None and _chosen(config, name))
    ]
    for problem in problems:
        found, _, do = problem.partition("; ")
        yield _line("words", False, found, do)
    if not problems:
        yield _line("words", True, "what came in had its words, or says why not")


def _chosen(config: Any, name: str) -> bool:
    return bool(config.sources[name].options.privacy)


def _planhat_checks(context: Any, config: Any) -> Iterator[dict[str, Any]]:
    from relay.cli.tenant import tenant_checks

    for check in tenant_checks(context.settings, config, context.rulebook if config else None):
        yield _line(check.name, check.ok, check.found, check.do)
