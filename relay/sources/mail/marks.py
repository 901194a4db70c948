"""What mail programs leave in a page's markup to tell their quotations by.

Names of classes, ids and styles as the programs write them. A name of a whole quotation is evidence by itself; an
element that merely looks like a quotation (`blockquote`, a class with "quote" in it) counts as lines behind `>` do.
"""

from __future__ import annotations

import re

from selectolax.lexbor import LexborNode

from relay.sources.mail.lines import BLANKS, Line, Mark
from relay.sources.read.page import HtmlPage

_QUOTATION = "quotation"
_HEADER = "header"
_QUOTED = "quoted"
#: Gmail's box around attribution and quotation; what is answered between quotations lies in it too.
_BOX = "box"

#: Elements that hold a whole quotation, attribution included.
_WHOLE = re.compile(
    r"(?:^|[\s_-]|ydp[0-9a-f]{1,12})(?:yahoo_quoted|protonmail_quote|tutanota_quote|freshdesk_quote|front-blockquote|missive_quote"
    r"|outreach-quote|hs_reply|domino-section|zmail_extra|notion-mail-quote|fernand_quote|alimail-quote|sh-quoted-content"
    r"|messageReplySection|mail-editor-reference-message-container|ms-outlook-mobile-reference-message"
    r"|OLK_SRC_BODY_SECTION|gmail_attr|moz-cite-prefix|reply-intro|quotedReply|nh_extra|oneComWebmail-html"
    r"|composer_quoted_body|mailbird_quote|mail_quote_container|mcntmcntquote|airmail_on|bloop_original_html"
    r"|newton_quote|edo_quote|canary_quote|shortwave_quote|lark-mail-quote(?:-\w{1,40})?|netease_mail_quote|foxmail_quote)(?=[\s_]|$)",
    re.IGNORECASE,
)
_GMAIL = re.compile(r"(?:^|\s)gmail_quote(?:\s|$)", re.IGNORECASE)
#: Outlook's header box, and its name on the web.
_HEADER_ID = re.compile(
    r"(?:^|_)(?:divRplyFwdMsg|divtagdefaultwrapper_rply|OutlookMessageHeader)$", re.IGNORECASE
)
_HEADER_STYLE = re.compile(r"border-top\s{0,4}:\s{0,4}(?:solid\b|[#\w.() ]{0,40}\bsolid\b)", re.IGNORECASE)
#: What browsers make of "indent": the writer's own words. Source: `execCommand("indent")` of WebKit and Chromium.
_INDENTED_STYLE = re.compile(
    r"(?=.{0,200}\bborder\s{0,4}:\s{0,4}none\b).{0,200}\b40px\b", re.IGNORECASE | re.DOTALL
)
_LOOKS_QUOTED = re.compile(r"(?:^|[\s_-])(?:quote|quoted|blockquote|history)(?:[\s_-]|$)", re.IGNORECASE)
_TAGS = frozenset(["div", "blockquote", "span", "table", "td", "section", "p", "article"])


def mark_of(node: LexborNode) -> str:
    """Return what an element says of the lines inside it; "" for nothing."""
    tag = node.tag
    if tag not in _TAGS:
        return ""
    attributes = node.attributes
    if attributes:
        names = " ".join(value for key in ("class", "id", "name", "title") if (value := attributes.get(key)))
        if names:
            if _WHOLE.search(names) or "beforequote:::" in names:
                return _QUOTATION
            if _GMAIL.search(names):
                return _BOX if tag != "blockquote" and _holds_blockquote(node) else _QUOTATION
            if _HEADER_ID.search(names):
                return _HEADER
        style = attributes.get("style")
        if style and "border-top" in style and _HEADER_STYLE.search(style):
            return _HEADER
        if names and tag != "blockquote" and _LOOKS_QUOTED.search(names):
            return _QUOTED
    return _QUOTED if tag == "blockquote" and not _is_indented(attributes) else ""


def _is_indented(attributes: dict[str, str | None]) -> bool:
    style = attributes.get("style")
    return (
        style is not None
        and _INDENTED_STYLE.match(style[:400]) is not None
        and "type" not in attributes
        and "cite" not in attributes
    )


def _holds_blockquote(node: LexborNode, *, inner: bool = False) -> bool:
    """Whether quotations lie in the box; the editor may set a `div` around all of them."""
    child = node.child
    while child is not None:
        if child.tag == "blockquote" and (not inner or _GMAIL.search(child.attributes.get("class") or "")):
            return True
        if not inner and child.tag == "div" and _holds_blockquote(child, inner=True):
            return True
        child = child.next
    return False


def marked_lines(page: HtmlPage) -> list[Line]:
    """Return the page's lines for the search for quotations."""
    found: list[Line] = []
    alone = False
    for line in page.lines:
        notes, begins, alone = line.notes, alone, not line.broken
        if not notes:
            found.append(Line(line.text.strip(BLANKS), quoted=line.text.startswith(">"), alone=begins))
            continue
        depth = notes.count(_QUOTED)
        mark = Mark.NONE
        if _QUOTATION in notes or (depth and _BOX in notes):
            mark = Mark.QUOTATION
        elif _HEADER in notes:
            mark = Mark.HEADER
        found.append(Line(line.text.strip(BLANKS), quoted=depth > 0, depth=depth, mark=mark, alone=begins))
    return found
