"""Where a line such as "On 5 March 2026 at 10:12, Anna <anna@example.com> wrote:" begins and ends.

A mail program writes one above what it quotes, in its language, and may wrap it over up to four lines. It is only
believed with evidence: a verb with a time, date or address beside it; without a verb known here, an address and a time.
More is asked where nothing marks the lines that follow as quoted: a sentence must not be taken for it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import islice

from relay.sources.mail.evidence import MAX_LINE_CHARS, Evidence, evidence_in, has_machine_date
from relay.sources.mail.header_block import is_known_field
from relay.sources.mail.lines import Line
from relay.sources.mail.words import VERB, VERB_ENDS

#: A name, a date and an address at 60 to 78 characters a line.
_MAX_LINES = 4
#: Programs that give an address's brackets lines of their own.
BRACKET_LINES = 2
#: Words of an attribution that holds no address; somebody's sentence is longer.
MAX_WORDS = 18
#: Of one without a verb whose address stands bare.
MAX_BARE_WORDS = 9
#: A line is only wrapped where the next word would not have fitted.
WRAP_COLUMNS = 52
MAX_CLOSING_CHARS = 40
#: Yahoo's apps go on behind the attribution with what they quote.
_RUN_ON = re.compile(r"[:：][ \xa0]{2,8}(?=\S)")
_MAX_RUN_ONS = 3
#: Words at the end of an attribution one of which is a name's, where no verb is known.
_NAME_WORDS, MAX_NAME_CHARS = 3, 120

_COLON_END = re.compile(r"[:：][\s*_>\])]{0,4}$")
_DASHED = re.compile(r"^[\s*]{0,8}[-–—]{2,60}\s{0,3}(\S.{0,400}?)\s{0,3}[-–—]{2,60}[\s*]{0,8}$")
_PREVIEW = re.compile(r"[^\n]{1,120}?---(\d[^\n]{4,40}?)---")
#: A word of four letters before the stop: "5. März", "Apr. 2026" and "2026 г." end no sentence.
_SENTENCE_END = re.compile(r"[^\W\d_]{4,40}[.!?…][\"”»')]?\s{1,4}(\w)|[。！？]")
_ENDS_SENTENCE = re.compile(r"(?:[^\W\d_]{3,40}[.…]|[!?。！？…])[\"”»')]?$")
_WORD = re.compile(r"[^\W\d]+(?:['’.-]?\w+)*")
#: English programs that put the attribution behind the last word of the answer.
_MIDLINE = re.compile(
    r"\s(?:-{2,5}\s?)?(?=On (?:(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]{0,6}, |\d{1,4}[-/ ]|[A-Z][a-z]{2,8} \d{1,2}, \d{4}))"
    r"|(?<=\w)-{3,5} (?=On )"
)


def attribution_start(lines: Sequence[Line], end: int, *, quoted_below: bool) -> int | None:
    """Return the first line of the attribution that ends with line `end`; None where there is none.

    `quoted_below` says that the lines under it are marked as quoted, so that less has to be shown here.
    """
    last = lines[end].text
    if len(last) > MAX_LINE_CHARS:
        return None
    if dashed := _DASHED.match(last):
        return end if _is_dashed(dashed[1], quoted_below) else None
    if not quoted_below and not may_end(last):
        return None
    joined, start = "", end
    while True:
        text = lines[start].text
        joined = f"{text} {joined}" if joined else text
        if _is_attribution(joined, quoted_below):
            return _whole(lines, start, end, joined)
        above = _line_above(lines, start, text)
        if above is None or end - above >= _MAX_LINES or _is_apart(lines[above].text):
            return None
        start = above


def midline_start(text: str) -> int | None:
    """Return where an English attribution begins within its line, behind words of the writer's; None if it does not."""
    if (
        "On " not in text
        or text.lstrip().startswith(">")
        or len(text) > MAX_LINE_CHARS
        or not _COLON_END.search(text)
    ):
        return None
    found = _MIDLINE.search(text)
    if found is None or not text[: found.start()].strip(" -"):
        return None
    return found.start() if _is_attribution(text[found.end() :], quoted_below=False) else None


def run_on_start(text: str) -> int | None:
    """Return where, behind an attribution that begins this line, what is quoted goes on in it; None if it does not."""
    text = text[:MAX_LINE_CHARS]
    if "@" not in text:
        return None
    for found in islice(_RUN_ON.finditer(text), _MAX_RUN_ONS):
        head = text[: found.start() + 1].strip()
        seen = evidence_in(head)
        if seen.time and seen.date and seen.bracketed and VERB.search(head) and _is_attribution(head, False):
            return found.end()
    return None


def closes_attribution(above: Sequence[Line], text: str) -> bool:
    """Tell whether a line behind `>` is the end of "Ada <ada@example.com" and ">wrote:", wrapped at the bracket.

    `above` are the lines over it: only where one of the last few leaves a bracket open does `>` close it.
    """
    rest = text[1:].strip()
    if len(rest) >= MAX_CLOSING_CHARS or not rest.endswith((":", "：")):
        return False
    opened = " ".join(line.text[-MAX_LINE_CHARS:] for line in above[-BRACKET_LINES - 1 :])
    return opened.rfind("<") > opened.rfind(">") and (rest == ":" or VERB.match(rest) is not None)


def may_end(text: str) -> bool:
    """Tell whether an attribution may end with this line, which costs little to say."""
    if not text or len(text) > MAX_LINE_CHARS:
        return False
    # Zoho's ends with the verb itself, or with dashes.
    return (
        text[-1] in "-–—"
        or (
            (":" in text[-6:] or "：" in text[-6:])
            and _COLON_END.search(text, len(text) - 6 if len(text) > 6 else 0) is not None
        )
        or text[-20:].lower().endswith(VERB_ENDS)
    )


def _is_apart(text: str) -> bool:
    """Whether a line is complete by itself, so that nothing below it goes on with it."""
    return (
        _ENDS_SENTENCE.search(text) is not None or _COLON_END.search(text) is not None or is_known_field(text)
    )


def _line_above(lines: Sequence[Line], start: int, text: str) -> int | None:
    """The line that may hold the beginning; one empty line between is crossed only into an open bracket."""
    above = start - 1
    if above >= 0 and not lines[above].text and text.startswith(("<", ">", "mailto:")):
        above -= 1
    if above < 0 or lines[above].quoted or not lines[above].text or len(lines[above].text) > MAX_LINE_CHARS:
        return None
    return above


def _is_dashed(inner: str, quoted_below: bool) -> bool:
    """ "---- On Tue, 22 Dec 2015 Ada wrote ----"."""
    if VERB.search(inner) is None:
        return False
    return quoted_below or bool(evidence_in(inner))


def _is_attribution(joined: str, quoted_below: bool) -> bool:
    found = evidence_in(joined)
    if not found or _holds_sentence(joined):
        return False
    colon = _COLON_END.search(joined) is not None
    verb = VERB.search(joined)
    if quoted_below:
        return _above_a_quote(joined, found, colon, verb is not None)
    words = len(joined.split())
    if words > MAX_WORDS * 2:
        return False
    if verb is None:
        # A log has addresses, times and colons too, and more words.
        if not (colon and found.time and found.address):
            return False
        return words <= MAX_WORDS if found.bracketed else found.date and words <= MAX_BARE_WORDS
    if found.bracketed or (found.address and (found.time or found.date)):
        return colon or found.time or found.date
    return found.time and found.date and _names_a_person(joined, verb)


def _above_a_quote(text: str, found: Evidence, colon: bool, verb: bool) -> bool:
    if verb:
        return True
    if found.address:
        return found.time or found.date or (found.bracketed and colon)
    return found.time and found.date and _may_name_a_person(text)


def is_preview(text: str) -> bool:
    """Tell whether a line is Notes' preview of what it quotes ("Nora Lind ---05.03.2026 10:12:33---Hello Bo, our ...")."""
    found = _PREVIEW.match(text[:MAX_LINE_CHARS])
    if found is None:
        return False
    seen = evidence_in(found[1])
    return seen.time and seen.date


def is_weak_attribution(text: str) -> bool:
    """Tell whether a line names a writer without evidence ("Nora wrote:"): enough above what is known to be a quotation."""
    if len(text) > MAX_LINE_CHARS or len(text.split()) > MAX_WORDS or not may_end(text):
        return False
    return VERB.search(text) is not None and not _holds_sentence(text)


def _holds_sentence(text: str) -> bool:
    return any(found[1] is None or found[1].isupper() for found in _SENTENCE_END.finditer(text))


def _names_a_person(text: str, verb: re.Match[str]) -> bool:
    """Whether the verb has a name beside it, and not "my colleague"; and no more words than an attribution has."""
    if len(text.split()) > MAX_WORDS:
        return False
    before = _WORD.findall(text[: verb.start()])
    after = _WORD.findall(text[verb.end() :])
    # A lower-case word is a name where it is a handle: "nora_lind", "nora81".
    return any(not word[0].islower() or not word.isalpha() for word in (*before[-1:], *after[:1]))


def _may_name_a_person(text: str) -> bool:
    """Whether one of the last words may be a name. "On 5 March 2026 at 10:12 the log shows:" is a sentence."""
    return any(not word[0].islower() for word in _WORD.findall(text[-MAX_NAME_CHARS:])[-_NAME_WORDS:])


def _whole(lines: Sequence[Line], start: int, end: int, joined: str) -> int:
    """The start moved up over what was wrapped off: a name above its address, a date above the name."""
    while True:
        text = lines[start].text
        above = _line_above(lines, start, text)
        if above is None:
            break
        upper = lines[above].text
        open_bracket = text.startswith(("<", "(", "[", "mailto:")) or joined.count(">") > joined.count("<")
        if end - above >= _MAX_LINES + BRACKET_LINES * open_bracket:
            break
        if _is_apart(upper):
            break
        if not open_bracket and (lines[start].alone or not _wrapped_off(upper, text, joined)):
            break
        start, joined = above, f"{upper} {joined}"
    return start


def _wrapped_off(upper: str, text: str, joined: str) -> bool:
    here, there = evidence_in(joined), evidence_in(upper)
    if upper.endswith(",") and ((there.time and not here.time) or (there.date and not here.date)):
        return True
    if has_machine_date(upper) and not (here.time or here.date or there.address):
        return len(upper.split()) <= MAX_BARE_WORDS
    if _columns(upper) + 1 + _columns(text.split(None, 1)[0]) < WRAP_COLUMNS:
        return False
    if VERB.search(upper) and not VERB.search(joined):
        return True
    lacks_when = not (here.time or here.date) and (there.time or there.date)
    return lacks_when or (not here.address and there.bracketed)


def _columns(text: str) -> int:
    return sum(2 if char >= "\u2e80" else 1 for char in text)
