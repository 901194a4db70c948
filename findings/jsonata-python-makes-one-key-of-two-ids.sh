#!/usr/bin/env bash
# JSONata in Python: "ticket-" & id is "ticket-1.79583192612346e+15" for two tickets
#
# Most would expect: an integer of 16 digits, exact in JSON, in Python and in JavaScript, is
#   joined to a text as it is written; ports of one language give one text.
# Instead: jsonata-python writes numbers of more than 15 digits with an exponent and rounds
#   them, so that two ids that differ at the end become one. Inside of an object, by
#   $string({...}), the same number is whole. 7.5 % 2 is 1 there and 1.5 elsewhere. And a
#   time without a zone, "2026-11-30T10:00:00", is one of UTC in Python, and one of the
#   machine's zone in the original.
# Seen with: jsonata-python 0.7.1, jsonatapy 2.2.13 (Python), jsonata 2.2.2 (npm),
#   2026-11-28. Source: jsonata/functions.py, string (decimal.Context(prec=15));
#   jsonata/jsonata.py, the operator "%".
# Why it matters here: mappings from an event to a key are written in JSONata. Times in
#   microseconds and ids of chats have 16 digits and more: two threads become one.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

python3 -m venv env
env/bin/pip install -qq --disable-pip-version-check jsonata-python==0.7.1 jsonatapy==2.2.13
npm init -y >/dev/null
npm install --silent --no-audit --no-fund --ignore-scripts jsonata@2.2.2 >/dev/null

cat >mapping.json <<'END'
{
  "events": [{"id": 1795831926123456}, {"id": 1795831926123457}, {"id": 4711}],
  "expressions": ["'ticket-' & id", "$string({'id': id})", "7.5 % 2", "$toMillis('2026-11-30T10:00:00')", "$toMillis('2026-11-30T10:00:00Z')"]
}
END
cat >map.py <<'END'
import json

import jsonata
import jsonatapy

given = json.load(open("mapping.json"))
ports = {"jsonata-python": lambda expression, event: jsonata.Jsonata(expression).evaluate(event), "jsonatapy": jsonatapy.evaluate}
print(json.dumps({who: [[port(one, event) for event in given["events"]] for one in given["expressions"]] for who, port in ports.items()}))
END
cat >show.mjs <<'END'
import assert from 'node:assert';
import fs from 'node:fs';
import { execFileSync } from 'node:child_process';
import jsonata from 'jsonata';

const { events, expressions } = JSON.parse(fs.readFileSync('mapping.json'));
const original = await Promise.all(expressions.map(one => Promise.all(events.map(event => jsonata(one).evaluate(event)))));
const python = JSON.parse(execFileSync('env/bin/python', ['map.py']));
const seen = { jsonata: original, ...python };
expressions.forEach((one, at) => {
  console.log(one);
  for (const [who, answers] of Object.entries(seen)) console.log(`  ${who.padEnd(14)}`, [...new Set(answers[at])].join('  '));
});
const whole = ['ticket-1795831926123456', 'ticket-1795831926123457', 'ticket-4711'];
const rounded = 'ticket-1.79583192612346e+15';
for (const who of ['jsonata', 'jsonatapy']) assert.deepEqual(seen[who][0], whole, `the control failed: ${who}`);
assert.deepEqual(python['jsonata-python'][0], [rounded, rounded, whole[2]], 'the number is written in full now');
assert.equal(python['jsonata-python'][1][1], '{"id":1795831926123457}', 'the second control failed');
assert.deepEqual(['jsonata', 'jsonatapy', 'jsonata-python'].map(who => seen[who][2][0]), [1.5, 1.5, 1], 'the remainder has changed');
const hour = 3600_000;
const noon = Date.UTC(2026, 10, 30, 10);
for (const answers of Object.values(seen)) assert.equal(answers[4][0], noon, 'the third control failed');
assert.equal(python['jsonata-python'][3][0], noon, 'jsonata-python has another zone now');
assert.equal(original[3][0], noon + 5 * hour, 'jsonata takes UTC now');
END
TZ=America/New_York node show.mjs
