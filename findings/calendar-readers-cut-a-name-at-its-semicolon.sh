#!/usr/bin/env bash
# A guest named "Lee; Ann" is called "Lee, and a meeting in a zone with a colon has no start
#
# Most would expect: what stands in quotation marks is one value, whatever is in it; that
#   is what they are for. Readers that take a colon there take a semicolon too.
# Instead: node-ical and ts-ics split the parameters at each semicolon first: the name is
#   `"Lee`, with the opening mark. ics-parser cuts at the first colon as well: of
#   DTSTART;TZID="(UTC-05:00) Eastern Time (US & Canada)":20261130T090000, as Exchange
#   writes it, no start is left, without an error. ical.js reads all of it.
# Seen with: node-ical 0.27.2, ts-ics 2.4.6, ics-parser 0.1.5, ical.js 2.2.1 (npm),
#   2026-11-28. Format: RFC 5545, section 3.2 (quoted-string).
# Why it matters here: names from a directory ("Lee; Ann (Sales)"), and the zones of one
#   mail server out of two. We found the colon in our own reader in this way.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

npm init -y >/dev/null
npm install --silent --no-audit --no-fund --ignore-scripts node-ical@0.27.2 ts-ics@2.4.6 ics-parser@0.1.5 ical.js@2.2.1 >/dev/null

cat >show.mjs <<'END'
import assert from 'node:assert';
import ICAL from 'ical.js';
import nodeIcal from 'node-ical';
import icsParser from 'ics-parser';
import { convertIcsCalendar } from 'ts-ics';

const invitation = (name, zone = '') => [
  'BEGIN:VCALENDAR', 'VERSION:2.0', 'PRODID:made up', 'BEGIN:VEVENT', 'UID:1@shop.example', 'DTSTAMP:20261101T000000Z',
  `ORGANIZER;CN="${name}":mailto:ann@firm.example`, 'SUMMARY:Call', `DTSTART${zone}:20261130T090000`, `DTEND${zone}:20261130T100000`,
  'END:VEVENT', 'END:VCALENDAR', '',
].join('\r\n');
const readers = {
  'ical.js': text => {
    const event = new ICAL.Component(ICAL.parse(text)).getFirstSubcomponent('vevent');
    return [event.getFirstProperty('organizer').getParameter('cn'), event.getFirstPropertyValue('dtstart').toString().slice(0, 16)];
  },
  'node-ical': text => {
    const event = Object.values(nodeIcal.sync.parseICS(text)).find(part => part.type === 'VEVENT');
    return [event.organizer.params.CN, event.start && 'a start'];
  },
  'ts-ics': text => {
    const event = convertIcsCalendar(undefined, text).events[0];
    return [event.organizer.name, event.start && 'a start'];
  },
  'ics-parser': text => {
    const event = icsParser(text).find(part => part.type === 'VEVENT');
    return [event.organizer.name, event.startDate && 'a start'];
  },
};
const zone = ';TZID="(UTC-05:00) Eastern Time (US & Canada)"';
const texts = { comma: invitation('Lee, Ann'), semicolon: invitation('Lee; Ann'), zone: invitation('Lee, Ann', zone) };
const seen = {};
for (const [reader, read] of Object.entries(readers)) {
  for (const [kind, text] of Object.entries(texts)) seen[`${reader} ${kind}`] = read(text);
  console.log(reader.padEnd(11), ...Object.keys(texts).map(kind => `${kind}: ${seen[`${reader} ${kind}`]}  `));
}
const bare = name => name.replaceAll('"', '');
for (const reader of Object.keys(readers)) assert.equal(bare(seen[`${reader} comma`][0]), 'Lee, Ann', 'the control failed');
assert.deepEqual(seen['ical.js semicolon'], ['Lee; Ann', '2026-11-30T09:00'], 'the second control failed');
for (const reader of ['node-ical', 'ts-ics', 'ics-parser']) assert.equal(seen[`${reader} semicolon`][0], '"Lee', `${reader} reads the name now`);
assert(seen['node-ical zone'][1] && seen['ts-ics zone'][1] && seen['ical.js zone'][1], 'the third control failed');
assert.equal(seen['ics-parser zone'][1], undefined, 'ics-parser reads the zone now');
END
node show.mjs
