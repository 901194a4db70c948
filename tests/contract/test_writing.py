"""What the relay assumes about writes, where the document leaves it open. Each test is one assumption; its docstring
says what hangs on it. On a real tenant these are skipped unless RELAY_CONTRACT_WRITE=1."""

from __future__ import annotations

import gzip

import orjson
import pytest

from relay.planhat.limits import MAX_ITEMS
from tests.contract.conftest import Tenant

# ---- the answer


def test_an_insert_echoes_the_external_id_it_was_sent(writable: Tenant) -> None:
    """Settles a new conversation by name; without it the counts must add up, or the batch is halved."""
    sent = writable.item()
    _, envelope = writable.put([sent])
    assert [key.get("externalId") for key in envelope["insertsKeys"]] == [sent["externalId"]]


def test_an_unchanged_item_is_a_count_and_is_not_named(writable: Tenant) -> None:
    """Why counts matter at all: nothing else says that it was well received."""
    sent = writable.item()
    writable.put([sent])
    _, envelope = writable.put([sent])
    assert envelope["nonupdates"] == 1
    assert envelope["updatesKeys"] == envelope["modified"] == envelope["upsertedIds"] == []


def test_an_update_is_named_by_its_id(writable: Tenant) -> None:
    """The relay remembers the _id of what it has delivered, and settles an update by it."""
    made = writable.make()
    _, envelope = writable.put([writable.item(made["externalId"], subject="changed")])
    assert [key["_id"] for key in envelope["updatesKeys"]] == [made["_id"]]
    assert envelope["modified"] == [made["_id"]]


def test_counts_add_up_to_what_was_sent(writable: Tenant) -> None:
    """If nothing failed and the counts add up, all is delivered."""
    old, changed = writable.make(), writable.make()
    _, envelope = writable.put(
        [
            writable.item(old["externalId"]),
            writable.item(changed["externalId"], subject="changed"),
            writable.item(),
        ]
    )
    assert [envelope[name] for name in ("created", "updated", "nonupdates")] == [1, 1, 1]


def test_one_bad_item_does_not_hold_up_the_others_and_makes_a_206(writable: Tenant) -> None:
    """Only the refused item is charged. If the whole request failed instead, halving would still find it."""
    good = writable.item()
    status, envelope = writable.put([good, {"externalId": writable.new_id(), "subject": "no company"}])
    assert status == 206
    assert envelope["created"] == 1
    assert len(writable.errors(envelope)) == 1
    assert writable.planhat.get(f"extid-{good['externalId']}")


def test_a_request_of_bad_items_alone_is_a_400_that_still_carries_the_envelope(writable: Tenant) -> None:
    """The body is read before the status."""
    status, envelope = writable.put([{"externalId": writable.new_id()}])
    assert status == 400
    assert envelope["created"] == 0
    assert writable.errors(envelope)


def test_a_company_that_does_not_exist_is_the_items_error(writable: Tenant) -> None:
    """Otherwise one wrong mapping would stop a batch until halving has found it."""
    status, envelope = writable.put([writable.item(), writable.item(companyId="extid-relay-contract-nobody")])
    assert status == 206
    assert envelope["created"] == 1
    assert writable.errors(envelope)


def test_an_empty_array_is_nothing_to_do(writable: Tenant) -> None:
    """The relay never sends one."""
    status, envelope = writable.put([])
    assert status == 200
    assert not writable.errors(envelope)


# ---- limits


def test_five_thousand_items_are_looked_at(writable: Tenant) -> None:
    """The upper bound of a batch. These items are all bad, so nothing is made."""
    status, envelope = writable.put([{"subject": "no company"}] * MAX_ITEMS)
    assert status == 400
    assert envelope["created"] == 0


def test_more_than_five_thousand_are_refused_whole(writable: Tenant) -> None:
    """The relay never sends more."""
    status, envelope = writable.put([{"subject": "no company"}] * (MAX_ITEMS + 1))
    assert status in (400, 413)
    assert "created" not in envelope


def test_a_body_of_four_megabytes_is_taken(writable: Tenant) -> None:
    """`batch.max_bytes`; a 413 would halve the batch and remember the size."""
    status, _ = writable.put([{"subject": "no company", "description": "x" * 4_000_000}])
    assert status == 400


def test_a_compressed_body_is_taken(writable: Tenant) -> None:
    """Off by default for that reason."""
    sent = writable.item()
    body = gzip.compress(orjson.dumps([sent]))
    answer = writable.http.put("/conversations", content=body, headers={"Content-Encoding": "gzip"})
    writable.made.update(answer.json().get("upsertedIds", ()))
    assert answer.status_code == 200


# ---- which conversation is meant


def test_one_external_id_in_two_companies_makes_two_conversations(two_companies: Tenant) -> None:
    """Why the first delivery pins the company, and why externalIds should be unique by themselves."""
    external_id = two_companies.new_id()
    two_companies.put([two_companies.item(external_id)])
    _, envelope = two_companies.put([two_companies.item(external_id, companyId=two_companies.other_company)])
    assert envelope["created"] == 1


def test_two_items_of_one_key_in_one_request_make_one_conversation(writable: Tenant) -> None:
    """The relay folds them into one beforehand."""
    external_id = writable.new_id()
    _, envelope = writable.put(
        [writable.item(external_id, subject="one"), writable.item(external_id, subject="two")]
    )
    assert envelope["created"] == 1
    assert writable.planhat.get(f"extid-{external_id}")["subject"] == "two"


def test_an_update_may_leave_the_company_out(writable: Tenant) -> None:
    """For `relay conversations upsert`; the relay itself always names it."""
    made = writable.make()
    status, envelope = writable.put([{"externalId": made["externalId"], "subject": "changed"}])
    assert (status, envelope["updated"]) == (200, 1)


def test_the_id_counts_more_than_the_external_id(two_companies: Tenant) -> None:
    """Later sends go by _id, and so move a conversation to another company instead of duplicating it."""
    made = two_companies.make()
    sent = two_companies.item(made["externalId"], _id=made["_id"], companyId=two_companies.other_company)
    _, envelope = two_companies.put([sent])
    assert (envelope["created"], envelope["updated"]) == (0, 1)
    assert two_companies.planhat.get(made["_id"])["companyId"] != made["companyId"]


def test_a_source_id_counts_more_than_an_external_id(writable: Tenant) -> None:
    """The relay sends no sourceId unless a rule does. The document names it; team notes (2026-08, by Planhat's MCP server)
    say that conversations have none."""
    source = writable.new_id("-source")
    made = writable.make(sourceId=source)
    _, envelope = writable.put([writable.item(sourceId=source)])
    assert (envelope["created"], envelope["updated"]) == (0, 1)
    assert writable.planhat.get(made["_id"])["externalId"] != made["externalId"]


def test_external_ids_differ_by_case(writable: Tenant) -> None:
    """Slack's ids do."""
    low = writable.make(external_id=writable.new_id("-ab"))
    _, envelope = writable.put([writable.item(low["externalId"].upper())])
    assert envelope["created"] == 1


@pytest.mark.parametrize("suffix", ["/slash", " blank", "%2F", "?x#y", "<a@example.com>", "-é"])
def test_an_external_id_of_any_characters_is_found_by_its_encoded_path(writable: Tenant, suffix: str) -> None:
    """The relay's own keep to letters, digits, dot, dash and underscore, so that nothing hangs on it."""
    external_id = writable.new_id(suffix)
    writable.put([writable.item(external_id)])
    assert writable.planhat.get(f"extid-{external_id}")["externalId"] == external_id


def test_an_external_id_of_128_characters_is_kept_whole(writable: Tenant) -> None:
    """The longest that the relay makes."""
    external_id = writable.new_id().ljust(128, "x")
    assert writable.make(external_id=external_id)["externalId"] == external_id


def test_an_archived_conversation_is_still_found_by_its_external_id(writable: Tenant) -> None:
    """Otherwise the next message of an archived thread would start a second conversation."""
    made = writable.make(archived=True)
    _, envelope = writable.put([writable.item(made["externalId"], subject="changed")])
    assert (envelope["created"], envelope["updated"]) == (0, 1)


def test_the_external_id_of_a_deleted_conversation_is_free_again(writable: Tenant) -> None:
    """A thread goes on after somebody deleted its conversation; by _id it would be refused."""
    made = writable.make()
    writable.planhat.delete(made["_id"])
    _, envelope = writable.put([writable.item(made["externalId"])])
    assert envelope["created"] == 1


def test_an_item_with_the_id_of_a_deleted_conversation_is_refused(writable: Tenant) -> None:
    """And not made anew: the relay then sends it once more by its externalId."""
    made = writable.make()
    writable.planhat.delete(made["_id"])
    _, envelope = writable.put([writable.item(made["externalId"], _id=made["_id"])])
    assert writable.errors(envelope)


def test_creating_an_external_id_again_is_refused(writable: Tenant) -> None:
    """The relay never creates, it upserts. An old article says that a duplicate is made."""
    made = writable.make()
    answer = writable.http.post("/conversations", json=writable.item(made["externalId"]))
    if answer.status_code == 200:
        writable.made.add(answer.json()["_id"])
    assert answer.status_code == 400


def test_a_delete_names_the_id_alone(writable: Tenant) -> None:
    """`relay conversations delete extid-...` looks the _id up first."""
    made = writable.make()
    assert writable.http.delete(f"/conversations/extid-{made['externalId']}").status_code >= 400
    assert writable.http.get(f"/conversations/{made['_id']}").status_code == 200


# ---- what becomes of values


def test_what_is_left_out_stays(writable: Tenant) -> None:
    """What people of customer success write into other fields survives."""
    made = writable.make(description="kept", starred=True)
    writable.put([{"companyId": writable.company, "externalId": made["externalId"], "subject": "changed"}])
    changed = writable.planhat.get(made["_id"])
    assert (changed["subject"], changed["description"], changed["starred"]) == ("changed", "kept", True)


def test_a_list_is_replaced_whole(writable: Tenant) -> None:
    """The relay sends the whole list."""
    made = writable.make(activityTags=["one", "two"])
    writable.put([writable.item(made["externalId"], activityTags=["three"])])
    assert writable.planhat.get(made["_id"])["activityTags"] == ["three"]


def test_an_empty_list_clears(writable: Tenant) -> None:
    """The relay leaves out what is empty."""
    made = writable.make(activityTags=["one"])
    writable.put([writable.item(made["externalId"], activityTags=[])])
    assert writable.planhat.get(made["_id"]).get("activityTags", []) == []


def test_null_clears(writable: Tenant) -> None:
    """The relay never sends null."""
    made = writable.make(description="text")
    status, _ = writable.put([writable.item(made["externalId"], description=None)])
    assert status == 200
    assert not writable.planhat.get(made["_id"]).get("description")


def test_custom_properties_merge_key_by_key(writable: Tenant) -> None:
    """The relay sends all that it knows; if they were replaced, those of other writers would be lost."""
    made = writable.make(custom={"Relay contract A": "a"})
    writable.put([writable.item(made["externalId"], custom={"Relay contract B": "b"})])
    custom = writable.planhat.get(made["_id"])["custom"]
    assert (custom.get("Relay contract A"), custom.get("Relay contract B")) == ("a", "b")


def test_markup_in_a_description_is_kept(writable: Tenant) -> None:
    """The relay cleans HTML itself, before it is sent."""
    made = writable.make(description="<p>Hello <b>there</b></p>")
    assert made["description"] == "<p>Hello <b>there</b></p>"


def test_a_snippet_is_made_from_the_description(writable: Tenant) -> None:
    """The relay sends none unless a rule does."""
    assert writable.make(description="<p>Hello <b>there</b></p>")["snippet"].split() == ["Hello", "there"]


def test_a_date_is_kept_to_the_millisecond(writable: Tenant) -> None:
    """Read-back compares it."""
    assert writable.make(date="2021-07-29T15:29:34.330Z")["date"] == "2021-07-29T15:29:34.330Z"


def test_generated_properties_that_are_sent_are_ignored_and_not_refused(writable: Tenant) -> None:
    """The relay refuses them in a rule; people may send back what they have read."""
    assert writable.make(companyName="Not its name", isSeen=True)["companyName"] != "Not its name"


def test_an_unknown_property_is_ignored_and_not_refused(writable: Tenant) -> None:
    """The relay refuses it in a rule, since it would be lost in silence."""
    assert "relayContract" not in writable.make(relayContract=1)


# ---- types


def test_an_unknown_type_becomes_a_note_in_silence(writable: Tenant) -> None:
    """Documented. Why `planhat.types` is checked, and why deliveries are read back. Team notes say both this and that it
    stays as it was sent (`--unknown-type keep`): then a read-back sees nothing, and only the tenant's own list helps."""
    assert writable.make(type="Relay contract: no such type")["type"] == "note"


def test_a_custom_type_of_the_tenant_stays(custom_type: Tenant) -> None:
    """What all is for."""
    assert custom_type.make(type=custom_type.type)["type"] == custom_type.type


@pytest.mark.parametrize("reserved", ["email", "chat", "ticket", "call"])
def test_a_reserved_type_is_refused(writable: Tenant, reserved: str) -> None:
    """Documented as "should not be created": the relay refuses it in a rule, whatever Planhat does."""
    _, envelope = writable.put([writable.item(type=reserved)])
    assert writable.errors(envelope)
