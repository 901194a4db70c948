"""TLS to Redis: the files that its address names, looked at before anything is connected; and what a handshake that failed says of
who is to blame. Decided by classes and OpenSSL's own numbers."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from typing import Any, Final

from relay.errors import SettingsInvalid

_OTHER_NAME: Final = (62, 63, 64)
_ENDED: Final = 10
_NOT_YET: Final = 9
#: How far behind an exception its cause is looked for.
_DEPTH: Final = 5


def check_files(options: Mapping[str, Any]) -> None:
    """Look at the files of a `rediss` address. Raises SettingsInvalid: which of them is missing or is none."""
    authority, certificate = options.get("ssl_ca_certs"), options.get("ssl_certfile")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if authority:
        try:
            context.load_verify_locations(cafile=str(authority))
        except (OSError, ssl.SSLError) as error:
            raise _wrong("ssl_ca_certs", authority, "no certificate of an authority", error) from error
    if certificate:
        try:
            context.load_cert_chain(str(certificate), options.get("ssl_keyfile"))
        except (OSError, ssl.SSLError) as error:
            raise _wrong("ssl_certfile", certificate, "no certificate with its key", error) from error


def tls_reason(error: BaseException) -> str:
    """Return why TLS was not agreed on, "" where the error tells of something else."""
    cause: BaseException | None = error
    for _ in range(_DEPTH):
        if isinstance(cause, ssl.SSLCertVerificationError):
            return _of_certificate(cause.verify_code)
        if isinstance(cause, ssl.SSLEOFError | ssl.SSLZeroReturnError) or (
            isinstance(cause, ssl.SSLError) and "ALERT" in str(cause.reason)
        ):
            return "it ends the TLS connection; it may want a certificate of ours (ssl_certfile, ssl_keyfile)"
        if isinstance(cause, ssl.SSLError):
            return "it does not speak TLS; write redis in the place of rediss"
        # The socket's own words: the server said nothing that TLS knows.
        if isinstance(cause, TimeoutError) and "handshake operation timed out" in str(cause):
            return "no answer to TLS in time; does it speak TLS?"
        cause = cause and (cause.__cause__ or cause.__context__)
    return ""


def _of_certificate(code: int) -> str:
    if code in _OTHER_NAME:
        return "its certificate is for another name"
    if code == _ENDED:
        return "its certificate has ended"
    if code == _NOT_YET:
        return "its certificate is not valid yet; is a clock wrong?"
    return "its certificate is of no authority that is trusted here (ssl_ca_certs)"


def _wrong(option: str, path: object, what: str, error: Exception) -> SettingsInvalid:
    if isinstance(error, FileNotFoundError):
        why = "there is no such file"
    elif isinstance(error, PermissionError):
        why = "this process may not read it"
    else:
        why = f"it holds {what}"
    return SettingsInvalid(f"RELAY_REDIS_URL: {option} {path}: {why}")
