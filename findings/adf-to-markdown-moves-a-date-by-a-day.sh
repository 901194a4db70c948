#!/usr/bin/env bash
# adf-to-markdown: a date is the day before, west of Greenwich
#
# Most would expect: ADF's date node (milliseconds in UTC; editors write midnight of the
#   calendar day) is written as that day, in ISO form.
# Instead: it is written with toLocaleDateString(): the machine's language and its
#   zone. The same comment says 11/27/2026 on a server in UTC and 11/26/2026 on one
#   in New York; pyadf writes the instant, 2026-11-27T00:00:00+00:00.
# Seen with: adf-to-markdown 1.0.1 (npm), pyadf 0.5.2 (Python), 2026-11-28. Source:
#   dist/converter.js, the date node.
# Why it matters here: "due on the 27th" is relayed as the 26th, by no one's fault
#   but the host's time zone.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

python3 -m venv env
env/bin/pip install -qq --disable-pip-version-check pyadf==0.5.2
npm init -y >/dev/null
npm install --silent --no-audit --no-fund --ignore-scripts adf-to-markdown@1.0.1 >/dev/null

cat >day.json <<'END'
{"type": "doc", "version": 1, "content": [{"type": "paragraph", "content": [{"type": "date", "attrs": {"timestamp": "1795737600000"}}]}]}
END
cat >show.cjs <<'END'
console.log(require('adf-to-markdown').convertADFToMarkdown(require('./day.json')).trim());
END
utc=$(TZ=UTC LANG=C LC_ALL=C node show.cjs)
new_york=$(TZ=America/New_York LANG=C LC_ALL=C node show.cjs)
python=$(TZ=America/New_York env/bin/python -c 'import json, pyadf; print(pyadf.Document(json.load(open("day.json"))).to_markdown())')
echo "1795737600000 is 2026-11-27, midnight UTC"
echo "expected:                    2026-11-27 everywhere"
echo "adf-to-markdown, TZ=UTC:     $utc"
echo "adf-to-markdown, New York:   $new_york"
echo "pyadf, New York:             $python"
[ "$utc" = "11/27/2026" ] && [ "$new_york" = "11/26/2026" ] || { echo "adf-to-markdown behaves otherwise"; exit 1; }
[ "$python" = "2026-11-27T00:00:00+00:00" ] || { echo "pyadf behaves otherwise"; exit 1; }
