#!/usr/bin/env bash
# eml-parse-js and eml-format: the simplest mail there is has no text
#
# Most would expect: a mail without any MIME header is plain text in ASCII (RFC 2045,
#   section 5.2: that is the default), so its body is `text`.
# Instead: `text` is undefined, and the words are the contents of an attachment that has
#   no name and no type. With the line "Content-Type: text/plain" the same mail has its
#   text. mailparser and postal-mime read both.
# Seen with: eml-parse-js 1.1.15, eml-format 0.6.1, mailparser 3.14.2, postal-mime 4.0.0
#   (npm), 2026-11-28. Source: eml-parse-js, lib/bundle.cjs.js, _append ("undefined
#   Content-Type"); eml-format, lib/eml-format.js, the same function.
# Why it matters here: such mails come from cron, printers, monitors and old systems, the
#   very ones that write to help desks unasked. Each arrives empty, with a nameless file.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

npm init -y >/dev/null
npm install --silent --no-audit --no-fund --ignore-scripts eml-parse-js@1.1.15 eml-format@0.6.1 mailparser@3.14.2 \
  postal-mime@4.0.0 >/dev/null

cat >show.mjs <<'END'
import assert from 'node:assert';
import { createRequire } from 'node:module';
import PostalMime from 'postal-mime';

const require = createRequire(import.meta.url);
const { readEml } = require('eml-parse-js');
const emlFormat = require('eml-format');
const { simpleParser } = require('mailparser');
console.warn = () => {};

const plain = 'From: monitor@example.com\r\nSubject: disk\r\n\r\nThe disk is full.\r\n';
const named = plain.replace('\r\n\r\n', '\r\nContent-Type: text/plain\r\n\r\n');
const promised = (read) => (mail) => new Promise((done, fail) => {
  read(mail, (error, data) => (error ? fail(error) : done(data)));
});
const readers = {
  mailparser: simpleParser,
  'postal-mime': (mail) => PostalMime.parse(mail),
  'eml-parse-js': promised(readEml),
  'eml-format': promised((mail, done) => emlFormat.read(mail, done)),
};
console.log('expected: "The disk is full." and 0 attachments, twice');
for (const [name, read] of Object.entries(readers)) {
  const [without, withType] = [await read(plain), await read(named)];
  const seen = (mail) => `${JSON.stringify(mail.text?.trim())}, ${mail.attachments?.length ?? 0} attachments`;
  console.log(`${name}: ${seen(without)}   with a Content-Type: ${seen(withType)}`);
  assert.equal(withType.text.trim(), 'The disk is full.', 'the control failed');
  if (name.startsWith('eml')) {
    assert.equal(without.text, undefined, `${name} finds the text now`);
    const [file] = without.attachments;
    assert.equal(file.name, undefined, `${name} names the attachment now`);
    assert.equal(String(file.data).trim(), 'The disk is full.', `${name} lists something else`);
  } else {
    assert.equal(without.text.trim(), 'The disk is full.', 'the control failed');
  }
}
END
node show.mjs
