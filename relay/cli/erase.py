"""`relay erase`: one person, or one conversation, out of everything stored."""

from __future__ import annotations

import json
import sys
import time
from typing import Any

import click

from relay.errors import RelayError, UserError


@click.command()
@click.option("--email", help="A person's address.")
@click.option("--conversation", help="A conversation's externalId.")
@click.option("--planhat", is_flag=True, help="Delete the conversations in Planhat too.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--data", default=".relay", show_default=True)
@click.option("--json", "as_json", is_flag=True)
def erase(
    email: str | None, conversation: str | None, planhat: bool, yes: bool, data: str, as_json: bool
) -> None:
    """Erase one person or one conversation: raw events, waiting patches, documents, dead letters, dedupe memory, cached
    look-ups and the spool, with a report of what went. Redis's append-only file is rewritten afterwards.

    \b
    Examples:
        relay erase --email ann@example.com
        relay erase --conversation slack-C024BE91L-1712345678.000100 --planhat --yes
    """
    from relay.cli.context import open_context
    from relay.operations.rq_jobs import forget_failed_jobs
    from relay.outbox.erase import Eraser

    if bool(email) == bool(conversation):
        raise UserError("name --email or --conversation, one of them")
    if email and "@" not in email:
        raise UserError("--email wants a whole address")
    if not yes:
        if not sys.stdin.isatty():
            raise UserError("erasing cannot be taken back: say --yes")
        click.confirm("Erase for good?", abort=True)
    context = open_context(data)
    eraser = Eraser(context.outbox, email=email or "", external_id=conversation or "")
    report: dict[str, Any] = dict(eraser.erase())
    forget_failed_jobs(context.redis, eraser.dead_ids)
    report["spool"] = _erase_spool(context, eraser)
    report["conversations"] = sorted(eraser.external_ids)
    if planhat:
        report["planhat"] = _erase_planhat(
            context, eraser.external_ids | ({conversation} if conversation else set())
        )
    report["rewritten"] = _rewrite(context)
    if as_json:
        click.echo(json.dumps(report, indent=2))
        return
    for word, number in report.items():
        click.echo(f"{word:16} {', '.join(number) if isinstance(number, list) else number}")


def _erase_spool(context: Any, eraser: Any) -> int:
    from relay.outbox.spool import Spool

    spool_config = context.config.spool
    if spool_config is None:
        return 0
    from relay.door.intake import Intake
    from relay.door.spooling import decode
    from relay.errors import RelayError

    intake = Intake(house=context.house, records=None)  # type: ignore[arg-type] # it only maps here

    def holds(row: bytes) -> bool:
        try:
            name, inbound, received_s = decode(row)
        except (ValueError, KeyError):
            return bool(eraser.holds(row))
        if eraser.holds(inbound.body):
            return True
        try:
            entries, _ = intake.map(intake.source(name), inbound, now_s=received_s)
        except RelayError:
            return False
        return bool(eraser.external_id) and any(e.external_id == eraser.external_id for e in entries)

    spool = Spool(spool_config.dir, max_bytes=spool_config.max_bytes, vault=context.outbox.vault, visit=True)
    try:
        return spool.erase(holds)
    finally:
        spool.close()


def _erase_planhat(context: Any, external_ids: set[str]) -> int:
    from relay.errors import PlanhatNotFound
    from relay.planhat.client import Planhat

    deleted = 0
    with Planhat(context.settings.planhat_url, context.settings.planhat_token) as client:
        for external_id in sorted(external_ids):
            try:
                found = client.get(f"extid-{external_id}")
                client.delete(str(found["_id"]))
                deleted += 1
            except PlanhatNotFound:
                continue
    return deleted


def _rewrite(context: Any) -> bool:
    """A rewrite of the append-only file, so that what was erased leaves the disk too; waits for it."""
    try:
        context.redis.bgrewriteaof()
        for _ in range(600):
            info = context.redis.info("persistence")
            if not info.get("aof_rewrite_in_progress") and not info.get("aof_rewrite_scheduled"):
                return bool(info.get("aof_last_bgrewrite_status") == "ok")
            time.sleep(0.1)
    except (RelayError, OSError, ValueError):
        return False
    return False
