"""One reading of everything that is secret: tokens, logins, signing secrets, keys.

A secret is written in a variable, in a file, or in the config file (as `${NAME}`, `${file:/path}` or both). Wherever it is
written, the same holds: an empty one is refused, one with white space at its edge is refused, one that is easily guessed is
refused unless `RELAY_ALLOW_WEAK_SECRETS` is set, and one that holds never turns off. A file that is emptied or damaged while
the process runs leaves the last good value in use, and `Secret.problem` says so.
"""

from __future__ import annotations

import binascii
import os
from base64 import b64decode, urlsafe_b64decode
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from math import log2
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

#: What a token must be worth that opens the console and the API. `secrets.token_urlsafe(24)` has 192.
TOKEN_BITS = 128
#: What any other secret must be worth. Senders choose most of them; this only refuses words.
WORD_BITS = 48
#: Fewer different characters than this make a text guessable however long it is.
_FEW = 6
#: Secrets that stand in documentation, without digits and punctuation.
_PLACEHOLDERS = frozenset(
    {"changeme", "changethis", "example", "letmein", "password", "passwort", "placeholder", "secret"}
    | {"supersecret", "test", "testing", "token", "yoursecret", "yourtoken"}
)

#: What is wrong with a value: the end of a sentence that begins with the secret's name; "" where it holds.
SecretCheck = Callable[[str], str]


class SecretUnreadable(Exception):
    """A file that cannot be read as text. The message is the end of a sentence that begins with the secret's name."""


class SecretFile:
    """The text of a file that may change, without the line's end that editors put behind it."""

    __slots__ = ("_stamp", "_text", "path")

    def __init__(self, path: str) -> None:
        self.path = path
        self._stamp: tuple[int, int, int] | None = None
        self._text = ""

    def __repr__(self) -> str:
        return f"SecretFile({self.path!r})"

    def __call__(self) -> str:
        """Today's text; the file is opened only where it has changed. Raises SecretUnreadable, also for an empty one."""
        try:
            status = os.stat(self.path)
            stamp = (status.st_mtime_ns, status.st_size, status.st_ino)
            if stamp != self._stamp:
                self._text = Path(self.path).read_text(encoding="utf-8").rstrip("\r\n")
                self._stamp = stamp
        except UnicodeDecodeError:
            raise SecretUnreadable(f"the file {self.path} is not text") from None
        except (OSError, ValueError) as error:
            why = getattr(error, "strerror", None) or type(error).__name__
            raise SecretUnreadable(f"the file {self.path} cannot be read: {why}") from None
        if not self._text.strip():
            raise SecretUnreadable(f"the file {self.path} is empty")
        return self._text


class Secret:
    """One secret: calling it gives the value to use now. Raises ValueError with a sentence where the value at the start
    does not hold."""

    __slots__ = ("_check", "_good", "_read", "_seen", "name", "problem")

    def __init__(self, name: str, read: Callable[[], str], check: SecretCheck) -> None:
        self.name = name
        self._read = read
        self._check = check
        self.problem = ""
        self._seen, wrong = self._look()
        if wrong:
            raise ValueError(wrong)
        self._good = self._seen

    def __repr__(self) -> str:
        return f"Secret({self.name!r})"

    def __call__(self) -> str:
        text, wrong = self._look()
        if wrong:
            self.problem = f"{self.name}: {wrong}; the last good value stays in use"
        elif text is not self._good:
            self._good, self.problem = text, ""
        elif self.problem:
            self.problem = ""
        return self._good

    def _look(self) -> tuple[str, str]:
        """(the value of now, what is wrong with it)."""
        try:
            text = self._read()
        except SecretUnreadable as error:
            return "", str(error)
        if text is getattr(self, "_good", None):
            # The same object: checked before.
            return text, ""
        return text, edge_problem(text) or self._check(text)


def fixed(name: str, text: str, check: SecretCheck) -> Secret:
    """Return a secret whose value cannot change."""
    return Secret(name, lambda: text, check)


def edge_problem(text: str) -> str:
    """Say that it is empty, or has white space where nobody means it: what a shell, an editor or a copy left behind."""
    if not text.strip():
        return "is empty"
    if "\n" in text.strip() and text.strip("\n") == text.strip():
        # Several lines (a key in PEM): the last line's end belongs to it.
        return ""
    if text == text.strip():
        return ""
    where = "begins" if text != text.lstrip() else "ends"
    kind = "a line's end" if text.strip(" \t") != text.strip() else "white space"
    return f"{where} with {kind}; take it away"


def weak_allowed(environ: Mapping[str, str]) -> bool:
    """Return `RELAY_ALLOW_WEAK_SECRETS`, or what its file holds. Anything but a clear yes is a no."""
    text = environ.get("RELAY_ALLOW_WEAK_SECRETS", "")
    if path := environ.get("RELAY_ALLOW_WEAK_SECRETS_FILE", ""):
        with suppress(SecretUnreadable):
            text = SecretFile(path)()
    return text.strip().lower() in ("true", "1", "yes")


@dataclass(frozen=True, slots=True)
class Strength:
    """The least that each kind of secret must be. `weak` leaves out what concerns guessing, never what makes a secret none."""

    weak: bool = False

    def token(self, text: str) -> str:
        """Check what opens the console and the API."""
        if any(char.isspace() for char in text):
            return "holds white space"
        if self.weak or (bits(text) >= TOKEN_BITS and not _placeholder(text)):
            return ""
        return (
            f"is too weak: at least {TOKEN_BITS} bits are wanted, such as 32 random hex digits "
            "(`openssl rand -hex 32` makes more); RELAY_ALLOW_WEAK_SECRETS=true lets it through for development"
        )

    def word(self, text: str) -> str:
        """Check what a sender and the relay share."""
        if self.weak or (bits(text) >= WORD_BITS and not _placeholder(text)):
            return ""
        return "is too weak: it can be guessed; use a long random one, or RELAY_ALLOW_WEAK_SECRETS=true for development"

    def login(self, text: str) -> str:
        """Check a "user:password"."""
        user, colon, password = text.partition(":")
        if not colon:
            return 'should be a login such as "user:password"'
        if not password.strip():
            return "has no password"
        if not user.strip():
            return "has no user"
        edge = edge_problem(password)
        return f"the password {edge}" if edge else self.word(password)


def given(text: str) -> str:
    """Check a token that somebody else has made: what it must not hold is what no header can carry."""
    return (
        ""
        if all("\x21" <= char <= "\x7e" for char in text)
        else "holds white space or characters that no token has"
    )


def anything(text: str) -> str:
    """Let through what only has to be there."""
    return ""


def public_key(text: str) -> str:
    """Check keys that verify: PEM, its inside in base64, or 32 bytes of Ed25519 (`whpk_` before them or not)."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_der_public_key, load_pem_public_key
    from cryptography.x509 import load_pem_x509_certificate

    try:
        if "-----BEGIN CERTIFICATE" in text:
            load_pem_x509_certificate(text.strip().encode())
        elif "-----BEGIN" in text:
            load_pem_public_key(text.strip().encode())
        else:
            raw = b64decode("".join(text.removeprefix("whpk_").split()), validate=True)
            if len(raw) != 32:
                load_der_public_key(raw)
    except (binascii.Error, ValueError, UnsupportedAlgorithm):
        return "is no public key (wanted PEM, or its base64)"
    return ""


def private_key(text: str) -> str:
    """Check keys that decrypt: an RSA private key of at least 2048 bits and without a password."""
    try:
        key = read_private_key(text)
    except ValueError:
        return "is no RSA private key (wanted PEM without a password, or its base64)"
    return "" if key.key_size >= 2048 else "should be an RSA key of at least 2048 bits"


def read_private_key(text: str) -> RSAPrivateKey:
    """Read an RSA private key: PEM, or its inside in base64. Raises ValueError for anything else."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
    from cryptography.hazmat.primitives.serialization import load_der_private_key, load_pem_private_key

    try:
        if "-----BEGIN" in text:
            key = load_pem_private_key(text.strip().encode(), None)
        else:
            key = load_der_private_key(b64decode("".join(text.split()), validate=True), None)
    except (binascii.Error, TypeError, UnsupportedAlgorithm) as error:
        raise ValueError("no private key") from error
    if not isinstance(key, RSAPrivateKey):
        raise ValueError("no RSA key")
    return key


def jwk_set(text: str) -> str:
    """Check the public keys of senders that sign with JWTs: a JWK set (RFC 7517)."""
    from jwt import PyJWKSet
    from jwt.exceptions import PyJWTError

    try:
        PyJWKSet.from_json(text)
    except (PyJWTError, ValueError, TypeError, AttributeError, KeyError, RecursionError):
        return 'is no JWK set with keys in it (wanted {"keys": [...]})'
    return ""


def fernet_keys(text: str) -> str:
    """Check keys that encrypt: each 32 bytes in base64, as `Fernet.generate_key()` makes them."""
    keys = split_keys(text)
    if not keys:
        return "is empty"
    for number, key in enumerate(keys, 1):
        which = f"key {number} of {len(keys)}" if len(keys) > 1 else "the key"
        try:
            raw = urlsafe_b64decode(key.encode("ascii"))
        except (binascii.Error, ValueError):
            raw = b""
        if len(raw) != 32:
            return f"{which} is no Fernet key (32 bytes in URL-safe base64)"
        if len(set(raw)) < _FEW:
            return f"{which} is not random"
    return ""


def split_keys(text: str) -> list[str]:
    """Return the keys of a list with commas or line ends, in their order."""
    return text.replace(",", "\n").split()


def bits(text: str) -> float:
    """Return the most that a text can be worth: as if each character were drawn from the kinds of characters in it. What repeats
    counts once."""
    if not text:
        return 0.0
    unit = text[: _period(text)]
    different = len(Counter(unit))
    if different < _FEW:
        return len(unit) * log2(different) if different > 1 else 0.0
    return len(unit) * log2(_pool(unit))


def _pool(text: str) -> int:
    if all(char in "0123456789" for char in text):
        return 10
    if all(char in "0123456789abcdef" for char in text) or all(char in "0123456789ABCDEF" for char in text):
        return 16
    kinds = (
        (26, any("a" <= char <= "z" for char in text)),
        (26, any("A" <= char <= "Z" for char in text)),
        (10, any(char in "0123456789" for char in text)),
        (2, any(char in "-_" for char in text)),
        (30, any(not char.isalnum() and char not in "-_" for char in text)),
        (100, any(char > "\x7f" for char in text)),
    )
    size = sum(size for size, there in kinds if there)
    # Of 22 characters of base64 some lack digits by chance.
    return max(size, 64) if kinds[0][1] and kinds[1][1] else size


def _period(text: str) -> int:
    """The length of the piece that the text repeats at least twice, the last copy perhaps cut; else the text's own."""
    border = [0] * len(text)
    length = 0
    for at in range(1, len(text)):
        while length and text[at] != text[length]:
            length = border[length - 1]
        length += text[at] == text[length]
        border[at] = length
    period = len(text) - border[-1]
    return period if 2 * period <= len(text) else len(text)


def _placeholder(text: str) -> bool:
    return "".join(char for char in text.lower() if char.isalpha()) in _PLACEHOLDERS
