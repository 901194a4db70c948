#!/usr/bin/env bash
# PyPI's uuid7: ids of "version 7" that are in the year 2203 for all others
#
# Most would expect: the package named uuid7 makes the UUIDv7 of RFC 9562, 48 bits of
#   milliseconds in front, so that ids of all services sort by time.
# Instead: it follows an early draft: 36 bits of seconds, then fractions. The version
#   digit is 7 all the same, and validators take it. What reads the time as the RFC says
#   finds a day in 2203; sorted among ids of uuid6 (Python) or uuid (npm) they come last,
#   each and always, though in the right order among themselves.
# Seen with: uuid7 0.1.0, uuid6 2025.0.1 (Python), uuid 14.0.3 (npm), 2026-11-28. Source:
#   uuid_extensions/uuid7.py. Format: RFC 9562, section 5.7.
# Why it matters here: event ids are made at one end and ordered, cut into days or expired
#   at the other. "Newest first" shows one service only, and "older than 30 days" never
#   takes its events.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

python3 -m venv env
env/bin/pip install -qq --disable-pip-version-check uuid7==0.1.0 uuid6==2025.0.1
npm init -y >/dev/null
npm install --silent --no-audit --no-fund --ignore-scripts uuid@14.0.3 >/dev/null

cat >make.py <<'END'
import json

import uuid6
import uuid_extensions

moment = 1_796_083_200_000_000_000
made = {"uuid7": [str(uuid_extensions.uuid7(moment + second * 10**9)) for second in (0, 1)], "uuid6": [str(uuid6.uuid7()) for _ in (0, 1)]}
json.dump({**made, "today": str(uuid_extensions.uuid7())}, open("made.json", "w"))
END
env/bin/python make.py

cat >show.mjs <<'END'
import assert from 'node:assert';
import fs from 'node:fs';
import { v7, validate, version } from 'uuid';

const made = JSON.parse(fs.readFileSync('made.json'));
const time = id => new Date(parseInt(id.replaceAll('-', '').slice(0, 12), 16));
const ids = { 'uuid7 (PyPI)': made.today, 'uuid6 (PyPI)': made.uuid6[1], 'uuid (npm)': v7() };
for (const [who, id] of Object.entries(ids)) {
  assert(validate(id) && version(id) === 7, 'the control failed');
  console.log(`${who.padEnd(13)} ${id}  version ${version(id)}, time ${time(id).toISOString()}`);
}
const hour = 3600_000;
for (const who of ['uuid6 (PyPI)', 'uuid (npm)']) assert(Math.abs(time(ids[who]) - Date.now()) < hour, 'the second control failed');
assert(made.uuid7[0] < made.uuid7[1], 'the third control failed');
const years = time(made.uuid7[0]).getUTCFullYear();
console.log(`uuid7 of 2026-12-01: ${made.uuid7[0]}, read as of ${years}; last when sorted: ${Object.values(ids).sort().at(-1) === made.today}`);
assert(years > 2200, 'uuid7 follows the RFC now');
assert.equal(Object.values(ids).sort().at(-1), made.today, 'uuid7 sorts among the others now');
END
node show.mjs
