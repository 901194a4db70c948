#!/usr/bin/env bash
# node-ical 0.26: a monthly meeting on the 31st is moved to the 30th, and stays there
#
# Most would expect: months without a 31st are skipped (RFC 5545, section 3.3.10: invalid
#   dates are ignored), or the last day is taken and the 31st comes back in its month.
# Instead: 31 August, 30 September, 30 October, 30 November: one short month, and every
#   later meeting is a day early. From the 31st of January it is the 28th for good. A
#   birthday of the 29th of February becomes the 28th. With BYMONTHDAY=31 it is right.
# Seen with: node-ical 0.26.1 with rrule-temporal 1.6.0 (npm); right in node-ical 0.27.2,
#   which asks for Node 22, so that npm gives 0.26.1 to everybody on Node 20; 2026-11-28.
#   Source: rrule-temporal 1.6.0: each date is the date before plus a month.
# Why it matters here: two services, one on Node 20 and one on 22, read the same
#   invitation into different days, and a reminder comes the day before.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

echo '{"private": true, "overrides": {"node-ical": {"rrule-temporal": "1.6.0"}}}' >package.json
options=(--silent --no-audit --no-fund --ignore-scripts --engine-strict=false)
npm install "${options[@]}" node-ical@0.26.1 >/dev/null
mkdir newer
echo '{"private": true}' >newer/package.json
(cd newer && npm install "${options[@]}" node-ical@0.27.2 >/dev/null)

cat >show.cjs <<'END'
const assert = require('node:assert');
const { createRequire } = require('node:module');

const libraries = { '0.26.1': require('node-ical'), '0.27.2': createRequire(`${__dirname}/newer/`)('node-ical') };

function dates(library, start, rule) {
  const lines = ['BEGIN:VCALENDAR', 'BEGIN:VEVENT', 'UID:1@example.com', `DTSTART:${start}T100000Z`,
    `RRULE:${rule};COUNT=4`, 'END:VEVENT', 'END:VCALENDAR', ''];
  const event = Object.values(library.sync.parseICS(lines.join('\r\n'))).find(({ type }) => type === 'VEVENT');
  return event.rrule.all().map((date) => date.toISOString().slice(0, 10)).join(' ');
}
const cases = [['20260831', 'FREQ=MONTHLY;BYMONTHDAY=31'], ['20260831', 'FREQ=MONTHLY'], ['20260131', 'FREQ=MONTHLY']];
const rows = cases.map(([start, rule]) => Object.entries(libraries).map(([version, library]) => {
  const row = dates(library, start, rule);
  console.log(`from ${start}, ${rule}, node-ical ${version}: ${row}`);
  return row;
}));
const right = '2026-08-31 2026-10-31 2026-12-31 2027-01-31';
assert.deepEqual([...rows[0], rows[1][1]], [right, right, right], 'the control failed');
assert.equal(rows[2][1], '2026-01-31 2026-03-31 2026-05-31 2026-07-31', 'the control failed');
assert.equal(rows[1][0], '2026-08-31 2026-09-30 2026-10-30 2026-11-30', 'the 31st is read otherwise now');
assert.equal(rows[2][0], '2026-01-31 2026-02-28 2026-03-28 2026-04-28', 'the 31st is read otherwise now');
END
node show.cjs
