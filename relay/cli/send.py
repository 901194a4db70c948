"""`relay send`: posts a sample as the provider would, signed with the config's secret."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import click

from relay.cli.place import Place, place_options
from relay.errors import NotFound, UserError


@click.command()
@click.option("--source", required=True, help="A name under `sources:` in the config.")
@click.argument("payload", required=False, type=click.Path(dir_okay=False))
@click.option(
    "--url", help="Where the relay is; the running `relay up`, or RELAY_HOST and RELAY_PORT otherwise."
)
@click.option("--count", type=click.IntRange(1), default=1, show_default=True)
@click.option("--rate", type=float, help="Messages a second; as fast as they are accepted otherwise.")
@place_options
@click.option("--json", "as_json", is_flag=True, help="The answers as JSON lines.")
def send(
    source: str,
    payload: str | None,
    url: str | None,
    count: int,
    rate: float | None,
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
    """
    import httpx

    from relay.cli.context import open_context
    from relay.sources.base import Sample

    context = open_context(place)
    base = url or context.relay_url
    ready = context.house.sources.get(source)
    if ready is None:
        raise NotFound(
            f"no source {source!r} in {context.settings.config}; it has: {', '.join(context.house.sources)}"
        )
    target = base if "/hooks/" in base else f"{base.rstrip('/')}/hooks/{source}"
    own_body = _read(payload)
    adapter = ready.adapter
    refused = 0
    began = time.monotonic()
    # Unique for a day at up to 10,000 a second; samples put it into their microseconds, which is taken off again.
    serial = int(time.time() * 10_000) % 10**9

    def post(client: httpx.Client, number: int) -> dict[str, Any]:
        now_s = time.time()
        sample = adapter.sample(serial=serial + number, now_s=now_s - (serial + number) / 1e6)
        if own_body is not None:
            sample = Sample(body=own_body, headers=sample.headers, method=sample.method)
        signed = adapter.sign(sample, now_s=now_s, url=ready.config.options.public_url or target)
        answer = client.request(signed.method, target, content=signed.body, headers=dict(signed.headers))
        try:
            body = answer.json()
        except ValueError:
            body = {"body": answer.text[:200]}
        return {"http": answer.status_code, **(body if isinstance(body, dict) else {"body": body})}

    try:
        with httpx.Client(timeout=30, trust_env=False) as client:
            if count == 1:
                answer = post(client, 0)
                refused = int(answer["http"] >= 300)
                _say(answer, as_json)
            else:
                with click.progressbar(length=count, label=f"sending to {source}", file=sys.stderr) as bar:
                    for number in range(count):
                        if rate:
                            time.sleep(max(0.0, began + number / rate - time.monotonic()))
                        answer = post(client, number)
                        refused += int(answer["http"] >= 300)
                        if as_json:
                            click.echo(json.dumps(answer))
                        bar.update(1)
                took_s = time.monotonic() - began
                if not as_json:
                    click.echo(
                        f"{count - refused} of {count} accepted in {took_s:.1f} s ({count / took_s:.0f}/s)"
                    )
    except httpx.HTTPError as error:
        raise NotFound(
            f"{target}: no answer ({type(error).__name__}); is the relay running? `relay up` starts it"
        ) from error
    sys.exit(1 if refused else 0)


def _read(payload: str | None) -> bytes | None:
    if payload is None:
        return None
    if payload == "-":
        return sys.stdin.buffer.read()
    try:
        return Path(payload).read_bytes()
    except OSError as error:
        raise UserError(f"{payload}: {error.strerror}") from error


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
