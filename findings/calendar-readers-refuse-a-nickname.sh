#!/usr/bin/env bash
# An organizer named Ann "Annie" Lee makes an invitation that three readers refuse whole
#
# Most would expect: a name with quotation marks in it is written so that it can be read,
#   and a reader that cannot read a name leaves the name out.
# Instead: ical-generator and ics, the two usual writers on npm, put a backslash before
#   the mark, as in a text; parameters know no backslash (RFC 6868 has ^' for it). ics,
#   ical and vobject of Python then raise an error for the whole calendar; icalendar drops
#   the organizer without a word; ical.js reads the name as Ann \ .
# Seen with: ical-generator 10.2.0, ics 3.12.0, ical.js 2.2.1 (npm), icalendar 7.3.2,
#   ics 0.7.3, ical 14.3.1, vobject 0.9.9 (Python), 2026-11-28. Format: RFC 5545, section
#   3.2 ("Property parameter values MUST NOT contain the DQUOTE character"); RFC 6868.
# Why it matters here: booking pages write invitations with these two. The meeting of one
#   customer with a nickname is missing, with its time and its guests.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

python3 -m venv env
env/bin/pip install -qq --disable-pip-version-check icalendar==7.3.2 ics==0.7.3 ical==14.3.1 vobject==0.9.9
npm init -y >/dev/null
npm install --silent --no-audit --no-fund --ignore-scripts ical-generator@10.2.0 ics@3.12.0 ical.js@2.2.1 >/dev/null

cat >write.mjs <<'END'
import fs from 'node:fs';
import generator from 'ical-generator';
import * as ics from 'ics';
import ICAL from 'ical.js';

for (const [kind, name] of [['plain', 'Ann Lee'], ['nickname', 'Ann "Annie" Lee']]) {
  const organizer = { name, email: 'ann@firm.example' };
  const event = { id: '1@firm.example', start: new Date('2026-11-30T09:00:00Z'), end: new Date('2026-11-30T10:00:00Z') };
  fs.writeFileSync(`${kind}-ical-generator.ics`, generator({ events: [{ ...event, summary: 'Call', organizer }] }).toString());
  const made = ics.createEvent({ uid: '1@firm.example', start: [2026, 11, 30, 9, 0], duration: { hours: 1 }, title: 'Call', organizer });
  fs.writeFileSync(`${kind}-ics.ics`, made.value);
  for (const writer of ['ical-generator', 'ics']) {
    const event = new ICAL.Component(ICAL.parse(fs.readFileSync(`${kind}-${writer}.ics`, 'utf8'))).getFirstSubcomponent('vevent');
    fs.appendFileSync(`${kind}-seen`, `${writer} ical.js: ${event.getFirstProperty('organizer').getParameter('cn')}\n`);
  }
}
END
cat >read.py <<'END'
import logging
import sys

import icalendar
import ics
import vobject
from ical.calendar_stream import IcsCalendarStream

logging.disable(logging.CRITICAL)


def by_icalendar(text):
    organizer = icalendar.Calendar.from_ical(text).walk("VEVENT")[0].get("ORGANIZER")
    return organizer.params.get("CN") if organizer else "no organizer"


READERS = {
    "icalendar": by_icalendar,
    "ics": lambda text: list(ics.Calendar(text).events)[0].organizer.common_name,
    "ical": lambda text: IcsCalendarStream.calendar_from_ics(text).events[0].organizer.common_name,
    "vobject": lambda text: vobject.readOne(text).vevent.organizer.params["CN"][0],
}
for writer in ("ical-generator", "ics"):
    text = open(f"{sys.argv[1]}-{writer}.ics", newline="").read()
    for name, reader in READERS.items():
        try:
            print(f"{writer} {name}: {reader(text)}")
        except Exception as error:
            print(f"{writer} {name}: {type(error).__name__}")
END
node write.mjs
for kind in plain nickname; do
  env/bin/python read.py $kind >>$kind-seen
  echo "$kind (writer, reader: organizer's name)"
  sed 's/^/  /' $kind-seen
done
[ "$(grep -c ': Ann Lee$' plain-seen)" = 10 ] || { echo "the control failed"; exit 1; }
for writer in ical-generator ics; do
  grep -q "^ORGANIZER.*Ann ..\"Annie" nickname-$writer.ics || grep -q 'Ann \\"Annie' nickname-$writer.ics || { echo "$writer writes it otherwise now"; exit 1; }
  for line in "ical.js: Ann \\\\" "icalendar: no organizer" "ics: ParseError" "ical: CalendarParseError" "vobject: ParseError"; do
    grep -qx "$writer $line *" nickname-seen || { echo "$writer to $line is otherwise now"; exit 1; }
  done
done
