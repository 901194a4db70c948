"""A person's edit of a dead letter: the raw request as a whole, fields of its payload, fields of the conversation, or
the company.

The letter keeps every edit (what it was, what it became, who, when) and the raw event stays as it came: an edit is
applied each time the letter is mapped again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from relay.description import safe_html
from relay.errors import PayloadInvalid
from relay.operations.selection import InputInvalid
from relay.patch import Patch
from relay.planhat.fields import STANDING_TYPES, WRITABLE, field_named, value_fault
from relay.registers import STAND_INS, Way
from relay.rules.rule import COMPANY_ID, fit_to_field
from relay.rules.storable import custom_fault
from relay.sources.large_json import dump_large
from relay.sources.read.lenient import parse_lenient

MAX_EDITS = 100
MAX_RAW_BYTES = 512 * 1024
#: Of a raw request the log keeps its beginning.
LOGGED_CHARS = 500
_MISSING = object()
#: The externalId says which conversation it is; the company has a way of its own.
_FIXED = frozenset({"externalId", "companyId"})


@dataclass(frozen=True, slots=True)
class Edits:
    """What stands now: dotted paths of the raw payload, fields of the conversation ("custom.Name" for custom ones),
    the companyId ("": not edited), and the raw body that stands for the one that came (None: not edited)."""

    payload: Mapping[str, Any]
    fields: Mapping[str, Any]
    company: str = ""
    raw: str | None = None

    def __bool__(self) -> bool:
        return bool(self.payload or self.fields or self.company or self.raw is not None)

    def mend(self, body: bytes) -> bytes:
        """Return the raw body with the edited values. Single values are edited in JSON bodies only."""
        if self.raw is not None:
            body = self.raw.encode("utf-8", "replace")
        if not self.payload:
            return body
        value = parse_lenient(body)
        for path, new in self.payload.items():
            write_path(value, path, new)
        return dump_large(value)

    def mender(self) -> Callable[[bytes], bytes] | None:
        """Return `mend`, or None where nothing of the request was edited."""
        return self.mend if self.payload or self.raw is not None else None


def read_edits(record: Mapping[str, Any]) -> Edits:
    stored = record.get("edited")
    stored = stored if isinstance(stored, dict) else {}
    return Edits(
        payload=dict(stored.get("payload") or {}),
        fields=dict(stored.get("fields") or {}),
        company=str(stored.get("company") or ""),
        raw=stored["raw"] if isinstance(stored.get("raw"), str) else None,
    )


def add_edits(
    record: Mapping[str, Any],
    body: bytes | None,
    *,
    payload: Mapping[str, Any],
    fields: Mapping[str, Any],
    company: str,
    raw: str | None = None,
    by: str,
    at: str,
    types: Sequence[str] = (),
) -> dict[str, Any]:
    """Return the record with the edits in it. `types`: those of the tenant. A `payload` path that the raw body does not have but that is a field of the
    conversation counts as that; `raw` takes the place of the whole body, and of what was edited in it before. Raises
    InputInvalid, naming the path."""
    edited = read_edits(record)
    log = list(record.get("edits") or [])
    if raw is not None:
        log.append(_raw_entry(body, edited, raw, by, at))
        edited = replace(edited, raw=raw, payload={})
    mended = body if edited.raw is None else edited.raw.encode("utf-8", "replace")
    parsed = _json_or_missing(mended)
    new_payload, new_fields = dict(edited.payload), dict(edited.fields)
    if not company and isinstance(fields.get("companyId"), str):
        company = fields["companyId"]
        fields = {name: value for name, value in fields.items() if name != "companyId"}
    for path, value in payload.items():
        was = _MISSING if parsed is _MISSING else read_path(parsed, path)
        if was is not _MISSING:
            log.append(_entry("payload", path, edited.payload.get(path, was), value, by, at))
            new_payload[path] = value
        elif _is_field(path):
            _require_fitting(path, value, types, f"payload.{path}")
            log.append(_field_entry(record, edited, path, value, by, at))
            new_fields[path] = value
        elif parsed is _MISSING:
            raise InputInvalid(
                "the raw event has expired or is not JSON; edit it as a whole (raw), or fields of the conversation",
                f"payload.{path}",
            )
        else:
            raise InputInvalid("not in the raw payload, and no field of a conversation", f"payload.{path}")
    for name, value in fields.items():
        if not _is_field(name):
            raise InputInvalid("no field of a conversation that can be edited", f"fields.{name}")
        _require_fitting(name, value, types, f"fields.{name}")
        log.append(_field_entry(record, edited, name, value, by, at))
        new_fields[name] = value
    if company:
        if not COMPANY_ID.fullmatch(company):
            raise InputInvalid("should be a Planhat id (24 hex digits), extid-... or srcid-...", "company")
        log.append(_entry("company", "companyId", edited.company or None, company, by, at))
    if len(log) > MAX_EDITS:
        raise InputInvalid(f"more than {MAX_EDITS} edits of one dead letter")
    return {
        **record,
        "edits": log,
        "edited": {
            "payload": new_payload,
            "fields": new_fields,
            "company": company or edited.company,
            **({"raw": edited.raw} if edited.raw is not None else {}),
        },
    }


def _raw_entry(body: bytes | None, edited: Edits, raw: str, by: str, at: str) -> dict[str, Any]:
    """What the log says of an edited raw body. Raises InputInvalid where there is none, or no text."""
    if body is None:
        raise InputInvalid("the raw event has expired; edit fields of the conversation", "raw")
    if len(raw.encode("utf-8", "replace")) > MAX_RAW_BYTES:
        raise InputInvalid(f"larger than {MAX_RAW_BYTES // 1024} KiB", "raw")
    try:
        was = body.decode() if edited.raw is None else edited.raw
    except UnicodeDecodeError:
        raise InputInvalid("the raw event is no text", "raw") from None
    return _entry("raw", "raw", was[:LOGGED_CHARS], raw[:LOGGED_CHARS], by, at)


def apply_to_patches(edits: Edits, patches: Sequence[Patch]) -> list[Patch]:
    """Give patches as today's rules made them, with the edited fields and company. A field that appends is edited in the
    newest patch that carries it (one entry a message), any other wherever it stands, or else in the newest patch."""
    changed = list(patches)
    if not changed:
        return changed
    newest = max(range(len(changed)), key=lambda n: (changed[n].version, changed[n].event_id))
    for name, given in edits.fields.items():
        value = _as_a_rule_would(name, given)
        carriers = [n for n, patch in enumerate(changed) if name in patch.fields]
        way: Way = changed[carriers[-1]].fields[name][0] if carriers else "replace"
        if way in STAND_INS:
            # What a person writes must not give way to the next message.
            way = "first"
        if way == "append":
            carriers = [max(carriers, key=lambda n: (changed[n].version, changed[n].event_id))]
        for n in carriers or [newest]:
            changed[n] = replace(changed[n], fields={**changed[n].fields, name: (way, value)})
    if edits.company:
        changed = [replace(patch, company_id=edits.company) for patch in changed]
    return changed


def _as_a_rule_would(name: str, value: Any) -> Any:
    """A person's value in the form that a rule's has: a description as safe HTML, a date with its time."""
    field = field_named(name)
    if name == "description" and isinstance(value, str):
        return safe_html(value)
    return fit_to_field(field, value) if field is not None and value is not None else value


def _require_fitting(name: str, value: Any, types: Sequence[str], path: str) -> None:
    """Raise InputInvalid for a value that no rule could give: Planhat would refuse it, or make another type of it in silence."""
    field = field_named(name)
    if name == "type":
        allowed = (*types, *STANDING_TYPES)
        fault = "" if value in allowed else f"should be one of {', '.join(allowed)}"
    elif field is None:
        fault = custom_fault(value)
    else:
        fault = "" if value is None else value_fault(field, _as_a_rule_would(name, value)) or ""
    if fault:
        raise InputInvalid(fault, path)


def _is_field(name: str) -> bool:
    head, _, rest = name.partition(".")
    if head == "custom":
        return bool(rest)
    return name in WRITABLE and name not in _FIXED


def _field_entry(
    record: Mapping[str, Any], edited: Edits, name: str, value: Any, by: str, at: str
) -> dict[str, Any]:
    document = record.get("document")
    was = edited.fields.get(name, read_path(document, name) if isinstance(document, dict) else _MISSING)
    return _entry("fields", name, None if was is _MISSING else was, value, by, at)


def _entry(kind: str, path: str, was: Any, value: Any, by: str, at: str) -> dict[str, Any]:
    return {"at": at, "by": by, "what": kind, "path": path, "from": was, "to": value}


def _json_or_missing(body: bytes | None) -> Any:
    if body is None:
        return _MISSING
    try:
        value = parse_lenient(body)
    except PayloadInvalid:
        return _MISSING
    return value if isinstance(value, (dict, list)) else _MISSING


def read_path(value: Any, path: str) -> Any:
    """Return what stands at a dotted path (numbers are places in lists), or a marker that equals nothing."""
    for part in path.split("."):
        if isinstance(value, dict) and part in value:
            value = value[part]
        elif isinstance(value, list) and part.isascii() and part.isdigit() and int(part[:6]) < len(value):
            value = value[int(part[:6])]
        else:
            return _MISSING
    return value


def write_path(value: Any, path: str, new: Any) -> None:
    """Sets what stands at a path; where the path is not there (any more), nothing happens."""
    *way, last = path.split(".")
    holder = read_path(value, ".".join(way)) if way else value
    if isinstance(holder, dict) and last in holder:
        holder[last] = new
    elif isinstance(holder, list) and last.isascii() and last.isdigit() and int(last[:6]) < len(holder):
        holder[int(last[:6])] = new
