#!/usr/bin/env bash
# APScheduler runs the crontab line for Monday on Tuesday
#
# Most would expect: CronTrigger.from_crontab() reads a line as cron does: 1 is Monday,
#   0 and 7 are Sunday, and "13 * 5" is each 13th and each Friday.
# Instead: days of the week count from Monday = 0, so that "0 9 * * 1" fires on Tuesdays,
#   "1-5" from Tuesday to Saturday, and 7 is an error. Day and weekday must both hold:
#   "0 9 13 * fri" fires on a Friday the 13th only. Names of days are read right.
# Seen with: APScheduler 3.11.3, beside croniter 7.0.0 and cronsim 2.8 (Python),
#   2026-11-28. Source: apscheduler/triggers/cron/__init__.py, from_crontab; crontab(5).
# Why it matters here: lines are copied from a crontab, from `rq cron` or a Kubernetes
#   CronJob. The weekday report of Monday is missing, and one comes on Saturday.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

python3 -m venv env
env/bin/pip install -qq --disable-pip-version-check apscheduler==3.11.3 croniter==7.0.0 cronsim==2.8 tzlocal==5.3.1

cat >show.py <<'END'
from datetime import datetime, timedelta, timezone
from importlib.metadata import version

from apscheduler.triggers.cron import CronTrigger
from croniter import croniter
from cronsim import CronSim

START = datetime(2026, 11, 28, 15, tzinfo=timezone.utc)  # a Saturday


def apscheduler(line):
    trigger, at, found = CronTrigger.from_crontab(line, timezone=timezone.utc), START, []
    for _ in range(5):
        at = trigger.get_next_fire_time(None, at + timedelta(seconds=1))
        found.append(at)
    return found


def times(reader, line):
    """Return the next five times as text, or the error's kind."""
    try:
        return " ".join(at.strftime("%a-%d.%m.%y") for at in reader(line))
    except ValueError as error:
        return type(error).__name__


READERS = {
    f"apscheduler {version('apscheduler')}": apscheduler,
    f"croniter {version('croniter')}": lambda line: [at for at, _ in zip(croniter(line, START, ret_type=datetime), range(5))],
    f"cronsim {version('cronsim')}": lambda line: [at for at, _ in zip(CronSim(line, START), range(5))],
}
seen = {}
for line in ("0 9 * * mon", "0 9 * * 1", "0 9 * * 1-5", "0 9 * * 7", "0 9 13 * fri"):
    print(line)
    seen[line] = [times(reader, line) for reader in READERS.values()]
    for name, got in zip(READERS, seen[line]):
        print(f"  {name:19} {got}")

assert len(set(seen["0 9 * * mon"])) == 1, "the control failed"
for line, (ours, second, third) in seen.items():
    assert second == third, "the second control failed"
    assert line == "0 9 * * mon" or ours != second, f"apscheduler reads {line!r} as cron does now"
assert seen["0 9 * * 1"][0].startswith("Tue") and seen["0 9 * * 1"][1].startswith("Mon")
assert seen["0 9 * * 1-5"][0].endswith("Sat-05.12.26")
assert seen["0 9 * * 7"][0] == "ValueError"
assert seen["0 9 13 * fri"][0].startswith("Fri-13.08.27"), "day and weekday need not both hold now"
END
env/bin/python show.py
