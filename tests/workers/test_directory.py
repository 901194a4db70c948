"""Which company: the steps in order, answers verified here, nothing guessed, nothing asked twice."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import orjson
import pytest
import redis

from relay.config import CompanyStep
from relay.errors import PlanhatForbidden, PlanhatUnavailable
from relay.outbox.outbox import Outbox
from relay.planhat.sandbox import NO_QUOTAS, Sandbox, create_sandbox
from relay.planhat.sandbox.server import running
from tests.flushing import Kit, patch
from workers.companies.directory import CompanyDirectory
from workers.companies.lookup_cache import FOUND_S, NOT_FOUND_S
from workers.companies.verdicts import Ambiguous, Ask, Found, Missing, Unsure

ACME = "5f0000000000000000000001"
EMAIL = CompanyStep("enduser_email")
DOMAIN = CompanyStep("company_domain")


class Planhat:
    """Look-ups with what they answered written down. Filters are ignored, as Planhat ignores those it does not know."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.people: list[dict[str, Any]] = [
            {
                "_id": "e1",
                "companyId": "c1",
                "email": "ann@acme.example",
                "otherEmails": ["ann@home.example"],
            },
            {"_id": "e2", "companyId": "c2", "email": "kim@consult.example"},
            {"_id": "e3", "companyId": "c3", "email": "KIM@consult.example"},
            {"_id": "e4", "companyId": "c4", "email": "gone@acme.example", "archived": True},
        ]
        self.team: list[dict[str, Any]] = [{"_id": "u1", "email": "sam@ourteam.example"}]
        self.all: list[dict[str, Any]] = [
            {"_id": "c1", "domains": ["acme.example", "Acme.Example"]},
            {"_id": "c2", "domains": "shared.example,globex.example"},
            {"_id": "c3", "domains": ["shared.example", "gmail.com"]},
        ]
        self.fails: Exception | None = None

    def endusers(
        self, *, email: str | None = None, select: object = (), timeout_s: float | None = None
    ) -> Sequence[Mapping[str, Any]]:
        self._ask(f"enduser {email}")
        return self.people

    def users(
        self, *, email: str | None = None, timeout_s: float | None = None
    ) -> Sequence[Mapping[str, Any]]:
        self._ask(f"user {email}")
        return self.team

    def companies(
        self,
        *,
        limit: int | None = None,
        offset: int | None = None,
        select: object = (),
        timeout_s: float | None = None,
    ) -> Sequence[Mapping[str, Any]]:
        self._ask(f"companies {offset or 0}")
        return self.all[offset or 0 : (offset or 0) + (limit or 100)]

    def _ask(self, what: str) -> None:
        self.asked.append(what)
        if self.fails:
            raise self.fails


@pytest.fixture
def planhat() -> Planhat:
    return Planhat()


def directory(
    client: redis.Redis,
    planhat: Planhat,
    *steps: CompanyStep,
    now_ms: int = 1_000_000_000,
    calls: bool = True,
) -> CompanyDirectory:
    return CompanyDirectory(client, steps, planhat, call=lambda: calls, now_ms=lambda: now_ms)


def ask(**company: str) -> list[Ask]:
    return [Ask.of("", company)]


def test_what_the_rule_sets_itself_wins_and_nobody_is_asked(
    redis_client: redis.Redis, planhat: Planhat
) -> None:
    [verdict] = directory(redis_client, planhat, EMAIL).resolve(
        [[Ask.of("extid-x", {"email": "ann@acme.example"})]]
    )

    assert verdict == Found("extid-x", "rule")
    assert planhat.asked == []


def test_steps_are_tried_in_order_and_the_first_hit_wins(redis_client: redis.Redis, planhat: Planhat) -> None:
    table = CompanyStep("table", key="slack_channel", table={"C1": "extid-acme"})
    domains = CompanyStep("table", key="domain", table={"Example.com": "extid-example"})
    found = directory(
        redis_client, planhat, table, domains, EMAIL, CompanyStep("default", value="extid-rest")
    ).resolve(
        [
            ask(slack_channel="C1", email="a@example.com"),
            ask(slack_channel="C9", email="a@EXAMPLE.com"),
            ask(email="ann@acme.example"),
            ask(email="nobody@nowhere.example"),
            [],
        ]
    )

    assert found == [
        Found("extid-acme", "table"),
        Found("extid-example", "table"),
        Found("c1", "enduser_email"),
        Found("extid-rest", "default"),
        Found("extid-rest", "default"),
    ]


def missing(**asked: str) -> Missing:
    return Missing(tuple(asked.items()))


def test_an_answer_that_ignored_the_filter_is_not_believed(
    redis_client: redis.Redis, planhat: Planhat
) -> None:
    found = directory(redis_client, planhat, EMAIL).resolve(
        [ask(email="ann@home.example"), ask(email="stranger@acme.example"), ask(email="gone@acme.example")]
    )

    assert found == [
        Found("c1", "enduser_email"),
        missing(email="stranger@acme.example"),
        missing(email="gone@acme.example"),
    ]


def test_several_companies_are_not_guessed(redis_client: redis.Redis, planhat: Planhat) -> None:
    email, domain = directory(redis_client, planhat, EMAIL, DOMAIN).resolve(
        [ask(email="kim@consult.example"), ask(domain="shared.example")]
    )

    assert email == Ambiguous(("c2", "c3"), "enduser_email")
    assert domain == Ambiguous(("c2", "c3"), "company_domain")


def test_free_mail_domains_never_match(redis_client: redis.Redis, planhat: Planhat) -> None:
    [verdict] = directory(redis_client, planhat, DOMAIN).resolve([ask(email="someone@gmail.com")])

    assert verdict == missing(email="someone@gmail.com")
    assert planhat.asked == []


def test_a_batch_asks_once_for_each_address_and_once_for_all_domains(
    redis_client: redis.Redis, planhat: Planhat
) -> None:
    home = directory(redis_client, planhat, EMAIL, DOMAIN)
    home.resolve([ask(email=f"{name}@acme.example") for name in ("ann", "bob", "ann", "bob", "ann")])

    assert sorted(planhat.asked) == ["companies 0", "enduser ann@acme.example", "enduser bob@acme.example"]
    planhat.asked.clear()
    assert home.resolve([ask(email="bob@acme.example"), ask(email="ann@acme.example")]) == [
        Found("c1", "company_domain"),
        Found("c1", "enduser_email"),
    ]
    assert planhat.asked == []


def test_found_and_not_found_have_their_own_lifetimes_and_hold_no_address(
    redis_client: redis.Redis, planhat: Planhat
) -> None:
    directory(redis_client, planhat, EMAIL).resolve(
        [ask(email="ann@acme.example"), ask(email="new@acme.example")]
    )

    keys = [key.decode() for key in redis_client.keys("relay:{main}:directory:email:*")]  # type: ignore[union-attr]
    assert sorted(redis_client.ttl(key) for key in keys) == [NOT_FOUND_S, FOUND_S]
    assert not any("acme" in key or b"acme" in (redis_client.get(key) or b"") for key in keys)


def test_a_domain_that_is_new_in_planhat_is_found_once_the_table_has_aged(
    redis_client: redis.Redis, planhat: Planhat
) -> None:
    home = directory(redis_client, planhat, DOMAIN)
    assert home.resolve([ask(domain="new.example")]) == [missing(domain="new.example")]
    planhat.all.append({"_id": "c9", "domains": ["new.example"]})
    assert home.resolve([ask(domain="new.example")]) == [missing(domain="new.example")]

    later = directory(redis_client, planhat, DOMAIN, now_ms=1_000_000_000 + NOT_FOUND_S * 1000)
    assert later.resolve([ask(domain="new.example")]) == [Found("c9", "company_domain")]


def test_all_pages_of_companies_are_read(redis_client: redis.Redis, planhat: Planhat) -> None:
    planhat.all = [{"_id": f"c{n}", "domains": [f"d{n}.example"]} for n in range(10_050)]

    assert directory(redis_client, planhat, DOMAIN).resolve([ask(domain="d10049.example")]) == [
        Found("c10049", "company_domain")
    ]
    assert planhat.asked == ["companies 0", "companies 5000", "companies 10000"]


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (PlanhatUnavailable("Planhat answered 429: too many calls", 9.0), "rate_limited"),
        (PlanhatUnavailable("Planhat answered 503"), "unavailable"),
        (PlanhatForbidden("Planhat answered 401: the token is wrong"), "blocked"),
    ],
)
def test_an_outage_of_the_look_up_holds_delivery_and_buries_nothing(
    redis_client: redis.Redis, planhat: Planhat, error: Exception, kind: str
) -> None:
    planhat.fails = error
    verdicts = directory(redis_client, planhat, EMAIL).resolve(
        [ask(email="ann@acme.example"), ask(email="b@acme.example")]
    )

    assert all(
        isinstance(verdict, Unsure) and verdict.hold and verdict.hold.kind == kind for verdict in verdicts
    )
    assert len(planhat.asked) == 1, "after one failure nobody asks again in this batch"


def test_a_missing_permission_to_look_up_holds_only_what_needs_it(
    redis_client: redis.Redis, planhat: Planhat
) -> None:
    planhat.fails = PlanhatForbidden("Planhat answered 403: the token may not GET /endusers")
    [verdict] = directory(redis_client, planhat, EMAIL).resolve([ask(email="ann@acme.example")])

    assert isinstance(verdict, Unsure)
    assert verdict.hold is None
    assert verdict.wait_s == 60


def test_without_room_in_the_budget_the_rest_of_the_batch_waits(
    redis_client: redis.Redis, planhat: Planhat
) -> None:
    [verdict] = directory(redis_client, planhat, EMAIL, calls=False).resolve([ask(email="ann@acme.example")])
    assert isinstance(verdict, Unsure)
    assert verdict.hold is None
    assert planhat.asked == []

    many = directory(redis_client, planhat, EMAIL).resolve(
        [ask(email=f"p{n}@acme.example") for n in range(100)]
    )
    assert len(planhat.asked) == 30
    assert sum(isinstance(verdict, Unsure) for verdict in many) == 70


def test_a_new_config_makes_parked_letters_due(redis_client: redis.Redis, planhat: Planhat) -> None:
    home = directory(redis_client, planhat)
    home.parked.config_changed("one")
    home.parked.park(["dead_1"])
    assert home.parked.due() == []
    assert not home.parked.config_changed("one")
    assert home.parked.due() == []

    assert home.parked.config_changed("two")
    assert home.parked.due() == ["dead_1"]


# -- with a real sandbox and the flush ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def shared() -> Iterator[tuple[Sandbox, str]]:
    sandbox = create_sandbox(types=["Slack thread"], quotas=NO_QUOTAS)
    with running(sandbox) as url:
        yield sandbox, url


def test_the_flush_finds_companies_in_planhat_and_parks_what_it_cannot(
    redis_client: redis.Redis, shared: tuple[Sandbox, str]
) -> None:
    shared[0].reset()
    kit = Kit(redis_client, shared[1], sandbox=shared[0], steps=(EMAIL, DOMAIN))
    kit.record(
        patch(1, company={"email": "ada@example.com"}),
        patch(2, company={"email": "someone@globex.example"}),
        patch(3, company={"email": "kim@consultants.example"}),
        patch(4, company={"email": "new@stranger.example"}),
        patch(5),
    )
    kit.run()

    assert kit.at_planhat("slack-C1-1")["companyId"] == ACME
    assert kit.at_planhat("slack-C1-2")["companyName"] == "Globex"
    assert kit.books() == {"accepted": 5, "delivered": 2, "dead": 3}
    causes = {
        letter.external_id: orjson.loads(letter.record)
        for letter in kit.outbox.dead.get_many(kit.outbox.dead.ids())
    }
    assert causes["slack-C1-3"]["cause"] == "several companies fit (enduser_email)"
    assert ACME not in causes["slack-C1-3"]["reason"]
    assert "5f0000000000000000000003" in causes["slack-C1-3"]["reason"]
    assert causes["slack-C1-4"]["cause"] == "no company found (asked with: email)"
    assert causes["slack-C1-5"]["cause"] == "no company found (asked with: nothing)"
    assert all(row["stage"] == "resolve" for row in causes.values())
    assert len(redis_client.zrange(kit.outbox.prefix + "directory:parked", 0, -1)) == 3


def test_look_ups_per_thousand_events_with_a_cold_and_a_warm_cache(
    redis_client: redis.Redis, shared: tuple[Sandbox, str], outbox: Outbox
) -> None:
    shared[0].reset()
    kit = Kit(redis_client, shared[1], sandbox=shared[0], steps=(DOMAIN,))
    kit.record(*(patch(n, company={"email": f"p{n}@example.com"}) for n in range(1000)))
    kit.run()
    cold = len(kit.looked_up)
    kit.record(*(patch(n, company={"email": f"p{n}@example.com"}) for n in range(1000, 2000)))
    kit.run()

    assert (cold, len(kit.looked_up) - cold) == (1, 0)
    assert kit.books() == {"accepted": 2000, "delivered": 2000}
