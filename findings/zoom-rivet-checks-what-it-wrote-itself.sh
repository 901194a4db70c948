#!/usr/bin/env bash
# Zoom's own framework checks the signature over JSON that it has written anew
#
# Most would expect: an event is signed over the bytes of its body, and Rivet, Zoom's
#   framework for webhooks, checks those bytes.
# Instead: it parses the body and checks the signature over JSON.stringify() of the
#   result. A genuine event in which a number is written 60.0, a slash "\/", a letter
#   "\u00fc", a key twice, or that has one blank more, is answered 400 "Failed to verify
#   event originated from Zoom".
# Seen with: @zoom/rivet 0.4.0 (npm), 2026-11-28. Source: chatbot/chatbot.mjs,
#   CommonHttpRequest.isEventVerified (the same in each of its modules). Zoom's page
#   "Verify webhook events" shows the same in its sample.
# Why it matters here: who relays, stores and replays Zoom's events, or writes one for a
#   test with Python's json.dumps (a blank after each comma), signs correctly and is
#   refused; and Zoom's own writer is bound to JavaScript's spelling for ever.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

npm init -y >/dev/null
npm install --silent --no-audit --no-fund --ignore-scripts @zoom/rivet@0.4.0 >/dev/null

cat >show.mjs <<'END'
import assert from 'node:assert';
import { createHmac } from 'node:crypto';
import { ChatbotClient } from '@zoom/rivet/chatbot';

const secret = 'a token made up for this';
const client = new ChatbotClient({ clientId: 'made up', clientSecret: 'made up', webhooksSecretToken: secret });
const server = await client.start(0);
const address = `http://127.0.0.1:${server.address().port}/zoom/events`;

async function answer(body) {
  const at = String(Math.floor(Date.now() / 1000));
  const signature = 'v0=' + createHmac('sha256', secret).update(`v0:${at}:${body}`).digest('hex');
  const headers = { 'content-type': 'application/json', 'x-zm-request-timestamp': at, 'x-zm-signature': signature };
  const got = await fetch(address, { method: 'POST', headers, body });
  return `${got.status} ${await got.text()}`;
}
const bodies = {
  'as JavaScript writes it': '{"event":"meeting.ended","payload":{"object":{"topic":"Müller/desk","duration":60}}}',
  'a blank': '{"event": "meeting.ended","payload":{"object":{"topic":"Müller/desk","duration":60}}}',
  'a letter escaped': '{"event":"meeting.ended","payload":{"object":{"topic":"M\\u00fcller/desk","duration":60}}}',
  'a slash escaped': '{"event":"meeting.ended","payload":{"object":{"topic":"Müller\\/desk","duration":60}}}',
  'a number as 60.0': '{"event":"meeting.ended","payload":{"object":{"topic":"Müller/desk","duration":60.0}}}',
};
const seen = {};
for (const [name, body] of Object.entries(bodies)) {
  seen[name] = await answer(body);
  console.log(`${name.padEnd(24)} ${seen[name]}`);
}
server.close();
server.closeAllConnections();
const { 'as JavaScript writes it': control, ...others } = seen;
assert(control.startsWith('200'), 'the control failed');
for (const [name, got] of Object.entries(others)) {
  assert(got.startsWith('400') && got.includes('Failed to verify'), `${name} is taken now`);
}
END
node show.mjs
