#!/usr/bin/env bash
# Liquid: one template writes "Dec 1, 1.5 hours" in JavaScript and "Nov 30, 1 hours" in Python
#
# Most would expect: the template of a message gives one text wherever it is filled; dates
#   keep the zone that is written in them, and "divided_by" of two integers is an integer,
#   as Shopify's page about Liquid says.
# Instead: LiquidJS moves 2026-11-30T23:30:00-05:00 into the machine's zone, and divides
#   to fractions. python-liquid keeps the zone and cuts, but '%s' of that date is off by the
#   five hours of its zone, and a null that is appended is the word None. 2.5 is rounded to
#   3 here and to 2 there.
# Seen with: liquidjs 10.30.1 (npm), python-liquid 2.3.6 (Python), on a machine in UTC,
#   2026-11-28. LiquidJS has settings for the zone (preserveTimezones) and an argument for
#   the division; neither is on.
# Why it matters here: replies and notes are templates (Zendesk, Intercom, Customer.io).
#   The preview in the browser and the message from the worker name two days.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

python3 -m venv env
env/bin/pip install -qq --disable-pip-version-check python-liquid==2.3.6
npm init -y >/dev/null
npm install --silent --no-audit --no-fund --ignore-scripts liquidjs@10.30.1 >/dev/null

cat >templates.json <<'END'
{
  "event": {"at": "2026-11-30T23:30:00-05:00", "utc": "2026-12-01T04:30:00Z", "minutes": 90, "score": 2.5, "note": null},
  "templates": {
    "control": "{{ utc | date: '%b %-d' }}, {{ minutes | minus: 30 }}",
    "day": "{{ at | date: '%b %-d' }}",
    "hours": "{{ minutes | divided_by: 60 }}",
    "seconds": "{{ at | date: '%s' }}",
    "rounded": "{{ score | round }}",
    "note": "{{ 'said: ' | append: note }}"
  }
}
END
cat >fill.py <<'END'
import json

import liquid

given = json.load(open("templates.json"))
print(json.dumps({name: liquid.Template(text).render(**given["event"]) for name, text in given["templates"].items()}))
END
cat >show.mjs <<'END'
import assert from 'node:assert';
import fs from 'node:fs';
import { execFileSync } from 'node:child_process';
import { Liquid } from 'liquidjs';

const { event, templates } = JSON.parse(fs.readFileSync('templates.json'));
const python = JSON.parse(execFileSync('env/bin/python', ['fill.py']));
const engine = new Liquid();
const javascript = Object.fromEntries(Object.entries(templates).map(([name, text]) => [name, engine.parseAndRenderSync(text, event)]));
for (const [name, text] of Object.entries(templates)) console.log('%s %s', text.padEnd(52), JSON.stringify({ liquidjs: javascript[name], 'python-liquid': python[name] }));
const seconds = Date.parse(event.at) / 1000;
assert.equal(python.control, 'Dec 1, 60', 'the control failed');
assert.equal(javascript.control, 'Dec 1, 60', 'the second control failed');
const { control: one, ...first } = javascript;
const { control: two, ...second } = python;
assert.deepEqual(first, { day: 'Dec 1', hours: '1.5', seconds: `${seconds}`, rounded: '3', note: 'said: ' }, 'LiquidJS writes something else now');
assert.deepEqual(second, { day: 'Nov 30', hours: '1', seconds: `${seconds - 5 * 3600}`, rounded: '2', note: 'said: None' }, 'python-liquid writes something else now');
END
TZ=UTC node show.mjs
