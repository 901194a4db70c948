"""What a reader of Planhat could be made to open or to load without wanting: no script behind a link, no picture from afar."""

from __future__ import annotations

import re
from html import unescape

import pytest
from hypothesis import given
from hypothesis import strategies as st
from selectolax.lexbor import LexborHTMLParser

from relay.event import Attachment
from relay.sources.read.markup import clean_html
from relay.sources.read.slack_markup import render_html

#: Schemes that no link may have, as they are disguised.
SCRIPTS = ["javascript:alert(1)", "JaVaScRiPt:alert(1)", " javascript:alert(1)", "java\tscript:alert(1)", "\x01javascript:alert(1)",
           "javascript&#58;alert(1)", "javascript&colon;alert(1)", "vbscript:x", "data:text/html,<script>1</script>", "file:///etc/passwd"]  # fmt: skip
#: What loads something by being shown.
LOADS = [
    '<img src="https://t.example/x.gif">',
    "<IMG SRC=//t.example/x>",
    '<img alt="<" src="https://t.example/x.gif">',
    '<img alt=">" src="https://t.example/x.gif">',
    f'<img alt="{"a" * 5000}" src="https://t.example/x.gif">',
    '<img srcset="https://t.example/x 2x">',
    '<picture><source srcset="https://t.example/x"><img src="https://t.example/x"></picture>',
    '<table background="https://t.example/x"><tr><td>a</td></tr></table>',
    '<p style="background:url(https://t.example/x)">a</p>',
    "<style>p{background:url(https://t.example/x)}</style>",
    '<link rel=stylesheet href="https://t.example/x">',
    '<video poster="https://t.example/x" src="https://t.example/y"></video>',
    '<svg><image href="https://t.example/x"/></svg>',
    '<iframe src="https://t.example/x"></iframe>',
    '<input type=image src="https://t.example/x">',
    '<meta http-equiv=refresh content="0;url=https://t.example/x">',
]
_OPENS = re.compile(r"(?:https?|mailto|tel):|[^:]*$", re.IGNORECASE)


_TAGS = {"embed", "iframe", "image", "img", "link", "meta", "object", "script", "source", "style", "svg"}
_ATTRIBUTES = ("background", "data", "poster", "src", "srcset", "style")


def loaded_or_run(html: str) -> list[str]:
    """What a browser would load by showing it, and every link that is none."""
    found = []
    for node in LexborHTMLParser(f"<body>{html}").css("*"):
        found += [name for name in _ATTRIBUTES if name in node.attributes]
        found += [node.tag] if node.tag in _TAGS else []
        href = node.attributes.get("href")
        if href is not None and not _OPENS.match(unescape(href).strip()):
            found.append(href)
    return found


@pytest.mark.parametrize("html", LOADS)
def test_nothing_is_loaded_by_being_shown(html: str) -> None:
    assert loaded_or_run(html)
    cleaned = clean_html(f"<p>before</p>{html}<p>after</p>")
    assert loaded_or_run(cleaned) == []
    assert "before" in cleaned and "after" in cleaned


@pytest.mark.parametrize("scheme", SCRIPTS)
def test_no_link_runs_anything(scheme: str) -> None:
    cleaned = clean_html(f'<p>a <a href="{scheme}">link</a> b</p>')
    assert "link" in cleaned
    assert loaded_or_run(cleaned) == []
    shown = render_html(f"a <{scheme}|link> b")
    assert "href" not in shown


@given(st.lists(st.sampled_from([*LOADS, *(f'<a href="{scheme}">' for scheme in SCRIPTS), "<", ">", '"', "'", "<!--", "-->", "<p>", "</a>", "x", "<svg>", "<math>", "<template>"]), max_size=8).map("".join))  # fmt: skip
def test_no_mixture_of_them_comes_through(html: str) -> None:
    assert loaded_or_run(clean_html(html)) == []


@pytest.mark.parametrize("url", [*SCRIPTS, "cid:1", "//t.example/x", "ftp://t.example/x", "https:", "x"])
def test_an_attachment_s_address_is_one_that_a_browser_may_open(url: str) -> None:
    assert Attachment(name="a", url=url).url == ""


def test_where_an_attachment_is_stays_as_it_was_written() -> None:
    for url in ("https://files.example.com/A?b=c", "HTTP://files.example.com/"):
        assert Attachment(url=url).url == url
