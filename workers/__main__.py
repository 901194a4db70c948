"""`python -m workers [--burst]`: the arguments. What they start is in `workers/process/`."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from relay.errors import OutboxUnavailable, UserError
from relay.outbox.bell import QUEUES
from relay.outbox.connection import in_cluster
from relay.outbox.keys import set_rq_prefix
from relay.settings import Settings
from relay.telemetry import set_up_logging
from workers.process.stopping import WRONG_SETTINGS


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m workers",
        description="The RQ workers: one process a queue, supervised, with the sweep.",
    )
    parser.add_argument("--flush-workers", type=int, default=1, help="how many processes deliver")
    parser.add_argument("--burst", action="store_true", help="deliver what is due and exit")
    parser.add_argument("--queue", choices=QUEUES, help=argparse.SUPPRESS)
    parser.add_argument("--parent", type=int, default=0, help=argparse.SUPPRESS)
    chosen = parser.parse_args(arguments)
    try:
        settings = Settings.read(os.environ)
        set_up_logging(settings.log_format, settings.log_level)
        # Imported below: whatever imports RQ comes after this.
        set_rq_prefix(settings.key_prefix, clustered=in_cluster(settings.redis_url))
        if chosen.queue:
            from workers.process.worker import work_queue

            return work_queue(chosen.queue, chosen.parent)
        if chosen.burst:
            from workers.process.burst import burst

            return burst(settings.redis_url)
        from workers.process.supervisor import Supervisor

        return Supervisor(settings, flush_workers=chosen.flush_workers).run()
    except UserError as error:
        print(error, file=sys.stderr)
        return WRONG_SETTINGS
    except OutboxUnavailable as error:
        print(f"{error}. Is RELAY_REDIS_URL right, and the server up?", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
