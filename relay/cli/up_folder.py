"""The data folder of `relay up`: what lies in it, for nobody's eyes but the owner's, and the secrets that are made for it."""

from __future__ import annotations

import contextlib
import json
import os
import re
import secrets
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

import click

from relay.errors import UserError

OPERATOR_TOKEN = "operator-token"  # noqa: S105 - a file's name
REDACTION_KEY = "redaction-key"
#: What this release and older ones write there; the folder itself may hold more of its owner's.
_OURS = (
    OPERATOR_TOKEN,
    REDACTION_KEY,
    "example-secrets.json",
    "up.json",
    "redis",
    "sandbox",
    "sandbox-seed.json",
    "spool",
)
#: A setting -> the file that holds what was made for it.
_MADE = {"OPERATOR_TOKEN": OPERATOR_TOKEN, "REDACTION_KEY": REDACTION_KEY}


def close_folder(folder: Path) -> None:
    """Make all that this process and its children write from now on the owner's alone, and so what an older release left in
    the folder. Raises UserError where the folder cannot be made."""
    os.umask(0o077)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name in _OURS:
            for path in (folder / name, *(folder / name).rglob("*")):
                with contextlib.suppress(OSError):
                    mode = path.lstat().st_mode
                    if mode & 0o077 and not path.is_symlink():
                        path.chmod(mode & 0o7700)
    except OSError as error:
        raise UserError(
            f"{folder}: cannot be written ({error.strerror}); choose another with --data"
        ) from error


def make_secrets(folder: Path, environ: Mapping[str, str]) -> dict[str, str]:
    """Return `RELAY_..._FILE` variables for the secrets that are not configured; each file is made once and kept. An emptied one is
    not made anew: who reads the settings refuses it, since somebody's link or hash would silently stop to hold."""
    found: dict[str, str] = {}
    for setting, name in _MADE.items():
        if f"RELAY_{setting}" in environ or f"RELAY_{setting}_FILE" in environ:
            continue
        path = (folder / name).absolute()
        try:
            _write_new(path, secrets.token_hex(32) + "\n")
        except FileExistsError:
            pass
        except OSError as error:
            # A half of it is no secret.
            path.unlink(missing_ok=True)
            raise UserError(f"{path}: cannot be written ({error.strerror}); make room on its disk") from error
        found[f"RELAY_{setting}_FILE"] = str(path)
    return found


def example() -> str:
    """Return the config shipped in the package."""
    return str(files("relay").joinpath("examples/relay.yaml"))


def config_of(given: str) -> Path:
    """Return the config that is named, else `relay.yaml` of the working directory as for every command, else the example."""
    own = Path("relay.yaml")
    return Path(given) if given else own if own.is_file() else Path(example())


def example_environ(config: Path, folder: Path, environ: Mapping[str, str]) -> dict[str, str]:
    """Make secrets for the shipped example's `${NAME}`s, once for this data folder: nobody's relay runs with a secret
    that stands in a package."""
    if str(config) != example():
        return {}
    held_at = folder / "example-secrets.json"
    held: dict[str, str] = {}
    with contextlib.suppress(OSError, ValueError):
        held = json.loads(held_at.read_text(encoding="utf-8"))
    names = re.findall(r"\$\{([A-Z][A-Z0-9_]*)", config.read_text(encoding="utf-8"))
    for name in names:
        if name not in held:
            word = secrets.token_hex(16)
            held[name] = f"relay:{word}" if "LOGIN" in name or "BASIC" in name else word
    write_private(held_at, held)
    return {name: value for name, value in held.items() if name in names and not environ.get(name)}


def write_private(path: Path, value: Any) -> None:
    """Write it whole or not at all, and for our eyes only: it holds secrets. On a full disk what stands there stays. Raises
    UserError where nothing stands there yet."""
    temporary = path.with_suffix(".tmp")
    try:
        temporary.unlink(missing_ok=True)
        _write_new(temporary, json.dumps(value, indent=1))
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        sentence = f"{path}: cannot be written ({error.strerror}); make room on its disk"
        if not path.exists():
            raise UserError(sentence) from error
        click.echo(f"{sentence}. What stands there is kept", err=True)


def _write_new(path: Path, text: str) -> None:
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
