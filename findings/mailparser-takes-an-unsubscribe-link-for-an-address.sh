#!/usr/bin/env bash
# mailparser: a link to unsubscribe with the reader's address in it is a mail address, or lost
#
# Most would expect: `headers.get('list')` has the link of List-Unsubscribe as url and the
#   address as mail, as it has for a link without an "@".
# Instead: the header goes through the reader of address lists. A link with an "@" in it, as
#   senders write it who put the reader in (?to=ann@...), counts as an address: it is the mail,
#   in place of the true one, or it is overwritten by it; there is no url. A List-ID without
#   a name in front, the plainest form, has its id as name and no id.
# Seen with: mailparser 3.14.2 (npm), 2026-11-29. Source: mail-parser.js, parseListHeader.
#   Format: RFC 2369, section 2, and RFC 2919, section 3.
# Why it matters here: List headers tell a newsletter from a customer's mail and name the
#   list that it came through. A rule that asks for the id or for the url sees neither, and
#   whoever writes to `mail` writes to "https://...".
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

npm init -y >/dev/null
npm install --silent --no-audit --no-fund --ignore-scripts mailparser@3.14.2 >/dev/null

cat >show.mjs <<'END'
import assert from 'node:assert';
import { createRequire } from 'node:module';

const { simpleParser } = createRequire(import.meta.url)('mailparser');

const list = async (header) => (await simpleParser(`From: News <news@lists.example>\r\nSubject: News\r\n${header}\r\n\r\nHello\r\n`)).headers.get('list');
const seen = {};
for (const header of [
  'List-Unsubscribe: <mailto:off@lists.example>, <https://lists.example/off?id=7>',
  'List-Unsubscribe: <mailto:off@lists.example>, <https://lists.example/off?to=ann@shop.example>',
  'List-Unsubscribe: <https://lists.example/off?to=ann@shop.example>, <mailto:off@lists.example>',
  'List-ID: News <news.lists.example>',
  'List-ID: <news.lists.example>',
]) {
  seen[header] = await list(header);
  console.log('%s\n  %s', header, JSON.stringify(seen[header]));
}
const [control, second, third, named, bare] = Object.values(seen);
assert.deepEqual(control, { unsubscribe: { mail: 'off@lists.example', url: 'https://lists.example/off?id=7' } }, 'the control failed');
assert.deepEqual(named, { id: { name: 'News', id: 'news.lists.example' } }, 'the second control failed');
assert.deepEqual(second, { unsubscribe: { mail: 'https://lists.example/off?to=ann@shop.example' } }, 'a link is a link now');
assert.deepEqual(third, { unsubscribe: { mail: 'off@lists.example' } }, 'the link is kept now');
assert.deepEqual(bare, { id: { name: 'news.lists.example' } }, 'the id is an id now');
END
node show.mjs
