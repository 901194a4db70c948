"""Which jobs a worker of ours runs: those of `workers/jobs.py`, by name, and nothing that a job brings along.

RQ imports and calls whatever a job names, its callbacks too, and posts to any URL that a job carries as a webhook. Whoever can
write to Redis could so run anything here. A job of another kind is failed with a sentence; nothing of it is imported.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from rq.job import Job

#: The functions of `workers/jobs.py`. Their names lie in Redis, in jobs that older releases have made.
ALLOWED: Final = frozenset(
    {
        "workers.jobs.flush",
        "workers.jobs.index",
        "workers.jobs.recognise",
        "workers.jobs.redrive",
        "workers.jobs.rethread",
        "workers.jobs.unpark",
    }
)


class ForeignJob(Exception):
    """Not one of ours; the message is for whoever looks at the failed job."""


class RelayJob(Job):
    """A job as our workers read it: its function is one of ours, callbacks and webhooks are not there."""

    @property
    def func(self) -> Callable[..., Any]:
        """Raises ForeignJob."""
        name = self.func_name
        if name not in ALLOWED or self.instance is not None:
            raise ForeignJob(
                f"this worker runs {', '.join(sorted(ALLOWED))} and nothing else; {str(name)[:100]!r} was not imported"
            )
        function: Callable[..., Any] = super().func
        return function

    @property
    def success_callback(self) -> None:
        return None

    @property
    def failure_callback(self) -> None:
        return None

    @property
    def stopped_callback(self) -> None:
        return None

    def send_webhooks(self, status: Any, *, exc_string: str | None = None) -> None:
        return
