#!/usr/bin/env bash
# Nunjucks: a template that Jinja2 fills with one ticket lists all of them
#
# Most would expect: Nunjucks took its language from Jinja2, so that a
#   template with the constructs both have gives one text; what one lacks is an error.
# Instead: `selectattr("state", "equalto", "open")` is taken, but the test is thrown away:
#   each ticket with a state is selected. `sum(attribute="n")` is NaN. An empty list is
#   true in `{% if %}`, `-7 % 3` is -1, a `set` in a loop is seen after it, `items[-1]` is
#   nothing, and truncate(12) counts not its three dots. None of it is an error.
# Seen with: nunjucks 3.2.4 (npm), Jinja2 3.1.6, minijinja 3.1.0 (Python; it agrees with
#   Jinja2, and was not asked to truncate), 2026-11-29. Source: src/filters.js, selectattr,
#   which has one argument beside the list and ignores the others; sum.
# Why it matters here: texts to customers are templates. One that was tried in the browser
#   names closed tickets too, or says "your open tickets:" to those who have none.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

python3 -m venv env
env/bin/pip install -qq --disable-pip-version-check jinja2==3.1.6 minijinja==3.1.0
npm init -y >/dev/null
npm install --silent --no-audit --no-fund --ignore-scripts nunjucks@3.2.4 >/dev/null

cat >templates.json <<'END'
{
  "event": {
    "tickets": [{"no": 1, "state": "open", "n": 2}, {"no": 2, "state": "closed", "n": 3}],
    "waiting": [], "days": [3, 1, 10], "late": -7, "text": "the quick brown fox jumps"
  },
  "templates": {
    "control": "{% for t in tickets %}{{ loop.index }}:{{ t.state|upper }} {% endfor %}{{ days|sort|join('<') }}",
    "select": "{% for t in tickets|selectattr('state', 'equalto', 'open') %}{{ t.no }} {% endfor %}",
    "sum": "{{ tickets|sum(attribute='n') }}",
    "empty": "{% if waiting %}some{% else %}no{% endif %}",
    "modulo": "{{ late % 3 }}",
    "loop": "{% set n = 0 %}{% for d in days %}{% set n = n + 1 %}{% endfor %}{{ n }}",
    "last": "{{ days[-1] }}"
  },
  "cut": "{{ text|truncate(12) }}"
}
END
cat >fill.py <<'END'
import json

import jinja2
import minijinja

given = json.load(open("templates.json"))
first, second = jinja2.Environment(), minijinja.Environment()
print(
    json.dumps(
        {
            "jinja2": {name: first.from_string(text).render(given["event"]) for name, text in given["templates"].items()},
            "minijinja": {name: second.render_str(text, **given["event"]) for name, text in given["templates"].items()},
            "cut": first.from_string(given["cut"]).render(given["event"]),
        }
    )
)
END
cat >show.cjs <<'END'
const assert = require('node:assert');
const { execFileSync } = require('node:child_process');
const nunjucks = require('nunjucks');
const { event, templates, cut } = require('./templates.json');

const python = JSON.parse(execFileSync('env/bin/python', ['fill.py']));
const engine = new nunjucks.Environment(null, { autoescape: false });
const seen = Object.fromEntries(Object.entries(templates).map(([name, text]) => [name, engine.renderString(text, event)]));
for (const name of Object.keys(templates)) console.log(name.padEnd(8), JSON.stringify({ jinja2: python.jinja2[name], minijinja: python.minijinja[name], nunjucks: seen[name] }));
const short = engine.renderString(cut, event);
console.log('cut     ', JSON.stringify({ jinja2: python.cut, nunjucks: short }));

const { control, ...rest } = seen;
assert.equal(control, '1:OPEN 2:CLOSED 1<3<10', 'the control failed');
assert.deepEqual(python.jinja2, { control, select: '1 ', sum: '5', empty: 'no', modulo: '2', loop: '0', last: '10' }, 'the control of Jinja2 failed');
assert.deepEqual(python.minijinja, python.jinja2, 'the control of MiniJinja failed');
assert.deepEqual(rest, { select: '1 2 ', sum: 'NaN', empty: 'some', modulo: '-1', loop: '3', last: '' }, 'Nunjucks writes something else now');
assert.deepEqual([python.cut, short], ['the...', 'the quick...'], 'the texts are cut in another way now');
END
node show.cjs
