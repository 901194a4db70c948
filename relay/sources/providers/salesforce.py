"""Salesforce outbound messages: SOAP, unsigned, repeated for a day until the answer says `Ack true`.

Proof: a login, `?token=` in the URL, or the organization's id (`secrets`).
Source: Salesforce, "Outbound Messaging".
"""

from __future__ import annotations

from typing import ClassVar
from xml.sax.saxutils import escape

from relay.errors import NotAuthentic, PayloadInvalid
from relay.event import Event, Person, Recipient, Ticket, event_id
from relay.source_options import SourceOptions
from relay.sources.base import (
    Answers,
    BaseAdapter,
    Credentials,
    Inbound,
    Parked,
    Parsed,
    Sample,
    Skipped,
    content_key,
    iso_from_us,
)
from relay.sources.proof.credentials import has_secret, login_headers
from relay.sources.proof.rule import ProofRule
from relay.sources.read.either import looks_like_html, read_either
from relay.sources.read.markup import clean_html, text_of_html
from relay.sources.read.moment import moment_us
from relay.sources.read.privacy import audience, withheld
from relay.sources.read.xml import Element, first_leaf, parse_xml

_SOAP = "http://schemas.xmlsoap.org/soap/envelope/"
_OUTBOUND = "http://soap.sforce.com/2005/09/outbound"
_ACK = (
    f'<?xml version="1.0" encoding="UTF-8"?><soapenv:Envelope xmlns:soapenv="{_SOAP}"><soapenv:Body>'
    f'<notificationsResponse xmlns="{_OUTBOUND}"><Ack>true</Ack></notificationsResponse>'
    "</soapenv:Body></soapenv:Envelope>"
).encode()

#: Where the organization's id stands.
_ORGANIZATION = ("Envelope", "Body", "notifications", "OrganizationId")
_KINDS = {
    "Case": "ticket.updated",
    "CaseComment": "ticket.commented",
    "EmailMessage": "email.received",
    "FeedItem": "ticket.commented",
    "FeedComment": "ticket.commented",
}
#: Records that are a message of another one.
_MESSAGES = frozenset({"CaseComment", "EmailMessage", "FeedItem", "FeedComment"})
#: Their fields may tell that they are not for the customer.
_WITH_AUDIENCE = frozenset({"CaseComment"})
_TEXTS = ("Description", "CommentBody", "TextBody", "Body", "Comments__c", "Comments")
_TIMES = ("LastModifiedDate", "SystemModstamp", "CreatedDate")


class Salesforce(BaseAdapter):
    name: ClassVar[str] = "salesforce"
    content_types: ClassVar[frozenset[str]] = frozenset(
        {"text/xml", "application/xml", "application/soap+xml"}
    )
    answers = Answers(accepted=200, accepted_body=_ACK, accepted_type="text/xml; charset=utf-8")
    #: The session lets its holder act in Salesforce.
    credentials = Credentials(elements=("SessionId",))

    def __init__(self, options: SourceOptions) -> None:
        super().__init__(options)
        self._rule = ProofRule(options)
        if not (self._rule.login or has_secret(options) or options.unauthenticated):
            raise ValueError(
                f"source {options.name!r}: salesforce signs nothing, so it needs basic_auth, or secrets: "
                "[a token for ?token= in the URL, or the organization's id]"
            )

    def verify_head(self, head: Inbound, *, now_s: float) -> None:
        self._rule.check_login(head)
        if given := head.query.get("token", ""):
            self._rule.check_token(given)

    def verify_body(self, inbound: Inbound, *, now_s: float) -> None:
        if not self._rule.secret or inbound.query.get("token"):
            return
        try:
            organization = first_leaf(inbound.body, _ORGANIZATION)
        except PayloadInvalid:
            raise NotAuthentic("token") from None
        if not organization:
            raise NotAuthentic("token")
        self._rule.check_token(organization)

    def parse(self, inbound: Inbound, *, now_s: float) -> list[Parsed]:
        outer = _notifications(inbound.body)
        found = [child for child in outer.children if child.name == "Notification"]
        if not found:
            raise PayloadInvalid("wanted a Notification", "notifications")
        return [self._event(outer, one, now_s) for one in found]

    def _event(self, outer: Element, one: Element, now_s: float) -> Parsed:
        record = next((child for child in one.children if child.name == "sObject"), None)
        notification = one.leaf("Id")
        if record is None or not notification:
            return Parked("notification without Id or sObject", notification or content_key(one.told()))
        values = {child.name: child.text for child in record.children if child.text}
        kind = record.type.rpartition(":")[2]
        # A record is the customer's to see unless it says otherwise: few have a field for it.
        told = audience(values) or ("" if kind in _WITH_AUDIENCE else "public")
        if why := withheld(told, self.options):
            return Skipped(why)
        moment = next((found for key in _TIMES if (found := moment_us(values.get(key))) is not None), None)
        version = int(now_s * 1_000_000) if moment is None else moment
        record_id = values.get("Id") or notification
        text, html = _said(values)
        source = self.options.name
        return Event(
            id=event_id(source, notification),
            source=source,
            adapter=self.name,
            kind=_KINDS.get(kind, "custom"),
            time=iso_from_us(version),
            version=version,
            thread=values.get("ParentId", record_id) if kind in _MESSAGES else record_id,
            subject=values.get("Subject") or values.get("Name") or values.get("Title") or "",
            text=text,
            html=html,
            sender=Person(
                id=values.get("ContactId") or values.get("CreatedById", ""),
                name=values.get("SuppliedName") or values.get("FromName") or "",
                email=values.get("SuppliedEmail")
                or values.get("ContactEmail")
                or values.get("FromAddress")
                or values.get("Email", ""),
            ),
            recipients=_recipients(values),
            ticket=_ticket(values) if kind == "Case" else Ticket(),
            message_id=_message_id(kind, values, text or html, notification),
            url=_url(outer.leaf("EnterpriseUrl"), record_id),
            delivery_id=notification,
            label=values.get("CaseNumber") or kind,
            # An outbound message has the fields that its workflow chose.
            unworded="fields" if kind in _MESSAGES else "",
            # The session id would let its holder act in Salesforce: it goes no further.
            payload={
                "organization_id": outer.leaf("OrganizationId"),
                "action_id": outer.leaf("ActionId"),
                "notification_id": notification,
                "object": {"type": kind, **values},
            },
        )

    def sample(self, *, serial: int, now_s: float) -> Sample:
        return self.sample_thread(serial=serial, now_s=now_s)[0]

    def sample_thread(self, *, serial: int, now_s: float) -> list[Sample]:
        """Return a case, and its next state."""
        moment = int(now_s) * 1_000_000 + serial
        return [
            _sample_case(moment, moment, "New", "The export fails since this morning."),
            _sample_case(moment, moment + 1_000_000, "Closed", "It works again, thank you!"),
        ]

    def sign(self, sample: Sample, *, now_s: float, url: str) -> Sample:
        body = sample.body
        secret = next((secret for secret in self.options.secrets() if secret), "")
        if secret:
            body = body.replace(b"00D000000000SAMPLE", escape(secret).encode())
        return Sample(body, {**sample.headers, **login_headers(self.options)}, sample.method)


def _message_id(kind: str, values: dict[str, str], words: str, notification: str) -> str:
    """The entry's id: a message's is its record's, so that an edit replaces it. What a case says of itself comes along with
    each of its changes: the same words are the same entry."""
    record_id = values.get("Id", "")
    if not record_id or not words:
        return notification
    return record_id if kind in _MESSAGES else f"{record_id}:{content_key(words)}"


def _said(values: dict[str, str]) -> tuple[str, str]:
    html = values.get("HtmlBody", "")
    text = next((values[key] for key in _TEXTS if values.get(key)), "")
    if html:
        return text or text_of_html(html), clean_html(html)
    return read_either(text) if looks_like_html(text) else (text, "")


def _recipients(values: dict[str, str]) -> tuple[Recipient, ...]:
    return tuple(
        Recipient(email=address.strip(), role=role)
        for key, role in (("ToAddress", "to"), ("CcAddress", "cc"))
        for address in values.get(key, "").split(";")
        if "@" in address
    )


def _ticket(values: dict[str, str]) -> Ticket:
    return Ticket(
        id=values.get("CaseNumber") or values.get("Id", ""),
        status=values.get("Status", ""),
        priority=values.get("Priority", ""),
        assignee=values.get("OwnerId", ""),
    )


def _url(api_url: str, record_id: str) -> str:
    """The record's page, on the host that the message names."""
    scheme, _, rest = api_url.partition("://")
    host = rest.partition("/")[0]
    return f"https://{host}/{record_id}" if scheme == "https" and host and record_id.isalnum() else ""


def _notifications(body: bytes) -> Element:
    """The `notifications` element. Raises PayloadInvalid for what is no such message."""
    root = parse_xml(body)
    if root.name == "Envelope":
        inner = next((child for child in root.children if child.name == "Body"), None)
        for child in inner.children if inner else ():
            if child.name == "notifications":
                return child
    raise PayloadInvalid("wanted a SOAP outbound message")


def _sample_case(first_us: int, moment: int, status: str, text: str) -> Sample:
    body = f"""<?xml version="1.0" encoding="UTF-8"?>
<soapenv:Envelope xmlns:soapenv="{_SOAP}" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">
 <soapenv:Body>
  <notifications xmlns="{_OUTBOUND}">
   <OrganizationId>00D000000000SAMPLE</OrganizationId>
   <ActionId>04k000000000SAMPLE</ActionId>
   <SessionId xsi:nil="true"/>
   <EnterpriseUrl>https://sample.my.salesforce.com/services/Soap/c/60.0/00D</EnterpriseUrl>
   <Notification>
    <Id>04l{moment:015X}</Id>
    <sObject xsi:type="sf:Case" xmlns:sf="urn:sobject.enterprise.soap.sforce.com">
     <sf:Id>500{first_us:015X}</sf:Id>
     <sf:CaseNumber>{first_us % 100_000_000:08d}</sf:CaseNumber>
     <sf:Subject>Export fails</sf:Subject>
     <sf:Description>{text}</sf:Description>
     <sf:Status>{status}</sf:Status>
     <sf:SuppliedEmail>ana@example.com</sf:SuppliedEmail>
     <sf:LastModifiedDate>{iso_from_us(moment)}</sf:LastModifiedDate>
    </sObject>
   </Notification>
  </notifications>
 </soapenv:Body>
</soapenv:Envelope>
"""
    return Sample(body.encode(), {"content-type": "text/xml; charset=utf-8", "soapaction": '""'})
