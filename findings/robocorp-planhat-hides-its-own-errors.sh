#!/usr/bin/env bash
# robocorp-planhat: the exception in its documentation never reaches the caller
#
# Most would expect: `except PlanhatRateLimitError` catches what get() and put()
#   "raise if the API's rate limits are exceeded".
# Instead: a 429 is tried three times and then comes out as tenacity.RetryError, a
#   class of another library, whose text holds neither the status nor the answer.
#   The same class stands for 500 and 504 ("rate limit reached"), while a 503 is not
#   tried again at all and comes out as PlanhatServerError.
# Seen with: robocorp-planhat 1.0.0, tenacity 8.5.0 (Python), against a listener on
#   this machine, 2026-11-28. Source: planhat/session.py, STATUS_CODES_TO_RETRY and
#   @retry(...) without reraise=True.
# Why it matters here: "wait" (429), "perhaps done" (500, 504) and "try later" (503)
#   want three answers; here the first two are one, and the handler for it is dead.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

python3 -m venv env
env/bin/pip install -qq --disable-pip-version-check robocorp-planhat==1.0.0 tenacity==8.5.0 typing_extensions==4.16.0

cat >show.py <<'END'
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import version

from planhat import Planhat, PlanhatHTTPError, PlanhatRateLimitError, PlanhatServerError

answers = {"status": 200, "calls": 0}


class Listener(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        answers["calls"] += 1
        self.send_response(answers["status"])
        self.send_header("content-length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Listener)
threading.Thread(target=server.serve_forever, daemon=True).start()
client = Planhat(api_key="made-up")
client.session._api_host = f"http://127.0.0.1:{server.server_port}"


def outcome(status):
    answers.update(status=status, calls=0)
    try:
        client.session.get("/companies")
    except PlanhatRateLimitError:
        kind = "PlanhatRateLimitError"
    except PlanhatServerError:
        kind = "PlanhatServerError"
    except PlanhatHTTPError:
        kind = "PlanhatHTTPError"
    except Exception as error:
        kind = f"{type(error).__module__}.{type(error).__name__}, about {error.last_attempt.exception().__class__.__name__}"
    return answers["calls"], kind


seen = {status: outcome(status) for status in (429, 500, 503)}
print("expected:  429 PlanhatRateLimitError; 500 and 503 treated alike")
for status, (calls, kind) in seen.items():
    print(f"robocorp-planhat {version('robocorp-planhat')}: {status} -> {calls} call(s), {kind}")
assert seen[429] == (3, "tenacity.RetryError, about PlanhatRateLimitError"), "429 comes out otherwise now"
assert seen[500] == seen[429], "500 is no longer called a rate limit"
assert seen[503] == (1, "PlanhatServerError"), "503 comes out otherwise now"
END
env/bin/python show.py
