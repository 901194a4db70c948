#!/usr/bin/env bash
# Microsoft's Graph client: a filter for "R&D" asks for "R", and for ann+lee for "ann lee"
#
# Most would expect: what is handed to .filter() and .search() arrives at Graph as it was
#   written; encoding it is the client's work, as it is in fetch's own URLSearchParams.
# Instead: the client joins the text to the address as it is. Blanks and quotation marks are
#   encoded later by fetch, so that most filters work; "&" ends the filter and begins another
#   parameter, "#" ends the address, "+" is read as a blank. What is cut is no
#   valid filter any more, and a mistake comes to light; the one for ann+lee@... is valid, for
#   an address that nobody has. A second .filter() replaces the first, unlike .select().
# Seen with: @microsoft/microsoft-graph-client 3.0.7 (npm), Node 20, 2026-11-29. Source:
#   GraphRequest.createQueryString, `property + "=" + oDataQueryParams[property]`.
# Why it matters here: addresses with a plus are what help desks hand out, and "Ticket #4711"
#   is the subject that one looks for. "No mail of this sender" is believed, and sent anew.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

npm init -y >/dev/null
npm install --silent --no-audit --no-fund --ignore-scripts @microsoft/microsoft-graph-client@3.0.7 >/dev/null

cat >show.mjs <<'END'
import assert from 'node:assert';
import { readFileSync } from 'node:fs';
import http from 'node:http';
import { Client } from '@microsoft/microsoft-graph-client';

const asked = [];
const server = http.createServer((call, answer) => {
  asked.push(Object.fromEntries(new URL(call.url, 'http://graph').searchParams));
  answer.writeHead(200, { 'content-type': 'application/json' }).end('{"value":[]}');
});
await new Promise(ready => server.listen(0, '127.0.0.1', ready));
const base = `http://127.0.0.1:${server.address().port}`;
const client = Client.init({ baseUrl: base, customHosts: new Set(['127.0.0.1']), authProvider: done => done(null, 'made up') });

async function heard(ask) {
  await ask(client.api('/me/messages')).get();
  return asked.pop();
}
const FILTERS = {
  plain: "subject eq 'The export fails'",
  and: "subject eq 'R&D'",
  hash: "subject eq 'Ticket #4711'",
  plus: "from/emailAddress/address eq 'ann+lee@example.com'",
};
const seen = {};
for (const [name, filter] of Object.entries(FILTERS)) {
  seen[name] = await heard(api => api.filter(filter));
  console.log(filter.padEnd(54), '->', JSON.stringify(seen[name]));
  await fetch(`${base}/?${new URLSearchParams({ $filter: filter })}`);
  assert.equal(asked.pop().$filter, filter, 'the control failed');
}
const search = await heard(api => api.search('"R&D"'));
const twice = await heard(api => api.filter('isRead eq false').filter("importance eq 'high'").select('id').select('subject'));
server.closeAllConnections();
server.close();
const version = JSON.parse(readFileSync('node_modules/@microsoft/microsoft-graph-client/package.json')).version;
console.log('search "R&D" ->', JSON.stringify(search));
console.log('two filters, two selects ->', JSON.stringify(twice), `(client ${version})`);
assert.deepEqual(seen.plain, { $filter: FILTERS.plain }, 'the second control failed');
assert.deepEqual(seen.and, { $filter: "subject eq 'R", "D'": '' }, 'an ampersand is kept now');
assert.deepEqual(seen.hash, { $filter: "subject eq 'Ticket " }, 'a hash is kept now');
assert.deepEqual(seen.plus, { $filter: "from/emailAddress/address eq 'ann lee@example.com'" }, 'a plus is kept now');
assert.deepEqual(search, { $search: '"R', 'D"': '' }, 'a search is kept now');
assert.deepEqual(twice, { $filter: "importance eq 'high'", $select: 'id,subject' }, 'two filters are joined now');
END
node show.mjs
