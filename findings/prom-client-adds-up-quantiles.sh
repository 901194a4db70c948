#!/usr/bin/env bash
# prom-client in a cluster: four workers at 1.5 seconds make a quantile of 6 seconds
#
# Most would expect: when the metrics of several workers become one page, counters are
#   added, and a summary's quantiles, which cannot be, are left out or kept apart.
# Instead: they are added like the rest ("custom metrics are summed", says the README).
#   relay_seconds{quantile="0.5"} of four workers that all took 1.5 s is 6; the sum and the
#   count beside it are right, so that the mean is 1.5. No setting helps: the aggregator
#   is one for the whole metric, and an average would spoil the sum and the count.
# Seen with: prom-client 15.1.3 (npm), 2026-11-28. Source: lib/metricAggregators.js and
#   lib/cluster.js, AggregatorRegistry.aggregate: the aggregator is "sum" unless a metric
#   names another, and is used for each of its samples.
# Why it matters here: an alert on the 95th percentile fires as soon as more workers are
#   started, and the more of them, the slower the service seems.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

npm init -y >/dev/null
npm install --silent --no-audit --no-fund --ignore-scripts prom-client@15.1.3 >/dev/null

cat >show.cjs <<'END'
const assert = require('node:assert');
const { AggregatorRegistry, Counter, Registry, Summary } = require('prom-client');

async function worker() {
  const registers = [new Registry()];
  new Counter({ name: 'relay_events', help: 'events', registers }).inc(3);
  const summary = new Summary({ name: 'relay_seconds', help: 'time', percentiles: [0.5], registers });
  for (let i = 0; i < 10; i++) summary.observe(1.5);
  return registers[0].getMetricsAsJSON();
}
(async () => {
  const lines = async workers => (await AggregatorRegistry.aggregate(await Promise.all(workers)).metrics())
    .split('\n').filter(line => line && !line.startsWith('#'));
  const one = await lines([worker()]);
  const four = await lines([worker(), worker(), worker(), worker()]);
  console.log('one worker:  ', one.join(' | '));
  console.log('four workers:', four.join(' | '));
  assert(one.includes('relay_seconds{quantile="0.5"} 1.5') && four.includes('relay_events 12'), 'the control failed');
  assert(four.includes('relay_seconds_sum 60') && four.includes('relay_seconds_count 40'), 'the second control failed');
  assert(four.includes('relay_seconds{quantile="0.5"} 6'), 'quantiles are not added any more');
})();
END
node show.cjs
