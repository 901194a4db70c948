"""What the config file says of a Planhat tenant: `planhat`, `companies` and `people`, and `lanes`, each of which has its own."""

from __future__ import annotations

from typing import Final

from relay.rules.file.shape import Flag, Many, Names, Quantity, SecretText, TableShape, Text, Whole

COMPANY_LOOKUPS: Final = ("enduser_email", "company_domain")
YEARS_S: Final = 10 * 365 * 86400.0

PLANHAT = TableShape(
    {
        "types": Many(Text("a conversation type"), "the custom conversation types that exist in the tenant"),
        "calls_per_minute": Whole(
            "calls to Planhat a minute, shared by every worker and by look-ups; Planhat's soft limit is 200",
            least=1,
            most=10_000,
        ),
        "timeout": Quantity("duration", "one whole call to Planhat", 1, 3600, "1s to 1h"),
        "lease": Quantity(
            "duration",
            "how long a worker owns what it claimed; renewed while a call is under way",
            2,
            3600,
            "2s to 1h",
        ),
        "batch": TableShape(
            {
                "max_items": Whole(
                    "conversations in one call at most; 5,000 is Planhat's cap", least=1, most=5000
                ),
                "max_bytes": Quantity("size", "bytes of one call at most", 1000, 100_000_000, "1KB to 100MB"),
                "linger": Quantity("duration", "how long a batch may wait for more", 0, 60, "0s to 1m"),
            },
            "upper bounds of one call; size and wait tune themselves below them",
        ),
        "retry": TableShape(
            {
                "first": Quantity(
                    "duration", "the first wait after a failure", 0.01, YEARS_S, "10ms or more"
                ),
                "cap": Quantity("duration", "the longest wait", 0.01, YEARS_S, "10ms or more"),
                "rate_limited": Quantity(
                    "duration", "after a 429 that names no time", 0.01, YEARS_S, "10ms or more"
                ),
                "probe": Quantity(
                    "duration", "between tries while blocked (401, total 403)", 0.01, YEARS_S, "10ms or more"
                ),
                "give_up_after": Quantity(
                    "duration",
                    "the age at which a postponed item becomes a dead letter",
                    1,
                    YEARS_S,
                    "1s or more",
                ),
                "max_refusals": Whole(
                    "verdicts of Planhat on one item; 1 buries at the first", least=1, most=100
                ),
            },
            "what happens after a failure",
        ),
        "token_expires": Text(
            "when the token ends, as a date; `relay doctor` warns before it",
            pattern=r"\d{4}-\d{2}-\d{2}(?:T[0-9:.]+Z?)?",
            wanted="a date such as 2027-01-31",
        ),
        "resolve_people": Flag(
            "look up the Planhat ids of users and endusers by email before sending (default true)"
        ),
        "tenant": Text(
            "the tenant's name in the app's addresses, for links to records: https://ws.planhat.com/TENANT/...",
            pattern=r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}",
            wanted="the word after ws.planhat.com/ in the app's address",
        ),
        "thread_date": Text(
            "which message's time the default rules give a conversation (default newest)",
            choices=("newest", "first"),
        ),
        "descriptions": Text(
            "safe (default): in the HTML that Planhat's editor keeps; raw: as the rules make them",
            choices=("safe", "raw"),
        ),
        "undefined_fields": Text(
            "custom fields that the tenant does not have: warn (default), drop: leave them out, refuse: dead letters",
            choices=("warn", "drop", "refuse"),
        ),
        "activity_tags": Text(
            "ids (default): by the tenant's list, others are left out; names: as they are",
            choices=("ids", "names"),
        ),
    },
    "Planhat: what the tenant has, and how fast and how long to try",
    hints={
        "people": "it stands at the top level",
        "create": "did you mean people: {create: true} at the top level?",
    },
)

COMPANY_STEP = TableShape(
    {
        "table": Names(
            Names(
                Text("a companyId: a Planhat id, extid-... or srcid-..."), "what is asked for -> companyId"
            ),
            "tables by the name that a rule's `company:` asks with, such as domain",
        ),
        "planhat": Text("looked up by the workers", choices=COMPANY_LOOKUPS),
        "default": Text("the companyId when nothing else is found"),
    },
    "one way of finding a companyId; the first hit wins",
)

PEOPLE = TableShape(
    {"create": Flag("make endusers in Planhat of people whom it does not know (default false)")},
    "people whom Planhat does not know",
)

#: How rules are made ready is the same for all lanes.
_SHARED_ALONE = ("thread_date", "descriptions")
LANE = TableShape(
    {
        "url": Text(
            "where this tenant's API is, such as https://api-us4.planhat.com; left out: RELAY_PLANHAT_URL",
            pattern=r"\S+",
            wanted="a URL such as https://api-us4.planhat.com",
        ),
        "token": SecretText(
            "this tenant's token, best as ${NAME} or ${file:/path}; left out: RELAY_PLANHAT_TOKEN",
            wanted="a token",
            kind="given",
        ),
        **{key: shape for key, shape in PLANHAT.keys.items() if key not in _SHARED_ALONE},
        "companies": Many(
            COMPANY_STEP, "how a companyId is found in this tenant; left out: the file's companies"
        ),
        "people": PEOPLE,
    },
    "one Planhat tenant: what it says itself goes before what planhat: says",
    hints={
        **dict.fromkeys(_SHARED_ALONE, "it is the same for all lanes: write it under planhat"),
        "planhat": "did you mean url?",
        "sources": "a source names its lane: sources.NAME.lane",
        "rules": "a rule names its lane: lane: NAME in the rule",
    },
)
