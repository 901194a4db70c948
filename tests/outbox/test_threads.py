"""Mails find their conversation, in whatever order they come and whatever comes at the same time."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count, permutations
from pathlib import Path

import pytest
import redis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from relay.outbox.items import balanced
from tests.limited import LIMITED
from tests.mailing import MailDesk, mail_house

_NUMBER = count()


@pytest.fixture
def desk(redis_client: redis.Redis, tmp_path: Path) -> MailDesk:
    return MailDesk(redis_client, mail_house(tmp_path))


def mail(name: str, *before: str, answers: str = "", **more: str) -> tuple[str, dict[str, str]]:
    """A mail's text, and its headers: `before` are its references, `answers` what it answers."""
    headers = {"Message-ID": f"<{name}@a.example>", **more}
    if before:
        headers["References"] = " ".join(f"<{one}@a.example>" for one in before)
    if answers:
        headers["In-Reply-To"] = f"<{answers}@a.example>"
    return f"m-{name}", headers


def one_conversation(desk: MailDesk, *names: str) -> None:
    desk.settle_threads()
    found = desk.conversations()
    assert sorted(found.values()) == [sorted(f"m-{name}" for name in names)]
    assert balanced(desk.books())


CASES = {
    "answers only, three deep": [
        mail("a"),
        mail("b", answers="a"),
        mail("c", answers="b"),
        mail("d", answers="c"),
    ],
    "the first reference is missing": [mail("a"), mail("b", "a"), mail("c", "b"), mail("d", "c", "b")],
    "the middle is missing": [mail("a"), mail("b", "a"), mail("d", "a", "c"), mail("e", "d")],
    "an agent's mail that nobody saw": [mail("a"), mail("b", "a", "agent"), mail("c", "agent", "b")],
    "an agent began it": [mail("b", answers="agent"), mail("c", "agent", "b"), mail("d", answers="c")],
    "two answers to one": [mail("a"), mail("b", answers="a"), mail("c", answers="a"), mail("d", answers="c")],
}


@pytest.mark.parametrize("case", CASES)
def test_a_thread_in_its_order_is_one_conversation_at_once(desk: MailDesk, case: str) -> None:
    for text, headers in CASES[case]:
        desk.arrive(text, headers)
    assert list(desk.conversations().values()) == [sorted(text for text, _ in CASES[case])]
    assert not desk.outbox.threads.moved(1)


@pytest.mark.parametrize("order", list(permutations(range(4))), ids=lambda order: "".join(map(str, order)))
@pytest.mark.parametrize("delivers", [False, True])
def test_a_thread_in_any_order_ends_as_one_conversation(
    desk: MailDesk, order: Sequence[int], delivers: bool
) -> None:
    thread = CASES["answers only, three deep"]
    for place in order:
        desk.arrive(*thread[place])
        if delivers:
            desk.deliver()
    one_conversation(desk, "a", "b", "c", "d")


def test_spellings_of_one_id_are_one_conversation(desk: MailDesk) -> None:
    root = "CAF+x=1@Mail.Example.COM"
    desk.arrive("m-a", {"Message-ID": f"<{root}>"})
    for n, spelling in enumerate(
        ["<CAF+x=1@mail.example.com>", "CAF+x=1@mail.example.com", "<CAF+x=1@mail.\r\n example.com>"]
    ):
        desk.arrive(f"m-{n}", {"Message-ID": f"<{n}@b>", "In-Reply-To": spelling})
    one_conversation(desk, "a", "0", "1", "2")


@pytest.mark.parametrize("value", ["<>", "reply", "<@>", "", "none", "<reply>"])
def test_what_is_no_id_brings_no_strangers_together(desk: MailDesk, value: str) -> None:
    for name in ("a", "b"):
        desk.arrive(f"m-{name}", {"Message-ID": f"<{name}@a>", "References": value, "In-Reply-To": value})
    assert sorted(desk.conversations().values()) == [["m-a"], ["m-b"]]


def test_exchange_without_references(desk: MailDesk) -> None:
    index = b"\x01\xd9" + bytes(20)
    desk.arrive("m-a", {"Message-ID": "<a@x>", "Thread-Index": b64encode(index).decode()})
    desk.arrive("m-b", {"Message-ID": "<b@x>", "Thread-Index": b64encode(index + b"12345").decode()})
    desk.arrive("m-c", {"Message-ID": "<c@x>", "Thread-Index": b64encode(b"\x01\xd9" + b"1" * 20).decode()})
    assert sorted(desk.conversations().values()) == [["m-a", "m-b"], ["m-c"]]


def test_a_ticket_in_the_subject(redis_client: redis.Redis, tmp_path: Path) -> None:
    desk = MailDesk(redis_client, mail_house(tmp_path, r", thread_subject: '\[#(\d+)\]'"))
    desk.arrive("m-a", {"Message-ID": "<a@x>"}, subject="Export fails")
    desk.arrive("m-b", {"Message-ID": "<b@x>", "In-Reply-To": "<a@x>"}, subject="Re: [#47] Export fails")
    desk.arrive("m-c", {"Message-ID": "<c@x>"}, subject="[#47] once more")
    desk.arrive("m-d", {"Message-ID": "<d@x>"}, subject="[#48] something else")
    desk.arrive("m-e", {"Message-ID": "<e@x>"}, subject="no number 47")
    assert sorted(desk.conversations().values()) == [["m-a", "m-b", "m-c"], ["m-d"], ["m-e"]]


def test_a_mail_that_names_two_conversations_joins_the_nearer_and_moves_neither(desk: MailDesk) -> None:
    """Whoever knows two ids must not be able to put two customers into one conversation."""
    desk.arrive(*mail("a"))
    desk.arrive(*mail("b"))
    desk.arrive(*mail("c", "a", "b"))
    desk.settle_threads()
    assert sorted(desk.conversations().values()) == [["m-a"], ["m-b", "m-c"]]


def test_who_claims_another_id_moves_nothing_that_is_settled(desk: MailDesk) -> None:
    desk.arrive(*mail("a"))
    desk.arrive(*mail("b"))
    desk.arrive(*mail("c", answers="b"))
    # A second mail under the id of the first, which says that it answers another.
    text, headers = mail("b", answers="a")
    desk.arrive("m-forged", headers)
    desk.settle_threads()
    assert ["m-b", "m-c"] in desk.conversations().values()
    assert text


def test_two_processes_that_know_nothing_of_each_other(desk: MailDesk) -> None:
    """Each has asked before the other has written."""
    running = [desk.steps(*mail("b", answers="a")), desk.steps(*mail("c", answers="b"))]
    for step in running:
        next(step)
        next(step)
    desk.arrive(*mail("a"))
    for step in running:
        for _ in step:
            pass
    one_conversation(desk, "a", "b", "c")


@dataclass(frozen=True)
class Tree:
    """`parents[n]` is what mail n answers, None for the first; `styles` how each says so."""

    parents: list[int | None]
    styles: list[str]


@st.composite
def trees(draw: st.DrawFn) -> Tree:
    size = draw(st.integers(1, 7))
    parents: list[int | None] = [None]
    parents += [draw(st.integers(0, n - 1)) for n in range(1, size)]
    styles = [draw(st.sampled_from(["answer", "all", "last", "ends", "both"])) for _ in range(size)]
    return Tree(parents, styles)


def headers_of(tree: Tree, number: int, label: str) -> dict[str, str]:
    line: list[int] = []
    at = tree.parents[number]
    while at is not None:
        line.insert(0, at)
        at = tree.parents[at]
    headers = {"Message-ID": f"<{label}{number}@a.example>"}
    named = {
        "answer": [],
        "all": line,
        "last": line[-2:],
        "ends": [*line[:1], *line[-2:]] if len(line) > 2 else line,
        "both": line,
    }[tree.styles[number]]
    if named:
        headers["References"] = " ".join(f"<{label}{one}@a.example>" for one in named)
    if line and tree.styles[number] in ("answer", "both"):
        headers["In-Reply-To"] = f"<{label}{line[-1]}@a.example>"
    return headers


@pytest.mark.skipif(LIMITED, reason="that user has one prefix")
@pytest.mark.simulated
@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(data=st.data(), first=trees(), second=trees())
def test_any_order_and_any_interleaving_ends_in_one_conversation_a_thread(
    redis_client: redis.Redis, tmp_path: Path, data: st.DataObject, first: Tree, second: Tree
) -> None:
    """What two threads' mails do at the same time, step by step, in any order, with deliveries in between."""
    desk = MailDesk(redis_client, mail_house(tmp_path), base=f"t{next(_NUMBER)}")
    mails = [("x", first, n) for n in range(len(first.parents))]
    mails += [("y", second, n) for n in range(len(second.parents))]
    waiting = data.draw(st.permutations(mails), label="order")
    running: list[Iterator[None]] = []
    while waiting or running:
        begins = waiting and ((len(running) < 3 and data.draw(st.booleans(), label="begins")) or not running)
        if begins:
            label, tree, number = waiting.pop()
            running.append(desk.steps(f"m-{label}{number}", headers_of(tree, number, label)))
        step = data.draw(st.sampled_from(running), label="step")
        if next(step, "over") == "over":
            running.remove(step)
        if data.draw(st.integers(0, 5), label="meanwhile") == 0:
            desk.deliver()
            if data.draw(st.booleans(), label="moves"):
                desk.settle_threads()
    desk.settle_threads()
    wanted = [sorted(f"m-x{n}" for n in range(len(first.parents)))]
    wanted += [sorted(f"m-y{n}" for n in range(len(second.parents)))]
    assert sorted(desk.conversations().values()) == sorted(wanted)
    assert balanced(desk.books())


def test_the_map_is_forgotten_when_the_conversation_is(desk: MailDesk) -> None:
    desk.arrive(*mail("a"))
    desk.arrive(*mail("b", answers="a"))
    keys = desk.outbox.redis.keys(desk.outbox.prefix + "thread*")
    assert keys
    assert all(0 < desk.outbox.redis.ttl(key) <= desk.outbox.retention.documents_s for key in keys)


def test_each_mail_keeps_its_thread_alive(desk: MailDesk) -> None:
    desk.arrive(*mail("a"))
    [root] = desk.outbox.redis.keys(desk.outbox.prefix + "thread:*")
    desk.outbox.redis.expire(root, 10)
    desk.arrive(*mail("b", answers="a"))
    assert desk.outbox.redis.ttl(root) > 10
