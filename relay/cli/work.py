"""`relay work`: starts the workers as the process they are (`python -m workers`); `relay` itself never imports them."""

from __future__ import annotations

import os
import sys
import time

import click

from relay.cli.place import Place, env_file_option

#: A heartbeat older than this means that the supervisor hangs.
ALIVE_FOR_S = 30


def _dead(path: str) -> str:
    """ "" while the supervisor gives signs of life and its flush worker asks for work; both leave theirs in files, since a
    probe must not fail where Redis does."""
    try:
        age_s = time.time() - os.stat(path).st_mtime
    except OSError:
        return "no heartbeat file; is RELAY_HEARTBEAT_FILE set and a worker running?"
    if age_s >= ALIVE_FOR_S:
        return f"the supervisor has given no sign of life for {age_s:.0f} s, or a worker dies again and again"
    try:
        overdue_s = time.time() - os.stat(f"{path}.flush").st_mtime
    except OSError:
        # An older release's workers, or one that is starting.
        return ""
    return f"the flush worker should have asked for work {overdue_s:.0f} s ago" if overdue_s > 0 else ""


@click.command()
@click.option("--burst", is_flag=True, help="Deliver what is due and exit.")
@click.option(
    "--alive", is_flag=True, help="Exit 0 if supervisor and flush worker are alive: a liveness probe."
)
@click.option(
    "--flush-workers",
    type=click.IntRange(1, 64),
    default=1,
    show_default=True,
    help="How many processes deliver; each works on up to 16 lanes at once.",
)
@click.option("--config", "config_file", help="The YAML file; RELAY_CONFIG otherwise.")
@env_file_option
def work(burst: bool, alive: bool, flush_workers: int, config_file: str | None, env_file: str | None) -> None:
    """Run the RQ workers alone: one supervised process a queue, and the sweep.

    \b
    Example:
        RELAY_REDIS_URL=redis://127.0.0.1:6379/0 relay work
    """
    if alive:
        problem = _dead(os.environ.get("RELAY_HEARTBEAT_FILE", ""))
        if problem:
            click.echo(problem, err=True)
        sys.exit(1 if problem else 0)
    Place(config=config_file or "", env_file=env_file or "").enter()
    if config_file:
        os.environ["RELAY_CONFIG"] = config_file
    arguments = [sys.executable, "-m", "workers", *(["--burst"] if burst else [])]
    if flush_workers > 1:
        arguments += ["--flush-workers", str(flush_workers)]
    # exec, so that SIGTERM reaches the supervisor itself and its exit code is ours.
    os.execv(sys.executable, arguments)  # noqa: S606
