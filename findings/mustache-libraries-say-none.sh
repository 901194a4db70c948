#!/usr/bin/env bash
# Mustache: a null is "None" in one Python library, and 0 is true in Handlebars
#
# Most would expect: templates of Mustache's own specification (sections, dots, variables)
#   give one text everywhere, and Handlebars says that it is "largely compatible"; null is
#   written as nothing.
# Instead: Pystache writes None for a null, and does not know `items.0`, which the other
#   Python library and mustache.js do. In Handlebars {{#count}} with 0 and {{#note}} with ""
#   are filled ({{^count}} is not), and a name inside {{#company}} that the company lacks is
#   not looked up outside, as it is in the three others.
# Seen with: pystache 0.6.8, chevron 0.14.0 (Python), mustache 4.2.0, handlebars 4.7.10
#   (npm), 2026-11-29. Source: pystache/renderengine.py, fetch_string;
#   handlebars/lib/handlebars/helpers/block-helper-missing.js.
# Why it matters here: bodies of webhooks and mails (Postmark, SendGrid, Mailgun) are such
#   templates: "Dear None", or a paragraph about 0 open tickets from one sender only.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

python3 -m venv env
env/bin/pip install -qq --disable-pip-version-check pystache==0.6.8 chevron==0.14.0
npm init -y >/dev/null
npm install --silent --no-audit --no-fund --ignore-scripts mustache@4.2.0 handlebars@4.7.10 >/dev/null

cat >templates.json <<'END'
{
  "event": {"who": "Ann", "salutation": null, "count": 0, "note": "", "labels": ["new", "late"], "company": {"name": "Acme"}, "tickets": [{"no": 1}, {"no": 2}]},
  "templates": {
    "control": "{{who}} of {{company.name}}: {{#tickets}}{{no}};{{/tickets}}{{#labels}}{{.}},{{/labels}}",
    "null": "Dear {{salutation}}.",
    "zero": "{{#count}}tickets{{/count}}{{^count}}nothing{{/count}}",
    "empty": "{{#note}}note{{/note}}{{^note}}nothing{{/note}}",
    "outer": "{{#company}}{{name}}, {{who}}{{/company}}"
  },
  "first": "{{labels.0}}"
}
END
cat >fill.py <<'END'
import json

import chevron
import pystache

given = json.load(open("templates.json"))
print(
    json.dumps(
        [
            {name: fill(text, given["event"]) for name, text in {**given["templates"], "first": given["first"]}.items()}
            for fill in (pystache.render, chevron.render)
        ]
    )
)
END
cat >show.cjs <<'END'
const assert = require('node:assert');
const { execFileSync } = require('node:child_process');
const mustache = require('mustache');
const handlebars = require('handlebars');
const { event, templates, first } = require('./templates.json');

const [pystache, chevron] = JSON.parse(execFileSync('env/bin/python', ['fill.py']));
const fill = (all, one) => Object.fromEntries(Object.entries(all).map(([name, text]) => [name, one(text)]));
const js = fill({ ...templates, first }, (text) => mustache.render(text, event));
const bars = fill(templates, (text) => handlebars.compile(text)(event));
for (const name of Object.keys(js)) console.log(name.padEnd(8), JSON.stringify({ pystache: pystache[name], chevron: chevron[name], mustache: js[name], handlebars: bars[name] }));
const control = 'Ann of Acme: 1;2;new,late,';
const expected = { control, null: 'Dear .', zero: 'nothing', empty: 'nothing', outer: 'Acme, Ann', first: 'new' };
assert.deepEqual(js, expected, 'the control failed');
assert.deepEqual(chevron, expected, 'the second control failed');
assert.deepEqual(pystache, { ...expected, null: 'Dear None.', first: '' }, 'Pystache writes something else now');
assert.deepEqual(bars, { control, null: 'Dear .', zero: 'tickets', empty: 'note', outer: 'Acme, ' }, 'Handlebars writes something else now');
END
node show.cjs
