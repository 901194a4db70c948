#!/usr/bin/env bash
# adaptivecards-templating: "$when": false shows the element, "$when": true removes it
#
# Most would expect: `$when` keeps an element when it is true and drops it when false.
#   A constant is the simplest condition; an expression that gives "yes" or 5 is true.
# Instead: the constants mean the opposite: with false the element stays, with true it
#   is dropped. Only an expression whose result is exactly true keeps the element: a
#   text or a number drops it, although the same value counts as true in "${if(...)}"
#   and in "${x && true}".
# Seen with: adaptivecards-templating 2.3.1, adaptive-expressions 4.23.3 (npm, both from
#   Microsoft), 2026-11-28. Source: lib/template-engine.js, about line 335: what is no
#   expression falls into `else if (when)`, which drops.
# Why it matters here: cards to Teams are filled from settings. `"$when": settings.notify`,
#   put in by the program before expand(), shows the part to all who switched it off.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

npm init -y >/dev/null
npm install --silent --no-audit --no-fund --ignore-scripts adaptivecards-templating@2.3.1 \
  adaptive-expressions@4.23.3 >/dev/null

cat >show.cjs <<'END'
const assert = require('node:assert');
const { Template } = require('adaptivecards-templating');

function shown(when, data) {
  const card = { type: 'AdaptiveCard', body: [{ type: 'TextBlock', text: 'x', $when: when }] };
  return new Template(card).expand({ $root: data }).body.length === 1;
}
const truthy = new Template({ text: "${if(ok, 'true', 'false')}" }).expand({ $root: { ok: 'yes' } }).text;
const rows = [
  [true, { ok: true }, '${ok}', true],
  [false, { ok: false }, '${ok}', false],
  [true, {}, true, false],
  [false, {}, false, true],
  [true, { ok: 'yes' }, '${ok}', false],
  [true, { ok: 5 }, '${ok}', false],
  [true, { ok: 'yes' }, '${ok && true}', true],
];
console.log(`if(ok, ...) with ok = "yes" gives: ${truthy}`);
for (const [expected, data, when, now] of rows) {
  const is = shown(when, data);
  const [wanted, got] = [expected, is].map((yes) => (yes ? 'shown' : 'dropped'));
  console.log(`"$when": ${JSON.stringify(when)}, data ${JSON.stringify(data)}: expected ${wanted}, is ${got}`);
  assert.equal(is, now, expected === now ? 'the control failed' : `"$when": ${when} means otherwise now`);
}
assert.equal(truthy, 'true', 'the control failed');
END
node show.cjs
