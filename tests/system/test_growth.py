"""Every function that reads text from outside takes time that grows with its length and no faster.

`ROWS` (`tests/text_functions.py`) is the table of them: a new public function in the rooms that read text fails here until it has a row, or a reason in
`NOT_TEXT` why no long text ever comes to it.
"""

from __future__ import annotations

import inspect
import pkgutil
from collections.abc import Iterator
from importlib import import_module
from types import ModuleType
from typing import Any

import orjson
import pytest

from relay import description
from relay.config import Redaction
from relay.door.redaction import build_redactor
from relay.event import Event
from relay.operations.search import words
from relay.rules.language.filters import FILTERS
from relay.sources import base, foreign_json, large_json, mail, read
from relay.sources.base import Inbound, Sample
from relay.sources.proof import cut
from relay.sources.registry import ADAPTERS
from tests.growth import SHORT_S, assert_linear, seconds
from tests.sources.test_every_source import NOW_S, build, inbound, seeds
from tests.sources.test_mail_growth import PAGES
from tests.stored_text_functions import NOT_STORED_TEXT, STORED_ROWS
from tests.text_functions import IN_JSON, NOT_TEXT, ROWS
from tests.text_pieces import FORM, JSON, MULTIPART, PLAIN, SLACK

pytestmark = pytest.mark.simulated


def reading_functions(modules: list[ModuleType], rooms: tuple[ModuleType, ...]) -> Iterator[str]:
    """The public functions of these whose first argument may be a text."""
    for room in rooms:
        modules += [
            import_module(found.name) for found in pkgutil.iter_modules(room.__path__, f"{room.__name__}.")
        ]
    for module in modules:
        for name, found in vars(module).items():
            if name.startswith("_") or not inspect.isfunction(found) or found.__module__ != module.__name__:
                continue
            first = next(iter(inspect.signature(found).parameters.values()), None)
            kind = str(first.annotation) if first else ""
            if any(word in kind for word in ("str", "bytes", "Any", "Inbound")):
                yield f"{module.__name__}:{name}"


def test_every_reading_function_has_its_row() -> None:
    found = set(reading_functions([base, foreign_json, large_json, cut], (read, mail)))
    assert len(found) > 60
    assert found - {*ROWS, *STORED_ROWS, *NOT_TEXT} == set(), "a row in ROWS, or a reason in NOT_TEXT"
    assert set(NOT_TEXT) <= found | {"relay.sources.proof.cut:all_places"}
    for name in ROWS:
        module, _, function = name.partition(":")
        assert hasattr(import_module(module), function), f"{name} is gone"


def test_every_function_that_reads_a_stored_text_has_its_row() -> None:
    found = set(reading_functions([words], (description,)))
    assert found - set(STORED_ROWS) - set(NOT_STORED_TEXT) == set(), "a row in STORED_ROWS"


@pytest.mark.parametrize("name", sorted({**ROWS, **STORED_ROWS}))
def test_it_takes_linear_time(name: str) -> None:
    row = {**ROWS, **STORED_ROWS}[name]
    for before, after in row.around or [(type(row.pieces[0])(), type(row.pieces[0])())]:
        for piece in row.pieces:
            assert_linear(lambda one, b=before, a=after: row.work(b + one + a), piece)  # type: ignore[misc]


# -- templates -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(FILTERS))
def test_a_filter_takes_linear_time_and_never_raises_over_a_text(name: str) -> None:
    more: dict[str, tuple[Any, ...]] = {"replace": ("a", "bb"), "join": (", ",), "truncate": (80,)}
    work = FILTERS[name]

    def filtered(one: str) -> object:
        try:
            return work(one, *more.get(name, ()))
        except ValueError as error:
            assert str(error) == "too long"  # noqa: PT017
            return None

    for piece in [*PLAIN, *SLACK, *PAGES, "((", "<a@", '"']:
        assert_linear(filtered, piece)
    filtered("(" * 5000)
    filtered("<" * 5000 + ">" * 5000)


# -- redaction -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "pattern", [r"(a+)+$", r"(a|aa)+$", r"(.*a){12}", r"\d{4,}-?\d{4,}", r"[^@\s]+@[^@\s]+"]
)
def test_a_redaction_takes_linear_time_whatever_its_pattern(pattern: str) -> None:
    redact = build_redactor([Redaction(field="", pattern=pattern, how="hash")], key=lambda: b"k" * 32)
    assert redact is not None
    for piece in (b"a", b"ab", b"1", b"1-", b"a@", b"\\u0061", b" "):
        for kind in ("application/json", FORM, MULTIPART):
            request = {"content-type": kind}
            assert_linear(lambda one, h=request: redact.request(Inbound(b'{"a":"' + one + b'"}', h)), piece)  # type: ignore[misc]


def test_deep_json_is_redacted_or_refused_in_linear_time() -> None:
    redact = build_redactor(
        [Redaction(field="a.*.b", pattern="", how="drop"), Redaction(field="", pattern="x+", how="drop")],
        key=lambda: b"k" * 32,
    )
    assert redact is not None
    for piece in JSON:
        for before, after in IN_JSON:
            assert_linear(lambda one, b=before, a=after: redact.request(Inbound(b + one + a, {})), piece)  # type: ignore[misc]


# -- whole requests ------------------------------------------------------------------------------------------

#: Under these names people's words stand.
WORDS = frozenset(
    {
        *(
            "text",
            "body",
            "html",
            "subject",
            "title",
            "description",
            "content",
            "comment",
            "name",
            "plain",
            "message",
        ),
        *(
            "TextBody",
            "HtmlBody",
            "StrippedTextReply",
            "Subject",
            "RawEmail",
            "Name",
            "html_body",
            "preview",
            "summary",
        ),
        *("body_html", "body_text", "blurb", "note", "summary_overview", "value", "Message"),
    }
)


def filled(value: Any, piece: str, times: int) -> Any:
    if isinstance(value, dict):
        return {
            key: piece * times if key in WORDS and isinstance(one, str) else filled(one, piece, times)
            for key, one in value.items()
        }
    return [filled(one, piece, times) for one in value] if isinstance(value, list) else value


@pytest.mark.parametrize("name", sorted(ADAPTERS))
def test_a_request_is_read_in_linear_time_whatever_its_words_are(name: str) -> None:
    """And one that is read in the event loop, in less time than anybody there may wait."""
    adapter = build(name)
    for payload, given in seeds(name)[:4]:
        for piece in ("a", "\n", "> a\n", "<p>", "<div>", "&", "*a* ", "<@U1>", "(", "a@b.c, "):
            fields = orjson.dumps(filled(payload, "\ue000", 1)).count("\ue000".encode())
            size = adapter.inline_bytes // max(1, fields)

            def parsed(one: str, payload: Any = payload, given: Any = given) -> list[Any]:
                request = inbound(name, Sample(orjson.dumps(filled(payload, one, 1)), given))
                return [event for event in adapter.parse(request, now_s=NOW_S) if isinstance(event, Event)]

            assert_linear(parsed, piece, size=max(len(piece), size))
            assert seconds(parsed, piece * (size // len(piece))) < 3 * SHORT_S
