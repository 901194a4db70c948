#!/usr/bin/env bash
# nh3: clean_text() writes blanks, line ends, "/" and "=" as entities too
#
# Most would expect: clean_text(text) is html.escape(text): & < > and quotes.
# Instead: almost every character that is no letter or digit becomes an entity.
#   "Order 5/6\nis late" is "Order&#32;5&#47;6&#10;is&#32;late": nothing to break
#   lines at, nothing to find with a search, and four times as long per blank.
# Seen with: nh3 0.3.8 (Python, on Rust's ammonia), 2026-11-28. Source: ammonia,
#   src/lib.rs, clean_text: made for unquoted attribute values as well.
# Why it matters here: it is the obvious call for making a plain text fit for an
#   HTML field such as a conversation's description. Whatever strips or counts
#   characters afterwards sees other text than was written.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

python3 -m venv env
env/bin/pip install -qq --disable-pip-version-check nh3==0.3.8

cat >show.py <<'END'
import html
from importlib.metadata import version

import nh3

text = "Order 5/6\nis late & <cold>"
cleaned = nh3.clean_text(text)
print(f"expected:   {html.escape(text)!r}")
print(f"nh3 {version('nh3')}:  {cleaned!r}")
assert html.unescape(cleaned) == text, "the control failed: it is another text altogether"
assert " " not in cleaned and "\n" not in cleaned and "/" not in cleaned, "blanks are kept now"
assert cleaned.startswith("Order&#32;5&#47;6&#10;is&#32;late"), "it is written otherwise now"
END
env/bin/python show.py
