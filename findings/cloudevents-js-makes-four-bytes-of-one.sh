#!/usr/bin/env bash
# CloudEvents for JavaScript: binary data arrives as 32-bit numbers
#
# Most would expect: `data_base64` is read into a Buffer or a Uint8Array.
# Instead: event.data is a Uint32Array with one 32-bit number for each byte. Its
#   length looks right, its bytes are not: TextDecoder, fs.writeFile, a hash or an
#   upload of it see three zero bytes after each. Buffer.from(event.data) happens to
#   undo it.
# Seen with: cloudevents 10.0.0 (npm), Node 20, 2026-11-28. Source:
#   dist/message/http/index.js, parseStructured: `new Uint32Array(Buffer.from(...))`.
# Why it matters here: it is how attachments and protobuf bodies travel; a file that
#   is passed on has four times its size and cannot be opened.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

npm init -y >/dev/null
npm install --silent --no-audit --no-fund --ignore-scripts cloudevents@10.0.0 >/dev/null

cat >show.cjs <<'END'
const assert = require('node:assert');
const { HTTP } = require('cloudevents');

const content = Buffer.from('hello').toString('base64');
const body = `{"specversion":"1.0","id":"1","source":"/shop","type":"file","data_base64":"${content}"}`;
const { data } = HTTP.toEvent({ headers: { 'content-type': 'application/cloudevents+json' }, body });
const decoded = new TextDecoder().decode(data);
console.log('expected:        Uint8Array or Buffer, 5 bytes, "hello"');
console.log(`cloudevents 10:  ${data.constructor.name}, ${data.byteLength} bytes, ${JSON.stringify(decoded)}`);
assert.equal(Buffer.from(data).toString(), 'hello', 'the control failed: other content');
assert.equal(data.constructor.name, 'Uint32Array', 'the kind of array has changed');
assert.equal(decoded, 'h\0\0\0e\0\0\0l\0\0\0l\0\0\0o\0\0\0', 'the bytes are right now');
END
node show.cjs
