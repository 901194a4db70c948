#!/usr/bin/env bash
# mailparser and postal-mime: a comment after the Message-ID becomes part of it
#
# Most would expect: "Message-ID: <1@example.com> (added by postmaster@example.com)"
#   has the id <1@example.com>; comments in parentheses are allowed in the header and
#   mean nothing (RFC 5322, section 3.6.4 and 3.2.2).
# Instead: postal-mime returns the whole line as the id; mailparser the whole line
#   and a ">" more. Neither can be found among the References of the replies, which
#   name <1@example.com>.
# Seen with: mailparser 3.14.2, postal-mime 4.0.0, 2026-11-28.
#   Source: mailparser, dist/cjs/mail-parser.js, ensureMessageIDFormat.
# Why it matters here: some gateways add an id to mail that has none, with such a
#   remark. The thread breaks between the first mail and all its answers.
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

const mail = id => `From: ann@example.com\r\nMessage-ID: ${id}\r\n\r\nhello\r\n`;
const ids = async id => [(await simpleParser(mail(id))).messageId, (await PostalMime.parse(mail(id))).messageId];
const plain = await ids('<1@example.com>');
const noted = await ids('<1@example.com> (added by postmaster@example.com)');
console.log('expected:    <1@example.com>');
console.log('mailparser:  ', noted[0]);
console.log('postal-mime: ', noted[1]);
assert.deepEqual(plain, ['<1@example.com>', '<1@example.com>'], 'the control failed');
assert.equal(noted[0], '<1@example.com> (added by postmaster@example.com)>', 'mailparser reads it otherwise now');
assert.equal(noted[1], '<1@example.com> (added by postmaster@example.com)', 'postal-mime reads it otherwise now');
END
node show.mjs
