#!/usr/bin/env bash
# baunsu: "was delivered" and "will be tried again" are bounces; of two addresses one is named
#
# Most would expect: a detector of bounced mails looks at what the report says was done:
#   "Action: failed" is a bounce, "delivered" is the opposite, "delayed" not yet one; and
#   each address that failed is named.
# Instead: any delivery report scores above the threshold: "bounced" is true for each of
#   delivered, relayed and delayed too, with "Success" in the same object. The fields of
#   the second address are not read. flufl.bounce tells them apart and names both.
# Seen with: baunsu 0.2.3 (npm), flufl.bounce 6.0.0 (Python), 2026-11-28. Format: RFC 3464,
#   section 2.3.3 (Action).
# Why it matters here: a contact whose mail bounced is marked, and written to no more. With
#   a receipt asked for, that is each contact who was reached.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

python3 -m venv env
env/bin/pip install -qq --disable-pip-version-check flufl.bounce==6.0.0
npm init -y >/dev/null
npm install --silent --no-audit --no-fund --ignore-scripts baunsu@0.2.3 >/dev/null

cat >reports.py <<'END'
import email
import json

from flufl.bounce import all_failures

REPORTS = {
    "failed": ("failed", "5.1.1", "550 5.1.1 No such user", ["bob@firm.example", "eve@firm.example"]),
    "delayed": ("delayed", "4.4.1", "451 4.4.1 No answer yet", ["bob@firm.example"]),
    "delivered": ("delivered", "2.0.0", "250 2.0.0 Taken", ["bob@firm.example"]),
    "relayed": ("relayed", "2.0.0", "250 2.0.0 Taken", ["bob@firm.example"]),
}
mails, python = {}, {}
for name, (action, status, said, addresses) in REPORTS.items():
    fields = [f"Final-Recipient: rfc822; {one}\r\nAction: {action}\r\nStatus: {status}\r\nDiagnostic-Code: smtp; {said}\r\n" for one in addresses]
    mails[name] = (
        "From: MAILER-DAEMON@mx.example\r\nTo: desk@shop.example\r\nSubject: Delivery report\r\nMIME-Version: 1.0\r\n"
        'Content-Type: multipart/report; report-type=delivery-status; boundary="b"\r\n\r\n'
        "--b\r\nContent-Type: text/plain\r\n\r\nA report about your mail.\r\n\r\n"
        "--b\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mx.example\r\n\r\n" + "\r\n".join(fields) + "\r\n"
        "--b\r\nContent-Type: text/rfc822-headers\r\n\r\nFrom: desk@shop.example\r\nSubject: Order\r\n\r\n--b--\r\n"
    )
    later, never = all_failures(email.message_from_string(mails[name]))
    python[name] = {"never": sorted(one.decode() for one in never), "later": sorted(one.decode() for one in later)}
mails["an ordinary mail"] = "From: bob@firm.example\r\nTo: desk@shop.example\r\nSubject: Order\r\n\r\nWhere is it?\r\n"
json.dump({"mails": mails, "python": python}, open("reports.json", "w"))
END
env/bin/python reports.py

cat >show.mjs <<'END'
import assert from 'node:assert';
import fs from 'node:fs';
import { createRequire } from 'node:module';

const Baunsu = createRequire(import.meta.url)('baunsu');
const { mails, python } = JSON.parse(fs.readFileSync('reports.json'));
const detect = text => new Promise((resolve, reject) => {
  const detector = new Baunsu();
  detector.on('end', (error, result) => (error ? reject(error) : resolve(result)));
  detector.detect(Buffer.from(text));
});
const seen = {};
for (const [name, text] of Object.entries(mails)) {
  const { bounced, finalRecipient, status } = await detect(text);
  seen[name] = { bounced, finalRecipient };
  console.log(`${name.padEnd(16)} baunsu: bounced ${bounced}, ${status?.class?.message}, ${finalRecipient}; flufl.bounce: ${JSON.stringify(python[name])}`);
}
const bob = 'bob@firm.example';
assert.equal(seen['an ordinary mail'].bounced, false, 'the control failed');
assert.deepEqual(python.failed, { never: [bob, 'eve@firm.example'], later: [] }, 'the second control failed');
assert.deepEqual([python.delayed, python.delivered, python.relayed].map(found => [found.never.length, found.later.length]), [[0, 1], [0, 0], [0, 0]], 'the third control failed');
for (const name of Object.keys(python)) assert.deepEqual(seen[name], { bounced: true, finalRecipient: bob }, `${name} is told apart now`);
END
node show.mjs
