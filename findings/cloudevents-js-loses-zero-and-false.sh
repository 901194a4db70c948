#!/usr/bin/env bash
# CloudEvents for JavaScript: data of 0, false or "" is lost on the way back
#
# Most would expect: HTTP.toEvent(HTTP.structured(event)) gives the same data.
# Instead: `"data":0` and `"data":false` are written into the JSON and read back as
#   undefined, as if the event had no data. The Python SDK reads the same bodies
#   right.
# Seen with: cloudevents 10.0.0 (npm), cloudevents 2.2.0 (Python), 2026-11-28.
#   Source: npm package, dist/message/http/index.js, parseStructured: `if (property)`
#   where `key in incoming` is meant.
# Why it matters here: a sensor's zero, a flag that was switched off, an emptied
#   field are the events somebody waits for.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

python3 -m venv env
env/bin/pip install -qq --disable-pip-version-check cloudevents==2.2.0
npm init -y >/dev/null
npm install --silent --no-audit --no-fund --ignore-scripts cloudevents@10.0.0 >/dev/null

cat >show.cjs <<'END'
const { CloudEvent, HTTP } = require('cloudevents');

const rows = [0, false, '', 1, 'x'].map(data => {
  const message = HTTP.structured(new CloudEvent({ id: '1', source: '/shop', type: 'stock', data }));
  return { sent: data, body: message.body, back: HTTP.toEvent(message).data ?? 'undefined' };
});
console.log(JSON.stringify(rows));
END
cat >show.py <<'END'
import json
import sys
from importlib.metadata import version

from cloudevents.core.bindings.http import HTTPMessage, from_http_event

lost = []
print(f"sent: read back by the JavaScript SDK 10.0.0, by the Python SDK {version('cloudevents')}")
for row in json.loads(sys.argv[1]):
    message = HTTPMessage(headers={"content-type": "application/cloudevents+json"}, body=row["body"].encode())
    python = from_http_event(message).get_data()
    print(f"  {row['sent']!r}: {row['back']!r}, {python!r}")
    assert python == row["sent"] and type(python) is type(row["sent"]), "the control failed: it is not in the body"
    if row["back"] != row["sent"] or type(row["back"]) is not type(row["sent"]):
        lost.append(row["sent"])
print("expected to be lost: nothing; lost:", lost)
assert lost == [0, False, ""], "the JavaScript SDK loses other values now"
END
env/bin/python show.py "$(node show.cjs)"
