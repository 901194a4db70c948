#!/usr/bin/env bash
# CloudEvents for Python: an attribute that is null makes the event invalid
#
# Most would expect: `"subject": null` is read as "no subject". The JSON format says
#   so (type system mapping: unset attributes may be encoded as null, and a reader
#   must treat null as unset), and the JavaScript SDK does.
# Instead: version 2 of the Python SDK raises CloudEventValidationError ("must be
#   a str", "must not be empty"); the same event without the member is read.
# Seen with: cloudevents 2.2.0 (Python), cloudevents 10.0.0 (npm), 2026-11-28.
#   Source: cloudevents/core/v1/event.py, validation of optional attributes.
# Why it matters here: senders that serialise objects write null for what is empty.
#   Behind this SDK their events are "malformed", 400, and are not sent again.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

python3 -m venv env
env/bin/pip install -qq --disable-pip-version-check cloudevents==2.2.0
npm init -y >/dev/null
npm install --silent --no-audit --no-fund --ignore-scripts cloudevents@10.0.0 >/dev/null

cat >show.cjs <<'END'
const { HTTP } = require('cloudevents');

const event = HTTP.toEvent({ headers: { 'content-type': 'application/cloudevents+json' }, body: process.argv[2] });
console.log(`read, data ${JSON.stringify(event.data)}, subject ${event.subject}`);
END
cat >show.py <<'END'
import subprocess
import sys
from importlib.metadata import version

from cloudevents.core.bindings.http import HTTPMessage, from_http_event
from cloudevents.core.exceptions import CloudEventValidationError

EVENT = '{"specversion":"1.0","id":"1","source":"/shop","type":"order"%s,"data":{"a":1}}'


def python(body):
    try:
        event = from_http_event(HTTPMessage(headers={"content-type": "application/cloudevents+json"}, body=body.encode()))
        return f"read, data {event.get_data()}"
    except CloudEventValidationError as error:
        return f"CloudEventValidationError: {error}"


with_null, without = EVENT % ',"subject":null', EVENT % ""
script = subprocess.run([sys.argv[1], "show.cjs", with_null], check=True, capture_output=True, text=True).stdout.strip()
print("expected:                read, with no subject")
print(f"JavaScript SDK 10.0.0:   {script}")
print(f"Python SDK {version('cloudevents')}, null:  {python(with_null)}")
print(f"Python SDK, left out:    {python(without)}")
assert python(without).startswith("read") and script.startswith("read"), "the control failed"
assert python(with_null).startswith("CloudEventValidationError"), "null is read now"
END
env/bin/python show.py "$(command -v node)"
