#!/usr/bin/env bash
# unquotemail: from a plain mail it makes HTML in which no address can be found
#
# Most would expect: get_html() of a text-only mail escapes & and <, and makes the
#   addresses links.
# Instead: the text is put through Markdown, which writes each letter of an address
#   in angle brackets as a numeric entity ("&#97;&#110;..."), as a guard against
#   address harvesters. And what looks like Markdown is markup now: a line "#4711 is
#   still open" becomes a heading that has lost its "#".
# Seen with: unquotemail 1.0.11, Markdown 3.11.3 (Python), 2026-11-28. Source:
#   unquotemail/unquote.py, `markdown.markdown(...)`.
# Why it matters here: a search for the customer's address, a redaction rule or an
#   erase request looks for letters that are not there; and words change.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

python3 -m venv env
env/bin/pip install -qq --disable-pip-version-check unquotemail==1.0.11 Markdown==3.11.3

cat >show.py <<'END'
import html
from importlib.metadata import version

from unquotemail import Unquote


def html_of(text):
    reader = Unquote(html="", text=text)
    reader.parse()
    return reader.get_html()


address = html_of("Please write to <ann@example.com> instead.\n")
ticket = html_of("#4711 is still open.\n")
print("expected:  ...ann@example.com... readable in the HTML; '#4711' as it was written")
print(f"unquotemail {version('unquotemail')}: {address!r}")
print(f"unquotemail {version('unquotemail')}: {ticket!r}")
assert "ann@example.com" not in address and "&#97;&#110;&#110;" in address, "the address is readable now"
assert "ann@example.com" in html.unescape(address), "the control failed: the address is gone altogether"
assert ticket == "<h1>4711 is still open.</h1>", "Markdown is no longer applied"
END
env/bin/python show.py
