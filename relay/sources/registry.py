"""Which adapter, and which look-up, answers to which name: one line each. A module is imported when first asked for."""

from __future__ import annotations

from importlib import import_module

from relay.source_options import SourceOptions
from relay.sources.base import Adapter
from relay.sources.read.look_up import LookUp

#: name in the config -> "module:class". Presets of `generic` share its class, senders that a table describes another; both read `options.adapter`.
ADAPTERS: dict[str, str] = {
    "slack": "relay.sources.providers.slack:Slack",
    "sendgrid": "relay.sources.providers.sendgrid:SendGrid",
    "mailgun": "relay.sources.providers.mailgun:Mailgun",
    "postmark": "relay.sources.providers.postmark:Postmark",
    "ses": "relay.sources.providers.ses:Ses",
    "cloudmailin": "relay.sources.providers.cloudmailin:CloudMailin",
    "resend": "relay.sources.providers.resend:Resend",
    "mailersend": "relay.sources.providers.mailersend:MailerSend",
    "brevo": "relay.sources.providers.brevo:Brevo",
    "sparkpost": "relay.sources.providers.sparkpost:SparkPost",
    "mandrill": "relay.sources.providers.mandrill:Mandrill",
    "mailjet": "relay.sources.providers.mailjet:Mailjet",
    "postal": "relay.sources.providers.postal:Postal",
    "zendesk": "relay.sources.providers.zendesk:Zendesk",
    "intercom": "relay.sources.providers.intercom:Intercom",
    "hubspot": "relay.sources.providers.hubspot:HubSpot",
    "freshdesk": "relay.sources.providers.freshdesk:Freshdesk",
    "front": "relay.sources.providers.front:Front",
    "helpscout": "relay.sources.providers.helpscout:HelpScout",
    "zoom": "relay.sources.providers.zoom:Zoom",
    "gong": "relay.sources.providers.gong:Gong",
    "aircall": "relay.sources.providers.aircall:Aircall",
    "twilio": "relay.sources.providers.twilio:Twilio",
    "jira": "relay.sources.providers.jira:Jira",
    "generic": "relay.sources.providers.generic:Generic",
    "standard_webhooks": "relay.sources.providers.generic:Generic",
    "svix": "relay.sources.providers.generic:Generic",
    "github": "relay.sources.providers.generic:Generic",
    "stripe": "relay.sources.providers.generic:Generic",
    "cloudevents": "relay.sources.providers.cloudevents:CloudEvents",
    "calendly": "relay.sources.providers.calendly:Calendly",
    "teams": "relay.sources.providers.teams:Teams",
    "graph": "relay.sources.providers.graph:Graph",
    "crisp": "relay.sources.providers.crisp:Crisp",
    "gorgias": "relay.sources.providers.generic:Generic",
    "salesforce": "relay.sources.providers.salesforce:Salesforce",
    "servicenow": "relay.sources.providers.generic:Generic",
    "pylon": "relay.sources.described.adapter:Described",
    "plain": "relay.sources.providers.plain:Plain",
    "unthread": "relay.sources.described.adapter:Described",
    "fathom": "relay.sources.providers.fathom:Fathom",
    "fireflies": "relay.sources.described.adapter:Described",
    "linear": "relay.sources.described.adapter:Described",
    "zoho_desk": "relay.sources.described.adapter:Described",
    "dialpad": "relay.sources.providers.dialpad:Dialpad",
    "ringcentral": "relay.sources.providers.ringcentral:RingCentral",
    "whatsapp": "relay.sources.providers.whatsapp:WhatsApp",
    "google_chat": "relay.sources.providers.google_chat:GoogleChat",
    "typeform": "relay.sources.providers.typeform:Typeform",
    "delighted": "relay.sources.providers.delighted:Delighted",
    "missive": "relay.sources.described.adapter:Described",
    "discourse": "relay.sources.described.adapter:Described",
    "kustomer": "relay.sources.described.adapter:Described",
    "groove": "relay.sources.described.adapter:Described",
    "livechat": "relay.sources.providers.livechat:LiveChat",
    "pipedrive": "relay.sources.described.adapter:Described",
    "productboard": "relay.sources.described.adapter:Described",
}

#: name -> "module:constant": what `enrich:` may look up at the provider.
LOOKUPS: dict[str, str] = {
    "hubspot": "relay.sources.providers.hubspot_lookup:HUBSPOT_LOOKUP",
    "resend": "relay.sources.providers.resend_lookup:RESEND_LOOKUP",
    "helpscout": "relay.sources.providers.helpscout_lookup:HELPSCOUT_LOOKUP",
    "slack": "relay.sources.providers.slack_lookup:SLACK_LOOKUP",
    "zendesk": "relay.sources.providers.zendesk_lookup:ZENDESK_LOOKUP",
    "intercom": "relay.sources.providers.intercom_lookup:INTERCOM_LOOKUP",
    "ses": "relay.sources.providers.ses_lookup:SES_LOOKUP",
    "graph": "relay.sources.providers.graph_lookup:GRAPH_LOOKUP",
    "fireflies": "relay.sources.providers.fireflies_lookup:FIREFLIES_LOOKUP",
    "productboard": "relay.sources.providers.productboard_lookup:PRODUCTBOARD_LOOKUP",
}


def build_adapter(options: SourceOptions) -> Adapter:
    """Return the adapter for `options`. Raises ValueError with a sentence for an unknown name or a missing option."""
    place = ADAPTERS.get(options.adapter)
    if place is None:
        raise ValueError(f"unknown adapter {options.adapter!r}; known: {', '.join(sorted(ADAPTERS))}")
    module, _, name = place.partition(":")
    adapter: Adapter = getattr(import_module(module), name)(options)
    return adapter


def look_up_of(adapter: str) -> LookUp | None:
    """Return the look-up at the provider of `adapter`, None where it has none."""
    place = LOOKUPS.get(adapter)
    if place is None:
        return None
    module, _, name = place.partition(":")
    found: LookUp = getattr(import_module(module), name)
    return found
