#!/usr/bin/env bash
# mail-parser (Python): `body` is the text, a line of its own making, and the HTML
#
# Most would expect: mail.body is the text part, or the HTML where there is none.
# Instead: it is both, glued together with the line "--- mail_boundary ---": the same
#   words twice, once with tags. The clean parts are in text_plain and text_html.
# Seen with: mail-parser 4.8.0 (Python), 2026-11-28. Source: mailparser/core.py, the
#   property `body`.
# Why it matters here: a reply reader that is given `body` finds a row of hyphens that
#   looks like a separator, cuts there by luck, or shows the customer's mail twice.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

python3 -m venv env
env/bin/pip install -qq --disable-pip-version-check mail-parser==4.8.0

cat >show.py <<'END'
from importlib.metadata import version

import mailparser

LINES = [
    "From: ann@example.com", "Subject: export", "MIME-Version: 1.0", "Content-Type: multipart/alternative; boundary=b", "",
    "--b", "Content-Type: text/plain", "", "It fails.",
    "--b", "Content-Type: text/html", "", "<p>It fails.</p>",
    "--b--", "",
]
mail = mailparser.parse_from_string("\n".join(LINES))
print("expected:           'It fails.'")
print(f"mail-parser {version('mail-parser')}, body:       {mail.body!r}")
print(f"mail-parser {version('mail-parser')}, text_plain: {mail.text_plain!r}")
assert [part.strip() for part in mail.text_plain] == ["It fails."], "the control failed"
assert mail.body == "It fails.\n--- mail_boundary ---\n<p>It fails.</p>", "body holds something else now"
END
env/bin/python show.py
