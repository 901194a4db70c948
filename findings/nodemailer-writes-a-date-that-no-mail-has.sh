#!/usr/bin/env bash
# nodemailer writes the date of a JSON event into the mail as it stands
#
# Most would expect: date: "2026-11-28T10:00:00+02:00", as it comes out of JSON, is
#   written as a mail's date ("Sat, 28 Nov 2026 ..."), like a Date object; the option takes
#   either.
# Instead: a string goes into the header unchanged, and what is written is no date of
#   RFC 5322. JavaScript's readers take it, since `new Date()` does; Python's email says
#   "Invalid date value", gives None for the header's datetime and raises ValueError in
#   parsedate_to_datetime(). One JSON.stringify between queue and sender is enough.
# Seen with: nodemailer 10.6.1, mailparser 3.14.2 (npm), the email package of Python 3.11
#   or later, 2026-11-28. Source: mime-node/index.js, "case 'Date'" (only a Date object
#   is converted).
# Why it matters here: the mails of one sending program have no time for a Python reader,
#   while every mail program in JavaScript shows one.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

npm init -y >/dev/null
npm install --silent --no-audit --no-fund --ignore-scripts nodemailer@10.6.1 mailparser@3.14.2 >/dev/null

cat >write.mjs <<'END'
import fs from 'node:fs';
import { simpleParser } from 'mailparser';
import MailComposer from 'nodemailer/lib/mail-composer/index.js';

const at = new Date('2026-11-28T10:00:00+02:00');
for (const [name, date] of [['object', at], ['json', JSON.parse(JSON.stringify(at))]]) {
  const mail = new MailComposer({ from: 'ann@shop.example', to: 'help@firm.example', subject: 'desk', text: 'Hello', date });
  const raw = await mail.compile().build();
  fs.writeFileSync(`${name}.eml`, raw);
  const read = await simpleParser(raw);
  console.log(`${name}: ${raw.toString().match(/^Date: .*$/m)[0].trim()} | mailparser: ${read.date.toISOString()}`);
}
END
cat >read.py <<'END'
import email
import email.policy
import email.utils
import sys

message = email.message_from_binary_file(open(f"{sys.argv[1]}.eml", "rb"), policy=email.policy.default)
try:
    parsed = email.utils.parsedate_to_datetime(str(message["Date"])).isoformat()
except ValueError as error:
    parsed = f"{type(error).__name__}"
print(f"{sys.argv[1]}: header {message['Date'].datetime} | parsedate_to_datetime: {parsed}")
END
{ node write.mjs && python3 read.py object && python3 read.py json; } | tee seen
grep -qx 'object: Date: Sat, 28 Nov 2026 08:00:00 +0000 | mailparser: 2026-11-28T08:00:00.000Z' seen || { echo "the control failed"; exit 1; }
grep -qx 'object: header 2026-11-28 08:00:00+00:00 | parsedate_to_datetime: 2026-11-28T08:00:00+00:00' seen || { echo "the control failed"; exit 1; }
grep -qx 'json: Date: 2026-11-28T08:00:00.000Z | mailparser: 2026-11-28T08:00:00.000Z' seen || { echo "nodemailer converts it now"; exit 1; }
grep -qx 'json: header None | parsedate_to_datetime: ValueError' seen || { echo "Python reads it now"; exit 1; }
