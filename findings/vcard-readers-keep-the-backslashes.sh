#!/usr/bin/env bash
# vcf: the name of a card is "Ann Lee\, PhD", backslash and all
#
# Most would expect: a vCard 3.0 that one library writes is read by another as it was put
#   in: the marks before commas and line ends are of the file, not of the value.
# Instead: vcf of npm takes the folding off but not the marks: "Ann Lee\, PhD", and a note
#   with the two letters "\n" in it. vcards-js writes these marks, but none before a
#   semicolon in a company's name, so that "Lee; Sons, Ltd" is the company "Lee" with a
#   department " Sons, Ltd" for vobject, which takes the marks off.
# Seen with: vcards-js 2.11.1, vcf 2.1.2 (npm), vobject 0.9.9 (Python), 2026-11-29.
#   Source: vcards-js/lib/vCardFormatter.js, e(); vcf/lib/property.js, valueOf().
# Why it matters here: a contact that comes with a mail or a chat is a vCard. Its name is
#   stored with a backslash, no longer equals the one of the mail, and makes a second one.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

python3 -m venv env
env/bin/pip install -qq --disable-pip-version-check vobject==0.9.9
npm init -y >/dev/null
npm install --silent --no-audit --no-fund --ignore-scripts vcards-js@2.11.1 vcf@2.1.2 >/dev/null

cat >read.py <<'END'
import json
import sys

import vobject

card = vobject.readOne(sys.stdin.read())
print(json.dumps({"fn": card.fn.value, "note": card.note.value, "email": card.email.value, "org": card.org.value}))
END
cat >show.cjs <<'END'
const assert = require('node:assert');
const { execFileSync } = require('node:child_process');
const vCards = require('vcards-js');
const Vcf = require('vcf');

const card = vCards();
Object.assign(card, { firstName: 'Ann', lastName: 'Lee, PhD', email: 'ann@example.org', organization: 'Lee; Sons, Ltd', note: 'first line\nsecond, and last' });
const text = card.getFormattedString().replace(/\r?\n/g, '\r\n');
const read = new Vcf().parse(text);
const javascript = Object.fromEntries(['fn', 'note', 'email', 'org'].map((name) => [name, read.get(name).valueOf()]));
const python = JSON.parse(execFileSync('env/bin/python', ['read.py'], { input: text }));
console.log(text.split('\r\n').filter((line) => /^(FN|ORG|NOTE)/.test(line)).join('\n'));
console.log('vcf    ', JSON.stringify(javascript));
console.log('vobject', JSON.stringify(python));

assert.equal(javascript.email, 'ann@example.org', 'the control failed');
assert.deepEqual([python.email, python.fn, python.note], ['ann@example.org', 'Ann Lee, PhD', 'first line\nsecond, and last'], 'the second control failed');
assert.deepEqual([javascript.fn, javascript.note], ['Ann Lee\\, PhD', 'first line\\nsecond\\, and last'], 'vcf takes the marks off now');
assert.deepEqual(python.org, ['Lee', ' Sons, Ltd'], 'the semicolon of a company is marked now');
END
node show.cjs
