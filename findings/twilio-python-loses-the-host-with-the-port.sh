#!/usr/bin/env bash
# twilio (Python) takes the port off "https://ann:word@host:8443/" and keeps "ann"
#
# Most would expect: Twilio signs an address now with its port, now without; both SDKs try
#   both forms, and a genuine request is taken by either.
# Instead: the Python one cuts the address at the first colon. With a user and password in
#   it, which Twilio's own page on security recommends, what is left is https://ann/sms;
#   of [2001:db8::1] a bracket is left. An address that ends in a bare "?" loses it on the
#   way. Each of these is refused by Python and taken by the SDK for JavaScript.
# Seen with: twilio 9.13.0 (Python), 6.3.1 (npm), 2026-11-28. Source:
#   twilio/request_validator.py, remove_port: uri.netloc.split(":")[0].
# Why it matters here: one customer's webhook on a port of its own is answered 403 for
#   ever, by the code that works for all others.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

python3 -m venv env
env/bin/pip install -qq --disable-pip-version-check twilio==9.13.0
npm init -y >/dev/null
npm install --silent --no-audit --no-fund --ignore-scripts twilio@6.3.1 >/dev/null

cat >show.py <<'END'
import base64
import hashlib
import hmac
import json
import subprocess
from importlib.metadata import version

from twilio.request_validator import RequestValidator

TOKEN, PARAMETERS = "a token made up for this", {"Body": "hello", "From": "+15550100123"}
# the address as it was signed, and as the server knows it
ADDRESSES = [
    ("https://hooks.example/sms", "https://hooks.example/sms"),
    ("https://hooks.example/sms", "https://hooks.example:8443/sms"),
    ("https://ann:word@hooks.example/sms", "https://ann:word@hooks.example:8443/sms"),
    ("https://[2001:db8::1]/sms", "https://[2001:db8::1]:8443/sms"),
    ("https://hooks.example/sms?", "https://hooks.example/sms?"),
]


def signature(address):
    text = address + "".join(name + PARAMETERS[name] for name in sorted(PARAMETERS))
    return base64.b64encode(hmac.new(TOKEN.encode(), text.encode(), hashlib.sha1).digest()).decode()


def by_node(address, signed):
    given = json.dumps([TOKEN, signed, address, PARAMETERS])
    return subprocess.run(["node", "check.cjs", given], capture_output=True, check=True, text=True).stdout.strip() == "true"


print(f"taken by twilio {version('twilio')} (Python) | 6.3.1 (npm)")
seen = []
for signed, known in ADDRESSES:
    taken = RequestValidator(TOKEN).validate(known, PARAMETERS, signature(signed)), by_node(known, signature(signed))
    seen.append(taken)
    print(f"  {known:42} {taken[0]!s:5} | {taken[1]}")
assert seen[:2] == [(True, True)] * 2, "the control failed"
assert all(node for _, node in seen), "the second control failed"
assert not any(python for python, _ in seen[2:]), "Python takes one of them now"
END
cat >check.cjs <<'END'
const { validateRequest } = require('twilio');
console.log(validateRequest(...JSON.parse(process.argv[2])));
END
env/bin/python show.py
