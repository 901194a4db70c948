#!/usr/bin/env bash
# CloudEvents: an event that was received without a time has one
#
# Most would expect: `time` is optional; an event that comes without it is read as an
#   event without it.
# Instead: both SDKs put the moment of parsing there. The two calls below read the
#   same bytes twice and get two events that differ. Nothing tells the invented
#   time from one that the sender wrote.
# Seen with: cloudevents 10.0.0 (npm), cloudevents 2.2.0 (Python), 2026-11-28.
#   Source: npm package, dist/event/cloudevent.js (constructor); Python,
#   cloudevents/core/v1/event.py.
# Why it matters here: order and duplicates are decided by the time in the event. A
#   repeat of a delivery looks newer than what it repeats.
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

const body = '{"specversion":"1.0","id":"1","source":"/shop","type":"order","data":{"a":1}}';
const read = () => HTTP.toEvent({ headers: { 'content-type': 'application/cloudevents+json' }, body }).time;
const first = read();
setTimeout(() => console.log(JSON.stringify([first ?? null, read() ?? null])), 50);
END
cat >show.py <<'END'
import json
import sys
import time
from importlib.metadata import version

from cloudevents.core.bindings.http import HTTPMessage, from_http_event

BODY = b'{"specversion":"1.0","id":"1","source":"/shop","type":"order","data":{"a":1}}'


def read():
    message = HTTPMessage(headers={"content-type": "application/cloudevents+json"}, body=BODY)
    return from_http_event(message).get_attributes().get("time")


javascript = json.loads(sys.argv[1])
python = [read()]
time.sleep(0.05)
python.append(read())
print("expected: no time, twice")
print("JavaScript SDK 10.0.0:", *javascript)
print(f"Python SDK {version('cloudevents')}:    ", *python)
assert None not in javascript and javascript[0] < javascript[1], "the JavaScript SDK invents none now"
assert None not in python and python[0] < python[1], "the Python SDK invents none now"
END
env/bin/python show.py "$(node show.cjs)"
