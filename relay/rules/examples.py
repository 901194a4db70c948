"""A rule's own examples: an event, filled in where it says nothing, and what must come of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields as dataclass_fields
from pathlib import Path as FilePath
from typing import Any

from relay.errors import MappingFailed
from relay.event import KINDS, Attachment, Channel, Event, Person, Recipient, Ticket, event_id
from relay.patch import Document, Patch
from relay.rules.file.shape import did_you_mean, name_of
from relay.rules.file.yaml_file import Path, YamlSource
from relay.rules.language.filters import iso, moment
from relay.rules.language.references import EVENT_SHAPE
from relay.rules.rule import ANY_SOURCE, Filtered, Mapped, Rule, RuleBook

#: Turns a provider's request body (with headers) into events; given by who knows the adapters.
Parse = Callable[[str, bytes, Mapping[str, str]], Sequence[Event]]

_TIME = "2026-01-02T03:04:05.000Z"
_PARTS: dict[str, Any] = {"sender": Person, "channel": Channel, "ticket": Ticket}
_LISTS: dict[str, Any] = {"recipients": Recipient, "attachments": Attachment}
NO_MATCH = ("no match", "no_match", "none")
EXPECTS_DROPPED = ("dropped", "drop", "filtered")


def example_event(given: Mapping[str, Any], *, source: str, adapter: str, payload: Any = None) -> Event:
    """Return `given` with the rest filled in. Raises ValueError with a sentence."""
    values: dict[str, Any] = {
        "id": event_id(source, "example"),
        "source": source,
        "adapter": adapter,
        "kind": "message.created",
        "time": _TIME,
        "version": 1_767_323_045_000_000,
        "thread": "example-thread",
        "message_id": "example-message",
        "payload": payload if isinstance(payload, dict) else {},
    }
    for key, value in given.items():
        if key not in EVENT_SHAPE:
            raise ValueError(f"an event has no {key!r}{did_you_mean(key, tuple(EVENT_SHAPE))}")
        if key in _PARTS:
            values[key] = _part(_PARTS[key], key, value)
        elif key in _LISTS:
            if not isinstance(value, list):
                raise ValueError(f"event.{key} should be a list, not {name_of(value)}")
            values[key] = tuple(_part(_LISTS[key], f"{key}[{n}]", item) for n, item in enumerate(value))
        elif key == "tags":
            if not isinstance(value, list):
                raise ValueError(f"event.tags should be a list, not {name_of(value)}")
            values[key] = tuple(str(item) for item in value)
        elif key == "version":
            if not isinstance(value, int):
                raise ValueError(f"event.version should be a whole number, not {name_of(value)}")
            values[key] = value
        elif key == "time":
            found = moment(value)
            if found is None:
                raise ValueError("event.time should be an ISO 8601 time such as 2026-01-02T03:04:05Z")
            values[key] = iso(found)
        else:
            if isinstance(value, (dict, list)) or value is None:
                raise ValueError(f"event.{key} should be a text, not {name_of(value)}")
            values["unworded" if key == "empty" else key] = str(value)
    if values["kind"] not in KINDS:
        raise ValueError(
            f"no event has the kind {values['kind']!r}{did_you_mean(values['kind'], tuple(sorted(KINDS)))}"
        )
    return Event(**values)


def _part(kind: Any, where: str, value: Any) -> Any:
    known = tuple(part.name for part in dataclass_fields(kind))
    if not isinstance(value, dict):
        raise ValueError(f"event.{where} should be a mapping with {', '.join(known)}")
    for key in value:
        if key not in known:
            raise ValueError(f"event.{where} has no {key!r}{did_you_mean(key, known)}")
    return kind(
        **{k: v if isinstance(v, (bool, int)) and k in ("bot", "size") else str(v) for k, v in value.items()}
    )


def run_examples(
    raws: Sequence[Mapping[str, Any]],
    rules: Mapping[int, Rule],
    book: RuleBook,
    source: YamlSource,
    adapters: Mapping[str, str],
    parse: Parse | None = None,
) -> None:
    """Complains to `source` of each example that does not come out. Without `parse`, payload files are only looked for."""
    for index, raw in enumerate(raws):
        rule = rules.get(index)
        if rule is None:
            continue
        for n, example in enumerate(raw.get("examples") or ()):
            at: Path = ("rules", index, "examples", n)
            name = next((s for s in rule.sources if s != ANY_SOURCE), next(iter(adapters), "example"))
            try:
                events = _events(example, name, adapters.get(name, ""), source, parse)
            except ValueError as error:
                source.add(at, str(error))
                continue
            for event in events:
                for problem in _differences(rule, book, event, example.get("expect")):
                    source.add(at, problem, severity="example")


def _events(
    example: Mapping[str, Any], name: str, adapter: str, source: YamlSource, parse: Parse | None
) -> Sequence[Event]:
    path = example.get("payload_file")
    if path is None:
        given = example.get("event", {})
        if not isinstance(given, dict):
            raise ValueError(f"event should be a mapping, not {name_of(given)}")
        if not given and "payload" not in example:
            raise ValueError("needs an 'event', a 'payload' or a 'payload_file'")
        named = given.get("source", name)
        return [example_event(given, source=str(named), adapter=adapter, payload=example.get("payload"))]
    folder = FilePath(source.file).parent
    try:
        body = (folder / path).read_bytes()
        headers_at = example.get("headers_file")
        headers = read_headers((folder / headers_at).read_text(encoding="utf-8")) if headers_at else {}
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} cannot be read: {type(error).__name__}") from error
    if parse is None:
        return []
    events = parse(name, body, headers)
    if not events:
        raise ValueError(f"{path}: the adapter finds no event in it")
    return events


def read_headers(text: str) -> dict[str, str]:
    """Return `Name: value` lines as headers with lower-case names."""
    headers: dict[str, str] = {}
    for line in text.splitlines():
        name, colon, value = line.partition(":")
        if colon and name.strip():
            headers[name.strip().lower()] = value.strip()
    return headers


def _differences(rule: Rule, book: RuleBook, event: Event, expect: Any) -> list[str]:
    try:
        verdict = book.map(event)
    except MappingFailed as error:
        return [f"fails: {error.cause}"]
    mine = verdict.rule == rule.name
    if isinstance(expect, str):
        if expect in NO_MATCH:
            return [f"expected no match, and rule {rule.name!r} matches"] if mine else []
        if expect in EXPECTS_DROPPED:
            dropped = isinstance(verdict, Filtered) and verdict.rule is not None
            return [] if dropped else ["expected the event to be dropped, and it is not"]
        return [f'expect should be a mapping, "no match" or "dropped", not {expect!r}']
    if isinstance(expect, dict) and expect.get("action") == "drop" and mine and isinstance(verdict, Filtered):
        return []
    if not mine:
        other = f"rule {verdict.rule!r} takes it first" if verdict.rule else "no rule matches it"
        return [f"expected this rule to match, and {other}"]
    if isinstance(verdict, Filtered) or expect is None:
        return []
    if not isinstance(expect, dict):
        return [f'expect should be a mapping or "no match", not {name_of(expect)}']
    return list(_compare(expect, outcome(verdict), ""))


def outcome(verdict: Mapped) -> dict[str, Any]:
    """Return the conversation as an example or `explain` shows it."""
    patch = verdict.patch
    shown: dict[str, Any] = {"externalId": patch.external_id}
    if patch.company_id:
        shown["companyId"] = patch.company_id
    if patch.action == "upsert":
        shown.update(document_of(patch))
    else:
        shown["action"] = patch.action
        if patch.action == "archive":
            shown["archived"] = True
    shown["company"] = dict(patch.company)
    shown.setdefault("action", patch.action)
    shown["message_id"] = patch.message_id
    return shown


def document_of(patch: Patch) -> dict[str, Any]:
    """Return what Planhat would be sent if this patch were all there is."""
    document = Document(patch.external_id)
    document.absorb(patch)
    return document.render()


def _compare(expected: Mapping[str, Any], found: Mapping[str, Any], where: str) -> list[str]:
    problems: list[str] = []
    for key, value in expected.items():
        path = f"{where}{key}"
        if isinstance(value, dict) and isinstance(found.get(key), dict):
            problems.extend(_compare(value, found[key], f"{path}."))
        elif key not in found:
            if value not in (None, "", [], {}):
                problems.append(f"{path}: expected {value!r}, and it is left out")
        elif found[key] != value and not _same_time(value, found[key]):
            problems.append(f"{path}: expected {value!r}, came out as {found[key]!r}")
    return problems


def _same_time(left: Any, right: Any) -> bool:
    if not (isinstance(left, str) and isinstance(right, str)) or len(left) < 10 or left[4:5] != "-":
        return False
    a, b = moment(left), moment(right)
    return a is not None and a == b
