"""What Planhat's editor would keep of a description: nothing of the safe set is touched, the rest is told."""

from __future__ import annotations

import gc
import re
import time
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.planhat.sandbox import NO_QUOTAS, create_sandbox
from relay.planhat.sandbox.editor import as_edited
from relay.planhat.sandbox.server import running
from tests.growth import assert_in_step

ITEM = '<li class="ph-editor__list-item"><p>{}</p></li>'
BULLETS = f'<ul class="ph-editor__bullet-list">{ITEM.format("one")}{ITEM.format("<strong>two</strong>")}</ul>'
NUMBERS = f'<ol class="ph-editor__ordered-list">{ITEM.format("one")}</ol>'
NESTED = f'<ul class="ph-editor__bullet-list"><li class="ph-editor__list-item"><p>a</p>{NUMBERS}</li></ul>'


@pytest.mark.parametrize(
    "safe",
    [
        "",
        "<p>Hello there</p>",
        "<p>one</p><p></p><p>two</p>",
        "<p>a<br>b</p>",
        "<p>a</p><hr><p>b</p>",
        "<p><strong>bold</strong> and <em>soft</em> and <strong><em>both</em></strong></p>",
        '<p>see <a href="https://example.com/?a=1&amp;b=2">this</a></p>',
        "<blockquote><p>quoted</p><p>more</p></blockquote>",
        BULLETS,
        NUMBERS,
        NESTED,
        '<table><tbody><tr><td data-colwidth="100"><p>a</p></td><td data-colwidth="100"><p>b</p></td></tr></tbody></table>',
        "<p>1 &lt; 2 &amp; 3 &gt; 2, “quoted”, é, 漢字 👾</p>",
    ],
)
def test_the_safe_set_is_kept_to_the_letter(safe: str) -> None:
    view = as_edited(safe)
    assert (view.html, view.notes, view.words_lost, view.faithful) == (safe, (), (), True)


@pytest.mark.parametrize(
    ("sent", "kept", "kinds"),
    [
        ("just words", "<p>just words</p>", []),
        ("<p>a <b>b</b>  <i>c</i></p>", "<p>a <strong>b</strong> <em>c</em></p>", []),
        ("one\ntwo", "<p>onetwo</p>", ["mangled"]),
        ("<p>a</p>\r\n<p>b</p>", "<p>a</p><p></p><p>b</p>", ["mangled"]),
        ("<h2>Head</h2>text", "<p>Head</p><p>text</p>", ["plain"]),
        ("<div>a<div>b</div></div>c", "<p>a</p><p>b</p><p>c</p>", ["plain"]),
        ('<div style="margin:1em">a</div>', "<p></p><p>a</p><p></p>", ["mangled"]),
        ("<blockquote>bare</blockquote>", "<blockquote><p>bare</p></blockquote>", ["plain"]),
        ("<p><u>u</u><code>c</code></p>", "<p>uc</p>", ["plain", "plain"]),
        ("<p>a<hr>b</p>", "<p>a</p><hr><p>b</p><p></p>", []),
        ("<strong><p>a</p>b</strong>", "<p><strong>a</strong></p><p><strong>b</strong></p>", []),
        ('<p><a href="javascript:alert(1)">x</a></p>', "<p>x</p>", ["plain"]),
        ("<p>a<script>alert(1)</script><style>p{}</style></p>", "<p>a</p>", []),
        ("<li>stray</li>", "<p>stray</p>", ["mangled"]),
        ("<p>unclosed <b>tags", "<p>unclosed <strong>tags</strong></p>", []),
    ],
)
def test_what_is_outside_of_it_becomes_something_else(sent: str, kept: str, kinds: list[str]) -> None:
    view = as_edited(sent)
    assert view.html == kept
    assert [note.kind for note in view.notes] == kinds
    assert view.faithful == ("mangled" not in kinds)
    assert view.words_lost == ()


@pytest.mark.parametrize(
    ("sent", "lost"),
    [
        ("<ul><li>one thing</li><li><p>two</p></li></ul>", ["one", "thing", "two"]),
        ('<ul class="ph-editor__bullet-list"><li class="ph-editor__list-item">one</li></ul>', ["one"]),
        (f"<ul>{ITEM.format('one')}</ul>", ["one"]),
        ('<ul class="ph-editor__bullet-list"><li><p>one</p></li></ul>', ["one"]),
        ("<ul>loose<li>one</li></ul>", ["loose", "one"]),
        ('<p>a<img src="x.png" alt="a cat"></p>', ["a", "cat"]),
        ("<table><caption>What for</caption><tr><td>a</td></tr></table>", ["What", "for"]),
        ("<svg><text>drawn</text></svg>", ["drawn"]),
    ],
)
def test_words_that_are_lost_are_named(sent: str, lost: list[str]) -> None:
    view = as_edited(sent)
    assert list(view.words_lost) == lost
    assert not view.faithful
    assert "lost" in {note.kind for note in view.notes}


def test_a_table_that_is_not_the_editors_own_gets_an_empty_row_after_each_row() -> None:
    view = as_edited("<table><thead><tr><th>a</th><th>b</th></tr></thead><tr><td>c</td></tr></table>")
    rows = re.findall(r"<tr>(.*?)</tr>", view.html)
    assert [re.findall(r"<p>(.*?)</p>", row) for row in rows] == [["a", "b"], ["", ""], ["c"], [""]]
    assert [note.kind for note in view.notes] == ["mangled"]


def test_quotes_and_lists_deeper_than_any_persons_are_taken_out_with_their_words_kept() -> None:
    view = as_edited("<blockquote>" * 5_000 + "deep")
    assert "deep" in view.html
    assert view.html.count("<blockquote>") < 50
    assert not view.faithful


# ---- properties

_TAGS = [
    "p",
    "b",
    "em",
    "a",
    "ul",
    "ol",
    "li",
    "table",
    "tr",
    "td",
    "div",
    "h1",
    "blockquote",
    "br",
    "hr",
    "span",
    "img",
]
_PIECES = st.one_of(
    st.sampled_from([f"<{tag}>" for tag in _TAGS] + [f"</{tag}>" for tag in _TAGS]),
    st.sampled_from(
        [BULLETS, NUMBERS, '<div style="x">', '<a href="https://x.example">', "&nbsp;", "<!-- c -->"]
    ),
    st.text(alphabet="ab <>&\n\t\"'é", max_size=6),
)
MARKUP = st.lists(_PIECES, max_size=25).map("".join)


@given(MARKUP)
def test_what_the_editor_has_kept_it_keeps(markup: str) -> None:
    once = as_edited(markup)
    again = as_edited(once.html)
    assert again.html == once.html
    assert again.faithful
    assert again.words_lost == ()


@given(MARKUP)
def test_every_word_is_kept_or_named_as_lost(markup: str) -> None:
    markup = markup.replace("\n", " ")
    view = as_edited(markup)
    kept = re.sub(r"<[^>]*>", " ", view.html).replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
    letters = "".join([*kept.split(), *view.words_lost])
    for letter in "abé":
        assert letters.count(letter) == _text_of(markup).count(letter)


def _text_of(markup: str) -> str:
    from selectolax.lexbor import LexborHTMLParser

    body = LexborHTMLParser(markup).body
    return "" if body is None else body.text(deep=True)


@given(MARKUP)
def test_what_is_kept_is_one_line_of_the_editors_own_tags(markup: str) -> None:
    kept = as_edited(markup).html
    assert "\n" not in kept
    tags = set(re.findall(r"</?([a-z0-9]+)", kept))
    assert tags <= {
        *("p", "br", "hr", "strong", "em", "a", "blockquote", "ul", "ol", "li", "table", "tbody", "tr", "td"),
    }


@pytest.mark.parametrize(
    "piece",
    [
        "<p>word </p>",
        "word ",
        "a\n",
        "a",
        "<div>",
        "<b>",
        "<div style=x>",
        "<ul><li>x",
        "<table><tr><td>x",
        "<a ",
        "</p>",
    ],
)
def test_twice_the_text_takes_about_twice_the_time(piece: str) -> None:
    def cpu_s(size: int) -> float:
        text = piece * (size // len(piece))
        as_edited.cache_clear()
        began = time.process_time()
        as_edited(text)
        return time.process_time() - began

    gc.disable()
    try:
        assert_in_step(cpu_s, 50_000, slack_s=0.002)
    finally:
        gc.enable()


# ---- over HTTP


def test_any_text_and_any_conversation_can_be_asked_about(http: httpx.Client) -> None:
    answer: dict[str, Any] = http.post(
        "/_sandbox/editor", json={"description": "<ul><li>one</li></ul>"}
    ).json()
    assert (answer["words_lost"], answer["faithful"]) == (["one"], False)
    assert answer["tree"] == [
        [
            "ul",
            {"class": "ph-editor__bullet-list"},
            [["li", {"class": "ph-editor__list-item"}, [["p", {}, []]]]],
        ]
    ]
    item = {"companyId": "extid-acme", "externalId": "a", "description": "one\ntwo"}
    http.put("/conversations", json=[item])
    assert http.get("/_sandbox/editor", params={"key": "extid-a"}).json()["html"] == "<p>onetwo</p>"
    assert http.get("/_sandbox/editor", params={"key": "extid-b"}).status_code == 404
    for bad in (b"", b"[]", b'{"description": 7}'):
        assert http.post("/_sandbox/editor", content=bad).status_code == 400
    [row] = http.get("/_sandbox/conversations", params={"editor": "1"}).json()
    assert row["_sandbox"]["editor"]["faithful"] is False
    [row] = http.get("/_sandbox/conversations").json()
    assert "editor" not in row["_sandbox"]
    assert http.get("/conversations/extid-a").json()["description"] == "one\ntwo"


def test_a_strict_sandbox_gives_back_what_the_editor_would_keep() -> None:
    item = {
        "companyId": "extid-acme",
        "externalId": "a",
        "description": "<h1>Head</h1><ul><li>gone</li></ul>",
    }
    with (
        running(create_sandbox(quotas=NO_QUOTAS, strict_editor=True)) as url,
        httpx.Client(base_url=url, headers={"Authorization": "Bearer t"}, trust_env=False) as http,
    ):
        assert http.put("/conversations", json=[item]).status_code == 200
        read = http.get("/conversations/extid-a").json()
        assert read["description"] == as_edited(item["description"]).html
        assert read["snippet"] == "Head"
        [row] = http.get("/_sandbox/conversations", params={"externalId": "a"}).json()
        assert row["description"] == item["description"]
        assert row["_sandbox"]["editor"]["words_lost"] == ["gone"]
        assert http.put("/conversations", json=[item]).json()["nonupdates"] == 1
