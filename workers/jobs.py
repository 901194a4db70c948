"""What RQ calls. No job carries an event: `flush` is "deliver what is due", `redrive` "put this dead letter back to
work", `unpark` "see whether the letters that wait for a company may go", `rethread` "move mails to their conversation", `index` "make
events findable by their words"."""

from __future__ import annotations

from workers.process.context import worker_context


def flush(lane: str, generation: int) -> int:
    """Conversations claimed. A generation that is no longer the lane's does nothing."""
    return worker_context().flush.run(generation)


def redrive(dead_id: str) -> int:
    """Events put back to work. A requeue in any RQ dashboard is a replay with today's rules. Raises MappingFailed:
    the job fails again, the letter stays."""
    from relay.operations.dead.replay import redrive_one

    return redrive_one(worker_context(), dead_id)


def recognise(lane: str) -> int:
    """Conversations found in Planhat's list, after Redis was set back."""
    return worker_context().recognise()


def unpark(lane: str) -> int:
    """Events that go back to work, because a table or Planhat knows their company by now."""
    return worker_context().unpark()


def rethread(lane: str) -> int:
    """Mails looked at whose conversation turned out to be part of another."""
    return worker_context().rethread()


def index(lane: str) -> int:
    """Events taken into the index."""
    return worker_context().index()
