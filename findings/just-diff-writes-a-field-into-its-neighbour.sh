#!/usr/bin/env bash
# just-diff: a new field "Seats/year" is written into the field "Seats", without an error
#
# Most would expect: just-diff's jsonPatchPathConverter, which its page shows for "standard
#   paths", writes those of JSON Patch as each library reads them, with "~1" for a slash in a
#   key and "~0" for a tilde.
# Instead: it joins the keys with slashes as they are. "Seats/year" beside an object "Seats"
#   becomes a key "year" inside it, and "a~1b" becomes "a/b". Two libraries in two languages
#   apply the patch and say nothing; where there is no "Seats" they refuse it. The patches of
#   fast-json-patch and jsonpatch of the same two records are right in both.
# Seen with: just-diff 6.0.2, fast-json-patch 3.1.1 (npm), jsonpatch 1.48 (Python),
#   2026-11-29. Format: RFC 6902, section 4, and RFC 6901, section 3.
# Why it matters here: custom fields have the names that people give them: "Seats / year",
#   "EMEA/US". A change that was sent as a patch lands in another field of the record.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

python3 -m venv env
env/bin/pip install -qq --disable-pip-version-check jsonpatch==1.48
npm init -y >/dev/null
npm install --silent --no-audit --no-fund --ignore-scripts just-diff@6.0.2 fast-json-patch@3.1.1 >/dev/null

cat >apply.py <<'END'
import json
import sys

import jsonpatch

given = json.load(sys.stdin)
print(json.dumps([jsonpatch.apply_patch(given["before"], patch) for patch in given["patches"]] + [jsonpatch.make_patch(given["before"], given["after"]).patch]))
END
cat >show.cjs <<'END'
const assert = require('node:assert');
const { execFileSync } = require('node:child_process');
const { diff, jsonPatchPathConverter } = require('just-diff');
const fast = require('fast-json-patch');

const before = { custom: { Seats: { booked: 3 }, Plan: 'Gold' } };
const plain = { custom: { Seats: { booked: 4 }, Plan: 'Gold' } };
const after = { custom: { Seats: { booked: 3 }, Plan: 'Gold', 'Seats/year': 5, 'a~1b': 1 } };
const wrong = { custom: { Seats: { booked: 3, year: 5 }, Plan: 'Gold', 'a/b': 1 } };
const apply = (patch) => fast.applyPatch(fast.deepClone(before), fast.deepClone(patch)).newDocument;

const patches = [diff(before, plain, jsonPatchPathConverter), diff(before, after, jsonPatchPathConverter), fast.compare(before, after)];
const [first, second, third, ofPython] = JSON.parse(execFileSync('env/bin/python', ['apply.py'], { input: JSON.stringify({ before, after, patches }) }));
console.log('just-diff writes', JSON.stringify(patches[1].map((one) => one.path)), 'fast-json-patch', JSON.stringify(patches[2].map((one) => one.path)));
console.log('read by fast-json-patch:', JSON.stringify(apply(patches[1])));
console.log('read by jsonpatch:      ', JSON.stringify(second));
assert.deepEqual([apply(patches[0]), first], [plain, plain], 'the control failed');
assert.deepEqual([apply(patches[2]), third, apply(ofPython)], [after, after, after], 'the second control failed');
assert.deepEqual([apply(patches[1]), second], [wrong, wrong], 'the patch of just-diff is read otherwise now');
END
node show.cjs
