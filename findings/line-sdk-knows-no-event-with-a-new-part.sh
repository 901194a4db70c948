#!/usr/bin/env bash
# LINE's SDK: a message of a new kind is no message event any more
#
# Most would expect: an event "message" whose message is of a kind that the SDK does not
#   know yet is a MessageEvent, with who sent it and where, and an unknown message in it.
# Instead: the whole is an UnknownEvent, as if the *event* were of a new kind, and has no
#   message. The same happens to a text message without quoteToken, as LINE sent them
#   before there were quotes (an archive, an older test), and to a picture whose
#   contentProvider is of a new type. Handlers for messages are not called.
# Seen with: line-bot-sdk 3.27.0 (Python), 2026-11-28. Source: linebot/v3/webhook.py,
#   WebhookParser.parse; the models are strict, and the parser falls back for the event.
# Why it matters here: the day on which LINE adds a kind of message, its senders vanish
#   from the handler for "any message", and stored events cannot be replayed.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

python3 -m venv env
env/bin/pip install -qq --disable-pip-version-check line-bot-sdk==3.27.0

cat >show.py <<'END'
import base64
import hashlib
import hmac
import json
from importlib.metadata import version

from linebot.v3 import WebhookParser

SECRET = "a secret made up for this"
EVENT = {
    "type": "message",
    "mode": "active",
    "timestamp": 1764324000123,
    "source": {"type": "user", "userId": "U1"},
    "webhookEventId": "01HMADEUP",
    "deliveryContext": {"isRedelivery": False},
    "replyToken": "made up",
}
MESSAGES = {
    "a text": {"id": "1", "type": "text", "quoteToken": "q", "text": "the export fails"},
    "an older text": {"id": "1", "type": "text", "text": "the export fails"},
    "a new kind": {"id": "1", "type": "poll", "title": "when?"},
    "a picture from elsewhere": {"id": "1", "type": "image", "quoteToken": "q", "contentProvider": {"type": "album"}},
}
seen = {}
for name, message in MESSAGES.items():
    body = json.dumps({"destination": "U0", "events": [{**EVENT, "message": message}]})
    digest = hmac.new(SECRET.encode(), body.encode(), hashlib.sha256).digest()
    (event,) = WebhookParser(SECRET).parse(body, base64.b64encode(digest).decode())
    seen[name] = type(event).__name__, hasattr(event, "message")
    print(f"line-bot-sdk {version('line-bot-sdk')}: {name:25} {seen[name][0]}, {'has' if seen[name][1] else 'no'} message")
assert seen.pop("a text") == ("MessageEvent", True), "the control failed"
assert set(seen.values()) == {("UnknownEvent", False)}, "the event keeps its kind now"
END
env/bin/python show.py
