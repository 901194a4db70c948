"""What must not travel in clear: a credential, and what people wrote."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit


def travels_in_clear(url: str) -> bool:
    """Whether a call to `url` could be read on its way: `http://` to anywhere but this machine."""
    try:
        parts = urlsplit(url.strip())
        host = parts.hostname or ""
    except ValueError:
        return False
    return parts.scheme.lower() == "http" and not is_loopback(host)


def is_loopback(host: str) -> bool:
    """Whether a host name or address is this machine's own."""
    if host.rstrip(".").lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return False
