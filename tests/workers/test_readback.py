"""Silent damage is caught: what stands in Planhat is compared with what was sent."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import orjson
import pytest
import redis

from relay.description import plain_text
from relay.operations.stats import read_stats
from relay.outbox.delivery import Delivery
from relay.planhat.sandbox import NO_QUOTAS, Sandbox, create_sandbox
from relay.planhat.sandbox.server import running
from tests.flushing import Kit, patch
from workers.flush.comparison import differences
from workers.flush.readback import Readback


@pytest.fixture(scope="module")
def shared() -> Iterator[tuple[Sandbox, str]]:
    # The tenant has no such type as the config promises.
    sandbox = create_sandbox(types=["Another type"], quotas=NO_QUOTAS)
    with running(sandbox) as url:
        yield sandbox, url


@pytest.fixture
def kit(redis_client: redis.Redis, shared: tuple[Sandbox, str]) -> Kit:
    shared[0].reset()
    kit = Kit(redis_client, shared[1], sandbox=shared[0])
    kit.flush.tools.reader = Readback(
        redis_client, kit.planhat, kit.pace, metrics=kit.metrics, now_ms=kit.outbox.now_ms
    )
    return kit


def test_a_type_that_became_a_note_raises_a_warning_that_names_the_rule(kit: Kit) -> None:
    kit.record(*(patch(n) for n in range(20)))
    kit.run()

    [row] = [orjson.loads(value) for value in kit.outbox.redis.hgetall("relay:{main}:warnings").values()]
    assert (row["rule"], row["field"], row["type"]) == ("slack-thread", "type", "Slack thread")
    assert "became note" in row["what"]
    assert kit.metrics.read()["relay_silent_damage_total|field=type,rule=slack-thread"] == 1
    assert kit.books() == {"accepted": 20, "delivered": 20}


def test_the_warning_is_told_in_the_stats_and_goes_when_it_is_mended(
    kit: Kit, shared: tuple[Sandbox, str], redis_client: redis.Redis
) -> None:
    kit.record(patch(1))
    kit.run()
    warnings = read_stats(kit.outbox, Delivery(redis_client))["warnings"]
    [told] = [warning for warning in warnings if "slack-thread" in warning]
    assert "type became note" in told

    with running(create_sandbox(types=["Slack thread"], quotas=NO_QUOTAS)) as url:
        mended = Kit(redis_client, url)
        redis_client.delete("relay:{main}:readback")
        mended.flush.tools.reader = Readback(
            redis_client, mended.planhat, mended.pace, metrics=mended.metrics, now_ms=mended.outbox.now_ms
        )
        mended.record(patch(2))
        mended.run()
    warnings = read_stats(kit.outbox, Delivery(redis_client))["warnings"]
    assert not [warning for warning in warnings if "slack-thread" in warning]


def test_each_type_is_read_back_once_and_then_only_as_a_sample(kit: Kit) -> None:
    for number in range(5):
        kit.record(patch(number))
        kit.run()

    reads = [call for call in kit.sandbox.calls if call["operation"] == "get"]  # type: ignore[union-attr]
    assert len(reads) == 1


def test_a_read_back_that_fails_disturbs_nothing(kit: Kit) -> None:
    kit.fault(operation="get", status=500)
    kit.record(patch(1))
    kit.run()

    assert kit.books() == {"accepted": 1, "delivered": 1}
    assert not kit.outbox.redis.exists("relay:{main}:warnings")


def test_what_planhat_writes_in_its_own_way_is_no_damage() -> None:
    sent = {
        "type": "Slack thread",
        "subject": "s",
        "description": "<p>x</p>",
        "date": "2026-01-01T00:00:00.000Z",
        "endusers": [{"email": "ann@example.com"}, {"id": "e"}],
        "custom": {"A": 1, "B": 2},
        "archived": False,
    }
    stands = {
        **sent,
        "description": "x",
        "endusers": [{"id": "e", "name": "Ann"}],
        "date": "2026-01-01",
        "extra": 1,
    }
    counts = {"endusers": 1}

    assert differences(sent, stands, counts) == []
    assert differences(sent, {**stands, "custom": {"A": 1}}, counts) == [("custom.B", "dropped")]
    assert differences(sent, {**stands, "endusers": []}, counts) == [("endusers", "0 of 1 are there")]
    assert differences(sent, {**stands, "subject": "t"}, counts) == [("subject", "changed")]
    assert differences(sent, {**stands, "date": "2026-01-02"}, counts) == [("date", "changed")]
    assert [field for field, _ in differences(sent, {}, counts)] == [
        "type",
        "subject",
        "description",
        "date",
        "endusers",
        "custom.A",
        "custom.B",
        "archived",
    ]


@pytest.mark.parametrize("field", ["ownerId", "useSubject", "sourceId", "source", "transcript"])
def test_what_no_answer_is_known_to_show_is_not_compared(field: str) -> None:
    assert differences({field: "x"}, {}, {}) == []


@pytest.mark.parametrize("field", ["users", "endusers", "activityTags"])
def test_people_and_tags_are_compared_by_how_many_went(field: str) -> None:
    sent = {field: ["a", "b", "c"]}
    # Two could be looked up; Planhat shows them as whole records, and one that a person has added.
    assert differences(sent, {field: [{"id": 1}, {"id": 2}, {"id": 3}]}, {field: 2}) == []
    assert differences(sent, {field: [{"id": 1}]}, {field: 2}) == [(field, "1 of 2 are there")]
    assert differences(sent, {}, {field: 0}) == []
    assert differences(sent, {}) == [], "sent by an older release: nobody knows how many"


@pytest.mark.parametrize(
    ("stands", "what"),
    [
        ("<p>one two</p><p>three</p>", ""),
        ("<div>one   two<br>three</div>", ""),
        ("one two three", ""),
        ("<p>one two three</p><p>and what a person has added</p>", ""),
        ("<p>one two three</p>", ""),
        ("<p>one twothree</p>", "mangled: words run together"),
        ("<p>one two</p>", "mangled: 1 of 3 words are lost"),
        ("<p></p>", "mangled: 3 of 3 words are lost"),
        ("", "dropped"),
    ],
)
def test_a_description_is_compared_by_its_words(stands: str, what: str) -> None:
    sent = {"description": "<p>one two</p><p>three</p>"}
    assert differences(sent, {"description": stands}, {}) == ([("description", what)] if what else [])


def test_a_type_is_compared_with_the_tenants_own_list() -> None:
    sent = {"type": "Slack thread"}
    assert differences(sent, {"type": "Slack thread", "isCustomType": True}, {}) == []
    assert differences(sent, {"type": "Slack thread"}, {}) == []
    [(_, became)] = differences(sent, {"type": "note"}, {})
    assert became.startswith("became note")
    [(_, kept)] = differences(sent, {"type": "Slack thread", "isCustomType": False}, {})
    assert "no such type" in kept
    # A type that every tenant has is no type of its own.
    assert differences({"type": "email"}, {"type": "email", "isCustomType": False}, {}) == []


# -- both texts of a mangled description -----------------------------------------------------------------------


@pytest.fixture
def mangled(redis_client: redis.Redis) -> Iterator[Kit]:
    sandbox = create_sandbox(types=["Slack thread"], quotas=NO_QUOTAS)
    with running(sandbox) as url:
        kit = Kit(redis_client, url, sandbox=sandbox)

        class Mangling:
            """Planhat whose editor has run the lines together."""

            def get(self, key: str, *, timeout_s: float | None = None) -> Mapping[str, Any]:
                record = dict(kit.planhat.get(key, timeout_s=timeout_s))
                return {**record, "description": plain_text(str(record["description"])).replace("\n", "")}

        kit.flush.tools.reader = Readback(
            redis_client,
            Mangling(),
            kit.pace,
            metrics=kit.metrics,
            now_ms=kit.outbox.now_ms,
            seal=lambda plain: b"sealed:" + plain[::-1],
        )
        yield kit


def test_a_mangled_description_is_told_and_both_texts_are_kept_sealed(mangled: Kit) -> None:
    mangled.record(patch(1, thread="t", text="Secret plan"), patch(2, thread="t", text="Second line"))
    mangled.run()

    client = mangled.outbox.redis
    rows = [orjson.loads(row) for row in client.hgetall(mangled.outbox.prefix + "warnings").values()]
    [row] = [row for row in rows if row["field"] == "description"]
    assert row["what"] == "mangled: words run together"
    assert "Secret" not in str(rows)
    texts: Any = client.hgetall(mangled.outbox.prefix + "readback:texts")
    assert list(texts) == [b"slack-thread"]
    sealed = texts[b"slack-thread"]
    assert b"Secret" not in sealed
    kept = orjson.loads(sealed.removeprefix(b"sealed:")[::-1])
    assert kept["externalId"] == "slack-C1-t"
    assert kept["sent"] == "<p>Secret plan</p><p>Second line</p>"
    assert kept["stands"] == "Secret planSecond line"
    assert 0 < client.ttl(mangled.outbox.prefix + "readback:texts") <= 7 * 86400


def test_nothing_of_what_was_said_is_logged(mangled: Kit, caplog: pytest.LogCaptureFixture) -> None:
    mangled.record(patch(1, thread="t", text="Secret plan"), patch(2, thread="t", text="Second line"))
    mangled.run()
    told = str([vars(record) for record in caplog.records])
    assert "planhat.differs" in told
    assert "Secret" not in told
