"""Any text or HTML becomes one line that Planhat's editor keeps, and no word is lost."""

from __future__ import annotations

import gc
import html
import re
import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from selectolax.lexbor import LexborHTMLParser

from relay.description import plain_text, safe_html, words_of_html
from relay.description.quick import is_bare, quick_html
from relay.planhat.sandbox.editor import as_edited
from tests.growth import assert_in_step

ITEM = '<li class="ph-editor__list-item">{}</li>'
BULLETS = '<ul class="ph-editor__bullet-list">{}</ul>'
NUMBERS = '<ol class="ph-editor__ordered-list">{}</ol>'


@pytest.mark.parametrize(
    ("given_", "safe"),
    [
        ("", ""),
        ("hello", "hello"),
        ("a & b < c > d", "a &amp; b &lt; c &gt; d"),
        ("R&amp;D", "R&amp;D"),
        ("use &lt;b&gt; here", "use &lt;b&gt; here"),
        ("one\ntwo", "<p>one<br>two</p>"),
        ("one\r\n\r\n\r\ntwo\n", "<p>one</p><p>two</p>"),
        ("a\u2028b\x0bc\x85d", "<p>a<br>b<br>c<br>d</p>"),
        ("bell\x07 and\x00 nothing", "bell and nothing"),
        ("<p>a <b>b</b> <i>c</i></p>", "<p>a <strong>b</strong> <em>c</em></p>"),
        ("<p>a\nb</p>\n\n<p>c</p>", "<p>a b</p><p>c</p>"),
        ("<p>a<br><br><br>b<br></p>", "<p>a</p><p>b</p>"),
        ("<p><strong>Ann</strong>, now</p>text<br>more", "<p><strong>Ann</strong>, now</p><p>text<br>more</p>"),
        ("<p>&nbsp;</p><p></p><p> <br> </p>x", "<p>x</p>"),
        ("<div>a<div>b</div></div>c", "<p>a</p><p>b</p><p>c</p>"),
        ('<div style="margin:9em">a</div>', "<p>a</p>"),
        ("<h1>Head</h1>text", "<p><strong>Head</strong></p><p>text</p>"),
        ("<p>a<hr>b</p>", "<p>a</p><hr><p>b</p>"),
        ("<blockquote>q<blockquote>r</blockquote></blockquote>",
         "<blockquote><p>q</p><blockquote><p>r</p></blockquote></blockquote>"),
        ("<p>an <u>u</u>, <code>c</code></p>", "<p>an u, c</p>"),
        ("<strong><p>a</p>b</strong>", "<p><strong>a</strong></p><p><strong>b</strong></p>"),
        ("<em>a<strong>b</strong></em>", "<p><em>a</em><strong><em>b</em></strong></p>"),
        ("<pre>if x:\n    y()</pre>", "<p>if x:<br>\xa0\xa0\xa0\xa0y()</p>"),
        ("<script>x</script>a<style>b</style><template>c</template>", "<p>a</p>"),
        ('<p style="display: none">hidden</p>shown', "<p>shown</p>"),
        ("<p>unclosed <b>tags", "<p>unclosed <strong>tags</strong></p>"),
        ("<dl><dt>T</dt><dd>D</dd></dl>", "<p><strong>T</strong></p><p>D</p>"),
    ],
)  # fmt: skip
def test_text_and_blocks(given_: str, safe: str) -> None:
    assert safe_html(given_) == safe


@pytest.mark.parametrize(
    ("given_", "safe"),
    [
        ("<ul><li>one<li>two</ul>", BULLETS.format(ITEM.format("<p>one</p>") + ITEM.format("<p>two</p>"))),
        ("<ol><li><p>a</p><p>b</p></li></ol>", NUMBERS.format(ITEM.format("<p>a</p><p>b</p>"))),
        ("<ul><li>a<ol><li>b</ol></ul>",
         BULLETS.format(ITEM.format("<p>a</p>" + NUMBERS.format(ITEM.format("<p>b</p>"))))),
        ("<ul>loose<li>a</li></ul>", BULLETS.format(ITEM.format("<p>loose</p>") + ITEM.format("<p>a</p>"))),
        ("<ul><li><blockquote>q</blockquote></ul>",
         BULLETS.format(ITEM.format("<p></p><blockquote><p>q</p></blockquote>"))),
        ("<ul><li></li></ul>after", "<p>after</p>"),
        ("<li>stray</li>", "<p>stray</p>"),
        (BULLETS.format(ITEM.format("<p>kept</p>")), BULLETS.format(ITEM.format("<p>kept</p>"))),
    ],
)  # fmt: skip
def test_lists_are_the_editors_own(given_: str, safe: str) -> None:
    assert safe_html(given_) == safe


ROW = "<tr><td>{}</td><td>{}</td></tr>"


@pytest.mark.parametrize(
    ("given_", "safe"),
    [
        (f"<table>{ROW.format('Order', '42')}{ROW.format('Total:', '<b>7</b>')}</table>",
         "<p>Order: 42<br>Total: <strong>7</strong></p>"),
        (f"<table><tr><th>Item</th><th>Qty</th></tr>{ROW.format('Pen', '2')}{ROW.format('Ink', '')}</table>",
         "<p>Item: Pen<br>Qty: 2</p><p>Item: Ink<br>Qty:</p>"),
        ("<table><tr><td>a</td><td>b</td><td>c</td></tr></table>", "<p>a | b | c</p>"),
        ("<table><caption>What</caption><tr><th>a</th><td>b</td></tr></table>", "<p>What</p><p>a: b</p>"),
        (f"<table>{ROW.format('Address', '<p>Street 1</p><p>Town</p>')}</table>",
         "<p>Address: Street 1, Town</p>"),
        (f"<table>{ROW.format('<h1>Head</h1>', '<p>side</p>')}</table>",
         "<p><strong>Head</strong></p><p>side</p>"),
        (f"<table role=presentation>{ROW.format('a', 'b')}</table>", "<p>a</p><p>b</p>"),
        ("<table><tr><td>only</td></tr><tr><td>one</td></tr></table>", "<p>only</p><p>one</p>"),
        ("<table></table>x", "<p>x</p>"),
    ],
)  # fmt: skip
def test_tables_are_lines(given_: str, safe: str) -> None:
    assert safe_html(given_) == safe


@pytest.mark.parametrize(
    ("given_", "safe"),
    [
        ('<a href="https://e.com/?a=1&amp;b=2">x</a>', '<p><a href="https://e.com/?a=1&amp;b=2">x</a></p>'),
        ('<a href="MAILTO:a@e.com">x</a>', '<p><a href="MAILTO:a@e.com">x</a></p>'),
        ('<a href="//e.com/x">x</a>', '<p><a href="https://e.com/x">x</a></p>'),
        ('<a href="javascript:alert(1)">x</a>', "<p>x</p>"),
        ('<a href=" java\nscript:alert(1)">x</a>', "<p>x</p>"),
        ('<a href="data:text/html,x">x</a>', "<p>x</p>"),
        ('<a href="/relative">x</a>', "<p>x</p>"),
        ('<p><a href="javascript://e.com">x</a></p>', "<p>x</p>"),
        ('a<img src="https://e.com/p/cat%20x.png">b', '<p>a <a href="https://e.com/p/cat%20x.png">cat x.png</a> b</p>'),
        ('<img src="https://e.com/1" alt="a cat">', '<p><a href="https://e.com/1">a cat</a></p>'),
        ('<img src="cid:7" alt="logo"> <img src="data:image/png;base64,xx">', "<p>logo image</p>"),
        ('<a href="https://e.com"><img src="https://e.com/i.png" alt="i"></a>', '<p><a href="https://e.com">i</a></p>'),
        ('<img src="https://e.com/track" width="1" height="1">x', "<p>x</p>"),
        ('<iframe src="https://e.com/film"></iframe>', '<p><a href="https://e.com/film">https://e.com/film</a></p>'),
    ],
)  # fmt: skip
def test_links_are_safe_and_images_are_links(given_: str, safe: str) -> None:
    assert safe_html(given_) == safe


@pytest.mark.parametrize(
    ("given_", "safe"),
    [
        ("List<String> of <ann@example.com>", "List&lt;String&gt; of &lt;ann@example.com&gt;"),
        ("<p>see <https://e.com/?a=1&copy=2></p>", "<p>see &lt;https://e.com/?a=1&amp;copy=2&gt;</p>"),
        ("http://e.com/?a=1&copy=2", "http://e.com/?a=1&amp;copy=2"),
        ("<p>1 <2 and 3</p>", "<p>1 &lt;2 and 3</p>"),
        ("<p>ends in <b", "<p>ends in &lt;b</p>"),
        ("<p>a</ p>b</p>", "<p>a&lt;/ p&gt;b</p>"),
        ("<p>a<?php b ?></p>", "<p>a&lt;?php b ?&gt;</p>"),
        ("<p>a<o:p>b</o:p><!--[if mso]>c<![endif]--></p>", "<p>ab</p>"),
    ],
)
def test_what_only_looks_like_a_tag_is_text(given_: str, safe: str) -> None:
    assert safe_html(given_) == safe


def test_what_is_too_deep_for_a_parser_keeps_its_words() -> None:
    nested = "<div>" * 1_000 + "deep <b>down</b>" + "</div>" * 1_000 + "x"
    assert safe_html(nested) == "<p>deep down</p><p>x</p>"
    assert words_of_html(safe_html("<ul><li>" * 60 + "deep")) == ["deep"]


# ---- properties

_TAGS = re.findall(
    r"\w+",
    "p b em a ul ol li table tr td th caption div h1 blockquote br hr span pre code u dl dt dd center font",
)
_PIECES = st.one_of(
    st.sampled_from([f"<{tag}>" for tag in _TAGS] + [f"</{tag}>" for tag in _TAGS]),
    st.sampled_from([
        '<a href="https://e.com/x">', '<a href="javascript:x">', '<div style="x">', "&nbsp;", "&amp;", "&lt;", "<!-- c -->",
        "\r\n", "\n\n", "<br><br>", '<img src="https://e.com/i.png">', BULLETS.format(ITEM.format("<p>b</p>")),
        "<p><b>a</b>: ", "<table><tr><td>a</td><td>b</td></tr></table>",
    ]),
    st.text(alphabet="ab &\n\t\"'é\u2028", max_size=6),
)  # fmt: skip
MARKUP = st.lists(_PIECES, max_size=25).map("".join)
ANY = st.one_of(MARKUP, st.text(max_size=60), st.text(alphabet="<>/!?&;abp \n", max_size=40))


@given(ANY)
@example("<ul><li><ul><li>a")
@example("<table><tr><td><td>a")
@example("&nbsp;\r\n&nbsp;")
@example("&nbsp;<br><br>")
@example("<p>a<br><br>&nbsp;</p>")
def test_doing_it_twice_is_doing_it_once(markup: str) -> None:
    once = safe_html(markup)
    assert safe_html(once) == once


@given(ANY)
def test_the_editor_keeps_all_of_it(markup: str) -> None:
    safe = safe_html(markup)
    view = as_edited(safe)
    assert view.faithful
    assert view.words_lost == ()
    assert words_of_html(view.html) == words_of_html(safe)


@given(ANY)
def test_it_is_one_line_of_the_editors_tags_alone(markup: str) -> None:
    safe = safe_html(markup)
    assert len(safe.splitlines()) <= 1
    tags = set(re.findall(r"<(/?[a-zA-Z][^ >]*)", safe))
    known = {"p", "strong", "em", "a", "blockquote", "ul", "ol", "li"}
    assert tags <= {"br", "hr", *known, *(f"/{tag}" for tag in known)}
    assert not re.search(r"<[a-z]+ (?!href=\"(?:https?:|mailto:|tel:)|class=\"ph-editor__)", safe)


@given(MARKUP)
def test_no_letter_that_a_reader_sees_is_lost(markup: str) -> None:
    text = re.sub(r"<[^>]*>", " ", safe_html(markup))
    body = LexborHTMLParser(markup).body
    seen = "" if body is None else body.text(deep=True)
    for letter in "abé":
        # A table's headings stand before each value, and an image has a name.
        assert html.unescape(text).count(letter) >= seen.count(letter)


@given(st.text(max_size=200).filter(lambda text: "&" not in text))
def test_no_word_of_a_text_is_lost(text: str) -> None:
    """A text that holds no HTML, whatever angle brackets it has."""
    if plain_text(text) == text and not re.search(r"<[/!?]?[a-zA-Z:]", text):
        assert (
            words_of_html(safe_html(text))
            == re.sub(r"[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\ufffd\ud800-\udfff]", "", text).split()
        )


@given(st.text(alphabet="ab<>&\n \"'", max_size=60))
def test_an_escaped_text_comes_out_as_it_was(text: str) -> None:
    rule_made = f"<p><b>Ann</b>: {html.escape(text)}</p>".replace("\n", "<br>")
    assert words_of_html(safe_html(rule_made)) == ["Ann:", *text.split()]


def test_what_rules_make_of_a_plain_text_takes_no_parser() -> None:
    said = 'Hello,<br>it&#x27;s <a href="https://e.com">here</a> &amp; there<br><br>Ann'
    for made in (
        f"<p><b>Ann</b>: {said}</p>",
        f"<p><b>Ann</b>, 2026-01-02 03:04 UTC</p>{said}",
        f'<p><b>Ann</b>, 2026-01-02 03:04 UTC</p>{said}<p><a href="https://e.com/f">f.pdf</a> (application/pdf, 3 kB)</p>',
        f"<p><b>Ann</b>: see <code>x</code> and <s>y</s> {said}</p>",
    ):
        assert quick_html(made) == safe_html(made)


@pytest.mark.parametrize(
    "piece",
    [
        "word ", "<p>word </p>", "a\n", "a\n\n", "<div>", "</div>", "<b>", "<b>a</i>", "<font color=x><p>a", "<p", "<a ", '<a href="', "<a b c d e ",
        "<ul><li>x", "<table><tr><td>x", "<table>", "<!--", "<![", "<script>", "&", "&amp;", "&#", "<x>", "<br>", "<br> ",
        "<strong>", "<p><strong>a</strong></p>", "<tr><td>a</td><td>b</td></tr>",
    ],
)  # fmt: skip
def test_twice_the_text_takes_about_twice_the_time(piece: str) -> None:
    def cpu_s(size: int) -> float:
        text = "<p>begin</p><table>" + piece * (size // len(piece))
        began = time.process_time()
        safe_html(text)
        return time.process_time() - began

    gc.disable()
    try:
        assert_in_step(cpu_s, 40_000, slack_s=0.003)
        assert min(cpu_s(80_000) for _ in range(3)) < 2.0
    finally:
        gc.enable()


@pytest.mark.parametrize("beside", ["", "a few words", "è"])
def test_a_bare_line_has_no_markup_and_nothing_odd(beside: str) -> None:
    """Each character alone, in a text of ASCII and in any other: there is a quick way for the first."""
    needs_more = {"<", ">", "&", "\u2028", "\u2029", *map(chr, range(0x20)), *map(chr, range(0x7F, 0xA0))}
    bare = [is_bare(beside + chr(code) + beside) for code in range(0x2100)]
    assert [chr(code) for code, found in enumerate(bare) if not found] == sorted(needs_more)
