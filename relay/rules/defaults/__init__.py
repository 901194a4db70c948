"""Which default rules an adapter has: a family of adapters shares one YAML file in this folder, and its type is the
family's customary one where the tenant has it.

In these files `SOURCE` stands for the source's name, `TYPE` for its conversation type, and `THREAD_DATE` for the way in
which `planhat.thread_date` merges dates.
"""

from __future__ import annotations

from importlib.resources import files
from typing import NamedTuple


class Family(NamedTuple):
    """`file` without its ending; `types` are looked for among `planhat.types`, in this order."""

    file: str
    types: tuple[str, ...]


_MAIL = Family("mail", ("Support email", "Email thread"))
_DESK = Family("help_desk", ("Help-desk ticket", "Support ticket"))
_CHAT = Family("chat", ("Slack thread", "Chat thread"))
_CALL = Family("call", ("Call recording", "Phone call", "Meeting"))
_LIVE = Family("chat", ("Chat thread",))
_SURVEY = Family("chat", ("Survey response",))
_OTHER = Family("generic", ())

FAMILIES: dict[str, Family] = {
    "slack": Family("slack", ("Slack thread",)),
    "sendgrid": _MAIL,
    "mailgun": _MAIL,
    "postmark": _MAIL,
    "ses": _MAIL,
    "cloudmailin": _MAIL,
    "resend": _MAIL,
    "mailersend": _MAIL,
    "brevo": _MAIL,
    "sparkpost": _MAIL,
    "mandrill": _MAIL,
    "mailjet": _MAIL,
    "postal": _MAIL,
    "zendesk": _DESK,
    "intercom": _DESK,
    "hubspot": _DESK,
    "freshdesk": _DESK,
    "front": _DESK,
    "helpscout": _DESK,
    "zoom": _CALL,
    "gong": _CALL,
    "aircall": _CALL,
    "twilio": Family("chat", ("Text message", "SMS thread")),
    "jira": _DESK,
    "generic": _OTHER,
    "standard_webhooks": _OTHER,
    "svix": _OTHER,
    "github": _OTHER,
    "stripe": _OTHER,
    "cloudevents": _OTHER,
    "calendly": Family("generic", ("Meeting",)),
    "teams": Family("chat", ("Teams thread",)),
    "graph": Family("chat", ("Teams thread",)),
    "crisp": Family("chat", ("Chat thread",)),
    "gorgias": _DESK,
    "salesforce": _DESK,
    "servicenow": _DESK,
    "pylon": _DESK,
    "plain": _DESK,
    "unthread": _DESK,
    "fathom": _CALL,
    "fireflies": _CALL,
    "linear": _DESK,
    "zoho_desk": _DESK,
    "dialpad": _CALL,
    "ringcentral": Family("chat", ("Text message", "SMS thread")),
    "whatsapp": Family("chat", ("WhatsApp thread", "Text message", "Chat thread")),
    "google_chat": Family("chat", ("Google Chat thread", "Chat thread")),
    "typeform": _SURVEY,
    "delighted": _SURVEY,
    "missive": _DESK,
    "discourse": Family("chat", ("Community topic", "Chat thread")),
    "kustomer": _DESK,
    "groove": _DESK,
    "livechat": _LIVE,
    "pipedrive": Family("help_desk", ("Deal note", "Note thread")),
    "productboard": Family("help_desk", ("Product feedback",)),
}
ADAPTERS_WITH_RULES = tuple(FAMILIES)
MAIL_ADAPTERS = tuple(adapter for adapter, family in FAMILIES.items() if family is _MAIL)


def read_defaults(adapter: str) -> str:
    """Return the YAML of the adapter's default rules, as it stands in the package. Raises KeyError."""
    place = files("relay.rules") / "defaults" / f"{FAMILIES[adapter].file}.yaml"
    return place.read_text(encoding="utf-8")
