"""`relay work`: starts the workers as the process they are (`python -m workers`); `relay` itself never imports them."""

from __future__ import annotations

import os
import sys
import time

import click

#: A heartbeat older than this means that the supervisor hangs.
ALIVE_FOR_S = 30


@click.command()
@click.option("--burst", is_flag=True, help="Deliver what is due and exit.")
@click.option("--alive", is_flag=True, help="Exit 0 if the heartbeat file is fresh: a liveness probe.")
@click.option("--config", "config_file", help="The YAML file; RELAY_CONFIG otherwise.")
def work(burst: bool, alive: bool, config_file: str | None) -> None:
    """The RQ workers alone: one supervised process a queue, and the sweep.

    \b
    Example:
        RELAY_REDIS_URL=redis://127.0.0.1:6379/0 relay work
    """
    if alive:
        path = os.environ.get("RELAY_HEARTBEAT_FILE", "")
        try:
            age_s = time.time() - os.stat(path).st_mtime
        except OSError:
            click.echo("no heartbeat file; is RELAY_HEARTBEAT_FILE set and a worker running?", err=True)
            sys.exit(1)
        sys.exit(0 if age_s < ALIVE_FOR_S else 1)
    if config_file:
        os.environ["RELAY_CONFIG"] = config_file
    arguments = [sys.executable, "-m", "workers", *(["--burst"] if burst else [])]
    # exec, so that SIGTERM reaches the supervisor itself and its exit code is ours.
    os.execv(sys.executable, arguments)  # noqa: S606
