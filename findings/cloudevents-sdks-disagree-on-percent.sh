#!/usr/bin/env bash
# CloudEvents: the two SDKs do not read each other's header attributes
#
# Most would expect: in binary mode a subject such as "Größe 50%" travels as a
#   percent-encoded header (HTTP binding, section 3.1.3.2) and arrives as written.
# Instead: the Python SDK encodes and decodes; the JavaScript SDK does neither.
#   Python to JavaScript, the subject arrives as "Gr%C3%B6%C3%9Fe%2050%25".
#   JavaScript to Python, "50%25 off" (a text that holds a percent sign) arrives as
#   "50% off". Each SDK by itself makes the round trip.
# Seen with: cloudevents 10.0.0 (npm), cloudevents 2.2.0 (Python), 2026-11-28.
#   Source: npm package, dist/message/http/headers.js; Python,
#   cloudevents/core/bindings/http.py, quote and unquote.
# Why it matters here: source and id are header attributes as well, and the pair is
#   what deliveries are deduplicated by.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

python3 -m venv env
env/bin/pip install -qq --disable-pip-version-check cloudevents==2.2.0
npm init -y >/dev/null
npm install --silent --no-audit --no-fund --ignore-scripts cloudevents@10.0.0 >/dev/null

cat >js.cjs <<'END'
const { CloudEvent, HTTP } = require('cloudevents');

const [what, value] = process.argv.slice(2);
const base = { id: '1', source: '/shop', type: 'order' };
if (what === 'write') {
  console.log(HTTP.binary(new CloudEvent({ ...base, subject: value, data: { a: 1 } })).headers['ce-subject']);
} else {
  const headers = { 'ce-id': '1', 'ce-source': '/shop', 'ce-type': 'order', 'ce-specversion': '1.0' };
  const message = { headers: { ...headers, 'ce-subject': value, 'content-type': 'application/json' }, body: '{"a":1}' };
  console.log(HTTP.toEvent(message).subject);
}
END
cat >py.py <<'END'
import sys

from cloudevents.core.bindings.http import HTTPMessage, from_http_event, to_binary_event
from cloudevents.core.v1.event import CloudEvent

what, value = sys.argv[1:]
base = {"id": "1", "source": "/shop", "type": "order", "specversion": "1.0"}
if what == "write":
    print(to_binary_event(CloudEvent({**base, "subject": value}, {"a": 1})).headers["ce-subject"])
else:
    headers = {f"ce-{name}": text for name, text in base.items()}
    headers |= {"ce-subject": value, "content-type": "application/json"}
    print(from_http_event(HTTPMessage(headers=headers, body=b'{"a":1}')).get_attributes()["subject"])
END
export PYTHONUTF8=1
first='Größe 50%'
second='50%25 off'
py_js=$(node js.cjs read "$(env/bin/python py.py write "$first")")
js_py=$(env/bin/python py.py read "$(node js.cjs write "$second")")
py_py=$(env/bin/python py.py read "$(env/bin/python py.py write "$first")")
js_js=$(node js.cjs read "$(node js.cjs write "$second")")
echo "written by -> read by: the subject before and after"
echo "  Python 2.2.0 -> JavaScript 10.0.0:  $first -> $py_js"
echo "  JavaScript -> Python:               $second -> $js_py"
echo "  Python -> Python:                   $first -> $py_py"
echo "  JavaScript -> JavaScript:           $second -> $js_js"
[ "$py_py" = "$first" ] && [ "$js_js" = "$second" ] || { echo "the control failed"; exit 1; }
[ "$py_js" = "Gr%C3%B6%C3%9Fe%2050%25" ] || { echo "JavaScript decodes now"; exit 1; }
[ "$js_py" = "50% off" ] || { echo "JavaScript encodes now, or Python no longer decodes"; exit 1; }
