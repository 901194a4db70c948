#!/usr/bin/env bash
# svix 2: verify() no longer returns the event, in either language
#
# Most would expect: `event = webhook.verify(body, headers)` is the parsed event, as
#   in svix 1, in the provider's examples of many years and in standardwebhooks,
#   which svix 2 is built on.
# Instead: it returns None (Python) and undefined (JavaScript). Only an exception
#   tells good from bad; the body has to be parsed by oneself. Code that went on
#   with `event["type"]` fails on genuine messages only, after the signature has
#   been accepted; a test with a wrong signature passes as before.
# Seen with: svix 1.99.1 and 2.5.0 (npm), svix 2.9.1 and standardwebhooks 1.1.0
#   (Python), 2026-11-28. Source: svix/webhooks.py (`-> None`) and dist/webhook.js.
# Why it matters here: a source that takes Svix's webhooks answers 500 after the
#   upgrade, and the sender repeats each message for days.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

python3 -m venv env
env/bin/pip install -qq --disable-pip-version-check svix==2.9.1 standardwebhooks==1.1.0
npm init -y >/dev/null
npm install --silent --no-audit --no-fund --ignore-scripts svix@2.5.0 svix1@npm:svix@1.99.1 >/dev/null

cat >show.py <<'END'
import base64
from datetime import datetime, timezone

import standardwebhooks.webhooks
import svix.webhooks

SECRET = "whsec_" + base64.b64encode(b"a key made up for this script").decode()
BODY = '{"type":"ticket.created"}'
now = datetime.now(timezone.utc)


def verified(module, prefix):
    hook = module.Webhook(SECRET)
    values = {"id": "msg_1", "timestamp": str(int(now.timestamp())), "signature": hook.sign("msg_1", now, BODY)}
    return hook.verify(BODY, {f"{prefix}-{name}": value for name, value in values.items()})


print(verified(standardwebhooks.webhooks, "webhook"), verified(svix.webhooks, "svix"), sep="|")
END
cat >show.cjs <<'END'
const body = '{"type":"ticket.created"}';
const secret = 'whsec_' + Buffer.from('a key made up for this script').toString('base64');

function verified(name) {
  const hook = new (require(name).Webhook)(secret);
  const now = new Date();
  const signature = hook.sign('msg_1', now, body);
  const at = String(Math.floor(now / 1000));
  return JSON.stringify(hook.verify(body, { 'svix-id': 'msg_1', 'svix-timestamp': at, 'svix-signature': signature }));
}
console.log([verified('svix1'), verified('svix')].join('|'));
END
python=$(env/bin/python show.py)
node=$(node show.cjs)
echo "what verify() returns for a genuine message"
echo "  expected:                                the event, everywhere"
echo "  Python, standardwebhooks 1.1.0 | svix 2.9.1:   $python"
echo "  JavaScript, svix 1.99.1 | svix 2.5.0:          $node"
[ "$python" = "{'type': 'ticket.created'}|None" ] || { echo "Python behaves otherwise"; exit 1; }
[ "$node" = '{"type":"ticket.created"}|' ] || { echo "JavaScript behaves otherwise"; exit 1; }
