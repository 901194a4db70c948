"""What must not travel in clear: a credential, and what people wrote. And where a call may go at all."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit


def travels_in_clear(url: str) -> bool:
    """Tell whether a call to `url` could be read on its way: `http://` to anywhere but this machine."""
    try:
        parts = urlsplit(url.strip())
        host = parts.hostname or ""
    except ValueError:
        return False
    return parts.scheme.lower() == "http" and not is_loopback(host)


def is_loopback(host: str) -> bool:
    """Tell whether a host name or address is this machine's own."""
    if host.rstrip(".").lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return False


def outgoing_url_problem(url: str) -> str:
    """Return what is wrong with a URL that the relay is to post to, "" where nothing is: `https://` (`http://` on this machine alone),
    a host, no login in it, and no address that only the machine's own network answers to (link-local, where clouds keep
    their credentials)."""
    try:
        parts = urlsplit(url.strip())
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        return "is no URL"
    if parts.scheme.lower() not in ("http", "https") or not host:
        return "should be a URL that begins with https://"
    if travels_in_clear(url):
        return "must begin with https://: what is told would travel in clear"
    if parts.username is not None or parts.password is not None:
        return "should hold no login before the host"
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return ""
    mapped = getattr(address, "ipv4_mapped", None) or address
    if mapped.is_link_local or mapped.is_multicast or mapped.is_unspecified:
        return "names an address that no receiver of alerts has"
    return ""
