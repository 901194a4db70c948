#!/usr/bin/env bash
# Python's JSON diffs: a field that goes from 0 to false, or 1 to true, has not changed
#
# Most would expect: a library that compares two JSON documents knows JSON's types; 0 and
#   false are two values there, and each of these libraries reports "1" and 1 as a change.
# Instead: dictdiffer, jsondiff, json-merge-patch and JYCM compare as Python does, where
#   False == 0, and find nothing. DeepDiff finds a changed type in a field, and nothing when
#   the same value stands in a list. jsonpatch finds each, and so does json-merge-patch of npm.
# Seen with: dictdiffer 0.10.0, jsondiff 2.2.1, json-merge-patch 0.3.0, jycm 1.5.0, deepdiff
#   9.1.0, jsonpatch 1.48 (Python), json-merge-patch 1.0.2 (npm), 2026-11-29.
# Why it matters here: what is sent to Planhat is what differs from last time. A source that
#   begins to send true where it sent 1 leaves the number there for good, and the check that
#   compares the two sides with the same library says that they are equal.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

python3 -m venv env
env/bin/pip install -qq --no-compile --disable-pip-version-check dictdiffer==0.10.0 jsondiff==2.2.1 json-merge-patch==0.3.0 jycm==1.5.0 deepdiff==9.1.0 jsonpatch==1.48
npm init -y >/dev/null
npm install --silent --no-audit --no-fund --ignore-scripts json-merge-patch@1.0.2 >/dev/null

cat >show.py <<'END'
import json
import subprocess

import deepdiff
import dictdiffer
import json_merge_patch
import jsondiff
import jsonpatch
from jycm.jycm import YouchamaJsonDiffer

PAIRS = {
    '"1" to 1': ({"vip": "1"}, {"vip": 1}),
    "0 to false": ({"vip": 0}, {"vip": False}),
    "1 to true": ({"vip": 1}, {"vip": True}),
    "[1] to [true]": ({"vip": [1]}, {"vip": [True]}),
}
SCRIPT = "const m = require('json-merge-patch'); console.log(JSON.stringify(JSON.parse(process.argv[1]).map(([a, b]) => m.generate(a, b) ?? null)))"


def jycm(before, after):
    differ = YouchamaJsonDiffer(before, after)
    differ.diff()
    return differ.to_dict(no_pairs=True)


LIBRARIES = {
    "jsonpatch": lambda before, after: jsonpatch.make_patch(before, after).patch,
    "dictdiffer": lambda before, after: list(dictdiffer.diff(before, after)),
    "jsondiff": jsondiff.diff,
    "json-merge-patch": json_merge_patch.create_patch,
    "JYCM": jycm,
    "DeepDiff": lambda before, after: dict(deepdiff.DeepDiff(before, after)),
}
seen = {name: [bool(differs(*pair)) for pair in PAIRS.values()] for name, differs in LIBRARIES.items()}
npm = subprocess.run(["node", "-e", SCRIPT, json.dumps(list(PAIRS.values()))], capture_output=True, text=True, check=True)
seen["json-merge-patch (npm)"] = [bool(patch) for patch in json.loads(npm.stdout)]
print("changed?".ljust(23), "".join(name.ljust(15) for name in PAIRS))
for name, found in seen.items():
    print(name.ljust(23), "".join(("yes" if one else "no").ljust(15) for one in found))
assert all(found[0] for found in seen.values()), "the control failed"
assert seen["jsonpatch"] == seen["json-merge-patch (npm)"] == [True] * 4, "the second control failed"
assert seen["DeepDiff"] == [True, True, True, False], "DeepDiff compares otherwise now"
for name in ("dictdiffer", "jsondiff", "json-merge-patch", "JYCM"):
    assert seen[name] == [True, False, False, False], f"{name} compares otherwise now"
END
env/bin/python show.py
