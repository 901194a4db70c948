#!/usr/bin/env bash
# Merge's client: a local time of July is sent with the offset of today's season
#
# Most would expect: a datetime without a zone is local (or UTC), and local means the offset
#   that was in force at that time, as astimezone() has it.
# Instead: it gets the offset that is in force now. Asked in winter for what came after 9:00
#   of a 15th of July, a client in New York asks from 10:00 on, and one in Berlin likewise;
#   asked in summer for a day in January it is wrong the other way. A test that uses today's
#   date is right all year, and UTC servers never see it. The client is made by Fern; others of
#   its making, Intercom's 5.0.1 for one, have the same lines.
# Seen with: MergePythonClient 4.2.1, httpx 0.28.1 (Python), 2026-11-29. Source:
#   merge/core/datetime_utils.py, serialize_datetime: datetime.now().astimezone().tzinfo,
#   a fixed offset, put on whatever time there is by replace().
# Why it matters here: Merge is one reader for many help desks. A backfill of half a year
#   that goes on from where it ended leaves out an hour of tickets, or has one twice.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

python3 -m venv env
env/bin/pip install -qq --disable-pip-version-check MergePythonClient==4.2.1 httpx==0.28.1

cat >show.py <<'END'
import os
import time
from datetime import datetime, timedelta, timezone
from importlib.metadata import version

import httpx
from merge import Merge

asked = []


def answer(request):
    """Write down what the tickets are asked for; there are none."""
    asked.append(datetime.fromisoformat(request.url.params["created_after"]))
    return httpx.Response(200, json={"next": None, "previous": None, "results": []})


client = Merge(api_key="made up", account_token="made up", httpx_client=httpx.Client(transport=httpx.MockTransport(answer)))


def hours_off(moment):
    """Return by how many hours what is asked for is later than the local time that was given."""
    client.ticketing.tickets.list(created_after=moment)
    return (asked.pop() - moment.astimezone()) / timedelta(hours=1)


seen = {}
for zone in ("America/New_York", "Europe/Berlin", "UTC"):
    os.environ["TZ"] = zone
    time.tzset()
    summer_now = bool(time.localtime().tm_isdst)
    seen[zone] = {
        "today": hours_off(datetime.now().replace(microsecond=0)),
        "January": hours_off(datetime(2026, 1, 15, 9)),
        "July": hours_off(datetime(2026, 7, 15, 9)),
    }
    print(f"MergePythonClient {version('MergePythonClient')}, {zone}, summer time {summer_now}: hours off {seen[zone]}")
    assert hours_off(datetime(2026, 7, 15, 9, tzinfo=timezone.utc)) == 0, "the control failed"
    assert seen[zone]["today"] == 0, "the second control failed"
    if zone != "UTC":
        expected = {"today": 0, "January": -1 if summer_now else 0, "July": 0 if summer_now else 1}
        assert seen[zone] == expected, "a time has the offset of its own day now"
assert set(seen["UTC"].values()) == {0}, "the third control failed"
END
env/bin/python show.py
