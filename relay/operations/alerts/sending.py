"""One alert by one channel: Slack's incoming webhook, a mail, or a signed JSON post. Synchronous, with an end in time."""

from __future__ import annotations

import smtplib
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from email.message import EmailMessage
from email.utils import format_datetime
from typing import Any, Final

import httpx
import orjson

from relay.config import AlertChannel, MailServer
from relay.errors import RelayError
from relay.host_names import resolve_host
from relay.outbox.alerts import AlertMessage
from relay.planhat.transport import Deadline, DeadlinePassed, DeadlineTransport, proxy_for
from relay.sources.proof.standard import sign_standard_webhooks
from relay.transit import outgoing_url_problem

#: One try, whatever the far side does. Far less than a message's lease.
SEND_S: Final = 15.0
_HEADS: Final = {"firing": "", "resolved": "Over: ", "test": "Test: "}


class AlertNotSent(RelayError):
    """The channel did not take it; the message says why, and never quotes a URL or a login."""


@dataclass(frozen=True, slots=True)
class AlertSender:
    """Sends with links to `link` ("" for none). `timeout_s` is for one whole try."""

    link: str = ""
    timeout_s: float = SEND_S

    def send(self, channel: AlertChannel, message: AlertMessage, *, now_s: float) -> None:
        """Send one message. Raises AlertNotSent with a sentence. What it returns from was taken by the far side."""
        try:
            self._send(channel, message, now_s=now_s)
        except AlertNotSent:
            raise
        except (RelayError, ValueError, TypeError) as error:
            # One that cannot be written must not hold those behind it for ever.
            raise AlertNotSent(f"it cannot be written: {type(error).__name__}") from error

    def _send(self, channel: AlertChannel, message: AlertMessage, *, now_s: float) -> None:
        if channel.mail is not None:
            self._mail(channel.mail, message)
        elif channel.kind == "slack":
            words = f"*{_slack(self._title(message))}*\n{_slack(message.text)}"
            self._post(channel.url(), orjson.dumps({"text": words + self._footer()}), {})
        else:
            body = orjson.dumps(self._event(message))
            signed = sign_standard_webhooks(
                body, channel.secret(), message_id=message.message_id, now_s=now_s
            )
            self._post(channel.url(), body, signed)

    def _title(self, message: AlertMessage) -> str:
        return f"{_HEADS[message.state]}{message.title}"

    def _footer(self) -> str:
        return f"\n{self.link}/console/" if self.link else ""

    def _event(self, message: AlertMessage) -> dict[str, Any]:
        return {
            "type": f"relay.alert.{message.state}",
            "timestamp": _moment(message).isoformat().replace("+00:00", "Z"),
            "data": {
                "id": message.message_id,
                "kind": message.kind,
                "title": message.title,
                "text": message.text,
                "link": f"{self.link}/console/" if self.link else None,
            },
        }

    # -- HTTP ------------------------------------------------------------------------------------------------

    def _post(self, url: str, body: bytes, headers: dict[str, str]) -> None:
        problem = outgoing_url_problem(url)
        if problem:
            raise AlertNotSent(f"the URL {problem}")
        deadline = Deadline()
        transport = DeadlineTransport(deadline, proxy=proxy_for(url), connections=1)
        # A redirect is not followed: it could lead anywhere.
        with httpx.Client(transport=transport, follow_redirects=False) as client:
            deadline.start(self.timeout_s)
            try:
                answer = client.send(
                    client.build_request(
                        "POST",
                        url,
                        content=body,
                        headers={
                            "Content-Type": "application/json",
                            "User-Agent": "planhat-relay",
                            **headers,
                        },
                        timeout=self.timeout_s,
                    ),
                    stream=True,
                )
                # Whatever it says: the status is the answer.
                answer.close()
            except (DeadlinePassed, httpx.TimeoutException) as error:
                raise AlertNotSent(f"no answer within {self.timeout_s:g} s") from error
            except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
                raise AlertNotSent(f"cannot be reached: {type(error).__name__}") from error
            finally:
                deadline.stop()
        if not answer.is_success:
            raise AlertNotSent(f"answered {answer.status_code}")

    # -- mail ------------------------------------------------------------------------------------------------

    def _mail(self, server: MailServer, message: AlertMessage) -> None:
        mail = EmailMessage()
        mail["From"], mail["To"] = server.sender, ", ".join(server.to)
        # In one line: of every kind of line break a header may hold none, and a cause may quote what somebody wrote.
        mail["Subject"] = " ".join(f"[planhat-relay] {self._title(message)}"[:200].split())
        mail["Date"] = format_datetime(_moment(message))
        # The same at each try: a mailbox shows it once.
        mail["Message-ID"] = f"<{message.message_id}@{server.sender.rpartition('@')[2]}>"
        mail["Auto-Submitted"] = "auto-generated"
        mail.set_content(f"{self._title(message)}\n\n{message.text}\n{self._footer()}")
        try:
            with self._smtp(server) as smtp:
                refused = smtp.send_message(mail, server.sender, list(server.to))
        except smtplib.SMTPResponseException as error:
            raise AlertNotSent(f"the mail server answered {error.smtp_code}") from error
        except smtplib.SMTPRecipientsRefused as error:
            raise AlertNotSent("the mail server refuses every recipient") from error
        except (smtplib.SMTPException, ssl.SSLError, OSError, ValueError) as error:
            raise AlertNotSent(f"the mail server cannot be used: {type(error).__name__}") from error
        if refused:
            # The others have it: a second try would give them a second mail.
            raise AlertPartlySent(f"the mail server refused {len(refused)} of {len(server.to)} recipients")

    @contextmanager
    def _smtp(self, server: MailServer) -> Iterator[smtplib.SMTP]:
        context = ssl.create_default_context()
        smtp = (
            smtplib.SMTP_SSL(timeout=self.timeout_s, context=context)
            if server.security == "tls"
            else smtplib.SMTP(timeout=self.timeout_s)
        )
        # smtplib's time-out is for each read: a server that sends a byte now and then would hold us for ever.
        watchdog = threading.Timer(self.timeout_s, _hang_up, [smtp])
        watchdog.daemon = True
        watchdog.start()
        # What smtplib compares the certificate's name with.
        smtp._host = server.host  # type: ignore[attr-defined]
        try:
            _connect(smtp, server, self.timeout_s)
            if server.security == "starttls":
                smtp.starttls(context=context)
            login = server.login()
            if login:
                user, _, password = login.partition(":")
                smtp.login(user, password)
            yield smtp
            with suppress(smtplib.SMTPException, OSError):
                smtp.quit()
        finally:
            watchdog.cancel()
            smtp.close()


class AlertPartlySent(AlertNotSent):
    """Some have it and some do not: not to be tried again."""


def _connect(smtp: smtplib.SMTP, server: MailServer, timeout_s: float) -> None:
    """Connect to the first of its addresses that takes it. Raises OSError, SMTPException."""
    failed: Exception = OSError("the name has no address")
    # smtplib's time-out does not hold for the name, and the watchdog has nothing to hang up yet.
    for address in resolve_host(server.host, timeout_s):
        try:
            smtp.connect(address, server.port)
        except OSError as error:
            failed = error
        else:
            return
    raise failed


def _hang_up(smtp: smtplib.SMTP) -> None:
    with suppress(OSError, AttributeError):
        assert smtp.sock is not None
        smtp.sock.shutdown(socket.SHUT_RDWR)


def _moment(message: AlertMessage) -> datetime:
    return datetime.fromtimestamp(message.at_ms / 1000, UTC)


def _slack(text: str) -> str:
    """What Slack would read as mark-up. Source: Slack, Formatting text for app surfaces."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
