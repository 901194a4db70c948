#!/usr/bin/env bash
# OpenTelemetry: baggage from Python reaches JavaScript with "+" for each blank
#
# Most would expect: the value "a b" set in one language is "a b" in the other. The W3C
#   format says percent-encoding, where a blank is %20 and "+" is itself.
# Instead: Python writes values as HTML forms do: "a+b". JavaScript, which keeps to the
#   format, reads "a+b". And what a third party writes as "+49 555" (a plus may stand as
#   it is) Python reads as "49 555". JavaScript to Python works, since JavaScript
#   encodes both; Python to Python works, so tests in one language pass.
# Seen with: opentelemetry-api 1.45.2 (Python), @opentelemetry/core 2.12.1 and
#   @opentelemetry/api 1.9.1 (npm), 2026-11-28. Source:
#   opentelemetry/baggage/propagation/__init__.py: quote_plus and unquote_plus.
# Why it matters here: baggage carries the customer, the queue or the source along with a
#   job. A worker in the other language looks for "Example+Inc" and counts it apart.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

python3 -m venv env
env/bin/pip install -qq --disable-pip-version-check opentelemetry-api==1.45.2
npm init -y >/dev/null
npm install --silent --no-audit --no-fund --ignore-scripts @opentelemetry/core@2.12.1 \
  @opentelemetry/api@1.9.1 >/dev/null

cat >show.cjs <<'END'
const { W3CBaggagePropagator } = require('@opentelemetry/core');
const { ROOT_CONTEXT, propagation } = require('@opentelemetry/api');

const [way, value] = process.argv.slice(2);
const propagator = new W3CBaggagePropagator();
if (way === 'write') {
  const headers = {};
  const baggage = propagation.createBaggage({ customer: { value } });
  const setter = { set: (to, key, text) => { to[key] = text; } };
  propagator.inject(propagation.setBaggage(ROOT_CONTEXT, baggage), headers, setter);
  process.stdout.write(headers.baggage);
} else {
  const getter = { get: (from, key) => from[key], keys: Object.keys };
  const context = propagator.extract(ROOT_CONTEXT, { baggage: value }, getter);
  process.stdout.write(propagation.getBaggage(context).getEntry('customer').value);
}
END
cat >show.py <<'END'
import subprocess
import sys
from importlib.metadata import version

from opentelemetry import baggage
from opentelemetry.baggage.propagation import W3CBaggagePropagator


def script(way, value):
    return subprocess.check_output([sys.argv[1], "show.cjs", way, value], text=True)


def write(value):
    headers = {}
    W3CBaggagePropagator().inject(headers, baggage.set_baggage("customer", value))
    return headers["baggage"]


def read(header):
    return baggage.get_baggage("customer", W3CBaggagePropagator().extract({"baggage": header}))


NAME, PHONE = "Example Inc", "+49 555"
print(f"Python {version('opentelemetry-api')}, JavaScript 2.12.1")
rows = {
    "JavaScript to JavaScript": script("read", script("write", NAME)),
    "JavaScript to Python": read(script("write", NAME)),
    "Python to Python": read(write(NAME)),
    "Python to JavaScript": script("read", write(NAME)),
}
for name, value in rows.items():
    print(f"  {name:24} expected: {NAME!r}, is: {value!r}")
third = "customer=+49%20555"
print(f"  {third!r}: JavaScript reads {script('read', third)!r}, Python reads {read(third)!r}")
assert rows.pop("Python to JavaScript") == "Example+Inc", "Python to JavaScript is read otherwise now"
assert set(rows.values()) == {NAME} and script("read", third) == PHONE, "the control failed"
assert read(third) == "49 555", "Python reads a plus otherwise now"
END
env/bin/python show.py "$(command -v node)"
