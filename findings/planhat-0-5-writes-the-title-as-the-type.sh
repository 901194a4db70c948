#!/usr/bin/env bash
# The package "planhat" sends the title of a conversation as its type
#
# Most would expect: post_conversations(title=...) of the client that has Planhat's own
#   name sets the conversation's subject.
# Instead: the title goes out as "type" and there is no subject, no date and no external
#   id; whatever is left out is sent as null ([null] for the tag, {"id": null} for the
#   user). And get_conversations() asks once, with no limit: it is the first page.
# Seen with: planhat 0.5.1 (Python), 2026-11-28, against a stand-in that writes down what
#   it gets. Source: planhat/client.py, post_conversations. Format: Planhat's API,
#   "Conversation" (subject, type) and "limit" (30 unless asked for more).
# Why it matters here: who moves from this client to a relay finds a list of types that
#   were titles, and a history of which each run read the first thirty.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

python3 -m venv env
env/bin/pip install -qq --disable-pip-version-check planhat==0.5.1 requests==2.32.5

cat >show.py <<'END'
import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

from planhat.client import Planhat

asked = []


class StandIn(BaseHTTPRequestHandler):
    def answer(self):
        length = int(self.headers.get("content-length") or 0)
        asked.append((self.command, self.path, json.loads(self.rfile.read(length) or "null")))
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"[]")

    do_GET = do_POST = answer

    def log_message(self, *_):
        pass


server = HTTPServer(("127.0.0.1", 0), StandIn)
threading.Thread(target=server.serve_forever, daemon=True).start()
client = Planhat(f"http://127.0.0.1:{server.server_port}", "a tenant", "a token made up for this")
client.post_conversations(title="The export fails", description="Since Monday", company_id="c1")
client.get_conversations()
server.shutdown()
for method, path, body in asked:
    print(method, path, json.dumps(body))
(_, path, sent), (_, listed, _) = asked
assert path == "/conversations" and sent["companyId"] == "c1" and sent["description"] == "Since Monday", "the control failed"
assert sent["type"] == "The export fails" and "subject" not in sent, "the title is the subject now"
assert sent["users"] == [{"id": None}] and sent["activityTags"] == [None], "what is left out is not sent now"
assert listed == "/conversations", "it asks for more than the first page now"
END
env/bin/python show.py
