#!/usr/bin/env bash
# Slack's own framework answers 404 to each event that nobody listens to
#
# Most would expect: a signed event that the app has no listener for is answered
#   with 200 (Slack counts anything else as a failed delivery).
# Instead: Bolt for Python answers 404 {"error": "unhandled request"}. An app that
#   subscribes to "message" and listens with @app.message("hello") answers 404 to
#   every other message, to edits, and to reactions.
# Seen with: slack_bolt 1.30.0, slack_sdk 3.48.0 (Python), 2026-11-28. Source:
#   slack_bolt/app/app.py, dispatch(); Slack's Events API: fewer than 5 % successful
#   answers in an hour switch the subscription off, failures come three times more.
# Why it matters here: a door built on Bolt gets everything that it does not want
#   four times, and may be switched off for it.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

python3 -m venv env
env/bin/pip install -qq --disable-pip-version-check slack_bolt==1.30.0 slack_sdk==3.48.0

cat >show.py <<'END'
import json
import logging
import time
from importlib.metadata import version

from slack_bolt import App, BoltRequest
from slack_bolt.authorization import AuthorizeResult
from slack_sdk.signature import SignatureVerifier

logging.disable(logging.CRITICAL)
SECRET = "a signing secret made up for this"
app = App(
    signing_secret=SECRET,
    authorize=lambda **_: AuthorizeResult(enterprise_id=None, team_id="T1", bot_user_id="U9", bot_id="B9", bot_token="x"),
)


@app.message("hello")
def greet(message):
    pass


def status(event):
    """Sign an event as Slack does and return what Bolt answers."""
    outer = {"type": "event_callback", "team_id": "T1", "api_app_id": "A1", "event_id": "Ev1", "event_time": 1}
    body, at = json.dumps({**outer, "event": event}), str(int(time.time()))
    headers = {
        "content-type": ["application/json"],
        "x-slack-request-timestamp": [at],
        "x-slack-signature": [SignatureVerifier(SECRET).generate_signature(timestamp=at, body=body)],
    }
    return app.dispatch(BoltRequest(body=body, headers=headers)).status


base = {"user": "U1", "channel": "C1", "ts": "1.000100"}
answers = {
    "a message with 'hello'": status({"type": "message", "text": "hello there", **base}),
    "another message": status({"type": "message", "text": "the export fails", **base}),
    "an edit": status({"type": "message", "subtype": "message_changed", "message": base, "channel": "C1", "ts": "2.0"}),
    "a reaction": status({"type": "reaction_added", "reaction": "eyes", "item": base, "user": "U1", "event_ts": "3.0"}),
}
print("expected:   200 for each")
for what, code in answers.items():
    print(f"slack_bolt {version('slack_bolt')}: {code} for {what}")
assert answers.pop("a message with 'hello'") == 200, "the control failed"
assert set(answers.values()) == {404}, "events without a listener are answered otherwise now"
END
env/bin/python show.py
