"""What a sender proved itself with is not kept: over every adapter and every way of proof, nothing of a secret reaches the
archive, the patch, the dead letter or the spool, and the events are the same as with it."""

from __future__ import annotations

import asyncio
import base64
import time
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote, unquote

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.door.house import House, Source, furnish
from relay.door.intake import Accepted, Intake
from relay.door.spooling import decode, encode
from relay.errors import OutboxUnavailable
from relay.event import Event
from relay.outbox.archive import unpack
from relay.outbox.items import Entry, Recorded
from relay.rules.file.load import load
from relay.sources.base import Credentials, Inbound
from relay.sources.proof.cut import CUT, all_places, strike, without_credentials
from relay.sources.registry import ADAPTERS
from tests.sns_certificate import TOPIC, certificate_file

CANARY = base64.b64encode(b"canary-canary-canary-canary!").decode()
LOGIN = (
    "postmark",
    "cloudmailin",
    "freshdesk",
    "gorgias",
    "servicenow",
    "salesforce",
    "cloudevents",
    "sendgrid",
    "brevo",
    "mailjet",
)

#: (adapter, its options, a way to prove it beside `sign`: query and headers).
WAYS: list[tuple[str, str, str, dict[str, str]]] = [
    *(
        (name, f"secrets: ['{CANARY}']", "", {})
        for name in sorted(ADAPTERS)
        if name not in (*LOGIN, "ses", "postal")
    ),
    ("ses", f"topics: ['{TOPIC}'], certificate_files: ['{certificate_file()}']", "", {}),
    *((name, f"basic_auth: ['hook:{CANARY}']", "", {}) for name in LOGIN),
    ("postal", f"basic_auth: ['hook:{CANARY}']", "", {}),
    *((name, f"bearer: ['{CANARY}']", "", {}) for name in LOGIN),
    *((name, f"api_key: {{header: X-Own-Key, values: ['{CANARY}']}}", "", {}) for name in LOGIN),
    ("freshdesk", f"secrets: ['{CANARY}']", f"?token={quote(CANARY)}", {}),
    ("freshdesk", f"secrets: ['{CANARY}']", f"?a=b&t%6Fken={quote(CANARY)}", {}),
    ("freshdesk", f"secrets: ['{CANARY}']", "", {"x-webhook-token": CANARY}),
    ("gong", f"secrets: ['{CANARY}']", f"?secret={quote(CANARY)}", {}),
    ("jira", f"secrets: ['{CANARY}']", f"?key={quote(CANARY)}", {}),
    ("salesforce", f"secrets: ['{CANARY}']", f"?token={quote(CANARY)}", {}),
    ("cloudevents", f"bearer: ['{CANARY}']", f"?access_token={quote(CANARY)}", {}),
    ("generic", f"secrets: ['{CANARY}'], body_token: auth.shared", "", {}),
    ("crisp", f"secrets: ['{CANARY}']", f"?key={quote(CANARY)}", {}),
]


class Keeper:
    """Takes what is recorded; with `away`, Redis is."""

    def __init__(self, *, away: bool = False) -> None:
        self.entries: list[Entry] = []
        self.rows: list[bytes] = []
        self.away = away

    async def record(self, entries: Sequence[tuple[Entry, float]]) -> list[Recorded]:
        if self.away:
            raise OutboxUnavailable("away")
        self.entries += [entry for entry, _ in entries]
        return [Recorded(entry.event_id) for entry, _ in entries]

    async def spool_request(self, source: str, inbound: Inbound, received_s: float) -> None:
        self.rows.append(encode(source, inbound, received_s))


def house_of(folder: Path, adapter: str, options: str) -> House:
    file = folder / "relay.yaml"
    file.write_text(
        "planhat: {types: [Slack thread]}\ncompanies: [default: extid-acme]\n"
        f"sources: {{own: {{adapter: {adapter}, {options}, public_url: 'https://hooks.example.com/hooks/own', "
        "type: Slack thread}}\n",
        encoding="utf-8",
    )
    return furnish(*load(str(file), {}))


def request_of(source: Source, query: str, headers: dict[str, str]) -> Inbound:
    adapter, now_s = source.adapter, time.time()
    sample = adapter.sample(serial=1, now_s=now_s)
    if not query and not headers:
        sample = adapter.sign(sample, now_s=now_s, url="https://hooks.example.com/hooks/own")
    named = {name.lower(): value for name, value in sample.headers.items()} | headers
    pairs = dict(pair.partition("=")[::2] for pair in query[1:].split("&")) if query else {}
    return Inbound(
        body=sample.body,
        headers=named,
        method=sample.method,
        path_query=f"/hooks/own{query}",
        query={unquote(name): unquote(value) for name, value in pairs.items()},
    )


def holds_canary(value: bytes) -> bool:
    words = (CANARY, quote(CANARY), base64.b64encode(f"hook:{CANARY}".encode()).decode(), CANARY.rstrip("="))
    return any(word.encode() in value for word in words)


@pytest.mark.parametrize(("adapter", "options", "query", "headers"), WAYS)
def test_no_credential_is_kept(
    tmp_path: Path, adapter: str, options: str, query: str, headers: dict[str, str]
) -> None:
    house = house_of(tmp_path, adapter, options)
    source = house.sources["own"]
    inbound = request_of(source, query, headers)
    kept, away = Keeper(), Keeper(away=True)

    outcome = asyncio.run(Intake(house=house, records=kept).receive(source, inbound))
    asyncio.run(Intake(house=house, records=away, spool=away).receive(source, inbound))

    assert isinstance(outcome, Accepted)
    assert kept.entries
    for entry in kept.entries:
        assert not holds_canary(
            b"\n".join([entry.record, entry.patch, entry.dead, entry.external_id.encode()])
        )
    for row in away.rows:
        _, spooled, _ = decode(row)
        assert not holds_canary(
            orjson.dumps([spooled.path_query, dict(spooled.query), dict(spooled.headers)])
        )
        assert not holds_canary(spooled.body)
    # What was kept says the same as what came.
    facts = unpack(kept.entries[0].record)
    again = Inbound(body=facts.body, headers=facts.facts["headers"], path_query=str(facts.facts["target"]))
    now_s = time.time()
    events = [one.id for one in source.adapter.parse(again, now_s=now_s) if isinstance(one, Event)]
    assert events == [entry.event_id for entry in kept.entries]


def test_what_stands_in_a_body_beside_the_proof_is_cut_too(tmp_path: Path) -> None:
    house = house_of(tmp_path, "slack", f"secrets: ['{CANARY}']")
    clean = house.sources["own"].clean
    slack = clean(Inbound(b'{"token" : "old\\"word","event":{"text":"say \\"token\\": \\"x\\""}}', {}))
    assert slack.body == b'{"token" : "[cut]","event":{"text":"say \\"token\\": \\"x\\""}}'
    long = clean(Inbound(b'{"token":"%b","event":{}}' % (rb"\"" * 900 + b"x" * 5000), {}))
    assert long.body == b'{"token":"[cut]","event":{}}'
    places = all_places(Credentials(elements=("SessionId",)))
    xml = without_credentials(
        Inbound(b'<a><n:SessionId x="1">00D!abc</n:SessionId><SessionIds>s</SessionIds></a>', {}), places
    )
    assert xml.body == b'<a><n:SessionId x="1">[cut]</n:SessionId><SessionIds>s</SessionIds></a>'


@pytest.mark.parametrize(
    ("target", "cut"),
    [
        ("/hooks/x", "/hooks/x"),
        ("/hooks/x?a=1&b=%20", "/hooks/x?a=1&b=%20"),
        ("/hooks/x?token=hush&a=1", "/hooks/x?token=[cut]&a=1"),
        ("/hooks/x?TOKEN=hush", "/hooks/x?TOKEN=[cut]"),
        ("/hooks/x?%74oken=hush", "/hooks/x?token=[cut]"),
        ("/hooks/x?access_token=hush&access_token=hush", "/hooks/x?access_token=[cut]&access_token=[cut]"),
        ("/hooks/x?" + "&".join(f"k{n}=hush" for n in range(300)), "/hooks/x"),
    ],
)
def test_a_query_keeps_what_is_no_credential(target: str, cut: str) -> None:
    inbound = Inbound(b"", {}, path_query=target, query={"token": "hush"} if "hush" in target else {})
    cleaned = without_credentials(inbound, all_places(Credentials()))
    assert cleaned.path_query == cut
    assert "hush" not in str(cleaned.query)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from("abc*0"), inner, max_size=4),
    max_leaves=12,
)


@given(JSON, st.lists(st.sampled_from(["a", "b", "c", "*", "0", "9"]), min_size=1, max_size=4))
def test_striking_touches_what_the_path_names_and_nothing_else(value: object, path: list[str]) -> None:
    before = orjson.dumps(value)
    struck = strike(value, path, CUT)
    assert struck == (orjson.dumps(value) != before) or CUT.encode() in before
