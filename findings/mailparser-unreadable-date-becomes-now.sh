#!/usr/bin/env bash
# mailparser (npm): a Date header that it cannot read becomes the time of parsing
#
# Most would expect: no date (as when the header is missing), or the raw text, so
#   that the program can fall back on the Received headers or say "unknown".
# Instead: `mail.date` is a proper Date: now. Parsed twice, the same mail has two
#   dates. "Fri, 27 Nov 2026 10:00:00 CEST" is enough: the zone's name is no name
#   that JavaScript's Date knows. postal-mime hands on the raw text.
# Seen with: mailparser 3.14.2, postal-mime 4.0.0, Node 20, 2026-11-28. Source:
#   mailparser, dist/cjs/mail-parser.js, the `date` case ("date parsing failed").
# Why it matters here: the conversation is dated, ordered and deduplicated by a time
#   that nobody wrote, and that looks genuine.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

npm init -y >/dev/null
npm install --silent --no-audit --no-fund --ignore-scripts mailparser@3.14.2 postal-mime@4.0.0 >/dev/null

cat >show.mjs <<'END'
import assert from 'node:assert';
import { simpleParser } from 'mailparser';
import PostalMime from 'postal-mime';

const mail = date => ['From: Ann <ann@example.com>', 'Subject: export', ...date, '', 'It fails.', ''].join('\r\n');
const parsed = async date => (await simpleParser(mail(date))).date;
const line = ['Date: Fri, 27 Nov 2026 10:00:00 CEST'];

const readable = await parsed(['Date: Fri, 27 Nov 2026 10:00:00 +0200']);
const missing = await parsed([]);
const began = Date.now();
const first = await parsed(line);
await new Promise(done => setTimeout(done, 50));
const second = await parsed(line);
const other = (await PostalMime.parse(mail(line))).date;

console.log('expected for "... 10:00:00 CEST": undefined, or the raw text');
console.log('mailparser, "+0200":     ', readable);
console.log('mailparser, no header:   ', missing);
console.log('mailparser, "CEST":      ', first, 'and, parsed again,', second);
console.log('postal-mime, "CEST":     ', other);
assert.equal(readable.toISOString(), '2026-11-27T08:00:00.000Z', 'the control failed');
assert.equal(missing, undefined, 'a missing header now has a date too');
assert(first.getTime() >= began && second > first, 'an unreadable date is no longer "now"');
assert.equal(other, 'Fri, 27 Nov 2026 10:00:00 CEST', 'postal-mime no longer hands on the raw text');
END
node show.mjs
