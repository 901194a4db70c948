"""The filters that templates have. All are linear in their input and never raise for strange texts."""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from email.utils import getaddresses, parsedate_to_datetime
from typing import Any

from jinja2 import Undefined

from relay.description import plain_text

#: Jinja2's own that are kept: those that cannot blow up.
KEPT_FILTERS = [
    "abs",
    "capitalize",
    "count",
    "dictsort",
    "first",
    "float",
    "groupby",
    "int",
    "items",
    "last",
    "length",
    "list",
    "lower",
    "map",
    "max",
    "min",
    "reject",
    "rejectattr",
    "reverse",
    "round",
    "select",
    "selectattr",
    "sort",
    "string",
    "sum",
    "title",
    "trim",
    "unique",
    "upper",
    "urlencode",
    "wordcount",
]
KEPT_TESTS = [
    "boolean",
    "defined",
    "divisibleby",
    "eq",
    "equalto",
    "even",
    "false",
    "float",
    "ge",
    "greaterthan",
    "gt",
    "in",
    "integer",
    "iterable",
    "le",
    "lessthan",
    "lower",
    "lt",
    "mapping",
    "ne",
    "none",
    "number",
    "odd",
    "sequence",
    "string",
    "true",
    "undefined",
    "upper",
    "==",
    "!=",
    ">",
    ">=",
    "<",
    "<=",
]

MAX_CHARS = 1_000_000
MAX_FILTERED_CHARS = 2_000_000

#: A subject is cut to a line: no more of a text is looked at for one.
MAX_LINE_SOURCE_CHARS = 20_000
#: Tags that are HTML's for sure: a plain text may say "<open>".
_MARKUP = re.compile(
    r"</?(?:p|br|div|span|a|b|i|u|em|strong|font|table|tr|td|ul|ol|li|h[1-6]|img|pre|code|blockquote|html|body)\b[^<>]*>"
    r"|&(?:amp|lt|gt|quot|nbsp|#\d{1,6});",
    re.IGNORECASE,
)
_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1f\x7f]")
_MARKED = re.compile(r"[*_`~\[#>\r\t]|  ")
_LINE_START = re.compile(r"(?m)^[ \t]{0,8}(?:#{1,6}[ \t]|>[ \t]?|[-*+][ \t])")
_MARKDOWN_LINK = re.compile(r"\[([^\[\]\n]{1,500})\]\((?:https?:|mailto:)[^()\s]{1,2000}\)")
_EMPHASIS = (
    re.compile(r"`{1,3}([^`]{1,2000})`{1,3}"),
    re.compile(r"(?<![\w*])\*{1,3}([^\s*](?:[^*\n]{0,2000}[^\s*])?)\*{1,3}(?![\w*])"),
    re.compile(r"(?<![\w_])_{1,3}([^\s_](?:[^_\n]{0,2000}[^\s_])?)_{1,3}(?![\w_])"),
    re.compile(r"(?<![\w~])~{1,2}([^\s~](?:[^~\n]{0,2000}[^\s~])?)~{1,2}(?![\w~])"),
)
_SLACK_LINK = re.compile(r"<([^<>|]{1,3000})(?:\|([^<>]{0,3000}))?>")


def _text(value: Any) -> str:
    if value.__class__ is str:
        return value
    if isinstance(value, str):
        return str(value)
    if value is None or isinstance(value, Undefined):
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, (int, float)) else ""


def email(value: Any) -> str:
    """Return the bare address in lower case: "Ann <Ann@Example.com>" is ann@example.com; nothing for what is none."""
    text = _text(value).strip()[:2000]
    try:
        found = getaddresses([text])
    except RecursionError:
        # The library calls itself for what stands within something else.
        return ""
    for _, address in found:
        local, at, host = address.rpartition("@")
        if at and local and "." in host and not any(c.isspace() for c in address):
            return address.lower()
    return ""


def domain(value: Any) -> str:
    """Return the domain of an address or a URL in lower case, without `www.`."""
    text = _text(value).strip()[:3000]
    if "://" in text:
        host = text.split("://", 1)[1]
        for end in "/?#":
            host = host.split(end, 1)[0]
        host = host.rpartition("@")[2].split(":", 1)[0]
    else:
        host = email(text).rpartition("@")[2]
        if not host and "." in text and not any(c.isspace() or c in "/@<>" for c in text):
            host = text
    host = host.strip(".").lower()
    return host.removeprefix("www.")


def plain(value: Any) -> str:
    """Return HTML as readable text: tags go, paragraphs and breaks become lines, entities their characters. A text that
    holds no HTML stays as it is."""
    return plain_text(_text(value)[:MAX_CHARS])


def truncate(value: Any, length: Any = 255, killwords: Any = False, end: Any = "...", leeway: Any = 0) -> str:
    """Cut to at most `length` characters including `end`, between words unless `killwords`. As Jinja2's own, but for the
    leeway: a limit is a limit."""
    text, limit, tail = _text(value), max(0, int(length)), _text(end)
    if len(text) <= limit + max(0, int(leeway)):
        return text
    cut = text[: max(0, limit - len(tail))]
    if not killwords:
        cut = cut.rsplit(" ", 1)[0]
    return (cut + tail)[:limit]


def slug(value: Any, length: Any = 80) -> str:
    """Return small letters, digits and dashes: "Café Déjà-vu!" is cafe-deja-vu."""
    letters = unicodedata.normalize("NFKD", _text(value)[:10_000]).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", letters).strip("-")[: max(1, int(length))].rstrip("-")


def moment(value: Any) -> datetime | None:
    """Read ISO 8601, RFC 2822 (mail), or a number of seconds or milliseconds since 1970. None for anything else."""
    try:
        if isinstance(value, bool):
            return None
        if isinstance(value, (int, float)):
            return datetime.fromtimestamp(value / 1000 if abs(value) > 100_000_000_000 else value, UTC)
        text = _text(value).strip()[:100]
        if not text:
            return None
        if re.fullmatch(r"-?\d{9,14}(?:\.\d{1,9})?", text, re.ASCII):
            return moment(float(text))
        try:
            found = datetime.fromisoformat(text)
        except ValueError:
            found = parsedate_to_datetime(text)
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError, OSError, TypeError, IndexError):
        return None


def iso(found: datetime) -> str:
    """Return a moment as Planhat takes it: "2026-03-04T05:06:07.089Z"."""
    return f"{found:%Y-%m-%dT%H:%M:%S}.{found.microsecond // 1000:03d}Z".rjust(24, "0")


def date(value: Any, format: Any = None) -> str:
    """Return a time in ISO 8601 UTC, or by `format` as strftime has it. Nothing for what is no time."""
    found = moment(value)
    if found is None:
        return ""
    return iso(found) if format is None else found.strftime(_text(format)[:100])


def mention(value: Any) -> str:
    """Make Slack's markup readable: `<@U1|ann>` is @ann, `<#C1|general>` #general, `<https://x|site>` site
    (https://x), `<!here>` @here."""
    return html.unescape(_SLACK_LINK.sub(_readable, _text(value)[:MAX_CHARS]))


def _readable(found: re.Match[str]) -> str:
    target, label = found[1], found[2] or ""
    if target[0] == "@":
        return f"@{label or target[1:]}"
    if target[0] == "#":
        return f"#{label or target[1:]}"
    if target[0] == "!":
        what, _, which = target[1:].partition("^")
        return label or "@" + (which if what == "subteam" and which else what)
    bare = target.removeprefix("mailto:")
    return f"{label} ({bare})" if label and label != bare else bare


def line(value: Any) -> str:
    """Return a text as one plain line, for a subject: no tags, no marks of Markdown or Slack around words, no line breaks."""
    text = _text(value)[:MAX_LINE_SOURCE_CHARS]
    if _MARKUP.search(text):
        text = plain(text)
    if not text.isprintable():
        text = _CONTROL.sub("", text)
    if "\n" not in text and not _MARKED.search(text):
        return text.strip()
    text = _MARKDOWN_LINK.sub(r"\1", _LINE_START.sub("", text))
    for pattern in _EMPHASIS:
        text = pattern.sub(r"\1", text)
    return " ".join(text.split())


def files(value: Any) -> str:
    """Write attachments as HTML, a paragraph each: the name (a link where it has an address), type and size."""
    if isinstance(value, (str, Mapping)) or not isinstance(value, Iterable):
        return ""
    return "".join(_file(one) for one in value if isinstance(one, Mapping))


def _file(file: Mapping[str, Any]) -> str:
    name, url, kind, size = (file.get(key) for key in ("name", "url", "type", "size"))
    shown = html.escape(" ".join(_text(name).split()) or "Attachment")
    link = _text(url).strip()
    if link.lower().startswith(("https://", "http://")):
        shown = f'<a href="{html.escape(link)}">{shown}</a>'
    more = [html.escape(_text(kind))] if kind else []
    if isinstance(size, int) and not isinstance(size, bool) and size > 0:
        more.append(size_of(size))
    return f"<p>{shown} ({', '.join(more)})</p>" if more else f"<p>{shown}</p>"


def size_of(count: int) -> str:
    """Return a count of bytes for a reader: "812 bytes", "12 kB", "3.4 MB"."""
    if count < 1000:
        return f"{count} bytes"
    if count < 1_000_000:
        return f"{round(count / 1000)} kB"
    return f"{count / 1_000_000:.1f} MB"


def default(value: Any, instead: Any = "", also_empty: Any = True) -> Any:
    """Return `instead` where `value` is nothing: undefined, none, or (unless told otherwise) empty."""
    if value is None or isinstance(value, Undefined) or (also_empty and value in ("", [], {}, ())):
        return instead
    return value


def escape(value: Any) -> str:
    """Make a text safe within HTML."""
    return html.escape(_text(value))


def join(values: Any, between: Any = "", attribute: Any = None) -> str:
    """Return the texts of a list with `between` in between; empty ones are left out."""
    if isinstance(values, str) or not isinstance(values, Iterable):
        return _text(values)
    between_text, parts, chars = _text(between), [], 0
    for value in values:
        inner = value.get(attribute) if isinstance(value, Mapping) else None
        text = _text(value if attribute is None else inner)
        if text:
            parts.append(text)
            chars += len(text) + len(between_text)
            if chars > MAX_FILTERED_CHARS:
                raise ValueError("too long")
    return between_text.join(parts)


def replace(value: Any, old: Any, new: Any) -> str:
    text, old_text, new_text = _text(value), _text(old), _text(new)
    if not old_text:
        return text
    if text.count(old_text) * len(new_text) + len(text) > MAX_FILTERED_CHARS:
        raise ValueError("too long")
    return text.replace(old_text, new_text)


def nl2br(value: Any) -> str:
    """Write lines as HTML: escaped, with `<br>` between them."""
    return html.escape(_text(value)).replace("\n", "<br>")


FILTERS: dict[str, Callable[..., Any]] = {
    "d": default,
    "date": date,
    "default": default,
    "domain": domain,
    "e": escape,
    "email": email,
    "escape": escape,
    "files": files,
    "join": join,
    "line": line,
    "mention": mention,
    "nl2br": nl2br,
    "plain": plain,
    "replace": replace,
    "slug": slug,
    "striptags": plain,
    "truncate": truncate,
}
