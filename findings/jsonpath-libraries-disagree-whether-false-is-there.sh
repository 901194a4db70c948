#!/usr/bin/env bash
# JSONPath: `[?(@.done)]` asks "is it there" in Python and "is it true" in JavaScript
#
# Most would expect: since RFC 9535 one path has one answer; `?@.done` is a test of
#   existence, a text is not equal to a number, and null is not smaller than 6.
# Instead: both Python libraries do so; both of npm hand the filter to JavaScript. There
#   false counts as missing, "7" > 1 and null < 6 hold, and 5 == "5". jsonpath-plus also
#   answers a slice with step -1 and a list of names with nothing;
#   none of it is an error.
# Seen with: python-jsonpath 2.2.2, jsonpath-ng 1.16.0 (Python), jsonpath 1.3.0,
#   jsonpath-plus 10.4.0 (npm), 2026-11-29.
# Why it matters here: hubs of webhooks and help desks pick fields by JSONPath. A rule that
#   was tried on a page in the browser finds other records in the worker.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

python3 -m venv env
env/bin/pip install -qq --disable-pip-version-check python-jsonpath==2.2.2 jsonpath-ng==1.16.0
npm init -y >/dev/null
npm install --silent --no-audit --no-fund --ignore-scripts jsonpath@1.3.0 jsonpath-plus@10.4.0 >/dev/null

cat >paths.json <<'END'
{
  "event": {"tasks": [{"id": 2, "n": 1, "done": false}, {"id": 3, "n": 5, "done": true}, {"id": 4, "n": "7"}, {"id": 5, "n": null}]},
  "controls": ["$..id", "$.tasks[?(@.done == true)].id", "$.tasks[1:3].id"],
  "paths": ["$.tasks[?(@.done)].id", "$.tasks[?(@.n > 1)].id", "$.tasks[?(@.n < 6)].id", "$.tasks[?(@.n == '5')].id", "$.tasks[::-1].id", "$.tasks[1]['id','n']"]
}
END
cat >find.py <<'END'
import json

import jsonpath
from jsonpath_ng.ext import parse

given = json.load(open("paths.json"))
paths = given["controls"] + given["paths"]
first = [jsonpath.findall(path, given["event"]) for path in paths]
second = [[match.value for match in parse(path).find(given["event"])] for path in paths]
print(json.dumps([first, second]))
END
cat >show.cjs <<'END'
const assert = require('node:assert');
const { execFileSync } = require('node:child_process');
const jsonpath = require('jsonpath');
const { JSONPath } = require('jsonpath-plus');
const { event, controls, paths } = require('./paths.json');

const all = controls.concat(paths);
const [python, ng] = JSON.parse(execFileSync('env/bin/python', ['find.py']));
const npm = all.map((path) => jsonpath.query(event, path));
const plus = all.map((path) => JSONPath({ path, json: event }));
all.forEach((path, at) => console.log(path.padEnd(32), JSON.stringify({ 'python-jsonpath': python[at], 'jsonpath-ng': ng[at], jsonpath: npm[at], 'jsonpath-plus': plus[at] })));
for (const found of [python, ng, npm, plus]) assert.deepEqual(found.splice(0, 3), [[2, 3, 4, 5], [3], [3, 4]], 'the control failed');
assert.deepEqual(python, [[2, 3], [3], [2, 3], [], [5, 4, 3, 2], [3, 5]], 'python-jsonpath finds something else now');
assert.deepEqual(ng, python, 'jsonpath-ng finds something else now');
assert.deepEqual(npm, [[3], [3, 4], [2, 3, 5], [3], [5, 4, 3, 2], [3, 5]], 'jsonpath finds something else now');
assert.deepEqual(plus, [[3], [3, 4], [2, 3, 5], [3], [], []], 'jsonpath-plus finds something else now');
END
node show.cjs
