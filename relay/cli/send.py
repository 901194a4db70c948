"""`relay send`: posts a sample as the provider would, signed with the config's secret; or prints the request."""

from __future__ import annotations

import base64
import json
import shlex
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from relay.cli.names import SOURCE_PARAM
from relay.cli.place import Place, place_options
from relay.errors import NotFound, UserError

if TYPE_CHECKING:
    import httpx

    from relay.cli.context import CliContext
    from relay.sources.base import Adapter, Sample


@click.command()
@click.option("--source", type=SOURCE_PARAM, required=True, help="A name under `sources:` in the config.")
@click.argument("payload", required=False, type=click.Path(dir_okay=False))
@click.option(
    "--url", help="Where the relay is; the running `relay up`, or RELAY_HOST and RELAY_PORT otherwise."
)
@click.option("--count", type=click.IntRange(1), default=1, show_default=True)
@click.option("--rate", type=float, help="Messages a second; as fast as they are accepted otherwise.")
@click.option(
    "--print", "print_", is_flag=True, help="Send nothing: show the request, and a curl line that sends it."
)
@click.option("--body", "body_alone", is_flag=True, help="Send nothing: the body alone, for `relay explain`.")
@place_options
@click.option("--json", "as_json", is_flag=True, help="The answers as JSON lines.")
def send(
    source: str,
    payload: str | None,
    url: str | None,
    count: int,
    rate: float | None,
    print_: bool,
    body_alone: bool,
    place: Place,
    as_json: bool,
) -> None:
    """Post a sample message of SOURCE, signed just as its provider would sign it; PAYLOAD is a file with a body of
    your own ("-": standard input).

    \b
    Examples:
        relay send --source slack
        relay send --source slack --count 1000 --rate 50
        relay send --source support-mail mail.json
        relay send --source slack --print
        relay send --source slack --body > message.json
    """
    import httpx

    from relay.cli.context import open_context
    from relay.operations.sample import sample_serial

    context = open_context(place)
    base = url or _address(context, only_shown=print_ or body_alone)
    ready = context.house.sources.get(source)
    if ready is None:
        raise NotFound(
            f"no source {source!r} in {context.settings.config}; it has: {', '.join(context.house.sources)}"
        )
    target = base if "/hooks/" in base else f"{base.rstrip('/')}/hooks/{source}"
    serial = sample_serial()
    sender = _Sender(ready.adapter, target, ready.config.options.public_url or target, serial, _read(payload))
    if body_alone:
        for number in range(count):
            click.echo(sender.signed(number).body, nl=count > 1 or sys.stdout.isatty())
        return
    if print_:
        for number in range(count):
            _print(sender.signed(number), target, as_json)
        return
    try:
        with httpx.Client(timeout=30, trust_env=False) as client:
            if count == 1:
                answer = sender.post(client, 0)
                _say(answer, as_json)
                refused = int(answer["http"] >= 300)
            else:
                refused = _send_many(sender, client, source, count, rate, as_json)
    except httpx.HTTPError as error:
        raise NotFound(
            f"{target}: no answer ({type(error).__name__}); is the relay running? `relay up` starts it"
        ) from error
    sys.exit(1 if refused else 0)


@dataclass(frozen=True, slots=True)
class _Sender:
    """One source's samples, signed for `public`, the address that the sender knows, and posted to `target`."""

    adapter: Adapter
    target: str
    public: str
    serial: int
    own_body: bytes | None

    def signed(self, number: int) -> Sample:
        from relay.operations.sample import signed_sample

        return signed_sample(self.adapter, self.serial + number, self.public, self.own_body)

    def post(self, client: httpx.Client, number: int) -> dict[str, Any]:
        signed = self.signed(number)
        answer = client.request(signed.method, self.target, content=signed.body, headers=dict(signed.headers))
        try:
            body = answer.json()
        except ValueError:
            body = {"body": answer.text[:200]}
        return {"http": answer.status_code, **(body if isinstance(body, dict) else {"body": body})}


def _address(context: CliContext, *, only_shown: bool) -> str:
    """Where the relay is; where a request is only shown, the address that it would have. Raises NothingRuns."""
    from relay.cli.context import NothingRuns

    try:
        return context.relay_url
    except NothingRuns:
        if not only_shown:
            raise
        return f"http://{context.settings.host}:{context.settings.port}"


def _send_many(
    sender: _Sender, client: httpx.Client, source: str, count: int, rate: float | None, as_json: bool
) -> int:
    """How many were refused."""
    refused = 0
    began = time.monotonic()
    with click.progressbar(length=count, label=f"sending to {source}", file=sys.stderr) as bar:
        for number in range(count):
            if rate:
                time.sleep(max(0.0, began + number / rate - time.monotonic()))
            answer = sender.post(client, number)
            refused += int(answer["http"] >= 300)
            if as_json:
                click.echo(json.dumps(answer))
            bar.update(1)
    took_s = time.monotonic() - began
    if not as_json:
        click.echo(f"{count - refused} of {count} accepted in {took_s:.1f} s ({count / took_s:.0f}/s)")
    return refused


def _read(payload: str | None) -> bytes | None:
    if payload is None:
        return None
    if payload == "-":
        return sys.stdin.buffer.read()
    try:
        return Path(payload).read_bytes()
    except OSError as error:
        raise UserError(f"{payload}: {error.strerror}") from error


def _print(request: Sample, target: str, as_json: bool) -> None:
    """The request as it would go out. A signature with a time in it is good for some minutes."""
    try:
        body, encoding = request.body.decode(), "utf-8"
    except UnicodeDecodeError:
        body, encoding = base64.b64encode(request.body).decode(), "base64"
    curl = curl_line(request, target)
    if as_json:
        told = {"method": request.method, "url": target, "headers": dict(request.headers)}
        click.echo(json.dumps({**told, "body": body, "encoding": encoding, "curl": curl}))
        return
    click.echo(f"{request.method} {target}")
    for name, value in request.headers.items():
        click.echo(f"{name}: {value}")
    click.echo(f"\n{body}\n\n{curl}")


def curl_line(request: Sample, target: str) -> str:
    """Return a command for a shell that sends these very bytes."""
    parts = ["curl", "-sS", "-X", request.method, target]
    for name, value in request.headers.items():
        parts += ["-H", f"{name}: {value}"]
    head = shlex.join(parts)
    try:
        return f"{head} --data-binary {shlex.quote(request.body.decode())}"
    except UnicodeDecodeError:
        return f"echo {base64.b64encode(request.body).decode()} | base64 -d | {head} --data-binary @-"


def _say(answer: dict[str, Any], as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(answer))
        return
    ids = answer.get("event_ids") or []
    click.echo(
        f"{answer['http']} {answer.get('status') or answer.get('error', {}).get('message') or answer.get('body', '')}"
    )
    for event_id in ids:
        click.echo(f"its story:  relay trace {event_id}")
