"""Finding out whose lane it is, by asking Planhat where the lane itself does not tell."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, Final

from relay.errors import OutboxUnavailable, PlanhatError, PlanhatForbidden, PlanhatNotFound
from relay.outbox.delivery import Delivery
from relay.outbox.lane_servers import LaneServers
from relay.outbox.owner import OURS, Ownership, Relation, SeenInPlanhat

_TIMEOUT_S: Final = 4.0
#: A lane that is ours is asked again after this; one that is not yet known to be, sooner.
_ASK_EVERY_S: Final = 10.0
_PROVE_EVERY_S: Final = 5.0


class LaneGuard:
    """Tells one process whether its lane is its own. `claim`: a lane that is nobody's becomes ours."""

    def __init__(
        self,
        ownership: Ownership,
        delivery: Delivery,
        url: str,
        token: Callable[[], str],
        *,
        claim: bool,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ownership = ownership
        self._delivery = delivery
        self._url = url
        self._token = token
        self._claim = claim
        self._clock = clock
        self._relation = OURS
        self._asked_at = self._proved_at = float("-inf")
        self._was_ours = False
        self._proving: threading.Thread | None = None

    def check(self) -> Relation:
        """Return whose it is; asks Planhat where that must be, and waits for it. Raises OutboxUnavailable."""
        if self._look() and self._clock() - self._proved_at >= _PROVE_EVERY_S:
            self._prove()
        return self._relation

    def glance(self) -> Relation:
        """Return the same without waiting for Planhat: it is asked beside, and what it says is known the next time. Raises
        OutboxUnavailable."""
        return self._glanced(self._look())

    def _glanced(self, unknown: bool) -> Relation:
        due = unknown and self._clock() - self._proved_at >= _PROVE_EVERY_S
        if due and (self._proving is None or not self._proving.is_alive()):
            self._proving = threading.Thread(target=self._prove_beside, name="owner", daemon=True)
            self._proving.start()
        return self._relation

    def _look(self) -> bool:
        """Whether Planhat is to be asked."""
        return self._due() and self._looked(self._ownership.look(claim=self._claim))

    def _due(self) -> bool:
        """Whether the lane is to be asked."""
        return not self._relation.ours or self._clock() - self._asked_at >= _ASK_EVERY_S

    def _looked(self, found: Relation) -> bool:
        """Whether Planhat is to be asked, after what the lane said."""
        self._asked_at = self._clock()
        if found.ours or found.known:
            self._take(found)
            return False
        if self._relation.ours and not self._was_ours:
            self._take(found)
        return True

    def _prove_beside(self) -> None:
        try:
            self._prove()
        except OutboxUnavailable:
            return

    def _prove(self) -> None:
        # Imported here: nobody else of the web side asks Planhat, and an HTTP client takes 14 MB.
        from relay.planhat.client import Planhat

        self._proved_at = self._clock()
        with Planhat(self._url, self._token, timeout_s=_TIMEOUT_S) as planhat:

            def sees(planhat_id: str) -> SeenInPlanhat:
                try:
                    planhat.get(planhat_id, timeout_s=_TIMEOUT_S)
                except PlanhatNotFound:
                    return "gone"
                except PlanhatForbidden:
                    return "refused"
                except PlanhatError:
                    return "away"
                return "there"

            found = self._ownership.prove(sees, blocked=self._delivery.read().state == "blocked")
        # Who was at home here stays so while nobody can say anything: Planhat's outage closes no door.
        if found.ours or found.known or not self._was_ours:
            self._take(found)

    def _take(self, found: Relation) -> None:
        self._relation = found
        self._was_ours = self._was_ours or found.ours


def glance_together(servers: LaneServers, guards: Sequence[LaneGuard]) -> list[Relation | OutboxUnavailable]:
    """Return `glance` of several lanes, one round trip for each server; of one that did not answer the error."""
    found: list[Relation | OutboxUnavailable] = [guard._relation for guard in guards]
    asked: list[tuple[int, list[Any]]] = []
    for place, guard in enumerate(guards):
        if guard._due() and (question := guard._ownership.question(claim=guard._claim)):
            asked.append((place, question))
    stores = [guards[place]._ownership.outbox for place, _ in asked]
    answers = servers.ask("owner", stores, lambda number: asked[number][1])
    for (place, _), answer in zip(asked, answers, strict=True):
        guard = guards[place]
        if isinstance(answer, OutboxUnavailable):
            found[place] = answer
        else:
            found[place] = guard._glanced(guard._looked(guard._ownership.told(answer)))
    return found
