"""An invitation (text/calendar) as text, for mails that hold nothing else. Source: RFC 5545."""

from __future__ import annotations

import re

MAX_CALENDAR_CHARS = 200_000
MAX_EVENTS = 20

_UNFOLD = re.compile(r"\r?\n[ \t]")
_ESCAPED = re.compile(r"\\([\\;,nN])")
_SHOWN = {
    "SUMMARY": "",
    "DTSTART": "Start: ",
    "DTEND": "End: ",
    "LOCATION": "Location: ",
    "ORGANIZER": "Organizer: ",
    "DESCRIPTION": "\n",
    "COMMENT": "\n",
}
#: What an answer says (METHOD:REPLY), before who says it.
_ANSWERS = {
    "ACCEPTED": "Accepted: ",
    "DECLINED": "Declined: ",
    "TENTATIVE": "Tentative: ",
    "DELEGATED": "Delegated: ",
}
_PARTSTAT = re.compile(r";PARTSTAT=\"?([A-Z]{1,20})", re.IGNORECASE)
#: A line's name with its parameters, up to the first colon that is not inside quotation marks.
_NAME = re.compile(r'(?:[^":]++|"[^"]*+")*+(?=:)')
_WHEN = re.compile(r"(\d{4})(\d\d)(\d\d)(?:T(\d\d)(\d\d)\d\d(Z?))?")
_ZONE = re.compile(r"TZID=(?:\"([^\"]{1,80})\"|([^\";:]{1,80}))", re.IGNORECASE)
_MAILTO = re.compile(r"mailto:", re.IGNORECASE)


def calendar_text(calendar: str) -> str:
    """Give title, times, place, organizer, description and comment of each event in it; of an answer who accepted or declined."""
    shown: list[str] = []
    inside, events, answer = False, 0, False
    for line in _UNFOLD.sub("", calendar[:MAX_CALENDAR_CHARS]).splitlines():
        name, value = _name_and_value(line)
        label = name.partition(";")[0].upper()
        if label == "BEGIN":
            inside = value.upper() in ("VEVENT", "VTODO")
            events += inside
            if events > MAX_EVENTS:
                break
        elif label == "END":
            inside = False
        elif label == "METHOD" and not inside:
            answer = value.upper() in ("REPLY", "COUNTER")
        elif inside and label == "ATTENDEE" and answer:
            if (found := _PARTSTAT.search(name)) and (said := _ANSWERS.get(found[1].upper())):
                shown.append(said + _address(value))
        elif inside and label in _SHOWN and value:
            shown.append(_SHOWN[label] + _shown(label, name, value))
    return "\n".join(shown).strip()


def _name_and_value(line: str) -> tuple[str, str]:
    """Cut a line at its colon: a parameter in quotation marks may hold others ("(UTC-05:00) Eastern Time"). Source: RFC 5545, 3.1."""
    found = _NAME.match(line)
    if found is None:
        name, _, value = line.partition(":")
        return name, value.strip()
    return found[0], line[found.end() + 1 :].strip()


def _shown(label: str, name: str, value: str) -> str:
    if label in ("DTSTART", "DTEND"):
        found = _WHEN.match(value)
        if found is None:
            return value
        day = f"{found[1]}-{found[2]}-{found[3]}"
        if not found[4]:
            return day
        zone = _ZONE.search(name)
        return f"{day} {found[4]}:{found[5]}" + (
            " UTC" if found[6] else f" {zone[1] or zone[2]}" if zone else ""
        )
    if label == "ORGANIZER":
        return _address(value)
    return _ESCAPED.sub(lambda found: "\n" if found[1] in "nN" else found[1], value)


def _address(value: str) -> str:
    return value[7:] if _MAILTO.match(value) else value
