#!/usr/bin/env bash
# mailparser (npm): the text of an HTML mail has its headings in capitals
#
# Most would expect: `mail.text` of a mail that has only HTML is its words without
#   the tags.
# Instead: what stands in h1 to h6 is upper-cased. "Key aB3-xZ" becomes "KEY
#   AB3-XZ": another key.
# Seen with: mailparser 3.14.2 (with html-to-text), 2026-11-28. Source: html-to-text,
#   option `uppercase` of headings, true by default; mailparser does not set it.
# Why it matters here: help desks and shops put ticket keys, links' codes and names
#   into headings; a reply's text, a thread key or a search then misses them.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

npm init -y >/dev/null
npm install --silent --no-audit --no-fund --ignore-scripts mailparser@3.14.2 >/dev/null

cat >show.mjs <<'END'
import assert from 'node:assert';
import { simpleParser } from 'mailparser';

const mail = body => `From: shop@example.com\r\nContent-Type: text/html; charset=utf-8\r\n\r\n${body}\r\n`;
const text = async body => (await simpleParser(mail(body))).text.trim();
const paragraph = await text('<p>Key aB3-xZ</p>');
const heading = await text('<h2>Key aB3-xZ</h2>');
console.log('expected: "Key aB3-xZ" in both');
console.log('in a paragraph:', JSON.stringify(paragraph));
console.log('in a heading:  ', JSON.stringify(heading));
assert.equal(paragraph, 'Key aB3-xZ', 'the control failed');
assert.equal(heading, 'KEY AB3-XZ', 'headings are no longer upper-cased');
END
node show.mjs
