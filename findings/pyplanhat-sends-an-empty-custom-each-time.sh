#!/usr/bin/env bash
# pyplanhat: a change of one field also sends "custom": {}
#
# Most would expect: update(id, Conversation(subject="x")) sends {"subject": "x"}; the
#   client leaves out what was not set (model_dump(exclude_none=True)).
# Instead: `custom` is an empty dict by default, not None, and goes along in every
#   update: {"subject": "x", "custom": {}}. What Planhat makes of an empty object
#   (keep, as for a field left out, or clear) is not documented. And what a read
#   brings that the model does not know (ownerId, transcript) is gone from the
#   record that is written back.
# Seen with: pyplanhat 0.2.1 (Python), against a listener on this machine, 2026-11-28.
#   Source: pyplanhat/_sync/resources/conversations.py, `default_factory=dict`.
# Why it matters here: a second tool on this client beside the relay touches, at each
#   change, the custom fields that the relay writes.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

python3 -m venv env
env/bin/pip install -qq --disable-pip-version-check pyplanhat==0.2.1

cat >show.py <<'END'
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import version

from pyplanhat import Conversation, PyPlanhat

bodies = []
RECORD = {"_id": "64b000000000000000000001", "companyId": "64b0000000000000000000c1", "ownerId": "64b0000000000000000000d1"}


class Listener(BaseHTTPRequestHandler):
    def answer(self):
        sent = self.rfile.read(int(self.headers.get("content-length") or 0))
        if sent:
            bodies.append(json.loads(sent))
        body = json.dumps(RECORD).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_PUT = answer

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Listener)
threading.Thread(target=server.serve_forever, daemon=True).start()
client = PyPlanhat(api_key="made-up", base_url=f"http://127.0.0.1:{server.server_port}")
client.conversations.update("extid-c-1", Conversation(subject="x"))
record = client.conversations.get("extid-c-1")
client.conversations.update("extid-c-1", record)
partial, whole = bodies
print('expected:          {"subject": "x"}; and ownerId still in what is written back')
print(f"pyplanhat {version('pyplanhat')}, one field:        {json.dumps(partial)}")
print(f"pyplanhat {version('pyplanhat')}, read and written: {json.dumps(whole)}")
assert partial == {"subject": "x", "custom": {}}, "an update of one field sends something else now"
assert whole == {"_id": RECORD["_id"], "companyId": RECORD["companyId"], "custom": {}}, "unknown fields are kept now"
END
env/bin/python show.py
