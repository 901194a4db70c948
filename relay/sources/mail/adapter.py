"""What the adapters of inbound mail share: their size limit, and that a genuine mail is never refused."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from relay.errors import PayloadInvalid
from relay.source_options import SourceOptions
from relay.sources.base import Answers, BaseAdapter, Inbound, Parked, Parsed, Sample, Skipped, content_key
from relay.sources.foreign_json import Walk
from relay.sources.mail.event import Mail, mail_event
from relay.sources.mail.mime import MimeMail

#: Attachments come inside the body of most providers.
MAX_MAIL_BYTES = 25 * 1024 * 1024


class MailAdapter(BaseAdapter):
    """What the inbound-mail adapters share: their size limit, and that a genuine mail is never refused."""

    max_body_bytes: ClassVar[int] = MAX_MAIL_BYTES
    #: Looking for quotes takes up to a microsecond a byte.
    inline_bytes: ClassVar[int] = 32 * 1024
    #: `malformed` is hardly ever used: what is genuine but unreadable is parked.
    answers: Answers = Answers()

    def __init__(self, options: SourceOptions) -> None:
        super().__init__(options)
        self._keep_auto = "auto_replies" in options.keep

    def parse(self, inbound: Inbound, *, now_s: float) -> list[Parsed]:
        try:
            return self.parse_mails(inbound, now_s=now_s)
        except PayloadInvalid as error:
            # A 4xx would make the provider drop the mail, or bounce it to the customer.
            return [Parked(f"mail not readable: {error}", content_key(inbound.body))]

    def parse_mails(self, inbound: Inbound, *, now_s: float) -> list[Parsed]:
        """Return the mails of this request, one with most providers. Raises PayloadInvalid for what cannot be read."""
        return [self.parse_mail(inbound, now_s=now_s)]

    def parse_mail(self, inbound: Inbound, *, now_s: float) -> Parsed:
        """Return the mail of this request. Raises PayloadInvalid for what cannot be read as one."""
        raise NotImplementedError

    def parse_each(
        self, inbound: Inbound, items: Sequence[Any], read: Callable[[Walk], Mail | Skipped], *, now_s: float
    ) -> list[Parsed]:
        """Parse several mails of one request: one that cannot be read is parked, and the others go on."""
        found: list[Parsed] = []
        for number, item in enumerate(items):
            try:
                mail = read(Walk(item if isinstance(item, dict) else {}))
                found.append(mail if isinstance(mail, Skipped) else self.event(mail, now_s=now_s))
            except PayloadInvalid as error:
                key = content_key(inbound.body, str(number))
                found.append(Parked(f"mail {number + 1} not readable: {error}", key))
        return found

    def sample(self, *, serial: int, now_s: float) -> Sample:
        return self.sample_thread(serial=serial, now_s=now_s)[0]

    def sample_thread(self, *, serial: int, now_s: float) -> list[Sample]:
        """Return a mail and the answer to it."""
        raise NotImplementedError

    def event(self, mail: Mail, *, now_s: float) -> Parsed:
        return mail_event(mail, self.options, self.name, now_s=now_s, keep_auto=self._keep_auto)


def mail_of(mime: MimeMail, **known: Any) -> Mail:
    """Return the mail that came as it was sent, with what its provider says beside it."""
    return Mail(
        headers=mime.headers,
        text=mime.text,
        html=mime.html,
        flowed=mime.flowed,
        attachments=mime.attachments,
        **known,
    )


def mail_view(mime: MimeMail) -> dict[str, Any]:
    """Return what templates see of such a mail in the place of its bytes."""
    return {"text": mime.text, "html": mime.html, "headers": mime.headers.pairs()}
