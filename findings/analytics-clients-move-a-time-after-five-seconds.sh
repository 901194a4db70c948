#!/usr/bin/env bash
# Segment's clients: the same time is five hours earlier if it is handed over six seconds late
#
# Most would expect: a datetime without a zone is always local or always UTC; which of the
#   two is in the manual.
# Instead: the clients guess by the clock. A time of the last five seconds counts as local,
#   since it must come from datetime.now(); an older one counts as UTC. On a machine in New
#   York an event that is tracked at once is right, and one that waited six seconds in a
#   queue is five hours too early. PostHog has the same rule, RudderStack too. A time to
#   come (a meeting) is local for two of them, and UTC for PostHog.
# Seen with: segment-analytics-python 2.4.0, rudder-sdk-python 2.1.9, posthog 7.91.1
#   (Python), 2026-11-28. Source: guess_timezone in segment/analytics/utils.py,
#   rudderstack/analytics/utils.py, posthog/utils.py.
# Why it matters here: workers hand events on after they waited. Tests, which are quick,
#   see local times; the backlog after an outage is in another order than it happened.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

python3 -m venv env
env/bin/pip install -qq --disable-pip-version-check segment-analytics-python==2.4.0 rudder-sdk-python==2.1.9 posthog==7.91.1

cat >show.py <<'END'
import logging
from datetime import datetime, timedelta, timezone
from importlib.metadata import version

from dateutil.parser import isoparse
from posthog import Posthog
from rudderstack.analytics.client import Client as Rudder
from segment.analytics.client import Client as Segment

logging.disable(logging.CRITICAL)
caught = []


def catch(event):
    caught.append(event)


def segment(moment):
    return Segment("made up", send=False).track("ann", "Order", timestamp=moment)[1]["timestamp"]


def rudder(moment):
    return Rudder("made up", host="http://127.0.0.1:9", send=False).track("ann", "Order", timestamp=moment)[1]["timestamp"]


def posthog(moment):
    Posthog("made up", host="http://127.0.0.1:9", before_send=catch).capture("Order", distinct_id="ann", timestamp=moment)
    return caught[-1]["timestamp"]


def shift(client, ago):
    """Return by how many hours the client moves a naive local time of so long ago."""
    moment = datetime.now() - ago
    sent = client(moment)
    sent = isoparse(sent) if isinstance(sent, str) else sent
    return round((sent - moment.astimezone(timezone.utc)) / timedelta(hours=1))


here = datetime.now().astimezone().utcoffset() / timedelta(hours=1)
AGES = {"at once": timedelta(), "after 6 s": timedelta(seconds=6), "in a day": -timedelta(days=1)}
seen = {}
for name, client in (("segment-analytics-python", segment), ("rudder-sdk-python", rudder), ("posthog", posthog)):
    seen[name] = {what: shift(client, ago) for what, ago in AGES.items()}
    aware = datetime.now(timezone.utc) - timedelta(hours=1)
    sent = client(aware)
    assert (isoparse(sent) if isinstance(sent, str) else sent) - aware < timedelta(seconds=1), "the control failed"
    print(f"{name} {version(name)}: moved by hours {seen[name]}")
assert here in (-5.0, -4.0), "the machine's zone was not set"
for name, moved in seen.items():
    assert moved["at once"] == 0, f"{name}: the second control failed"
    assert abs(moved["after 6 s"]) >= 4, f"{name} has one zone for all times now"
assert seen["segment-analytics-python"]["in a day"] == seen["rudder-sdk-python"]["in a day"] == 0, "times to come have changed"
assert abs(seen["posthog"]["in a day"]) >= 4, "posthog takes times to come for local now"
END
TZ=America/New_York env/bin/python show.py
