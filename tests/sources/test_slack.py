"""Slack: what each kind of message becomes, what is skipped, and in which order edits and deletions stand."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.errors import NotAuthentic, PayloadInvalid
from relay.event import Event
from relay.source_options import SourceOptions
from relay.sources.base import Inbound, Parsed, Sample, Skipped
from relay.sources.providers.slack import Slack
from relay.sources.read.slack_markup import render_html, render_text
from tests.places import PAYLOADS

MINE = PAYLOADS / "slack"
NOW_S = 1_772_600_600.0
ROOT = "C7SUPPORT-1772600400.000100"


def slack(*keep: str) -> Slack:
    return Slack(
        SourceOptions(
            name="slack", adapter="slack", secrets=lambda: ["a-signing-secret"], keep=frozenset(keep)
        )
    )


def request(name: str, **headers: str) -> Inbound:
    return Inbound((MINE / f"{name}.json").read_bytes(), {"content-type": "application/json", **headers})


def parsed(name: str, *keep: str) -> Parsed:
    (found,) = slack(*keep).parse(request(name), now_s=NOW_S)
    return found


def event(name: str, *keep: str) -> Event:
    found = parsed(name, *keep)
    assert isinstance(found, Event), found
    return found


def reason(name: str, *keep: str) -> str:
    found = parsed(name, *keep)
    assert isinstance(found, Skipped), found
    return found.reason


def test_a_message_starts_a_thread_named_by_channel_and_ts() -> None:
    found = event("message")
    assert found.kind == "message.created"
    assert found.thread == found.message_id == ROOT
    assert found.version == 1_772_600_400_000_100
    assert found.time == "2026-03-04T05:00:00.000Z"
    assert (found.sender.id, found.sender.bot) == ("U7ANA", False)
    assert found.channel.id == "C7SUPPORT"
    assert found.delivery_id == "Ev7ROOT"
    assert found.url == "https://slack.com/archives/C7SUPPORT/p1772600400000100"


def test_text_is_readable_and_html_is_safe() -> None:
    found = event("message")
    assert found.text == (
        "Our *export* fails since this morning & nobody can log in. "
        "See the status page (https://status.example.com/i/7), <@U7BEN>"
    )
    assert "<strong>export</strong>" in found.html
    assert (
        '<a href="https://status.example.com/i/7" rel="noopener noreferrer nofollow">the status page</a>'
        in found.html
    )
    assert found.html.endswith("@U7BEN")


@pytest.mark.parametrize("name", ["thread_reply", "thread_broadcast"])
def test_a_reply_belongs_to_its_roots_thread(name: str) -> None:
    found = event(name)
    assert found.thread == ROOT
    assert found.message_id != ROOT
    assert found.kind == "message.created"


def test_an_edit_changes_the_message_it_edits_and_is_newer_though_edited_ts_counts_whole_seconds() -> None:
    created, edited = event("message"), event("message_changed")
    assert edited.kind == "message.updated"
    assert (edited.message_id, edited.thread) == (created.message_id, created.thread)
    assert edited.text == "Our import fails"
    assert edited.version == 1_772_600_400_900_400 > created.version


@pytest.mark.parametrize("name", ["unfurl", "unfurl_of_an_edited_message"])
def test_an_unfurled_link_is_no_edit(name: str) -> None:
    assert reason(name) == "unfurl"


def test_a_deletion_names_the_message_and_keeps_its_thread_and_author() -> None:
    created, deleted = event("thread_reply"), event("message_deleted")
    assert deleted.kind == "message.deleted"
    assert (deleted.message_id, deleted.thread) == (created.message_id, ROOT)
    assert deleted.sender.id == "U7BEN"
    assert deleted.text == deleted.html == ""
    assert deleted.version > created.version


def test_the_tombstone_of_a_root_with_replies_is_a_deletion() -> None:
    found = event("tombstone_of_a_root")
    assert (found.kind, found.message_id, found.thread) == ("message.deleted", ROOT, ROOT)
    assert found.sender.id == "U7ANA"


def test_shared_files_are_listed() -> None:
    (file,) = event("file_share").attachments
    assert (file.name, file.type, file.size) == ("export.log", "text/plain", 4711)
    assert file.url.endswith("/F7LOG/export.log")


@pytest.mark.parametrize("name", ["bot_classic", "bot_modern"])
def test_bots_are_skipped_unless_they_are_kept(name: str) -> None:
    assert reason(name) == "bot"
    kept = event(name, "bots")
    assert kept.sender.bot
    assert kept.sender.name == "deployer"


def test_a_mention_and_its_message_are_known_as_the_same_thing() -> None:
    mention, message = event("app_mention"), event("message")
    assert mention.id != message.id
    assert set(mention.also_seen) & set(message.also_seen)
    assert mention.kind == "message.created"


def test_a_message_seen_from_two_workspaces_is_known_as_the_same_thing() -> None:
    ours, theirs = event("message"), event("shared_channel")
    assert set(ours.also_seen) & set(theirs.also_seen)
    assert theirs.sender.name == "Cleo Partner"


def test_an_edit_and_a_deletion_are_not_taken_for_their_message() -> None:
    names = ["message", "message_changed", "message_deleted", "tombstone_of_a_root", "thread_reply"]
    seen = [key for name in names for key in event(name).also_seen]
    assert len(set(seen)) == len(names)


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("rate_limited", "rate_limited"),
        ("app_uninstalled", "lifecycle"),
        ("reaction", "type"),
        ("channel_join", "subtype"),
        ("url_verification", "handshake"),
    ],
)
def test_what_nobody_said_is_skipped_with_a_reason(name: str, why: str) -> None:
    assert reason(name) == why


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"payload=%7B%22type%22%3A%22block_actions%22%7D", "interactivity"),
        (b"token=x&command=%2Frelay&text=hi", "slash_command"),
        (b"token=x&service_id=1&text=hi", "form"),
    ],
)
def test_forms_are_genuine_and_skipped(body: bytes, why: str) -> None:
    form = Inbound(body, {"content-type": "application/x-www-form-urlencoded; charset=utf-8"})
    assert slack().parse(form, now_s=NOW_S) == [Skipped(why)]
    assert slack().handshake(form, now_s=NOW_S) is None


def test_the_handshake_is_verified_and_echoes_the_challenge() -> None:
    adapter = slack()
    bare = request("url_verification")
    with pytest.raises(NotAuthentic):
        adapter.verify(bare, now_s=NOW_S)
    signed = adapter.sign(Sample(bare.body, bare.headers), now_s=NOW_S, url="")
    adapter.verify(Inbound(signed.body, signed.headers), now_s=NOW_S)
    reply = adapter.handshake(Inbound(signed.body, signed.headers), now_s=NOW_S)
    assert reply is not None
    assert (reply.status, reply.body) == (200, b"sample-challenge-0042")


def test_a_message_that_speaks_of_url_verification_is_a_message() -> None:
    body = (MINE / "message.json").read_bytes().replace(b"Our *export*", b"url_verification")
    assert slack().handshake(Inbound(body, {}), now_s=NOW_S) is None
    (found,) = slack().parse(Inbound(body, {}), now_s=NOW_S)
    assert isinstance(found, Event)


@pytest.mark.parametrize(
    "ts", ["", "NaN", "1e9", "-1.000000", "1772600400.0000001", "1772600400,1", "٣.1", "9" * 13]
)
def test_a_ts_that_is_no_ts_names_its_place(ts: str) -> None:
    body = (MINE / "message.json").read_bytes().replace(b"1772600400.000100", ts.encode())
    with pytest.raises(PayloadInvalid, match=r"^event\.ts: wanted"):
        slack().parse(Inbound(body, {}), now_s=NOW_S)


def test_a_retry_is_the_same_event() -> None:
    first = slack().parse(request("message"), now_s=NOW_S)
    retried = request("message", **{"x-slack-retry-num": "1", "x-slack-retry-reason": "http_timeout"})
    assert slack().parse(retried, now_s=NOW_S + 60) == first


def test_a_source_without_a_signing_secret_is_refused() -> None:
    with pytest.raises(ValueError, match="secrets"):
        Slack(SourceOptions(name="slack", adapter="slack"))


@pytest.mark.parametrize(
    ("raw", "text", "html"),
    [
        ("a &lt;b&gt; &amp;amp;", "a <b> &amp;", "a &lt;b&gt; &amp;amp;"),
        ("<!channel> <!subteam^S1|@sales>", "@channel @sales", "@channel @sales"),
        ("<!date^1772600400^{date}|4 March>", "4 March", "4 March"),
        ("<#C1|general> <#C2>", "#general <#C2>", "#general #C2"),
        ("<@U1|ana>", "@ana", "@ana"),
        ("<mailto:a@example.com|a@example.com>", "a@example.com", None),
        ("<https://x.example>", "https://x.example", None),
        ("<https://x.example|x.example>", "https://x.example", None),
        ("<javascript:alert(1)|click>", "click (javascript:alert(1))", "click"),
        ('<https://x.example/"onmouseover=|x>', 'x (https://x.example/"onmouseover=)', None),
        ("1 < 2 and *bold*", "1 < 2 and *bold*", "1 &lt; 2 and <strong>bold</strong>"),
        (
            "_it_ ~no~ `a*b*c` snake_case_name",
            None,
            "<em>it</em> <s>no</s> <code>a*b*c</code> snake_case_name",
        ),
        ("two\nlines", "two\nlines", "two<br>lines"),
        ("<https://x.example/a_b_c|l>", None, None),
        ("<unclosed", "<unclosed", "&lt;unclosed"),
    ],
)
def test_slacks_markup_becomes_text_and_html(raw: str, text: str | None, html: str | None) -> None:
    assert text is None or render_text(raw) == text
    assert html is None or render_html(raw) == html
    assert "<script" not in render_html(raw)
    assert 'href="javascript' not in render_html(raw)


@given(st.text(alphabet="<>@#!|*_~`&;\n\x00 ahtps:/.\"'", max_size=200))
def test_any_text_becomes_html_with_no_tag_of_the_writers(raw: str) -> None:
    html = render_html(raw)
    tags = {part.split(">")[0].split(" ")[0].strip("/") for part in html.split("<")[1:]}
    assert tags <= {"a", "br", "strong", "em", "s", "code", "pre"}


@pytest.mark.parametrize("char", ["<", "*", "_", "~", "`", "<a|", "* ", "&lt;", "```"])
def test_a_long_hostile_text_takes_linear_time(char: str) -> None:
    raw = char * (200_000 // len(char))
    began = time.process_time()
    render_html(raw)
    render_text(raw)
    assert time.process_time() - began < 2
