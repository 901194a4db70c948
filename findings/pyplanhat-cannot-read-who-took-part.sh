#!/usr/bin/env bash
# pyplanhat: a conversation with people in it cannot be read
#
# Most would expect: get() returns what Planhat's documentation shows as the answer;
#   participants there are objects, "endusers": [{"id": ..., "name": ...}].
# Instead: the model wants a list of strings, and get() and list() raise a pydantic
#   ValidationError for every conversation that has an end user. One such record
#   makes a whole list unreadable. (`users` beside it may hold anything.)
# Seen with: pyplanhat 0.2.1 (Python), against a listener on this machine that answers
#   in the documented shape, 2026-11-28. Source: pyplanhat/_sync/resources/
#   conversations.py, `endusers: list[str]`.
# Why it matters here: it is the newest client for the API that this relay writes to;
#   its types were made from the words of the reference ("enduser ids"), not from
#   answers. Types of other people's clients are no evidence of a shape.
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

import pydantic
from pyplanhat import PyPlanhat

answers = []


class Listener(BaseHTTPRequestHandler):
    def do_GET(self):
        body = json.dumps(answers).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Listener)
threading.Thread(target=server.serve_forever, daemon=True).start()
client = PyPlanhat(api_key="made-up", base_url=f"http://127.0.0.1:{server.server_port}")
alone = {"_id": "64b000000000000000000001", "companyId": "64b0000000000000000000c1", "type": "note", "endusers": []}
person = {"id": "64b0000000000000000000e1", "name": "Ann Example"}


def read(*items):
    answers[:] = items
    try:
        return f"{len(client.conversations.list())} conversation(s)"
    except pydantic.ValidationError as error:
        return f"ValidationError at {error.errors()[0]['loc']}: {error.errors()[0]['msg']}"


without, together = read(alone, alone), read(alone, {**alone, "endusers": [person]})
print("expected:          2 conversation(s), both times")
print(f"pyplanhat {version('pyplanhat')}, without people:      {without}")
print(f"pyplanhat {version('pyplanhat')}, one of two with one: {together}")
assert without == "2 conversation(s)", "the control failed"
assert together.startswith("ValidationError at ('endusers', 0)"), "end users can be read now"
END
env/bin/python show.py
