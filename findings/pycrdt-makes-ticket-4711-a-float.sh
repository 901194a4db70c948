#!/usr/bin/env bash
# pycrdt: ticket 4711 is read back as 4711.0, and an id of 19 digits stops JSON in the browser
#
# Most would expect: an integer that is put into a map of pycrdt is an integer when it is
#   read, in the same process at least, and a number in Yjs, which reads the same document.
# Instead: 4711 is 4711.0 at once, and so are milliseconds, so that a text
#   made of it is "ticket-4711.0". From 2**53 on an integer stays one; 2**53 itself is an
#   integer for who wrote it and a float for who received it. What is larger is a BigInt in
#   Yjs, and JSON.stringify of the document is a TypeError there.
# Seen with: pycrdt 0.14.13 (Python), yjs 13.6.33 (npm), 2026-11-29. Format: lib0, which
#   has numbers and BigInts, as JavaScript has.
# Why it matters here: notes and tickets that several people edit at once are such documents,
#   and an externalId is made of their numbers. "ticket-4711.0" is another record in Planhat
#   than "ticket-4711", which JavaScript makes of the same document.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

python3 -m venv env
env/bin/pip install -qq --disable-pip-version-check pycrdt==0.14.13
npm init -y >/dev/null
npm install --silent --no-audit --no-fund --ignore-scripts yjs@13.6.33 >/dev/null

cat >write.py <<'END'
import json

import pycrdt


def values(document):
    shared = document.get("ticket", type=pycrdt.Map)
    return {name: shared[name] for name in sorted(shared.keys())}


written, received = pycrdt.Doc(), pycrdt.Doc()
ticket = written.get("ticket", type=pycrdt.Map)
ticket["account"] = 1764324000000123456
ticket["at"] = 1764324000000
ticket["edge"] = 2**53
ticket["name"] = "4711"
ticket["number"] = 4711
update = written.get_update()
received.apply_update(update)
print(json.dumps({"writer": {name: repr(value) for name, value in values(written).items()}, "receiver": {name: repr(value) for name, value in values(received).items()}, "id": f"ticket-{ticket['number']}", "update": update.hex()}))
END
cat >show.cjs <<'END'
const assert = require('node:assert');
const { execFileSync } = require('node:child_process');
const Y = require('yjs');

const { writer, receiver, id, update } = JSON.parse(execFileSync('env/bin/python', ['write.py']));
const document = new Y.Doc();
Y.applyUpdate(document, Buffer.from(update, 'hex'));
const ticket = document.getMap('ticket');
const javascript = Object.fromEntries(Object.keys(writer).map((name) => [name, `${typeof ticket.get(name)} ${ticket.get(name)}`]));
console.log(JSON.stringify({ writer, receiver, javascript, id }, null, 1));
assert.deepEqual([writer.name, receiver.name, javascript.name], ["'4711'", "'4711'", 'string 4711'], 'the control failed');
assert.equal(`ticket-${ticket.get('number')}`, 'ticket-4711', 'the second control failed');
assert.deepEqual([writer.number, receiver.number, id], ['4711.0', '4711.0', 'ticket-4711.0'], 'an integer is an integer now');
assert.deepEqual([writer.at, receiver.at], ['1764324000000.0', '1764324000000.0'], 'milliseconds are an integer now');
assert.deepEqual([writer.edge, receiver.edge], ['9007199254740992', '9007199254740992.0'], '2**53 is read otherwise now');
assert.deepEqual([writer.account, javascript.account], ['1764324000000123456', 'bigint 1764324000000123456'], 'a large integer is read otherwise now');
assert.throws(() => JSON.stringify(ticket.toJSON()), TypeError, 'JSON can be written now');
END
node show.cjs
