"""A sender's public key as its documents show it."""

from __future__ import annotations

import binascii
from base64 import b64decode
from functools import lru_cache

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
from cryptography.hazmat.primitives.serialization import load_der_public_key, load_pem_public_key


@lru_cache(maxsize=64)
def public_key_of(text: str) -> PublicKeyTypes | None:
    """Read a PEM (line ends may be written as `\\n`), or the base64 of its middle, as a DKIM record has it. None for what is no key;
    which kind of key it is, the caller asks."""
    try:
        if "-----BEGIN" in text:
            return load_pem_public_key(text.replace("\\n", "\n").strip().encode())
        return load_der_public_key(b64decode("".join(text.split()), validate=True))
    except (binascii.Error, ValueError, UnsupportedAlgorithm):
        return None
