#!/usr/bin/env bash
# JMESPath: "seats > 1" fails the whole query in Python, and selects a text in JavaScript
#
# Most would expect: JMESPath is a specification with tests for all languages; to order a
#   text and a number gives null there, so that such an element is left out.
# Instead: one element with the seats "7", and jmespath of Python raises TypeError, for the
#   good elements too; it is no JMESPathError. jmespath of npm compares as JavaScript does
#   and selects it; only the community's version leaves it out. The same three disagree on
#   to_number: '' is 0 in JavaScript, '1_000' is 1000 in Python; both should be null.
# Seen with: jmespath 1.1.0 (Python), jmespath 0.16.0 and @jmespath-community/jmespath
#   1.3.0 (npm), 2026-11-29. Source: jmespath/visitor.py, visit_comparator (_is_comparable
#   is asked of each side alone, and a text is); jmespath/functions.py, _func_to_number.
# Why it matters here: rules about events are often JMESPath. A field that a form sends as
#   text in one event of a hundred ends the batch in the worker, and the preview shows it.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

python3 -m venv env
env/bin/pip install -qq --disable-pip-version-check jmespath==1.1.0
npm init -y >/dev/null
npm install --silent --no-audit --no-fund --ignore-scripts jmespath@0.16.0 @jmespath-community/jmespath@1.3.0 >/dev/null

cat >rules.json <<'END'
{
  "event": {"items": [{"id": 2, "seats": 1}, {"id": 3, "seats": 5}, {"id": 4, "seats": "7"}, {"id": 5, "seats": null}], "empty": "", "code": "1_000", "total": "12.5"},
  "rules": ["items[?seats == `5`].id", "to_number(total)", "items[:2] | [?seats > `1`].id", "items[?seats > `1`].id", "to_number(empty)", "to_number(code)"]
}
END
cat >ask.py <<'END'
import json

import jmespath
from jmespath.exceptions import JMESPathError

given = json.load(open("rules.json"))


def ask(rule):
    try:
        return jmespath.search(rule, given["event"])
    except TypeError as error:
        return f"{type(error).__name__}, {'a' if isinstance(error, JMESPathError) else 'no'} JMESPathError"


print(json.dumps([ask(rule) for rule in given["rules"]]))
END
cat >show.cjs <<'END'
const assert = require('node:assert');
const { execFileSync } = require('node:child_process');
const first = require('jmespath');
const second = require('@jmespath-community/jmespath');
const { event, rules } = require('./rules.json');

const python = JSON.parse(execFileSync('env/bin/python', ['ask.py']));
const npm = rules.map((rule) => first.search(event, rule));
const community = rules.map((rule) => second.search(event, rule));
rules.forEach((rule, at) => console.log(rule.padEnd(30), JSON.stringify({ python: python[at], npm: npm[at], community: community[at] })));
const good = [[3], 12.5, [3]];
for (const answers of [python, npm, community]) assert.deepEqual(answers.splice(0, 3), good, 'the control failed');
assert.deepEqual(python, ['TypeError, no JMESPathError', null, 1000], 'Python answers something else now');
assert.deepEqual(npm, [[3, 4], 0, null], 'jmespath of npm answers something else now');
assert.deepEqual(community, [[3], 0, null], "the community's version answers something else now");
END
node show.cjs
