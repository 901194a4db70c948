"""What is remembered of an object's keys changes nothing: a `Place` is read as any mapping of the same content is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from relay.sources.read import pick, privacy
from relay.sources.read.by_keys import ByKeys
from relay.sources.read.place import Names, Place, under
from relay.sources.read.unknown import SAID, is_worded

#: Names that are looked for, in the spellings of senders, beside others.
KEYS = st.sampled_from(
    [
        *(
            "ticket_id",
            "ticketId",
            "Ticket-Id",
            "text",
            "Text",
            "body",
            "html_body",
            "message",
            "comment",
            "notes",
        ),
        *(
            "data",
            "payload",
            "ticket",
            "from",
            "sender",
            "email",
            "name",
            "id",
            "updated_at",
            "subject",
            "status",
        ),
        *(
            "is_public",
            "internal",
            "visibility",
            "isNote",
            "author",
            "channel",
            "type",
            "other",
            "x" * 41,
            "",
        ),
    ]
)
LEAVES = st.sampled_from(
    [
        "",
        "a",
        "Ana",
        "ana@example.com",
        "2026-01-02T03:04:05Z",
        "private",
        "no",
        0,
        1,
        7,
        True,
        False,
        None,
        1.5,
    ]
)
JSON = st.recursive(
    LEAVES, lambda inner: st.one_of(st.dictionaries(KEYS, inner, max_size=6), st.lists(inner, max_size=3))
)
OBJECTS = st.dictionaries(KEYS, JSON, max_size=8)
ALL_NAMES = [value for value in vars(pick).values() if isinstance(value, Names)]


def bare(key: str) -> str:
    return key.lower().replace("_", "").replace("-", "")


def naive(value: Mapping[str, Any]) -> dict[str, Any]:
    """Of two keys that become one name the first counts."""
    found: dict[str, Any] = {}
    for key, inner in value.items():
        if len(key) <= 40:
            found.setdefault(bare(key), inner)
    return found


@given(OBJECTS)
def test_a_place_is_the_object_under_bare_names(value: dict[str, Any]) -> None:
    place = Place(value)
    assert place == naive(value) == Place(place)
    for names in ALL_NAMES:
        assert list(place.shape[names]) == [name for name in names if name in place]
        assert under(value, names) == [place[name] for name in names if name in place]


@given(OBJECTS)
def test_each_reading_of_places_is_that_of_plain_objects(value: dict[str, Any]) -> None:
    among = pick.places(value)
    plain = [dict(place) for place in among]
    flat = pick.flatten(among)
    assert flat == pick.flatten(plain)
    assert pick.message_in(among) == pick.message_in(plain)
    for names in ALL_NAMES:
        assert pick.first_text(among, names) == pick.first_text(plain, names)
        assert pick.first_ident(among, names) == pick.first_ident(plain, names)
        assert pick.first_moment_us(among, names) == pick.first_moment_us(plain, names)
    assert pick.thread_of(among, flat) == pick.thread_of(plain, dict(flat))
    assert pick.first_person(among, flat) == pick.first_person(plain, dict(flat))


@given(OBJECTS)
def test_who_may_read_it_is_what_a_walk_over_all_keys_finds(value: dict[str, Any]) -> None:
    told = []

    def walk(place: dict[str, Any]) -> None:
        for key, inner in place.items():
            told.append(privacy.audience({key: inner if not isinstance(inner, dict) else {}}))
            if isinstance(inner, dict):
                if "visibility" in key:
                    told.append(privacy.audience({key: {"type": inner.get("type")}}))
                if privacy.audience({key: {"internal": True}}) == "private":
                    walk(inner)

    walk(value)
    # Deeper than anybody's message is not looked; so deep is none of these.
    assert privacy.audience(value) == (
        "private" if "private" in told else "public" if "public" in told else ""
    )


@given(OBJECTS)
def test_somebody_s_words_are_found_at_any_depth(value: dict[str, Any]) -> None:
    def worded(inner: Any) -> bool:
        if isinstance(inner, list):
            return any(map(worded, inner))
        if not isinstance(inner, dict):
            return False
        own = any(
            isinstance(text, str) and text.strip() and name in SAID for name, text in naive(inner).items()
        )
        return own or any(map(worded, inner.values()))

    assert is_worded(value, SAID) == worded(value)


def test_strangers_keys_are_not_kept() -> None:
    made = []

    def count(keys: tuple[str, ...]) -> int:
        made.append(keys)
        return len(keys)

    known = ByKeys(count)
    for _ in range(2):
        assert known.of({f"k{n}": 1 for n in range(65)}) == 65
        assert known.of({"k" * 3_000: 1}) == 1
    assert len(made) == 4, "found again each time"
    for n in range(3_000):
        known.of({str(n): 1})
    assert len(known._made) <= 1_024
    assert known.of({"a": 1, "b": 2}) == 2
    before = len(made)
    assert known.of({"a": 5, "b": 6}) == 2
    assert len(made) == before, "found once"
