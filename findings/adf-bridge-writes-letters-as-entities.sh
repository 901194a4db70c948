#!/usr/bin/env bash
# adf-bridge: plain words come out with letters written as entities
#
# Most would expect: ADF text "line two" in bold becomes "**line two**".
# Instead: "**&#108;ine tw&#111;**": the first and the last letter of each marked
#   run and the blanks beside it are written as numeric entities, so that no
#   Markdown reader can misread them. It renders right, and is unfit for
#   everything else: search, a text-only field, a diff, a person.
# Seen with: adf-bridge 0.1.3 (Python, 2026-09), 2026-11-28. Source: its Markdown
#   writer's escaping of text beside inline marks.
# Why it matters here: the Markdown of a Jira comment is put into a subject or a
#   snippet as it is, and reads "&#79;pe&#110;".
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

python3 -m venv env
env/bin/pip install -qq --disable-pip-version-check adf-bridge==0.1.3

cat >show.py <<'END'
import html
from importlib.metadata import version

from adf_bridge import adf_to_markdown

strong = [{"type": "strong"}]
content = [{"type": "text", "text": "See "}, {"type": "text", "text": "line two", "marks": strong}, {"type": "text", "text": " first"}]
document = {"type": "doc", "version": 1, "content": [{"type": "paragraph", "content": content}]}
markdown = adf_to_markdown(document).value
print("expected:          'See **line two** first'")
print(f"adf-bridge {version('adf-bridge')}:  {markdown!r}")
assert html.unescape(markdown) == "See **line two** first", "the control failed: other words"
assert "tw&#111;" in markdown and "line two" not in markdown, "letters are written as they are now"
END
env/bin/python show.py
