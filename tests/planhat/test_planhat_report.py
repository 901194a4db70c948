"""How answers to a bulk upsert are read: every status with every body, and whose each error is."""

from __future__ import annotations

from email.utils import formatdate
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.planhat.report import (
    Answer,
    Forbidden,
    Garbled,
    Key,
    NotTheApi,
    Rejected,
    Report,
    Throttled,
    TooLarge,
    Unauthorized,
    Unavailable,
    blame,
    read_report,
)

NOW_S = 1_800_000_000.0


def envelope(**changes: Any) -> dict[str, Any]:
    empty: dict[str, Any] = {
        "created": 0,
        "createdErrors": [],
        "insertsKeys": [],
        "updated": 0,
        "updatedErrors": [],
        "updatesKeys": [],
        "nonupdates": 0,
        "modified": [],
        "upsertedIds": [],
        "permissionErrors": [],
    }
    return {**empty, **changes}


def read(status: int, body: object = b"", headers: dict[str, str] | None = None) -> Answer:
    raw = body if isinstance(body, bytes) else orjson.dumps(body)
    return read_report(status, headers or {}, raw, now_s=NOW_S)


@pytest.mark.parametrize("status", [200, 206, 400, 403, 404, 409, 422])
def test_the_envelope_is_read_whatever_the_status_around_it(status: int) -> None:
    answer = read(
        status,
        envelope(
            created=1,
            updated=1,
            nonupdates=1,
            insertsKeys=[{"_id": "i1", "externalId": "e1", "sourceId": "s1"}],
            updatesKeys=[{"_id": "i2"}],
            modified=["i2"],
            upsertedIds=["i1"],
            permissionErrors=["no"],
        ),
    )
    assert isinstance(answer, Report)
    assert (answer.created, answer.updated, answer.nonupdates, answer.status) == (1, 1, 1, status)
    assert answer.inserted == (Key("i1", "e1", "s1"),)
    assert answer.updated_keys == (Key("i2"),)
    assert (answer.modified, answer.upserted) == (("i2",), ("i1",))
    assert [(error.kind, error.message) for error in answer.errors] == [("permissionErrors", "no")]
    assert answer.accounted == 3
    assert not answer.wholly_forbidden


def test_a_403_whose_every_complaint_is_permission_is_wholly_forbidden() -> None:
    total = read(403, envelope(permissionErrors=["no conversation write", "no conversation write"]))
    assert isinstance(total, Report)
    assert total.wholly_forbidden
    partial = read(403, envelope(permissionErrors=["no"], nonupdates=1))
    assert isinstance(partial, Report)
    assert not partial.wholly_forbidden
    mixed = read(403, envelope(permissionErrors=["no"], createdErrors=["companyId is required"]))
    assert isinstance(mixed, Report)
    assert not mixed.wholly_forbidden


def test_a_403_with_an_empty_envelope_names_no_item() -> None:
    assert isinstance(read(403, envelope()), Forbidden)


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (401, b"", Unauthorized),
        (401, b"<html>", Unauthorized),
        (403, b"", Forbidden),
        (403, {"error": "no access to Conversation"}, Forbidden),
        (403, {"errors": ["no access"]}, Forbidden),
        (400, b'"payload should be an array"', Rejected),
        (400, {"errors": ["bad"]}, Rejected),
        (404, b"", Rejected),
        (413, b"<html>", TooLarge),
        (408, b"", Unavailable),
        (425, b"", Unavailable),
        (500, b"", Unavailable),
        (502, b"<html>Bad gateway</html>", Unavailable),
        (503, envelope(created=3), Unavailable),
        (301, b"", NotTheApi),
        (200, b"\n<!DOCTYPE html><title>Planhat</title>", NotTheApi),
        (404, b"<html><pre>Cannot PUT /conversations</pre>", NotTheApi),
        (403, b"<html>Attention required</html>", NotTheApi),
        (429, b"Too many", Throttled),
        (429, envelope(), Throttled),
        (200, b"", Garbled),
        (200, b"OK", Garbled),
        (200, b'{"created": 1, "upd', Garbled),
        (200, b"[]", Garbled),
        (200, b"null", Garbled),
        (200, b"7", Garbled),
        (200, {}, Garbled),
        (200, {"status": "ok"}, Garbled),
        (204, b"", Garbled),
        (200, b"[" * 100_000, Garbled),
        (400, b"[" * 100_000, Rejected),
    ],
)
def test_an_answer_without_an_envelope_is_judged_by_its_status(status: int, body: object, kind: type) -> None:
    assert isinstance(read(status, body), kind)


def test_a_lone_errors_list_never_passes_for_success() -> None:
    answer = read(200, {"errors": ["something"]})
    assert isinstance(answer, Report)
    assert [error.kind for error in answer.errors] == ["errors"]


@pytest.mark.parametrize("name", ["createdErrors", "validationErrors", "someFutureErrors", "SHOUTEDERRORS"])
def test_every_key_that_ends_in_errors_counts(name: str) -> None:
    answer = read(200, envelope(created=1, **{name: ["bad"]}))
    assert isinstance(answer, Report)
    assert [(error.kind, error.message) for error in answer.errors] == [(name, "bad")]


@pytest.mark.parametrize(
    ("element", "expected"),
    [
        ("externalId duplicated", (None, None, None, "externalId duplicated")),
        ({"externalId": "e1", "error": "bad"}, ("e1", None, None, "bad")),
        ({"_id": "i1", "message": "bad"}, (None, "i1", None, "bad")),
        ({"_id": {"$oid": "i1"}, "message": "bad"}, (None, "i1", None, "bad")),
        ({"index": 3, "errmsg": "bad"}, (None, None, 3, "bad")),
        ({"index": "3", "errmsg": "bad"}, (None, None, 3, "bad")),
        ({"index": -1}, (None, None, None, '{"index":-1}')),
        ({"index": True}, (None, None, None, '{"index":true}')),
        ({"item": {"externalId": "e1"}, "errors": [{"message": "bad"}]}, ("e1", None, None, "bad")),
        ({"externalId": "e1", "cause": {"externalId": "other"}}, ("e1", None, None, None)),
        ({"externalId": "is required here"}, (None, None, None, None)),
        ([["e1", "bad"]], (None, None, None, "e1")),
        ({}, (None, None, None, "{}")),
        (None, (None, None, None, "null")),
        (17, (None, None, None, "17")),
    ],
)
def test_an_error_element_may_be_anything(element: object, expected: tuple[Any, ...]) -> None:
    answer = read(206, envelope(createdErrors=[element]))
    assert isinstance(answer, Report)
    (error,) = answer.errors
    assert (error.external_id, error.planhat_id, error.index) == expected[:3]
    if expected[3] is not None:
        assert error.message == expected[3]


@pytest.mark.parametrize(
    ("value", "count"),
    [
        ("2 failed", 1),
        ({"0": "bad", "4": "worse"}, 2),
        ({"e1": "bad"}, 1),
        (3, 1),
        (0, 0),
        (None, 0),
        ({}, 0),
        ("", 0),
    ],
)
def test_an_error_list_that_is_no_list_still_counts(value: object, count: int) -> None:
    answer = read(200, envelope(createdErrors=value))
    assert isinstance(answer, Report)
    assert len(answer.errors) == count


def test_errors_keyed_by_position_keep_it() -> None:
    answer = read(206, envelope(createdErrors={"0": "bad", "4": "worse"}))
    assert isinstance(answer, Report)
    assert [(error.index, error.message) for error in answer.errors] == [(0, "bad"), (4, "worse")]


@pytest.mark.parametrize("count", [None, "x", -1, True, [1], {"a": 1}, 1.5])
def test_a_count_that_is_none_leaves_items_in_doubt(count: object) -> None:
    answer = read(200, envelope(created=count))
    assert isinstance(answer, Report)
    assert answer.accounted == 0


def test_missing_keys_are_empty_and_keys_may_be_bare_ids() -> None:
    answer = read(200, {"created": 2, "insertsKeys": ["i1", {"externalId": "e2"}, {}, None, 5]})
    assert isinstance(answer, Report)
    assert answer.inserted == (Key("i1"), Key(None, "e2"), Key("5"))
    assert answer.errors == ()


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("30", 30.0),
        (" 1.5 ", 1.5),
        ("-3", 0.0),
        (formatdate(NOW_S + 90, usegmt=True), 90.0),
        (formatdate(NOW_S - 90, usegmt=True), 0.0),
        ("soon", None),
        ("nan", None),
        ("inf", None),
        ("Wed, 99 Foo 2026", None),
        ("", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(text: str, seconds: float | None) -> None:
    assert read(429, headers={"Retry-After": text}) == Throttled(seconds)
    answer = read(503, headers={"RETRY-AFTER": text})
    assert isinstance(answer, Unavailable)
    assert answer.retry_after_s == seconds


def test_a_reason_is_one_line_without_markup_and_not_long() -> None:
    answer = read(400, b'{"message": "line one\\nline two\\u0000 ' + b"x" * 1000 + b'"}')
    assert isinstance(answer, Rejected)
    assert answer.message.startswith("line one line two")
    assert len(answer.message) == 200
    page = read(400, b"<html><script>alert(1)</script></html>")
    assert isinstance(page, NotTheApi)
    assert "script" not in page.reason


def test_a_bare_string_that_a_server_calls_html_is_no_page() -> None:
    html = {"Content-Type": "text/html; charset=utf-8"}
    assert isinstance(read(400, b"payload should be an array", html), Rejected)
    assert isinstance(read(200, b"OK", html), Garbled)
    assert isinstance(read(400, b"<h1>Bad Request</h1>", html), NotTheApi)


def _dumps(value: object) -> bytes:
    try:
        return orjson.dumps(value)
    except (TypeError, orjson.JSONEncodeError):
        return b"?"


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=12,
)
KEYS = [
    "created",
    "updated",
    "nonupdates",
    "createdErrors",
    "insertsKeys",
    "updatesKeys",
    "modified",
    "upsertedIds",
]


@given(
    status=st.integers(100, 599),
    body=st.binary(max_size=60)
    | st.dictionaries(st.sampled_from(KEYS) | st.text(max_size=8), json_values, max_size=6).map(_dumps),
    headers=st.dictionaries(st.sampled_from(["retry-after", "date"]), st.text(max_size=30)),
)
def test_nothing_that_comes_back_makes_the_reading_fail(
    status: int, body: bytes, headers: dict[str, str]
) -> None:
    answer = read_report(status, headers, body, now_s=NOW_S)
    if isinstance(answer, Report):
        assert answer.accounted >= 0
        blame(answer.errors, [Key("i", "e", None), Key(None, "f")])


# ---- whose each error is


def blamed(elements: list[object], sent: list[Key]) -> tuple[list[int], list[int], int]:
    answer = read(206, envelope(createdErrors=elements))
    assert isinstance(answer, Report)
    found = blame(answer.errors, sent)
    return sorted(found.certain), sorted(found.hinted), len(found.unnamed)


SENT = [Key(None, f"slack-C1-{number}.000100") for number in range(12)]


@pytest.mark.parametrize(
    ("element", "expected"),
    [
        ("duplicated", ([], [], 1)),
        ("slack-C1-1.000100 duplicated", ([1], [], 0)),
        ("duplicated: slack-C1-11.000100.", ([11], [], 0)),
        ('E11000 dup key: { externalId: "slack-C1-3.000100" }', ([3], [], 0)),
        ("slack-C1-1.000100 collides with slack-C1-2.000100", ([], [], 1)),
        ("slack-C1-1.00010 is someone else's", ([], [], 1)),
        ({"externalId": "slack-C1-4.000100", "index": 9}, ([4], [], 0)),
        ({"externalId": "nobody-1"}, ([], [], 1)),
        ({"index": 5}, ([], [5], 0)),
        ({"index": 12}, ([], [], 1)),
        ({"deep": [{"er": "slack-C1-6.000100 bad"}]}, ([6], [], 0)),
        ({}, ([], [], 1)),
    ],
)
def test_an_error_is_pinned_on_an_item_only_when_it_names_it(
    element: object, expected: tuple[Any, ...]
) -> None:
    assert blamed([element], SENT) == expected


def test_ids_with_odd_characters_are_found_whole() -> None:
    sent = [
        Key(None, "<a@example.com>"),
        Key(None, "a@example.com"),
        Key(None, "müller/7"),
        Key("5f00aa", None),
    ]
    assert blamed(["bad: müller/7"], sent) == ([2], [], 0)
    assert blamed(["müller/77 is not ours"], sent) == ([], [], 1)
    assert blamed([{"message": "no", "_id": "5f00aa"}], sent) == ([3], [], 0)


def test_a_full_stop_after_an_id_is_not_part_of_it() -> None:
    assert blamed(["cannot take mail-1_."], [Key(None, "mail-1_")]) == ([0], [], 0)
    assert blamed(["cannot take mail-1."], [Key(None, "mail-1.")]) == ([0], [], 0)


def test_a_word_that_happens_to_be_an_id_is_no_accusation() -> None:
    assert blamed(["externalId duplicated, 17 times"], [Key(None, "externalId"), Key(None, "17")]) == (
        [],
        [],
        1,
    )


def test_five_thousand_errors_among_five_thousand_items_are_matched_one_to_one() -> None:
    sent = [Key(None, f"mail-{number:04d}") for number in range(5000)]
    assert blamed([f"mail-{number:04d} refused" for number in range(5000)], sent)[0] == list(range(5000))
