"""What Microsoft Graph encrypts into change notifications: the resource that has changed.

The key of each notification is encrypted to a certificate of the subscriber's (RSA, OAEP with SHA-1); the data under it by
AES-256 in CBC mode, whose first block is chained to the key's own first 16 bytes; an HMAC of the encrypted data, under the
same key, says that nobody has changed it.
Source: Microsoft Graph, "Set up change notifications that include resource data".
"""

from __future__ import annotations

import binascii
import hmac
from base64 import b64decode
from collections.abc import Sequence
from functools import lru_cache

from cryptography.hazmat.primitives.asymmetric.padding import MGF1, OAEP
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.padding import PKCS7

from relay.errors import PayloadInvalid
from relay.secret import read_private_key
from relay.sources.foreign_json import Walk

_KEY_BYTES = 32
#: Prescribed by Microsoft; OAEP does not rest on the hash's resistance to collisions.
_PADDING = OAEP(mgf=MGF1(SHA1()), algorithm=SHA1(), label=None)  # noqa: S303


def decrypt_resource(encrypted: Walk, private_keys: Sequence[str]) -> bytes:
    """Return the resource as JSON. Raises PayloadInvalid where none of the keys fits, or somebody has changed the data."""
    data_key, data = _bytes(encrypted, "dataKey"), _bytes(encrypted, "data")
    signature = _bytes(encrypted, "dataSignature")
    key = _data_key(data_key, tuple(key for key in private_keys if key))
    if key is None:
        wanted = encrypted.maybe_text("encryptionCertificateId")
        raise PayloadInvalid(
            f"none of private_keys fits what it was encrypted to (certificate {wanted or 'without an id'})",
            encrypted.path,
        )
    # Checked before anything is decrypted: what a padding says of changed data is nobody's to learn.
    if not hmac.compare_digest(signature, hmac.digest(key, data, "sha256")):
        raise PayloadInvalid("the encrypted data was changed on its way", encrypted.path)
    try:
        decryptor = Cipher(AES(key), CBC(key[:16])).decryptor()
        padded = decryptor.update(data) + decryptor.finalize()
        unpadder = PKCS7(128).unpadder()
        return unpadder.update(padded) + unpadder.finalize()
    except ValueError:
        raise PayloadInvalid("the encrypted data is damaged", encrypted.path) from None


def _data_key(encrypted: bytes, private_keys: tuple[str, ...]) -> bytes | None:
    for text in private_keys:
        private = _private_key(text)
        if private is None:
            continue
        try:
            key = private.decrypt(encrypted, _PADDING)
        except ValueError:
            continue
        if len(key) == _KEY_BYTES:
            return key
    return None


@lru_cache(maxsize=16)
def _private_key(text: str) -> RSAPrivateKey | None:
    try:
        return read_private_key(text)
    except ValueError:
        return None


def _bytes(encrypted: Walk, name: str) -> bytes:
    try:
        return b64decode(encrypted.text(name), validate=True)
    except (binascii.Error, ValueError):
        raise PayloadInvalid("wanted base64", f"{encrypted.path}.{name}") from None
