#!/usr/bin/env bash
# node-ical: the title of a meeting is a string, or an object, or a list
#
# Most would expect: event.summary is a string.
# Instead: it is one while the line reads "SUMMARY:Review". With a parameter
#   ("SUMMARY;LANGUAGE=en-us:Review", which is what Outlook and Exchange write) it is
#   { params, val }; put into a text that is "[object Object]". A DESCRIPTION that
#   comes twice (Outlook adds an HTML one as another property, others repeat it) is a
#   list, of which each member may be either.
# Seen with: node-ical 0.26.1 (npm), 2026-11-28. Source: ical.js in that package,
#   storeValueParameter and addTZ.
# Why it matters here: code that was written with Google's invitations works until
#   the first one from Outlook.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

npm init -y >/dev/null
npm install --silent --no-audit --no-fund --ignore-scripts node-ical@0.26.1 >/dev/null

cat >show.mjs <<'END'
import assert from 'node:assert';
import ical from 'node-ical';

const read = (...lines) => ical.sync.parseICS([
  'BEGIN:VCALENDAR', 'VERSION:2.0', 'PRODID:-//made up//EN', 'BEGIN:VEVENT', 'UID:1@example.com',
  'DTSTAMP:20261101T000000Z', 'DTSTART:20261127T100000Z', ...lines, 'END:VEVENT', 'END:VCALENDAR', ''].join('\r\n'))['1@example.com'];
const plain = read('SUMMARY:Review').summary;
const tagged = read('SUMMARY;LANGUAGE=en-us:Review').summary;
const twice = read('DESCRIPTION:one', 'DESCRIPTION;LANGUAGE=de:zwei').description;
console.log('expected:              "Review"');
console.log('SUMMARY:               ', JSON.stringify(plain));
console.log('SUMMARY;LANGUAGE=...:  ', JSON.stringify(tagged), `in a text: "${tagged}"`);
console.log('DESCRIPTION twice:     ', JSON.stringify(twice));
assert.equal(plain, 'Review', 'the control failed');
assert.deepEqual(tagged, { params: { LANGUAGE: 'en-us' }, val: 'Review' }, 'a parameter changes nothing now');
assert(Array.isArray(twice) && twice[0] === 'one' && twice[1].val === 'zwei', 'two descriptions are read otherwise now');
END
node show.mjs
