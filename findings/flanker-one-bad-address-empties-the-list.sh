#!/usr/bin/env bash
# flanker: one bad entry makes parse_list() return no address at all
#
# Most would expect: parse_list("ann@..., not-an-address, bob@...") returns Ann and
#   Bob, and leaves out or reports the third.
# Instead: it returns an empty list, and with as_tuple=True the whole line is
#   called unparsed. A name with a comma that the sender forgot to quote ("Doe,
#   John <...>") does the same. And parse(), given two addresses with a semicolon,
#   makes the first the *display name* of the second.
# Seen with: flanker 0.9.11 (Python), 2026-11-28. Source:
#   flanker/addresslib/address.py, parse_list: the whole line is one grammar.
# Why it matters here: To and Cc of a support mail with one odd entry name nobody, and
#   the customer's company is not found.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

python3 -m venv env
env/bin/pip install -qq --disable-pip-version-check flanker==0.9.11

cat >show.py <<'END'
import logging
from importlib.metadata import version

logging.disable(logging.CRITICAL)
from flanker.addresslib import address  # noqa: E402  (it logs while it is imported)


def listed(text):
    return [one.address for one in address.parse_list(text)]


good = listed("ann@example.com, bob@example.com")
bad = listed("ann@example.com, not-an-address, bob@example.com")
comma = listed("ann@example.com, Doe, John <john@example.com>")
one = address.parse("ann@example.com; bob@example.com")
print("expected:   Ann and Bob; Ann and John; no single address")
print(f"flanker {version('flanker')}, two good ones:         {good}")
print(f"flanker {version('flanker')}, one bad between them:  {bad}")
print(f"flanker {version('flanker')}, an unquoted comma:     {comma}")
print(f"flanker {version('flanker')}, parse() of 'ann@...; bob@...': {one.display_name!r} <{one.address}>")
assert good == ["ann@example.com", "bob@example.com"], "the control failed"
assert bad == [] and comma == [], "the good ones are returned now"
assert (one.display_name, one.address) == ("ann@example.com;", "bob@example.com"), "parse() reads two otherwise now"
END
env/bin/python show.py 2>errors || { cat errors; exit 1; }
