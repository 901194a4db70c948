"""Templates to pages. Everything is escaped: payloads are hostile text. The headers let a page do nothing but show
itself and send its own forms home."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, TemplateError
from markupsafe import Markup
from starlette.responses import Response

from relay.operations.moments import iso
from relay.release import release
from relay.units import duration_words, took_words
from relay.web.console.charts import chart, spark
from relay.web.console.words import count_words, plural, size_words

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


@cache
def environment() -> Environment:
    env = Environment(
        loader=PackageLoader("relay.web.console"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    env.filters |= {
        "at": lambda at_ms: moment(iso(at_ms)),
        "moment": moment,
        "pretty": pretty,
        "plain": plain_cell,
        "value": value_cell,
    }
    env.filters |= {"count": count_words, "seconds": duration_words, "size": size_words, "took": took_words}
    env.globals |= {"chart": chart, "spark": spark, "plural": plural, "release": release()}
    return env


def page(template: str, context: Mapping[str, Any], status: int = 200) -> Response:
    try:
        text = environment().get_template(template).render(context)
    except TemplateError as error:
        # Ours to mend, and a page that says so is better than none. The text may quote a payload: not logged.
        raise RuntimeError(f"the template {template} failed: {type(error).__name__}") from None
    return Response(text, status, headers=HEADERS, media_type="text/html; charset=utf-8")


def moment(iso: str | None) -> Markup:
    """Return a time in UTC that the page's script turns into the viewer's zone; UTC stays as its title."""
    if not iso:
        return Markup("–")
    utc = f"{iso[:10]} {iso[11:19]} UTC"
    return Markup('<time datetime="{}" title="{}">{}</time>').format(iso, utc, utc)


def pretty(value: Any) -> str:
    """Write JSON for reading; what is no JSON text stays as it is."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            return plain_cell(value)
    return plain_cell(json.dumps(value, indent=2, ensure_ascii=False))


def value_cell(value: Any) -> str:
    """Return a field's value or template: text as it stands, anything else as JSON, nothing as a dash."""
    if value is None or value == "":
        return "–"
    return plain_cell(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))


def plain_cell(text: Any) -> str:
    """Make control and direction-changing characters visible: a payload must not rearrange the page."""
    return "".join(
        char if char.isprintable() or char in "\n\t" else f"\\u{ord(char):04x}" for char in str(text)
    )
