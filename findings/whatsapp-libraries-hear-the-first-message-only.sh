#!/usr/bin/env bash
# Of a batch of WhatsApp messages three libraries hear only the first, and answer 200
#
# Most would expect: a notification whose "entry", "changes" and "messages" are lists is
#   walked through; Meta says that one request may hold up to 1,000 updates.
# Instead: pywa, whatsapp-api-js and heyoo look at entry[0].changes[0].messages[0] and
#   report success. The rest is gone, since Meta sends again only what was not answered
#   with 200.
# Seen with: pywa 4.5.0, heyoo 0.1.2 (Python), whatsapp-api-js 6.3.0 (npm), 2026-11-28.
#   Source: pywa/types/message.py, from_update; lib/index.js, post(); heyoo's
#   get_message(). Format: Meta, Webhooks ("aggregated and sent in a batch").
# Why it matters here: batches come when there is much to send, after an outage above
#   all: it is the customers of the worst hour who are not heard.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

python3 -m venv env
env/bin/pip install -qq --disable-pip-version-check pywa==4.5.0 heyoo==0.1.2 flask==3.1.2
npm init -y >/dev/null
npm install --silent --no-audit --no-fund --ignore-scripts whatsapp-api-js@6.3.0 >/dev/null

cat >batch.py <<'END'
"""Write two notifications: one message, and four in the three ways in which they can be several."""
import json


def message(text):
    sender = {"from": "491510000001", "from_user_id": "DE.1"}
    return {**sender, "id": f"wamid.{text}", "timestamp": "1764324000", "type": "text", "text": {"body": text}}


def change(*texts):
    return {
        "field": "messages",
        "value": {
            "messaging_product": "whatsapp",
            "metadata": {"display_phone_number": "4930000000", "phone_number_id": "1"},
            "contacts": [{"profile": {"name": "Ann"}, "wa_id": "491510000001", "user_id": "DE.1"}],
            "messages": [message(text) for text in texts],
        },
    }


def notification(*entries):
    return {"object": "whatsapp_business_account", "entry": [{"id": "9", "changes": changes} for changes in entries]}


json.dump(notification([change("first")]), open("one.json", "w"))
json.dump(notification([change("first", "second"), change("third")], [change("fourth")]), open("four.json", "w"))
END
cat >show.py <<'END'
import json
import logging
import sys
import time

from flask import Flask
from heyoo import WhatsApp as Heyoo
from pywa import WhatsApp

logging.disable(logging.CRITICAL)
body, heard = json.load(open(sys.argv[1])), []
server = Flask("door")
client = WhatsApp(phone_id="1", token="made up", server=server, verify_token="made up", validate_updates=False)
client.on_message(lambda _, message: heard.append(message.text))
status = server.test_client().post("/", json=body).status_code
for _ in range(20):
    time.sleep(0.1)
    if len(heard) > 1:
        break
print("pywa", status, *heard)
print("heyoo", Heyoo(token="made up", phone_number_id="1").get_message(body))
END
cat >show.mjs <<'END'
import fs from 'node:fs';
import { WhatsAppAPI } from 'whatsapp-api-js';

const heard = [];
const client = new WhatsAppAPI({ token: 'made up', secure: false, v: 'v24.0' });
client.on.message = ({ message }) => { heard.push(message.text.body); };
await client.post(JSON.parse(fs.readFileSync(process.argv[2], 'utf8')));
console.log('whatsapp-api-js', heard.join(' '));
END
env/bin/python batch.py
for file in one.json four.json; do
  env/bin/python show.py "$file" >seen
  node show.mjs "$file" >>seen
  echo "$file:"
  sed 's/^/  /' seen
  printf '%s\n' "pywa 200 first" "heyoo first" "whatsapp-api-js first" | diff - seen >/dev/null || { echo "they hear otherwise now"; exit 1; }
done
grep -o '"body": "[a-z]*"' four.json | wc -l | grep -qx 4
