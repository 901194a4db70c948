#!/usr/bin/env bash
# Standard Webhooks: one secret is two keys, or none, by the library's language
#
# Most would expect: a secret whose base64 is of the URL kind ("-" and "_") is
#   refused by both libraries, or read the same by both.
# Instead: Python's skips the characters that it does not know and goes on with
#   what is left: a shorter key, and signatures that look as good as any. The
#   JavaScript one refuses the secret.
# Seen with: standardwebhooks 1.1.0 (Python), standardwebhooks 1.1.1 (npm),
#   2026-11-28. Source: standardwebhooks/webhooks.py, base64.b64decode(secret + "==")
#   without validate=True; npm: @stablelib/base64.
# Why it matters here: a key made with urlsafe_b64encode works in Python on both
#   sides, and never with a partner in another language; the message there says
#   "incorrect characters", ours says 401.
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
from datetime import datetime, timezone
from importlib.metadata import version

from standardwebhooks.webhooks import Webhook

AT = datetime(2026, 11, 27, tzinfo=timezone.utc)
KEY = bytes([0xFB, 0xEF, 0xBE] * 2 + list(range(21)))
PLAIN, URL = base64.b64encode(KEY).decode(), base64.urlsafe_b64encode(KEY).decode()
assert URL != PLAIN


def both(secret):
    try:
        python = Webhook(secret).sign("msg_1", AT, "{}")
    except Exception as error:
        python = f"refused: {error}"
    answer = subprocess.run([sys.argv[1], "sign.cjs", secret], check=True, capture_output=True, text=True)
    return python, answer.stdout.strip()


rows = {"base64": both("whsec_" + PLAIN), "URL base64": both("whsec_" + URL)}
print(f"Python {version('standardwebhooks')} | JavaScript 1.1.1")
for name, row in rows.items():
    print(f"  {name:16} {row[0][:24]} | {row[1][:48]}")
true = rows["base64"][0]
assert rows["base64"] == (true, true), "the control failed"
python, script = rows["URL base64"]
assert python.startswith("v1,") and python != true and script.startswith("refused"), "URL base64 is read otherwise now"
END
cat >sign.cjs <<'END'
const { Webhook } = require('standardwebhooks');

try {
  console.log(new Webhook(process.argv[2]).sign('msg_1', new Date('2026-11-27T00:00:00Z'), '{}'));
} catch (error) {
  console.log(`refused: ${error.message}`);
}
END
env/bin/python show.py "$(command -v node)"
