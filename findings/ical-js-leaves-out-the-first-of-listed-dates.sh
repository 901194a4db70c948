#!/usr/bin/env bash
# ical.js: a meeting repeated on listed dates (RDATE) lacks its own first day
#
# Most would expect: DTSTART is the first of the dates, whether the others come from a
#   rule (RRULE) or from a list (RFC 5545, section 3.8.5.3 and 3.8.2.4).
# Instead: with RRULE it is; with RDATE alone the iterator begins at the first listed
#   date. A meeting on the 2nd, with RDATE the 10th and the 12th, takes place twice.
#   ical-expander, which is built on it, says the same; recurring-ical-events says
#   three times.
# Seen with: ical.js 2.2.1, ical-expander 3.2.0 (npm), recurring-ical-events 3.8.2 and
#   icalendar 7.3.2 (Python), 2026-11-28. Source: ical.js, lib/ical/recur_expansion.js,
#   _init: the list is searched for the first date after DTSTART.
# Why it matters here: planners write RDATE for workshops on chosen days. The first one is
#   missing from what the customer is told, and that is the one that comes next.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

python3 -m venv env
env/bin/pip install -qq --disable-pip-version-check recurring-ical-events==3.8.2 icalendar==7.3.2
npm init -y >/dev/null
npm install --silent --no-audit --no-fund --ignore-scripts ical.js@2.2.1 ical-expander@3.2.0 >/dev/null

cat >show.mjs <<'END'
import { createRequire } from 'node:module';
import ICAL from 'ical.js';

const IcalExpander = createRequire(import.meta.url)('ical-expander');
const answers = JSON.parse(process.argv[2]).map((ics) => {
  const event = new ICAL.Event(new ICAL.Component(ICAL.parse(ics)).getFirstSubcomponent('vevent'));
  const dates = event.iterator();
  const all = [];
  for (let date = dates.next(); date; date = dates.next()) all.push(date.day);
  const { occurrences } = new IcalExpander({ ics }).between(new Date('2026-11-01'), new Date('2026-12-01'));
  return { 'ical.js': all, 'ical-expander': occurrences.map(({ startDate }) => startDate.day) };
});
console.log(JSON.stringify(answers));
END
cat >show.py <<'END'
import datetime
import json
import subprocess
import sys

import icalendar
import recurring_ical_events

HEAD = "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:x\r\nBEGIN:VEVENT\r\nUID:1@example.com\r\nDTSTAMP:20261101T000000Z\r\n"
TAIL = "DTSTART:20261102T100000Z\r\nDURATION:PT1H\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
cases = {
    "RRULE:FREQ=DAILY;COUNT=3": [2, 3, 4],
    "RDATE:20261110T100000Z,20261112T100000Z": [2, 10, 12],
}
texts = [f"{HEAD}{line}\r\n{TAIL}" for line in cases]
script = json.loads(subprocess.check_output([sys.argv[1], "show.mjs", json.dumps(texts)], text=True))
month = datetime.date(2026, 11, 1), datetime.date(2026, 12, 1)
for (line, expected), text, row in zip(cases.items(), texts, script, strict=True):
    events = recurring_ical_events.of(icalendar.Calendar.from_ical(text)).between(*month)
    row["recurring-ical-events"] = sorted(event.start.day for event in events)
    print(f"DTSTART the 2nd, {line}\n  expected: {expected}, seen:", row)
    assert row.pop("recurring-ical-events") == expected, "the control failed"
    if line.startswith("RRULE"):
        assert all(days == expected for days in row.values()), "the control failed"
    else:
        assert all(days == [10, 12] for days in row.values()), "the first day is there now"
END
env/bin/python show.py "$(command -v node)"
