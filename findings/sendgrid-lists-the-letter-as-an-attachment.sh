#!/usr/bin/env bash
# sendgrid: attachments() of a raw mail lists the letter itself, and not as base64
#
# Most would expect: Parse.attachments() returns the files of the mail, "contents"
#   base64 encoded (so its documentation, and so it is when SendGrid takes the mail
#   apart).
# Instead: with SendGrid's "send raw" setting every leaf of the mail is an
#   attachment: the text is "part-001.txt", the HTML "part-002.html". And "contents"
#   is the part's body as it was transferred: base64 only where the sender used
#   base64, plain text or quoted-printable otherwise. Decoding it as documented gives
#   rubbish or an error.
# Seen with: sendgrid 6.12.5, Werkzeug 3.1.9 (Python), 2026-11-28. Source:
#   sendgrid/helpers/inbound/parse.py, _get_attachments_raw: walk() and
#   get_payload(decode=False).
# Why it matters here: one checkbox at SendGrid decides; "raw" is the one that keeps
#   the headers which threads are built from.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

python3 -m venv env
env/bin/pip install -qq --disable-pip-version-check sendgrid==6.12.5 Werkzeug==3.1.9 Flask==3.1.3 PyYAML==6.0.4 six==1.17.0

cat >show.py <<'END'
import base64
from importlib.metadata import version
from io import BytesIO
from types import SimpleNamespace

from sendgrid.helpers.inbound.parse import Parse
from werkzeug.test import EnvironBuilder
from werkzeug.wrappers import Request

RAW = "\r\n".join(
    [
        "From: ann@example.com", "Subject: export", "MIME-Version: 1.0", "Content-Type: multipart/mixed; boundary=b", "",
        "--b", "Content-Type: text/plain", "", "It fails.",
        "--b", "Content-Type: text/csv; name=log.csv", "Content-Disposition: attachment; filename=log.csv", "", "a;b",
        "--b--", "",
    ]
)


def attachments(**form):
    request = Request(EnvironBuilder(method="POST", data=form).get_environ())
    return [(one["file_name"], one["contents"]) for one in Parse(SimpleNamespace(keys=[]), request).attachments()]


apart = attachments(**{"attachment-info": "{}", "attachment1": (BytesIO(b"a;b"), "log.csv", "text/csv")})
raw = attachments(email=RAW)
expected = [("log.csv", base64.b64encode(b"a;b"))]
print(f"expected:                          {expected}")
print(f"sendgrid {version('sendgrid')}, mail taken apart: {apart}")
print(f"sendgrid {version('sendgrid')}, raw mail:         {raw}")
assert apart == expected, "the control failed"
assert [name for name, _ in raw] == ["part-001.txt", "log.csv"], "the letter is no attachment now"
assert raw[1][1] == "a;b", "the contents are base64 now"
END
env/bin/python show.py
