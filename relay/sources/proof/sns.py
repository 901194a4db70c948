"""Amazon SNS's envelope: what is signed, by whom, and how a subscription is confirmed.

Source: AWS, "Verifying the signatures of Amazon SNS messages", "Parsing message formats". Certificates and confirmation
pages are asked for on Amazon's own hosts only, over https, following no redirect.
"""

from __future__ import annotations

import binascii
import re
import threading
import time
from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.hashes import SHA1, SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from relay.errors import NotAuthentic, PayloadInvalid, VerificationUnavailable
from relay.sources.proof.partitions import DOMAINS, DUAL_STACK_DOMAINS

#: For the whole of a fetch.
FETCH_TIMEOUT_S = 5.0
#: Fetches under way in a process: half of the threads that proofs have. Who names certificates that are not known here yet, and
#: may be anybody, must not hold those that are.
FETCHES_AT_ONCE = 2
_FETCHING = threading.BoundedSemaphore(FETCHES_AT_ONCE)
MAX_FETCH_BYTES = 64 * 1024
#: After a failed fetch the same URL is left alone so long, lest a flood of forgeries becomes a flood of fetches.
FETCH_AGAIN_S = 10.0
MAX_CACHED = 32

_HOST = re.compile(
    rf"sns\.[a-zA-Z0-9-]{{3,40}}\.(?:{'|'.join(map(re.escape, {*DOMAINS.values(), *DUAL_STACK_DOMAINS}))})",
    re.ASCII,
)
#: The signed fields in their order; `Subject` only where there is one.
_NOTIFICATION = ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type")
_CONFIRMATION = ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type")
#: All that a proof is read from.
SIGNED_FIELDS = (
    *_CONFIRMATION,
    "Subject",
    "SigningCertURL",
    "SigningCertUrl",
    "SignatureVersion",
    "Signature",
)
_HASHES: dict[str, type[SHA1] | type[SHA256]] = {"1": SHA1, "2": SHA256}

#: Fetches a URL that was checked before. Raises VerificationUnavailable.
_Fetch = Callable[[str], bytes]


def fetch_from_amazon(url: str) -> bytes:
    """Return the answer to a GET: 200 and small, or VerificationUnavailable. Redirects are not followed."""
    # Imported here: who has no SES is spared an HTTP client's 14 MB.
    import httpx

    from relay.planhat.transport import Deadline, DeadlinePassed, DeadlineTransport, proxy_for

    deadline = Deadline()
    transport = DeadlineTransport(deadline, proxy=proxy_for(url), connections=1)
    deadline.start(FETCH_TIMEOUT_S)
    try:
        with (
            httpx.Client(transport=transport, follow_redirects=False) as client,
            client.stream("GET", url, timeout=FETCH_TIMEOUT_S) as response,
        ):
            if response.status_code != 200:
                raise VerificationUnavailable("Amazon did not answer with 200", 20.0)
            content = b""
            for chunk in response.iter_bytes():
                content += chunk
                if len(content) > MAX_FETCH_BYTES:
                    raise VerificationUnavailable("Amazon's answer is too large", 20.0)
            return content
    except (DeadlinePassed, httpx.HTTPError, httpx.InvalidURL, OSError) as error:
        raise VerificationUnavailable(f"Amazon not reached ({type(error).__name__})", 20.0) from None


def amazon_url(url: str) -> bool:
    """Tell whether this is https on one of SNS's own hosts, with nothing in it that could lead elsewhere."""
    if not url.isascii() or any(char in url for char in "\\@ \t\r\n") or len(url) > 2000:
        return False
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return False
    return parts.scheme == "https" and port is None and _HOST.fullmatch(parts.netloc) is not None


def certificate_url(url: str) -> bool:
    return amazon_url(url) and not urlsplit(url).query and urlsplit(url).path.endswith(".pem")


def confirmation_url(url: str) -> bool:
    return amazon_url(url) and parse_qs(urlsplit(url).query).get("Action") == ["ConfirmSubscription"]


def string_to_sign(envelope: Mapping[str, Any]) -> bytes:
    """Return what Amazon signs of a message. Raises NotAuthentic where a signed field is missing or no string."""
    names = _NOTIFICATION if envelope.get("Type") == "Notification" else _CONFIRMATION
    lines: list[bytes] = []
    for name in names:
        value = envelope.get(name)
        if name == "Subject" and value is None:
            continue
        if not isinstance(value, str):
            raise NotAuthentic("envelope")
        lines += (name.encode(), b"\n", value.encode("utf-8", "replace"), b"\n")
    return b"".join(lines)


class Certificates:
    """Amazon's certificates: those of `files`, and those fetched, kept in memory. Safe for threads."""

    def __init__(self, files: Sequence[str] = (), fetch: _Fetch = fetch_from_amazon) -> None:
        """Raises ValueError for a file that holds no certificate."""
        self.fetch = fetch
        self._own = [_key_of_file(path) for path in files]
        self._fetched: dict[str, rsa.RSAPublicKey] = {}
        self._failed: dict[str, float] = {}
        self._lock = threading.Lock()

    def verify(self, envelope: Mapping[str, Any]) -> None:
        """Check a message's signature. Raises NotAuthentic, or VerificationUnavailable where a certificate cannot be had now."""
        url = envelope.get("SigningCertURL") or envelope.get("SigningCertUrl")
        version, given = envelope.get("SignatureVersion"), envelope.get("Signature")
        if not isinstance(url, str) or not certificate_url(url):
            raise NotAuthentic("certificate_url")
        algorithm = _HASHES.get(version) if isinstance(version, str) else None
        if algorithm is None or not isinstance(given, str):
            raise NotAuthentic("signature")
        try:
            signature = b64decode(given.encode("ascii"), validate=True)
        except (binascii.Error, ValueError):
            raise NotAuthentic("signature") from None
        signed = string_to_sign(envelope)
        if any(_holds(key, signature, signed, algorithm) for key in self._own):
            return
        try:
            key = self._key(url)
        except VerificationUnavailable:
            if self._own:
                # Who names certificate files has no way to Amazon: what they don't prove is not proven.
                raise NotAuthentic("signature") from None
            raise
        if not _holds(key, signature, signed, algorithm):
            raise NotAuthentic("signature")

    def _key(self, url: str) -> rsa.RSAPublicKey:
        with self._lock:
            known = self._fetched.get(url)
            if known is not None:
                return known
            if time.monotonic() - self._failed.get(url, float("-inf")) < FETCH_AGAIN_S:
                raise VerificationUnavailable("Amazon's certificate was not to be had a moment ago", 20.0)
        if not _FETCHING.acquire(blocking=False):
            raise VerificationUnavailable("other certificates are being fetched", 5.0)
        try:
            key = _key_of(self.fetch(url))
            if key is None:
                raise VerificationUnavailable("Amazon's answer holds no certificate", 20.0)
        except VerificationUnavailable:
            self._remember(self._failed, url, time.monotonic())
            raise
        finally:
            _FETCHING.release()
        self._remember(self._fetched, url, key)
        return key

    def _remember(self, cache: dict[str, Any], url: str, value: Any) -> None:
        with self._lock:
            while len(cache) >= MAX_CACHED:
                del cache[next(iter(cache))]
            cache[url] = value


def sign_envelope(envelope: Mapping[str, Any], private: rsa.RSAPrivateKey) -> dict[str, Any]:
    """Return the envelope under signature version 2: for samples."""
    signed = string_to_sign(envelope)
    signature = private.sign(signed, padding.PKCS1v15(), SHA256())
    return {**envelope, "SignatureVersion": "2", "Signature": b64encode(signature).decode()}


def private_key_of(files: Sequence[str]) -> rsa.RSAPrivateKey | None:
    """Return the private key that a certificate file may hold beside its certificate: a certificate of our own, for tests."""
    for path in files:
        text = _read(path)
        if b"PRIVATE KEY-----" not in text:
            continue
        try:
            key = load_pem_private_key(text[text.index(b"-----BEGIN", _private_at(text)) :], None)
        except (ValueError, TypeError, UnsupportedAlgorithm):
            continue
        if isinstance(key, rsa.RSAPrivateKey):
            return key
    return None


def _private_at(text: bytes) -> int:
    return text.rindex(b"-----BEGIN", 0, text.index(b"PRIVATE KEY-----"))


def _holds(
    key: rsa.RSAPublicKey, signature: bytes, signed: bytes, algorithm: type[SHA1] | type[SHA256]
) -> bool:
    try:
        key.verify(signature, signed, padding.PKCS1v15(), algorithm())
    except (InvalidSignature, UnsupportedAlgorithm, ValueError):
        return False
    return True


def _key_of_file(path: str) -> rsa.RSAPublicKey:
    key = _key_of(_read(path))
    if key is None:
        raise ValueError(f"certificate_files: {path} holds no RSA certificate in PEM")
    return key


@lru_cache(maxsize=64)
def _key_of(pem: bytes) -> rsa.RSAPublicKey | None:
    begin = pem.find(b"-----BEGIN CERTIFICATE-----")
    try:
        key = x509.load_pem_x509_certificate(pem[max(0, begin) :]).public_key()
    except (ValueError, UnsupportedAlgorithm, PayloadInvalid):
        return None
    return key if isinstance(key, rsa.RSAPublicKey) else None


def _read(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise ValueError(f"certificate_files: {path} cannot be read ({error.strerror})") from None
