"""TLS and users for servers on 127.0.0.1: an authority of our own, certificates that it signed, made anew for each run."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID


class Authority:
    """Signs certificates; `ca` is the file that whoever trusts it is given."""

    def __init__(self, folder: Path, name: str = "ours") -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder, self._name = folder, name
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._subject = _named(f"the authority {name}")
        self.ca = folder / f"{name}.crt"
        self.ca.write_bytes(self._signed(self._subject, self._key, authority=True))

    def certify(self, who: str, *addresses: str, days: int = 30) -> tuple[Path, Path]:
        """Return the files of a certificate for these addresses, and of its key. Less than 0 `days`: it has ended."""
        key = ec.generate_private_key(ec.SECP256R1())
        certificate, secret = self._folder / f"{who}.crt", self._folder / f"{who}.key"
        certificate.write_bytes(self._signed(_named(who), key, addresses=addresses, days=days))
        secret.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        return certificate, secret

    def _signed(
        self,
        subject: x509.Name,
        key: ec.EllipticCurvePrivateKey,
        *,
        addresses: tuple[str, ...] = (),
        authority: bool = False,
        days: int = 30,
    ) -> bytes:
        now = datetime.now(UTC)
        made = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=60))
            .not_valid_after(now + timedelta(days=days))
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        )
        if addresses:
            names = [x509.IPAddress(ip_address(address)) for address in addresses]
            made = made.add_extension(x509.SubjectAlternativeName(names), critical=False)
        return made.sign(self._key, SHA256()).public_bytes(Encoding.PEM)


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


@dataclass
class Secured:
    """How servers are reached that speak TLS alone and know users. `users`: lines of ACL rules behind their names and passwords.
    `clients`: whether a client has to show a certificate."""

    authority: Authority
    password: str
    users: dict[str, str] = field(default_factory=dict)
    clients: bool = False

    def __post_init__(self) -> None:
        self.certificate, self.key = self.authority.certify("node", "127.0.0.1")

    def config(self, port: int) -> str:
        """Lines of a node's configuration."""
        lines = [
            *("port 0", f"tls-port {port}", "tls-cluster yes", "tls-replication yes"),
            *(f'tls-cert-file "{self.certificate}"', f'tls-key-file "{self.key}"'),
            *(
                f'tls-ca-cert-file "{self.authority.ca}"',
                f"tls-auth-clients {'yes' if self.clients else 'no'}",
            ),
            *(f'requirepass "{self.password}"', f'masterauth "{self.password}"'),
            *(f'user {name} on ">{self.password}" {rules}' for name, rules in self.users.items()),
        ]
        return "\n".join(lines)

    def options(self) -> dict[str, Any]:
        """Of a client of ours, who may everything."""
        return {
            "ssl": True,
            "ssl_ca_certs": str(self.authority.ca),
            "ssl_certfile": str(self.certificate),
            "ssl_keyfile": str(self.key),
            "password": self.password,
        }
