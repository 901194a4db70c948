"""Runs inside one provider's package: `python drive.py NAME`, tasks as JSON lines in, answers as JSON lines out.

A task: `do` ("sign" or "verify"), `secret`, `url`, `headers`, `body` (base64), `how` (a variant), `now` (seconds). Signing
answers headers, and body and `query` where they differ; verifying answers `ok`. Of the relay nothing is imported here.
"""

from __future__ import annotations

import base64
import json
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs

Task = dict[str, Any]
JSON = {"content-type": "application/json"}


def sign_slack_sdk(task: Task) -> Task:
    from slack_sdk.signature import SignatureVerifier

    sent = str(task["now"])
    signature = SignatureVerifier(task["secret"]).generate_signature(timestamp=sent, body=task["body"])
    return {"headers": {**JSON, "X-Slack-Request-Timestamp": sent, "X-Slack-Signature": signature}}


def verify_slack_sdk(task: Task) -> bool:
    from slack_sdk.signature import SignatureVerifier

    return bool(SignatureVerifier(task["secret"]).is_valid_request(task["body"], task["headers"]))


def verify_slack_bolt(task: Task) -> bool:
    from slack_bolt.middleware import RequestVerification
    from slack_bolt.request import BoltRequest
    from slack_bolt.response import BoltResponse

    request = BoltRequest(body=task["body"].decode(), headers=task["headers"])
    answer = RequestVerification(task["secret"]).process(
        req=request, resp=BoltResponse(status=404), next=lambda: BoltResponse(status=200)
    )
    return bool(answer.status == 200)


def _algorithm(task: Task) -> str | None:
    return "HMAC_SHA256" if "shared_key" in task["how"] else None


def sign_twilio(task: Task) -> Task:
    from twilio.request_validator import RequestValidator

    validator = RequestValidator(task["secret"])
    headers = {"content-type": "application/x-www-form-urlencoded"}
    if _algorithm(task):
        headers["X-Twilio-Webhooks-Signature-Settings"] = "key=key_1,algorithm=HMAC_SHA256"
    if "json" in task["how"]:
        query = "bodySHA256=" + validator.compute_hash(task["body"].decode())
        signature = validator.compute_signature(f"{task['url']}?{query}", {}, _algorithm(task))
        return {"headers": {**headers, **JSON, "X-Twilio-Signature": signature}, "query": query}
    signature = validator.compute_signature(task["url"], _Form(task["body"]), _algorithm(task))
    return {"headers": {**headers, "X-Twilio-Signature": signature}}


def verify_twilio(task: Task) -> bool:
    from twilio.request_validator import RequestValidator

    signature = task["headers"].get("x-twilio-signature", "")
    return bool(RequestValidator(task["secret"]).validate(task["url"], _Form(task["body"]), signature))


class _Form(dict[str, Any]):
    """Form fields as the frameworks give them: several values of one name."""

    def __init__(self, body: bytes) -> None:
        super().__init__(parse_qs(body.decode(), keep_blank_values=True))

    def getlist(self, name: str) -> list[str]:
        return list(self[name])


def _moment(task: Task) -> datetime:
    return datetime.fromtimestamp(task["now"], UTC)


def _standard(webhook: Any, task: Task, prefix: str) -> Task:
    signature = webhook.sign("msg_1", _moment(task), task["body"].decode())
    if task["how"] == "several":
        signature = f"v1,{base64.b64encode(bytes(32)).decode()} v1a,bm9uZQ== {signature}"
    return {
        "headers": {
            **JSON,
            f"{prefix}-id": "msg_1",
            f"{prefix}-timestamp": str(task["now"]),
            f"{prefix}-signature": signature,
        }
    }


def sign_svix(task: Task) -> Task:
    from svix.webhooks import Webhook

    return _standard(Webhook(task["secret"]), task, "webhook" if task["how"] == "unbranded" else "svix")


def verify_svix(task: Task) -> bool:
    from svix.webhooks import Webhook

    Webhook(task["secret"]).verify(task["body"], task["headers"])
    return True


def sign_standardwebhooks(task: Task) -> Task:
    from standardwebhooks import Webhook

    return _standard(Webhook(task["secret"]), task, "webhook")


def verify_standardwebhooks(task: Task) -> bool:
    from standardwebhooks import Webhook

    Webhook(task["secret"]).verify(task["body"], task["headers"])
    return True


def sign_stripe(task: Task) -> Task:
    from stripe import WebhookSignature

    signed = f"{task['now']}.{task['body'].decode()}"
    signature = WebhookSignature._compute_signature(signed, task["secret"])
    several = f"v1={'0' * 64},v0={'1' * 64}," if task["how"] == "several" else ""
    return {"headers": {**JSON, "Stripe-Signature": f"t={task['now']},{several}v1={signature}"}}


def verify_stripe(task: Task) -> bool:
    from stripe import WebhookSignature

    header = task["headers"].get("stripe-signature", "")
    return bool(WebhookSignature.verify_header(task["body"].decode(), header, task["secret"], 300))


def sign_hubspot_api_client(task: Task) -> Task:
    from hubspot.utils.signature import Signature

    version, sent_ms = task["how"].split()[0], str(task["now"] * 1000)
    signature = Signature.get_signature(
        task["secret"], task["body"].decode(), version, task["url"], "POST", sent_ms
    )
    if version == "v3":
        proof = {"X-HubSpot-Signature-v3": signature, "X-HubSpot-Request-Timestamp": sent_ms}
    else:
        proof = {"X-HubSpot-Signature": signature, "X-HubSpot-Signature-Version": version}
    return {"headers": {**JSON, **proof}}


def verify_hubspot_api_client(task: Task) -> bool:
    from hubspot.utils.signature import Signature

    headers = task["headers"]
    version = "v3" if "x-hubspot-signature-v3" in headers else headers["x-hubspot-signature-version"]
    given = headers.get("x-hubspot-signature-v3") or headers["x-hubspot-signature"]
    sent_ms = headers.get("x-hubspot-request-timestamp")
    return bool(
        Signature.is_valid(
            given, task["secret"], task["body"].decode(), task["url"], "POST", version, sent_ms
        )
    )


def sign_cloudevents(task: Task) -> Task:
    from cloudevents.core.bindings.http import to_binary_event, to_structured_event
    from cloudevents.core.v1.event import CloudEvent

    data: Any = json.loads(task["body"])
    attributes: Task = {"id": f"e-{task['now']}", "source": "/desk", "type": "note.added"}
    attributes |= {"specversion": "1.0", "subject": "7", "time": _moment(task), "comexample": "own"}
    attributes["datacontenttype"] = "application/json"
    if "bytes" in task["how"]:
        data, attributes["datacontenttype"] = json.dumps(data).encode(), "application/octet-stream"
    if "without" in task["how"]:
        data = None
    event = CloudEvent(attributes=attributes, data=data)
    message = (to_binary_event if "binary" in task["how"] else to_structured_event)(event)
    headers = {**message.headers, "authorization": f"Bearer {task['secret']}"}
    return {"headers": headers, "body": base64.b64encode(message.body).decode()}


def verify_cloudevents(task: Task) -> bool:
    from cloudevents.core.bindings.http import HTTPMessage, from_http_event

    event = from_http_event(HTTPMessage(task["headers"], task["body"]))
    return bool(event.get_id() and event.get_type() and event.get_source())


def verify_sendgrid(task: Task) -> bool:
    from sendgrid.helpers.eventwebhook import EventWebhook

    headers = task["headers"]
    return bool(
        EventWebhook(task["public_key"]).verify_signature(
            task["body"].decode(),
            headers["x-twilio-email-event-webhook-signature"],
            headers["x-twilio-email-event-webhook-timestamp"],
        )
    )


def verify_resend(task: Task) -> bool:
    import resend

    headers = {name: task["headers"][f"svix-{name}"] for name in ("id", "timestamp", "signature")}
    options = {"payload": task["body"].decode(), "headers": headers, "webhook_secret": task["secret"]}
    resend.Webhooks.verify(options)
    return True


def verify_fathom_python(task: Task) -> bool:
    from fathom_python import Fathom

    Fathom.verify_webhook(task["secret"], task["headers"], task["body"].decode())
    return True


def sign_google_auth(task: Task) -> Task:
    from google.auth import crypt, jwt

    signer = crypt.RSASigner.from_string(task["secret"], key_id="k1")
    claims = {
        "iss": "chat@system.gserviceaccount.com",
        "aud": task["how"] if task["how"].isdigit() else "1234567890",
        "iat": task["now"],
        "exp": task["now"] + 3600,
    }
    token = jwt.encode(signer, claims).decode()
    return {"headers": {**JSON, "authorization": f"Bearer {token}"}}


def main(name: str) -> None:
    word = name.replace("-", "_")
    for line in sys.stdin:
        task = json.loads(line)
        task["body"] = base64.b64decode(task["body"])
        function: Callable[[Task], Any] = globals()[f"{task['do']}_{word}"]
        try:
            found = function(task)
            answer = found if isinstance(found, dict) else {"ok": found}
        except Exception as error:
            answer = {"ok": False, "why": f"{type(error).__name__}: {error}"[:200]}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    # The folder of this file holds no package that is meant.
    sys.path.pop(0)
    main(sys.argv[1])
