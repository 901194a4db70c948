#!/usr/bin/env bash
# slack_sdk: a block "detected and skipped" leaves None in the list
#
# Most would expect: Block.parse_all(blocks) of a newer message gives the blocks that
#   it knows (the log says "Unknown block detected and skipped"), or keeps the rest
#   as it came.
# Instead: the list has as many members as before and None where the unknown one
#   was. Inside rich text the same: an element of a new type becomes None, and
#   to_dict() writes it as null into JSON that Slack refuses.
# Seen with: slack_sdk 3.48.0 (Python), 2026-11-28. Source:
#   slack_sdk/models/blocks/blocks.py, Block.parse and parse_all.
# Why it matters here: `" ".join(block.text.text for block in blocks)` works for
#   years and fails on the day that Slack adds a block type.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

python3 -m venv env
env/bin/pip install -qq --disable-pip-version-check slack_sdk==3.48.0

cat >show.py <<'END'
import logging
from importlib.metadata import version

from slack_sdk.models.blocks import Block

logging.disable(logging.CRITICAL)
text = {"type": "section", "text": {"type": "mrkdwn", "text": "The export fails."}}
parsed = Block.parse_all([text, {"type": "tomorrows_block", "text": "x"}, text])
section = {
    "type": "rich_text_section",
    "elements": [{"type": "text", "text": "a"}, {"type": "tomorrows_element"}, {"type": "text", "text": "b"}],
}
rich = Block.parse({"type": "rich_text", "elements": [section]}).to_dict()
kinds = [type(block).__name__ for block in parsed]
elements = rich["elements"][0]["elements"]
print("expected:         ['SectionBlock', 'SectionBlock'], and two elements")
print(f"slack_sdk {version('slack_sdk')}: {kinds}")
print(f"rich text:        {elements}")
assert kinds == ["SectionBlock", "NoneType", "SectionBlock"], "an unknown block is treated otherwise now"
assert elements[1] is None and len(elements) == 3, "an unknown element is treated otherwise now"
END
env/bin/python show.py
