#!/usr/bin/env bash
# quotequail: Gmail's line above a quote has a sender named "2026 at 10:00 AM Ann Lee"
#
# Most would expect: "On Sat, Nov 28, 2026 at 10:00 AM Ann Lee <...> wrote:", the line that
#   Gmail writes in US English, is cut into date and sender, as its examples show.
# Instead: the date ends at the second comma: date "Sat, Nov 28", sender "2026 at 10:00 AM
#   Ann Lee <...>". British English ("28 Nov 2026 at 10:00, Ann ...") is right. And
#   Outlook's block From/Sent/To/Subject is called a forward when it is a reply, while
#   quote() of the same mail hides nothing: the whole thread is new text.
# Seen with: quotequail 0.5.4 (Python), 2026-11-28. Source: quotequail/_patterns.py and
#   _internal.py, extract_headers.
# Why it matters here: who wrote the quoted mail, and when, is read from this line. The
#   address is right, the name and the day are not.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

python3 -m venv env
env/bin/pip install -qq --disable-pip-version-check quotequail==0.5.4

cat >show.py <<'END'
from importlib.metadata import version

import quotequail

BRITISH = "Thanks\n\nOn Sat, 28 Nov 2026 at 10:00, Ann Lee <ann@shop.example> wrote:\n\n> Hello\n"
AMERICAN = "Thanks\n\nOn Sat, Nov 28, 2026 at 10:00 AM Ann Lee <ann@shop.example> wrote:\n\n> Hello\n"
OUTLOOK = "Thanks\n\nFrom: Ann Lee <ann@shop.example>\nSent: Saturday, November 28, 2026 10:00 AM\nTo: Help\nSubject: RE: desk\n\nHello\n"


def read(text):
    found = quotequail.unwrap(text)
    return found["type"], found["date"], found["from"]


print(f"quotequail {version('quotequail')}")
for name, text in {"British": BRITISH, "American": AMERICAN, "Outlook": OUTLOOK}.items():
    print(f"  {name:9} {read(text)}  shown as new: {[part for new, part in quotequail.quote(text) if new]}")
assert read(BRITISH) == ("reply", "Sat, 28 Nov 2026 at 10:00", "Ann Lee <ann@shop.example>"), "the control failed"
assert read(AMERICAN) == ("reply", "Sat, Nov 28", "2026 at 10:00 AM Ann Lee <ann@shop.example>"), "it is read otherwise now"
assert read(OUTLOOK)[0] == "forward" and quotequail.quote(OUTLOOK) == [(True, OUTLOOK)], "Outlook is read otherwise now"
END
env/bin/python show.py
