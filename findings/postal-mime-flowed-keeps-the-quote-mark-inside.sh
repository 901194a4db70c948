#!/usr/bin/env bash
# postal-mime: joining format=flowed lines leaves the ">" in mid-sentence
#
# Most would expect: two flowed quoted lines, "> a long " and "> sentence", become
#   one quoted line "> a long sentence" (RFC 3676, section 4.5: take the quote marks
#   off, join, put them back).
# Instead: the second line's mark stays where it was: "> a long > sentence". The
#   other side of the same mail is right: unquoted lines are joined well.
# Seen with: postal-mime 4.0.0, mailparser 3.14.2, 2026-11-28. Source:
#   postal-mime, src/mime-node.ts, the handling of `format=flowed`.
# Why it matters here: Thunderbird, Apple Mail and mutt send format=flowed. What
#   tells quote from answer looks at the beginning of lines, and passes such text on
#   with stray marks.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

npm init -y >/dev/null
npm install --silent --no-audit --no-fund --ignore-scripts postal-mime@4.0.0 mailparser@3.14.2 >/dev/null

cat >show.mjs <<'END'
import assert from 'node:assert';
import { simpleParser } from 'mailparser';
import PostalMime from 'postal-mime';

const mail = [
  'From: ann@example.com', 'Content-Type: text/plain; charset=utf-8; format=flowed', '',
  'This answer is ', 'one paragraph.', '', '> a long ', '> sentence', ''].join('\r\n');
const two = (await PostalMime.parse(mail)).text.trim().split('\n');
const one = (await simpleParser(mail)).text.trim().split('\n');
console.log('expected:    ', JSON.stringify(['This answer is one paragraph.', '', '> a long sentence']));
console.log('mailparser:  ', JSON.stringify(one));
console.log('postal-mime: ', JSON.stringify(two));
assert.equal(two[0], 'This answer is one paragraph.', 'the control failed');
assert.equal(one.at(-1), '> a long sentence', 'mailparser no longer joins the quote');
assert.equal(two.at(-1), '> a long > sentence', 'postal-mime now takes the mark away');
END
node show.mjs
