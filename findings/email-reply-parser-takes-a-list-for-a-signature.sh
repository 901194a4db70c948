#!/usr/bin/env bash
# email-reply-parser (Python): a list at the end of a mail is taken for a signature
#
# Most would expect: only "-- " on a line of its own begins a signature.
# Instead: any last paragraph whose first line begins with a hyphen and a letter is
#   one, and is left out of the reply: "-apples", "-pears". With a blank after the
#   hyphen the list stays. mail-parser-reply, which came after it, files the same
#   lines under `signatures`.
# Seen with: email-reply-parser 0.5.12, mail-parser-reply 1.36 (Python), 2026-11-28.
#   Source: email_reply_parser/__init__.py, SIG_REGEX: `(--|__|-\w)|...`.
# Why it matters here: "we need these three:" is shown, and the three are not.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

python3 -m venv env
env/bin/pip install -qq --disable-pip-version-check email-reply-parser==0.5.12 mail-parser-reply==1.36

cat >show.py <<'END'
from importlib.metadata import version

from email_reply_parser import EmailReplyParser
from mailparser_reply import EmailReplyParser as LaterParser

TIGHT = "Please order:\n\n-apples\n-pears\n"
LOOSE = "Please order:\n\n- apples\n- pears\n"
tight, loose = (EmailReplyParser.parse_reply(text) for text in (TIGHT, LOOSE))
later = LaterParser(languages=["en"]).read(TIGHT).replies[0]
print(f"expected:                                {TIGHT.strip()!r}")
print(f"email-reply-parser {version('email-reply-parser')}, '- apples':  {loose!r}")
print(f"email-reply-parser {version('email-reply-parser')}, '-apples':   {tight!r}")
print(f"mail-parser-reply {version('mail-parser-reply')}, '-apples':      {later.body!r}, signatures {later.signatures!r}")
assert loose == LOOSE.strip(), "the control failed"
assert tight == "Please order:", "the list is kept now"
assert later.body.strip() == "Please order:" and "-pears" in later.signatures, "mail-parser-reply behaves otherwise"
END
env/bin/python show.py
