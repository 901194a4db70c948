"""Which lines of a mail its writer wrote, and which are quoted.

A cut is taken only with evidence (see `attribution`, `header_block`) or where a page's markup names the quotation.
Three shapes: an attribution above marked lines, which leave together, so that answers between and below stay; an
attribution or a header above lines that nothing marks, where all the rest leaves; and a forwarded mail, which stays
whole, since it is what the writer wanted to be read.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from relay.sources.mail.attribution import attribution_start, is_preview, is_weak_attribution, may_end
from relay.sources.mail.header_block import is_header_block, is_known_field, may_be_header, points_at
from relay.sources.mail.lines import Line, Mark
from relay.sources.mail.within import answers_within
from relay.sources.mail.words import FORWARD, ORIGINAL, REPLY_ABOVE

#: Lines between dashes are no longer.
MAX_SEPARATOR_CHARS = 120
#: Nobody answers further down; what lies beyond stays as it is.
MAX_LINES = 20_000
#: Lines that look as if a quotation began there; each is looked at for up to 0.1 ms.
MAX_TRIES = 500
#: Lines of a quotation that are searched for an attribution of its own.
MAX_INNER_LINES = 400
#: Lines of a quotation among which a mail that is passed on is named.
_NAMING_LINES = 6
#: Fields between a rule and an attribution.
_MAX_FIELDS_ABOVE = 5
#: A signature is shorter.
MAX_TAIL_LINES = 24
MAX_TAIL_BLANKS = 8
#: Lines that point back at a quotation's first line.
_BLANKS_ABOVE = 3

_RULE = re.compile(r"^[\s*]{0,8}(?:[_\-=*~]{3,200}|[—–─]{2,200})[\s*]{0,8}$")
_PAIRS = ("--", "__", "==", "——", "––", "──")
#: What parts a signature (RFC 3676, section 4.3) or a mailing list's footer.
_TAIL = re.compile(r"^(?:--|_{2,80})$")
_LINKED = re.compile(r"https?://|www\.|\S@\S")
_LINK = re.compile(r"^[(<\[]\s?https?://[^\s<>]{1,500}[)>\]](?:\s?>)?$")
_DASHES = ("-", "_", "=", "*", "—", "–", "─", "#", "+", ">", "~")


def quoted_lines(lines: Sequence[Line], *, forwarded: bool = False, answers: bool = False) -> list[bool]:
    """Tell for each line whether it leaves. `forwarded` says that the subject names the mail as passed on, `answers` that
    its header names a mail that it answers."""
    cut = _Search(lines, forwarded, answers).run()
    return [False] * len(cut) if _is_answered_within(lines, cut) else cut


def _is_answered_within(lines: Sequence[Line], cut: list[bool]) -> bool:
    """Whether all that is below leaves, and the writer says that the answers are in it."""
    if True not in cut:
        return False
    first = cut.index(True)
    if any(line.text and not gone for line, gone in zip(lines[first:], cut[first:], strict=True)):
        return False
    return answers_within("\n".join(line.text for line in lines[:first]))


class _Search:
    def __init__(self, lines: Sequence[Line], forwarded: bool, answers: bool) -> None:
        self.lines = lines
        self.forwarded = forwarded
        self.answers = answers
        self.cut = [False] * len(lines)
        #: Whether a quotation with evidence was seen: what is marked after it belongs to it.
        self.known = False
        self.tries = MAX_TRIES

    def run(self) -> list[bool]:
        place, end = 0, min(len(self.lines), MAX_LINES)
        while place < end and self.tries > 0:
            line = self.lines[place]
            if not line.text:
                place += 1
            elif line.mark is Mark.QUOTATION:
                place = self._marked_run(place)
            elif line.quoted:
                place = self._quoted_run(place)
            elif self._is_forward(place):
                break
            elif self._ends_here(place):
                if self.forwarded:
                    break
                self._cut_from(place)
                break
            else:
                below = self._attributed(place)
                if below is None:
                    break
                place = below
        return self.cut

    def _marked_run(self, place: int) -> int:
        """Lines that the markup itself names as quoted leave, with the attribution above them."""
        end = self._run_end(place, lambda line: line.mark is Mark.QUOTATION)
        if not self.known and self._passes_on(place, end):
            return len(self.lines)
        self._cut_attribution_above(place)
        self._cut_range(place, end)
        self.known = True
        self._cut_tail(end)
        return end

    def _quoted_run(self, place: int) -> int:
        """Lines behind `>`: they leave if an attribution is known, or their own first lines hold one."""
        end = self._run_end(place, lambda line: line.quoted and line.mark is not Mark.QUOTATION)
        if not self.known and self._passes_on(place, end):
            return len(self.lines)
        if (
            self.known
            or self._holds_evidence(place, end)
            or (self.answers and self._is_outermost(place, end))
        ):
            self._cut_attribution_above(place)
            self._cut_range(place, end)
            self.known = True
            self._cut_tail(end)
        return end

    def _passes_on(self, place: int, end: int) -> bool:
        """Whether quoted lines are a mail that is passed on: Apple Mail and Outlook set it as they set what they quote.

        What has an attribution is an answer, also to a mail that was passed on.
        """
        if self._attribution_above(place) is not None:
            return False
        bare = self._bare(place, min(end, place + _NAMING_LINES))
        for at, line in enumerate(bare):
            if not line.text:
                continue
            if self._is_forward(place + at):
                return True
            if may_end(line.text):
                self.tries -= 1
                if attribution_start(bare, at, quoted_below=True) is not None:
                    return False
        return self.forwarded

    def _is_outermost(self, place: int, end: int) -> bool:
        """Whether the mail begins or ends with these lines. In an answer that is the mail answered; between
        paragraphs it may be what the writer pasted."""
        above = any(line.text for line in self.lines[max(0, place - MAX_TAIL_LINES) : place])
        below = any(line.text for line in self.lines[end : end + MAX_TAIL_LINES])
        return not above or not below

    def _run_end(self, place: int, belongs: object) -> int:
        assert callable(belongs)
        end = last = place + 1
        while end < len(self.lines):
            line = self.lines[end]
            if belongs(line):
                last = end + 1
            elif line.text and not self._is_broken_link(end):
                break
            end += 1
        return last

    def _is_broken_link(self, place: int) -> bool:
        """Whether a line between two quoted ones is the rest of a link that was wrapped without its `>`."""
        if place + 1 >= len(self.lines) or not (
            self.lines[place - 1].quoted and self.lines[place + 1].quoted
        ):
            return False
        text = self.lines[place].text
        if _LINK.match(text):
            return True
        above = self.lines[place - 1].text.lstrip("> ")
        return " " not in text and any(
            above.rfind(opening) > above.rfind(closing) and "://" in above and text.endswith(closing)
            for opening, closing in ("()", "<>", "[]")
        )

    def _cut_tail(self, place: int) -> None:
        """A signature or a list's footer that stands alone below the last quotation leaves with it."""
        at = self._next(place, MAX_TAIL_BLANKS)
        if at is None or _TAIL.match(self.lines[at].text) is None:
            return
        rest = [line for line in self.lines[at : at + MAX_TAIL_LINES + 1] if line.text]
        # Under a rule may stand the answer itself; a list's footer says where to write or to look.
        if self.lines[at].text != "--" and not any(
            _LINKED.search(line.text[:MAX_SEPARATOR_CHARS]) for line in rest
        ):
            return
        if len(self.lines) - at <= MAX_TAIL_LINES and not any(
            line.quoted or line.mark is not Mark.NONE for line in rest
        ):
            self._cut_range(place, len(self.lines))

    def _holds_evidence(self, place: int, end: int) -> bool:
        """Whether quoted lines quote a mail: by an attribution or a header among them."""
        bare = self._bare(place, min(end, place + MAX_INNER_LINES))
        for at, line in enumerate(bare):
            if not line.text:
                continue
            deeper = at + 1 < len(bare) and bare[at + 1].depth > line.depth
            if attribution_start(bare, at, quoted_below=deeper) is not None:
                return True
            if is_header_block(bare, at, marked=False):
                return True
        return False

    def _bare(self, place: int, end: int) -> list[Line]:
        """Quoted lines as their writer saw them."""
        return [Line(line.text.lstrip("> \t"), depth=line.depth) for line in self.lines[place:end]]

    def _is_forward(self, place: int) -> bool:
        """ "---------- Forwarded message ---------", "Begin forwarded message:"."""
        text = self.lines[place].text
        bare = text.lstrip("*> \t")
        if len(text) > MAX_SEPARATOR_CHARS or not (bare.startswith(_PAIRS) or text.endswith((":", "："))):
            return False
        self.tries -= 1
        return FORWARD.search(text) is not None

    def _ends_here(self, place: int) -> bool:
        """Whether a separator or a header begins here, below which nothing is the writer's."""
        line = self.lines[place]
        text = line.text
        if line.mark is Mark.BEGIN or _is_reply_above(text):
            return True
        if text.startswith(_DASHES):
            rule = _RULE.match(text) is not None
            if not rule and _is_separator(text) and ORIGINAL.search(text):
                return True
            if rule or _is_separator(text):
                below = self._next(place + 1)
                return (
                    below is not None
                    and self._is_header(below, marked=True)
                    and not points_at(self.lines, place)
                )
        marked = line.mark is Mark.HEADER
        return self._is_header(place, marked=marked) and (marked or not points_at(self.lines, place))

    def _is_header(self, place: int, *, marked: bool) -> bool:
        if not may_be_header(self.lines[place].text):
            return False
        self.tries -= 1
        return is_header_block(self.lines, place, marked=marked)

    def _attributed(self, place: int) -> int | None:
        """Takes an attribution that ends with line `place`. The line to go on with; None where nothing is left."""
        below = self._next(place + 1)
        quoted_below = below is not None and self._is_quoted_below(below)
        if not quoted_below and not may_end(self.lines[place].text):
            return place + 1
        self.tries -= 1
        start = attribution_start(self.lines, place, quoted_below=quoted_below)
        if start is None:
            return place + 1
        start = self._fields_above(start)
        if quoted_below:
            assert below is not None
            self._cut_range(start, place + 1)
            self.known = True
            return below
        if self.forwarded:
            return None
        self._cut_from(start)
        return None

    def _fields_above(self, start: int) -> int:
        """Where the fields under a rule begin that stand above an attribution (Yandex); `start` where there are none."""
        above = start - 1
        while above >= 0 and start - above <= _MAX_FIELDS_ABOVE and is_known_field(self.lines[above].text):
            above -= 1
        found = above < start - 1 and above >= 0 and _RULE.match(self.lines[above].text[:210])
        return above if found else start

    def _is_quoted_below(self, below: int) -> bool:
        line = self.lines[below]
        return line.quoted or line.mark is Mark.QUOTATION

    def _cut_attribution_above(self, place: int) -> None:
        found = self._attribution_above(place)
        if found is not None:
            self._cut_range(*found)

    def _attribution_above(self, place: int) -> tuple[int, int] | None:
        """Where the attribution of a quotation begins and ends that begins at line `place`; None where it has none."""
        above = place - 1
        while above >= 0 and place - above <= _BLANKS_ABOVE and not self.lines[above].text:
            above -= 1
        if above >= 0 and self.lines[above].text and not self.cut[above]:
            start = attribution_start(self.lines, above, quoted_below=True)
            if start is None and is_weak_attribution(self.lines[above].text):
                start = above
            if start is not None:
                return start, above + 1
        return None

    def _next(self, place: int, blanks: int = _BLANKS_ABOVE) -> int | None:
        for at in range(place, min(place + blanks + 1, len(self.lines))):
            if self.lines[at].text:
                return at
        return None

    def _above(self, start: int) -> int:
        """The line above `start` that is neither empty nor a rule; -1 where there is none."""
        above = start - 1
        while above >= 0 and (not self.lines[above].text or _RULE.match(self.lines[above].text[:210])):
            above -= 1
        return above

    def _cut_range(self, start: int, end: int) -> None:
        self.cut[start:end] = [True] * (end - start)

    def _cut_from(self, start: int) -> None:
        """All from `start` on leaves, and the rule above it, or the line in which Notes tells what follows."""
        above = self._above(start)
        if above >= 0 and is_preview(self.lines[above].text):
            above = self._above(above)
        self._cut_range(above + 1, len(self.lines))


def _is_separator(text: str) -> bool:
    """A line of words between dashes, in whatever language."""
    bare = text.strip("*> \t")
    return len(text) <= MAX_SEPARATOR_CHARS and bare.startswith(_PAIRS) and bare.endswith(_PAIRS)


def _is_reply_above(text: str) -> bool:
    """ "##- Please type your reply above this line -##": Zendesk's signs are the same in every language."""
    if len(text) > MAX_SEPARATOR_CHARS * 2:
        return False
    bare = text.strip("> \t")
    if bare.startswith("##-") and bare.endswith("-##"):
        return True
    found = REPLY_ABOVE.search(bare) if bare.startswith((*_PAIRS, "##")) else REPLY_ABOVE.match(bare)
    # A sentence that mentions the line is none.
    return found is not None and len(bare) - len(found[0]) <= len("##- please  by mail -##") * 2
