#!/usr/bin/env bash
# standardwebhooks (Python): sign() ignores the zone of the time it is given
#
# Most would expect: sign(id, time, body) with a time that has a zone signs the
#   instant; 10:00+02:00 and 08:00Z give the same signature.
# Instead: the zone is thrown away and the clock's figures are read as UTC. The
#   signature made at 10:00+02:00 is one for 10:00Z, two hours ahead. Its own verify()
#   refuses the message, and so does the library's JavaScript twin, whose sign()
#   takes instants.
# Seen with: standardwebhooks 1.1.0 (Python), standardwebhooks 1.1.1 (npm),
#   2026-11-28. Source: standardwebhooks/webhooks.py, sign():
#   `timestamp.replace(tzinfo=timezone.utc)` in place of astimezone.
# Why it matters here: a sender in Python that runs on local time sends messages that
#   every receiver answers with 401, while its own unit test (in UTC) passes.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

python3 -m venv env
env/bin/pip install -qq --disable-pip-version-check standardwebhooks==1.1.0
npm init -y >/dev/null
npm install --silent --no-audit --no-fund --ignore-scripts standardwebhooks@1.1.1 >/dev/null

cat >show.py <<'END'
import base64
import subprocess
import sys
from datetime import datetime, timedelta, timezone
from importlib.metadata import version

from standardwebhooks.webhooks import Webhook, WebhookVerificationError

SECRET = "whsec_" + base64.b64encode(b"a key made up for this script").decode()
BODY = '{"type":"ticket.created"}'
now = datetime.now(timezone.utc)
local = now.astimezone(timezone(timedelta(hours=2)))
assert now == local
hook = Webhook(SECRET)
in_utc, in_local = hook.sign("msg_1", now, BODY), hook.sign("msg_1", local, BODY)
node = sys.argv[1]


def verdict(signature):
    """Verify as a receiver does, with the true time of sending in the header."""
    headers = {
        "webhook-id": "msg_1",
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": signature,
    }
    try:
        hook.verify(BODY, headers)
        return "accepted"
    except WebhookVerificationError as error:
        return f"refused ({error})"


twin = subprocess.run(
    [node, "sign.cjs", SECRET, str(int(now.timestamp() * 1000)), BODY], check=True, capture_output=True, text=True
).stdout.strip()
print("expected:  one signature for one instant, whatever its zone")
print(f"Python {version('standardwebhooks')}, UTC:     {in_utc}  {verdict(in_utc)}")
print(f"Python {version('standardwebhooks')}, +02:00:  {in_local}  {verdict(in_local)}")
print(f"JavaScript twin:   {twin}")
assert verdict(in_utc) == "accepted" and twin == in_utc, "the control failed"
assert in_local != in_utc and verdict(in_local).startswith("refused"), "sign() now heeds the zone"
END
cat >sign.cjs <<'END'
const { Webhook } = require('standardwebhooks');

const [secret, at, body] = process.argv.slice(2);
console.log(new Webhook(secret).sign('msg_1', new Date(Number(at)), body));
END
env/bin/python show.py "$(command -v node)"
