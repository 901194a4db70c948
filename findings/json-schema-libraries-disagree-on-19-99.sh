#!/usr/bin/env bash
# JSON Schema: 19.99 is no multiple of 0.01 for two of three, and "DE\n" a country for one
#
# Most would expect: a schema of plain keywords (draft 7: multipleOf, pattern, integer)
#   gives one verdict in each of the validators that everybody uses.
# Instead: jsonschema and Ajv divide as floats and refuse 19.99, and 4.35 and 0.3 of 0.1,
#   while fastjsonschema divides decimals and takes them. For "^[A-Z]{2}$" jsonschema takes
#   "DE" with a line end behind it, since Python's "$" does; fastjsonschema and Ajv do not.
#   "^\w+$" takes "Müller" in both of Python and not in Ajv. All agree on 20.5 and 20.555.
# Seen with: jsonschema 4.26.0, fastjsonschema 2.22.3 (Python), ajv 8.20.0 (npm),
#   2026-11-29. Source: jsonschema/_keywords.py, multipleOf and pattern; fastjsonschema's
#   draft04.py, generate_multiple_of; ajv has an option multipleOfPrecision, which is off.
# Why it matters here: the schema of an event is written once, and checked by its sender
#   and by its receiver. What the one lets out with a price the other rejects.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

python3 -m venv env
env/bin/pip install -qq --disable-pip-version-check jsonschema==4.26.0 fastjsonschema==2.22.3
npm init -y >/dev/null
npm install --silent --no-audit --no-fund --ignore-scripts ajv@8.20.0 >/dev/null

cat >cases.json <<'END'
[
  [{"multipleOf": 0.5}, 20.5], [{"multipleOf": 0.01}, 20.555], [{"pattern": "^[A-Z]{2}$"}, "DE"], [{"pattern": "^[A-Z]{2}$"}, "DEU"], [{"type": "integer"}, 1.0],
  [{"multipleOf": 0.01}, 19.99], [{"multipleOf": 0.01}, 4.35], [{"multipleOf": 0.1}, 0.3],
  [{"pattern": "^[A-Z]{2}$"}, "DE\n"], [{"pattern": "^\\w+$"}, "Müller"]
]
END
cat >check.py <<'END'
import json

import fastjsonschema
import jsonschema

draft = "http://json-schema.org/draft-07/schema#"


def fast(schema, value):
    try:
        fastjsonschema.compile({"$schema": draft, **schema})(value)
    except fastjsonschema.JsonSchemaValueException:
        return False
    return True


cases = json.load(open("cases.json"))
print(json.dumps([[jsonschema.Draft7Validator(schema).is_valid(value) for schema, value in cases], [fast(schema, value) for schema, value in cases]]))
END
cat >show.cjs <<'END'
const assert = require('node:assert');
const { execFileSync } = require('node:child_process');
const Ajv = require('ajv');
const cases = require('./cases.json');

const [slow, fast] = JSON.parse(execFileSync('env/bin/python', ['check.py']));
const ajv = cases.map(([schema, value]) => new Ajv({ strict: false }).validate(schema, value));
cases.forEach(([schema, value], at) => console.log(JSON.stringify(schema).padEnd(26), JSON.stringify(value).padEnd(10), JSON.stringify({ jsonschema: slow[at], fastjsonschema: fast[at], ajv: ajv[at] })));
for (const verdicts of [slow, fast, ajv]) assert.deepEqual(verdicts.splice(0, 5), [true, false, true, false, true], 'the control failed');
assert.deepEqual(slow, [false, false, false, true, true], 'jsonschema decides in another way now');
assert.deepEqual(fast, [true, true, true, false, true], 'fastjsonschema decides in another way now');
assert.deepEqual(ajv, [false, false, false, false, false], 'Ajv decides in another way now');
END
node show.cjs
