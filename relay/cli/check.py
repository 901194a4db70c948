"""`relay check`: everything about a config that can be known before it runs."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import click

from relay.cli.place import Place, place_options
from relay.errors import ConfigInvalid, Mistake, RelayError, SourceError, UserError
from relay.event import Event
from relay.planhat.doctor_line import DoctorLine
from relay.rules.file.load import Loaded, examine_config
from relay.rules.file.yaml_file import dotted
from relay.rules.native_syncs import doubled_sources
from relay.settings import Settings
from relay.sources.base import Adapter, Inbound, Parsed, Skipped
from relay.sources.read.privacy import UNSAID
from relay.sources.registry import build_adapter

#: When an example's request came in; adapters ask for it where a payload holds no time. 2026-01-02T03:04:05Z.
_EXAMPLE_TIME_S = 1_767_323_045.0


#: Their JSON is an administrator's, who may have forgotten to say what is private.
_TRIGGERED = frozenset({"zendesk", "freshdesk", "gorgias", "servicenow"})
_UNSAID = (
    "a comment may be a note that only agents see, and the trigger's JSON does not say: add is_public to it "
    "(Zendesk: {{ticket.latest_comment.is_public}}) or use the public comment's placeholder; privacy: strict skips the others"
)


def check_file(path: str, environ: Mapping[str, str], *, secrets: bool = True) -> list[Mistake]:
    """Return every mistake and warning of the file, in its order; an empty list: it holds. Without `secrets` variables may be missing."""
    try:
        first = examine_config(path, environ, secrets=secrets)
    except ConfigInvalid as error:
        return error.mistakes
    adapters, found = _build_adapters(first, path)
    unsaid: set[str] = set()

    def parse(name: str, body: bytes, headers: Mapping[str, str]) -> Sequence[Event]:
        adapter = adapters.get(name)
        if adapter is None:
            return []
        parsed = parse_whole(adapter, body, headers, now_s=_EXAMPLE_TIME_S)
        if any(_says_nothing(one) for one in parsed):
            unsaid.add(name)
        return [one for one in parsed if isinstance(one, Event)]

    mistakes = first.mistakes
    if any(
        "payload_file" in example for rule in first.config.rules for example in rule.get("examples") or ()
    ):
        mistakes = examine_config(path, environ, parse=parse, secrets=secrets).mistakes
    found += [
        Mistake(
            _UNSAID, path, first.config.lines.get(f"sources.{name}") or None, f"sources.{name}", "warning"
        )
        for name, source in first.config.sources.items()
        if name in unsaid or (source.options.privacy == "as_told" and source.adapter in _TRIGGERED)
    ]
    return sorted((*mistakes, *found), key=lambda mistake: mistake.line or 0)


def _build_adapters(loaded: Loaded, path: str) -> tuple[dict[str, Adapter], list[Mistake]]:
    """Those that can be built; of the others, why not. A secret that is not set hides no other mistake."""
    adapters: dict[str, Adapter] = {}
    found: list[Mistake] = []
    stood_in = {dotted(unset) for unset, stands in loaded.unset.items() if stands}
    for name, source in loaded.config.sources.items():
        line, where = loaded.config.lines.get(f"sources.{name}") or None, f"sources.{name}"
        inside = [
            unset for unset, stands in loaded.unset.items() if unset[:2] == ("sources", name) and not stands
        ]
        wrong = [
            one
            for one in loaded.mistakes
            if one.severity == "error"
            and one.where not in stood_in
            and f"{one.where}.".startswith(f"{where}.")
        ]
        if inside or wrong:
            continue
        try:
            adapters[name] = build_adapter(source.options)
        except ValueError as error:
            found.append(Mistake(str(error), path, line, where))
        except ImportError:
            found.append(Mistake(f"the adapter {source.adapter!r} is not in this build", path, line, where))
    return adapters, found


def parse_payload(adapter: Adapter, body: bytes, headers: Mapping[str, str], *, now_s: float) -> list[Event]:
    """Return the events of a request's body, without proof of who sent it. Raises ValueError with a sentence."""
    return [one for one in parse_whole(adapter, body, headers, now_s=now_s) if isinstance(one, Event)]


def parse_whole(
    adapter: Adapter, body: bytes, headers: Mapping[str, str], *, now_s: float
) -> Sequence[Parsed]:
    """Parse as `parse_payload` does, with what is skipped and parked."""
    types = sorted(adapter.content_types)
    guess = "application/json" if "application/json" in types or not types else types[0]
    inbound = Inbound(body=body, headers={"content-type": guess, **headers})
    try:
        return adapter.parse(inbound, now_s=now_s)
    except SourceError as error:
        raise ValueError(f"not what this source sends: {error}") from error


def _says_nothing(parsed: Parsed) -> bool:
    """Whether this comes of a template that does not say who may read the comment."""
    if isinstance(parsed, Skipped):
        return parsed.reason == UNSAID
    return isinstance(parsed, Event) and UNSAID in parsed.remarks


@click.command()
@click.argument("file", required=False, type=click.Path(dir_okay=False))
@click.option(
    "--schema", is_flag=True, help="Print the config's JSON Schema, for completion in an editor, and end."
)
@click.option(
    "--planhat",
    "live",
    is_flag=True,
    help="Compare custom fields and types with the tenant's too. Reads only.",
)
@click.option("--no-secrets", is_flag=True, help="Variables that the file names may be missing: for CI.")
@click.option("--json", "as_json", is_flag=True, help="The mistakes as JSON.")
@place_options
def check(file: str | None, schema: bool, live: bool, no_secrets: bool, as_json: bool, place: Place) -> None:
    """Validate a config offline: every mistake at once, each with its place, and the rules' own examples.

    FILE is the config; RELAY_CONFIG otherwise. With --planhat, what the rules write is compared with what the tenant
    has: a custom field that is not defined there is stored and shown to nobody. Exit code 0: it holds (warnings
    allowed); 1: an example does not come out, Planhat cannot be asked, or it lacks a field and
    `planhat.undefined_fields` is refuse; 2: a mistake. Where a running relay is named (RELAY_REDIS_URL, or --data), it is
    also asked whether something waits in a lane that FILE does not name: a warning.

    \b
    Examples:
        relay check relay.yaml
        relay check relay.yaml --planhat
        relay check relay.yaml --no-secrets
        relay check --schema > relay.schema.json
    """
    if live and no_secrets:
        raise UserError("--planhat asks your tenant and needs the secrets; leave --no-secrets out")
    if schema:
        from relay.rules.file.schema import json_schema

        click.echo(json.dumps(json_schema(), indent=2))
        return
    from dataclasses import replace

    from relay.cli.context import open_context

    context = open_context(replace(place, config=file or place.config))
    path, environ = context.settings.config, context.environ
    mistakes = check_file(path, environ, secrets=not no_secrets)
    errors = [mistake for mistake in mistakes if mistake.severity == "error"]
    if not errors and not no_secrets:
        mistakes += _left_lanes(context)
    told = _Told(
        path,
        mistakes,
        notes=[] if errors else doubled_sources(examine_config(path, environ, secrets=not no_secrets).config),
    )
    if live and not errors:
        told.tenant = _compare(path, environ, context.settings)
        told.grave = _grave(path, environ, told.tenant)
    if as_json:
        click.echo(json.dumps(told.as_json(with_tenant=live), indent=2))
    else:
        told.echo(lambda: _summary(path, environ, secrets=not no_secrets))
    sys.exit(2 if errors else 0 if told.holds else 1)


@dataclass(slots=True)
class _Told:
    """What is said of a file: its mistakes, what the tenant lacks (`grave`: what is no mere warning), and `notes`: sources
    whose events Planhat may have by itself."""

    path: str
    mistakes: Sequence[Mistake]
    tenant: Sequence[DoctorLine] = ()
    grave: Sequence[DoctorLine] = ()
    notes: Sequence[tuple[str, str]] = ()

    @property
    def holds(self) -> bool:
        return not self.grave and all(mistake.severity == "warning" for mistake in self.mistakes)

    def as_json(self, *, with_tenant: bool) -> dict[str, Any]:
        told: dict[str, Any] = {
            "file": self.path,
            "holds": self.holds,
            "mistakes": [asdict(mistake) for mistake in self.mistakes],
            "notes": [{"source": name, "note": note} for name, note in self.notes],
        }
        if with_tenant:
            told["planhat"] = [asdict(one) for one in self.tenant]
        return told

    def echo(self, summary: Callable[[], str]) -> None:
        for mistake in self.mistakes:
            head = {"warning": "warning: ", "example": "example: "}.get(mistake.severity, "")
            click.echo(f"{head}{mistake}", err=True)
        for name, note in self.notes:
            click.echo(f"note: source {name}: {note}", err=True)
        lacking = [one for one in self.tenant if not one.ok]
        for one in lacking:
            click.echo(
                f"{'' if one in self.grave else 'warning: '}{one.name} {one.found}; {one.do}", err=True
            )
        counts = {
            "mistake": sum(mistake.severity == "error" for mistake in self.mistakes),
            "example that did not come out": sum(mistake.severity == "example" for mistake in self.mistakes),
            "thing that Planhat lacks or does not tell": len(self.grave),
        }
        if self.holds:
            warnings = len(self.mistakes) + len(lacking)
            also = f", with {_count(warnings, 'warning')}" if warnings else ""
            click.echo(f"{self.path} holds: {summary()}{also}")
        else:
            parts = [_count(number, word) for word, number in counts.items() if number]
            click.echo(f"{self.path}: {' and '.join(parts)}", err=True)


def _left_lanes(context: Any) -> list[Mistake]:
    """What waits in lanes that the file does not name, where a running relay is named and answers."""
    from relay.operations.left_lanes import left_lanes

    if not context.names_redis:
        return []
    try:
        found = left_lanes(context.home, context.lane_names)
    except RelayError:
        # The file is checked, not the relay: `relay doctor` says that it is away.
        return []
    return [Mistake(f"{one.found}; {one.do}", context.settings.config, severity="warning") for one in found]


def _compare(path: str, environ: Mapping[str, str], settings: Settings) -> list[DoctorLine]:
    from relay.cli.tenant import tenant_checks
    from relay.operations.lanes import lane_tenant

    loaded = examine_config(path, environ)
    found: list[DoctorLine] = []
    for lane in loaded.config.lane_names:
        tenant, config = lane_tenant(loaded.config, lane, settings), loaded.config.for_lane(lane)
        for one in tenant_checks(tenant, config, loaded.book, everything=False):
            found.append(replace(one, found=f"(lane {lane}) {one.found}") if loaded.config.lanes else one)
    return found


def _grave(path: str, environ: Mapping[str, str], found: Sequence[DoctorLine]) -> list[DoctorLine]:
    """What is no warning: Planhat cannot be asked, or what it does not know is to be refused."""
    refuse = examine_config(path, environ).config.planhat.undefined_fields == "refuse"
    return [
        one
        for one in found
        if not one.ok and (one.name.startswith("planhat") or (refuse and "custom field" in one.name))
    ]


def _summary(path: str, environ: Mapping[str, str] = os.environ, *, secrets: bool = True) -> str:
    config = examine_config(path, environ, secrets=secrets).config
    examples = sum(len(rule.get("examples") or ()) for rule in config.rules)
    return ", ".join(
        (
            _count(len(config.sources), "source"),
            _count(len(config.rules), "rule"),
            _count(examples, "example"),
            f"version {config.version}",
        )
    )


def _count(number: int, words: str) -> str:
    first, _, rest = words.partition(" that ")
    return f"{number} {first}{'' if number == 1 else 's'}{' that ' + rest if rest else ''}"
