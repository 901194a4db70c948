#!/usr/bin/env bash
# tern: calls that Stripe's and Sanity's own SDKs sign are refused
#
# Most would expect: a framework that verifies "accurately" for each provider takes what
#   the provider's own package signs and checks.
# Instead: while a Stripe secret is being rolled, the header has two v1 signatures; tern
#   looks at the last one only, so that the holder of one secret is refused for the whole
#   time, by order of the header. And a signature of Sanity is read as plain base64,
#   though it is of the URL kind without padding: not one is ever taken.
# Seen with: @hookflo/tern 4.1.0, stripe 23.1.0, @sanity/webhook 4.0.4 (npm), 2026-11-28.
#   Source: tern, dist/verifiers/algorithms.js (a later v1 overwrites an earlier one) and
#   dist/platforms/algorithms.js (sanity: encoding "base64").
# Why it matters here: the roll of a secret is meant to lose nothing; here it can lose all
#   events of its 24 hours, and the tests with one signature are green.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

npm init -y >/dev/null
npm install --silent --no-audit --no-fund --ignore-scripts @hookflo/tern@4.1.0 stripe@23.1.0 \
  @sanity/webhook@4.0.4 >/dev/null

cat >show.mjs <<'END'
import assert from 'node:assert';
import { createRequire } from 'node:module';

const require = createRequire(import.meta.url);
const { WebhookVerificationService } = require('@hookflo/tern');
const { encodeSignatureHeader, isValidSignature } = require('@sanity/webhook');
const Stripe = require('stripe');

const { webhooks } = new Stripe('sk_test_made_up');
const payload = '{"id":"evt_1","object":"event","type":"customer.created"}';

async function tern(platform, header, value) {
  const options = { method: 'POST', headers: { [header]: value }, body: payload };
  const request = new Request('https://example.com/hook', options);
  return (await WebhookVerificationService.verify(request, { platform, secret: 'new' })).isValid;
}
function own(value) {
  try { return webhooks.constructEvent(payload, value, 'new').id === 'evt_1'; } catch { return false; }
}
const timestamp = Math.floor(Date.now() / 1000);
const signed = (secret) => webhooks.generateTestHeaderString({ payload, secret, timestamp });
const v1 = (secret) => signed(secret).split(',')[1];
const values = {
  'one signature': signed('new'),
  'old, then new': `t=${timestamp},${v1('old')},${v1('new')}`,
  'new, then old': `t=${timestamp},${v1('new')},${v1('old')}`,
};
const rows = {};
for (const [name, value] of Object.entries(values)) {
  rows[`Stripe, ${name}`] = [own(value), await tern('stripe', 'stripe-signature', value)];
}
const sanity = await encodeSignatureHeader(payload, Date.now(), 'new');
const taken = await isValidSignature(payload, sanity, 'new');
rows.Sanity = [taken, await tern('sanity', 'sanity-webhook-signature', sanity)];

console.log('is it taken by the provider\'s own SDK | by tern 4.1.0');
for (const [name, row] of Object.entries(rows)) console.log(`  ${name}: ${row.join(' | ')}`);
assert.ok(Object.values(rows).every(([first]) => first), 'the control failed');
assert.deepEqual(Object.values(rows).map((row) => row[1]), [true, true, false, false], 'tern takes others now');
END
node show.mjs
