"""What gives way does so alone: the process's own priority stays."""

from __future__ import annotations

import os
import sys
import threading

import pytest

from relay.errors import OutboxUnavailable
from workers.process.low_priority import run_at_low_priority


def priority() -> tuple[int, int]:
    """This thread, and how far behind others the system runs it."""
    thread = threading.get_native_id()
    return thread, os.getpriority(os.PRIO_PROCESS, thread)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="a thread's own priority is Linux's")
def test_it_runs_behind_the_others_and_they_do_not() -> None:
    own, before = priority()
    first, behind = run_at_low_priority(priority)
    second, _ = run_at_low_priority(priority)

    assert first == second != own, "one thread, which does nothing else"
    assert behind == min(19, before + 10)
    assert priority() == (own, before)


def test_what_it_raises_is_heard() -> None:
    def work() -> None:
        raise OutboxUnavailable("gone")

    with pytest.raises(OutboxUnavailable, match="gone"):
        run_at_low_priority(work)
