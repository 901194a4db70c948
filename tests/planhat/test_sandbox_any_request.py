"""Whatever is asked, with whatever content: the sandbox answers, never breaks, and its lists stay readable."""

from __future__ import annotations

import contextlib
from typing import Any

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st

from relay.planhat.sandbox import create_sandbox
from relay.planhat.sandbox.api import Api
from relay.planhat.sandbox.routes import call_of
from relay.planhat.sandbox.wire import Answered

_NAMES = (
    *(
        "_id",
        "externalId",
        "sourceId",
        "companyId",
        "companyExternalId",
        "type",
        "subject",
        "description",
        "date",
    ),
    *(
        "users",
        "endusers",
        "activityTags",
        "starred",
        "custom",
        "ownerId",
        "email",
        "name",
        "firstName",
        "domains",
    ),
    *(
        "title",
        "status",
        "history",
        "parent",
        "tags",
        "custom.A",
        "custom.a",
        "source",
        "startDate",
        "listValues",
    ),
)
_IDS = ("5f0000000000000000000001", "extid-acme", "srcid-x", "x", "extid-", "5e0000000000000000000001", "a/b")
_VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-1, 7),
    st.sampled_from((1.5, "", "x", "2026-01-01", "2026-01-01T00:00:00.000Z", "conversation", "text", *_IDS)),
    st.sampled_from(
        ([], {}, [None], [{}], {"A": 1, "a": 2}, [{"id": 7}], [{"id": _IDS[5]}], [[]], {"a": [1]})
    ),
)
_OBJECTS = st.dictionaries(st.sampled_from(_NAMES), _VALUES, max_size=7)
_CONTENT = st.one_of(_OBJECTS, st.lists(st.one_of(_OBJECTS, _VALUES), max_size=4), _VALUES)
_MODELS = (
    *("conversations", "companies", "endusers", "users", "customfields", "activitytags", "tickets"),
    *("leancompanies", "nowhere", ""),
)
_PATHS = st.one_of(
    st.sampled_from(_MODELS),
    st.builds("{}/{}".format, st.sampled_from(_MODELS), st.sampled_from(_IDS)),
    st.builds("companies/{}/{}".format, st.sampled_from(_IDS), st.sampled_from(_MODELS)),
)
_QUERIES = st.dictionaries(
    st.sampled_from(
        ("companyId", "limit", "offset", "sort", "select", "status", "type", "email", "archived", "s", "c")
    ),
    st.sampled_from(("", "x", "-1", "-date", "custom", "acme,", "true", "10", "_id, name", "extid-acme")),
    max_size=3,
)
_CALLS = st.tuples(st.sampled_from(("GET", "POST", "PUT", "PATCH", "DELETE")), _PATHS, _QUERIES, _CONTENT)


@settings(max_examples=60, deadline=None)
@given(st.lists(_CALLS, min_size=5, max_size=40))
def test_any_requests_are_answered_and_the_lists_stay_readable(
    calls: list[tuple[str, str, dict[str, str], Any]],
) -> None:
    api = Api(create_sandbox().store)

    def ask(method: str, path: str, query: dict[str, str], content: Any) -> None:
        call = call_of({"method": method, "path": f"/{path}", "raw_path": f"/{path}".encode()})
        with contextlib.suppress(Answered):
            status, answer = api.perform(call, content, query, None)
            assert status in (200, 206, 400)
            orjson.dumps(answer)

    for call in calls:
        ask(*call)
    for model in _MODELS[:8]:
        ask("GET", model, {"limit": "1000"}, None)
