"""One claimed item on its way: patches folded into the document, what there is to send, what becomes of each event."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from sys import intern
from typing import Any, Final, Literal

import orjson

from relay.conversation import canonical, content_hash
from relay.errors import NewerRecord
from relay.outbox.items import Item, Pending, State
from relay.patch import Document, Patch, encode_memory, fold
from relay.planhat.outcomes import Row
from workers.companies.verdicts import Ask
from workers.flush.first_word import first_word
from workers.flush.rebase import meets_unknown, rebase
from workers.flush.standing import has_pieces

HISTORY_ENTRIES: Final = 20
#: Stands for the hash of what Planhat has where nobody knows: a call was cut off, or its worker died. Equal to no hash.
UNKNOWN: Final = "?"

#: Ends the hash of what Planhat has where somebody could not be looked up. Equal to no hash.
UNASKED: Final = "~"

#: After Redis was last seen to know all, for so long a server that another has replaced meanwhile may have had an event delivered:
#: one that hung, and did what lay in its socket when it woke.
_REPLACED_MS: Final = 120_000

_NONE: Final[frozenset[str]] = frozenset()
_COUNTED: Final = frozenset({"users", "endusers", "activityTags"})
_NOBODY: Final = (0, 0, 0)

#: `send`: Planhat has something else. `same`: it has exactly this. `nothing`: there is nothing to have. `read`: what Planhat
#: has must be read before anything can be said.
Need = Literal["send", "same", "nothing", "read"]
#: The life of a document that never was one: the conversation was forgotten, and is still to be read.
NO_LIFE: Final = -1


@dataclass(frozen=True, slots=True)
class FoldedRead:
    """What Planhat has of a conversation; None: nothing."""

    record: Mapping[str, Any] | None


@dataclass(slots=True)
class FoldedItem:
    """`document` is folded; `fields` what it renders to. `company_id` is pinned or resolved, "" until then."""

    item: Item
    document: Document
    patches: list[Patch]
    fields: dict[str, Any]
    #: `fields` as canonical JSON: what is hashed, and most of what is sent.
    json: bytes
    hash: str
    need: Need
    company_id: str = ""
    #: A call that carried it was cut off: Planhat may take it any time, also after a newer one.
    doubtful: bool = False
    #: What Planhat has of it was read for this.
    recalled: bool = False

    @classmethod
    def of(cls, item: Item, read: FoldedRead | None = None) -> FoldedItem:
        """Return `read`: what Planhat has of it, where that was to be read first. Raises NewerRecord for what a newer release has
        written, ValueError, KeyError or TypeError for what no release of ours has."""
        patches, nudged = [], False
        for pending in item.pending:
            patches.append(Patch.decode(pending.patch))
            nudged = nudged or is_nudge(pending.event_id)
        alone = len(patches) == 1 and not item.document and not item.forgotten
        first = first_word(item.external_id, item.life, patches[0]) if alone else None
        document = first[0] if first else stored_document(item)
        unsure = document.life != item.life or (
            # Of what was not there before there is nothing that nobody has looked at.
            bool(item.document) and _meets_unseen(item, document, patches)
        )
        doubtful = item.crashes > 0 or document.sent_hash == UNKNOWN
        if doubtful or nudged:
            document.sent_hash = UNKNOWN
        if unsure and read is not None:
            document = _rebased(item, document, patches, read, doubtful=doubtful, nudged=nudged)
        if first:
            fields = first[1]
        else:
            fold(document, patches)
            fields = document.render()
        json = canonical(fields)
        digest = content_hash(json)
        need: Need = "read" if unsure and read is None else _need(document, fields, digest)
        recalled = unsure and read is not None
        return cls(
            item, document, patches, fields, json, digest, need, document.company_id, doubtful, recalled
        )

    def whole(self) -> Document:
        return self.document

    def asks(self, *, new_only: bool = False) -> list[Ask]:
        """Return what the directory is asked with, the earliest patch first."""
        if new_only:
            return [Ask.of(p.company_id, p.company) for p in self.patches if p.company_id or p.company]
        return [Ask.of(company_id, company) for _, _, company_id, company in self.document.asks]

    def superseded(self) -> frozenset[str]:
        """Return the counted events that nothing in the document stands on."""
        if len(self.patches) == 1 and not self.item.document and "type" in self.patches[0].fields:
            # The first word on a conversation stands.
            return _NONE
        standing = self.document.contributors()
        retracted = self.document.retracted
        return frozenset(
            pending.event_id
            for pending, patch in zip(self.item.pending, self.patches, strict=True)
            if pending.counted
            and (
                pending.event_id not in standing
                or (patch.action == "upsert" and patch.message_id in retracted)
            )
        )

    def events(self, taken: State) -> list[tuple[str, State]]:
        """Return each counted event with its end: `taken`, or superseded."""
        return _events(self.item, self.superseded(), taken)

    def note(self, at_ms: int, what: str, **facts: Any) -> None:
        add_history(self.document, {"at_ms": at_ms, "what": what, **facts})

    def outgoing(self, changes: Mapping[str, Any] | None = None, *, unasked: bool = False) -> OutgoingItem:
        """Return the conversation as it goes out, with `changes` (None: left out); `unasked`: to go once more, when what it lacks may
        be known. By `_id` where Planhat told it, since an externalId is unique per company
        only; the externalId goes along, so that a record deleted in Planhat is made anew under it."""
        document = self.document
        head: dict[str, Any] = {"externalId": document.external_id, "companyId": self.company_id}
        if document.planhat_id:
            head["_id"] = document.planhat_id
        sent = {**self.fields, **changes} if changes else self.fields
        if changes and None in changes.values():
            sent = {name: value for name, value in sent.items() if value is not None}
        fields = canonical(sent) if changes else self.json
        body = orjson.dumps(head)
        if len(fields) > len(b"{}"):
            body = body[:-1] + b"," + fields[1:]
        for pending in self.item.pending:
            pending.release()
        return OutgoingItem(
            self.item,
            Row(document.external_id, body, document.planhat_id),
            self.company_id,
            intern(str(self.fields.get("type", ""))),
            document.encode_fold(),
            self.hash + UNASKED if unasked else self.hash,
            document.sent_hash,
            document.company_id,
            document.history,
            self.superseded(),
            document.marked,
            document.life,
            self.doubtful,
            unasked,
            _NOBODY if _COUNTED.isdisjoint(sent) else _counts(sent),
            self.recalled,
        )


@dataclass(slots=True)
class OutgoingItem:
    """What is kept of a folded item until its outcome is known. Bytes, because a batch of 5,000 folded items would take 100 MB; the
    folded document among them, because folding once more would cost as much as all the rest.

    `fold` is the first half of the document, the rest its memory. `superseded` as in `FoldedItem`."""

    item: Item
    row: Row
    company_id: str
    type: str
    fold: bytes
    hash: str
    sent_hash: str
    pinned_company_id: str
    history: list[dict[str, Any]]
    superseded: frozenset[str]
    marked: int = 0
    life: int = 0
    doubtful: bool = False
    #: Somebody could not be looked up: it goes once more, later.
    unasked: bool = False
    #: How many users, endusers and tags went with it.
    counts: tuple[int, int, int] = (0, 0, 0)
    #: What Planhat has of it was read for this.
    recalled: bool = False

    def whole(self) -> Document:
        """Return the folded document, with its memory as it was before this delivery."""
        memory = encode_memory(
            self.sent_hash,
            self.row.planhat_id,
            self.pinned_company_id,
            self.history,
            marked=self.marked,
            life=self.life,
        )
        return Document.decode(self.fold + memory)

    def delivered(self, planhat_id: str, entry: dict[str, Any], year: int = 0) -> bytes:
        """Return the document to keep now that Planhat has it, `entry` added to its history, its mark left in `year`."""
        history = [*self.history, entry][-HISTORY_ENTRIES:]
        # Sent by externalId although an `_id` was known: that one is gone.
        return self.fold + encode_memory(
            self.hash,
            planhat_id or self.row.planhat_id,
            self.company_id,
            history,
            marked=year,
            life=self.life,
        )

    def events(self, taken: State) -> list[tuple[str, State]]:
        return _events(self.item, self.superseded, taken)

    def by_external_id(self) -> OutgoingItem:
        """Return the same without the `_id`."""
        payload = orjson.loads(self.row.body)
        del payload["_id"]
        return replace(self, row=Row(self.row.external_id, orjson.dumps(payload)))


def _meets_unseen(item: Item, document: Document, patches: Sequence[Patch]) -> bool:
    """Tell whether what Planhat has is to be read first, though Redis was not set back since the last delivery."""
    if has_pieces(document):
        # What happened before Redis was set back, and comes now, may be said again by its sender.
        known = item.since_ms * 1000
        if any(patch.version <= known and not is_nudge(patch.event_id) for patch in patches):
            return True
    return meets_unknown(document, patches)


def _rebased(
    item: Item,
    document: Document,
    patches: Sequence[Patch],
    read: FoldedRead,
    *,
    doubtful: bool,
    nudged: bool,
) -> Document:
    known = item.since_ms
    accepted = [(patch, p.accepted_ms) for patch, p in zip(patches, item.pending, strict=True)]
    document = rebase(
        document,
        [patch for patch, at_ms in accepted if at_ms <= known],
        patches,
        read.record,
        repeated=[
            patch
            for patch, at_ms in accepted
            if doubtful or at_ms <= known + _REPLACED_MS or patch.version <= known * 1000
        ],
        overtaken=nudged or item.doubted,
    )
    document.life = item.life
    return document


def _counts(sent: Mapping[str, Any]) -> tuple[int, int, int]:
    users, endusers, tags = (
        len(value) if isinstance(value := sent.get(name), list) else 0
        for name in ("users", "endusers", "activityTags")
    )
    return users, endusers, tags


def _events(item: Item, superseded: frozenset[str], taken: State) -> list[tuple[str, State]]:
    return [
        (pending.event_id, "superseded" if pending.event_id in superseded else taken)
        for pending in item.pending
        if pending.counted
    ]


def stored_document(item: Item) -> Document:
    """Give the document as it stood before the pending patches."""
    if item.document:
        return Document.decode(item.document)
    return Document(item.external_id, life=NO_LIFE if item.forgotten else item.life)


def perhaps_sent(item: Item) -> bytes | None:
    """Return the stored document with the note that Planhat may have more than it says. None: it is there already."""
    if item.unreadable:
        # It is there, and nobody can open it now: a blank one must not take its place.
        return None
    try:
        document = stored_document(item)
    except NewerRecord:
        # It stays as it is: only that release can say more.
        return None
    if document.sent_hash == UNKNOWN:
        return None
    document.sent_hash = UNKNOWN
    return document.encode()


#: What the event id of a patch begins with that says nothing: its conversation is to be sent again.
_NUDGE: Final = "again_"


def nudge(external_id: str, source: str, now_ms: int) -> Pending:
    """Return a patch that changes nothing, counts nowhere, and makes the conversation go out once more."""
    patch = Patch(external_id, f"{_NUDGE}{external_id}", source, 0, "")
    return Pending(patch.event_id, source, now_ms, patch.encode(), counted=False)


def is_nudge(event_id: str) -> bool:
    return event_id.startswith(_NUDGE)


def stored_asks(stored: bytes | None) -> list[Ask]:
    """Return what a stored document's company was asked with."""
    if not stored:
        return []
    return [Ask.of(company_id, company) for _, _, company_id, company in Document.decode(stored).asks]


def add_history(document: Document, entry: dict[str, Any]) -> None:
    document.history.append(entry)
    del document.history[:-HISTORY_ENTRIES]


def _need(document: Document, fields: dict[str, Any], digest: str) -> Need:
    if not fields:
        return "nothing"
    if document.sent_hash == digest:
        return "same"
    if not document.sent_hash and not document.planhat_id:
        # Never delivered: a deletion or an archiving of what Planhat does not have is nothing to tell it.
        upserted = document.messages or document.asks or set(document.registers) - {"archived"}
        if not upserted or document.nothing_left():
            return "nothing"
    return "send"
