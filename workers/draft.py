"""One claimed item on its way: patches folded into the document, what there is to send, what becomes of each event."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import orjson

from relay.conversation import content_hash
from relay.outbox.items import Item, Pending, State
from relay.patch import Document, Patch
from workers.directory import Ask
from workers.outcome import Sent

HISTORY_ENTRIES: Final = 20
#: Stands for the hash of what Planhat has where nobody knows: a call was cut off, or its worker died. Equal to no hash.
UNKNOWN: Final = "?"

#: `send`: Planhat has something else. `same`: it has exactly this. `nothing`: there is nothing to have.
Need = Literal["send", "same", "nothing"]


@dataclass(slots=True)
class Draft:
    """`document` is folded; `fields` what it renders to. `company_id` is pinned or resolved, "" until then."""

    item: Item
    document: Document
    patches: list[tuple[Pending, Patch]]
    fields: dict[str, Any]
    hash: str
    need: Need
    company_id: str = ""
    notes: tuple[dict[str, Any], ...] = ()

    @classmethod
    def of(cls, item: Item) -> Draft:
        """Raises ValueError, KeyError or TypeError for what no release of ours has written."""
        document = stored_document(item)
        if item.crashes:
            document.sent_hash = UNKNOWN
        patches = [(pending, Patch.decode(pending.patch)) for pending in item.pending]
        for _, patch in patches:
            document.absorb(patch)
        fields = document.render()
        digest = content_hash(fields)
        return cls(
            item, document, patches, fields, digest, _need(document, fields, digest), document.company_id
        )

    def asks(self, *, new_only: bool = False) -> list[Ask]:
        """What the directory is asked with, the earliest patch first."""
        if new_only:
            return [Ask.of(p.company_id, p.company) for _, p in self.patches if p.company_id or p.company]
        return [Ask.of(company_id, company) for _, _, company_id, company in self.document.asks]

    def sent(self, people: dict[str, Any] | None = None, *, by_external_id: bool = False) -> Sent:
        """The conversation as it goes out. By `_id` where Planhat told it, since an externalId is unique per company
        only; the externalId goes along, so that a record deleted in Planhat is made anew under it."""
        document = self.document
        payload: dict[str, Any] = {"externalId": document.external_id, "companyId": self.company_id}
        planhat_id = "" if by_external_id else document.planhat_id
        if planhat_id:
            payload["_id"] = planhat_id
        body = orjson.dumps({**payload, **self.fields, **(people or {})})
        # Copied, because orjson's own bytes keep the whole buffer they were written into: 4 KB for 1.
        return Sent(document.external_id, bytes(memoryview(body)), planhat_id)

    def events(self, taken: State) -> list[tuple[str, State]]:
        """Each counted event with its end: `taken`, or superseded where nothing in the document stands on it."""
        standing = self.document.contributors()
        retracted = self.document.retracted
        ends: dict[str, State] = {}
        for pending, patch in self.patches:
            if pending.counted:
                gone = patch.action == "upsert" and patch.message_id in retracted
                ends[pending.event_id] = "superseded" if gone or pending.event_id not in standing else taken
        return list(ends.items())

    def note(self, at_ms: int, what: str, **facts: Any) -> None:
        entry = {"at_ms": at_ms, "what": what, **facts}
        self.notes = (*self.notes, entry)
        add_history(self.document, entry)

    def parcel(self, people: dict[str, Any] | None = None) -> Parcel:
        return Parcel(self.item, self.sent(people), self.company_id, self.notes)


@dataclass(frozen=True, slots=True)
class Parcel:
    """What is kept of a draft until its outcome is known: bytes only. A batch of 5,000 drafts would take 100 MB; to
    fold once more costs less."""

    item: Item
    sent: Sent
    company_id: str
    notes: tuple[dict[str, Any], ...] = ()

    def draft(self) -> Draft:
        draft = Draft.of(self.item)
        draft.company_id = self.company_id
        for entry in self.notes:
            add_history(draft.document, entry)
        return draft

    def by_external_id(self) -> Parcel:
        """The same without the `_id`."""
        draft = self.draft()
        return Parcel(self.item, draft.sent(by_external_id=True), self.company_id, self.notes)


def stored_document(item: Item) -> Document:
    """As it stood before the pending patches."""
    return Document.decode(item.document) if item.document else Document(item.external_id)


def perhaps_sent(item: Item) -> bytes | None:
    """The stored document with the note that Planhat may have more than it says. None: it is there already."""
    document = stored_document(item)
    if document.sent_hash == UNKNOWN:
        return None
    document.sent_hash = UNKNOWN
    return document.encode()


def stored_asks(stored: bytes | None) -> list[Ask]:
    """What a stored document's company was asked with."""
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


def cut(parcels: Sequence[Parcel], *, items: int, size_bytes: int) -> list[list[Parcel]]:
    """In order, each piece at most `items` long and, as a JSON array, at most `size_bytes`; what is larger than that
    alone goes alone."""
    pieces: list[list[Parcel]] = []
    size = 0
    for parcel in parcels:
        more = len(parcel.sent.body) + 1
        if not pieces or len(pieces[-1]) >= items or size + more > size_bytes:
            pieces.append([])
            size = 2
        pieces[-1].append(parcel)
        size += more
    return pieces
