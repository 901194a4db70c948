"""`relay erase`: one person, or one conversation, out of everything stored."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Collection
from typing import Any

import click

from relay.cli.context import CliContext
from relay.cli.place import Place, lane_options
from relay.errors import OutboxUnavailable, PlanhatError, RelayError, UserError


@click.command()
@click.option("--email", help="A person's address.")
@click.option("--conversation", help="A conversation's externalId.")
@click.option(
    "--planhat", is_flag=True, help="Delete in Planhat too what this or an earlier erasure left there."
)
@click.option("--dry-run", is_flag=True, help="Only say what would go.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--json", "as_json", is_flag=True, help="The report as JSON.")
@lane_options
def erase(
    email: str | None,
    conversation: str | None,
    planhat: bool,
    dry_run: bool,
    yes: bool,
    as_json: bool,
    place: Place,
) -> None:
    """Erase one person or one conversation: every raw event of each conversation that they stand in, waiting patches,
    documents, dead letters with their RQ jobs, look-ups, notes, mentions in the audit, and the spool with what was set aside.
    It stays so: no replay brings it back. Redis's append-only file is rewritten afterwards. What Planhat has is named, and
    deleted there with --planhat, now or in a later run.

    \b
    Examples:
        relay erase --email ann@example.com --dry-run
        relay erase --email ann@example.com --yes
        relay erase --conversation slack-C024BE91L-1712345678.000100 --planhat --yes
    """
    from relay.cli.context import open_context

    needle = _needle(email or "", conversation or "")
    context = open_context(place)
    erasure = _erasure(context, needle)
    if dry_run:
        _print(_would_go(context, needle, erasure), as_json)
        return
    if not yes:
        if not sys.stdin.isatty():
            raise UserError("erasing cannot be taken back: say --yes, or look first with --dry-run")
        _print(_would_go(context, needle, erasure), as_json=False)
        click.confirm("Erase for good?", abort=True)
    context.audit("erase", kind=erasure.kind, name=erasure.mark, planhat=planhat)
    report: dict[str, Any] = erasure.erase()
    report |= _erase_spool(context, needle, report["conversations"])
    if planhat:
        report["planhat"] = _erase_planhat(context, erasure, report["in_flight"])
    report["still_in_planhat"] = [one.key for one in erasure.standing()]
    kept = _rewrite(context)
    report["rewritten"] = not kept
    _print(report, as_json)
    if kept:
        click.echo(
            f"the append-only file of Redis holds it until it is rewritten ({kept}): run BGREWRITEAOF there, or let this user "
            "run it (+bgrewriteaof)",
            err=True,
        )
    if not as_json:
        _tell_what_stays(report, f"--email {email}" if email else f"--conversation {conversation}")
    sys.exit(1 if planhat and report["still_in_planhat"] else 0)


def _needle(email: str, conversation: str) -> Any:
    from relay.operations.person import Needle

    if bool(email) == bool(conversation):
        raise UserError("name --email or --conversation, one of them")
    if email and ("@" not in email.strip("@") or any(char.isspace() for char in email.strip())):
        raise UserError("--email wants a whole address")
    return Needle(email=email, conversation=conversation)


def _tell_what_stays(report: dict[str, Any], which: str) -> None:
    if set(report["still_in_planhat"]) - {f"extid-{name}" for name in report["in_flight"]}:
        click.echo(
            f"Planhat still has what is named above: relay erase {which} --planhat deletes it there", err=True
        )
    if report["in_flight"]:
        click.echo(
            f"a call with it was under way and may still reach Planhat: run relay erase {which} --planhat in a minute",
            err=True,
        )


def _erasure(context: CliContext, needle: Any) -> Any:
    from relay.operations.erase import Erasure
    from relay.operations.remap import Remapper
    from relay.operations.tombstones import erased_of

    # Says in one sentence where nothing runs, before anything else is found wanting.
    erased = erased_of(context)
    try:
        remapper = Remapper(context, 0)
    except RelayError as error:
        first = str(error).splitlines()[0]
        click.echo(f"the config does not hold ({first}): raw requests are searched, not parsed", err=True)
        remapper = None
    watched = sys.stderr.isatty()

    def progress(seen: int) -> None:
        if watched:
            click.echo(f"\r{seen} events looked through ", nl=False, err=True)

    return Erasure(context, needle, erased, remapper=remapper, progress=progress)


def _would_go(context: CliContext, needle: Any, erasure: Any) -> dict[str, Any]:
    found = erasure.search()
    return {
        "events": len(found.events),
        "waiting": sum(map(len, found.waiting.values())),
        "documents": len(found.documents),
        "dead_letters": len(found.dead),
        **_erase_spool(context, needle, found.conversations, dry_run=True),
        "conversations": sorted(found.conversations),
        "still_in_planhat": sorted({one.key for one in (*erasure.standing(), *erasure.stands(found))}),
        "dry_run": True,
    }


def _erase_spool(
    context: CliContext, needle: Any, conversations: Any, *, dry_run: bool = False
) -> dict[str, int]:
    from relay.operations.erase_spool import RowTest, erase_spool

    try:
        spool = context.config.spool
    except RelayError:
        # Said already. Without its config nobody knows where a spool is.
        spool = None
    if spool is None:
        return {"spool": 0, "damaged_files": 0}
    holds = RowTest(context.house, needle, frozenset(conversations), find_threads=context.outbox.threads.find)
    return erase_spool(spool.dir, context.outbox.vault, holds, max_bytes=spool.max_bytes, dry_run=dry_run)


def _erase_planhat(context: CliContext, erasure: Any, in_flight: Collection[str]) -> int:
    """How many were deleted there. What Planhat does not answer to stays on the list, and so does what a call was under way with: it may
    come after the look, and after the deletion."""
    from relay.errors import PlanhatNotFound
    from relay.planhat.client import Planhat

    deleted = 0
    with Planhat(context.tenant.url, context.tenant.token) as client:
        for one in erasure.standing():
            try:
                found = client.get(one.key)
                client.delete(str(found["_id"]))
                deleted += 1
            except PlanhatNotFound:
                pass
            except PlanhatError as error:
                click.echo(f"{one.key}: {error}", err=True)
                continue
            if one.external_id not in in_flight:
                erasure.left_planhat(one)
    return deleted


def _rewrite(context: CliContext) -> str:
    """Has the append-only file rewritten, so that what was erased leaves the disk too, and waits for it; why not, or "". In a cluster
    those of the replicas, and of RQ's node."""
    from relay.outbox.cluster_nodes import servers_of
    from relay.outbox.scripts import reaching_redis

    for name, client in servers_of(context.redis):
        try:
            with reaching_redis():
                why = _rewrite_one(client)
        except OutboxUnavailable as error:
            why = str(error)
        if why:
            return f"{name}: {why}" if name else why
    return ""


def _rewrite_one(client: Any) -> str:
    client.bgrewriteaof()
    for _ in range(600):
        info = client.info("persistence")
        if not info.get("aof_rewrite_in_progress") and not info.get("aof_rewrite_scheduled"):
            return "" if info.get("aof_last_bgrewrite_status") == "ok" else "the rewrite failed"
        time.sleep(0.1)
    return "the rewrite takes longer than a minute"


def _print(report: dict[str, Any], as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(report, indent=2))
        return
    for word, number in report.items():
        click.echo(f"{word:16} {', '.join(number) if isinstance(number, list) else number}")
