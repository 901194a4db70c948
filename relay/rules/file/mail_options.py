"""What a source's options for mails must hold beside their shape."""

from __future__ import annotations

from relay.linear_pattern import compile_pattern
from relay.rules.defaults import MAIL_ADAPTERS
from relay.rules.file.yaml_file import Path, YamlSource
from relay.source_options import SourceOptions


def check_mail_options(name: str, options: SourceOptions, source: YamlSource) -> None:
    """Complains of options of a source that brings no mails, and of a pattern that cannot find a ticket's number."""
    given = [key for key in ("skip", "thread_subject") if getattr(options, key)]
    if given and options.adapter and options.adapter not in MAIL_ADAPTERS:
        source.add(
            ("sources", name, given[0]), f"is for mails only, and {options.adapter} does not bring any"
        )
    if not options.thread_subject:
        return
    at: Path = ("sources", name, "thread_subject")
    try:
        compiled = compile_pattern(options.thread_subject)
    except ValueError as error:
        source.add(at, str(error))
        return
    if compiled.groups > 1:
        source.add(
            at, f"has {compiled.groups} groups; one says where the number is, and none that all of it is"
        )
    elif compiled.search(b"") is not None:
        source.add(at, "fits an empty subject, and so any: all mails would be one conversation")
