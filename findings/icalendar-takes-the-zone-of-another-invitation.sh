#!/usr/bin/env bash
# icalendar: one invitation's time zone is used for the next sender's
#
# Most would expect: a calendar is read by what stands in it. Its VTIMEZONE defines
#   the TZIDs of its own events; a TZID that it does not define is an error, or gives
#   a time without a zone.
# Instead: each VTIMEZONE with a name of its own is kept for the whole process, under
#   its bare name, and the first one wins. A second calendar that defines "Customized
#   Time Zone" (the name that Outlook gives to every such zone) as UTC-5 is read with
#   the UTC+9 of a calendar read before, by another customer: 14 hours off. Read
#   alone it is right.
# Seen with: icalendar 7.3.2 (Python), ical.js 2.2.1 (npm), 2026-11-28. Source:
#   icalendar/timezone/tzp.py, cache_timezone_component and timezone().
# Why it matters here: a relay reads the invitations of all its customers in one
#   process, for days. What time is shown depends on who wrote before.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

python3 -m venv env
env/bin/pip install -qq --disable-pip-version-check icalendar==7.3.2
npm init -y >/dev/null
npm install --silent --no-audit --no-fund --ignore-scripts ical.js@2.2.1 >/dev/null

cat >show.py <<'END'
import subprocess
import sys
from importlib.metadata import version

ICS = """BEGIN:VCALENDAR
VERSION:2.0
PRODID:-//made up//EN
{zone}BEGIN:VEVENT
UID:1@example.com
DTSTAMP:20261101T000000Z
DTSTART;TZID=Customized Time Zone:20261127T100000
SUMMARY:Review
END:VEVENT
END:VCALENDAR
"""
ZONE = """BEGIN:VTIMEZONE
TZID:Customized Time Zone
BEGIN:STANDARD
DTSTART:16010101T000000
TZOFFSETFROM:{offset}
TZOFFSETTO:{offset}
END:STANDARD
END:VTIMEZONE
"""
TOKYO, BOGOTA, NONE = (ICS.format(zone=zone).replace("\n", "\r\n") for zone in
                       (ZONE.format(offset="+0900"), ZONE.format(offset="-0500"), ""))


def offset(text):
    """Return the offset from UTC of the event's start, in hours, or None."""
    from icalendar import Calendar

    (event,) = Calendar.from_ical(text).walk("VEVENT")
    delta = event.decoded("dtstart").utcoffset()
    return None if delta is None else delta.total_seconds() / 3600


if len(sys.argv) > 2:
    print([offset({"tokyo": TOKYO, "bogota": BOGOTA, "none": NONE}[name]) for name in sys.argv[2:]])
    raise SystemExit


def fresh(*names):
    """Read calendars one after the other in a new process; return their offsets."""
    command = [sys.executable, __file__, sys.argv[1], *names]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def javascript(*texts):
    command = [sys.argv[1], "show.cjs", *texts]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


alone, after, undefined = fresh("bogota"), fresh("tokyo", "bogota"), fresh("tokyo", "none")
script = javascript(TOKYO, BOGOTA)
print("hours from UTC; the calendars say +9 (A), -5 (B), nothing (C), all under one name")
print(f"icalendar {version('icalendar')}, B alone:          {alone}   expected [-5.0]")
print(f"icalendar {version('icalendar')}, A and then B:     {after}   expected [9.0, -5.0]")
print(f"icalendar {version('icalendar')}, A and then C:     {undefined}   expected [9.0, None]")
print(f"ical.js 2.2.1, A and then B:       {script}")
assert alone == "[-5.0]" and fresh("none") == "[None]" and script == "[9,-5]", "the control failed"
assert after == "[9.0, 9.0]", "the second calendar's own zone is used now"
assert undefined == "[9.0, 9.0]", "the first calendar's zone no longer reaches the third"
END
cat >show.cjs <<'END'
const load = require('ical.js');
const ICAL = load.default || load;

const offsets = process.argv.slice(2).map(text => {
  const event = new ICAL.Event(new ICAL.Component(ICAL.parse(text)).getFirstSubcomponent('vevent'));
  return event.startDate.zone.utcOffset(event.startDate) / 3600;
});
console.log(JSON.stringify(offsets));
END
env/bin/python show.py "$(command -v node)"
