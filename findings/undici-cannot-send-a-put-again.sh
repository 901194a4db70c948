#!/usr/bin/env bash
# undici: a PUT that was answered 429 cannot be sent again, and fails with another error
#
# Most would expect: RetryAgent under fetch() waits for Retry-After and sends the request
#   again, as it does with request(); a body that is a text can be sent as often as needed.
#   What is not tried again, a POST, comes back with its 429.
# Instead: fetch() hands the text on as a stream, which the first try has used up. The
#   second never reaches the server: "fetch failed", caused by "Request body length does not
#   match content-length header". With GET, and with request(), all is well. And the 429 of
#   a POST is no answer but "fetch failed" too, unless throwOnError is false.
# Seen with: undici 7.30.2, ky 1.14.3 (npm), Node 20, 2026-11-28. Source:
#   lib/handler/retry-handler.js; lib/web/fetch/index.js, the request's body as an async
#   generator. ky copies the request for each try.
# Why it matters here: Planhat's bulk calls are PUT, and 429 is its answer to a busy hour.
#   A test of the retry with GET, or without a 429, is green; in the busy hour each call
#   fails with words that look like a fault of one's own.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

npm init -y >/dev/null
npm install --silent --no-audit --no-fund --ignore-scripts undici@7.30.2 ky@1.14.3 >/dev/null

cat >show.mjs <<'END'
import assert from 'node:assert';
import http from 'node:http';
import ky from 'ky';
import { Agent, RetryAgent, fetch, request } from 'undici';

const heard = {};
const server = http.createServer((call, answer) => {
  let text = '';
  call.on('data', data => (text += data));
  call.on('end', () => {
    (heard[call.url] ??= []).push(text);
    if (heard[call.url].length > 1) return answer.end('taken');
    answer.writeHead(429, { 'retry-after': '1' }).end('slow down');
  });
});
await new Promise(ready => server.listen(0, '127.0.0.1', ready));
const base = `http://127.0.0.1:${server.address().port}`;
const dispatcher = new RetryAgent(new Agent());
const body = '{"externalId": "1"}';
const ways = {
  'fetch GET': url => fetch(url, { dispatcher }).then(answer => answer.status),
  'fetch PUT': url => fetch(url, { method: 'PUT', body, dispatcher }).then(answer => answer.status),
  'fetch POST': url => fetch(url, { method: 'POST', body, dispatcher }).then(answer => answer.status),
  'request PUT': url => request(url, { method: 'PUT', body, dispatcher }).then(answer => answer.statusCode),
  'ky PUT': url => ky(url, { method: 'PUT', body }).then(answer => answer.status),
};
const seen = {};
for (const [name, way] of Object.entries(ways)) {
  const path = `/${name.replace(' ', '/')}`;
  try {
    seen[name] = await way(base + path);
  } catch (error) {
    seen[name] = `${error.message}: ${error.cause?.message}`;
  }
  seen[name] = [seen[name], heard[path].length];
  console.log(name.padEnd(12), 'result:', seen[name][0], '- the server heard it', seen[name][1], 'time(s)');
}
server.closeAllConnections();
server.close();
await dispatcher.close();
assert.deepEqual(seen['fetch GET'], [200, 2], 'the control failed');
assert.deepEqual(seen['request PUT'], [200, 2], 'the second control failed');
assert.deepEqual(seen['ky PUT'], [200, 2], 'the third control failed');
assert.deepEqual(seen['fetch PUT'], ['fetch failed: Request body length does not match content-length header', 1], 'a PUT is sent again now');
assert.deepEqual(seen['fetch POST'], ['fetch failed: Request failed', 1], 'a 429 to a POST is an answer now');
END
node show.mjs
