#!/usr/bin/env bash
# parse-prometheus-text-format: of one histogram per queue one without a name is left
#
# Most would expect: what prometheus_client writes is read with its labels: two queues
#   are two histograms, as they are two counters.
# Instead: counters keep their labels, histograms lose them. The series of all queues fall
#   into one object in which the last one wins: its buckets are the last queue's, and sum
#   and count are gone. Which queue it was is not said; in which order they are written
#   decides. And one metric without a description (`# HELP name ` and nothing behind, which
#   prometheus_client writes for "") makes the whole page an error.
# Seen with: parse-prometheus-text-format 1.1.1 (npm), prometheus_client 0.26.0 (Python),
#   2026-11-28; prometheus_client's own parser, which the package says it is ported from,
#   reads both. Source: flattenMetrics. Format: Prometheus, Exposition formats.
# Why it matters here: a check in JavaScript of "how long do events wait" sees the one
#   queue in which nothing waits.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

python3 -m venv env
env/bin/pip install -qq --disable-pip-version-check prometheus_client==0.26.0
npm init -y >/dev/null
npm install --silent --no-audit --no-fund --ignore-scripts parse-prometheus-text-format@1.1.1 >/dev/null

cat >write.py <<'END'
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics, generate_latest
from prometheus_client.parser import text_string_to_metric_families

disable_created_metrics()
registry = CollectorRegistry()
events = Counter("events", "Events taken in", ["queue"], registry=registry)
wait = Histogram("wait_seconds", "Time in the queue", ["queue"], registry=registry, buckets=(1, 60))
for queue, seconds in (("mail", 900), ("mail", 800), ("chat", 0.2)):
    events.labels(queue).inc()
    wait.labels(queue).observe(seconds)
page = generate_latest(registry)
open("page.txt", "wb").write(page)
Gauge("queues", "", registry=registry).set(2)
open("undescribed.txt", "wb").write(generate_latest(registry))

for name in ("page.txt", "undescribed.txt"):
    samples = [one for family in text_string_to_metric_families(open(name).read()) for one in family.samples]
    counts = {one.labels["queue"]: one.value for one in samples if one.name == "wait_seconds_count"}
    assert counts == {"mail": 2.0, "chat": 1.0}, "the control failed"
print(f"prometheus_client reads its own pages: {counts}")
END
env/bin/python write.py

cat >show.mjs <<'END'
import assert from 'node:assert';
import fs from 'node:fs';
import { createRequire } from 'node:module';

const require = createRequire(import.meta.url);
const module = require('parse-prometheus-text-format');
const parse = module.default ?? module;
const families = Object.fromEntries(parse(fs.readFileSync('page.txt', 'utf8')).map(family => [family.name, family.metrics]));
for (const name of ['events_total', 'wait_seconds']) console.log(`${name}: ${JSON.stringify(families[name])}`);
let error;
try {
  parse(fs.readFileSync('undescribed.txt', 'utf8'));
} catch (thrown) {
  error = thrown.message;
}
console.log('with a metric that has no description:', error);
assert.deepEqual(families.events_total.map(one => one.labels.queue), ['mail', 'chat'], 'the second control failed');
assert.deepEqual(families.wait_seconds, [{ buckets: { '1.0': '1.0', '60.0': '1.0', '+Inf': '1.0' } }], 'histograms have labels now');
assert.match(error ?? '', /invalid line: # HELP queues/, 'an empty description is read now');
END
node show.mjs
