#!/usr/bin/env bash
# iCalendar: over a change of clocks "P1D" and "PT24H" end at other hours by library
#
# Most would expect: P1D is a day (the same hour tomorrow) and PT24H is 24 hours; on the
#   night of the change they differ by one (RFC 5545, section 3.3.6: days are nominal,
#   hours are exact).
# Instead: node-ical reads both as 24 hours, icalendar reads both as a day. An event in
#   Berlin from Saturday 24 October 2026, 10:00, ends one hour apart, and each library is
#   wrong about one of the two. With DTEND they agree.
# Seen with: node-ical 0.26.1 (npm; 0.27.2 alike), icalendar 7.3.2 (Python), 2026-11-28.
#   Source: node-ical, ical.js, the part about curr.duration (utcAdd for each unit);
#   icalendar, attr.py, get_end_property: start + duration, which Python counts on the
#   wall clock for a time with a zone.
# Why it matters here: on-call shifts are written with a DURATION. Two services that read
#   the same shift hand it over an hour apart, on two nights of the year.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

python3 -m venv env
env/bin/pip install -qq --disable-pip-version-check icalendar==7.3.2
npm init -y >/dev/null
npm install --silent --no-audit --no-fund --ignore-scripts node-ical@0.26.1 >/dev/null

cat >show.cjs <<'END'
const ical = require('node-ical');

const ends = JSON.parse(process.argv[2]).map((text) =>
  Object.values(ical.sync.parseICS(text)).find(({ type }) => type === 'VEVENT').end.toISOString().slice(0, 16));
console.log(JSON.stringify(ends));
END
cat >show.py <<'END'
import datetime
import json
import subprocess
import sys

import icalendar

HEAD = "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:x\r\nBEGIN:VEVENT\r\nUID:1@example.com\r\nDTSTAMP:20261001T000000Z\r\n"
START = "DTSTART;TZID=Europe/Berlin:20261024T100000\r\n"
DAY, HOURS = "2026-10-25T09:00", "2026-10-25T08:00"
cases = {"DTEND;TZID=Europe/Berlin:20261025T100000": DAY, "DURATION:P1D": DAY, "DURATION:PT24H": HOURS}
texts = [f"{HEAD}{START}{line}\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n" for line in cases]


def end(text):
    event = icalendar.Calendar.from_ical(text).walk("VEVENT")[0]
    return event.end.astimezone(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M")


python = [end(text) for text in texts]
script = json.loads(subprocess.check_output([sys.argv[1], "show.cjs", json.dumps(texts)], text=True))
print("the end, in UTC                            expected          icalendar 7.3.2   node-ical 0.26.1")
for row in zip(cases, cases.values(), python, script, strict=True):
    print(f"  {row[0]:40}", "  ".join(row[1:]))
assert python[:2] == [DAY, DAY] and script[::2] == [DAY, HOURS], "the control failed"
assert python[2] == DAY, "icalendar counts hours otherwise now"
assert script[1] == HOURS, "node-ical counts days otherwise now"
END
env/bin/python show.py "$(command -v node)"
