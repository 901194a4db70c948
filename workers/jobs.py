"""What RQ calls. No job carries an event: `flush` is "deliver what is due", `redrive` "put this dead letter back to
work", `unpark` "see whether the letters that wait for a company may go", `rethread` "move mails to their conversation", `index` "make
events findable by their words". Each names its lane; Planhat is called in the lane's own thread where there are several."""

from __future__ import annotations

from relay.lane_name import MAIN
from workers.process.context import worker_context


def flush(lane: str, generation: int) -> int:
    """Flush a lane; how many conversations were claimed. A lane that somebody is at work in is left alone."""
    return worker_context().work(lane, "flush", lambda held: held.flush.run(generation))


def redrive(lane: str, dead_id: str = "") -> int:
    """Put a dead letter back to work; how many events. A requeue in any RQ dashboard is a replay with today's rules. Raises MappingFailed:
    the job fails again, the letter stays. A job of a release that knew one lane has the letter's id alone."""
    from relay.operations.dead.replay import redrive_one

    lane, dead_id = (lane, dead_id) if dead_id else (MAIN, lane)
    return redrive_one(worker_context().lane(lane), dead_id)


def recognise(lane: str) -> int:
    """Recognise conversations in Planhat's list, after Redis was set back; how many."""
    return worker_context().work(lane, "recognise", lambda held: held.beside.recognise())


def unpark(lane: str) -> int:
    """Put events back to work whose company a table or Planhat knows by now; how many."""
    return worker_context().work(lane, "unpark", lambda held: held.beside.unpark())


def rethread(lane: str) -> int:
    """Look at mails whose conversation turned out to be part of another; how many."""
    return worker_context().lane(lane).beside.rethread()


def index(lane: str) -> int:
    """Take events into the index; how many."""
    return worker_context().lane(lane).beside.index()
