"""Which adapter answers to which name: one line each. A module is imported when a source first asks for it."""

from __future__ import annotations

from importlib import import_module

from relay.source_options import SourceOptions
from relay.sources.base import Adapter

#: name in the config -> "module:class". Presets of `generic` share its class and read `options.adapter`.
ADAPTERS: dict[str, str] = {
    "slack": "relay.sources.slack:Slack",
    "sendgrid": "relay.sources.sendgrid:SendGrid",
    "mailgun": "relay.sources.mailgun:Mailgun",
    "postmark": "relay.sources.postmark:Postmark",
    "ses": "relay.sources.ses:Ses",
    "cloudmailin": "relay.sources.cloudmailin:CloudMailin",
    "resend": "relay.sources.resend:Resend",
    "zendesk": "relay.sources.zendesk:Zendesk",
    "intercom": "relay.sources.intercom:Intercom",
    "hubspot": "relay.sources.hubspot:HubSpot",
    "freshdesk": "relay.sources.freshdesk:Freshdesk",
    "front": "relay.sources.front:Front",
    "helpscout": "relay.sources.helpscout:HelpScout",
    "zoom": "relay.sources.zoom:Zoom",
    "gong": "relay.sources.gong:Gong",
    "aircall": "relay.sources.aircall:Aircall",
    "twilio": "relay.sources.twilio:Twilio",
    "jira": "relay.sources.jira:Jira",
    "generic": "relay.sources.generic:Generic",
    "standard_webhooks": "relay.sources.generic:Generic",
    "svix": "relay.sources.generic:Generic",
    "github": "relay.sources.generic:Generic",
    "stripe": "relay.sources.generic:Generic",
    "cloudevents": "relay.sources.cloudevents:CloudEvents",
    "calendly": "relay.sources.calendly:Calendly",
    "teams": "relay.sources.teams:Teams",
    "graph": "relay.sources.graph:Graph",
    "crisp": "relay.sources.crisp:Crisp",
    "gorgias": "relay.sources.generic:Generic",
    "salesforce": "relay.sources.salesforce:Salesforce",
    "servicenow": "relay.sources.generic:Generic",
}


def build_adapter(options: SourceOptions) -> Adapter:
    """The adapter for `options`. Raises ValueError with a sentence for an unknown name or a missing option."""
    place = ADAPTERS.get(options.adapter)
    if place is None:
        raise ValueError(f"unknown adapter {options.adapter!r}; known: {', '.join(sorted(ADAPTERS))}")
    module, _, name = place.partition(":")
    adapter: Adapter = getattr(import_module(module), name)(options)
    return adapter
