"""The config file, key by key: the tables that `load.py` reads by and that the JSON Schema is made of.

Source of the keys: the contract, section 3. Defaults stand in `relay/config.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from relay.event import KINDS
from relay.lane_name import NAME_PATTERN
from relay.patch import WAYS
from relay.planhat.fields import schema_of
from relay.rules.defaults import ADAPTERS_WITH_RULES
from relay.rules.file.alerts import ALERTS
from relay.rules.file.shape import (
    Anything,
    Flag,
    Many,
    Names,
    Quantity,
    SecretFileName,
    SecretText,
    TableShape,
    Text,
    Whole,
)
from relay.rules.file.tenant_schema import COMPANY_STEP, LANE, PEOPLE, PLANHAT, YEARS_S
from relay.secret import jwk_set
from relay.source_options import JWT_PAIRED, JWT_SHARED

ACTIONS = ("upsert", "retract", "archive", "drop")
PRIVACY = ("strict", "as_told")
KEEPABLE = ("bots", "private", "drafts", "auto_replies", "apps")
SKIPPABLE = ("lists", "bulk", "auto_generated")
SOURCE_NAME = r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}"

_SECRETS = Many(
    SecretText("a secret, best as ${NAME} or ${file:/path}"),
    "signing secrets, client secrets or tokens; any may match",
    True,
)

_JWT = TableShape(
    {
        "header": Text("the header that carries the token; left out: the body is the token"),
        "algorithms": Many(
            Text("an algorithm", choices=(*JWT_PAIRED, *JWT_SHARED)), "what the sender signs with", True
        ),
        "keys": Many(SecretText("a public key", kind="public_key"), "public keys for RS256 and ES256", True),
        "jwks_file": SecretFileName("a file with the sender's JWK set, read again when it changes", jwk_set),
        "secrets": Many(
            SecretText("a secret, best as ${NAME} or ${file:/path}"),
            "for HS256; left out: the source's own",
            True,
        ),
        "issuer": Many(Text("an issuer"), "what iss must be", True),
        "audience": Many(Text("an audience"), "what aud must hold", True),
        "claims": Names(Text("a value"), "claims that must have these values"),
        "body_claim": Text("the claim that holds the body's SHA-256"),
        "tolerance": Quantity("duration", "how old a token without exp may be", 1, 259_200, "1s to 3d"),
    },
    "senders that sign with a JSON Web Token",
)

SOURCE = TableShape(
    {
        "adapter": Text("which provider this is", choices=ADAPTERS_WITH_RULES),
        "secrets": _SECRETS,
        "basic_auth": Many(
            SecretText('"user:password"', wanted='a login such as "user:password"', kind="login"),
            "logins for unsigned senders",
            True,
        ),
        "bearer": Many(SecretText("a token"), "bearer tokens for unsigned senders", True),
        "api_key": TableShape(
            {
                "header": Text(
                    "the header that carries the key", pattern=r"[A-Za-z0-9-]+", wanted="a header's name"
                ),
                "values": _SECRETS,
            },
            "a key in a header, for unsigned senders",
            required=("header", "values"),
        ),
        "public_keys": Many(
            SecretText("a public key", kind="public_key"),
            "public keys: SendGrid (ECDSA), Gong (JWT), whpk_",
            True,
        ),
        "public_url": Text(
            "the URL as the sender knows it, for schemes that sign it",
            pattern=r"https?://[^\s]+",
            wanted="a URL such as https://relay.example.com/hooks/twilio",
        ),
        "signature": TableShape(
            {
                "header": Text("the header that carries the signature"),
                "hash": Text("the hash of the HMAC", choices=("sha1", "sha256", "sha384", "sha512")),
                "encoding": Text("how the signature is written", choices=("hex", "base64", "base64url")),
                "prefix": Text("what stands before the signature, such as sha256="),
                "signed": Text('what is signed, such as "{timestamp}.{body}"'),
                "timestamp_header": Text("the header that carries the time"),
                "timestamp_field": Text("where the signed body says when it was sent"),
                "id_header": Text("the header that carries the delivery's id"),
                "tolerance": Quantity("duration", "how old a request may be", 0, 86400, "0s to 1d"),
                "unit": Text("the unit of the time", choices=("s", "ms")),
                "key": Text("how the secret is written", choices=("text", "base64", "hex")),
                "body_token": Text("the place in the body where a shared token stands"),
                "style": Text("a signature of several parts", choices=("stripe",)),
            },
            "how `generic` checks a signature",
        ),
        "jwt": _JWT,
        "handshake": TableShape(
            {
                "echo": Text(
                    "what the sender asks with: header NAME, query NAME, or field PATH of a JSON body",
                    pattern=r"(?:header|query|field) \S{1,200}",
                    wanted="header NAME, query NAME or field PATH",
                ),
                "as": Text(
                    "how it is given back: text (default), json, or header NAME",
                    pattern=r"text|json|header [A-Za-z0-9-]{1,100}",
                    wanted="text, json or header NAME",
                ),
            },
            "senders that ask before they send",
            required=("echo",),
        ),
        "private_keys": Many(
            SecretText("a private key in PEM, best as ${file:/path}", kind="private_key"),
            "what Microsoft Graph's resource data is decrypted with; any may fit",
            True,
        ),
        "topics": Many(Text("a topic's ARN"), "SNS topics that are accepted", True),
        "certificate_files": Many(
            Text("a file"), "certificates trusted beside those fetched from Amazon", True
        ),
        "scheme": Text("which of a provider's signature schemes"),
        "versions": Many(Text("a version"), "which of a provider's versions are accepted", True),
        "type": Text("the conversation type that the default rules use"),
        "lane": Text("a name under lanes: the Planhat its events go to; left out: the first lane"),
        "keep": Many(Text("what to keep", choices=KEEPABLE), "what is otherwise skipped", True),
        "privacy": Text(
            "what of a comment that its sender's JSON calls neither public nor private: strict skips it, as_told relays it",
            choices=PRIVACY,
        ),
        "skip": Many(
            Text("what to skip", choices=SKIPPABLE),
            "mails that are otherwise relayed with a tag: those of lists, in bulk, of machines",
            True,
        ),
        "thread_subject": Text(
            r"a regular expression (RE2) that finds a ticket's number in a mail's subject, such as \[#(\d+)\]; "
            "mails of the same number are one conversation",
        ),
        "max_body_bytes": Quantity(
            "size", "larger requests are refused (413)", 1, 100 * 1024**2, "1 byte to 100MiB"
        ),
        "rate_limit": Quantity("rate", "more than this is refused (429)", 0.0001, 1e9, "more than 0"),
        "enrich": TableShape(
            {
                "token": SecretText("the provider's API token, best as ${NAME}", kind="given"),
                "login": SecretText(
                    "user:password, or id:secret of an access key (ses), where the provider's API wants that",
                    kind="anything",
                ),
                "token_url": Text(
                    "where the provider gives tokens for the app whose id:secret `login` is (OAuth client credentials)",
                    pattern=r"https?://\S+",
                    wanted="a URL",
                ),
                "scope": Text("what such a token is asked for, where not the provider's usual scope"),
                "url": Text(
                    "the API's address where it is the tenant's own", pattern=r"https?://\S+", wanted="a URL"
                ),
                "timeout": Quantity("duration", "one look-up", 0.1, 60, "100ms to 1m"),
                "cache": Quantity("duration", "how long an answer is remembered", 0, YEARS_S, "0s or more"),
            },
            "look-ups at the provider by the workers",
        ),
        "unauthenticated": Flag("accept this sender without any secret: anybody who knows the URL can write"),
        "fields": Names(Text("a path in the payload, such as data.ticket.id"), "where `generic` finds what"),
        "body_token": Text("the place in the body where a shared token stands"),
    },
    "one sender of webhooks",
    required=("adapter",),
    hints={
        "secret": "did you mean 'secrets', a list?",
        "signing_secret": "did you mean 'secrets', a list?",
        "token": "did you mean 'secrets' or 'bearer'?",
        "url": "did you mean 'public_url'?",
    },
)

_SLOT: dict[str, Any] = {"type": ["string", "number", "boolean"]}
EVENT_KEYS = (
    *("id", "source", "adapter", "kind", "time", "version", "thread", "subject", "text", "html", "quoted"),
    *(
        "sender",
        "recipients",
        "channel",
        "ticket",
        "message_id",
        "url",
        "attachments",
        "tags",
        "label",
        "empty",
    ),
)

EXAMPLE = TableShape(
    {
        "event": Anything(
            "what of the event matters; the rest is filled in",
            {
                "type": "object",
                "properties": {key: {} for key in EVENT_KEYS} | {"kind": {"enum": sorted(KINDS)}},
                "additionalProperties": False,
            },
        ),
        "payload": Anything("the provider's own JSON, beside or instead of `event`", {}),
        "payload_file": Text("a file with the provider's request body, relative to this file"),
        "headers_file": Text("a file with the request's headers, one `Name: value` a line"),
        "expect": Anything(
            'what of the conversation must come out, or "no match"',
            {"anyOf": [{"type": "object"}, {"enum": ["no match", "dropped"]}]},
        ),
    },
    "an event and what is expected of it; checked by `relay check`",
)

RULE = TableShape(
    {
        "name": Text("the rule's name, as it stands on events, dead letters and in messages"),
        "source": Many(
            Text("a name under sources, or * for all"), "which source's events; left out: all", True
        ),
        "when": Anything(
            "a condition (a Jinja2 expression) over `event` and `payload`; left out: always",
            {"type": ["string", "boolean"]},
        ),
        "action": Text("what is done", choices=ACTIONS),
        "conversation": Anything(
            "the conversation's fields: values or Jinja2 templates over `event` and `payload`"
        ),
        "merge": Anything(
            "how a field merges with what was there: replace (default), first, union (by id), append (by message)",
            {
                "type": "object",
                "additionalProperties": {
                    "anyOf": [
                        {"enum": list(WAYS)},
                        {"type": "object", "additionalProperties": {"enum": list(WAYS)}},
                    ]
                },
            },
        ),
        "fallback": Anything(
            "what a field holds until an event gives it a value; never wins over one, however early it came",
            {"type": "object"},
        ),
        "company": Names(
            Anything("a template", _SLOT), "what the companies' tables and look-ups are asked with"
        ),
        "companyId": Text("the company itself: a Planhat id, extid-... or srcid-..., or a template of one"),
        "lane": Text("a name under lanes: the Planhat its events go to; left out: the source's"),
        "examples": Many(EXAMPLE, "events and what is expected of them; checked by `relay check`"),
        "description": Text("a note for people"),
    },
    "which events become which conversation",
    hints={
        "if": "did you mean 'when'?",
        "type": "it belongs under 'conversation'",
        "externalId": "it belongs under 'conversation'",
        "subject": "it belongs under 'conversation'",
        "company_id": "did you mean 'companyId'?",
        "example": "did you mean 'examples', a list?",
    },
)

KEEP = TableShape(
    {
        "events": Quantity(
            "duration",
            "raw requests, from when they are settled: what trace, replay and backtest read",
            60,
            YEARS_S,
            "1m or more",
        ),
        "documents": Quantity(
            "duration", "a conversation's memory after its last event", 60, YEARS_S, "1m or more"
        ),
        "delivered": Quantity(
            "duration",
            "that a conversation was delivered, when its memory is gone: what Planhat has of it is then read before anything is sent",
            86_400,
            YEARS_S,
            "1d or more",
        ),
        "dedupe": Quantity(
            "duration",
            "how long a delivery is known again, or for as long as its raw event is kept",
            60,
            YEARS_S,
            "1m or more",
        ),
        "dead": Quantity("duration", "dead letters", 60, YEARS_S, "1m or more"),
    },
    "how long what is kept",
)

SPOOL = TableShape(
    {
        "dir": Text("a folder on a disk that survives the process"),
        "max_bytes": Quantity("size", "no more than this is kept there", 1_000_000, 10**13, "1MB or more"),
    },
    "where accepted requests wait while Redis is away",
    required=("dir",),
)

REDIS = TableShape(
    {
        "replicas": Whole(
            "so many replicas have an event before it is acknowledged; 0: what its master has not sent yet is lost with it",
            least=0,
            most=10,
        ),
    },
    "what is asked of Redis beside its address",
)

_SEED_ROW = Anything("a name, or an object", {"type": ["string", "object"]})
SANDBOX = TableShape(
    {
        "types": Many(Text("a conversation type"), "conversation types; left out: planhat.types"),
        "companies": Many(_SEED_ROW, "companies beside those of the tables, as extid-..., or objects"),
        "people": Many(_SEED_ROW, "endusers and users, by address"),
        "custom_fields": Many(
            _SEED_ROW, "custom fields of conversations; left out: those of the default rules"
        ),
    },
    "what `relay up` gives its sandbox of Planhat",
)

REDACTION = TableShape(
    {
        "field": Text("a dotted path of the payload; * stands for any key"),
        "pattern": Text(
            "a regular expression (RE2) over all texts; \\b, \\w, \\d and \\s know ASCII alone: "
            "write a name that begins or ends with another letter without \\b"
        ),
        "how": Text("what becomes of it", choices=("drop", "hash")),
    },
    "what is taken out of a request before anything of it is stored",
)

CONFIG = TableShape(
    {
        "planhat": PLANHAT,
        "lanes": Names(
            LANE,
            "several Planhat tenants, by name; planhat: is what they share, and without this the one there is",
            key_pattern=NAME_PATTERN,
            key_wanted="letters, digits, dashes and underscores, at most 40",
        ),
        "sources": Names(
            SOURCE,
            "who sends, by the name in /hooks/NAME",
            key_pattern=SOURCE_NAME,
            key_wanted="letters, digits, dots, dashes and underscores, at most 64",
        ),
        "companies": Many(COMPANY_STEP, "how a companyId is found; the first hit wins"),
        "keep": KEEP,
        "rules": Many(RULE, "which events become which conversations; the first match wins"),
        "redis": REDIS,
        "spool": SPOOL,
        "redact": Many(REDACTION, "what is taken out of requests at the door"),
        "people": PEOPLE,
        "alerts": ALERTS,
        "sandbox": SANDBOX,
    },
    "What to relay to Planhat, and how",
)


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of a config file, for completion in an editor."""
    schema = CONFIG.schema()
    conversation = {"description": RULE.keys["conversation"].description, **schema_of(templates=True)}
    for elsewhere in ("companyId", "companyExternalId"):
        conversation["properties"].pop(elsewhere, None)
    rule = schema["properties"]["rules"]["items"]
    rule["properties"]["conversation"] = conversation
    step = schema["properties"]["companies"]["items"]
    step.update({"minProperties": 1, "maxProperties": 1})
    nullable: Mapping[str, Any] = schema["properties"]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "planhat-relay config",
        "description": CONFIG.description,
        "type": "object",
        "properties": dict(nullable),
        "additionalProperties": False,
    }
