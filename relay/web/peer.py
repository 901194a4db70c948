"""Who is at the other end of a connection, as far as that can be known, and whether a browser says that another site asks.

Nobody is let in for where they come from: a proxy on this machine makes everybody come from this machine. The address counts
for the audit and for slowing down guesses.
"""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import urlsplit

from starlette.requests import HTTPConnection

from relay.web.refused import RequestRefused

#: Headers that proxies add. Those of a proxy that is trusted (RELAY_TRUSTED_PROXIES) were taken in by the server before.
_PROXY_HEADERS = (
    "via",
    "forwarded",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
    "x-real-ip",
    "cf-connecting-ip",
    "true-client-ip",
)
_HOST = re.compile(r"(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?", re.ASCII)
#: One household or one rented machine has a /64 of IPv6: whoever guesses has all of it.
_IPV6_PREFIX = 64


def address_of(request: HTTPConnection) -> str:
    """Return the peer's address. Raises RequestRefused where it is not known: our listeners speak TCP, so its connection is gone, and
    whoever it was has no claim to be anybody."""
    host = request.client.host if request.client else ""
    if not host:
        raise RequestRefused(
            403, "unknown_peer", "it is not known who asks: the connection has no other end any more"
        )
    return host


def told_address(request: HTTPConnection) -> str:
    """Return the address for the audit; one that a proxy passed on unnamed says so."""
    host = address_of(request)
    proxied = [name for name in _PROXY_HEADERS if name in request.headers]
    return f"{host} (through a proxy)" if proxied else host


def network_of(request: HTTPConnection) -> str:
    """Return what guesses are counted by: the address, or the /64 of an IPv6 one."""
    host = address_of(request)
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return host
    mapped = getattr(address, "ipv4_mapped", None)
    if mapped is not None:
        return str(mapped)
    if address.version == 6:
        return str(ipaddress.ip_network(f"{address}/{_IPV6_PREFIX}", strict=False))
    return str(address)


def require_plain_host(request: HTTPConnection) -> None:
    """Require a Host header that is a name and perhaps a port, given once; "localhost:80@evil" is neither. Raises RequestRefused."""
    given = request.headers.getlist("host")
    if len(given) > 1 or (given and given[0] and not _HOST.fullmatch(given[0])):
        raise RequestRefused(400, "bad_host", "the Host header is no host name")


def require_same_origin(request: HTTPConnection) -> None:
    """Require that what a browser says of where a request came from is us. Programs say nothing, and pass. Raises RequestRefused."""
    require_plain_host(request)
    site = request.headers.get("sec-fetch-site", "")
    origin = request.headers.get("origin", "")
    foreign = site not in ("", "same-origin", "none")
    if origin and (
        origin == "null" or urlsplit(origin).netloc.lower() != request.headers.get("host", "").lower()
    ):
        foreign = True
    if foreign:
        raise RequestRefused(403, "cross_site", "another site sent this")


def comes_over_tls(request: HTTPConnection) -> bool:
    """Tell whether the browser's own connection is encrypted. An untrusted proxy is believed here: a cookie that is marked as
    secure in vain is not sent back, and nothing worse."""
    proto = request.headers.get("x-forwarded-proto", "").partition(",")[0].strip().lower()
    return bool(request.scope.get("scheme") == "https" or proto == "https")
