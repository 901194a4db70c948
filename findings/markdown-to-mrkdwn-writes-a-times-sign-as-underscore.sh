#!/usr/bin/env bash
# markdown_to_mrkdwn: "2 * 3 = 6" with a second star becomes "2 _ 3 = 6"
#
# Most would expect: stars with a blank on both sides are stars, as Markdown says, and
#   stay; what means something to Slack (& < >) is escaped.
# Instead: two stars in a line are always emphasis: "2 * 3 = 6 and 4 * 5" becomes "2 _ 3 =
#   6 and 4 _ 5", with a glob like "*.csv and *.txt" losing both stars. "R&D < 5" goes out
#   as it is. A heading with a bold word in it gets four stars, "*Order *4711**", of which
#   Slack shows some; slackify-markdown, right in all else, does that too.
# Seen with: markdown_to_mrkdwn 0.3.3 (Python), beside slackify-markdown 5.0.0 (npm),
#   2026-11-28. Source: markdown_to_mrkdwn/converter.py, a list of regular expressions.
# Why it matters here: prices, sizes and file names in an answer that is posted to Slack.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

python3 -m venv env
env/bin/pip install -qq --disable-pip-version-check markdown-to-mrkdwn==0.3.3
npm init -y >/dev/null
npm install --silent --no-audit --no-fund --ignore-scripts slackify-markdown@5.0.0 >/dev/null

cat >show.py <<'END'
import json
import subprocess
from importlib.metadata import version

from markdown_to_mrkdwn import SlackMarkdownConverter

TEXTS = {
    "some *weight*": "some _weight_",
    "2 * 3 = 6 and 4 * 5": "2 _ 3 = 6 and 4 _ 5",
    "*.csv and *.txt": "_.csv and _.txt",
    "# Order **4711**": "*Order *4711**",
    "R&D < 5": "R&D < 5",
}
other = json.loads(subprocess.run(["node", "show.mjs", json.dumps(list(TEXTS))], capture_output=True, check=True, text=True).stdout)
print(f"Markdown | markdown_to_mrkdwn {version('markdown-to-mrkdwn')} | slackify-markdown 5.0.0")
for (text, wanted), theirs in zip(TEXTS.items(), other):
    ours = SlackMarkdownConverter().convert(text)
    print(f"  {text!r:24} {ours!r:24} {theirs!r}")
    assert ours == wanted, f"{text!r} is written otherwise now"
assert other == ["some _weight_", "2 * 3 = 6 and 4 * 5", "*.csv and *.txt", "*Order *4711**", "R&amp;D &lt; 5"], "the control failed"
END
cat >show.mjs <<'END'
import * as slackify from 'slackify-markdown';

const convert = slackify.slackifyMarkdown ?? slackify.default.slackifyMarkdown ?? slackify.default;
const bare = text => convert(text).replaceAll('\u200b', '').trim();
console.log(JSON.stringify(JSON.parse(process.argv[2]).map(bare)));
END
env/bin/python show.py
