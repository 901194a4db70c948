#!/usr/bin/env bash
# JSON Logic: an empty e-mail address is missing in two libraries and there in the third
#
# Most would expect: rules in JSON are written once and judged alike in the browser, the
#   door and the worker; that is what JSON Logic is for.
# Instead: "missing" lists names that are absent, null or empty in the original and in
#   json-logic-qubit; for datalogic-py null and "" are there. No score (null) is less than 1 in
#   the original and in datalogic-py, and is not in json-logic-qubit; null == 0 is true in
#   datalogic-py alone. And a text with a null in it reads "Nonesaid" in json-logic-qubit.
# Seen with: json-logic-js 2.0.5 (npm), json-logic-qubit 0.9.1, datalogic-py 5.9.0
#   (Python), 2026-11-28. Source: json-logic-js, logic.js, the operation "missing".
# Why it matters here: "if the address is missing, ask a person" and "if the score is below
#   1, call" are the rules of a relay. Forms and help desks send "" and null for what was
#   left out.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

python3 -m venv env
env/bin/pip install -qq --disable-pip-version-check json-logic-qubit==0.9.1 datalogic-py==5.9.0
npm init -y >/dev/null
npm install --silent --no-audit --no-fund --ignore-scripts json-logic-js@2.0.5 >/dev/null

cat >rules.json <<'END'
{
  "event": {"email": "", "score": null, "name": "Ann"},
  "rules": {
    "absent is missing": {"missing": ["name", "phone"]},
    "empty is missing": {"missing": ["name", "email", "score"]},
    "null < 1": {"<": [{"var": "score"}, 1]},
    "null == 0": {"==": [{"var": "score"}, 0]},
    "text": {"cat": [{"var": "score"}, "said"]}
  }
}
END
cat >judge.py <<'END'
import copy
import json

import datalogic_py
import json_logic

given = json.load(open("rules.json"))
judges = {"json-logic-qubit": json_logic.jsonLogic, "datalogic-py": datalogic_py.apply}
print(json.dumps({who: {name: judge(copy.deepcopy(rule), given["event"]) for name, rule in given["rules"].items()} for who, judge in judges.items()}))
END
cat >show.mjs <<'END'
import assert from 'node:assert';
import fs from 'node:fs';
import { execFileSync } from 'node:child_process';
import logic from 'json-logic-js';

const { event, rules } = JSON.parse(fs.readFileSync('rules.json'));
const original = Object.fromEntries(Object.entries(rules).map(([name, rule]) => [name, logic.apply(rule, event)]));
const { 'json-logic-qubit': qubit, 'datalogic-py': datalogic } = JSON.parse(execFileSync('env/bin/python', ['judge.py']));
for (const name of Object.keys(rules)) console.log(name.padEnd(18), JSON.stringify({ 'json-logic-js': original[name], 'json-logic-qubit': qubit[name], 'datalogic-py': datalogic[name] }));
for (const judged of [original, qubit, datalogic]) assert.deepEqual(judged['absent is missing'], ['phone'], 'the control failed');
for (const judged of [original, qubit]) assert.deepEqual(judged['empty is missing'], ['email', 'score'], 'the second control failed');
assert.deepEqual(datalogic['empty is missing'], [], 'empty is missing for datalogic-py too');
assert.deepEqual([original, qubit, datalogic].map(judged => judged['null < 1']), [true, false, true], 'null < 1 has changed');
assert.deepEqual([original, qubit, datalogic].map(judged => judged['null == 0']), [false, false, true], 'null == 0 has changed');
assert.deepEqual([original, qubit, datalogic].map(judged => judged.text), ['said', 'Nonesaid', 'said'], 'a null in a text has changed');
END
node show.mjs
