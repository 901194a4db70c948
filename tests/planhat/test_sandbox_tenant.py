"""What a sandbox is started with and what it keeps: seeds, state, its port; and the host names it answers to."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from relay.cli.sandbox import sandbox as sandbox_command
from relay.errors import SettingsInvalid
from relay.planhat.sandbox import NO_QUOTAS, Sandbox, create_sandbox
from relay.planhat.sandbox.hosts import Hosts
from relay.planhat.sandbox.options import Options
from relay.planhat.sandbox.seed import SeedInvalid, read_seed, read_seed_file
from relay.planhat.sandbox.server import bind, bind_kept, keep_port, running

SEED: dict[str, Any] = {
    "types": ["Training"],
    "companies": [
        "extid-mine",
        "srcid-crm-7",
        "61006bc89a3e0b702ed8ea49",
        {"externalId": "globex", "name": "Globex Ltd"},
        {"name": "Own", "externalId": "own", "domains": ["own.example"]},
    ],
    "people": [
        {"email": "ada@own.example", "name": "Ada Own"},
        {"email": "bo@elsewhere.example", "name": "Bo", "company": "extid-mine"},
        {"email": "una@ourteam.example", "name": "Una"},
        "sam@own.example",
    ],
    "custom_fields": ["Deal", {"name": "Due", "type": "date"}, {"name": "Tier", "parent": "company"}],
    "activity_tags": ["Kick-off"],
}


@contextmanager
def client_of(sandbox: Sandbox) -> Iterator[httpx.Client]:
    with (
        running(sandbox) as url,
        httpx.Client(base_url=url, headers={"Authorization": "Bearer t"}, trust_env=False) as http,
    ):
        yield http


def listed(http: httpx.Client, path: str, name: str, **query: str) -> list[str]:
    return [row.get(name, "") for row in http.get(path, params={"limit": "1000", **query}).json()]


# ---- seeds


def test_a_seed_is_the_tenants_types_and_fields_and_adds_companies_and_people() -> None:
    with client_of(create_sandbox(quotas=NO_QUOTAS, seed=SEED)) as http:
        for key in ("extid-mine", "srcid-crm-7", "61006bc89a3e0b702ed8ea49", "extid-own", "extid-acme"):
            assert http.get(f"/companies/{key}").status_code == 200, key
        assert http.get("/companies/5f0000000000000000000002").json()["name"] == "Globex Ltd"
        [ada] = http.get("/endusers", params={"email": "ada@own.example"}).json()
        assert (ada["companyName"], ada["name"]) == ("Own", "Ada Own")
        [bo] = http.get("/endusers", params={"email": "bo@elsewhere.example"}).json()
        assert bo["companyName"] == "mine"
        assert listed(http, "/endusers", "companyName", email="sam@own.example") == ["Own"]
        assert listed(http, "/users", "nickName", email="una@ourteam.example") == ["Una"]
        fields = {(row["parent"], row["name"], row["type"]) for row in http.get("/customfields").json()}
        assert fields == {
            ("conversation", "Deal", "text"),
            ("conversation", "Due", "date"),
            ("company", "Tier", "text"),
        }
        assert "Kick-off" in listed(http, "/activitytags", "name")
        items = [
            {"companyId": "extid-mine", "externalId": kind, "type": kind}
            for kind in ("Training", "Slack thread")
        ]
        http.put("/conversations", json=items)
        assert http.get("/conversations/extid-Training").json()["type"] == "Training"
        assert http.get("/conversations/extid-Slack thread").json()["type"] == "note"
        http.post("/_sandbox/reset")
        assert http.get("/companies/extid-mine").status_code == 200


def test_the_same_seed_gives_the_same_ids_and_no_row_twice(tmp_path: Path) -> None:
    def ids(sandbox: Sandbox) -> dict[str, list[str]]:
        return {name: sorted(table.rows) for name, table in sandbox.store.directory.tables.items()}

    first = ids(create_sandbox(seed=SEED))
    assert first == ids(create_sandbox(seed=SEED))
    kept = create_sandbox(seed=SEED, state=tmp_path)
    kept.store.seed(read_seed({"companies": ["extid-mine"], "types": ["Later"]}))
    again = create_sandbox(seed=SEED, state=tmp_path)
    assert ids(again) == first
    assert again.store.types == {"Training", "Later"}


@pytest.mark.parametrize(
    ("seed", "named"),
    [
        ([], "object"),
        ({"planets": []}, "planets"),
        ({"types": "x"}, "types"),
        ({"types": [7]}, "types"),
        ({"companies": [7]}, "companies"),
        ({"companies": {"a": 1}}, "companies"),
        ({"custom_fields": [None]}, "custom_fields"),
        ({"people": [{"email": "x@y.example", "company": "extid-nobody"}]}, "extid-nobody"),
    ],
)
def test_a_seed_that_cannot_be_is_refused_with_its_key(seed: Any, named: str) -> None:
    with pytest.raises(SeedInvalid, match=named):
        create_sandbox(seed=seed)
    with client_of(create_sandbox(quotas=NO_QUOTAS)) as http:
        answer = http.post("/_sandbox/seed", json=seed)
        assert answer.status_code == 400
        assert named in answer.json()["error"]


@pytest.mark.parametrize(
    ("text", "named"), [("types: [", "not YAML"), ("planets: []", "planets"), ("\xff", "read")]
)
def test_a_seed_file_that_cannot_be_read_is_named(tmp_path: Path, text: str, named: str) -> None:
    path = tmp_path / "tenant.yaml"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(SeedInvalid, match=named) as told:
        read_seed_file(path)
    assert str(path) in str(told.value)
    assert read_seed_file_of(tmp_path, "") == read_seed({})


def read_seed_file_of(folder: Path, text: str) -> Any:
    path = folder / "other.yaml"
    path.write_text(text)
    return read_seed_file(path)


def test_the_seed_in_the_docs_is_one(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "sandbox.md").read_text(encoding="utf-8")
    [seed] = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    path = tmp_path / "tenant.yaml"
    path.write_text(seed)
    store = create_sandbox(seed=read_seed_file(path)).store
    assert store.types == {"Slack thread", "Training"}
    assert {row["name"] for row in store.directory.fields_of("conversation")} == {"Channel", "Due"}


def test_every_option_of_the_docs_is_one_of_the_command() -> None:
    page = (Path(__file__).parents[2] / "docs" / "sandbox.md").read_text(encoding="utf-8")
    options = {name for parameter in sandbox_command.params for name in parameter.opts}
    assert set(re.findall(r"`(--[a-z-]+)", page)) <= options


# ---- state


def test_what_the_api_made_changed_and_deleted_survives_a_restart(tmp_path: Path) -> None:
    with client_of(create_sandbox(quotas=NO_QUOTAS, state=tmp_path)) as http:
        made = http.post("/companies", json={"name": "New", "externalId": "new", "custom": {"A": 1}}).json()
        http.put("/companies/extid-acme", json={"phase": None, "name": "Acme Group"})
        http.delete("/companies/extid-hooli")
        http.put("/endusers", json=[{"companyId": "extid-new", "email": "n@new.example"}])
        http.put("/tickets", json=[{"sourceId": "1", "email": "n@new.example", "companyExternalId": "new"}])
        http.post("/customfields", json={"name": "Deal", "parent": "conversation", "type": "text"})
        before = {path: http.get(path).json() for path in _KEPT}
    for _ in range(2):
        with client_of(create_sandbox(quotas=NO_QUOTAS, state=tmp_path)) as http:
            assert {path: http.get(path).json() for path in _KEPT} == before
            assert http.get(f"/companies/{made['_id']}").json() == made
            assert "phase" not in http.get("/companies/extid-acme").json()
            assert http.get("/companies/extid-hooli").status_code == 404


_KEPT = ("/companies", "/endusers", "/users", "/customfields", "/activitytags", "/tickets", "/conversations")


def test_a_state_folder_of_an_older_version_is_read(tmp_path: Path) -> None:
    (tmp_path / "sandbox.jsonl").write_text(
        '{"seed": {"companies": [{"_id": "c9", "name": "New", "externalId": "new"}], "types": ["Training"]}}\n'
        '{"put": [{"id": "6b0a2f995dc12eece7000001", "company_id": "c9", "created_ms": 1780000000000,'
        ' "sent": {"externalId": "a", "type": "Training"}, "changed_ms": 1780000000000, "writes": 2}]}\n'
    )
    for _ in range(2):
        store = create_sandbox(state=tmp_path).store
        row = store.get("extid-a")
        assert row is not None
        assert (row["companyName"], row["type"]) == ("New", "Training")


def test_the_port_is_kept_with_the_state_unless_somebody_has_taken_it(tmp_path: Path) -> None:
    def port_of(preferred: int, state: Path | None) -> int:
        with bind_kept("127.0.0.1", preferred, state) as listener:
            return int(listener.getsockname()[1])

    with bind("127.0.0.1", 0) as first:
        port = first.getsockname()[1]
        keep_port(first, tmp_path)
        # Another's, and nobody's: not the one that is taken, whether it is kept or preferred.
        assert port_of(0, tmp_path) not in (0, port)
        assert port_of(port, None) not in (0, port)
    assert port_of(0, tmp_path) == port
    for damaged in ("x", "99999999", ""):
        (tmp_path / "port").write_text(damaged)
        assert port_of(port, tmp_path) == port


def test_a_listener_that_is_handed_down_is_the_one_it_serves_on(tmp_path: Path) -> None:
    with bind("127.0.0.1", 0) as listener:
        options = Options(fd=os.dup(listener.fileno()), state=str(tmp_path))
        _, own = options.open()
        with own:
            assert own.getsockname() == listener.getsockname()
            assert (tmp_path / "port").read_text() == str(listener.getsockname()[1])
    with pytest.raises(SettingsInvalid, match="--fd 999 is no listening socket"):
        Options(fd=999).open()


# ---- as a process


@contextmanager
def started(*arguments: str) -> Iterator[str]:
    process = subprocess.Popen(
        [sys.executable, "-m", "relay.cli", "sandbox", *arguments], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        found = re.search(r"http://\S+", process.stdout.readline())
        assert found is not None
        yield found[0]
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(10)


@pytest.mark.process
def test_a_started_sandbox_has_its_seed_and_takes_its_port_again(tmp_path: Path) -> None:
    seed = tmp_path / "tenant.yaml"
    seed.write_text("types: [Training]\ncompanies: [extid-mine]\ncustom_fields: [Deal]\n")
    options = ("--port", "0", "--state", str(tmp_path / "state"), "--seed", str(seed), "--strict-editor")
    urls = []
    headers = {"Authorization": "Bearer t"}
    for _ in range(2):
        with started(*options) as url:
            urls.append(url)
            assert (
                httpx.get(f"{url}/companies/extid-mine", headers=headers, trust_env=False).status_code == 200
            )
            item = {"companyId": "extid-mine", "externalId": "a", "type": "Training", "description": "a\nb"}
            httpx.put(f"{url}/conversations", headers=headers, json=[item], trust_env=False)
            read = httpx.get(f"{url}/conversations/extid-a", headers=headers, trust_env=False).json()
            assert (read["type"], read["description"]) == ("Training", "<p>ab</p>")
    assert urls[0] == urls[1]


@pytest.mark.process
def test_wrong_options_are_a_sentence_and_exit_2(tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text("planets: []")
    for options in (["--seed", str(tmp_path / "bad.yaml")], ["--style", "loud"], ["--fault", "nonsense"]):
        run = subprocess.run(
            [sys.executable, "-m", "relay.cli", "sandbox", "--port", "0", *options],
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        assert run.returncode == 2
        assert run.stderr
        assert "Traceback" not in run.stderr


# ---- hosts


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "localhost:8081",
        "127.0.0.1:80",
        "127.8.8.8",
        "[::1]:8081",
        "LOCALHOST",
        "a.localhost",
        "",
    ],
)
def test_loopback_names_are_answered(host: str) -> None:
    assert Hosts().allow(host)


@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:8081", "10.0.0.1", "[fe80::1]", "localhost.evil.example", "0.0.0.0", "::"],
)
def test_other_names_are_not_unless_they_are_configured(host: str) -> None:
    assert not Hosts().allow(host)
    assert Hosts.of(["*"]).allow(host)
    assert Hosts.of([host.partition(":")[0] if host.count(":") == 1 else host]).allow(host)


def test_a_foreign_host_gets_neither_the_api_nor_the_page() -> None:
    with client_of(create_sandbox(quotas=NO_QUOTAS, hosts=["sandbox"])) as http:
        for path in ("/", "/companies", "/_sandbox/conversations", "/static/sandbox.js"):
            answer = http.get(path, headers={"Host": "evil.example"})
            assert answer.status_code == 421
            assert "--allow-host" in answer.text
            assert http.get(path, headers={"Host": "sandbox:8081"}).status_code == 200
        assert [call["path"] for call in http.get("/_sandbox/calls").json()] == ["/companies"]
