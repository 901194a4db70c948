"""SES with an S3 action: the mail's text, HTML and files, read from the bucket that the notification names.

Source: AWS, "Amazon S3 API: GetObject", "Authenticating requests (AWS Signature Version 4)", "Contents of notifications for
Amazon SES email receiving". Amazon signed the notification; its bucket and key become one path below the region's S3 host.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, urlsplit

from relay.errors import PayloadInvalid
from relay.sources.foreign_json import Walk
from relay.sources.mail.bodies import bodies_of
from relay.sources.mail.event import MAX_ATTACHMENTS
from relay.sources.mail.headers import decoded
from relay.sources.mail.mime import read_mime
from relay.sources.proof.partitions import DOMAINS
from relay.sources.read.charset import printable
from relay.sources.read.look_up import LookUp, has_text, put_text

#: As SES takes them.
MAX_OBJECT_BYTES = 40 * 1024 * 1024

_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", re.ASCII)
_REGION = re.compile(r"[a-z]{2,8}(?:-[a-z]{2,12}){1,3}-\d{1,2}", re.ASCII)
_EMPTY_SHA256 = hashlib.sha256(b"").hexdigest()
_SIGNED = "host;x-amz-content-sha256;x-amz-date"


def _where(payload: Walk) -> str:
    """The S3 host of the topic's region, "" where the notification names none."""
    arn = payload.maybe("receipt").maybe("action").maybe_text("topicArn").split(":")
    if len(arn) < 6 or arn[1] not in DOMAINS or not _REGION.fullmatch(arn[3]):
        return ""
    return f"https://s3.{arn[3]}.{DOMAINS[arn[1]]}"


def _path(view: Mapping[str, Any], payload: Walk) -> str:
    action = payload.maybe("receipt").maybe("action")
    bucket, key = action.maybe_text("bucketName"), action.maybe_text("objectKey")
    if has_text(view) or not key or not _BUCKET.fullmatch(bucket) or len(key) > 1024:
        return ""
    if any(segment in (".", "..") for segment in key.split("/")):
        return ""
    return f"/{bucket}/{quote(key, safe='/-_.~')}"


def _sign(url: str, login: str, now_s: float) -> Mapping[str, str]:
    """The headers of a GET, for an access key as `id:secret`, or `id:secret:session token`."""
    key_id, _, rest = login.partition(":")
    secret, _, session = rest.partition(":")
    parts = urlsplit(url)
    host = parts.hostname or ""
    region = (
        host.split(".")[1]
        if host.startswith("s3.") and _REGION.fullmatch(host.split(".")[1])
        else "us-east-1"
    )
    moment = datetime.fromtimestamp(now_s, UTC).strftime("%Y%m%dT%H%M%SZ")
    scope = f"{moment[:8]}/{region}/s3/aws4_request"
    headers = {"host": parts.netloc, "x-amz-content-sha256": _EMPTY_SHA256, "x-amz-date": moment}
    names = _SIGNED
    if session:
        headers["x-amz-security-token"] = session
        names += ";x-amz-security-token"
    listed = "".join(f"{name}:{value}\n" for name, value in headers.items())
    asked = f"GET\n{parts.path}\n{parts.query}\n{listed}\n{names}\n{_EMPTY_SHA256}"
    text = f"AWS4-HMAC-SHA256\n{moment}\n{scope}\n{hashlib.sha256(asked.encode()).hexdigest()}"
    key = f"AWS4{secret}".encode()
    for word in scope.split("/"):
        key = hmac.new(key, word.encode(), hashlib.sha256).digest()
    signature = hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
    proof = f"AWS4-HMAC-SHA256 Credential={key_id}/{scope}, SignedHeaders={names}, Signature={signature}"
    return {**headers, "authorization": proof}


def _read(content: bytes) -> Mapping[str, Any]:
    """What a mail says; {} for one that cannot be read."""
    try:
        mime = read_mime(content)
    except PayloadInvalid:
        return {}
    bodies = bodies_of(
        printable(mime.text),
        printable(mime.html),
        subject=decoded(mime.headers.get("subject")),
        answers="in-reply-to" in mime.headers or "references" in mime.headers,
        flowed=mime.flowed,
    )
    files = [
        {"name": one.name, "type": one.type, "size": one.size, "url": one.url}
        for one in mime.attachments[:MAX_ATTACHMENTS]
    ]
    return {"text": bodies.text, "html": bodies.html, "quoted": bodies.quoted, "attachments": files}


def _fill(view: dict[str, Any], answer: Walk) -> None:
    put_text(view, answer.maybe_text("text"), answer.maybe_text("html"))
    view["quoted"] = view.get("quoted") or answer.maybe_text("quoted")
    files = answer.value.get("attachments")
    if not view.get("attachments") and isinstance(files, list):
        view["attachments"] = files


SES_LOOKUP = LookUp(
    _path,
    _fill,
    where=_where,
    example="https://s3.eu-central-1.amazonaws.com",
    sign=_sign,
    read=_read,
    max_bytes=MAX_OBJECT_BYTES,
    once=True,
)
