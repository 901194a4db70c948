#!/usr/bin/env bash
# OpenTelemetry: one instrument has two names in Prometheus, by the language of the service
#
# Most would expect: a histogram "relay.wait" with the unit "s" is the same metric on
#   /metrics of a service in Python and of one in JavaScript: that is what OpenTelemetry's
#   rules for names in Prometheus are for.
# Instead: Python appends the unit, as the rules say, and JavaScript does not:
#   relay_wait_seconds and relay_wait; relay_sent_bytes_total and relay_sent_total. For an
#   attribute "queue.name" beside "queue_name" Python writes one label with one of the two
#   values, JavaScript the same label twice, for which prometheus_client refuses the page.
# Seen with: opentelemetry-exporter-prometheus 0.66b2 (Python),
#   @opentelemetry/exporter-prometheus 0.223.0 (npm), 2026-11-28. Format: OpenTelemetry,
#   Prometheus and OpenMetrics compatibility (unit suffixes; keys that collide).
# Why it matters here: one dashboard for the door in one language and the workers in
#   another shows half; an alarm on relay_wait_seconds never rings for the other half.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

python3 -m venv env
env/bin/pip install -qq --disable-pip-version-check opentelemetry-exporter-prometheus==0.66b2 opentelemetry-sdk==1.45.2 prometheus_client==0.26.0
npm init -y >/dev/null
npm install --silent --no-audit --no-fund --ignore-scripts @opentelemetry/api@1.9.0 @opentelemetry/exporter-prometheus@0.223.0 @opentelemetry/sdk-metrics@2.12.1 >/dev/null

cat >write.py <<'END'
from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.sdk.metrics import MeterProvider
from prometheus_client import generate_latest

meter = MeterProvider(metric_readers=[PrometheusMetricReader()]).get_meter("relay")
meter.create_counter("relay.events").add(3)
meter.create_counter("relay.sent", unit="By").add(7)
meter.create_histogram("relay.wait", unit="s").record(0.2)
meter.create_counter("relay.twice").add(1, {"queue.name": "mail", "queue_name": "chat"})
print(generate_latest().decode())
END
cat >write.mjs <<'END'
import { PrometheusExporter, PrometheusSerializer } from '@opentelemetry/exporter-prometheus';
import { MeterProvider } from '@opentelemetry/sdk-metrics';

const reader = new PrometheusExporter({ preventServerStart: true });
const meter = new MeterProvider({ readers: [reader] }).getMeter('relay');
meter.createCounter('relay.events').add(3);
meter.createCounter('relay.sent', { unit: 'By' }).add(7);
meter.createHistogram('relay.wait', { unit: 's' }).record(0.2);
meter.createCounter('relay.twice').add(1, { 'queue.name': 'mail', queue_name: 'chat' });
const { resourceMetrics } = await reader.collect();
console.log(new PrometheusSerializer().serialize(resourceMetrics));
END
env/bin/python write.py >python.txt
node write.mjs >javascript.txt

cat >show.py <<'END'
import re

from prometheus_client.parser import text_string_to_metric_families

seen, twice, errors = {}, {}, {}
for language in ("python", "javascript"):
    text = open(f"{language}.txt").read()
    seen[language] = [name for name in re.findall(r"^# TYPE (\S+)", text, re.MULTILINE) if name.startswith("relay")]
    twice[language] = re.findall(r'queue_name="\w+"', text)
    try:
        list(text_string_to_metric_families(text))
    except ValueError as error:
        errors[language] = str(error)
    print(f"{language:11} {seen[language]} {twice[language]} {errors.get(language, 'is read')}")
assert seen["python"][0] == seen["javascript"][0] == "relay_events_total", "the control failed"
assert seen["python"][1:3] == ["relay_sent_bytes_total", "relay_wait_seconds"], "the second control failed"
assert seen["javascript"][1:3] == ["relay_sent_total", "relay_wait"], "JavaScript writes the unit now"
assert len(twice["python"]) == 1 and len(twice["javascript"]) == 2, "the label is not written twice any more"
print("prometheus_client on the page with the label twice:", errors.get("javascript"))
END
env/bin/python show.py
