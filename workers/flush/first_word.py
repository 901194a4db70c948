"""The first word on a conversation, folded and rendered in one pass: nearly every conversation has one, and nothing is there that it could
win over or lose to. Pure. `tests/workers/test_fold.py` holds that it is what `Document.absorb` and `Document.render` make of it.
"""

from __future__ import annotations

from typing import Any

from relay.custom_names import differ_in_case_alone
from relay.description import fit_to_planhat
from relay.patch import DESCRIPTION, Document, Patch
from relay.value import AS_BEFORE


def first_word(external_id: str, life: int, patch: Patch) -> tuple[Document, dict[str, Any]] | None:
    """Return the document of a conversation of which `patch` is all, and what it renders to. None where the way of all others is to be
    gone: a deletion or an archiving, members of a list, a sender to be found."""
    if patch.action != "upsert":
        return None
    version, event_id, revision, message_id = patch.version, patch.event_id, patch.revision, patch.message_id
    registers: dict[str, dict[str, Any]] = {}
    fields: dict[str, Any] = {}
    custom: dict[str, Any] = {}
    for name, (way, value) in patch.fields.items():
        if way == "append":
            registers[name] = {way: {message_id: [version, event_id, revision, value, patch.time]}}
            said = "" if value is None else str(value)
            if AS_BEFORE in said:
                return None
        elif way == "union":
            return None
        else:
            registers[name] = {way: [version, event_id, revision, value]}
            said = value
        if name == DESCRIPTION and said.__class__ is str:
            said = fit_to_planhat(said)
        if not said and not isinstance(said, (int, float)):
            continue
        if name.startswith("custom."):
            custom[name[7:]] = said
        else:
            fields[name] = said
    if custom:
        if len(custom) > 1 and differ_in_case_alone(tuple(custom)):
            return None
        fields["custom"] = custom
    document = Document(external_id, registers, source=patch.source, rule=patch.rule, life=life)
    if message_id:
        document.messages[message_id] = 1
        if patch.author:
            document.authors[message_id] = [version, event_id, revision, patch.author]
    if patch.company_id or patch.company:
        document.asks.append([version, event_id, patch.company_id, dict(patch.company)])
    return document, fields
