#!/usr/bin/env bash
# An HTML mail that Tuta's writer made into a .msg has a text for none of four readers
#
# Most would expect: a .msg file, Outlook's form of a mail, that one library wrote with an
#   HTML body is read by the others: the text, or the HTML, or both.
# Instead: oxmsg packs the HTML into RTF that has no table of fonts, leaves the body an
#   empty stream, and ends the list of properties in the middle of an entry. extract-msg
#   raises ValueError ("No font table found in tree") for the HTML and an error for the body;
#   aspose-email-foss refuses the whole file; python-oxmsg gives "", msgreader the packed RTF
#   at most. Written as plain text the same mail is read by three of them.
# Seen with: @tutao/oxmsg 0.2.3, @kenjiuno/msgreader 1.28.0 (npm), extract-msg 0.57.0,
#   python-oxmsg 0.0.2, aspose-email-foss 26.3 (Python), 2026-11-28. Format: MS-OXMSG,
#   section 2.4 (entries of 16 bytes); MS-OXRTFEX.
# Why it matters here: a customer attaches a mail. In the CRM it has a subject, a sender and
#   a date, and nothing was said in it.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

python3 -m venv env
env/bin/pip install -qq --disable-pip-version-check extract-msg==0.57.0 python-oxmsg==0.0.2 aspose-email-foss==26.3
npm init -y >/dev/null
npm install --silent --no-audit --no-fund --ignore-scripts @tutao/oxmsg@0.2.3 @kenjiuno/msgreader@1.28.0 >/dev/null

cat >write.cjs <<'END'
const fs = require('node:fs');
const { Email } = require('@tutao/oxmsg');
const MsgReader = require('@kenjiuno/msgreader').default;

const seen = {};
for (const [name, fill] of [['plain', mail => mail.bodyText('Hello, it fails.')], ['html', mail => mail.bodyHtml('<p>Hello, it fails.</p>')]]) {
  const at = new Date('2026-11-27T15:00:00Z');
  const mail = new Email(true, false).subject('Order').sender('ann@firm.example', 'Ann Lee').to('help@shop.example', 'Desk').sentOn(at).receivedOn(at);
  const file = Buffer.from(fill(mail).msg());
  fs.writeFileSync(`${name}.msg`, file);
  const { subject, body, bodyHtml, html } = new MsgReader(file).getFileData();
  seen[name] = { subject, text: body || bodyHtml || (html && Buffer.from(html).toString()) || '' };
}
fs.writeFileSync('javascript.json', JSON.stringify(seen));
END
node write.cjs

cat >show.py <<'END'
import json
import logging

import extract_msg
import oxmsg
from aspose.email_foss import msg

logging.disable(logging.CRITICAL)


def attempt(read):
    """Return what is read, "" for nothing, or the error's name."""
    try:
        value = read() or ""
    except Exception as error:
        return f"({type(error).__name__}: {str(error)[:60]})"
    return value.decode() if isinstance(value, bytes) else value


def aspose(path):
    with msg.MapiMessage.from_file(path) as message:
        return message.to_email_message().get_body(("plain", "html")).get_content()


seen = {}
for name, found in json.load(open("javascript.json")).items():
    path = f"{name}.msg"
    mail, other = extract_msg.openMsg(path), oxmsg.Message.load(path)
    seen[name] = {
        "msgreader": found["text"],
        "extract-msg, body": attempt(lambda: mail.body),
        "extract-msg, htmlBody": attempt(lambda: mail.htmlBody),
        "python-oxmsg": attempt(lambda: other.body or other.html_body),
        "aspose-email-foss": attempt(lambda: aspose(path)),
    }
    assert found["subject"] == mail.subject == other.subject == "Order", "the control failed"
    for who, text in seen[name].items():
        print(f"{name:6} {who:22} {text!r}")
for who in ("msgreader", "extract-msg, body", "python-oxmsg"):
    assert seen["plain"][who] == "Hello, it fails.", f"the second control failed: {who}"
for who, text in seen["html"].items():
    assert "Hello" not in text, f"{who} reads the text now"
assert "font table" in seen["html"]["extract-msg, htmlBody"] and "MsgError" in seen["html"]["aspose-email-foss"], "other errors"
END
env/bin/python show.py
