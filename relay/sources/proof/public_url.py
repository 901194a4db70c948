"""The URL as the sender signed it. Behind a proxy the request does not know it; the config does."""

from __future__ import annotations

from urllib.parse import urlsplit

from relay.source_options import SourceOptions
from relay.sources.base import Inbound


def require_public_url(options: SourceOptions) -> None:
    """Raise ValueError where `public_url` is missing or no http(s) URL."""
    parts = urlsplit(options.public_url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(
            f"source {options.name!r}: {options.adapter} signs the URL, so it needs public_url, the address that "
            "was registered there (https://hooks.example.com/hooks/...)"
        )


def signed_urls(options: SourceOptions, inbound: Inbound) -> list[str]:
    """Return the URLs that may have been signed, likeliest first.

    `public_url` is the whole registered address, or only its beginning before the request's path; the query
    is the request's own where it has one.
    """
    public = options.public_url
    path, _, query = inbound.path_query.partition("?")
    base, _, own_query = public.partition("?")
    tail = f"?{query or own_query}" if query or own_query else ""
    found = [base + tail]
    if path and not base.endswith(path):
        found.insert(0 if urlsplit(base).path in ("", "/") else 1, base.rstrip("/") + path + tail)
    if path.endswith("/") != base.endswith("/") and urlsplit(base).path not in ("", "/"):
        # Registered there with the slash at its end, and here without, or the other way round.
        found.append((base.rstrip("/") if base.endswith("/") else f"{base}/") + tail)
    return found
