#!/usr/bin/env bash
# Singer: "1,5" is 15, "no" is true, and a list of tags is a text that no JSON reader reads
#
# Most would expect: the Transformer of Singer's taps brings a value into a type of the
#   schema where that is possible without doubt, and raises SchemaMismatch where it is not,
#   as it does for "n/a" in a field of numbers.
# Instead: commas are taken out of texts before they are read as numbers, so that "1,5" as
#   it is written in half of Europe is 15.0; a number with decimals in a field of integers
#   is cut; each text but "false" and "" is true, "no", "off" and "0" too. A field that may
#   be an integer or a text makes an integer of "0049301234" and loses the noughts, though
#   it was a text and a text is allowed; the order in the schema decides. A list in a field
#   of texts becomes Python's own writing, "['vip', 'eu']", and "10" in a field of dates is
#   the 10th of this month.
# Seen with: singer-python 6.8.0 (Python), 2026-11-29. Source:
#   singer/transform.py, Transformer._transform.
# Why it matters here: the taps for Zendesk, HubSpot and Intercom bring their custom fields
#   through it, and what agents typed there is relayed so. Nothing is refused or logged.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

python3 -m venv env
env/bin/pip install -qq --disable-pip-version-check singer-python==6.8.0

cat >show.py <<'END'
import logging
from datetime import date
from importlib.metadata import version

logging.disable(logging.CRITICAL)
from singer.transform import SchemaMismatch, Transformer  # noqa: E402

FIELDS = {
    "hours": {"type": ["null", "number"]},
    "seats": {"type": ["null", "integer"]},
    "escalated": {"type": ["null", "boolean"]},
    "phone": {"type": ["null", "integer", "string"]},
    "phone_as_text": {"type": ["null", "string", "integer"]},
    "tags": {"type": ["null", "string"]},
    "due": {"type": ["null", "string"], "format": "date-time"},
}
TYPES = {name: field["type"][1:] for name, field in FIELDS.items()}  # the Transformer reorders them in place
SCHEMA = {"type": "object", "properties": FIELDS}


def read(**record):
    return Transformer().transform(record, SCHEMA)


plain = {"hours": "1.5", "seats": "7", "escalated": "false", "phone": "+49 30 1234", "tags": "vip"}
control = read(**plain)
try:
    refused = read(hours="n/a")
except SchemaMismatch:
    refused = "SchemaMismatch"
odd = {"hours": "1,5", "seats": 7.9, "escalated": "no", "phone": "0049301234", "phone_as_text": "0049301234", "tags": ["vip", "eu"], "due": "10"}
seen = read(**odd)
print("singer-python", version("singer-python"))
for name, value in odd.items():
    print(f"{name:14} {TYPES[name]}: {value!r} -> {seen[name]!r}")
print("hours          ['number']: 'n/a' ->", refused)
assert control == {"hours": 1.5, "seats": 7, "escalated": False, "phone": "+49 30 1234", "tags": "vip"}, "the control failed"
assert refused == "SchemaMismatch" and seen["phone_as_text"] == "0049301234", "the second control failed"
assert seen["hours"] == 15.0 and seen["seats"] == 7, "numbers are read otherwise now"
assert seen["escalated"] is True, "'no' is not true now"
assert seen["phone"] == 49301234, "a text stays a text now"
assert seen["tags"] == "['vip', 'eu']", "a list is written otherwise now"
assert seen["due"] == f"{date.today():%Y-%m}-10T00:00:00.000000Z", "'10' is no date now"
END
env/bin/python show.py
