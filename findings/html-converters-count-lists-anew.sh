#!/usr/bin/env bash
# "See point 7": five converters number the points of a list otherwise than the mail does
#
# Most would expect: the text of an HTML list has the numbers that the reader of the mail
#   sees: <ol start="4"> begins at 4, <li value="7"> is 7, type="a" is lettered.
# Instead: inscriptis begins each list at 1 whatever "start" says, but heeds "value";
#   html2text, markdownify, turndown and html-to-text heed "start" and not "value", and
#   letters become numbers in all but html-to-text. None is right in all three.
# Seen with: inscriptis 2.7.6, html2text 2025.4.15, markdownify 1.2.3 (Python), turndown
#   7.2.5, html-to-text 10.0.1 (npm), 2026-11-28. Format: HTML, the ol and li elements.
# Why it matters here: Outlook writes a list that is interrupted by a paragraph as several
#   lists with "start", and the answer says "points 4 and 7 are open".
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

python3 -m venv env
env/bin/pip install -qq --disable-pip-version-check inscriptis==2.7.6 html2text==2025.4.15 markdownify==1.2.3
npm init -y >/dev/null
npm install --silent --no-audit --no-fund --ignore-scripts turndown@7.2.5 html-to-text@10.0.1 >/dev/null

cat >plain.html <<'END'
<ol><li>price</li><li>term</li></ol>
END
cat >numbered.html <<'END'
<ol start="4"><li>price</li></ol><p>as said, and</p><ol><li value="7">term</li></ol><p>and</p><ol type="a"><li>scope</li></ol>
END
cat >show.py <<'END'
import re
import sys

import html2text
import inscriptis
import markdownify

markup = open(sys.argv[1]).read()
for name, convert in {"inscriptis": inscriptis.get_text, "html2text": html2text.html2text, "markdownify": markdownify.markdownify}.items():
    print(name, *re.findall(r"(\w+)\.\s+(?:price|term|scope)", convert(markup)))
END
cat >show.mjs <<'END'
import fs from 'node:fs';
import { convert } from 'html-to-text';
import Turndown from 'turndown';

const markup = fs.readFileSync(process.argv[2], 'utf8');
for (const [name, text] of [['turndown', new Turndown().turndown(markup)], ['html-to-text', convert(markup)]]) {
  console.log(name, [...text.matchAll(/(\w+)\.\s+(?:price|term|scope)/g)].map(found => found[1]).join(' '));
}
END
check() { # a file, then what each gives
  { env/bin/python show.py "$1" && node show.mjs "$1"; } >seen
  echo "$1:"
  sed 's/^/  /' seen
  printf '%s\n' "${@:2}" | diff - seen >/dev/null || { echo "this is numbered otherwise now"; exit 1; }
}
check plain.html "inscriptis 1 2" "html2text 1 2" "markdownify 1 2" "turndown 1 2" "html-to-text 1 2" # the control
echo "a browser shows 4, 7 and a:"
check numbered.html "inscriptis 1 7 1" "html2text 4 1 1" "markdownify 4 1 1" "turndown 4 1 1" "html-to-text 4 1 a"
