#!/usr/bin/env bash
# A mail that nodemailer attaches is no attachment for mailparser, by the same author
#
# Most would expect: attachments: [{ filename: 'complaint.eml', contentType:
#   'message/rfc822' }] is an attachment at the other end, as a PDF is.
# Instead: nodemailer writes "Content-Disposition: inline" for whatever is message/*, and
#   mailparser appends the text of an inline mail, its From and its Subject to the text of
#   the outer one: `attachments` is empty, the file's name is gone, and the customer's
#   words stand under those of the colleague who passed them on. Said as
#   contentDisposition: 'attachment', it arrives whole.
# Seen with: nodemailer 10.6.1, mailparser 3.14.2 (npm), 2026-11-28. Source:
#   mail-composer/index.js, isMessageNode; mailparser's lib/mail-parser.js.
# Why it matters here: forwarding a mail as a file is how help desks pass on evidence.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

npm init -y >/dev/null
npm install --silent --no-audit --no-fund --ignore-scripts nodemailer@10.6.1 mailparser@3.14.2 >/dev/null

cat >show.mjs <<'END'
import assert from 'node:assert';
import { simpleParser } from 'mailparser';
import MailComposer from 'nodemailer/lib/mail-composer/index.js';

const complaint = 'From: bob@shop.example\r\nSubject: late again\r\nMessage-ID: <7@shop.example>\r\n\r\nWhere is my desk?\r\n';

async function sent(attachment) {
  const mail = new MailComposer({ from: 'ann@firm.example', to: 'help@firm.example', subject: 'See attached', text: 'Please look.', attachments: [attachment] });
  const read = await simpleParser(await mail.compile().build());
  return { text: read.text, files: read.attachments.map(file => file.filename) };
}
const pdf = await sent({ filename: 'bill.pdf', content: '%PDF', contentType: 'application/pdf' });
const eml = await sent({ filename: 'complaint.eml', content: complaint, contentType: 'message/rfc822' });
const told = await sent({ filename: 'complaint.eml', content: complaint, contentType: 'message/rfc822', contentDisposition: 'attachment' });
console.log('a PDF:                      ', JSON.stringify(pdf));
console.log('a mail:                     ', JSON.stringify(eml));
console.log('a mail, told "attachment":  ', JSON.stringify(told));
assert.deepEqual(pdf, { text: 'Please look.', files: ['bill.pdf'] }, 'the control failed');
assert.deepEqual(told, { text: 'Please look.', files: ['complaint.eml'] }, 'the second control failed');
assert.deepEqual(eml.files, [], 'the mail is an attachment now');
assert(eml.text.startsWith('Please look.') && eml.text.includes('Where is my desk?'), 'its text is not appended any more');
END
node show.mjs
