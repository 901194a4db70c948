#!/usr/bin/env bash
# CEL: the hour of "23:30 in New York" is 4 for three libraries and 23 for the fourth
#
# Most would expect: timestamp(event.at).getHours() gives one answer wherever the rule
#   runs. CEL says which: methods of a timestamp count in UTC unless a zone is named.
# Instead: common-expression-language counts in the offset that stands in the text. For
#   2026-11-30T23:30:00-05:00 it is 23 o'clock on Monday the 30th; for cel-python and the
#   two of npm it is 4 o'clock on Tuesday the first of December. With a "Z" in the text all
#   agree. The way out, getHours("America/New_York"), is no method there.
# Seen with: common-expression-language 0.10.0, cel-python 0.5.0 (Python), @bufbuild/cel
#   0.6.1, @marcbachmann/cel-js 8.0.0 (npm), 2026-11-28. Format: CEL, Language definition,
#   Timestamp (getHours, getDayOfWeek, getDate, getMonth).
# Why it matters here: "outside of working hours" and "on a weekend" are rules. Of senders
#   that write Z (most) the two agree, so that the tests do; Jira and mails write an
#   offset.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

python3 -m venv env
env/bin/pip install -qq --disable-pip-version-check common-expression-language==0.10.0 cel-python==0.5.0
npm init -y >/dev/null
npm install --silent --no-audit --no-fund --ignore-scripts @bufbuild/cel@0.6.1 @marcbachmann/cel-js@8.0.0 >/dev/null

cat >rules.json <<'END'
{
  "times": {"utc": "2026-12-01T04:30:00Z", "offset": "2026-11-30T23:30:00-05:00"},
  "methods": ["getHours", "getDayOfWeek", "getDate", "getMonth"]
}
END
cat >evaluate.py <<'END'
import json

import cel
import celpy

rules = json.load(open("rules.json"))
environment = celpy.Environment()
seen = {}
for kind, at in rules["times"].items():
    expressions = [f"timestamp(event.at).{method}()" for method in rules["methods"]]
    event = {"at": at}
    seen[f"common-expression-language {kind}"] = [cel.evaluate(one, {"event": event}) for one in expressions]
    variables = {"event": celpy.json_to_cel(event)}
    seen[f"cel-python {kind}"] = [int(environment.program(environment.compile(one)).evaluate(variables)) for one in expressions]
json.dump(seen, open("python.json", "w"))
END
env/bin/python evaluate.py

cat >show.mjs <<'END'
import assert from 'node:assert';
import fs from 'node:fs';
import { run } from '@bufbuild/cel';
import { evaluate } from '@marcbachmann/cel-js';

const rules = JSON.parse(fs.readFileSync('rules.json'));
const seen = JSON.parse(fs.readFileSync('python.json'));
for (const [kind, at] of Object.entries(rules.times)) {
  const expressions = rules.methods.map(method => `timestamp(event.at).${method}()`);
  seen[`@bufbuild/cel ${kind}`] = expressions.map(one => Number(run(one, { event: { at } })));
  seen[`cel-js ${kind}`] = expressions.map(one => Number(evaluate(one, { event: { at } })));
}
for (const kind of Object.keys(rules.times)) {
  console.log(rules.times[kind], `(${rules.methods.join(', ')})`);
  for (const [who, numbers] of Object.entries(seen)) if (who.endsWith(` ${kind}`)) console.log('  ', who.padEnd(34), numbers.join(' '));
}
const libraries = ['cel-python', '@bufbuild/cel', 'cel-js'];
for (const who of [...libraries, 'common-expression-language']) assert.deepEqual(seen[`${who} utc`], [4, 2, 1, 11], 'the control failed');
for (const who of libraries) assert.deepEqual(seen[`${who} offset`], [4, 2, 1, 11], 'the second control failed');
assert.deepEqual(seen['common-expression-language offset'], [23, 1, 30, 10], 'the hours are those of UTC now');
END
node show.mjs
