"""A conversation whose document is forgotten, or older than what was delivered: what Planhat has becomes the base, before
anything is sent. Pure.

Nothing that a person can still see there is overwritten by what is not newer. Of the events that may have been delivered
already (`before`), Planhat's record knows the end; those that come now (`coming`) go on top of it:

- `replace`: what stands there counts as just newer than everything from before, unless it is known to be older;
- `first`: what stands there is the first, where it is no stand-in of ours;
- `union`: who stands there is among them;
- `fallback`, `placeholder`: what stands there is one where it is one of ours; else it is a value, and the first;
- `append`: entries that are found in the text stay entries, in their places, so that an edit or a deletion still finds them;
  what stands between them (entries that were forgotten, a person's words) stays where it is, as pieces that no event owns.
  What is deleted and still stands there is found by its words, as far as they are known, and taken out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from relay.patch import Document, Patch, fold
from relay.registers import STAND_INS, Way, member_key
from workers.flush.standing import STANDING, align_appended

#: Ways that leave one value.
_SINGLE: Final = frozenset({"replace", "first", *STAND_INS})


def rebase(
    document: Document,
    before: Sequence[Patch],
    coming: Sequence[Patch],
    record: Mapping[str, Any] | None,
    *,
    repeated: Sequence[Patch] = (),
    overtaken: bool = False,
) -> Document:
    """Return `document` (as it was stored, or empty; it is changed) with `before` taken in and `record` as its base. `record` None:
    Planhat has no such conversation, and it begins anew. `coming` is to be absorbed by whoever asks; of that, `repeated`
    may stand there already: a call that was cut off may have brought it, or its sender says again what was forgotten.
    `overtaken`: an older call may have taken effect last, so that what `document` says and is not there is still to be."""
    stored = {name: dict(ways.get("append", {})) for name, ways in document.registers.items()}
    older = _known_values(document, before)
    fold(document, before)
    if record is not None:
        # Looked for in the text as well: it is not to stand there twice.
        fold(document, [_appended(patch) for patch in repeated if patch.action == "upsert"])
    document.sent_hash = ""
    document.based = record is not None
    if record is None:
        document.planhat_id = ""
        return document
    retracted = {*document.retracted, *(patch.message_id for patch in coming if patch.action == "retract")}
    document.planhat_id = str(record.get("_id") or document.planhat_id)
    document.company_id = document.company_id or str(record.get("companyId") or "")
    stands = _fields(record)
    stand_ins = _stand_ins(document, coming)
    repeats = _single_values(repeated)
    for name, way in _touched(document, coming):
        standing = stands.get(name)
        if way == "append":
            # Also where nothing stands: what was delivered and is gone was taken out since.
            align_appended(
                document, name, standing, stored.get(name, {}), retracted, coming, overtaken=overtaken
            )
            continue
        if standing in (None, "", []):
            continue
        ways = document.registers.setdefault(name, {})
        if way == "replace":
            if way in ways and (overtaken or (standing in older.get(name, ()) and standing != ways[way][3])):
                continue
            version, revision = (ways[way][0], ways[way][2]) if way in ways else (0, 0)
            ways[way] = [version, STANDING, revision, standing]
        elif way == "first":
            if standing in older.get(name, ()) or standing in repeats.get(name, ()):
                # Ours, and known: what is earlier still comes before it, as ever.
                continue
            if not any(standing in stand_ins.get((name, other), ()) for other in STAND_INS):
                ways[way] = [0, "", 0, standing]
        elif way in STAND_INS:
            if standing in stand_ins[name, way]:
                ways[way] = [0, "", 0, standing]
            elif not any(standing in stand_ins.get((name, other), ()) for other in STAND_INS):
                # Whatever it was: it stands there, and a real value that comes later is none that was first.
                ways["first"] = [0, "", 0, standing]
        else:
            _unite(ways.setdefault(way, {}), standing)
    return document


def meets_unknown(document: Document, coming: Sequence[Patch]) -> bool:
    """Tell whether `coming` would overwrite what nobody has looked at: a field, or a way of it, that was not among what was read."""
    return document.based and any(
        way != "replace" and way not in document.registers.get(name, ())
        for patch in coming
        for name, (way, _) in patch.fields.items()
    )


def _known_values(document: Document, before: Sequence[Patch]) -> dict[str, list[Any]]:
    """By field, what it was or would have been, as far as is known: where that still stands, the newest was not delivered."""
    known = {name: [value] for name, value in _fields(document.render()).items()}
    for name, ways in document.registers.items():
        known.setdefault(name, []).extend(register[3] for way, register in ways.items() if way in _SINGLE)
    for name, values in _single_values(before).items():
        known.setdefault(name, []).extend(values)
    return known


def _single_values(patches: Sequence[Patch]) -> dict[str, list[Any]]:
    """By field, each value that would be the only one of it."""
    values: dict[str, list[Any]] = {}
    for patch in patches:
        for name, (way, value) in patch.fields.items():
            if way in _SINGLE:
                values.setdefault(name, []).append(value)
    return values


def _appended(patch: Patch) -> Patch:
    """What `patch` appends, and nothing else of it."""
    fields = {name: (way, value) for name, (way, value) in patch.fields.items() if way == "append"}
    return replace(patch, fields=fields, company_id="", company={})


def _words(name: str, patches: Sequence[Patch]) -> dict[str, list[Any]]:
    """What each message was to append to `name`, one after the other: an earlier version may be what was delivered."""
    said: dict[str, list[Any]] = {}
    for patch in patches:
        way, value = patch.fields.get(name, ("", None))
        if way == "append":
            said.setdefault(patch.message_id, []).append(value)
    return said


def _fields(record: Mapping[str, Any]) -> dict[str, Any]:
    """What stands there by the names that patches use."""
    custom = record.get("custom")
    named = {f"custom.{name}": value for name, value in custom.items()} if isinstance(custom, Mapping) else {}
    return {**record, **named}


def _touched(document: Document, coming: Sequence[Patch]) -> list[tuple[str, Way]]:
    """Each field that is, or will be, ours, with each way it is merged in."""
    touched: dict[tuple[str, Way], None] = {}
    for name, ways in document.registers.items():
        touched.update(dict.fromkeys((name, way) for way in ways))  # type: ignore[misc]
    for patch in coming:
        touched.update(dict.fromkeys((name, way) for name, (way, _) in patch.fields.items()))
    return list(touched)


def _stand_ins(document: Document, coming: Sequence[Patch]) -> dict[tuple[str, str], list[Any]]:
    """By field and way, each value that we know to have stood in for a better one."""
    known: dict[tuple[str, str], list[Any]] = {}
    for name, ways in document.registers.items():
        for way in STAND_INS:
            if way in ways:
                known.setdefault((name, way), []).append(ways[way][3])
    for patch in coming:
        for name, (way, value) in patch.fields.items():
            if way in STAND_INS:
                known.setdefault((name, way), []).append(value)
    return known


def _unite(members: dict[str, Any], standing: Any) -> None:
    for value in standing if isinstance(standing, list) else [standing]:
        # Planhat adds names and roles that it makes itself; who it is, is the id.
        who = {"id": value["id"]} if isinstance(value, Mapping) and value.get("id") else value
        members.setdefault(member_key(who), [0, "", 0, who])
