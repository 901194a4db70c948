"""`relay doctor`: the live set-up, one line a check, and what to do about each failure."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import click

from relay.cli.doctor_redis import Check, delivery_check, history_check, line, redis_checks, what_to_do
from relay.cli.output import bad, echo_json, good, shown
from relay.cli.place import Place, lane_options
from relay.errors import OutboxUnavailable, RelayError

#: Planhats that are asked beside each other.
_TENANTS_AT_ONCE: Final = 8


@click.command()
@lane_options
@click.option("--json", "as_json", is_flag=True, help="The checks as JSON.")
def doctor(place: Place, as_json: bool) -> None:
    """Check the live set-up: config, Redis and its persistence, the running web side and workers, what is held, dropped or
    dead, Planhat's address, token, region, permissions, conversation types and custom fields, clocks. Exit code 1 if any
    check fails.

    \b
    Example:
        relay doctor
    """
    from relay.cli.context import open_context

    context = open_context(place)
    checks = list(_whole(context))
    well = all(check["ok"] for check in checks)
    if as_json:
        echo_json({"ok": well, "checks": checks})
    else:
        for check in checks:
            mark = good("ok  ") if check["ok"] else bad("FAIL")
            click.echo(f"{mark} {check['check']}: {shown(check['found'])}")
            if not check["ok"] and check["do"]:
                click.echo(f"       {shown(check['do'])}")
    sys.exit(0 if well else 1)


def _whole(context: Any) -> Iterator[Check]:
    """All checks, as far as Redis lets itself be asked."""
    try:
        yield from _checks(context)
    except OutboxUnavailable as error:
        yield line("redis", False, str(error), what_to_do(str(error)))


def _checks(context: Any) -> Iterator[Check]:
    config = None
    try:
        config = context.house.config
        counts = f"{len(config.sources)} sources, {len(config.rules)} rules, version {config.version}"
        yield line("config", True, f"{context.settings.config}, {counts}")
    except RelayError as error:
        yield line("config", False, str(error).split("\n")[0], "run `relay check` for all mistakes")
    reached = True
    for check in redis_checks(context, config):
        reached = reached and (check["check"] != "redis" or check["ok"])
        yield check
    yield from _web_checks(context, reached=reached)
    if reached and config:
        yield from _left_checks(context, config)
    yield from _checks_of_lanes(context, config, reached=reached)


def _checks_of_lanes(context: Any, config: Any, *, reached: bool) -> Iterator[Check]:
    """Of all lanes that are meant: Redis is asked for them together, their Planhats beside each other."""
    lanes = context.each_lane()
    with ThreadPoolExecutor(_TENANTS_AT_ONCE) as threads:
        tenants = [threads.submit(_planhat_checks, lane, config) for lane in lanes]
        of_redis = _redis_of_lanes(context, lanes) if reached else [[] for _ in lanes]
        for lane, found, tenant in zip(lanes, of_redis, tenants, strict=True):
            for check in [*found, *tenant.result()]:
                yield (
                    {**check, "lane": lane.lane, "check": f"{lane.lane}: {check['check']}"}
                    if len(lanes) > 1
                    else check
                )


def _redis_of_lanes(context: Any, lanes: Sequence[Any]) -> list[list[Check]]:
    from relay.cli.context import asked_lanes
    from relay.operations.lane_facts import InstallationReader, read_facts_together
    from relay.outbox.lane_servers import LaneServers

    servers = LaneServers()
    asked = asked_lanes(lanes)
    facts = read_facts_together(servers, asked)
    try:
        installation = InstallationReader(servers).read(context.home, asked[0].config)
    except OutboxUnavailable as error:
        return [[line("problems", False, str(error), "")] for _ in lanes]
    return [
        [line("redis", False, str(own), what_to_do(str(own)))]
        if isinstance(own, OutboxUnavailable)
        else [
            history_check(own),
            delivery_check(own),
            *_problem_checks(lane, own, installation),
            *_source_checks(own, lane.config),
        ]
        for lane, own in zip(asked, facts, strict=True)
    ]


def _web_checks(context: Any, *, reached: bool) -> Iterator[Check]:
    """The running web side itself, where its address is known here, and its signs of life."""
    from relay.cli.context import NothingRuns
    from relay.outbox.processes import read_processes

    try:
        url = context.relay_url
    except NothingRuns:
        url = ""
    if url:
        yield _ready(url)
    if reached:
        now_ms = context.home.now_ms()
        processes = read_processes(context.home, now_ms=now_ms)
        web = [process for process in processes if process.role == "web" and process.alive(now_ms)]
        found = ", ".join(process.who for process in web) or "no web side has given a sign of life"
        yield line("web", bool(web), found, "start one with `relay serve`")


def _ready(url: str) -> Check:
    """What the web side says of itself: its own Redis, spool and secrets, not this shell's."""
    import httpx

    try:
        answer = httpx.get(f"{url}/readyz", timeout=5, trust_env=False)
        said = answer.json()
        problems = [str(problem) for problem in said["problems"]]
    except (httpx.HTTPError, ValueError, KeyError, TypeError) as error:
        return line(
            "relay", False, f"{url}/readyz: {type(error).__name__}", "is it up, and is this its address?"
        )
    if problems:
        return line("relay", False, f"{url} says: {'; '.join(problems)}", "see its log")
    return line("relay", bool(said.get("ready")), f"{url} is ready to accept events")


def _left_checks(context: Any, config: Any) -> Iterator[Check]:
    """Lanes that the config no longer names."""
    from relay.operations.left_lanes import left_lanes

    left = left_lanes(context.home, config.lane_names)
    for one in left:
        yield line("lanes", False, one.found, one.do)
    if not left:
        yield line("lanes", True, "none that the config does not name holds anything")


def _problem_checks(lane: Any, facts: Any, installation: Any) -> Iterator[Check]:
    """What is held, dropped or dead, and what the running processes refused."""
    from relay.operations.problems import in_order, problems_of_all, problems_of_lane

    names = {
        "lane": "lane",
        "dead": "dead letters",
        "held": "held",
        "drop": "drops",
        "config": "running config",
        "token": "token",
        "releases": "releases",
    }
    well = {
        "dead": "none that is not muted",
        "held": "nothing is held by a person",
        "drop": "nothing is being dropped",
        "config": "all processes go by the same config",
    }
    problems = in_order(
        [
            *problems_of_lane(lane, facts, installation),
            *problems_of_all(installation, lane.config, facts.books.stored),
        ]
    )
    for problem in problems:
        # Planhat's own check below tells of the token as well; of left lanes is told once.
        if problem.kind not in ("token", "lanes"):
            yield line(names[problem.kind], False, problem.found, problem.do)
    for kind, found in well.items():
        if all(problem.kind != kind for problem in problems):
            yield line(names[kind], True, found)


def _source_checks(facts: Any, config: Any) -> Iterator[Check]:
    """What came in without its words, or without saying whether it is public."""
    from relay.operations.remarks import REMARKED_MS, remarks_in_words

    remarks = facts.books.remarks(facts.now_ms - REMARKED_MS)
    known = {name: counts for name, counts in remarks.items() if config is None or name in config.sources}
    problems = [
        problem
        for name, counts in known.items()
        for problem in remarks_in_words({name: counts}, chosen=config is not None and _chosen(config, name))
    ]
    for problem in problems:
        found, _, do = problem.partition("; ")
        yield line("words", False, found, do)
    if not problems:
        yield line("words", True, "what came in had its words, or says why not")


def _chosen(config: Any, name: str) -> bool:
    return bool(config.sources[name].options.privacy)


def _planhat_checks(context: Any, config: Any) -> list[Check]:
    """`context` is one lane's."""
    from relay.cli.tenant import tenant_checks

    try:
        tenant = context.tenant
        own = config.for_lane(context.lane) if config else None
        lines = list(tenant_checks(tenant, own, context.rulebook if config else None))
    except RelayError:
        # Said already: the config does not hold.
        return []
    return [line(check.name, check.ok, check.found, check.do) for check in lines]
