"""What `relay up` tells its sandbox of the tenant."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from relay.cli.up_tenant import SandboxTenant, tenant_of_config
from relay.config import CompanyStep, Config, PlanhatConfig, SourceConfig
from relay.errors import ConfigInvalid
from relay.planhat.sandbox import Sandbox, create_sandbox
from relay.planhat.sandbox.seed import read_seed
from relay.planhat.sandbox.server import running
from relay.source_options import SourceOptions


def config(*steps: CompanyStep, types: tuple[str, ...] = (), **more: Any) -> Config:
    return Config(planhat=PlanhatConfig(types=types), companies=steps, **more)


def companies_of(sandbox: Sandbox) -> dict[str, dict[str, Any]]:
    return {
        str(row.get("externalId") or row["_id"]): row
        for row in sandbox.store.directory.companies.rows.values()
    }


def sandbox_of(given: Config) -> Sandbox:
    return create_sandbox(seed=read_seed(tenant_of_config(given)))


def test_types_are_those_of_the_config_and_of_its_sources() -> None:
    source = SourceConfig("mail", "postmark", SourceOptions("mail", "postmark"), type="Support email")
    given = config(types=("Slack thread", "Support email"), sources={"mail": source})
    assert tenant_of_config(given)["types"] == ["Slack thread", "Support email"]
    assert tenant_of_config(config(types=("A",), sandbox={"types": ["B"]}))["types"] == ["B"]
    # A config without types leaves the sandbox its own.
    assert "types" not in tenant_of_config(config())


def test_the_companies_of_the_tables_are_there_with_their_domains() -> None:
    found = companies_of(
        sandbox_of(
            config(
                CompanyStep(
                    "table", key="domain", table={"mine.example": "extid-mine", "me.example": "extid-mine"}
                ),
                CompanyStep("table", key="channel", table={"C1": "srcid-crm-9", "C2": "5f" + "9" * 22}),
                CompanyStep("enduser_email"),
                CompanyStep("default", value="extid-rest"),
            )
        )
    )
    assert found["mine"]["domains"] == ["mine.example", "me.example"]
    assert found["rest"]["name"] == "rest"
    assert "5f" + "9" * 22 in found
    assert any(row.get("sourceId") == "crm-9" for row in found.values())


def test_a_company_of_the_standard_tenant_keeps_what_it_is() -> None:
    before = companies_of(create_sandbox())["acme"]
    table = {"more.example": "extid-acme", "example.com": "extid-acme", "example.org": "extid-acme"}
    found = companies_of(sandbox_of(config(CompanyStep("table", key="domain", table=table))))["acme"]
    # example.org is another's there.
    assert found["domains"] == [*before["domains"], "more.example"]
    assert (found["name"], found["_id"]) == (before["name"], before["_id"])


def test_what_the_config_says_of_the_sandbox_has_the_last_word() -> None:
    sandbox = sandbox_of(
        config(
            CompanyStep("default", value="extid-mine"),
            sandbox={
                "companies": [{"externalId": "mine", "name": "Mine Inc"}],
                "people": [
                    {"email": "zoe@mine.example", "company": "extid-mine"},
                    {"email": "us@ours.example"},
                ],
                "custom_fields": ["Mood"],
            },
        )
    )
    directory = sandbox.store.directory
    assert companies_of(sandbox)["mine"]["name"] == "Mine Inc"
    assert "zoe@mine.example" in {row["email"] for row in directory.endusers.rows.values()}
    assert "us@ours.example" in {row["email"] for row in directory.users.rows.values()}
    assert [row["name"] for row in directory.fields_of("conversation")] == ["Mood"]


# -- a config that changes -------------------------------------------------------------------------------------


def test_the_sandbox_learns_of_a_changed_config(tmp_path: Path) -> None:
    file, types = tmp_path / "relay.yaml", ["A"]
    file.write_text("1")
    broken = [False]

    def load() -> Config:
        if broken[0]:
            raise ConfigInvalid([])
        return config(CompanyStep("default", value=f"extid-{types[-1]}"), types=tuple(types))

    sandbox = create_sandbox(types=["A"])
    with running(sandbox) as url:
        tenant = SandboxTenant(tmp_path, file, load)
        tenant.write(load())
        types.append("B")
        tenant.follow(url, 10.0)
        assert "B" not in companies_of(sandbox), "the file stands as it was"
        file.write_text("changed")
        broken[0] = True
        tenant.follow(url, 20.0)
        assert "B" not in companies_of(sandbox), "a broken config says nothing"
        broken[0] = False
        file.write_text("changed again")
        tenant.follow(url, 20.5)
        assert "B" not in companies_of(sandbox), "one look a second"
        tenant.follow(url, 30.0)
        assert "B" in companies_of(sandbox)
        assert '"B"' in tenant.file.read_text()


def test_a_sandbox_that_does_not_answer_reads_the_file_later(tmp_path: Path) -> None:
    file = tmp_path / "relay.yaml"
    file.write_text("1")
    tenant = SandboxTenant(tmp_path, file, lambda: config(types=("A", "B")))
    tenant.write(config(types=("A",)))
    file.write_text("changed")
    tenant.follow("http://127.0.0.1:1", 10.0)
    assert '"B"' in tenant.file.read_text()


@pytest.mark.parametrize("given", [{}, {"types": []}, {"companies": []}])
def test_an_empty_word_of_the_sandbox_changes_nothing(given: dict[str, Any]) -> None:
    assert tenant_of_config(config(types=("A",), sandbox=given)) == {"companies": [], "types": ["A"]}
