"""The two bodies of a mail made one reply: as text, as clean HTML, and what was quoted.

Most mails carry both, and the two need not agree: an answer between quoted paragraphs stands outside the quotation in
the text and inside it in the page. No words of the writer's may be missing from what is shown.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from html import escape, unescape

from relay.sources.mail.reply import MAX_TEXT_CHARS, OwnWords, PageReply, reply_of, reply_of_html
from relay.sources.mail.words import FORWARDED_SUBJECT, MAYBE_FORWARDED_SUBJECT, SCANDINAVIAN_SENDER
from relay.sources.read.markup import clean_shallow_html, html_of_text
from relay.sources.read.page import symbols_of

#: Words are compared up to here; beyond, two bodies count as agreeing.
MAX_COMPARED_CHARS = 100_000
#: Words by which two bodies of the same mail may differ: the text of a link or a button.
FEW_WORDS = 3
#: Of a text that says "Your program cannot show HTML"; what it has in common with the page are short words.
MAX_STAND_IN_WORDS, _SHORT_WORD = 40, 3

#: Pictures are trackers, or parts of the mail that nobody can load from elsewhere.
_PICTURE = re.compile(r"<img\b[^<>]{0,4000}>", re.IGNORECASE)
#: As a parser writes it out.
_ALT = re.compile(r"\salt=\"([^\"]{1,100})\"")
#: What texts made from pages show of links and pictures, and pages do not.
_LINKS = re.compile(
    r"<?(?:https?|mailto|tel|cid):[^\s<>\])]{1,2000}[>\])]?|\[(?:image|cid)[^\]\n]{0,300}\]", re.IGNORECASE
)
#: What a text that stands in for a page speaks of: a mail, and a program that shows it.
_OF_MAIL = re.compile(
    r"mail|messag|nachricht|mensaje|correo|courriel|viesti|wiadomo|zpráv|письм|сообщен|メール|邮件|郵件|메일",
    re.IGNORECASE,
)
_OF_SHOWING = re.compile(
    r"capable|client|viewer|enabled|program|anzeig|afficher|visuali|mostrar|weerge|visa |vise |näyt|wyświetl|zobraz|показ|отобра|表示|显示|顯示|표시",
    re.IGNORECASE,
)
_WORD = re.compile(r"[^\W_]+")


@dataclass(frozen=True, slots=True)
class Bodies:
    text: str
    html: str
    quoted: str


def bodies_of(
    text: str, html: str, *, subject: str = "", answers: bool = False, flowed: bool = False
) -> Bodies:
    """Return the reply out of a mail's bodies, either of which may be "".

    `subject` tells a mail that is passed on; `answers` says that the header names a mail that this one answers;
    with `flowed` a `>` behind a blank quotes nobody.
    """
    forwarded = is_passed_on(subject, text, html)
    of_text = reply_of(text[:MAX_TEXT_CHARS], forwarded=forwarded, answers=answers, flowed=flowed)
    if not html.strip():
        return Bodies(of_text.text, "", of_text.quoted)
    of_page = reply_of_html(html[:MAX_TEXT_CHARS], forwarded=forwarded, answers=answers)
    if not of_text.text:
        return Bodies(of_page.text, _clean(of_page), of_page.quoted)
    return _reconciled(of_text, of_page)


def is_passed_on(subject: str, text: str, html: str) -> bool:
    """Tell whether a subject says that its mail is passed on; one that may mean an answer too asks the bodies."""
    if FORWARDED_SUBJECT.match(subject[:200]):
        return True
    return MAYBE_FORWARDED_SUBJECT.match(subject[:200]) is not None and (
        SCANDINAVIAN_SENDER in text[:MAX_TEXT_CHARS] or SCANDINAVIAN_SENDER in html[:MAX_TEXT_CHARS]
    )


def strays_from(reply: str, text: str) -> bool:
    """Tell whether a provider's stripped text is not taken from the text that it came with."""
    return not _all_in(_words(reply), text)


def _clean(page: PageReply) -> str:
    if not page.unclean:
        return page.html
    return clean_shallow_html(_PICTURE.sub(_symbols, page.html))


def _symbols(picture: re.Match[str]) -> str:
    found = _ALT.search(picture[0])
    return escape(symbols_of(unescape(found[1]))) if found else ""


def _reconciled(of_text: OwnWords, of_page: PageReply) -> Bodies:
    written, shown = _words(of_text.text), _words(of_page.text)
    if _stands_in(of_text, written, shown):
        return Bodies(of_page.text, _clean(of_page), of_page.quoted)
    page_lacks, text_lacks = written - shown, shown - written
    if page_lacks and _all_in(page_lacks, of_page.quoted):
        # The page's quotation holds it. Where the text tells its own quotation apart, it is an answer between.
        text_is_right, page_is_right = bool(of_text.quoted), not of_text.quoted
    else:
        # A quotation that only the text marks; or a page that never held the mail, such as a footer.
        kept_quotation = of_text.marked and not of_page.quoted and _all_in(text_lacks, of_text.quoted)
        text_is_right = bool(text_lacks and kept_quotation)
        text_is_right |= page_lacks.total() > max(text_lacks.total(), FEW_WORDS)
        # "Your program cannot show HTML": the text never held the mail.
        page_is_right = text_lacks.total() > 3 * written.total() + FEW_WORDS
    if text_is_right:
        return Bodies(of_text.text, html_of_text(of_text.text), of_text.quoted)
    if page_is_right:
        return Bodies(of_page.text, _clean(of_page), of_page.quoted)
    return Bodies(of_text.text, _clean(of_page), of_text.quoted or of_page.quoted)


def _stands_in(of_text: OwnWords, written: Counter[str], shown: Counter[str]) -> bool:
    """Whether the text only says that the mail is in HTML: short, with no word of weight that the page has too."""
    if of_text.quoted or "html" not in written or written.total() > MAX_STAND_IN_WORDS:
        return False
    if not (_OF_MAIL.search(of_text.text) and _OF_SHOWING.search(of_text.text)):
        return False
    return (
        "html" not in shown and bool(shown) and not any(len(word) > _SHORT_WORD for word in written & shown)
    )


def _words(text: str) -> Counter[str]:
    return Counter(_WORD.findall(_LINKS.sub(" ", text[:MAX_COMPARED_CHARS]).casefold()))


def _all_in(words: Counter[str], text: str) -> bool:
    return words <= _words(text)
