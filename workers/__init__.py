"""Delivery: the RQ workers that claim what waits in the outbox, fold it and send it to Planhat."""

import sys

# httpx imports a command line of its own (click, rich, pygments: 5 MB of each process, 70 ms of its start) wherever those are
# installed. No worker has a use for it, and None is how Python is told that a module is not to be had.
sys.modules.setdefault("httpx._main", None)  # type: ignore[arg-type]
