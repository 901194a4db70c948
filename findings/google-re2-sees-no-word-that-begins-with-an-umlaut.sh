#!/usr/bin/env bash
# google-re2: \bÄrger\b matches nowhere, while (?i)ÄRGER matches "ärger"
#
# Most would expect: a library for Python's texts that folds Ä and ä, counts positions in
#   letters and knows \pL, knows letters throughout.
# Instead: \b, \w, \d and \s are those of ASCII, and no option changes it. Between a blank
#   and Ä there is no word boundary, so that \bÄrger\b finds nothing, and \bTür\b does only
#   since its umlaut is inside; \w+ cuts "Größe" in two; a no-break space is no \s. "$" is
#   the very end alone, not the line end before it. None of it is an error.
# Seen with: google-re2 1.1.20251105 (Python), beside Python's own re, 2026-11-28. Source:
#   RE2's syntax page ("ASCII word boundary"); the wrapper has no re.UNICODE.
# Why it matters here: patterns that hide personal details are run with RE2, for its
#   linear time. One that was tried with re and names "Özge" hides her from nobody.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

python3 -m venv env
env/bin/pip install -qq --disable-pip-version-check google-re2==1.1.20251105

cat >show.py <<'END'
import re
from importlib.metadata import version

import re2

CASES = [
    (r"\bTür\b", "die Tür!"),
    (r"(?i)ärger", "viel ÄRGER"),
    (r"(?:^|\PL)(Ärger)(?:\PL|$)", "viel Ärger!"),
    (r"\bÄrger\b", "viel Ärger!"),
    (r"\w+$", "Größe"),
    (r"4711\s", "4711\u00a0desks"),
    (r"over$", "it is over\n"),
]
seen = []
print(f"google-re2 {version('google-re2')} | Python's re")
for pattern, text in CASES:
    found = [module.search(pattern, text) for module in ((re2,) if "\\P" in pattern else (re2, re))]
    shown = [match and match[0] for match in found]
    seen.append(shown)
    print(f"  {pattern:28} in {text!r:17} {' | '.join(map(repr, shown))}")
assert seen[0] == ["Tür", "Tür"] and seen[1] == ["ÄRGER", "ÄRGER"], "the control failed"
assert seen[2] == [" Ärger!"], "the way round it does not help"
assert seen[3:] == [[None, "Ärger"], ["e", "Größe"], [None, "4711\u00a0"], [None, "over"]], "re2 finds otherwise now"
END
env/bin/python show.py
