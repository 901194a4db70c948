"""`alerts:` of the config file: who is told when something is wrong, and of what."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

from relay.config import ALERT_KINDS, AlertChannel, Alerts, MailServer
from relay.rules.file.shape import Many, Quantity, SecretText, TableShape, Text, Whole
from relay.rules.file.yaml_file import YamlSource
from relay.transit import is_loopback, outgoing_url_problem

_ADDRESS: Final = r"[^@\s<>,;]+@[^@\s<>,;]+"
_SECURITY: Final = ("starttls", "tls", "none")
_PORTS: Final = {"starttls": 587, "tls": 465, "none": 25}
_YEAR_S: Final = 366 * 86400

_URL = SecretText("a URL, best as ${NAME} or ${file:/path}", wanted="a URL", kind="url")

ALERTS = TableShape(
    {
        "slack": Many(_URL, "incoming webhooks of Slack, best as ${NAME}: who knows one can post there", True),
        "webhook": Many(
            TableShape(
                {
                    "url": _URL,
                    "secret": SecretText("what the receiver checks it with: whsec_... or any long random text"),
                },
                "a receiver of JSON, signed by Standard Webhooks",
                required=("url", "secret"),
            ),
            "receivers of JSON, signed by Standard Webhooks",
            True,
        ),
        "mail": TableShape(
            {
                "to": Many(Text("an address", pattern=_ADDRESS, wanted="an address"), "who gets the mails", True),
                "from": Text("who the mails are from", pattern=_ADDRESS, wanted="an address"),
                "host": Text("the mail server (SMTP)", pattern=r"[A-Za-z0-9._:-]+", wanted="a host's name"),
                "port": Whole("its port: 587, with security tls 465, with none 25", 1, 65535),
                "security": Text("starttls (default), tls from the first byte, or none", choices=_SECURITY),
                "login": SecretText('"user:password", best as ${NAME}', wanted="a login", kind="anything"),
            },
            "mails by your own server",
            required=("to", "from", "host"),
        ),
        "about": Many(Text("what to be told of", choices=ALERT_KINDS), "what to be told of; left out: all", True),
        "blocked_for": Quantity("duration", "delivery is blocked for so long (default 1m)", 0, _YEAR_S, "0s or more"),
        "waiting_over": Quantity(
            "duration", "the oldest event waits for longer (default 15m)", 1, _YEAR_S, "1s or more"
        ),
        "token_within": Quantity(
            "duration", "Planhat's token ends so soon (default 14d), see planhat.token_expires", 3600, _YEAR_S, "1h to 1y"
        ),
        "link": Text(
            "where the relay's console can be reached, such as https://relay.example.com, for links in alerts",
            check=lambda url: outgoing_url_problem(url) or None,
        ),
    },
    "who is told when something is wrong, by the relay itself",
    hints={
        "email": "did you mean 'mail'?",
        "smtp": "did you mean 'mail'?",
        "webhooks": "did you mean 'webhook'?",
        "on": "did you mean 'about'?",
        "url": "it belongs under 'webhook'",
    },
)  # fmt: skip


def read_alerts(values: Mapping[str, Any] | None, source: YamlSource) -> Alerts | None:
    """Return the block as values, None where there is none. Says where it tells nobody."""
    if values is None:
        return None
    written = source.value.get("alerts")
    if isinstance(written, dict) and not {"slack", "webhook", "mail"} & set(written):
        source.add(("alerts",), "tells nobody: name at least one of slack, mail, webhook")
    alerts = Alerts(channels=tuple(_channels(values, source)), link=values.get("link", "").rstrip("/"))
    given: dict[str, Any] = {
        f"{key}_s": values[key] for key in ("blocked_for", "waiting_over", "token_within") if key in values
    }
    if values.get("about"):
        given["about"] = tuple(dict.fromkeys(values["about"]))
    return replace(alerts, **given)


def _channels(values: Mapping[str, Any], source: YamlSource) -> Iterator[AlertChannel]:
    for n, url in enumerate(values.get("slack", ()), 1):
        yield AlertChannel(_numbered("slack", n), "slack", url=url)
    for n, given in enumerate(values.get("webhook", ()), 1):
        if {"url", "secret"} <= set(given):
            yield AlertChannel(_numbered("webhook", n), "webhook", url=given["url"], secret=given["secret"])
    mail = values.get("mail", {})
    if {"to", "from", "host"} <= set(mail):
        security = mail.get("security", "starttls")
        if security == "none" and "login" in mail and not is_loopback(mail["host"]):
            source.add(
                ("alerts", "mail", "security"), "none would send the login in clear; use starttls or tls"
            )
        if "login" in mail and ":" not in mail["login"]():
            source.add(("alerts", "mail", "login"), 'should be a login such as "user:password"')
        yield AlertChannel(
            "mail",
            "mail",
            mail=MailServer(
                host=mail["host"],
                port=mail.get("port", _PORTS[security]),
                sender=mail["from"],
                to=mail["to"],
                security=security,
                login=mail.get("login", str),
            ),
        )


def _numbered(kind: str, n: int) -> str:
    return kind if n == 1 else f"{kind}-{n}"
