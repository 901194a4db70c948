"""What every source must hold, whichever it is: run over each name of the registry with its own sample.

A new adapter needs a line in `LOGIN` or `SPECIAL` only where a shared secret is not its proof.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from functools import cache
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from relay.errors import NotAuthentic, PayloadInvalid, VerificationUnavailable
from relay.event import KINDS, Event
from relay.source_options import SourceOptions
from relay.sources.base import Adapter, Inbound, Parked, Parsed, Reply, Sample, Skipped
from relay.sources.providers.ses import Ses
from relay.sources.registry import ADAPTERS, build_adapter
from tests.places import PAYLOADS
from tests.sns_certificate import TOPIC, certificate_file

NOW_S = 1_790_000_000.25
PUBLIC_URL = "https://hooks.example.com"

#: Sign nothing: basic auth is their proof.
LOGIN = frozenset(
    {
        *("postmark", "cloudmailin", "brevo", "mailjet", "postal", "ses"),
        *("freshdesk", "gorgias", "servicenow", "salesforce", "cloudevents"),
    }
)
#: Their proof does not cover the body (Gong: a secret in the URL; its JWT has tests of its own).
BODY_UNSIGNED = LOGIN | {
    *("mailgun", "aircall", "graph", "gong", "google_chat", "zoho_desk", "groove", "livechat", "pipedrive"),
    *("productboard", "ringcentral", "sparkpost"),
}
#: A request signed a day ago must be refused.
STAMPED = frozenset(
    {
        *("slack", "standard_webhooks", "svix", "resend", "stripe", "calendly", "crisp"),
        *("zoom", "hubspot", "front", "pylon", "fathom"),
    }
)
#: One message a thread: a call that was analysed has no replies.
SINGLE_HAPPENINGS = frozenset(
    {"gong", "fathom", "fireflies", "dialpad", "typeform", "delighted", "productboard"}
)
#: Options beside the secrets.
SPECIAL: dict[str, dict[str, Any]] = {
    "ses": {"topics": (TOPIC,), "certificate_files": (certificate_file(),)},
}

#: How secrets look: base64 of 32 bytes is good for the senders that decode theirs too.
SECRETS = (
    "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=",
    "ZmVkY2JhOTg3NjU0MzIxMGZlZGNiYTk4NzY1NDMyMTA=",
    "YWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWE=",
)

#: What is otherwise skipped is read as well.
KEEP_ALL = frozenset({"bots", "private", "drafts", "auto_replies"})

ALLOWED = (NotAuthentic, PayloadInvalid, VerificationUnavailable)

ODD_VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1, 2**63 - 1, -(2**63), 1e308, -1e308, 1e-300, 1.5, 10**18),
    *("", " ", "x", "0", "-1", "NaN", "\x00", "é☃😀", "x" * 3000, "9" * 400, "2026-13-45T99:99:99Z"),
    *("1e999", "<x@", "@", "a@b@c", "https://[", "//", "%%%", "=?utf-8?b?!!!?=", "{", "9999999999999.999999"),
    *([], {}, [[]], [None], [{}], [1, "x", None, {}], {"x": {}}, {"id": []}, [[[[[[]]]]]], {"": {"": None}}),
)


def build(name: str, *secrets: str, **more: Any) -> Adapter:
    values = list(secrets or SECRETS[:1])
    proof: dict[str, Any] = {"secrets": lambda: values}
    if name in LOGIN:
        proof = {"basic_auth": lambda: [f"relay:{value}" for value in values]}
    options = {**proof, **SPECIAL.get(name, {}), **more}
    adapter = build_adapter(SourceOptions(name=f"my-{name}", adapter=name, public_url=PUBLIC_URL, **options))
    if isinstance(adapter, Ses):
        # No test asks Amazon anything.
        adapter.certificates.fetch = lambda url: b"confirmed"
    return adapter


every_source = pytest.mark.parametrize("name", sorted(ADAPTERS))


def inbound(name: str, sample: Sample) -> Inbound:
    headers = {key.lower(): value for key, value in sample.headers.items()}
    return Inbound(sample.body, headers, sample.method, f"/hooks/my-{name}")


def signed(name: str, adapter: Adapter, sample: Sample | None = None, *, at_s: float = NOW_S) -> Inbound:
    sample = sample or adapter.sample(serial=1, now_s=at_s)
    return inbound(name, adapter.sign(sample, now_s=at_s, url=f"{PUBLIC_URL}/hooks/my-{name}"))


def ids(parsed: list[Parsed]) -> list[str]:
    return [item.id for item in parsed if isinstance(item, Event)]


def check_parsed(name: str, parsed: list[Parsed]) -> None:
    """Whatever the payload was, what came out of it has the types of the contract."""
    assert isinstance(parsed, list)
    for item in parsed:
        if isinstance(item, Skipped):
            assert re.fullmatch(r"[a-z_]{2,40}", item.reason)
        elif isinstance(item, Parked):
            assert item.cause
            assert type(item.delivery_key) is str
            assert item.delivery_key
        else:
            check_event(name, item)


def check_event(name: str, event: Event) -> None:
    assert re.fullmatch(r"evt_[0-9a-f]{24}", event.id)
    assert (event.source, event.adapter) == (f"my-{name}", name)
    assert event.kind in KINDS
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", event.time)
    assert type(event.version) is int
    assert 0 <= event.version < 2**63
    assert event.thread
    view = event.view()
    strings = [event.delivery_id, *event.also_seen, *event.tags]
    for key in ("thread", "subject", "text", "html", "message_id", "url"):
        strings.append(view[key])
    for part in (view["sender"], view["channel"], view["ticket"], *view["recipients"]):
        strings += [value for key, value in part.items() if key != "bot"]
    for file in view["attachments"]:
        strings += [file["name"], file["type"], file["url"]]
        assert file["size"] is None or (type(file["size"]) is int and file["size"] >= 0)
    assert all(type(value) is str for value in strings)
    assert type(event.sender.bot) is bool
    for value in strings:
        value.encode()  # a lone surrogate would break the answer, the log and Planhat
    assert "<script" not in event.html.lower()
    orjson.dumps(view)
    orjson.dumps(dict(event.payload))


def survive(name: str, adapter: Adapter, request: Inbound) -> None:
    """Whatever comes: the adapter's own errors or a sound result, and no hang. A failure names the request."""
    try:
        _survive(name, adapter, request)
    except BaseException as error:
        error.add_note(f"{request.body[:80]!r}, {request.headers}")
        raise


def _survive(name: str, adapter: Adapter, request: Inbound) -> None:
    began = time.process_time()
    for ask in (adapter.verify, adapter.handshake, adapter.parse):
        try:
            answer: Any = ask(request, now_s=NOW_S)
        except ALLOWED as error:
            assert len(str(error)) < 300  # noqa: PT017
            continue
        if ask == adapter.parse:
            check_parsed(name, answer)
        else:
            assert answer is None or isinstance(answer, Reply)
    assert time.process_time() - began < 2


# ---- authentic or not --------------------------------------------------------------------------------------


@every_source
def test_a_good_proof_is_accepted_and_gives_an_event(name: str) -> None:
    adapter = build(name)
    request = signed(name, adapter)
    adapter.verify(request, now_s=NOW_S)
    assert adapter.handshake(request, now_s=NOW_S) is None
    parsed = adapter.parse(request, now_s=NOW_S)
    assert ids(parsed), parsed
    check_parsed(name, parsed)


@every_source
def test_a_proof_made_with_another_secret_is_refused(name: str) -> None:
    with pytest.raises(NotAuthentic):
        build(name).verify(signed(name, build(name, SECRETS[2])), now_s=NOW_S)


@every_source
def test_a_missing_proof_is_refused(name: str) -> None:
    adapter = build(name)
    with pytest.raises(NotAuthentic):
        adapter.verify(inbound(name, adapter.sample(serial=1, now_s=NOW_S)), now_s=NOW_S)


@every_source
def test_during_a_rotation_both_secrets_are_accepted_and_no_third(name: str) -> None:
    both = build(name, SECRETS[1], SECRETS[0])
    both.verify(signed(name, build(name, SECRETS[0])), now_s=NOW_S)
    both.verify(signed(name, build(name, SECRETS[1])), now_s=NOW_S)
    with pytest.raises(NotAuthentic):
        both.verify(signed(name, build(name, SECRETS[2])), now_s=NOW_S)


@every_source
def test_a_changed_body_is_refused_where_the_body_is_signed(name: str) -> None:
    if name in BODY_UNSIGNED:
        return
    adapter = build(name)
    good = signed(name, adapter)
    changed = Inbound(good.body[:-1] + b" " + good.body[-1:], good.headers, good.method, good.path_query)
    with pytest.raises(NotAuthentic):
        adapter.verify(changed, now_s=NOW_S)


@pytest.mark.parametrize("name", sorted(STAMPED))
@pytest.mark.parametrize("skew_s", [-86_400, 86_400])
def test_a_proof_of_another_day_is_refused(name: str, skew_s: float) -> None:
    adapter = build(name)
    with pytest.raises(NotAuthentic):
        adapter.verify(signed(name, adapter, at_s=NOW_S + skew_s), now_s=NOW_S)


ODD_HEADERS = ("é", "\xff\xfe", "☃", "\udcff", "", " ", ",", "=", "v0=", "v1,", "t=,v1=", "x" * 9000)


@every_source
def test_odd_headers_are_refused_quietly(name: str) -> None:
    adapter = build(name)
    good = signed(name, adapter)
    for odd in ODD_HEADERS:
        for key in good.headers:
            if key == "content-type":
                continue
            for value in (odd, good.headers[key] + odd, odd + good.headers[key], good.headers[key][:-3]):
                headers = {**good.headers, key: value}
                survive(name, adapter, Inbound(good.body, headers, "POST", good.path_query))
        survive(name, adapter, Inbound(good.body, dict.fromkeys(good.headers, odd), "POST", good.path_query))


@every_source
def test_without_any_secret_a_source_is_refused_when_it_is_built(name: str) -> None:
    with pytest.raises(ValueError, match=r"\w+ \w+ \w+"):
        build_adapter(SourceOptions(name="open", adapter=name))


@every_source
def test_an_empty_secret_lets_nobody_in(name: str) -> None:
    """A mounted secret that is empty for a moment must not become a key that everyone knows."""
    values = [SECRETS[0]]
    key = "basic_auth" if name in LOGIN else "secrets"
    adapter = build(name, **{key: lambda: values})
    request = signed(name, adapter)
    for emptied in ([], [""]):
        values[:] = emptied
        with pytest.raises(ALLOWED):
            adapter.verify(request, now_s=NOW_S)
        try:
            forged = signed(name, adapter)
        except Exception:
            continue
        with pytest.raises(ALLOWED):
            adapter.verify(forged, now_s=NOW_S)


@every_source
@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
def test_a_request_that_is_no_post_gets_a_handshake_or_nothing(name: str, method: str) -> None:
    adapter = build(name)
    for query in ({}, {"validationToken": "x", "challenge": "y", "hub.challenge": "z"}):
        for headers in ({}, {"webhook-request-origin": "é\r\nx: y", "content-type": "application/json"}):
            reply = adapter.handshake(Inbound(b"", headers, method, f"/hooks/my-{name}", query), now_s=NOW_S)
            if reply is not None:
                assert 200 <= reply.status < 300
                assert not any("\n" in value or "\r" in value for value in reply.headers.values())


# ---- identity ----------------------------------------------------------------------------------------------


@every_source
def test_the_same_delivery_twice_gives_the_same_event_ids(name: str) -> None:
    sample = build(name).sample(serial=7, now_s=NOW_S)
    first = build(name).parse(signed(name, build(name), sample), now_s=NOW_S)
    retried = signed(name, build(name), sample, at_s=NOW_S + 3600)
    second = build(name, SECRETS[1]).parse(retried, now_s=NOW_S + 3600)
    assert ids(first) == ids(second) != []


@every_source
def test_samples_of_different_serials_are_different_events(name: str) -> None:
    adapter = build(name)
    found = {
        one
        for serial in range(20)
        for one in ids(
            adapter.parse(signed(name, adapter, adapter.sample(serial=serial, now_s=NOW_S)), now_s=NOW_S)
        )
    }
    assert len(found) >= 20


@every_source
def test_a_reply_and_its_root_share_a_thread_and_not_a_message(name: str) -> None:
    adapter = build(name)
    if name in SINGLE_HAPPENINGS:
        # A call, a meeting: each is a thread of its own.
        threads = set()
        for serial in (1, 2):
            sample = adapter.sample(serial=serial, now_s=NOW_S)
            threads |= {e.thread for e in events(adapter.parse(inbound(name, sample), now_s=NOW_S))}
        assert len(threads) == 2
        return
    found = [
        event
        for sample in adapter.sample_thread(serial=3, now_s=NOW_S)
        for event in events(adapter.parse(signed(name, adapter, sample), now_s=NOW_S))
    ]
    assert len(found) >= 2
    assert len({event.thread for event in found}) == 1
    assert len({event.id for event in found}) == len(found)
    assert len({event.message_id for event in found}) == len(found)
    assert [event.version for event in found] == sorted(event.version for event in found)


def events(parsed: list[Parsed]) -> list[Event]:
    return [item for item in parsed if isinstance(item, Event)]


# ---- malformed ---------------------------------------------------------------------------------------------


@every_source
def test_truncated_bodies_are_survived(name: str) -> None:
    adapter = build(name)
    good = signed(name, adapter)
    size = len(good.body)
    for cut in sorted(
        {0, 1, 2, size // 4, size // 2, size - 2, size - 1, *range(0, size, max(1, size // 60))}
    ):
        survive(name, adapter, Inbound(good.body[:cut], good.headers, "POST", good.path_query))


WRONG_SHAPES = [
    *(
        b"",
        b" ",
        b"[]",
        b"{}",
        b"null",
        b"1",
        b"true",
        b'"x"',
        b"[1]",
        b"[null]",
        b"[[]]",
        b"[{}]",
        b"[{},{}]",
    ),
    *(
        b"\x00",
        b"\xff\xfe",
        b"\xef\xbb\xbf{}",
        b"NaN",
        b"{",
        b'{"a":NaN}',
        b'{"a":"\xff"}',
        b'{"\\ud800":1}',
    ),
    *(
        b"a=b",
        b"payload=",
        b"payload=%7B%7D",
        b"payload=%ff",
        b"%%%=%",
        b"<x/>",
        b"--x\r\n\r\n",
        b"&" * 5000,
    ),
]


@every_source
def test_bodies_of_the_wrong_shape_are_survived(name: str) -> None:
    adapter = build(name)
    headers = signed(name, adapter).headers
    for body in WRONG_SHAPES:
        survive(name, adapter, Inbound(body, headers, "POST", f"/hooks/my-{name}"))
        survive(name, adapter, signed_anyway(name, adapter, body))
        survive(name, adapter, Inbound(body, {}, "POST", f"/hooks/my-{name}"))


def signed_anyway(name: str, adapter: Adapter, body: bytes) -> Inbound:
    """A genuine request with a strange body, where the adapter can sign one; else the body unsigned."""
    sample = Sample(body, adapter.sample(serial=1, now_s=NOW_S).headers)
    try:
        return signed(name, adapter, sample)
    except Exception:
        return inbound(name, sample)


@pytest.mark.simulated
@every_source
@pytest.mark.parametrize("deep", [b"[" * 100_000, b'{"a":' * 100_000, b"[" * 100_000 + b"]" * 100_000])
def test_json_100_000_deep_is_survived(name: str, deep: bytes) -> None:
    adapter = build(name)
    survive(name, adapter, signed_anyway(name, adapter, deep))
    survive(name, adapter, signed_anyway(name, adapter, b'{"type":"message","event":' + deep + b"}"))


@cache
def seeds(name: str) -> list[tuple[Any, dict[str, str]]]:
    """The JSON bodies to mutate: the adapter's samples and our payload files."""
    adapter = build(name)
    samples = [adapter.sample(serial=1, now_s=NOW_S)]
    if hasattr(adapter, "sample_thread"):
        samples += adapter.sample_thread(serial=1, now_s=NOW_S)
    headers = dict(samples[0].headers)
    bodies = [sample.body for sample in samples]
    bodies += [path.read_bytes() for path in sorted((PAYLOADS / name).glob("*.json"))]
    found = []
    for body in bodies:
        try:
            found.append((orjson.loads(body), headers))
        except orjson.JSONDecodeError:
            continue
    return found


def paths(value: Any, here: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield here
    if isinstance(value, dict):
        for key, child in value.items():
            yield from paths(child, (*here, key))
    elif isinstance(value, list):
        for n, child in enumerate(value):
            yield from paths(child, (*here, n))


def with_value(payload: Any, path: tuple[Any, ...], value: Any) -> Any:
    """The payload with another value at the path, or without it (`...`); what is not on the path is shared."""
    if not path:
        return value
    changed = payload.copy()
    if len(path) > 1:
        changed[path[0]] = with_value(payload[path[0]], path[1:], value)
    elif value is ...:
        del changed[path[0]]
    else:
        changed[path[0]] = value
    return changed


@every_source
@pytest.mark.simulated
def test_every_field_may_be_of_any_type_or_missing(name: str) -> None:
    adapter = build(name, keep=KEEP_ALL)
    for payload, headers in seeds(name):
        for path in paths(payload):
            for odd in (*ODD_VALUES, ...):
                if odd is ... and not path:
                    continue
                body = orjson.dumps(with_value(payload, path, odd))
                survive(name, adapter, inbound(name, Sample(body, headers)))


JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False)
    | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=6,
)


@every_source
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_mutated_payloads_are_survived(name: str, data: st.DataObject) -> None:
    adapter = build(name, keep=data.draw(st.sampled_from([KEEP_ALL, frozenset()])))
    if not seeds(name):
        good = adapter.sample(serial=1, now_s=NOW_S)
        body = bytearray(good.body)
        for _ in range(data.draw(st.integers(1, 8))):
            place = data.draw(st.integers(0, len(body) - 1))
            body[place : place + data.draw(st.integers(0, 9))] = data.draw(st.binary(max_size=9))
            body = body or bytearray(b"x")
        survive(name, adapter, inbound(name, Sample(bytes(body), good.headers)))
        return
    payload, headers = data.draw(st.sampled_from(seeds(name)))
    for _ in range(data.draw(st.integers(1, 5))):
        path = data.draw(st.sampled_from(list(paths(payload))))
        payload = with_value(payload, path, data.draw(JSON_VALUES))
    survive(name, adapter, inbound(name, Sample(orjson.dumps(payload), headers)))
