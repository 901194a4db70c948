"""What `relay conversations` is given: files, standard input, `--set`; checked before anything is sent."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

import click
import orjson

from relay.errors import UserError

if TYPE_CHECKING:
    from relay.planhat.bulk import InputRow, Result

#: What Windows' programs put before JSON.
_BOM: Final = b"\xef\xbb\xbf"
_SIZES: Final = {"": 1, "B": 1, "KB": 1000, "MB": 1_000_000, "KIB": 1024, "MIB": 1024 * 1024}


class ConversationsUnreadable(UserError):
    """A file or an option that cannot be sent; says where."""


def _read(file: str) -> bytes:
    try:
        if file == "-":
            if sys.stdin.isatty():
                click.echo("Reading JSON from standard input; Ctrl-D ends it.", err=True)
            return sys.stdin.buffer.read().removeprefix(_BOM)
        with open(file, "rb") as opened:
            return opened.read().removeprefix(_BOM)
    except OSError as error:
        raise ConversationsUnreadable(f"{file}: cannot be read: {error.strerror}") from error


def read_items(file: str) -> list[Any]:
    content = _read(file)
    name = "standard input" if file == "-" else file
    if content.lstrip()[:1] == b"[":
        try:
            items = orjson.loads(content)
        except orjson.JSONDecodeError as error:
            raise ConversationsUnreadable(f"{name}:{error.lineno}: not JSON: {error.msg}") from error
        return list(items)
    if content.split(b"\n", 1)[0].strip() == b"{":
        # One object over several lines, as `relay conversations get --json` prints it.
        with suppress(orjson.JSONDecodeError):
            return [orjson.loads(content)]
    lines: list[Any] = []
    for number, line in enumerate(content.splitlines(), start=1):
        if line.strip():
            try:
                lines.append(orjson.loads(line))
            except orjson.JSONDecodeError as error:
                raise ConversationsUnreadable(
                    f"{name}:{number}: should be a JSON array, or one JSON object a line: {error.msg}"
                ) from error
    return lines


def rows_of(items: Sequence[Any]) -> tuple[list[InputRow], list[Result]]:
    """Return what can be sent, and the results of what cannot. Generated properties are left out, so that what `list` and
    `get` print can be sent back."""
    from relay.planhat.bulk import Result, row_of
    from relay.planhat.fields import GENERATED, faults_of
    from relay.planhat.report import Key

    rows: list[InputRow] = []
    refused: list[Result] = []
    left_out: set[str] = set()
    for position, item in enumerate(items):
        if not isinstance(item, dict):
            refused.append(Result(position, Key(None), "failed", "should be a JSON object"))
            continue
        generated = (GENERATED - {"_id"}) & item.keys()
        left_out |= generated
        sendable = _with_whole_dates({name: value for name, value in item.items() if name not in generated})
        row = row_of(position, sendable)
        faults = faults_of(sendable, partial=True)
        if faults:
            refused.append(Result(position, row.key, "failed", "; ".join(faults)))
        else:
            rows.append(row)
    if left_out:
        click.echo(f"Left out, since Planhat generates them itself: {', '.join(sorted(left_out))}", err=True)
    return rows, refused


def read_document(file: str | None, settings: Iterable[str]) -> dict[str, Any]:
    from relay.planhat.fields import field_named

    document: Any = {}
    if file is not None:
        name = "standard input" if file == "-" else file
        try:
            document = orjson.loads(_read(file))
        except orjson.JSONDecodeError as error:
            raise ConversationsUnreadable(f"{name}:{error.lineno}: not JSON: {error.msg}") from error
        if not isinstance(document, dict):
            raise ConversationsUnreadable(f"{name}: should be one JSON object")
    for setting in settings:
        name, found, value = setting.partition("=")
        if not found:
            raise ConversationsUnreadable(f"--set {name}: should be NAME=VALUE")
        if name.startswith("custom."):
            _set_custom(document, name.removeprefix("custom."), value)
            continue
        field = field_named(name)
        if field is not None and field.type not in ("string", "objectId"):
            try:
                document[name] = orjson.loads(value)
            except orjson.JSONDecodeError as error:
                raise ConversationsUnreadable(
                    f"--set {name}: should be JSON, being of type {field.type}"
                ) from error
        else:
            document[name] = value
    if not document:
        raise ConversationsUnreadable(
            "nothing to send: name a file with a JSON object, or properties with --set"
        )
    return _with_whole_dates(document)


def _set_custom(document: dict[str, Any], name: str, value: str) -> None:
    """Put one custom field beside those that are there already: a number, a truth or a list as JSON, anything else as a text."""
    held = document.setdefault("custom", {})
    if not isinstance(held, dict):
        raise ConversationsUnreadable("custom: should be a JSON object")
    try:
        held[name] = orjson.loads(value)
    except orjson.JSONDecodeError:
        held[name] = value


def _with_whole_dates(document: Mapping[str, Any]) -> dict[str, Any]:
    """The same with plain dates completed: Planhat refuses `2025-08-11` on a creation, and does not say why."""
    from relay.planhat.fields import field_named
    from relay.rules.rule import fit_to_field

    whole = dict(document)
    for name, value in document.items():
        field = field_named(name)
        if field is not None and field.date and isinstance(value, str):
            whole[name] = fit_to_field(field, value)
    return whole


def refuse_faults(document: Mapping[str, Any], *, partial: bool) -> None:
    from relay.planhat.fields import faults_of

    faults = faults_of(document, partial=partial)
    if faults:
        raise ConversationsUnreadable("\n".join(faults))


def read_bytes(text: str) -> int:
    digits = text.rstrip("KMIBkmib ")
    unit = text[len(digits) :].strip().upper()
    if not (digits.isascii() and digits.isdigit()) or unit not in _SIZES or not int(digits):
        raise ConversationsUnreadable(
            f"--max-bytes: should be a size such as 500KB, 4MB or 1MiB, not {text!r}"
        )
    return int(digits) * _SIZES[unit]
