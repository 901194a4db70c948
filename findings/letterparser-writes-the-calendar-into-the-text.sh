#!/usr/bin/env bash
# letterparser: the text of an invitation ends in its raw calendar data
#
# Most would expect: `text` is the letter's text/plain part. The text/calendar part of an
#   invitation is an attachment (mailparser, postal-mime), or is left out.
# Instead: every text/... part that is not HTML and not marked as an attachment is
#   appended to `text`: "See you there.\nBEGIN:VCALENDAR\nVERSION:2.0 ...", and the
#   list of attachments is empty, so that the calendar cannot be told from the words.
# Seen with: letterparser 0.1.8, mailparser 3.14.2, postal-mime 4.0.0 (npm), 2026-11-28.
#   Source: letterparser, lib/cjs/extractor.js: `type.startsWith("text/")`.
# Why it matters here: invitations from Outlook and Google are just such letters; each
#   ends up in the conversation with a page of DTSTART and RRULE lines under it.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

npm init -y >/dev/null
npm install --silent --no-audit --no-fund --ignore-scripts letterparser@0.1.8 mailparser@3.14.2 \
  postal-mime@4.0.0 >/dev/null

cat >show.mjs <<'END'
import assert from 'node:assert';
import { createRequire } from 'node:module';
import PostalMime from 'postal-mime';

const require = createRequire(import.meta.url);
const { extract } = require('letterparser');
const { simpleParser } = require('mailparser');

const letter = [
  'From: ann@example.com', 'Subject: Review', 'MIME-Version: 1.0',
  'Content-Type: multipart/alternative; boundary=b', '',
  '--b', 'Content-Type: text/plain; charset=utf-8', '', 'See you there.',
  '--b', 'Content-Type: text/html; charset=utf-8', '', '<p>See you there.</p>',
  '--b', 'Content-Type: text/calendar; charset=utf-8; method=REQUEST', '',
  'BEGIN:VCALENDAR', 'VERSION:2.0', 'METHOD:REQUEST', 'END:VCALENDAR',
  '--b--', '',
].join('\r\n');

const seen = (mail) => ({ text: mail.text.trim(), attachments: mail.attachments.length });
const rows = {
  mailparser: seen(await simpleParser(letter)),
  'postal-mime': seen(await PostalMime.parse(letter)),
  letterparser: seen(extract(letter)),
};
console.log('expected:', JSON.stringify({ text: 'See you there.', attachments: 1 }));
for (const [name, row] of Object.entries(rows)) console.log(`${name}:`, JSON.stringify(row));
for (const name of ['mailparser', 'postal-mime']) {
  assert.deepEqual(rows[name], { text: 'See you there.', attachments: 1 }, 'the control failed');
}
assert.match(rows.letterparser.text, /^See you there\.\nBEGIN:VCALENDAR\n/, 'the text has no calendar in it now');
assert.equal(rows.letterparser.attachments, 0, 'the calendar is listed as an attachment now');
END
node show.mjs
