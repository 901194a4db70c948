"""What the relay assumes about people, tags, dates and further properties. Each test is one assumption."""

from __future__ import annotations

from typing import Any

import pytest

from tests.contract.conftest import Tenant


@pytest.mark.parametrize(
    "person", [{"id": "not-an-id"}, {"email": "nobody@relay-contract.example"}, "5e0000000000000000000001"]
)
def test_an_enduser_without_an_id_of_planhats_is_left_out_in_silence(writable: Tenant, person: Any) -> None:
    """Why people are looked up before they are sent, as `{"id": ...}`. Source: team notes ("a bad enduser fails
    silently"); that the rest of the conversation is taken is an inference."""
    sent = writable.item(endusers=[person])
    status, envelope = writable.put([sent])
    assert (status, envelope["created"]) == (200, 1)
    assert writable.planhat.get(f"extid-{sent['externalId']}").get("endusers", []) == []


def test_an_enduser_is_taken_by_id_and_shown_by_name(writable: Tenant) -> None:
    """What `resolve_people` sends. Documented by every example."""
    known = next(row for row in writable.planhat.endusers(limit=5) if row.get("name"))
    made = writable.make(endusers=[{"id": known["_id"]}])
    assert made["endusers"] == [{"id": known["_id"], "name": known["name"]}]


def test_free_words_stay_as_activity_tags(writable: Tenant) -> None:
    """The relay leaves tags out unless it knows their ids. The document says strings, Planhat's page on notes object
    ids, and team notes that words are refused in silence: if they are, `--free-tag drop` is the truer sandbox."""
    assert writable.make(activityTags=["relay contract"])["activityTags"] == ["relay contract"]


def test_a_date_without_a_time_is_refused_on_create(writable: Tenant) -> None:
    """The relay completes it. Source: team notes, of another model and by Planhat's MCP server."""
    status, envelope = writable.put([writable.item(date="2025-08-11")])
    assert status == 400
    assert envelope["created"] == 0


def test_a_date_in_another_zone_is_given_back_in_utc(writable: Tenant) -> None:
    """Read-back compares moments and not words. Source: every example is in UTC; an inference."""
    made = writable.make(date="2021-07-29T17:29:34.330+02:00")
    assert made["date"] == "2021-07-29T15:29:34.330Z"


@pytest.mark.parametrize("name", ["source", "category", "taskId"])
def test_properties_that_no_table_names_are_written_all_the_same(writable: Tenant, name: str) -> None:
    """The default rules set `source`. Source: team notes; `source` also in the document's example."""
    assert writable.make(**{name: "relay"})[name] == "relay"


def test_the_company_may_be_named_by_its_external_id_alone(writable: Tenant) -> None:
    """The relay sends `companyId`. Source: Planhat's page on notes, its table."""
    if not writable.company.startswith("extid-"):
        pytest.skip("needs RELAY_CONTRACT_COMPANY as extid-...")
    sent = writable.item(companyId=None, companyExternalId=writable.company.removeprefix("extid-"))
    status, envelope = writable.put([sent])
    assert (status, envelope["created"]) == (200, 1)


def test_the_type_other_stands(writable: Tenant) -> None:
    """`planhat.types` need not name it. Source: team notes, the option list of a live tenant."""
    assert writable.make(type="other")["type"] == "other"


def test_a_types_name_is_matched_exactly(custom_type: Tenant) -> None:
    """Why a type is compared with the tenant's own to the letter. Source: team notes."""
    assert custom_type.make(type=custom_type.type.upper() + " ")["type"] == "note"
