"""Where Planhat is, and how one of its records is addressed."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import quote, urlsplit

from relay.errors import PlanhatNotFound, SettingsInvalid

_CLUSTER: Final = re.compile(r"[a-z]{2}\d{0,2}", re.ASCII)
_APP_HOST: Final = re.compile(r"app-([a-z0-9]+)\.planhat\.com", re.ASCII)
_LOOPBACK: Final = re.compile(r"(localhost|127\.[0-9.]+)(:|/|$)", re.ASCII)


def extid(external_id: str) -> str:
    """The key that addresses a record by its externalId."""
    return f"extid-{external_id}"


def srcid(source_id: str) -> str:
    """The key that addresses a record by its sourceId."""
    return f"srcid-{source_id}"


def base_url(text: str) -> str:
    """The API's base URL out of a URL, a host, the host of the app (`app-us3.planhat.com`) or a bare cluster (`us3`).

    Raises SettingsInvalid. Source for clusters: `https://api-<cluster>.planhat.com`, from public clients.
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
    app = _APP_HOST.fullmatch(host)
    return f"https://api-{app.group(1)}.planhat.com" if app else text.rstrip("/")


def path_of(collection: str, key: str) -> str:
    """The path of one record, with the key encoded as one segment."""
    if not key or key in (".", "..", "extid-", "srcid-"):
        raise PlanhatNotFound("an empty key names no record")
    return f"/{collection}/{quote(key, safe='')}"
