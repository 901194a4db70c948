#!/usr/bin/env bash
# Converters to Slack: at a hard line break the two words beside it become one
#
# Most would expect: a hard line break ("one", two blanks, a new line, "two"; or <br>)
#   is a new line in Slack, or at the very least a blank.
# Instead: it is nothing: "onetwo". The softer break, a plain new line, is kept, so the
#   stronger wish has the weaker effect. slackify-html does it for paragraphs too:
#   "<p>one</p><p>two</p>" is "onetwo". slackify-markdown, the most used one, keeps the
#   line and writes a backslash before it, which Slack shows.
# Seen with: markdown-to-slack-blocks 1.5.0 (npm) and 1.3.1 (PyPI), @tryfabric/mack
#   1.2.1, slackify-html 1.0.1 and slackify-markdown 5.0.0 (npm); markdown-to-mrkdwn
#   0.3.3 (PyPI) and html-to-mrkdwn 3.0.0 (npm) are right; 2026-11-28. Source: mack,
#   build/src/parser/internal.js (no case for 'br' in parseMrkdwn); slackify-html.js,
#   walk (only a, b and i are known).
# Why it matters here: addresses, order lines and log lines are written with hard
#   breaks; "12 Main St" and "4 pieces" end up as "12 Main St4 pieces".
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

python3 -m venv env
env/bin/pip install -qq --disable-pip-version-check markdown-to-slack-blocks==1.3.1 markdown-to-mrkdwn==0.3.3
npm init -y >/dev/null
npm install --silent --no-audit --no-fund --ignore-scripts markdown-to-slack-blocks@1.5.0 @tryfabric/mack@1.2.1 \
  slackify-html@1.0.1 slackify-markdown@5.0.0 html-to-mrkdwn@3.0.0 >/dev/null

cat >show.py <<'END'
import json
import subprocess
import sys

from markdown_to_mrkdwn import SlackMarkdownConverter
from markdown_to_slack_blocks import markdown_to_blocks

TEXTS = json.load(open("texts.json"))["markdown"]


def blocks_text(markdown):
    return markdown_to_blocks(markdown)[0]["text"]["text"]


rows = {
    "markdown-to-mrkdwn (PyPI)": {kind: SlackMarkdownConverter().convert(text) for kind, text in TEXTS.items()},
    "markdown-to-slack-blocks (PyPI)": {kind: blocks_text(text) for kind, text in TEXTS.items()},
} | json.loads(subprocess.check_output([sys.argv[1], "show.mjs"], text=True))
print("expected: two lines in each column")
for name, row in rows.items():
    print(f"  {name:31}", "  ".join(f"{kind}: {text!r}" for kind, text in row.items()))
for name, row in rows.items():
    soft = row.pop("soft break", "one\ntwo")
    assert soft.strip() == "one\ntwo", f"{name}: the control failed"
for name in ("markdown-to-mrkdwn (PyPI)", "html-to-mrkdwn (npm)"):
    assert all(text.split() == ["one", "two"] for text in rows.pop(name).values()), f"{name}: the control failed"
assert rows.pop("slackify-markdown (npm)") == {"hard break": "one\\\ntwo\n"}, "slackify-markdown's backslash is gone"
for name, row in rows.items():
    assert set(row.values()) == {"onetwo"}, f"{name} breaks the line otherwise now"
END
cat >texts.json <<'END'
{"markdown": {"soft break": "one\ntwo", "hard break": "one  \ntwo"},
 "html": {"br": "one<br>two", "paragraphs": "<p>one</p><p>two</p>"}}
END
cat >show.mjs <<'END'
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import toMrkdwn from 'html-to-mrkdwn';
import { slackifyMarkdown } from 'slackify-markdown';

const require = createRequire(import.meta.url);
const blocks = require('markdown-to-slack-blocks');
const mack = require('@tryfabric/mack');
const texts = JSON.parse(readFileSync('texts.json', 'utf8'));

async function each(kind, convert) {
  const row = {};
  for (const [name, text] of Object.entries(texts[kind])) row[name] = await convert(text);
  return row;
}
const words = (list) => list[0].text.text;
console.log(JSON.stringify({
  'markdown-to-slack-blocks (npm)': await each('markdown', (text) => words(blocks.markdownToBlocks(text))),
  '@tryfabric/mack (npm)': await each('markdown', async (text) => words(await mack.markdownToBlocks(text))),
  'slackify-html (npm)': await each('html', require('slackify-html')),
  'slackify-markdown (npm)': await each('markdown', slackifyMarkdown),
  'html-to-mrkdwn (npm)': await each('html', (text) => toMrkdwn(text).text),
}));
END
env/bin/python show.py "$(command -v node)"
