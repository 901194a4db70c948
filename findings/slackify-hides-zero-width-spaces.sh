#!/usr/bin/env bash
# slackify-markdown: the npm one surrounds marks with invisible characters
#
# Most would expect: "**bold** text" becomes "*bold* text" for Slack; the package of
#   the same name in the other language does the same.
# Instead: the npm package writes a zero-width space (U+200B) before and after each
#   *, _ and ~ pair: "<U+200B>*bold*<U+200B> text". The Python port writes none. So
#   startsWith("*") is false, a copied word carries the character along, and two
#   services that render one text do not compare equal.
# Seen with: slackify-markdown 5.0.0 (npm), slackify-markdown 0.2.4 (Python),
#   2026-11-28. Source: npm package, zeroWidthSpace.
# Why it matters here: text that one system posts with it comes back through Slack's
#   events with the characters in it, into subjects, search and thread keys.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

python3 -m venv env
env/bin/pip install -qq --disable-pip-version-check slackify_markdown==0.2.4
npm init -y >/dev/null
npm install --silent --no-audit --no-fund --ignore-scripts slackify-markdown@5.0.0 >/dev/null

cat >show.mjs <<'END'
import { slackifyMarkdown as render } from 'slackify-markdown';

console.log(JSON.stringify(render('**bold** text').trim()).replaceAll('\u200b', '\\u200b'));
END
cat >show.py <<'END'
import json

from slackify_markdown import slackify_markdown

print(json.dumps(slackify_markdown("**bold** text").strip()))
END
npm=$(node show.mjs)
python=$(env/bin/python show.py)
echo 'expected:      "*bold* text" from both'
echo "npm 5.0.0:     $npm"
echo "Python 0.2.4:  $python"
[ "$npm" = '"\u200b*bold*\u200b text"' ] || { echo "the npm package behaves otherwise"; exit 1; }
[ "$python" = '"*bold* text"' ] || { echo "the Python package behaves otherwise"; exit 1; }
