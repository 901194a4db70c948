#!/usr/bin/env bash
# Business hours: a ticket of one Friday, opened at 8:00 and closed at 18:00, took two days
#
# Most would expect: with hours of 9 to 17, from 8:00 to 18:00 of a Friday is one business
#   day or part of it, half an hour before the office opens is none, and two libraries agree.
# Instead: dayjs-business-time moves a start outside the hours back to the end of the last
#   business day and an end outside them forward, and counts the days between: Friday 8:00 to
#   18:00 is Thursday to Monday, 2 days for 8 hours; an hour on Saturday or 8:00 to 8:30 is a
#   day of no hours. From 9 to 17 it is 0 days for the same 8 hours. moment-business-time says
#   1, 0, 0 and 1 day, but cuts 1 h 15 min to one hour. And its sign is that of diff(), later
#   minus earlier, while the other's is turned round: what is 8 for diff() is -8.
# Seen with: dayjs 1.11.23, dayjs-business-time 1.0.4, moment 2.31.0, moment-business-time
#   2.0.0 (npm), 2026-11-29. Source: dayjs-business-time's dist/index.js,
#   fixDatesToCalculateDiff and businessDaysDiff.
# Why it matters here: help desks promise an answer in business time, and the number goes
#   into the CRM as it is. Days that hold no hour break the promise on paper.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

npm init -y >/dev/null
npm install --silent --no-audit --no-fund --ignore-scripts dayjs@1.11.23 dayjs-business-time@1.0.4 moment@2.31.0 moment-business-time@2.0.0 >/dev/null

cat >show.cjs <<'END'
const assert = require('node:assert');
const dayjs = require('dayjs');
const moment = require('moment-business-time');

dayjs.extend(require('dayjs-business-time'));
const week = ['sunday', 'monday', 'tuesday', 'wednesday', 'thursday', 'friday', 'saturday'];
const open = (at) => at >= 1 && at <= 5;
dayjs.setBusinessTime(Object.fromEntries(week.map((day, at) => [day, open(at) ? [{ start: '09:00:00', end: '17:00:00' }] : null])));
moment.updateLocale('en', { workinghours: Object.fromEntries(week.map((day, at) => [at, open(at) ? ['09:00:00', '17:00:00'] : null])) });

const spans = {
  'Mon 9:00 to Fri 9:00': ['2026-11-23T09:00', '2026-11-27T09:00'],
  'Fri 8:00 to 18:00': ['2026-11-27T08:00', '2026-11-27T18:00'],
  'Fri 8:00 to 8:30': ['2026-11-27T08:00', '2026-11-27T08:30'],
  'Sat 12:00 to 13:00': ['2026-11-28T12:00', '2026-11-28T13:00'],
  'Fri 9:00 to 17:00': ['2026-11-27T09:00', '2026-11-27T17:00'],
  'Fri 16:30 to Mon 9:45': ['2026-11-27T16:30', '2026-11-30T09:45'],
};
const seen = {};
for (const [name, [start, end]] of Object.entries(spans)) {
  const first = [dayjs(start).businessDaysDiff(dayjs(end)), dayjs(start).businessHoursDiff(dayjs(end))];
  const second = ['days', 'hours'].map((unit) => moment(end).workingDiff(moment(start), unit));
  seen[name] = [first, second];
  console.log('%s dayjs-business-time: %d days, %d h; moment-business-time: %d days, %d h', name.padEnd(21), ...first, ...second);
}
const [start, end] = spans['Fri 9:00 to 17:00'].map((text) => dayjs(text));
const signs = [end.diff(start, 'hour'), end.businessHoursDiff(start)];
console.log('Fri 17:00 less 9:00: diff() %d, businessHoursDiff() %d', ...signs);
const [control, ...others] = Object.values(seen);
assert.deepEqual(control, [[4, 32], [4, 32]], 'the control failed');
assert.deepEqual(others, [[[2, 8], [1, 8]], [[1, 0], [0, 0]], [[1, 0], [0, 0]], [[0, 8], [1, 8]], [[1, 1.25], [0, 1]]], 'they count otherwise now');
assert.deepEqual(signs, [8, -8], 'the signs agree now');
END
TZ=UTC node show.cjs
