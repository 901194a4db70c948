#!/usr/bin/env bash
# Gmail's API: of a mail with a picture in it three readers keep "Sent from my phone"
#
# Most would expect: a package that turns the answer of Gmail's API into a message joins
#   the texts before and after a picture, and leaves attached mails alone.
# Instead: each text part overwrites the one before. Apple's Mail writes text, picture,
#   text; what is left is the last line. The two npm packages also walk into an attached
#   mail, so that the text is that of the letter which was attached, under the new mail's
#   subject and sender. No error, and the lists of attachments are right.
# Seen with: gmail-api-parse-message 2.1.2, gmail-api-parse-message-ts 2.2.33 (npm),
#   ezgmail 2026.4.28 (Python), 2026-11-28. Source: lib/index.js, `result.textPlain =`;
#   dist/parse-gmail-api.js; ezgmail's GmailMessage. Format: Gmail API, users.messages
#   (MessagePart).
# Why it matters here: a customer's report with a screenshot arrives in the CRM without
#   its words, and looks like a mail in which nothing was said.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

python3 -m venv env
env/bin/pip install -qq --disable-pip-version-check ezgmail==2026.4.28
npm init -y >/dev/null
npm install --silent --no-audit --no-fund --ignore-scripts gmail-api-parse-message@2.1.2 gmail-api-parse-message-ts@2.2.33 >/dev/null

cat >mails.json <<'END'
{
  "one text": [{"text": "The export fails."}],
  "a picture": [{"text": "The export fails, see the picture."}, {"file": "error.png", "kind": "image/png"}, {"text": "Sent from my phone"}],
  "a mail": [{"text": "Please take over."}, {"file": "old.eml", "kind": "message/rfc822", "inside": "A letter of last year."}]
}
END
cat >read.py <<'END'
import base64
import json

from ezgmail import GmailMessage


def part(what):
    headers = {"Content-Type": "text/plain; charset=utf-8"}
    if "text" in what:
        data = base64.urlsafe_b64encode(what["text"].encode()).decode()
        node = {"mimeType": "text/plain", "filename": "", "body": {"size": len(what["text"]), "data": data}}
    else:
        headers = {"Content-Type": what["kind"], "Content-Disposition": f'attachment; filename="{what["file"]}"'}
        node = {"mimeType": what["kind"], "filename": what["file"], "body": {"size": 9, "attachmentId": "made up"}}
        if "inside" in what:
            node["parts"] = [part({"text": what["inside"]})]
    return {**node, "headers": [{"name": name, "value": value} for name, value in headers.items()]}


mails = {}
for name, parts in json.load(open("mails.json")).items():
    headers = {"From": "ann@firm.example", "Subject": "Order", "Content-Type": 'multipart/mixed; boundary="b"'}
    payload = {"mimeType": "multipart/mixed", "filename": "", "body": {"size": 0}, "parts": [part(one) for one in parts]}
    payload["headers"] = [{"name": key, "value": value} for key, value in headers.items()]
    mails[name] = {"id": "1", "threadId": "1", "labelIds": [], "snippet": "", "historyId": "1", "internalDate": "1795860000000", "payload": payload}
json.dump(mails, open("answers.json", "w"))
json.dump({name: GmailMessage(mail).body for name, mail in mails.items()}, open("python.json", "w"))
END
env/bin/python read.py

cat >show.mjs <<'END'
import assert from 'node:assert';
import fs from 'node:fs';
import { createRequire } from 'node:module';

const require = createRequire(import.meta.url);
const parse = require('gmail-api-parse-message');
const { ParseGmailApi } = require('gmail-api-parse-message-ts');
const answers = JSON.parse(fs.readFileSync('answers.json'));
const python = JSON.parse(fs.readFileSync('python.json'));

const seen = {};
for (const [name, mail] of Object.entries(answers)) {
  const message = parse(mail);
  const files = (message.attachments ?? []).map(file => file.filename);
  seen[name] = { parse: message.textPlain, ts: new ParseGmailApi().parseMessage(mail).textPlain, ezgmail: python[name].trim() };
  console.log(`${name}:`.padEnd(11), JSON.stringify(seen[name]), 'attachments:', files.join());
}
const all = text => ({ parse: text, ts: text, ezgmail: text });
assert.deepEqual(seen['one text'], all('The export fails.'), 'the control failed');
assert.deepEqual(seen['a picture'], all('Sent from my phone'), 'the words before the picture are kept now');
assert.deepEqual(seen['a mail'], { ...all('A letter of last year.'), ezgmail: 'Please take over.' }, 'an attached mail is left alone now');
END
node show.mjs
