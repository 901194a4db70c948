#!/usr/bin/env bash
# ics.py never uses a VTIMEZONE; a zone named "Customized Time Zone 1" is an hour west
#
# Most would expect: a time with TZID is read by the VTIMEZONE of that name, which each
#   invitation from Outlook brings along; the library parses it, after all.
# Instead: the events are read before the zones, so that the table of zones is empty. What
#   dateutil knows by name (Europe/Berlin) is right; each other time, 09:00 in "W. Europe
#   Standard Time", is 09:00 UTC without a word. And dateutil reads a name with a number
#   in it as a rule of POSIX: "Customized Time Zone 1", Outlook's own, becomes UTC-1, and
#   "(UTC-05:00) Eastern Time (US & Canada)" becomes UTC+5, ten hours off.
# Seen with: ics 0.7.3 with python-dateutil 2.9.0.post0 (Python), beside icalendar 7.3.2,
#   2026-11-28. Source: ics/parsers/icalendar_parser.py (parsers run by name: parse_vevent
#   before parse_vtimezone); ics/utils.py, iso_to_arrow; dateutil/tz/tz.py, gettz.
# Why it matters here: most invitations in business come from Outlook. Each meeting is off
#   by the offset of its zone, and none of them fails.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

python3 -m venv env
env/bin/pip install -qq --disable-pip-version-check ics==0.7.3 python-dateutil==2.9.0.post0 icalendar==7.3.2

cat >show.py <<'END'
from importlib.metadata import version

import icalendar
import ics


def invitation(name, west=False):
    """A meeting at 09:00 in a zone of that name, which the file describes: Berlin's, or New York's."""
    standard, summer = ("-0500", "-0400") if west else ("+0100", "+0200")
    lines = [
        "BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:made up",
        "BEGIN:VTIMEZONE", f"TZID:{name}",
        "BEGIN:STANDARD", "DTSTART:19700101T030000", f"TZOFFSETFROM:{summer}", f"TZOFFSETTO:{standard}",
        "RRULE:FREQ=YEARLY;BYDAY=-1SU;BYMONTH=10", "END:STANDARD",
        "BEGIN:DAYLIGHT", "DTSTART:19700101T020000", f"TZOFFSETFROM:{standard}", f"TZOFFSETTO:{summer}",
        "RRULE:FREQ=YEARLY;BYDAY=-1SU;BYMONTH=3", "END:DAYLIGHT",
        "END:VTIMEZONE",
        "BEGIN:VEVENT", "UID:1@shop.example", "DTSTAMP:20261101T000000Z", f'DTSTART;TZID="{name}":20261130T090000',
        "DURATION:PT1H", "SUMMARY:call", "END:VEVENT",
        "END:VCALENDAR", "",
    ]  # fmt: skip
    return "\r\n".join(lines)


ZONES = {
    "Europe/Berlin": ("+01:00", "+01:00"),
    "W. Europe Standard Time": ("+01:00", "+00:00"),
    "Customized Time Zone 1": ("+01:00", "-01:00"),
    "(UTC-05:00) Eastern Time (US & Canada)": ("-05:00", "+05:00"),
}
for name, (right, wanted) in ZONES.items():
    text = invitation(name, west="05:00" in name)
    ours = next(iter(ics.Calendar(text).events)).begin.isoformat()
    theirs = icalendar.Calendar.from_ical(text).walk("VEVENT")[0]["DTSTART"].dt.isoformat()
    print(f"{name:39} icalendar: {theirs}   ics {version('ics')}: {ours}")
    assert theirs == f"2026-11-30T09:00:00{right}", "the control failed"
    assert ours == f"2026-11-30T09:00:00{wanted}", f"{name} is read otherwise now"
END
env/bin/python show.py
