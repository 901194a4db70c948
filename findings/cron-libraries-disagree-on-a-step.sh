#!/usr/bin/env bash
# "0 9 */2 * 1": is it Mondays on odd days, or each odd day and each Monday?
#
# Most would expect: libraries that read a crontab line agree on the days; day and
#   weekday are joined by "or" as soon as neither is a plain star.
# Instead: crontab(5) asks whether a field *begins* with a star, so that "*/2" counts as
#   unrestricted and both must hold: Mondays on odd days, as Debian's cron and cronsim
#   have it. croniter (and with it `rq cron`), cron-parser and croner look at the set of
#   days, see that it is not all of them, and take "or": seventeen runs a month in place
#   of two or three. "1-31/2", the same days, means "or" for all of them.
# Seen with: cronsim 2.8, croniter 7.0.0 (Python), cron-parser 5.10.5, croner 11.0.0
#   (npm), 2026-11-28. Source: cron's own entry.c (DOM_STAR, DOW_STAR); crontab(5);
#   croniter's `day_or`.
# Why it matters here: a job that moves from the system's cron to `rq cron` runs six
#   times as often, without an error.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

python3 -m venv env
env/bin/pip install -qq --disable-pip-version-check cronsim==2.8 croniter==7.0.0
npm init -y >/dev/null
npm install --silent --no-audit --no-fund --ignore-scripts cron-parser@5.10.5 croner@11.0.0 >/dev/null

cat >days.py <<'END'
import sys
from datetime import datetime, timezone
from itertools import takewhile

from croniter import croniter
from cronsim import CronSim

START, END = (datetime(2026, month, 1, tzinfo=timezone.utc) for month in (11, 12))
readers = {"cronsim": CronSim(sys.argv[1], START), "croniter": croniter(sys.argv[1], START, ret_type=datetime)}
for name, times in readers.items():
    print(name, *(at.day for at in takewhile(lambda at: at < END, times)))
END
cat >days.mjs <<'END'
import { CronExpressionParser } from 'cron-parser';
import { Cron } from 'croner';

const start = new Date('2026-11-01T00:00:00Z');
const end = new Date('2026-12-01T00:00:00Z');
const parsed = CronExpressionParser.parse(process.argv[2], { currentDate: start, tz: 'UTC' });
const first = Array.from({ length: 40 }, () => parsed.next().toDate());
const second = new Cron(process.argv[2], { timezone: 'UTC' }).nextRuns(40, start);
for (const [name, times] of Object.entries({ 'cron-parser': first, croner: second })) {
  console.log(name, times.filter(at => at < end).map(at => at.getUTCDate()).join(' '));
}
END
both="2 9 16 23 30"
odd_or_monday="1 2 3 5 7 9 11 13 15 16 17 19 21 23 25 27 29 30"
for line in "0 9 * * 1" "0 9 1-31/2 * 1" "0 9 */2 * 1"; do
  env/bin/python days.py "$line" >seen
  node days.mjs "$line" >>seen
  echo "$line in November 2026:"
  sed 's/^/  /' seen
  case $line in
    "0 9 * * 1") wanted=$both; other=$both ;;
    "0 9 1-31/2 * 1") wanted=$odd_or_monday; other=$odd_or_monday ;;
    *) wanted="9 23"; other=$odd_or_monday ;;
  esac
  for name in cronsim croniter cron-parser croner; do
    if [ "$name" = cronsim ]; then right=$wanted; else right=$other; fi
    grep -qx "$name $right" seen || { echo "$name reads $line otherwise now"; exit 1; }
  done
done
