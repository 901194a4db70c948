"""The values of a rule, compiled and checked: `rule.Slot`s out of what stands in the file."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from jinja2 import nodes

from relay.rules.file.yaml_file import Absent, Path, YamlSource
from relay.rules.language.references import TemplateWarning, faults_in, warnings_in
from relay.rules.language.template import (
    TemplateFault,
    TemplateInvalid,
    compiled,
    parse_expression,
    parse_text,
    sole_expression,
)
from relay.rules.rule import Slot


def build_condition(value: Any, path: Path, source: YamlSource) -> Slot | None:
    """Return a `when`; None for one that always holds, or that does not compile (complained of to `source`)."""
    if value is None or isinstance(value, Absent):
        return None
    line, block = source.line(path), path in source.blocks
    if isinstance(value, bool):
        return None if value else Slot("when", constant=False, line=line, text="false")
    if not isinstance(value, str) or not value.strip():
        source.add(path, 'should be a condition such as event.kind == "message.created"')
        return None
    text = value.strip()
    if text.startswith("{{") and text.endswith("}}"):
        source.add(path, "is an expression already: leave out {{ and }}")
        return None
    try:
        _report(_study(text, expression=True), path, source)
        return Slot("when", template=compiled(text, native=True), line=line, block=block, text=text)
    except TemplateInvalid as error:
        _report_invalid(error, path, source)
        return None


@dataclass(frozen=True, slots=True)
class _Study:
    """What can be said of a template alone. `inner` is the expression of one that is exactly one `{{ ... }}`."""

    faults: tuple[TemplateFault, ...]
    doubts: tuple[TemplateWarning, ...]
    inner: str | None = None


@lru_cache(maxsize=4096)
def _study(text: str, *, expression: bool = False) -> _Study:
    """Remembered, so that a reload looks only at what changed. Raises TemplateInvalid."""
    tree: nodes.Node = parse_expression(text) if expression else parse_text(text)
    inner = None
    if not expression:
        stripped = text.strip()
        if sole_expression(parse_text(stripped)) is not None:
            inner = stripped.removeprefix("{{").removesuffix("}}").strip("-+").strip()
    return _Study(tuple(faults_in(tree)), tuple(warnings_in(tree)), inner)


def _report(study: _Study, path: Path, source: YamlSource) -> None:
    for fault in study.faults:
        source.add(path, fault.message, offset=fault.line - 1)
    for doubt in study.doubts:
        source.add(path, doubt.message, severity="warning", offset=doubt.line - 1)


def _report_invalid(error: TemplateInvalid, path: Path, source: YamlSource) -> None:
    message = str(error).rstrip(".")
    if any(
        f"{m.message}" and m.where == source.where(path) and "unknown" in m.message for m in source.mistakes
    ):
        return
    source.add(path, f"does not compile: {message}", offset=error.line - 1)


def build_slot(value: Any, path: Path, source: YamlSource, *, where: str, key: bool = False) -> Slot | None:
    """Read one slot of a rule. `key`: every part of the template has to render to something."""
    line, block = source.line(path), path in source.blocks
    if isinstance(value, Absent):
        return None
    if isinstance(value, dict):
        parts = [(k, build_slot(v, (*path, k), source, where=f"{where}.{k}")) for k, v in value.items()]
        return Slot(where, parts=tuple((k, s) for k, s in parts if s is not None), mapping=True, line=line)
    if isinstance(value, list):
        items = [(n, build_slot(v, (*path, n), source, where=f"{where}[{n}]")) for n, v in enumerate(value)]
        return Slot(where, parts=tuple((n, s) for n, s in items if s is not None), line=line)
    if not isinstance(value, str) or not any(mark in value for mark in ("{{", "{%", "{#")):
        return Slot(where, constant=value, line=line, text="" if value is None else str(value))
    try:
        study = _study(value)
        _report(study, path, source)
        if study.inner is not None:
            template = compiled(study.inner, native=True)
            return Slot(where, template=template, line=line, block=block, text=value.strip())
        return Slot(
            where,
            template=compiled(value, native=False, key=key),
            line=line,
            block=block,
            text=value.rstrip("\n"),
        )
    except TemplateInvalid as error:
        _report_invalid(error, path, source)
        return None
