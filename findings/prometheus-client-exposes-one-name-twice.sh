#!/usr/bin/env bash
# prometheus_client: two metrics whose names differ in a dot are exposed as one, twice
#
# Most would expect: Counter("relay.events") raises ValueError (dots were never
#   allowed), or its dot is kept and quoted, as Prometheus 3 allows.
# Instead: it is taken, and written as relay_events_total. A second counter named
#   "relay_events" is taken too, since the registry compares the names as given, and
#   /metrics holds the family twice, each with its own TYPE line. The text format
#   forbids that; a scrape of it fails or keeps one of the two values.
# Seen with: prometheus_client 0.26.0 (Python), 2026-11-28. Source:
#   prometheus_client/exposition.py, escaping "underscores" (the default), and
#   registry.py.
# Why it matters here: a metric that one library names with a dot (OpenTelemetry's
#   way) silently takes the place of another one's, and alerts read the wrong count.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

python3 -m venv env
env/bin/pip install -qq --disable-pip-version-check prometheus_client==0.26.0

cat >show.py <<'END'
from importlib.metadata import version

from prometheus_client import CollectorRegistry, Counter, generate_latest

registry = CollectorRegistry()
Counter("relay.events", "from one library", registry=registry).inc()
Counter("relay_events", "from another", registry=registry).inc(2)
try:
    Counter("relay_events", "once more", registry=registry)
    same_name = "taken"
except ValueError as error:
    same_name = f"ValueError: {str(error)[:40]}"
text = generate_latest(registry).decode()
lines = [line for line in text.splitlines() if "relay_events_total" in line and "HELP" not in line]
print("expected:  an error at the second counter, or two names")
print(f"prometheus_client {version('prometheus_client')}, the very same name again: {same_name}")
print(f"prometheus_client {version('prometheus_client')}, a dot and an underscore:")
print(*(f"  {line}" for line in lines), sep="\n")
assert same_name.startswith("ValueError"), "the control failed"
assert lines.count("# TYPE relay_events_total counter") == 2, "the family stands there once now"
assert "relay_events_total 1.0" in lines and "relay_events_total 2.0" in lines, "other values now"
END
env/bin/python show.py
