#!/usr/bin/env bash
# robocorp-planhat: more than 5,000 objects are all delivered, then it raises
#
# Most would expect: update_objects() cuts a list of 5,001 into two calls and returns
#   the two answers, as its documentation says.
# Instead: it makes the two calls, both answered with 200, and goes on to a third
#   with an empty list (the loop always counts to 1,000). That one raises ValueError
#   "Unable to determine URL path for list with no set type", and the two answers,
#   with the ids and the errors of 5,001 objects, are lost. The caller who tries
#   again sends all of it again.
# Seen with: robocorp-planhat 1.0.0 (Python), against a listener on this machine,
#   2026-11-28. Source: planhat/client.py, update_objects:
#   `for counter in range(0, 1000)` without a break.
# Why it matters here: "it failed" and "nothing was written" are two things; what
#   Planhat answered is the only place where refused objects are named.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

python3 -m venv env
env/bin/pip install -qq --disable-pip-version-check robocorp-planhat==1.0.0 tenacity==8.5.0 typing_extensions==4.16.0

cat >show.py <<'END'
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import version

from planhat import Planhat, types

sizes = []


class Listener(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_PUT(self):
        items = json.loads(self.rfile.read(int(self.headers["content-length"])))
        sizes.append(len(items))
        answer = json.dumps({"created": len(items), "createdErrors": []}).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Listener)
threading.Thread(target=server.serve_forever, daemon=True).start()
client = Planhat(api_key="made-up")
client.session._api_host = f"http://127.0.0.1:{server.server_port}"


def upsert(count):
    """Send so many conversations; return the sizes of the calls and what the caller gets."""
    sizes.clear()
    items = [{"externalId": f"c-{number}", "companyId": "extid-acme", "subject": "s"} for number in range(count)]
    try:
        answer = client.update_objects(types.Conversation.from_list(items))
    except ValueError as error:
        answer = f"ValueError: {error}"
    return list(sizes), answer


full, over = upsert(5000), upsert(5001)
print("expected for 5,001:  calls of [5000, 1], and a list of two answers")
print(f"robocorp-planhat {version('robocorp-planhat')}, 5,000: calls {full[0]}, then {full[1]}")
print(f"robocorp-planhat {version('robocorp-planhat')}, 5,001: calls {over[0]}, then {over[1]}")
assert full == ([5000], {"created": 5000, "createdErrors": []}), "the control failed"
assert over[0] == [5000, 1] and str(over[1]).startswith("ValueError: Unable"), "5,001 are treated otherwise now"
END
env/bin/python show.py
