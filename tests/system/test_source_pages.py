"""Each sender has a page in docs/sources, whose example is a config that loads."""

from __future__ import annotations

import re
from pathlib import Path

import yaml
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from relay.rules.file.load import load
from relay.sources.registry import ADAPTERS
from tests.places import ROOT
from tests.sources.test_jwt import jwks

#: Those that differ by nothing but the way of signing share one.
SIGNED_OTHERWISE = {"standard_webhooks", "svix", "github", "stripe", "cloudevents"}


def fitting(name: str, key: rsa.RSAPrivateKey) -> str:
    """A value that a variable of this name may have."""
    if name.endswith("PUBLIC_KEY"):
        return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    if name.endswith(("LOGIN", "AND_SECRET")):
        return "relay-user:aLongEnoughSecret-987654321-xyz"
    return "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo="


def test_every_source_has_a_page_whose_config_holds(tmp_path: Path) -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    (tmp_path / "chat-keys.json").write_text(jwks(a=key))
    described = set()
    for page in sorted((ROOT / "docs" / "sources").glob("*.md")):
        found = re.search(r"```yaml\n(sources:.*?)```", page.read_text(encoding="utf-8"), re.S)
        if page.stem == "README":
            continue
        assert found, page
        sources = yaml.safe_load(found[1])["sources"]
        described |= {source["adapter"] for source in sources.values()}
        types = sorted({source["type"] for source in sources.values()})
        config = tmp_path / f"{page.stem}.yaml"
        config.write_text(f"planhat: {{types: {types}}}\n{found[1]}\ncompanies: [{{default: extid-x}}]\n")
        load(str(config), {name: fitting(name, key) for name in re.findall(r"\$\{(\w+)\}", found[1])})
    assert described == set(ADAPTERS) - SIGNED_OTHERWISE
    generic = (ROOT / "docs" / "sources" / "generic.md").read_text(encoding="utf-8")
    assert all(f"`{name}`" in generic for name in SIGNED_OTHERWISE)
