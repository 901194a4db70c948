"""Every kind of secret against every way of being none, from variables, files and the config, at the start and later: a
start is refused with a sentence that names the secret, and a running process keeps the last good value and says so."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography.fernet import Fernet
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from hypothesis import given
from hypothesis import strategies as st

from relay.errors import ConfigInvalid, SettingsInvalid
from relay.rules.file.load import examine_config, load_config
from relay.secret import Secret, SecretFile, Strength, bits, edge_problem, fernet_keys
from relay.settings import Settings, secret_problems
from tests.environ import WEAK

GOOD = "vK3-c7Yq0ZtXw9Rb2Lm5Hd8s"
NEXT = "pQ6_n1Ug4JfTe7Ca0Vx3Bk9w"


def made_key() -> str:
    public = ec.generate_private_key(ec.SECP256R1()).public_key()
    return b64encode(public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).decode()


def made_private_key() -> str:
    private = rsa.generate_private_key(65537, 2048)
    return b64encode(private.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())).decode()


PUBLIC = (made_key(), made_key())
PRIVATE = (made_private_key(), made_private_key())
KEYS = (Fernet.generate_key().decode(), Fernet.generate_key().decode())


@dataclass(frozen=True)
class Kind:
    """`variable` is a setting; otherwise `source` is a source's line with the secret in the place of VALUE."""

    name: str
    good: str
    after: str
    weak: str
    variable: str = ""
    source: str = ""


TOKEN = ("op", GOOD, NEXT)
KINDS = [
    *(
        Kind(name, GOOD, NEXT, "changeme", variable=f"RELAY_{name}")
        for name in ("OPERATOR_TOKEN", "READER_TOKEN", "REDACTION_KEY")
    ),
    Kind("PLANHAT_TOKEN", GOOD, NEXT, "", variable="RELAY_PLANHAT_TOKEN"),
    Kind("ENCRYPTION_KEYS", KEYS[0], KEYS[1], "not-a-key", variable="RELAY_ENCRYPTION_KEYS"),
    Kind("secrets", GOOD, NEXT, "a", source="adapter: slack, secrets: [VALUE]"),
    Kind("one secret", GOOD, NEXT, "changeme", source="adapter: slack, secrets: VALUE"),
    Kind("basic_auth", f"hook:{GOOD}", f"hook:{NEXT}", "hook:a", source="adapter: postmark, basic_auth: [VALUE]"),
    Kind("bearer", GOOD, NEXT, "a", source="adapter: generic, bearer: [VALUE]"),
    Kind("api_key", GOOD, NEXT, "a", source="adapter: generic, api_key: {header: X-K, values: [VALUE]}"),
    Kind("public_keys", *PUBLIC, "a2V5", source="adapter: sendgrid, public_keys: [VALUE]"),
    Kind("private_keys", *PRIVATE, "a2V5", source=f"adapter: graph, secrets: [{GOOD}], private_keys: [VALUE]"),
    Kind("jwt secrets", GOOD + NEXT, NEXT + GOOD, "a", source="adapter: generic, jwt: {algorithms: [HS256], secrets: [VALUE]}"),
    Kind("jwt keys", *PUBLIC, "a2V5", source="adapter: generic, jwt: {algorithms: [ES256], keys: [VALUE]}"),
    Kind("enrich", GOOD, NEXT, "", source=f"adapter: slack, secrets: [{GOOD}], enrich: {{token: VALUE}}"),
    Kind("enrich login", f"app:{GOOD}", f"app:{NEXT}", "", source=f"adapter: graph, secrets: [{GOOD}], enrich: {{login: VALUE}}"),
]  # fmt: skip
SETTINGS = [kind for kind in KINDS if kind.variable]
SOURCES = [kind for kind in KINDS if kind.source]
FAULTS: dict[str, bytes] = {
    "empty": b"",
    "a line's end": b"\n",
    "blanks": b"   \n",
    "damaged": b"\xff\xfe\x00\x81",
    "a blank before": b" VALUE\n",
    "a blank behind": b"VALUE \n",
    "a tab behind": b"VALUE\t",
}


def text_of(fault: str, kind: Kind) -> bytes:
    return FAULTS[fault].replace(b"VALUE", kind.good.encode())


def by_name(kind: Kind) -> str:
    return kind.name


def settings_value(settings: Settings, kind: Kind) -> str:
    read: Callable[[], str] = getattr(settings, kind.name.lower())
    return read()


def config_of(folder: Path, kind: Kind, written: str) -> str:
    (folder / "relay.yaml").write_text(
        "planhat: {types: [Slack thread]}\ncompanies: [default: extid-acme]\n"
        f"sources: {{own: {{{kind.source.replace('VALUE', written)}, type: Slack thread}}}}\n",
        encoding="utf-8",
    )
    return str(folder / "relay.yaml")


# -- settings ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", SETTINGS, ids=by_name)
@pytest.mark.parametrize("fault", FAULTS)
def test_a_start_with_a_file_that_holds_no_secret_is_refused(tmp_path: Path, kind: Kind, fault: str) -> None:
    file = tmp_path / "value"
    file.write_bytes(text_of(fault, kind))
    with pytest.raises(SettingsInvalid, match=f"^{kind.variable}_FILE: ") as told:
        Settings.read({f"{kind.variable}_FILE": str(file), **WEAK})
    assert kind.good not in str(told.value)


@pytest.mark.parametrize("kind", SETTINGS, ids=by_name)
@pytest.mark.parametrize("written", ["", " ", "\n", " VALUE", "VALUE\t", "VALUE \n"])
def test_a_start_with_a_variable_that_holds_no_secret_is_refused(kind: Kind, written: str) -> None:
    with pytest.raises(SettingsInvalid, match=f"^{kind.variable}") as told:
        Settings.read({kind.variable: written.replace("VALUE", kind.good), **WEAK})
    assert kind.good not in str(told.value)


@pytest.mark.parametrize("kind", SETTINGS, ids=by_name)
def test_a_line_s_end_behind_a_variable_belongs_to_nobody(kind: Kind) -> None:
    """A Secret that is made of a file keeps the file's last one."""
    assert settings_value(Settings.read({kind.variable: f"{kind.good}\n"}), kind) == kind.good


@pytest.mark.parametrize("kind", [kind for kind in SETTINGS if kind.weak], ids=by_name)
@pytest.mark.parametrize("way", ["variable", "file"])
def test_a_weak_one_is_refused_unless_it_is_allowed(tmp_path: Path, kind: Kind, way: str) -> None:
    (tmp_path / "value").write_text(kind.weak + "\n")
    environ = (
        {kind.variable: kind.weak} if way == "variable" else {f"{kind.variable}_FILE": f"{tmp_path}/value"}
    )
    with pytest.raises(SettingsInvalid, match=kind.variable) as told:
        Settings.read(environ)
    assert kind.weak not in str(told.value)
    if kind.name == "ENCRYPTION_KEYS":
        # What is no key encrypts nothing, however much is allowed.
        with pytest.raises(SettingsInvalid):
            Settings.read({**environ, **WEAK})
    else:
        assert settings_value(Settings.read({**environ, **WEAK}), kind) == kind.weak


@pytest.mark.parametrize("kind", SETTINGS, ids=by_name)
@pytest.mark.parametrize("fault", [*FAULTS, "gone", "weak"])
def test_a_file_that_is_damaged_later_leaves_the_last_good_value_in_use(
    tmp_path: Path, kind: Kind, fault: str
) -> None:
    if fault == "weak" and not kind.weak:
        pytest.skip("whoever made it says how strong it is")
    file = tmp_path / "value"
    file.write_text(kind.good + "\n")
    settings = Settings.read({f"{kind.variable}_FILE": str(file)})
    assert (settings_value(settings, kind), settings.problems()) == (kind.good, [])

    if fault == "gone":
        file.unlink()
    else:
        file.write_bytes(kind.weak.encode() if fault == "weak" else text_of(fault, kind))

    assert settings_value(settings, kind) == kind.good
    [problem] = settings.problems()
    assert problem.startswith(f"{kind.variable}_FILE: ")
    assert problem.endswith("the last good value stays in use")
    assert kind.good not in problem
    file.write_text(kind.after)
    assert (settings_value(settings, kind), settings.problems()) == (kind.after, [])


def test_what_was_never_configured_is_empty_and_no_problem() -> None:
    settings = Settings.read({})
    assert settings.problems() == []
    for kind in SETTINGS:
        assert settings_value(settings, kind) == ""


def test_a_variable_and_a_file_for_one_secret_are_one_too_many(tmp_path: Path) -> None:
    (tmp_path / "value").write_text(GOOD)
    with pytest.raises(SettingsInvalid, match="both set"):
        Settings.read({"RELAY_OPERATOR_TOKEN": GOOD, "RELAY_OPERATOR_TOKEN_FILE": f"{tmp_path}/value"})


# -- the config file -----------------------------------------------------------------------------------------------

#: How the config may write a value: as it is, from a variable, by a default, from a file.
WAYS = ("plain", "variable", "default", "file")


def loaded(folder: Path, kind: Kind, way: str, value: bytes, environ: dict[str, str]) -> Secret:
    (folder / "value").write_bytes(value)
    text = value.decode("utf-8", "replace")
    written = {
        "plain": "'" + text.replace("\n", "\n\n") + "'",
        "variable": '"${THE_SECRET}"',
        "default": f'"${{THE_SECRET:-{text}}}"',
        "file": f'"${{file:{folder}/value}}"',
    }[way]
    variables = {"THE_SECRET": text} if way == "variable" else {}
    config = load_config(config_of(folder, kind, written), {**variables, **environ})
    room = next((word for word in ("enrich", "private_keys", "jwt") if kind.name.startswith(word)), "")
    return next(secret for secret in config.secrets if room in secret.name)


@pytest.mark.parametrize("kind", SOURCES, ids=by_name)
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("fault", [fault for fault in FAULTS if fault != "damaged"])
def test_a_config_whose_secret_is_none_is_refused(tmp_path: Path, kind: Kind, way: str, fault: str) -> None:
    value = text_of(fault, kind)
    if way in ("plain", "default"):
        value = value.rstrip(b"\n")
    if way == "variable" and value.strip():
        # Left out, and said.
        assert loaded(tmp_path, kind, way, value, WEAK)() == kind.good
        [mistake] = examine_config(
            str(tmp_path / "relay.yaml"), {**WEAK, "THE_SECRET": value.decode()}
        ).mistakes
        assert "THE_SECRET begins or ends with white space" in str(mistake) and kind.good not in str(mistake)
        return
    with pytest.raises(ConfigInvalid, match=r"sources\.own") as told:
        loaded(tmp_path, kind, way, value, WEAK)
    assert kind.good not in str(told.value)


@pytest.mark.parametrize("kind", [kind for kind in SOURCES if kind.weak], ids=by_name)
@pytest.mark.parametrize("way", WAYS)
def test_a_config_with_a_weak_secret_is_refused_unless_it_is_allowed(
    tmp_path: Path, kind: Kind, way: str
) -> None:
    asymmetric = {
        **dict.fromkeys(("public_keys", "jwt keys"), "no public key"),
        "private_keys": "no RSA private key",
    }
    wanted = asymmetric.get(kind.name, "too weak")
    with pytest.raises(ConfigInvalid, match=wanted):
        loaded(tmp_path, kind, way, kind.weak.encode(), {})
    if kind.name not in asymmetric:
        assert loaded(tmp_path, kind, way, kind.weak.encode(), WEAK)() == kind.weak


@pytest.mark.parametrize("kind", SOURCES, ids=by_name)
@pytest.mark.parametrize("fault", [*FAULTS, "gone", "weak"])
def test_a_configs_file_that_is_damaged_later_leaves_the_last_good_value_in_use(
    tmp_path: Path, kind: Kind, fault: str
) -> None:
    if fault == "weak" and not kind.weak:
        pytest.skip("whoever made it says how strong it is")
    secret = loaded(tmp_path, kind, "file", kind.good.encode() + b"\n", {})
    assert (secret(), secret_problems([secret])) == (kind.good, [])
    if fault == "gone":
        (tmp_path / "value").unlink()
    else:
        (tmp_path / "value").write_bytes(kind.weak.encode() if fault == "weak" else text_of(fault, kind))
    assert secret() == kind.good
    [problem] = secret_problems([secret])
    assert "sources.own" in problem
    (tmp_path / "value").write_text(kind.after)
    assert (secret(), secret_problems([secret])) == (kind.after, [])


def test_a_file_of_keys_that_is_damaged_later_leaves_the_last_good_ones_in_use(tmp_path: Path) -> None:
    file, good = tmp_path / "keys.json", '{"keys": [{"kty": "oct", "k": "AAAA", "kid": "1"}]}'
    kind = Kind(
        "jwks_file", "", "", "", source="adapter: generic, jwt: {algorithms: [RS256], jwks_file: keys.json}"
    )
    for none in (None, "", "[]", "{}", '{"keys": []}', "\ufeff"):
        if none is not None:
            file.write_text(none)
        with pytest.raises(ConfigInvalid, match="jwks_file"):
            load_config(config_of(tmp_path, kind, ""), {})
    file.write_text(good)
    [secret] = load_config(config_of(tmp_path, kind, ""), {}).secrets
    assert (secret(), secret_problems([secret])) == (good, [])
    file.write_text('{"keys": [')
    assert secret() == good
    [problem] = secret_problems([secret])
    assert "sources.own" in problem
    file.write_text(good.replace("AAAA", "BBBB"))
    assert (secret(), secret_problems([secret])) == (good.replace("AAAA", "BBBB"), [])


@pytest.mark.parametrize(
    "written", ["hook:", '":word"', '" : "', '":"', "hook", '"hook:${PW:-}"', '"${U:-}:${PW:-}"']
)
def test_a_login_without_a_user_or_a_password_is_none(tmp_path: Path, written: str) -> None:
    kind = next(kind for kind in SOURCES if kind.name == "basic_auth")
    with pytest.raises(ConfigInvalid, match="basic_auth"):
        load_config(config_of(tmp_path, kind, written), WEAK)


def test_a_piece_that_is_emptied_does_not_shorten_the_secret(tmp_path: Path) -> None:
    """`hook:${file:..}` without its file would be "hook:", and a longer rest would pass for a secret of its own."""
    kind = next(kind for kind in SOURCES if kind.name == "bearer")
    file = tmp_path / "piece"
    file.write_text(GOOD)
    config = load_config(config_of(tmp_path, kind, f'"a-prefix-that-is-long-{{}}-${{file:{file}}}"'), {})
    before = config.sources["own"].options.bearer()
    file.write_text("")
    assert config.sources["own"].options.bearer() == before
    assert len(secret_problems(config.secrets)) == 1


def test_a_block_of_several_lines_may_end_with_a_line(tmp_path: Path) -> None:
    kind = next(kind for kind in SOURCES if kind.name == "bearer")
    config = load_config(config_of(tmp_path, kind, f'"{GOOD}"').replace("\\", "/"), {})
    assert list(config.sources["own"].options.bearer()) == [GOOD]
    (tmp_path / "relay.yaml").write_text(
        "planhat: {types: [Slack thread]}\ncompanies: [default: extid-acme]\n"
        f"sources:\n  own:\n    adapter: slack\n    type: Slack thread\n    secrets:\n      - |\n        {GOOD}\n"
    )
    again = load_config(str(tmp_path / "relay.yaml"), {})
    assert list(again.sources["own"].options.secrets()) == [GOOD]


# -- what a text is worth ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "token", "word"),
    [
        ("a", False, False),
        ("op", False, False),
        ("changeme", False, False),
        ("password123", False, False),
        ("a" * 60, False, False),
        ("abcabcabcabcabcabcabcabcabcabcabcabcabcabc", False, False),
        ("changeme-changeme-changeme-changeme-changeme", False, False),
        ("1234567890" * 5, False, False),
        ("correct horse", False, True),
        ("8f3a61d2c97b", False, True),
        ("0b5636a5f1d284a929952e0ee14f11d", False, True),
        ("0b5636a5f1d284a929952e0ee14f11d0", True, True),
        ("28PG4g09drCdHidLcuQjEw", True, True),
    ],
)
def test_what_counts_as_strong(text: str, token: bool, word: bool) -> None:
    strength = Strength()
    assert ((strength.token(text) == ""), (strength.word(text) == "")) == (token, word)


@given(st.binary(min_size=16, max_size=16).filter(lambda raw: len(set(raw.hex())) > 7))
def test_sixteen_random_bytes_in_hex_are_a_token(raw: bytes) -> None:
    assert Strength().token(raw.hex()) == ""


@given(st.text(max_size=60))
def test_a_text_is_never_worth_less_than_nothing_nor_a_start_of_it_more(text: str) -> None:
    assert 0 <= bits(text) <= 8 * 4 * max(1, len(text))
    assert bool(edge_problem(text)) == (text != text.strip() or not text) or "\n" in text


@given(st.text(max_size=80))
def test_no_text_makes_the_checks_fail(text: str) -> None:
    assert isinstance(fernet_keys(text), str)
    for check in (Strength().token, Strength().word, Strength().login, Strength(weak=True).login):
        assert isinstance(check(text), str)


def test_an_unchanged_file_is_not_opened_again(tmp_path: Path) -> None:
    file = tmp_path / "value"
    file.write_text(GOOD)
    read = SecretFile(str(file))
    first = read()
    assert read() is first
