#!/usr/bin/env bash
# A mail with a Date that cannot be read is from 1900, or from 1970, and breaks the sorting
#
# Most would expect: None, or an error, for a Date header that is missing or in another
#   form (ISO, as some ticket systems write it; a German weekday).
# Instead: imap-tools gives 1900-01-01 and eml-parser gives 1970-01-01, both as a valid
#   time. imap-tools' one has no zone, like those of each mail that says "CEST", while a
#   mail with "+0200" has one: sorting a mailbox by date ends in TypeError. For "CEST"
#   eml-parser says UTC, two hours off. The ISO form is read by eml-parser only.
# Seen with: imap-tools 1.16.0, eml-parser 4.4.0 (Python), 2026-11-28. Source:
#   imap_tools/utils.py, parse_email_date; eml_parser/parser.py, robust_string2date.
# Why it matters here: the time of a conversation. A date of 1900 or 1970 passes each
#   check for "is there a date?" and puts the newest mail at the very end.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

python3 -m venv env
env/bin/pip install -qq --disable-pip-version-check imap-tools==1.16.0 eml-parser==4.4.0

cat >show.py <<'END'
from importlib.metadata import version

from eml_parser import EmlParser
from imap_tools import MailMessage

DATES = {
    "the usual": "Date: Sat, 28 Nov 2026 10:00:00 +0200\r\n",
    "CEST": "Date: Sat, 29 Aug 2026 10:00:00 CEST\r\n",
    "ISO": "Date: 2026-11-28T10:00:00Z\r\n",
    "German": "Date: Samstag, 28. November 2026 10:00\r\n",
    "none": "",
}
imap, eml = {}, {}
print(f"{'':10} {'imap-tools ' + version('imap-tools'):28} eml-parser {version('eml-parser')}")
for name, line in DATES.items():
    raw = f"From: Ann <ann@shop.example>\r\nTo: help@firm.example\r\nSubject: desk\r\n{line}\r\nHello\r\n".encode()
    imap[name] = MailMessage.from_bytes(raw).date
    eml[name] = EmlParser().decode_email_bytes(raw)["header"]["date"]
    print(f"{name:10} {imap[name]!s:28} {eml[name]}")
try:
    sorted(imap.values())
    order = "sorted"
except TypeError as error:
    order = f"TypeError: {error}"
print("sorted by imap-tools' dates:", order)

assert imap["the usual"].isoformat() == eml["the usual"].isoformat() == "2026-11-28T10:00:00+02:00", "the control failed"
assert {str(imap[name]) for name in ("ISO", "German", "none")} == {"1900-01-01 00:00:00"}, "imap-tools says otherwise now"
assert {str(eml[name]) for name in ("German", "none")} == {"1970-01-01 00:00:00+00:00"}, "eml-parser says otherwise now"
assert imap["CEST"].tzinfo is None and str(eml["CEST"]) == "2026-08-29 10:00:00+00:00", "CEST is read otherwise now"
assert order.startswith("TypeError"), "the dates can be compared now"
END
env/bin/python show.py
