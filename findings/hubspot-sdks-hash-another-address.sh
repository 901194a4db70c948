#!/usr/bin/env bash
# HubSpot's own SDKs refuse calls that are signed as HubSpot's documentation says
#
# Most would expect: Signature.is_valid() of HubSpot's SDKs follows the page about version 3
#   of the signature: marks such as %2C, %3A and %40 in the address are decoded before it
#   is hashed. And the body that a web framework hands over, which is bytes in Python, is
#   hashed, or is a TypeError.
# Instead: both hash the address as it is given, so that a hook with "?teams=a%2Cb" is
#   refused for ever, and one without is fine. The Python one puts the body into an
#   f-string: of bytes it hashes "b'...'" with its marks, and says False. The JavaScript
#   one takes a Buffer.
# Seen with: hubspot-api-client 12.0.0 (Python), @hubspot/api-client 13.5.0 (npm),
#   2026-11-28. Source: hubspot/utils/signature.py; lib/src/utils/signature.js. Format:
#   HubSpot, Validating requests ("decode any of the URL-encoded characters").
# Why it matters here: a secret is looked for, and found to be right. The address of a hook
#   holds a team, a mail address or a URL to come back to.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

python3 -m venv env
env/bin/pip install -qq --disable-pip-version-check hubspot-api-client==12.0.0
npm init -y >/dev/null
npm install --silent --no-audit --no-fund --ignore-scripts @hubspot/api-client@13.5.0 >/dev/null

cat >check.py <<'END'
import base64
import hashlib
import hmac
import json
import time
from urllib.parse import unquote

from hubspot.utils.signature import Signature

SECRET, BODY = "made up", b'[{"objectId":1}]'
stamp = str(int(time.time() * 1000))
calls = {}
for kind, address in (("plain", "https://shop.example/hook?teams=a"), ("encoded", "https://shop.example/hook?teams=a%2Cb")):
    signed = b"POST" + unquote(address).encode() + BODY + stamp.encode()
    signature = base64.b64encode(hmac.new(SECRET.encode(), signed, hashlib.sha256).digest()).decode()
    calls[kind] = {"address": address, "signature": signature, "stamp": stamp, "secret": SECRET, "body": BODY.decode()}


def valid(kind, body):
    call = calls[kind]
    return Signature.is_valid(call["signature"], SECRET, body, call["address"], "POST", "v3", stamp)


seen = {"text": valid("plain", BODY.decode()), "bytes": valid("plain", BODY), "encoded": valid("encoded", BODY.decode())}
json.dump({"calls": calls, "seen": seen}, open("python.json", "w"))
END
env/bin/python check.py

cat >show.mjs <<'END'
import assert from 'node:assert';
import fs from 'node:fs';
import { createRequire } from 'node:module';

const { Signature } = createRequire(import.meta.url)('@hubspot/api-client');
const { calls, seen: python } = JSON.parse(fs.readFileSync('python.json'));
const valid = (kind, body) => {
  const { address: url, signature, stamp, secret: clientSecret } = calls[kind];
  return Signature.isValid({ signatureVersion: 'v3', method: 'POST', signature, clientSecret, requestBody: body, url, timestamp: Number(stamp) });
};
const body = calls.plain.body;
const javascript = { text: valid('plain', body), bytes: valid('plain', Buffer.from(body)), encoded: valid('encoded', body) };
console.log('is valid, in Python:    ', JSON.stringify(python));
console.log('is valid, in JavaScript:', JSON.stringify(javascript));
assert(python.text && javascript.text && javascript.bytes, 'the control failed');
assert.equal(python.bytes, false, 'bytes are hashed now');
assert(!python.encoded && !javascript.encoded, 'the address is decoded now');
END
node show.mjs
