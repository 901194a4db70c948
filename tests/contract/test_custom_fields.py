"""What the relay assumes about `custom`. Each test is one assumption; its docstring says what hangs on it and where it
comes from."""

from __future__ import annotations

from typing import Any

from tests.contract.conftest import Tenant


def custom_of(tenant: Tenant, key: str) -> dict[str, Any]:
    return dict(tenant.planhat.get(key).get("custom") or {})


def test_a_dotted_name_sets_one_custom_field_and_leaves_the_others(writable: Tenant) -> None:
    """The relay sends `custom` nested; a dotted name is the other way. Source: team notes, REST."""
    made = writable.make(custom={"Relay contract A": "a", "Relay contract B": "b"})
    status, _ = writable.put([writable.item(made["externalId"], **{"custom.Relay contract B": "changed"})])
    assert status == 200
    custom = custom_of(writable, made["_id"])
    assert (custom["Relay contract A"], custom["Relay contract B"]) == ("a", "changed")


def test_a_custom_field_that_is_not_defined_is_stored_and_read_back(writable: Tenant) -> None:
    """So a read-back cannot see that nobody sees it: the relay compares with GET /customfields. Source: team notes."""
    made = writable.make(custom={"Relay contract: nobody defined this": "x"})
    assert made["custom"]["Relay contract: nobody defined this"] == "x"


def test_custom_fields_can_be_listed_with_their_model_and_type(tenant: Tenant) -> None:
    """What `relay check --planhat` and the doctor compare with. Documented."""
    rows = tenant.http.get("/customfields", params={"limit": 100}).json()
    assert rows
    assert all({"_id", "name", "parent", "type"} <= set(row) for row in rows)


def test_the_custom_fields_of_conversations_have_the_parent_conversation(tenant: Tenant) -> None:
    """How the relay finds those it may write. Source: the singular names of the other models in public code."""
    rows = tenant.http.get("/customfields", params={"limit": 2000}).json()
    assert any(row["parent"] == "conversation" for row in rows)


def test_a_name_in_another_case_is_another_field(writable: Tenant) -> None:
    """The relay refuses two names that differ in case alone in its config. Source: team notes, REST."""
    made = writable.make(custom={"Relay contract A": "one"})
    writable.put([writable.item(made["externalId"], custom={"relay contract a": "two"})])
    custom = custom_of(writable, made["_id"])
    assert (custom["Relay contract A"], custom["relay contract a"]) == ("one", "two")


def test_two_names_that_differ_in_case_alone_refuse_the_whole_request(writable: Tenant) -> None:
    """The batch is then halved until it is found. Source: team notes, REST: one record, so that it may be the item."""
    good = writable.item()
    bad = writable.item(custom={"Relay contract A": 1, "relay contract a": 2})
    status, envelope = writable.put([good, bad])
    assert status == 400
    assert "created" not in envelope


def test_null_clears_a_custom_field(writable: Tenant) -> None:
    """The relay never sends null. Source: team notes; an example of Planhat's has a date field with null."""
    made = writable.make(custom={"Relay contract A": "a"})
    writable.put([writable.item(made["externalId"], custom={"Relay contract A": None})])
    assert custom_of(writable, made["_id"]).get("Relay contract A") is None


def test_an_empty_string_is_stored_as_one(writable: Tenant) -> None:
    """The relay leaves out what is empty, so that nothing of it is cleared. Source: team notes."""
    made = writable.make(custom={"Relay contract A": "a"})
    writable.put([writable.item(made["externalId"], custom={"Relay contract A": ""})])
    assert custom_of(writable, made["_id"])["Relay contract A"] == ""


def test_an_empty_string_leaves_a_date_field_as_it_is(date_field: Tenant) -> None:
    """The relay leaves out what is empty. Source: team notes."""
    day = "2026-01-15T00:00:00.000Z"
    made = date_field.make(custom={date_field.date_field: day})
    date_field.put([date_field.item(made["externalId"], custom={date_field.date_field: ""})])
    assert custom_of(date_field, made["_id"])[date_field.date_field] == day


def test_an_empty_object_changes_nothing(writable: Tenant) -> None:
    """The relay leaves out what is empty; a public client sends it with every update. Source: none, an inference."""
    made = writable.make(custom={"Relay contract A": "a"})
    writable.put([writable.item(made["externalId"], subject="changed", custom={})])
    assert custom_of(writable, made["_id"])["Relay contract A"] == "a"
