"""What the drain does next: a pure function of what is known. `job.py` finds out and carries out.

One round goes ASK, FILL, CALL; every other step is a reason to leave that path. `docs/design/drain.md` has the table.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Step(Enum):
    """What is done, in the order in which a round meets it."""

    #: Stop, or the lane is lost, or delivery is held, or nothing is due: what is at hand goes back, the lane is let go.
    GIVE_BACK = "give back"
    #: The slice is over: the same, but a successor takes the lane.
    HAND_OVER = "hand over"
    #: Ask for a place in the minute; the answer tells the state of delivery too.
    ASK = "ask"
    #: The minute is spent: settle, wait a little, begin a new round.
    WAIT = "wait"
    #: Calls are scarce: settle, wait for more that the next call can carry.
    LINGER = "linger"
    #: Claim, fold and address until there is a batch, or no more is due.
    FILL = "fill"
    #: A look-up found that delivery as a whole must wait: say so, then GIVE_BACK.
    HOLD = "hold"
    #: Make the call.
    CALL = "call"
    #: An item that was at hand when a worker died, twice: it alone is made ready.
    SUSPECT = "suspect"
    #: Nothing is ready, and verdicts are left: what is settled may be due again.
    SETTLE = "settle"
    #: All that was claimed needed no call: begin a new round.
    AGAIN = "again"


class Permission(Enum):
    """What ASK found out."""

    HELD = "held"
    SPENT = "spent"
    LINGER = "linger"
    GRANTED = "granted"


@dataclass(slots=True)
class Situation:
    """What is known in a round.

    `late`: the slice was over when the round began. `final_call_made`: the call that a late slice may still make is made.
    `let_go`: a claim found nothing due, so that the lane is nobody's. `ready`: outgoing items at hand. `suspects`: items to be sent alone, not yet made ready. `permission` None: not asked.
    `filled`: FILL was done. `found`: this round claimed something. `unsettled`: verdicts are left.
    """

    stopping: bool = False
    lane_lost: bool = False
    late: bool = False
    final_call_made: bool = False
    let_go: bool = False
    ready: int = 0
    suspects: int = 0
    permission: Permission | None = None
    filled: bool = False
    look_up_held: bool = False
    found: bool = False
    unsettled: bool = False


def next_step(now: Situation) -> Step:
    """Decides what the drain does next. Total: every situation has one step."""
    if now.stopping or now.lane_lost:
        return Step.GIVE_BACK
    if now.let_go and not (now.ready or now.suspects or now.unsettled):
        return Step.GIVE_BACK
    if now.permission is None:
        # What is ready when the slice ends goes with one more call; what that has no room for goes back.
        over = now.late and not now.suspects and (now.final_call_made or not now.ready)
        return Step.HAND_OVER if over else Step.ASK
    if now.permission is Permission.HELD:
        return Step.GIVE_BACK
    if now.permission is Permission.SPENT:
        return Step.WAIT
    if now.permission is Permission.LINGER:
        return Step.LINGER
    if not now.filled and (not now.late or (now.ready and not now.final_call_made)):
        return Step.FILL
    if now.look_up_held:
        return Step.HOLD
    if now.ready:
        return Step.CALL
    if now.suspects:
        return Step.SUSPECT
    if now.found:
        return Step.AGAIN
    return Step.SETTLE if now.unsettled else Step.GIVE_BACK
