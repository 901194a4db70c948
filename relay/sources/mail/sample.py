"""Two mails that `relay send` can post in any provider's shape: a question and the answer to it."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import formatdate
from html import escape


@dataclass(frozen=True, slots=True)
class MailSample:
    """`thread_headers` are Message-ID and, for an answer, In-Reply-To and References."""

    sender: tuple[str, str]
    recipient: str
    subject: str
    reply: str
    quotes: bool
    text: str
    html: str
    date: str
    message_id: str
    thread_headers: tuple[tuple[str, str], ...]
    provider_id: str

    @property
    def from_line(self) -> str:
        return f"{self.sender[0]} <{self.sender[1]}>"

    @property
    def headers(self) -> tuple[tuple[str, str], ...]:
        return (
            ("MIME-Version", "1.0"),
            ("From", self.from_line),
            ("To", self.recipient),
            ("Subject", self.subject),
            ("Date", self.date),
            *self.thread_headers,
        )

    def mime(self) -> bytes:
        """Return the mail itself, as SMTP carried it."""
        message = EmailMessage(policy=SMTP)
        for name, value in self.headers[1:]:
            message[name] = value
        message.set_content(self.text)
        message.add_alternative(self.html, subtype="html")
        message.set_boundary(f"=_{self.provider_id}")
        return message.as_bytes()


def sample_mails(*, serial: int, now_s: float) -> list[MailSample]:
    recipient = "support@inbound.example.com"
    root_id = f"<sample-{int(now_s)}-{serial}@mail.example.com>"
    root = _mail(
        ("Ada Example", "ada@example.com"),
        recipient,
        f"Export fails (sample {serial})",
        "Hello,\n\nsince this morning's update our export stops half way.\n\nAda",
        "",
        now_s,
        root_id,
        (("Message-ID", root_id),),
    )
    answer_id = f"<sample-{int(now_s)}-{serial}-answer@mail.example.com>"
    answer = _mail(
        ("Ben Example", "ben@example.com"),
        recipient,
        f"Re: Export fails (sample {serial})",
        "It works again, thank you!\n\nBen",
        f"\n\nOn {root.date}, Ada Example <ada@example.com> wrote:\n\n> since this morning's update our export stops half way.",
        now_s + 60,
        answer_id,
        (("Message-ID", answer_id), ("In-Reply-To", root_id), ("References", root_id)),
    )
    return [root, answer]


def _mail(
    sender: tuple[str, str],
    recipient: str,
    subject: str,
    reply: str,
    quoted: str,
    at_s: float,
    message_id: str,
    thread_headers: tuple[tuple[str, str], ...],
) -> MailSample:
    html = "".join(f"<p>{escape(part)}</p>" for part in reply.split("\n\n"))
    if quoted:
        html += f'<div class="gmail_quote"><blockquote>{escape(quoted.strip())}</blockquote></div>'
    return MailSample(
        sender=sender,
        recipient=recipient,
        subject=subject,
        reply=reply,
        quotes=bool(quoted),
        text=reply + quoted,
        html=html,
        date=formatdate(int(at_s), localtime=False),
        message_id=message_id,
        thread_headers=thread_headers,
        provider_id=str(uuid.uuid5(uuid.NAMESPACE_URL, message_id)),
    )
