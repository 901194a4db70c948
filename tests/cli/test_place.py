"""How a command finds the relay: the folder, the config, the env file; and what it says where there is none."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from relay.cli.context import CliContext, NothingRuns
from relay.cli.place import Place, read_env_file
from relay.cli.up_folder import close_folder, make_secrets
from relay.errors import OutboxUnavailable, UserError
from tests.environ import WEAK
from tests.places import ROOT

COMMANDS = [
    ["stats"], ["trace", "x"], ["dead", "list"], ["dead", "show", "x"], ["pause"], ["resume"], ["rejected"], ["audit"],
    ["drop", "--list"], ["replay", "--since", "1h", "--dry-run"], ["erase", "--email", "a@b.c", "--yes"],
    ["send", "--source", "x"], ["sign-in"], ["backtest", "none.yaml"], ["conversations", "list"], ["doctor"], ["adopt"],
]  # fmt: skip


def relay(folder: Path, *words: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "relay.cli", *words],
        cwd=folder,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), **environ},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.process
@pytest.mark.parametrize("words", COMMANDS, ids=lambda words: words[0])
def test_where_nothing_runs_one_sentence_says_what_was_tried(tmp_path: Path, words: list[str]) -> None:
    done = relay(tmp_path, *words, "--data", "elsewhere")
    assert (done.returncode, done.stdout) == (1, "")
    assert "elsewhere" in done.stderr
    assert "relay up" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


@pytest.mark.process
@pytest.mark.parametrize("words", COMMANDS, ids=lambda words: words[0])
def test_a_folder_that_was_named_is_not_changed_for_what_the_environment_names(
    tmp_path: Path, words: list[str]
) -> None:
    elsewhere = {
        "RELAY_REDIS_URL": "redis://127.0.0.1:9/0",
        "RELAY_PORT": "9",
        "RELAY_PLANHAT_URL": "http://127.0.0.1:9",
        "RELAY_PLANHAT_TOKEN": "an-invented-token",
    }
    done = relay(tmp_path, *words, "--data", "elsewhere", **elsewhere)
    assert done.returncode == 1
    assert "no `relay up` there" in done.stderr or "no `relay up` runs in elsewhere" in done.stderr


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for name in list(os.environ):
        if name.startswith("RELAY_"):
            monkeypatch.delenv(name)


def test_a_relay_that_has_ended_is_not_taken_for_the_one_on_the_default_port(tmp_path: Path) -> None:
    (tmp_path / ".relay").mkdir()
    with pytest.raises(NothingRuns, match=r"\.relay"):
        _ = CliContext(Place()).redis
    with pytest.raises(NothingRuns, match=r"\.relay"):
        _ = CliContext(Place()).relay_url


def test_a_default_redis_that_does_not_answer_is_named_with_what_else_was_tried(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(
        OutboxUnavailable, match=r"127\.0\.0\.1:6379/0 \(the default\); no `relay up` runs in \.relay"
    ):
        _ = CliContext(Place()).redis
    monkeypatch.setenv("RELAY_REDIS_URL", "redis://me:hush@127.0.0.1:9/0")
    with pytest.raises(OutboxUnavailable, match="RELAY_REDIS_URL") as told:
        _ = CliContext(Place()).redis
    assert "hush" not in str(told.value)


def up_in(folder: Path, **more: object) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    held = {
        "relay": "http://127.0.0.1:1", "console": "", "sandbox": "http://127.0.0.1:2", "planhat": "http://127.0.0.1:2",
        "redis": "unix:///up.sock", "config": str(folder / "up.yaml"), "environ": {"MADE": "by up"},
        "operator_token_file": str(folder / "operator-token"), "pids": {"up": os.getpid()}, **more,
    }  # fmt: skip
    (folder / "up.json").write_text(json.dumps(held))
    (folder / "operator-token").write_text("kept-in-the-folder\n")
    return folder


def test_beside_a_running_up_nothing_else_is_needed(tmp_path: Path) -> None:
    context = CliContext(Place(data=str(up_in(tmp_path / "data"))))
    assert context.settings.redis_url == "unix:///up.sock"
    assert context.settings.config.endswith("up.yaml")
    assert context.settings.planhat_token() == "sandbox"
    assert context.relay_url == "http://127.0.0.1:1"
    assert context.operator_token() == "kept-in-the-folder"
    assert context.environ["MADE"] == "by up"


def test_a_folder_that_is_named_goes_before_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = str(up_in(tmp_path / "data"))
    monkeypatch.setenv("RELAY_REDIS_URL", "redis://elsewhere")
    monkeypatch.setenv("RELAY_CONFIG", "mine.yaml")
    assert CliContext(Place(data=data)).settings.redis_url == "redis://elsewhere"
    assert CliContext(Place(data=data)).settings.config == "mine.yaml"
    assert CliContext(Place(data=data, named=True)).settings.redis_url == "unix:///up.sock"
    assert CliContext(Place(data=data, named=True)).settings.config.endswith("up.yaml")
    assert CliContext(Place(data=data, named=True, config="third.yaml")).settings.config == "third.yaml"


def test_the_env_file_gives_variables_and_the_environment_has_the_last_word(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf" / ".env").write_text("A=beside\nRELAY_REDIS_URL=redis://from-env-file\nB=beside\n")
    (tmp_path / "other.env").write_text("A=named\n")
    monkeypatch.setenv("B", "environment")
    beside = CliContext(Place(config=str(tmp_path / "conf" / "relay.yaml")))
    assert (beside.environ["A"], beside.environ["B"]) == ("beside", "environment")
    assert beside.settings.redis_url == "redis://from-env-file"
    assert CliContext(Place(env_file=str(tmp_path / "other.env"))).environ["A"] == "named"
    with pytest.raises(UserError, match=r"none\.env"):
        _ = CliContext(Place(env_file="none.env")).environ


@pytest.mark.process
@pytest.mark.parametrize("words", [["serve"], ["work", "--burst"]], ids=lambda words: words[0])
def test_the_parts_alone_read_the_env_file_as_well(tmp_path: Path, words: list[str]) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "relay.yaml").write_text("planhat: {}\n", encoding="utf-8")
    (tmp_path / "sub" / ".env").write_text("RELAY_PORT=beside\n", encoding="utf-8")
    (tmp_path / "other").write_text("RELAY_PORT=other\n", encoding="utf-8")
    for more, found in (([], "beside"), (["--env-file", "other"], "other")):
        done = relay(tmp_path, *words, "--config", "sub/relay.yaml", *more)
        assert (done.returncode, done.stdout) == (2, "")
        assert f"RELAY_PORT should be a port number (0-65535), not '{found}'" in done.stderr
    assert "RELAY_PORT" in relay(tmp_path, *words, "--config", "sub/relay.yaml", RELAY_PORT="mine").stderr


def test_a_setting_of_the_environment_stands_however_the_env_file_gives_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".env").write_text("RELAY_PLANHAT_TOKEN_FILE=token\nRELAY_READER_TOKEN=x\nOTHER_FILE=o\n")
    monkeypatch.setenv("RELAY_PLANHAT_TOKEN", "mine")
    monkeypatch.setenv("RELAY_READER_TOKEN_FILE", "reader")
    monkeypatch.setenv("OTHER", "other")
    environ = Place(config=str(tmp_path / "relay.yaml")).environ()
    assert not {"RELAY_PLANHAT_TOKEN_FILE", "RELAY_READER_TOKEN"} & set(environ)
    assert environ["OTHER_FILE"] == "o", "nothing but the relay's own settings has two ways"


@pytest.mark.process
def test_each_setting_may_stand_in_a_file(tmp_path: Path) -> None:
    """Those too that are wanted before the others are read."""

    def held(text: str) -> str:
        path = tmp_path / f"held-{len(text)}"
        path.write_text(f"{text}\n", encoding="utf-8")
        return str(path)

    done = relay(tmp_path, "stats", RELAY_DATA_FILE=held("elsewhere"))
    assert (done.returncode, "no relay runs in elsewhere" in done.stderr) == (1, True)
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / ".env").write_text("SECRET=abc\n", encoding="utf-8")
    source = 'sources: {src: {adapter: slack, secrets: ["${SECRET}"], type: T}}'
    (tmp_path / "sub" / "own.yaml").write_text(f"planhat: {{types: [T]}}\n{source}\n", encoding="utf-8")
    config = held("sub/own.yaml")
    assert "too weak" in relay(tmp_path, "check", RELAY_CONFIG_FILE=config).stderr
    weak = {"RELAY_CONFIG_FILE": config, "RELAY_ALLOW_WEAK_SECRETS_FILE": held("true")}
    assert relay(tmp_path, "check", **weak).returncode == 0
    real = relay(
        tmp_path, "up", "--port", "0", RELAY_PLANHAT_URL_FILE=held("https://api.planhat.com"), **weak
    )
    assert (real.returncode, "needs RELAY_PLANHAT_TOKEN" in real.stderr) == (2, True)


def test_env_files_are_read_as_shells_read_them(tmp_path: Path) -> None:
    file = tmp_path / "e"
    file.write_text(
        "# a comment\n\nPLAIN=a=b\nexport EXPORTED = spaced \nSINGLE='x # y'\nDOUBLE=\"q\" # why\n"
        "TAIL=value # why\nHASH=a#b\nEMPTY=\n"
    )
    assert read_env_file(str(file)) == {
        "PLAIN": "a=b", "EXPORTED": "spaced", "SINGLE": "x # y", "DOUBLE": "q", "TAIL": "value", "HASH": "a#b", "EMPTY": "",
    }  # fmt: skip
    file.write_text("FINE=1\nnot a line\n")
    with pytest.raises(UserError, match="e:2: wanted NAME=value"):
        read_env_file(str(file))


@pytest.mark.process
def test_relay_data_names_the_folder(tmp_path: Path) -> None:
    done = relay(tmp_path, "stats", RELAY_DATA="there")
    assert done.returncode == 1
    assert "no relay runs in there" in done.stderr


# -- what `relay up` makes -------------------------------------------------------------------------------------------


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_tokens_are_made_once_for_nobody_elses_eyes(tmp_path: Path) -> None:
    made = make_secrets(tmp_path, {})
    assert set(made) == {"RELAY_OPERATOR_TOKEN_FILE", "RELAY_REDACTION_KEY_FILE"}
    for path in map(Path, made.values()):
        assert mode(path) == 0o600
        assert len(path.read_text()) > 30
    before = {path: Path(path).read_text() for path in made.values()}
    assert make_secrets(tmp_path, {}) == made
    assert {path: Path(path).read_text() for path in made.values()} == before
    assert set(make_secrets(tmp_path, {"RELAY_OPERATOR_TOKEN": "own"})) == {"RELAY_REDACTION_KEY_FILE"}


@pytest.mark.process
def test_a_start_with_an_emptied_token_is_refused(tmp_path: Path) -> None:
    make_secrets(tmp_path / "", {})
    (tmp_path / "operator-token").write_text("")
    done = relay(tmp_path, "up", "--data", str(tmp_path), "--port", "0", **WEAK)
    assert done.returncode == 2
    assert "RELAY_OPERATOR_TOKEN_FILE" in done.stderr
    assert "empty" in done.stderr
    assert (tmp_path / "operator-token").read_text() == ""


def test_what_an_older_release_left_open_is_closed_and_nothing_else(tmp_path: Path) -> None:
    umask = os.umask(0o022)
    try:
        (tmp_path / "redis" / "appendonlydir").mkdir(parents=True)
        log = tmp_path / "redis" / "redis.log"
        log.write_text("")
        theirs = tmp_path / "notes.txt"
        theirs.write_text("")
        close_folder(tmp_path)
        assert (mode(log), mode(tmp_path / "redis" / "appendonlydir"), mode(theirs)) == (0o600, 0o700, 0o644)
        (tmp_path / "later").write_text("")
        assert mode(tmp_path / "later") == 0o600
    finally:
        os.umask(umask)
