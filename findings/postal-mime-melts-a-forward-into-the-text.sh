#!/usr/bin/env bash
# postal-mime: a forwarded mail is no attachment, its text runs on in the outer one
#
# Most would expect: a message/rfc822 part ("forward as attachment") is listed among
#   the attachments, as mailparser does with the same bytes.
# Instead: attachments is empty. The inner mail's text stands at the end of the
#   outer text, under a header block that the sender did not write ("From: ...",
#   "Subject: ..." between two lines of hyphens). A reply reader cuts exactly at
#   such a block, so the forwarded words are first merged and then lost.
# Seen with: postal-mime 4.0.0, mailparser 3.14.2, planer 1.2.0, 2026-11-28. Source:
#   postal-mime, README, "forceRfc822Attachments"; src/postal-mime.ts.
# Why it matters here: two parsers, one mail: one attachment or none. And the chain
#   parser -> reply reader drops what the customer forwarded.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

npm init -y >/dev/null
npm install --silent --no-audit --no-fund --ignore-scripts postal-mime@4.0.0 mailparser@3.14.2 planer@1.2.0 >/dev/null

cat >show.mjs <<'END'
import assert from 'node:assert';
import { simpleParser } from 'mailparser';
import planer from 'planer';
import PostalMime from 'postal-mime';

const mail = [
  'From: ann@example.com', 'Subject: outer', 'MIME-Version: 1.0', 'Content-Type: multipart/mixed; boundary=b', '',
  '--b', 'Content-Type: text/plain', '', 'Please look at this.',
  '--b', 'Content-Type: message/rfc822', '',
  'From: bob@example.com', 'To: ann@example.com', 'Date: Fri, 27 Nov 2026 10:00:00 +0000', 'Subject: inner',
  'Content-Type: text/plain', '', 'The export fails.',
  '--b--', ''].join('\r\n');
const one = await simpleParser(mail);
const two = await PostalMime.parse(mail);
const reply = planer.extractFrom(two.text, 'text/plain');
console.log('expected: 1 attachment, text "Please look at this."');
console.log('mailparser: ', one.attachments.length, JSON.stringify(one.text));
console.log('postal-mime:', two.attachments.length, JSON.stringify(two.text));
console.log('what planer leaves of postal-mime\'s text:', JSON.stringify(reply));
assert.equal(one.attachments[0].contentType, 'message/rfc822', 'the control failed');
assert.equal(two.attachments.length, 0, 'postal-mime now lists the forwarded mail');
assert.match(two.text, /From: +bob@example\.com[^]*The export fails\./, 'postal-mime no longer merges the text');
assert(!reply.includes('The export fails.'), 'planer now keeps the forwarded words');
END
node show.mjs
