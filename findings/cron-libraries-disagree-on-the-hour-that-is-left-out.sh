#!/usr/bin/env bash
# The nightly job runs twice in autumn with one library, and in spring at three times
#
# Most would expect: libraries that know the zone agree on "30 2 * * *" for the two nights
#   in which the clocks change: once each, as cron itself does.
# Instead: in the night with two hours of that name, croniter gives 02:30 twice (summer
#   and winter time); cronsim, cron-parser and croner once. In the night without it, three
#   move it to 03:00 and cron-parser to 03:30. "*/30 2 * * *" is moved (croniter, once;
#   cron-parser, twice) or left out (cronsim, croner).
# Seen with: croniter 7.0.0, cronsim 2.8 (Python), cron-parser 5.10.5, croner 11.0.0 (npm),
#   Europe/Berlin, 2026-11-28.
# Why it matters here: a nightly digest is sent twice, or a monitor that computes the runs
#   with another library misses one that never was to be. (`rq cron` hands croniter a
#   local time without its zone, and is spared the second run.)
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

python3 -m venv env
env/bin/pip install -qq --disable-pip-version-check croniter==7.0.0 cronsim==2.8 tzdata==2025.2
npm init -y >/dev/null
npm install --silent --no-audit --no-fund --ignore-scripts cron-parser@5.10.5 croner@11.0.0 >/dev/null

cat >night.py <<'END'
import sys
from datetime import datetime, timezone
from itertools import takewhile
from zoneinfo import ZoneInfo

from croniter import croniter
from cronsim import CronSim

line, day = sys.argv[1], datetime.fromisoformat(sys.argv[2])
start = day.replace(tzinfo=ZoneInfo("Europe/Berlin"))
end = start.replace(hour=12)
for name, times in {"croniter": croniter(line, start, ret_type=datetime), "cronsim": CronSim(line, start)}.items():
    found = takewhile(lambda at: at.timestamp() < end.timestamp(), times)
    print(name, *(at.astimezone(timezone.utc).strftime("%H:%MZ") for at in found))
END
cat >night.mjs <<'END'
import { CronExpressionParser } from 'cron-parser';
import { Cron } from 'croner';

const [line, day] = process.argv.slice(2);
const start = new Date(`${day}T00:00:00Z`);
start.setUTCHours(-3);
const end = new Date(`${day}T10:00:00Z`);
const tz = 'Europe/Berlin';
const parsed = CronExpressionParser.parse(line, { currentDate: start, tz });
const first = Array.from({ length: 8 }, () => parsed.next().toDate());
const second = new Cron(line, { timezone: tz }).nextRuns(8, start);
for (const [name, times] of Object.entries({ 'cron-parser': first, croner: second })) {
  console.log([name, ...times.filter(at => at < end).map(at => at.toISOString().slice(11, 16) + 'Z')].join(' '));
}
END
check() { # line, day, then what each of the four gives
  env/bin/python night.py "$1" "$2" >seen
  node night.mjs "$1" "$2" >>seen
  echo "$1 in Berlin on $2, in UTC:"
  sed 's/^/  /' seen
  printf '%s\n' "${@:3}" | diff - seen >/dev/null || { echo "this is read otherwise now"; exit 1; }
}
# a control: in an ordinary night all agree
check "30 2 * * *" 2026-11-28 "croniter 01:30Z" "cronsim 01:30Z" "cron-parser 01:30Z" "croner 01:30Z"
check "30 2 * * *" 2026-10-25 "croniter 00:30Z 01:30Z" "cronsim 00:30Z" "cron-parser 00:30Z" "croner 00:30Z"
check "30 2 * * *" 2027-03-28 "croniter 01:00Z" "cronsim 01:00Z" "cron-parser 01:30Z" "croner 01:00Z"
check "*/30 2 * * *" 2027-03-28 "croniter 01:00Z" "cronsim" "cron-parser 01:00Z 01:30Z" "croner"
