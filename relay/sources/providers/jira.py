"""Jira and Jira Service Management: issues and their comments, by webhooks and by automation rules.

Source: Atlassian, "Webhooks" (Jira Cloud), "Secure your webhook", "Send web request" (automation); the header has no
"-256" in its name although the hash is SHA-256.
"""

from __future__ import annotations

import re
from typing import Any, ClassVar

import orjson

from relay.errors import NotAuthentic, PayloadInvalid
from relay.event import Attachment, Channel, Event, Person, Ticket, event_id
from relay.source_options import SourceOptions
from relay.sources.base import (
    BaseAdapter,
    Inbound,
    Parked,
    Parsed,
    Sample,
    Skipped,
    content_key,
    hmac_bytes,
    iso_from_us,
)
from relay.sources.foreign_json import Walk
from relay.sources.proof.credentials import login_headers, matches_hex
from relay.sources.proof.rule import ProofRule, delivery_of, require_proof, token_of
from relay.sources.read.jira_issue import (
    files_of_issue,
    jira_person,
    made_of,
    said_in,
    url_of_issue,
    was_done,
    was_touched,
)
from relay.sources.read.moment import moment_us
from relay.sources.read.privacy import audience, is_private, is_strict
from relay.sources.read.templated import read_templated

_ISSUE_IN_URL = re.compile(r"/issue/(\d+)/comment/")
_COMMENT_KINDS = {
    "comment_created": "ticket.commented",
    "comment_updated": "message.updated",
    "comment_deleted": "message.deleted",
}


class Jira(BaseAdapter):
    name: ClassVar[str] = "jira"

    def __init__(self, options: SourceOptions) -> None:
        super().__init__(options)
        require_proof(options, "the webhook's secret")
        self._rule = ProofRule(options)
        self._keep_private = "private" in options.keep
        self._keep_bots = "bots" in options.keep

    def verify_head(self, head: Inbound, *, now_s: float) -> None:
        given = head.headers.get("x-hub-signature", "")
        if not given and head.query:
            # Old servers sign nothing: their URL may carry the secret.
            self._rule.check_login(head)
            self._rule.check_token(token_of(head))
        elif self._rule.check_head(head, given) and not given.startswith("sha256="):
            raise NotAuthentic("signature")

    def verify_body(self, inbound: Inbound, *, now_s: float) -> None:
        given = inbound.headers.get("x-hub-signature", "")
        if not self._rule.secret or not given:
            return
        if not matches_hex(given[7:], self.options.secrets(), inbound.body):
            raise NotAuthentic("signature")

    def nonces(self, inbound: Inbound) -> tuple[str, ...]:
        return self._rule.once(inbound.body) if inbound.headers.get("x-hub-signature") else ()

    def timeless(self, inbound: Inbound) -> bool:
        return "x-hub-signature" in inbound.headers

    def parse(self, inbound: Inbound, *, now_s: float) -> list[Parsed]:
        try:
            payload = read_templated(inbound)
        except PayloadInvalid as error:
            if not _is_broken_template(inbound):
                raise
            return [Parked(error.message, content_key(inbound.body))]
        body = Walk(payload)
        delivery = delivery_of(inbound, "x-atlassian-webhook-identifier")
        what = body.maybe_text("webhookEvent")
        if not what:
            body = _of_automation(body)
            what = _event_of(body)
        if what in _COMMENT_KINDS:
            return [self._comment(body, what, delivery, now_s)]
        if what in ("jira:issue_created", "jira:issue_updated", "jira:issue_deleted"):
            return [self._issue(body, what, delivery, now_s)]
        return [Skipped("type")]

    def _comment(self, body: Walk, what: str, delivery: str, now_s: float) -> Parsed:
        issue, comment = body.maybe("issue"), body["comment"]
        found = _ISSUE_IN_URL.search(comment.maybe_text("self"))
        thread = issue.maybe_ident("id") or (found[1] if found else "") or issue.maybe_ident("key")
        if not thread:
            raise PayloadInvalid('names no issue: wanted its "id" or "key"', "issue")
        return self._commented(body, issue, comment, _COMMENT_KINDS[what], thread, delivery, now_s)

    def _commented(
        self, body: Walk, issue: Walk, comment: Walk, kind: str, thread: str, delivery: str, now_s: float
    ) -> Parsed:
        # A comment turned private must vanish as much as a deleted one.
        # A rule's template says it beside the comment, too.
        told = audience(comment.value) or audience({**body.value, "issue": None, "comment": None})
        properties = (entry.value.get("value") for entry in comment.items("properties"))
        private = told == "private" or is_private(*properties)
        if not told and not private and is_strict(self.options) and kind != "message.deleted":
            return Skipped("privacy_unsaid")
        if private and kind != "message.deleted" and not self._keep_private:
            if kind != "message.updated":
                return Skipped("private")
            kind = "message.deleted"
        updated = kind == "message.updated"
        # An edit changes the words, and not whose they are.
        sender = jira_person(comment.maybe("author" if comment.maybe("author").value else "updateAuthor"))
        if sender.bot and kind != "message.deleted" and not self._keep_bots:
            return Skipped("bot")
        stamp = comment.value.get("updated" if updated else "created")
        time_us = moment_us(body.value.get("timestamp")) or moment_us(stamp) or int(now_s * 1_000_000)
        comment_id = comment.maybe_ident("id") or delivery
        said = ("", "") if kind == "message.deleted" else said_in(comment.value.get("body"))
        # Old servers tell a comment as an update of its issue, and as itself.
        seen = event_id(self.options.name, f"comment:{comment_id}:{kind}:{comment.maybe_text('updated')}")
        return self._event(
            body,
            issue,
            kind,
            thread,
            delivery,
            time_us,
            said=said,
            sender=sender,
            message_id=comment_id,
            # A picture in a comment is a file of its issue.
            attachments=tuple(
                file for file in files_of_issue(issue.maybe("fields")) if file.name and file.name in said[0]
            ),
            also_seen=(seen,) if kind != "message.deleted" else (),
        )

    def _issue(self, body: Walk, what: str, delivery: str, now_s: float) -> Parsed:
        issue = body["issue"]
        # A rule's own JSON may name the key alone.
        thread, fields = issue.maybe_ident("id") or issue.ident("key"), issue.maybe("fields")
        known = moment_us(body.value.get("timestamp")) or moment_us(fields.value.get("updated"))
        time_us = known or int(now_s * 1_000_000)
        sender = jira_person(body.maybe("user"))
        if what == "jira:issue_deleted":
            return self._event(
                body, issue, "message.deleted", thread, delivery, time_us, sender=sender, message_id=thread
            )
        if what == "jira:issue_created":
            reporter = jira_person(fields.maybe("reporter"))
            return self._event(
                body,
                issue,
                "ticket.created",
                thread,
                delivery,
                time_us,
                said=said_in(fields.value.get("description")),
                sender=reporter if reporter.id else sender,
                message_id=f"{thread}-description",
                attachments=files_of_issue(fields),
            )
        if body.maybe("comment").value:
            how = body.maybe_text("issue_event_type_name")
            kind = {
                "issue_comment_edited": "message.updated",
                "issue_comment_deleted": "message.deleted",
            }.get(how, "ticket.commented")
            return self._commented(body, issue, body["comment"], kind, thread, delivery, now_s)
        if was_touched(body, "description"):
            said, reporter = said_in(fields.value.get("description")), jira_person(fields.maybe("reporter"))
            return self._event(
                body,
                issue,
                # Emptied, too: what is taken out never comes back, and a description may.
                "message.updated",
                thread,
                delivery,
                time_us,
                said=said,
                # The opening stays the reporter's, whoever changed it, and keeps its files.
                sender=reporter if reporter.id else sender,
                message_id=f"{thread}-description",
                attachments=files_of_issue(fields),
            )
        added = made_of(body, "Attachment")
        files = tuple(file for file in files_of_issue(fields) if file.name in added) if added else ()
        kind = "ticket.solved" if was_done(body, fields) else "ticket.updated"
        return self._event(
            body,
            issue,
            kind,
            thread,
            delivery,
            time_us,
            sender=sender,
            message_id=delivery,
            attachments=files,
        )

    def _event(
        self,
        body: Walk,
        issue: Walk,
        kind: str,
        thread: str,
        delivery: str,
        time_us: int,
        *,
        said: tuple[str, str] = ("", ""),
        sender: Person,
        message_id: str,
        attachments: tuple[Attachment, ...] = (),
        also_seen: tuple[str, ...] = (),
    ) -> Event:
        fields = issue.maybe("fields")
        key, project = issue.maybe_text("key"), fields.maybe("project")
        assignee = fields.maybe("assignee")
        return Event(
            id=event_id(self.options.name, delivery),
            source=self.options.name,
            adapter=self.name,
            kind=kind,
            time=iso_from_us(time_us),
            version=time_us,
            thread=thread,
            subject=fields.maybe_text("summary"),
            text=said[0],
            html=said[1],
            sender=sender,
            channel=Channel(id=project.maybe_text("key"), name=project.maybe_text("name")),
            ticket=Ticket(
                id=key or thread,
                status=fields.maybe("status").maybe_text("name"),
                priority=fields.maybe("priority").maybe_text("name"),
                assignee=assignee.maybe_text("emailAddress") or assignee.maybe_text("displayName"),
            ),
            label=key,
            message_id=message_id,
            url=url_of_issue(issue, key),
            attachments=attachments,
            tags=tuple(fields.texts("labels")),
            delivery_id=delivery,
            also_seen=also_seen,
            payload=body.value,
        )

    def sample(self, *, serial: int, now_s: float) -> Sample:
        return self.sample_thread(serial=serial, now_s=now_s)[0]

    def sample_thread(self, *, serial: int, now_s: float) -> list[Sample]:
        """Return an issue and a comment on it."""
        person = {
            "accountId": "acc-1",
            "displayName": "Kim Example",
            "active": True,
            "accountType": "customer",
        }
        issue = {
            "id": str(10_000 + serial),
            "self": f"https://acme.atlassian.example/rest/api/2/issue/{10_000 + serial}",
            "key": f"SUP-{serial}",
            "fields": {
                "summary": "Cannot sign in",
                "description": "The sign-in page stays blank.",
                "status": {"name": "Open", "statusCategory": {"key": "new"}},
                "priority": {"name": "Medium"},
                "project": {"id": "1", "key": "SUP", "name": "Support"},
                "labels": [],
                "assignee": None,
                "reporter": person,
            },
        }
        comment = {
            "id": str(20_000 + serial),
            "author": {"accountId": "acc-2", "displayName": "Sam Support", "accountType": "atlassian"},
            "body": "Please try again now.",
            "jsdPublic": True,
            "created": iso_from_us(int(now_s + 60) * 1_000_000),
            "updated": iso_from_us(int(now_s + 60) * 1_000_000),
        }
        created = {
            "timestamp": int(now_s * 1000),
            "webhookEvent": "jira:issue_created",
            "issue_event_type_name": "issue_created",
            "user": person,
            "issue": issue,
        }
        commented = {
            "timestamp": int(now_s * 1000) + 60_000,
            "webhookEvent": "comment_created",
            "comment": comment,
            "issue": issue,
        }
        return [_sample(f"sample-{serial}-{n}", body) for n, body in enumerate((created, commented))]

    def sign(self, sample: Sample, *, now_s: float, url: str) -> Sample:
        headers = {**sample.headers, **login_headers(self.options)}
        secret = next((secret for secret in self.options.secrets() if secret), "")
        if secret:
            headers["x-hub-signature"] = "sha256=" + hmac_bytes(secret, sample.body).hex()
        return Sample(sample.body, headers, sample.method)


def _sample(delivery: str, body: dict[str, Any]) -> Sample:
    headers = {"content-type": "application/json", "x-atlassian-webhook-identifier": delivery}
    return Sample(orjson.dumps(body), headers)


def _is_broken_template(inbound: Inbound) -> bool:
    """Whether an administrator wrote this body: a webhook of Jira's own has an identifier, and is sound JSON."""
    return "x-atlassian-webhook-identifier" not in inbound.headers and b'"issue"' in inbound.body


def _of_automation(body: Walk) -> Walk:
    """What an automation rule sends, as a webhook would: the issue may be the whole body, a comment a mere text.
    Raises PayloadInvalid where there is no issue."""
    value = body.value
    if isinstance(value.get("issue"), str):
        value = {**value, "issue": {"key": value["issue"]}}
    if not isinstance(value.get("issue"), dict) and isinstance(value.get("fields"), dict):
        value = {**value, "issue": {key: inner for key, inner in value.items() if key != "comment"}}
    comment = value.get("comment")
    if isinstance(comment, str):
        comment = {"body": comment} if comment.strip() else None
    if not isinstance(comment, dict) or not comment.get("body"):
        comment = None
    if comment is None or not isinstance(value.get("issue"), dict):
        Walk(value)["issue"]  # says what is missing
    return Walk({**value, "comment": comment})


def _event_of(body: Walk) -> str:
    """Which webhook a rule's request stands for. What the issue was opened with is one entry, however often it comes."""
    if body.value.get("comment"):
        return "comment_created"
    fields = body.maybe("issue").maybe("fields")
    told = said_in(fields.value.get("description"))[0] or fields.items("attachment")
    return "jira:issue_created" if told else "jira:issue_updated"
