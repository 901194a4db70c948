"""A quoted mail's header fields ("From: ... Sent: ... To: ... Subject: ..."), as Outlook sets them above a quotation.

People write such lines too: forms, trips, minutes. So a block needs a time and an address; labels that no language
known here has need three lines in a row, the first with the address, the second or third with the time.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from relay.sources.mail.evidence import MAX_LINE_CHARS, evidence_in, has_address, has_machine_date, has_time
from relay.sources.mail.lines import Line
from relay.sources.mail.words import FORM_LABELS, ROLE

#: Fields with what is wrapped, and blank lines between.
MAX_BLOCK_LINES = 24
_MAX_FIELDS = 12
#: Lines that one field may be wrapped over: a long list of addresses.
MAX_WRAPPED = 5
#: Words of a line that points at what follows: "Please look at this mail:".
MIN_POINTING_WORDS = 3

_FIELD = re.compile(
    r"^[\s*_>|]{0,12}([^\W\d_][^:：*@<>\"]{0,29}?)[\s*_]{0,4}[:：][*_]{0,2}(?:\s|$|(?=\S))(.*)$"
)


@dataclass(frozen=True, slots=True)
class _Field:
    label: str
    value: str
    roles: frozenset[str]


def may_be_header(text: str) -> bool:
    """Tell whether a header may begin with this line, which costs little to say."""
    field = _field(text)
    return field is not None and (bool(field.roles) or has_address(field.value))


def is_header_block(lines: Sequence[Line], start: int, *, marked: bool) -> bool:
    """Tell whether the header of a quoted mail begins at line `start`.

    `marked` says that a rule, a separator or a box stands around it, so that less is enough.
    """
    first = _field(lines[start].text)
    if first is None:
        return False
    fields, end = _fields(lines, start, first)
    roles = frozenset[str]().union(*(field.roles for field in fields))
    if first.roles:
        whole = "from" in roles and {"to", "subject"} <= roles and bool(roles & {"sent", "date"})
        # Forms are set under rules and in boxes too; a mail's whole header there may have a form below it.
        if _is_form(lines, end, fields) and not (marked and whole):
            return False
        return _is_known_block(fields, roles, marked)
    return _is_unknown_block(fields, marked)


def points_at(lines: Sequence[Line], start: int) -> bool:
    """Tell whether the writer points at what begins here: "We want to move these users:"."""
    if start and _is_rule(lines[start - 1].text):
        start -= 1
    for place in range(start - 1, max(-1, start - 3), -1):
        text = lines[place].text
        if text:
            field = _field(text)
            known = field is not None and bool(field.roles or field.value)
            return text.endswith((":", "：")) and len(text.split()) >= MIN_POINTING_WORDS and not known
    return False


def _is_rule(text: str) -> bool:
    return 2 < len(text) <= MAX_LINE_CHARS and not text.strip("-_=*~—–─ ")


def is_known_field(text: str) -> bool:
    """Tell whether a line is a field of a mail's header, in some language."""
    field = _field(text)
    return field is not None and bool(field.roles)


def _field(text: str) -> _Field | None:
    if len(text) > MAX_LINE_CHARS * 4 or (":" not in text and "：" not in text):
        return None
    found = _FIELD.match(text)
    if found is None or found[2].startswith("//"):
        return None
    label = " ".join(found[1].lower().split())
    return _Field(label, found[2].strip(" *_"), ROLE.get(label, frozenset()))


def _fields(lines: Sequence[Line], start: int, first: _Field) -> tuple[list[_Field], int]:
    """The fields from `start` on, what is wrapped joined; and the line behind them."""
    fields = [first]
    wrapped, place = 0, start + 1
    stop = min(len(lines), start + MAX_BLOCK_LINES)
    while place < stop and len(fields) < _MAX_FIELDS:
        text = lines[place].text
        if not text:
            # Programs that turn HTML into text leave blank lines between the fields.
            below = place + 1
            if below < stop and (between := _field(lines[below].text)) and between.roles and first.roles:
                place = below
                continue
            break
        field = _field(text)
        if field is not None and (field.roles or not first.roles):
            fields.append(field)
            wrapped = 0
        elif field is not None and field.label in FORM_LABELS:
            break
        elif first.roles and wrapped < MAX_WRAPPED and len(text) <= MAX_LINE_CHARS:
            last = fields[-1]
            fields[-1] = _Field(last.label, f"{last.value} {text}", last.roles)
            wrapped += 1
        else:
            break
        place += 1
    return fields, place


def _is_form(lines: Sequence[Line], end: int, fields: list[_Field]) -> bool:
    """Whether the block goes on with a form's own fields: "Message:"."""
    if any(has_machine_date(field.value) for field in fields):
        return False
    for place in range(end, min(end + 3, len(lines))):
        if lines[place].text:
            below = _field(lines[place].text)
            return below is not None and below.label in FORM_LABELS
    return False


def _is_known_block(fields: list[_Field], roles: frozenset[str], marked: bool) -> bool:
    if "from" not in roles and "to" not in roles:
        return False
    address = any(has_address(field.value) for field in fields if field.roles & {"from", "to", "cc"})
    dated = [field.value for field in fields if field.roles & {"sent", "date"}]
    if not dated and {"to", "subject"} <= roles and "from" in fields[0].roles:
        # The label of the date is not known here: what it labels stands behind the field above.
        dated = [field.value for field in fields[:2] if (seen := evidence_in(field.value)).time and seen.date]
    time = any(has_time(value) for value in dated)
    count = len(fields)
    if count >= 2 and dated and any(map(has_machine_date, dated)) and address:
        return True
    if marked:
        # "From: Stockholm / To: Malmo / Date: 5 March" is a trip, in a box of its own too; so is a form without a date.
        from_a_mail = address or "sent" in roles or (bool(dated) and "subject" in roles)
        return count >= 2 and "from" in roles and (bool(dated) or "to" in roles) and from_a_mail
    if "from" not in roles or count < 3:
        return False
    if address and time:
        return True
    # Outlook inside one company shows names alone; nobody but Outlook says "Sent".
    return (
        time and "sent" in roles and {"to", "subject"} <= roles and "from" in fields[0].roles and count >= 4
    )


def _is_unknown_block(fields: list[_Field], marked: bool) -> bool:
    if any(field.label in FORM_LABELS for field in fields[:4]):
        return False
    if marked:
        # Signatures have boxes too, with an address and the hours of an office.
        found = evidence_in(" ".join(field.value for field in fields[:4]))
        return len(fields) >= 2 and found.address and found.time and found.date
    if len(fields) < 3:
        return False
    if not all(field.value for field in fields[:3]):
        return False
    if not has_address(fields[0].value):
        return False
    return any((found := evidence_in(field.value)).time and found.date for field in fields[1:3])
