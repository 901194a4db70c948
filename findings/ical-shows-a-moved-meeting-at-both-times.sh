#!/usr/bin/env bash
# ical shows a moved meeting at its old time too, if the series is in UTC
#
# Most would expect: one meeting of a series that was moved to Tuesday (RECURRENCE-ID with
#   a new DTSTART) stands on Tuesday, and no more on Monday, in whatever way the times are
#   written.
# Instead: with times in UTC (...Z), as programs without a zone of their own write them,
#   the timeline has both.
#   With a zone, without one, or for whole days it is as expected: the library keeps
#   "20261109T090000" for its own occurrence and compares it with "20261109T090000Z".
# Seen with: ical 14.3.1 (Python; Home Assistant's calendar is built on it), beside
#   recurring-ical-events 3.8.2 with icalendar 7.3.2, 2026-11-28.
# Why it matters here: a reminder is sent for the meeting that is no more.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

python3 -m venv env
env/bin/pip install -qq --disable-pip-version-check ical==14.3.1 recurring-ical-events==3.8.2 icalendar==7.3.2

cat >show.py <<'END'
from datetime import datetime, timezone
from importlib.metadata import version

import icalendar
import recurring_ical_events
from ical.calendar_stream import IcsCalendarStream

WAYS = {"UTC": ":{}Z", "a zone": ";TZID=Europe/Berlin:{}", "no zone": ":{}"}


def series(way):
    """Three Mondays, of which the second was moved to the Tuesday."""
    first, second, moved = (way.format(f"202611{day}T090000") for day in ("02", "09", "10"))
    lines = [
        "BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:made up",
        "BEGIN:VEVENT", "UID:1@shop.example", "DTSTAMP:20261101T000000Z", f"DTSTART{first}", "RRULE:FREQ=WEEKLY;COUNT=3",
        "SUMMARY:call", "END:VEVENT",
        "BEGIN:VEVENT", "UID:1@shop.example", "DTSTAMP:20261101T000000Z", f"DTSTART{moved}", f"RECURRENCE-ID{second}",
        "SUMMARY:moved call", "END:VEVENT",
        "END:VCALENDAR", "",
    ]  # fmt: skip
    return "\r\n".join(lines)


seen = {}
for name, way in WAYS.items():
    text = series(way)
    ours = [f"{event.dtstart.day}: {event.summary}" for event in IcsCalendarStream.calendar_from_ics(text).timeline]
    calendar = recurring_ical_events.of(icalendar.Calendar.from_ical(text))
    span = (datetime(2026, 11, 1, tzinfo=timezone.utc), datetime(2026, 12, 1, tzinfo=timezone.utc))
    theirs = sorted((event["DTSTART"].dt.day, str(event["SUMMARY"])) for event in calendar.between(*span))
    seen[name] = ours
    print(f"{name:8} ical {version('ical')}: {', '.join(ours)}")
    assert [f"{day}: {title}" for day, title in theirs] == ["2: call", "10: moved call", "16: call"], "the control failed"
assert seen["a zone"] == seen["no zone"] == ["2: call", "10: moved call", "16: call"], "the second control failed"
assert seen["UTC"] == ["2: call", "9: call", "10: moved call", "16: call"], "the moved meeting is shown once now"
END
env/bin/python show.py
