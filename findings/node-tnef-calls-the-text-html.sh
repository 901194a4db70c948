#!/usr/bin/env bash
# node-tnef: a winmail.dat with plain text only has an HTML body, byte for byte the same
#
# Most would expect: of a winmail.dat whose message has a plain text, Body is that text,
#   and BodyHTML is missing, so that a program may prefer the HTML where there is one.
# Instead: BodyHTML holds the plain text too (its `case` falls through), as a list of the
#   bytes of UTF-16, and an attachment has its short name only, BROKEN~1.TXT; the long one
#   lies undecoded in the attributes. tnefparse gives the text as text, no HTML, and both
#   names.
# Seen with: node-tnef 1.4.0 (npm), beside tnefparse 1.4.0 (Python), 2026-11-28. Source:
#   dist/commands/parse.js, `case MAPIBody:` without a break. Format: Microsoft, MS-OXTNEF.
# Why it matters here: what Outlook sends to a mailbox as winmail.dat is shown as HTML: a
#   text with "<Ann>" or "5 < 6" in it loses words, and its line ends.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

python3 -m venv env
env/bin/pip install -qq --disable-pip-version-check tnefparse==1.4.0
npm init -y >/dev/null
npm install --silent --no-audit --no-fund --ignore-scripts node-tnef@1.4.0 >/dev/null

cat >read.py <<'END'
"""Write a winmail.dat with a text and a file, and read it with tnefparse."""
import struct

from tnefparse import TNEF


def attribute(level, kind, number, data):
    return struct.pack("<BHHI", level, number, kind, len(data)) + data + struct.pack("<H", sum(data) & 0xFFFF)


def properties(number, text):
    """One property of MAPI, a text in UTF-16."""
    data = (text + "\0").encode("utf-16-le")
    padded = data + b"\0" * (-len(data) % 4)
    return struct.pack("<IHHII", 1, 0x1F, number, 1, len(data)) + padded


mail = b"".join([
    struct.pack("<IH", 0x223E9F78, 1),
    attribute(1, 8, 0x9006, struct.pack("<I", 0x10000)),
    attribute(1, 6, 0x9007, struct.pack("<II", 65001, 0)),
    attribute(1, 7, 0x8008, b"IPM.Microsoft Mail.Note\0"),
    attribute(1, 6, 0x9003, properties(0x1000, "The desk is broken.")),
    attribute(2, 6, 0x9002, struct.pack("<HIHHI", 1, 0xFFFFFFFF, 0, 0, 0)),
    attribute(2, 1, 0x8010, b"BROKEN~1.TXT\0"),
    attribute(2, 6, 0x800F, b"a crack\n"),
    attribute(2, 6, 0x9005, properties(0x3707, "Broken leg.txt")),
])  # fmt: skip
with open("winmail.dat", "wb") as file:
    file.write(mail)
read = TNEF(mail)
(attached,) = read.attachments
print(f"tnefparse: body {read.body!r}, HTML {read.htmlbody}, file {attached.long_filename()!r}")
END
cat >read.cjs <<'END'
const fs = require('fs');
const tnef = require('node-tnef');

tnef.parse('winmail.dat', (error, read) => {
  if (error) throw error;
  const text = data => data && Buffer.from(data).toString('utf16le').replace('\0', '');
  fs.writeFileSync('seen', `node-tnef: body ${text(read.Body)} HTML ${text(read.BodyHTML)} file ${read.Attachments[0].Title}\n`);
});
END
env/bin/python read.py >first
node read.cjs >log
cat first seen
grep -qx "tnefparse: body 'The desk is broken.', HTML None, file 'Broken leg.txt'" first || { echo "the control failed"; exit 1; }
grep -qx "node-tnef: body The desk is broken. HTML The desk is broken. file BROKEN~1.TXT" seen || { echo "node-tnef reads it otherwise now"; exit 1; }
