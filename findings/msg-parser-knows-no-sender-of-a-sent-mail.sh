#!/usr/bin/env bash
# msg-parser: a mail from Outlook's "Sent items" has no sender and no date
#
# Most would expect: the sender and the date of a .msg are read from its own fields, which
#   each file has; the headers of transport are a help where they are there.
# Instead: both are taken from the headers of transport, which a mail has only after it
#   travelled: one that was sent from here, saved as a draft or written by a program has
#   none. The way out looks for "SenderRepresentingSmtpAddress" (the field is called
#   SentRepresenting...) and "DeliverTime" (a mail has MessageDeliveryTime). Both are None
#   then, though the right fields are there. And `body` is the HTML, where there is a text
#   as well.
# Seen with: msg-parser 1.2.0, extract-msg 0.57.0, msgforge 1.0.0 (Python), 2026-11-28.
#   Source: msg_parser/msg_parser.py, _set_properties. Format: MS-OXPROPS
#   (PidTagSentRepresentingSmtpAddress, PidTagMessageDeliveryTime).
# Why it matters here: agents drag their own answers into a ticket. In the CRM these are
#   from nobody, at no time, so that they stand first or last in the thread.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

python3 -m venv env
env/bin/pip install -qq --disable-pip-version-check msg-parser==1.2.0 extract-msg==0.57.0 msgforge==1.0.0

cat >show.py <<'END'
import logging
from datetime import datetime, timezone
from importlib.metadata import version

import extract_msg
import msgforge
from msg_parser import MsOxMessage

logging.disable(logging.CRITICAL)
AT = datetime(2026, 11, 27, 15, 0, tzinfo=timezone.utc)
mail = msgforge.Message(
    subject="Order", text_body="It is fixed.", html_body="<p>It is <b>fixed</b>.</p>", to=[("ann@firm.example", "Ann Lee")], sender=("desk@shop.example", "Desk"), sent=AT
)
mail.save("sent.msg")

one, two = MsOxMessage("sent.msg"), extract_msg.openMsg("sent.msg")
print(f"msg-parser {version('msg-parser')}: {one.subject!r}, sender {one.sender!r}, sent {one.sent_date!r}, received {one.received_date!r}, body {one.body!r}")
print(f"extract-msg {version('extract-msg')}: {two.subject!r}, sender {two.sender!r}, sent {two.date}, body {two.body!r}")
assert one.subject == two.subject == "Order" and "ann@firm.example" in str(one.recipients[0]), "the control failed"
assert (two.sender, two.date, two.body) == ("Desk <desk@shop.example>", AT, "It is fixed."), "the second control failed"
assert one.sender is None and one.sent_date is None and one.received_date is None, "sender and date are read now"
assert one.body == "<p>It is <b>fixed</b>.</p>", "body is the text now"
END
env/bin/python show.py
