"""Looking again: a call that timed out or was cut off may take effect after the one that followed it, and leave Planhat with
what is older. Once it is quiet, what Planhat has is read back, and sent again where that is less than what was delivered.

Due times lie in the zset `doubt`, put there by the settlement of a delivery that followed a cut-off call, and of one whose
people could not all be looked up: that one simply goes again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol

from relay.errors import NewerRecord, PlanhatError, PlanhatNotFound
from relay.outbox.outbox import Outbox
from relay.outbox.shared_metrics import SharedMetrics
from relay.patch import DESCRIPTION, Document
from relay.telemetry import log
from workers.flush.comparison import differences
from workers.flush.fold import UNASKED, nudge
from workers.flush.standing import plain_document

#: Read one by one up to so many; of more, all are sent again, which takes a call or two instead of one each.
READ_AT_MOST: Final = 200
#: Read in one go: what is due meanwhile waits for it.
AT_ONCE: Final = 5
AT_ONCE_IDLE: Final = 20
_TIMEOUT_S: Final = 10.0
_LATER_MS: Final = 30_000


class _Getter(Protocol):
    def get(self, key: str, *, timeout_s: float | None = None) -> Mapping[str, Any]: ...


class Doubts:
    """Looks again at conversations in doubt. `call()` takes a place in the minute."""

    def __init__(
        self,
        outbox: Outbox,
        planhat: _Getter,
        *,
        call: Callable[[], bool],
        metrics: SharedMetrics,
        read_at_most: int = READ_AT_MOST,
    ) -> None:
        self._read_at_most = read_at_most
        self._outbox = outbox
        self._planhat = planhat
        self._call = call
        self._metrics = metrics

    def look(self, *, idle: bool) -> int:
        """Look again at what is due; how many conversations are to be sent again. Raises OutboxUnavailable."""
        due, waiting = self._outbox.doubts.due(limit=self._read_at_most + 1)
        again = 0
        if waiting > self._read_at_most:
            for external_id in due:
                again += self._again(external_id)
        else:
            for external_id in due[: AT_ONCE_IDLE if idle else AT_ONCE]:
                looked = self._look_at(external_id)
                if looked is None:
                    break
                again += looked
        if again:
            log("doubt.sent_again", conversations=again)
            self._metrics.add("relay_sent_again_total", {}, again)
        return again

    def _look_at(self, external_id: str) -> int | None:
        """1 where it is to be sent again; None: no call can be made."""
        document = self._document(external_id)
        if document is None:
            self._outbox.doubts.conclude(external_id, "done")
            return 0
        if document.sent_hash.endswith(UNASKED):
            # Nothing to read: who was not looked up is looked up when it goes.
            return self._again(external_id)
        if not self._call():
            return None
        try:
            record = self._planhat.get(document.planhat_id or f"extid-{external_id}", timeout_s=_TIMEOUT_S)
        except PlanhatNotFound:
            # No call of ours deletes: somebody did, and it is not for us to bring it back.
            self._count("404")
            self._outbox.doubts.conclude(external_id, "done")
            return 0
        except PlanhatError as error:
            self._count(type(error).__name__)
            self._outbox.doubts.conclude(external_id, "later", due_ms=self._outbox.now_ms() + _LATER_MS)
            return 0
        self._count("200")
        if has_all(document, record):
            self._outbox.doubts.conclude(external_id, "done")
            return 0
        return self._again(external_id)

    def _again(self, external_id: str) -> int:
        document = self._document(external_id)
        if document is None:
            return self._outbox.doubts.conclude(external_id, "done") * 0
        return self._outbox.doubts.conclude(
            external_id, "again", nudge=nudge(external_id, document.source, self._outbox.about_ms())
        )

    def _document(self, external_id: str) -> Document | None:
        stored = self._outbox.document(external_id)
        try:
            return Document.decode(stored) if stored else None
        except NewerRecord:
            return None

    def _count(self, status: str) -> None:
        self._metrics.add("relay_planhat_requests_total", {"operation": "GET conversation", "status": status})


def has_all(document: Document, record: Mapping[str, Any]) -> bool:
    """Tell whether `record` has everything that `document` says. More than that is a person's, and right; but where something was
    deleted, or forgotten here, it may be words of ours that are known no more: then it is to be the same."""
    said = document.render()
    if differences(said, record):
        return False
    text = plain_document(str(record.get(DESCRIPTION) or ""))
    entries = document.registers.get(DESCRIPTION, {}).get("append", {})
    if document.based or not document.retracted.keys().isdisjoint(entries):
        return text == plain_document(str(said.get(DESCRIPTION) or ""))
    return all(
        plain_document(document.spellings(message, str(entry[3]))[0]) in text
        for message, entry in entries.items()
        if entry[3] not in (None, "")
    )
