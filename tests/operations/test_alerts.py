"""Alerts: once each, once at the end, by whichever process, whatever the far side does."""

from __future__ import annotations

import base64
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import redis
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from relay.cli import cli
from relay.config import AlertChannel, Alerts, Config, MailServer, PlanhatConfig
from relay.errors import UserError
from relay.operations.alerts.conditions import Condition
from relay.operations.alerts.sending import AlertNotSent, AlertSender
from relay.operations.alerts.step import step_alerts
from relay.operations.alerts.telling import AlertDesk, list_alerts, try_channels
from relay.operations.dead.causes import mark_cause
from relay.operations.dead.counts import DeadCounts
from relay.outbox import keys
from relay.outbox.alerts import LEASE_MS, AlertBook, AlertMessage, Trouble
from relay.outbox.delivery import Delivery
from relay.outbox.outbox import Outbox
from relay.outbox.processes import give_sign
from relay.outbox.shared_metrics import SharedMetrics
from relay.sources.base import Inbound
from relay.sources.proof.standard import verify_standard_webhooks
from tests.alerting import Mails, Posts, receiving_mails, receiving_posts
from tests.operating import NOON, Shop
from tests.places import ROOT

SECRET = "whsec_" + base64.b64encode(bytes(range(24))).decode()


@pytest.fixture
def posts() -> Iterator[Posts]:
    with receiving_posts() as sink:
        yield sink


@pytest.fixture
def mails() -> Iterator[Mails]:
    with receiving_mails() as sink:
        yield sink


def mail_to(sink: Mails, *to: str, login: str = "") -> AlertChannel:
    server = MailServer("127.0.0.1", sink.port, "relay@example.com", to, "none", lambda: login)
    return AlertChannel("mail", "mail", mail=server)


def webhook_to(sink: Posts) -> AlertChannel:
    return AlertChannel("webhook", "webhook", url=lambda: sink.url, secret=lambda: SECRET)


def desk_of(outbox: Outbox, *channels: AlertChannel, **alerts: Any) -> AlertDesk:
    config = Config(alerts=Alerts(channels=channels, **alerts))
    metrics = SharedMetrics(outbox.redis)
    return AlertDesk(
        outbox, Delivery(outbox.redis), config, metrics, DeadCounts(outbox), AlertSender(timeout_s=2)
    )


def told_by(outbox: Outbox, desk: AlertDesk) -> tuple[dict[str, tuple[int, int]], list[list[str]]]:
    """What an operator is told: by channel how many are unsent and how often they were tried, and who has not told of what is on."""
    found = list_alerts([outbox], desk.config.alerts)
    return (
        {row["name"]: (row["unsent"], row["tries"]) for row in found["channels"]},
        [row["untold"] for row in found["alerts"]],
    )


def send_all(desk: AlertDesk, now_ms: int) -> int:
    sent = 0
    while desk.send(now_ms=now_ms):
        sent += 1
    return sent


MESSAGE = AlertMessage("alert_1", "x", "firing", "blocked", "It is <blocked>", "Mend & go on.", NOON)


# -- when ---------------------------------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.sets(st.sampled_from("abc")), st.integers(1, 40)), max_size=40))
def test_each_trouble_begins_and_ends_in_turn(looks: list[tuple[set[str], int]]) -> None:
    """Whatever is seen when: told at most once before its end, the end only of what was told, and what is still there is standing."""
    standing: dict[str, Trouble] = {}
    told: dict[str, list[str]] = {name: [] for name in "abc"}
    now_ms = NOON
    seen: set[str] = set()
    for seen, seconds in looks:
        now_ms += seconds * 1000
        conditions = {name: Condition(name, "blocked" if name == "a" else "damage", name) for name in seen}
        changes = step_alerts(standing, conditions, now_ms=now_ms, after_ms={"blocked": 30_000})
        for name, one in changes.standing.items():
            if one is None:
                del standing[name]
            else:
                standing[name] = one
        for word, ones in (("begun", changes.begun), ("ended", changes.ended)):
            for one in ones:
                told[one.title].append(word)
    for name, words in told.items():
        assert words == ["begun", "ended"] * (len(words) // 2) + ["begun"] * (len(words) % 2)
        assert (len(words) % 2 == 1) == bool(name in standing and standing[name].told_ms)
    assert seen <= set(standing)


def test_blocked_is_told_after_a_minute_and_its_end_once(outbox: Outbox, posts: Posts, mails: Mails) -> None:
    slack = AlertChannel("slack", "slack", url=lambda: f"{posts.url}/services/x")
    desk = desk_of(outbox, slack, mail_to(mails, "a@example.com", "b@example.com"))
    noon = outbox.now_ms()
    give_sign(outbox, "w", "flush", due_s=10**6, started_ms=1)
    desk.delivery.block(noon + 10**9, "Planhat answered 401")
    assert desk.look(now_ms=noon) == 0
    assert desk.look(now_ms=noon + 59_000) == 0
    assert desk.look(now_ms=noon + 60_000) == 2
    assert desk.look(now_ms=noon + 62_000) == 0
    assert send_all(desk, noon + 62_000) == 2
    assert posts.json[0]["text"].startswith("*Delivery is blocked: Planhat answered 401*\n")
    [(sender, to, mail)] = mails.mails
    assert (sender, to) == ("relay@example.com", ["a@example.com", "b@example.com"])
    assert "Delivery is blocked" in mail["subject"]
    assert "RELAY_PLANHAT_TOKEN" in mail.as_string().replace("=\r\n", "").replace("=\n", "")
    desk.delivery.reopen(noon + 70_000)
    assert desk.look(now_ms=noon + 70_000) == 0
    # A gap shorter than 30 s is none.
    desk.delivery.block(noon + 10**9, "Planhat answered 401")
    assert desk.look(now_ms=noon + 80_000) == 0
    desk.delivery.reopen(noon + 90_000)
    assert desk.look(now_ms=noon + 90_000) == 0
    assert desk.look(now_ms=noon + 121_000) == 2
    assert send_all(desk, noon + 122_000) == 2
    assert posts.json[1]["text"].startswith("*Over: Delivery is blocked")
    assert list_alerts([outbox], desk.config.alerts)["alerts"] == []


def test_what_waits_dies_is_damaged_and_ends_is_told(
    redis_client: redis.Redis, tmp_path: Path, posts: Posts
) -> None:
    shop = Shop(redis_client, tmp_path)
    desk = desk_of(shop.outbox, webhook_to(posts), about=("waiting", "new_cause", "damage", "token"))
    desk.config = Config(planhat=PlanhatConfig(token_expires="2027-01-20"), alerts=desk.config.alerts)
    shop.arrive("hello", ts="1.1", now_ms=NOON)
    shop.arrive("from ann@example.com", ts="2.1", number=2, now_ms=NOON)
    assert desk.look(now_ms=NOON + 1000) == 1, "the token ends on the fifth day from now"
    assert desk.look(now_ms=NOON + 901_000) == 1
    shop.bury("no company for ann@example.com", now_ms=NOON + 902_000)
    redis_client.hincrby(shop.outbox.prefix + keys.ledger("slack"), "accepted", 1)
    assert desk.look(["the file x is empty"], now_ms=NOON + 903_000) == 3
    assert desk.look(["the file x is empty"], now_ms=NOON + 904_000) == 0
    send_all(desk, NOON + 905_000)
    told = {event["data"]["title"]: event["data"] for event in posts.json}
    assert [event["data"]["kind"] for event in posts.json].count("damage") == 2
    titles = " ".join(told)
    assert "Planhat's token ends on 2027-01-20" in titles
    assert "The oldest event has waited since 2027-01-15T08:00:00" in titles
    assert "no company for <address>" in titles
    assert b"ann@example.com" not in b"".join(posts.bodies)
    verify_standard_webhooks(
        Inbound(body=posts.bodies[0], headers=posts.headers[0]), [SECRET], [], NOON / 1000 + 905
    )
    # A muted cause is over; nothing of it is told again while it is muted.
    mark_cause(shop.outbox, "no company", {"muted": True}, by="test")
    desk.look(now_ms=NOON + 906_000)
    desk.look(now_ms=NOON + 940_000)
    assert "new_cause" not in {
        row["kind"] for row in list_alerts([shop.outbox], desk.config.alerts)["alerts"]
    }


def test_many_new_causes_are_one_message(redis_client: redis.Redis, tmp_path: Path, posts: Posts) -> None:
    shop = Shop(redis_client, tmp_path)
    desk = desk_of(shop.outbox, webhook_to(posts), about=("new_cause",))
    for number in range(1, 31):
        shop.arrive(f"{number}", ts=f"{number}.1", number=number)
        shop.bury(f"cause {'x' * number}")
    assert desk.look(now_ms=NOON + 5000) == 1
    send_all(desk, NOON + 5000)
    assert "30 at once" in posts.json[0]["data"]["title"]
    assert posts.json[0]["data"]["text"].endswith("and 10 more")


# -- once ---------------------------------------------------------------------------------------------------------


def test_of_many_that_look_at_once_one_tells(redis_server_url: str, outbox: Outbox, posts: Posts) -> None:
    Delivery(outbox.redis).block(NOON + 10**9, "401")
    barrier = threading.Barrier(6)
    made: list[int] = []

    def look_and_send() -> None:
        with redis.Redis.from_url(redis_server_url) as client:
            desk = desk_of(Outbox(client), webhook_to(posts), blocked_for_s=0.0, about=("blocked",))
            barrier.wait()
            for at in range(20):
                made.append(desk.look(now_ms=NOON + at))
                send_all(desk, 0)

    threads = [threading.Thread(target=look_and_send) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    # Blocked, and nobody works.
    assert sum(made) == 2
    assert sorted(event["data"]["title"][:9] for event in posts.json) == ["Delivery ", "Nothing i"]


def test_a_message_that_was_taken_and_not_sent_is_sent_after_its_lease(outbox: Outbox, posts: Posts) -> None:
    desk = desk_of(outbox, webhook_to(posts), blocked_for_s=0.0)
    desk.delivery.block(NOON + 10**9, "401")
    give_sign(outbox, "w", "flush", due_s=10**6, started_ms=1)
    assert desk.look() == 1
    now_ms = outbox.now_ms()
    taken = AlertBook(outbox).take(now_ms=now_ms)
    assert taken
    assert not desk.send(now_ms=now_ms + LEASE_MS - 1)
    assert desk.send(now_ms=now_ms + LEASE_MS)
    assert posts.headers[0]["webhook-id"] == taken.message_id
    assert AlertBook(outbox).unsent() == 0


def test_a_channel_that_fails_is_tried_again_and_the_others_do_not_wait(
    outbox: Outbox, posts: Posts, mails: Mails
) -> None:
    posts.status = 500
    desk = desk_of(outbox, webhook_to(posts), mail_to(mails, "a@example.com"), blocked_for_s=0.0)
    desk.delivery.block(NOON + 10**9, "401")
    give_sign(outbox, "w", "flush", due_s=10**6, started_ms=1)
    desk.look()
    now_ms = outbox.now_ms()
    assert send_all(desk, now_ms) == 2
    assert len(mails.mails) == 1
    assert send_all(desk, now_ms + 4_000) == 0
    assert told_by(outbox, desk) == ({"webhook": (1, 1), "mail": (0, 0)}, [["webhook"]])
    posts.status = 200
    assert send_all(desk, now_ms + 5_000) == 1
    assert told_by(outbox, desk) == ({"webhook": (0, 0), "mail": (0, 0)}, [[]])
    assert AlertBook(outbox).unsent() == 0
    assert posts.headers[0]["webhook-id"] == posts.headers[1]["webhook-id"]


def test_relay_alerts_says_told_of_what_a_channel_took(
    outbox: Outbox, posts: Posts, redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "relay.yaml").write_text(
        "planhat: {types: [Slack thread]}\ncompanies: [default: extid-acme]\n"
        f"alerts: {{webhook: {{url: '{posts.url}', secret: {SECRET}}}, blocked_for: 0s, about: blocked}}\n"
    )
    monkeypatch.setenv("RELAY_CONFIG", str(tmp_path / "relay.yaml"))
    monkeypatch.setenv("RELAY_REDIS_URL", redis_url)

    def told() -> str:
        done = CliRunner().invoke(cli, ["alerts"])
        assert done.exit_code == 1
        return done.stdout

    posts.status = 500
    desk = desk_of(outbox, webhook_to(posts), blocked_for_s=0.0)
    desk.delivery.block(NOON + 10**9, "401")
    give_sign(outbox, "w", "flush", due_s=10**6, started_ms=1)
    desk.look()
    now_ms = outbox.now_ms()
    assert send_all(desk, now_ms) == 1
    assert "(1 message not sent yet, tried 1 time)" in told()
    assert "not told yet by webhook)" in told()
    posts.status = 200
    assert send_all(desk, now_ms + 60_000) == 1
    assert "not " not in told() and "(told 20" in told()


def test_the_end_is_told_after_its_beginning_whenever_the_channel_is_back(
    outbox: Outbox, posts: Posts, mails: Mails
) -> None:
    """By each channel: one that was away for minutes has neither "Over" before what is over, nor an old beginning after its end."""
    posts.status = 500
    desk = desk_of(outbox, webhook_to(posts), mail_to(mails, "a@example.com"), blocked_for_s=0.0)
    give_sign(outbox, "w", "flush", due_s=10**6, started_ms=1)
    noon = outbox.now_ms()
    desk.delivery.block(noon + 10**9, "401")
    desk.look(now_ms=noon)
    for second in range(0, 200, 5):
        send_all(desk, noon + second * 1000)
    desk.delivery.reopen(noon + 200_000)
    desk.look(now_ms=noon + 200_000)
    assert desk.look(now_ms=noon + 231_000) == 2
    send_all(desk, noon + 231_000)
    assert [mail["subject"][:22] for _, _, mail in mails.mails] == [
        "[planhat-relay] Delive",
        "[planhat-relay] Over: ",
    ]
    posts.status, failed = 200, len(posts.bodies)
    # What is new does not wait for the pause of what is old.
    desk.delivery.block(noon + 10**9, "403")
    assert desk.look(now_ms=noon + 240_000) == 2
    for late_ms in range(5):
        send_all(desk, noon + 240_000 + late_ms)
    told = [event["data"]["title"] for event in posts.json[failed:]]
    assert told == ["Delivery is blocked: 401", "Delivery is blocked: 401", "Delivery is blocked: 403"]
    assert [event["type"].rpartition(".")[2] for event in posts.json[failed:]] == [
        "firing", "resolved", "firing",
    ]  # fmt: skip
    assert AlertBook(outbox).unsent() == 0


def test_an_older_message_that_is_being_sent_is_waited_for_and_not_sent_twice(
    outbox: Outbox, posts: Posts
) -> None:
    desk = desk_of(outbox, webhook_to(posts), blocked_for_s=0.0)
    give_sign(outbox, "w", "flush", due_s=10**6, started_ms=1)
    noon = outbox.now_ms()
    desk.delivery.block(noon + 10**9, "401")
    desk.look(now_ms=noon)
    begun = AlertBook(outbox).take(now_ms=noon + 5_000)
    assert begun
    desk.delivery.reopen(noon + 6_000)
    desk.look(now_ms=noon + 6_000)
    assert desk.look(now_ms=noon + 40_000) == 1
    send_all(desk, noon + 40_000)
    assert posts.bodies == []
    AlertBook(outbox).sent(begun)
    send_all(desk, noon + 6_000 + LEASE_MS)
    assert [event["type"] for event in posts.json] == ["relay.alert.resolved"]


@pytest.mark.process
def test_a_supervisor_killed_while_it_tells_loses_nothing(
    redis_url: str, tmp_path: Path, posts: Posts
) -> None:
    """Two real supervisors; the one that is telling is killed, the other tells it again after the lease."""
    (tmp_path / "relay.yaml").write_text(
        "planhat: {types: [Slack thread]}\ncompanies: [default: extid-acme]\n"
        f"alerts: {{webhook: {{url: '{posts.url}', secret: {SECRET}}}, blocked_for: 0s, about: blocked}}\n",
        encoding="utf-8",
    )
    environ = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "RELAY_CONFIG": str(tmp_path / "relay.yaml"),
        "RELAY_REDIS_URL": redis_url,
        "RELAY_PLANHAT_URL": "http://127.0.0.1:9",
        "RELAY_PLANHAT_TOKEN": "t0ken",
    }
    client = redis.Redis.from_url(redis_url)
    outbox = Outbox(client)
    Delivery(client).block(outbox.now_ms() + 10**9, "401")
    posts.go_on.clear()
    workers = [
        subprocess.Popen([sys.executable, "-m", "workers"], env=environ, cwd=ROOT, start_new_session=True)
        for _ in range(2)
    ]
    try:
        assert posts.wait(1)
        held: Any = client.zrange(outbox.prefix + keys.ALERTS_UNSENT, -1, -1, withscores=True)
        assert held[0][1] > outbox.now_ms(), "one is taken, and not yet told"
        # Nobody knows which of them is telling: first one, then the other, and a third tells.
        for worker in workers:
            os.killpg(worker.pid, signal.SIGKILL)
            worker.wait()
        posts.go_on.set()
        unsent: Any = client.zrange(outbox.prefix + keys.ALERTS_UNSENT, 0, -1)
        client.zadd(outbox.prefix + keys.ALERTS_UNSENT, dict.fromkeys(unsent, 0))
        workers.append(
            subprocess.Popen([sys.executable, "-m", "workers"], env=environ, cwd=ROOT, start_new_session=True)
        )
        told = len(posts.bodies)
        assert posts.wait(told + 1)
        deadline = time.monotonic() + 10
        while AlertBook(outbox).unsent() and time.monotonic() < deadline:
            time.sleep(0.1)
        assert AlertBook(outbox).unsent() == 0
        blocked = [
            h["webhook-id"]
            for h, e in zip(posts.headers, posts.json, strict=True)
            if "blocked" in e["data"]["title"]
        ]
        assert blocked
        assert len(set(blocked)) == 1
        assert len(blocked) <= 2
    finally:
        for worker in workers:
            if worker.poll() is None:
                os.killpg(worker.pid, signal.SIGTERM)
                worker.wait(20)
        client.close()


# -- by which way -------------------------------------------------------------------------------------------------


@pytest.mark.simulated
def test_what_a_channel_cannot_do_is_a_sentence_without_secrets(posts: Posts, mails: Mails) -> None:
    def failure(channel: AlertChannel) -> str:
        with pytest.raises(AlertNotSent) as caught:
            AlertSender(timeout_s=0.7).send(channel, MESSAGE, now_s=NOON / 1000)
        return str(caught.value)

    def to(url: str) -> AlertChannel:
        return AlertChannel("slack", "slack", url=lambda: url)

    assert (
        failure(to("https://169.254.169.254/x")) == "the URL names an address that no receiver of alerts has"
    )
    assert "must begin with https://" in failure(to("http://hooks.example.com/secret"))
    assert failure(to("http://127.0.0.1:9/secret")) == "cannot be reached: ConnectError"
    posts.status = 307
    assert failure(to(posts.url)) == "answered 307", "a redirect is not followed"
    assert len(posts.bodies) == 1
    posts.go_on.clear()
    assert failure(to(posts.url)) == "no answer within 0.7 s"
    mails.refuses = "a@example.com"
    assert failure(mail_to(mails, "a@example.com")) == "the mail server refuses every recipient"
    assert (
        failure(mail_to(mails, "a@example.com", "b@example.com"))
        == "the mail server refused 1 of 2 recipients"
    )
    mails.silent = True
    began = time.monotonic()
    assert failure(mail_to(mails, "b@example.com")).startswith("the mail server cannot be used")
    assert time.monotonic() - began < 5


def test_a_mail_has_what_mailboxes_want_and_logs_in(mails: Mails) -> None:
    AlertSender().send(mail_to(mails, "a@example.com", login="relay:word"), MESSAGE, now_s=0)
    AlertSender().send(mail_to(mails, "a@example.com", login="relay:word"), MESSAGE, now_s=0)
    first, second = (mail for _, _, mail in mails.mails)
    assert first["message-id"] == second["message-id"] == "<alert_1@example.com>"
    assert first["auto-submitted"] == "auto-generated"
    assert base64.b64decode(mails.logins[0].split()[-1]) == b"\0relay\0word"


@pytest.mark.parametrize("end", [*"\n\r\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029", "\r\n"])
def test_a_title_of_several_lines_is_told_by_every_channel(end: str, posts: Posts, mails: Mails) -> None:
    """Whatever ends a line: a mail's subject may hold none of them, and the message would be tried for ever."""
    message = replace(MESSAGE, title=f"Planhat says: no{end}type", text=f"one{end}two\x00\x07")
    slack = AlertChannel("slack", "slack", url=lambda: posts.url)
    for channel in (slack, webhook_to(posts), mail_to(mails, "a@example.com")):
        AlertSender().send(channel, message, now_s=0)
    assert len(posts.bodies) == 2
    assert mails.mails[0][2]["subject"] == "[planhat-relay] Planhat says: no type"


def test_a_message_that_cannot_be_written_is_given_up_and_holds_no_other(
    outbox: Outbox, posts: Posts
) -> None:
    def unreadable() -> str:
        raise UserError("its file is gone")

    webhook = AlertChannel("webhook", "webhook", url=lambda: posts.url, secret=unreadable)
    desk = desk_of(outbox, webhook, blocked_for_s=0.0)
    give_sign(outbox, "w", "flush", due_s=10**6, started_ms=1)
    noon = outbox.now_ms()
    desk.delivery.block(noon + 10**9, "401")
    desk.look(now_ms=noon)
    assert send_all(desk, noon + 5_000) == 1
    assert send_all(desk, noon + 25 * 3600 * 1000) == 1
    assert (posts.bodies, AlertBook(outbox).unsent()) == ([], 0)


def test_slack_reads_no_markup_in_what_came_from_elsewhere(posts: Posts) -> None:
    AlertSender("https://relay.example.com").send(
        AlertChannel("slack", "slack", url=lambda: posts.url), MESSAGE, now_s=0
    )
    assert posts.json[0]["text"] == (
        "*It is &lt;blocked&gt;*\nMend &amp; go on.\nhttps://relay.example.com/console/"
    )


def test_each_channel_is_tried(posts: Posts, mails: Mails) -> None:
    posts.status = 404
    alerts = Alerts(channels=(webhook_to(posts), mail_to(mails, "a@example.com")))
    rows = try_channels(alerts, sender=AlertSender(), now_ms=NOON)
    assert [(row["channel"], row["ok"], row["error"]) for row in rows] == [
        ("webhook", False, "answered 404"),
        ("mail", True, None),
    ]
    assert mails.mails[0][2]["subject"].strip().startswith("[planhat-relay] Test: ")
