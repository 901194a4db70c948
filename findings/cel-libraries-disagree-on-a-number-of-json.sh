#!/usr/bin/env bash
# CEL: "order.total > 99.5" fails on a total of 250, or "order.total * 2 > 200" does
#
# Most would expect: rules with numbers of a JSON event give the same answer in each
#   library of CEL, since 250 and 250.0 are one number in JSON; and a rule that fails is
#   no match.
# Instead: cel-python takes 250 for an int, and an int may not be compared with 99.5; for
#   250.5 the same rule is true. The two of npm take both for a double, which compares with
#   all, but may not be multiplied by 2; common-expression-language multiplies 250, and not
#   250.5. Only "order.total > 99" is true with all. And @bufbuild/cel does not throw:
#   run() returns an error object, which counts as true, so that `if (run(rule, event))`
#   goes on where the rule could not be evaluated.
# Seen with: cel-python 0.5.0, common-expression-language 0.10.0 (Python), @bufbuild/cel
#   0.6.1, @marcbachmann/cel-js 8.0.0 (npm), 2026-11-28. Format: CEL, Language definition,
#   Numeric values; its README shows run() without isCelError().
# Why it matters here: a filter that was tested with a total of 249.90 fails on each round
#   sum; with the last library it lets through all that it cannot judge.
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
  "rules": ["order.total > 99", "order.total > 99.5", "order.total * 2 > 200"],
  "events": ["{\"total\": 250}", "{\"total\": 250.5}"]
}
END
cat >evaluate.py <<'END'
import json

import cel
import celpy


def celpy_run(rule, order):
    environment = celpy.Environment()
    return bool(environment.program(environment.compile(rule)).evaluate({"order": celpy.json_to_cel(order)}))


def answer(run, *arguments):
    try:
        return run(*arguments)
    except Exception:
        return "error"


given = json.load(open("rules.json"))
seen = {}
for text in given["events"]:
    order = json.loads(text)
    seen[f"cel-python {text}"] = [answer(celpy_run, rule, order) for rule in given["rules"]]
    seen[f"common-expression-language {text}"] = [answer(cel.evaluate, rule, {"order": order}) for rule in given["rules"]]
json.dump(seen, open("python.json", "w"))
END
env/bin/python evaluate.py

cat >show.mjs <<'END'
import assert from 'node:assert';
import fs from 'node:fs';
import { isCelError, run } from '@bufbuild/cel';
import { evaluate } from '@marcbachmann/cel-js';

const { rules, events } = JSON.parse(fs.readFileSync('rules.json'));
const seen = JSON.parse(fs.readFileSync('python.json'));
const answer = call => {
  try {
    const result = call();
    return isCelError(result) ? 'error' : result;
  } catch {
    return 'error';
  }
};
for (const text of events) {
  const order = JSON.parse(text);
  seen[`@bufbuild/cel ${text}`] = rules.map(rule => answer(() => run(rule, { order })));
  seen[`cel-js ${text}`] = rules.map(rule => answer(() => evaluate(rule, { order })));
}
console.log(rules.join(' | '));
for (const [who, answers] of Object.entries(seen)) console.log(who.padEnd(44), answers.join(' '));
let taken = false;
if (run(rules[2], { order: { total: 5 } })) taken = true;
console.log(`a total of 5 ${taken ? 'passes' : 'does not pass'} if (run("${rules[2]}", ...)) of @bufbuild/cel`);

const [whole, broken] = events;
for (const [who, answers] of Object.entries(seen)) assert.equal(answers[0], true, `the control failed: ${who}`);
assert.deepEqual(seen[`cel-python ${whole}`], [true, 'error', true], 'cel-python compares an int with a double now');
assert.deepEqual(seen[`cel-python ${broken}`], [true, true, true], 'the second control failed');
assert.deepEqual(seen[`common-expression-language ${whole}`], [true, true, true], 'the third control failed');
assert.deepEqual(seen[`common-expression-language ${broken}`], [true, true, 'error'], 'common-expression-language multiplies now');
for (const who of ['@bufbuild/cel', 'cel-js']) {
  for (const text of events) assert.deepEqual(seen[`${who} ${text}`], [true, true, 'error'], `${who} multiplies now`);
}
assert(taken, 'run() throws, or its error counts as false now');
END
node show.mjs
