"""Where Planhat is, and how one of its records is addressed."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import quote, urlsplit

from relay.errors import PlanhatNotFound, SettingsInvalid

#: Where Planhat is for most; a tenant may live on a cluster's host.
PLANHAT_URL = "https://api.planhat.com"

_CLUSTER: Final = re.compile(r"[a-z]{2}\d{0,2}", re.ASCII)
_DOMAIN: Final = "planhat.com"
_APP_HOST: Final = re.compile(r"app-([a-z0-9]+)\.planhat\.com", re.ASCII)
#: Where people work with Planhat; no part of them is the API.
_PAGES: Final = frozenset(f"{name}planhat.com" for name in ("", "www.", "ws.", "app.", "support.", "docs."))
#: Hosts that tenants live on, by what public clients know; "" is the first of them.
CLUSTERS: Final = ("", "eu", "eu2", "eu3", "us2", "us3", "us4")
_LOOPBACK: Final = re.compile(r"(localhost|127\.[0-9.]+)(:|/|$)", re.ASCII)


def extid(external_id: str) -> str:
    """Return the key that addresses a record by its externalId."""
    return f"extid-{external_id}"


def srcid(source_id: str) -> str:
    """Return the key that addresses a record by its sourceId."""
    return f"srcid-{source_id}"


def base_url(text: str) -> str:
    """Return the API's base URL out of a URL, a host, the host of the app (`app-us3.planhat.com`) or a bare cluster (`us3`).

    Raises SettingsInvalid, also for an address of the app, which does not tell its cluster. Source for clusters: `https://api-<cluster>.planhat.com`, from public clients.
    """
    text = text.strip()
    if _CLUSTER.fullmatch(text):
        return f"https://api-{text}.planhat.com"
    if "://" not in text:
        text = f"{'http' if _LOOPBACK.match(text) else 'https'}://{text}"
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        host, parts = "", urlsplit("")
    if parts.scheme not in ("http", "https") or not host or parts.query or parts.fragment or parts.username:
        raise SettingsInvalid(
            "RELAY_PLANHAT_URL should be a base URL such as https://api.planhat.com, or a cluster's, such as"
            " https://api-us3.planhat.com, without user, query or fragment"
        )
    if host in _PAGES:
        raise SettingsInvalid(
            f"RELAY_PLANHAT_URL: {host} is Planhat's app and not its API. The API is https://api.planhat.com, or for a tenant"
            " on a cluster that one's host, such as https://api-us3.planhat.com for an app at app-us3.planhat.com"
        )
    app = _APP_HOST.fullmatch(host)
    return f"https://api-{app.group(1)}.planhat.com" if app else text.rstrip("/")


def path_of(collection: str, key: str) -> str:
    """Return the path of one record, with the key encoded as one segment."""
    if not key or key in (".", "..", "extid-", "srcid-"):
        raise PlanhatNotFound("an empty key names no record")
    return f"/{collection}/{quote(key, safe='')}"


def cluster_urls(url: str) -> tuple[str, ...]:
    """Return the API's base URLs on every known cluster but the one of `url`; none where `url` is not at Planhat's domain."""
    host = urlsplit(url).hostname or ""
    if not host.endswith(f".{_DOMAIN}"):
        return ()
    urls = (f"https://api{f'-{cluster}' if cluster else ''}.{_DOMAIN}" for cluster in CLUSTERS)
    return tuple(other for other in urls if urlsplit(other).hostname != host)


def record_link(tenant: str, planhat_id: str) -> str:
    """Return the page of a conversation in Planhat's app; "" without a tenant's name or an id.

    Source: public notes of a team that uses Planhat, 2026.
    """
    if not tenant or not planhat_id:
        return ""
    key = quote(planhat_id, safe="")
    return f"https://ws.{_DOMAIN}/{quote(tenant, safe='')}/home/data-explorer/conversation?preview=Conversation.{key}"
