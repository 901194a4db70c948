#!/usr/bin/env bash
# Clients of Planhat and Salesforce: who deletes "T-4711#2" deletes T-4711
#
# Most would expect: an external id is encoded where it becomes a part of the address; that
#   is what the clients are for. It is one's own, any text, and Planhat's and Salesforce's
#   interfaces take it in the path ("extid-...", "Case/Ext__c/...").
# Instead: it is put there as it is. "#2" never leaves the machine, and what goes out is the
#   id before it, which is another record: DELETE conversations/extid-T-4711. A question mark
#   ends it likewise, a slash makes two parts of it. simple-salesforce does encode, in one of
#   two methods: get_by_custom_id() finds T-4711#2 and upsert() writes T-4711. And there a
#   blank is a plus, as in forms, which in a path is a plus: "ACME 12" is looked up as
#   "ACME+12", is not found, and upsert() makes it "ACME 12" anew.
# Seen with: pyplanhat 0.2.1, robocorp-planhat 1.0.0, simple-salesforce 1.12.10 (Python),
#   @jsforce/jsforce-node 3.10.16 (npm), 2026-11-29, against a listener on this machine.
#   Source: f"/conversations/{conversation_id}", get_urlpath() in planhat/types.py, quote_plus
#   and urljoin in simple_salesforce/api.py, join('/') in lib/connection.js.
# Why it matters here: ids made of several parts ("ticket#comment", a Message-ID with a slash)
#   are what a relay makes. Test ids have none; the wrong record is changed and answers 200.
set -euo pipefail

work=$(mktemp -d)
installing=
trap '[ -z "$installing" ] || kill "$installing" 2>/dev/null || true; rm -rf "$work"' EXIT
cd "$work"

npm init -y >/dev/null
npm install --silent --no-audit --no-fund --ignore-scripts @jsforce/jsforce-node@3.10.16 >/dev/null &
installing=$!
python3 -m venv env
env/bin/pip install -qq --disable-pip-version-check pyplanhat==0.2.1 robocorp-planhat==1.0.0 typing_extensions==4.16.0 \
  simple-salesforce==1.12.10
wait "$installing"
installing=

cat >upsert.cjs <<'END'
const { Connection } = require('@jsforce/jsforce-node');

const cases = new Connection({ instanceUrl: process.argv[2], accessToken: 'made up', version: '60.0' }).sobject('Case');
(async () => {
  for (const id of process.argv.slice(3)) await cases.upsert({ Ext__c: id, Subject: 'A question' }, 'Ext__c');
})();
END
cat >show.py <<'END'
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from planhat import Planhat
from planhat.types import Conversation
from pyplanhat import PyPlanhat
from simple_salesforce import Salesforce

IDS = ["T-4711", "T-4711#2", "T-4711/2", "ACME 12"]
asked = []


class Listener(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self):
        self.rfile.read(int(self.headers.get("content-length") or 0))
        asked.append(self.path.removeprefix("/conversations/extid-").split("Ext__c/")[-1])
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    do_GET = do_PUT = do_PATCH = do_DELETE = answer

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Listener)
server.daemon_threads = True
threading.Thread(target=server.serve_forever, daemon=True).start()
base = f"http://127.0.0.1:{server.server_port}"

pyplanhat = PyPlanhat(api_key="made up", base_url=base)
robocorp = Planhat(api_key="made up")
robocorp.session._api_host = base
case = Salesforce(instance_url=base, session_id="made up").Case
case.base_url = f"{base}/sobjects/Case/"


def heard(call):
    """Return what the server was asked for, id by id."""
    asked.clear()
    for one in IDS:
        call(one)
    return list(asked)


seen = {
    "pyplanhat delete": heard(lambda one: pyplanhat.conversations.delete(f"extid-{one}")),
    "robocorp delete": heard(lambda one: robocorp.delete_planhat_object(Conversation({"externalId": one}))),
    "salesforce get": heard(lambda one: case.get_by_custom_id("Ext__c", one)),
    "salesforce upsert": heard(lambda one: case.upsert(f"Ext__c/{one}", {"Subject": "A question"})),
}
asked.clear()
subprocess.run(["node", "upsert.cjs", base, *IDS], check=True, timeout=60)
seen["jsforce upsert"] = list(asked)
pyplanhat.close()
server.shutdown()
print(f"{'expected':18}", ["T-4711", "T-4711%232", "T-4711%2F2", "ACME%2012"])
for name, paths in seen.items():
    print(f"{name:18}", paths)
assert all(paths[0] == "T-4711" for paths in seen.values()), "the control failed"
assert seen["salesforce get"] == ["T-4711", "T-4711%232", "T-4711%2F2", "ACME+12"], "the look-up has changed"
for name in seen.keys() - {"salesforce get"}:
    assert seen[name] == ["T-4711", "T-4711", "T-4711/2", "ACME%2012"], f"{name} encodes the id now"
END
env/bin/python show.py
