"""Every assumption about Planhat that a test of this suite asks, how sure it is, and where it comes from.

confirmed: Planhat's own pages say or show it, or two public projects that know nothing of each other do.
open: one source, or an inference. A run against a tenant (see conftest.py) tells for that tenant, and prints this list.
refuted: what an earlier release of the relay assumed, and a source contradicts; what it does instead.

`python -m tests.contract.assumptions` writes the tables of docs/planhat.md.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final, Literal, NamedTuple

State = Literal["confirmed", "open"]

DOCUMENT: Final = "Planhat's page on conversations"
BULK: Final = "Planhat's page on bulk upserts"
CODES: Final = "Planhat's page on response codes"
LIMITS: Final = "Planhat's page on limits"
UNIQUE: Final = "Planhat's help, data uniqueness"
NOTES: Final = "team notes"
INFERENCE: Final = "an inference"


class Assumption(NamedTuple):
    test: str
    state: State
    source: str


class Refuted(NamedTuple):
    assumed: str
    source: str
    instead: str


ASSUMPTIONS: Final = (
    # descriptions, dates, people: what the defaults rest on
    Assumption("the_html_of_descriptions_is_read_back_as_it_was_sent", "open", f"{NOTES}; list classes also in a second project"),
    Assumption("two_entries_are_two_paragraphs_when_they_are_read_back", "open", NOTES),
    Assumption("a_description_of_524288_characters_is_kept_whole", "open", "a public client"),
    Assumption("a_conversation_can_be_dated_anew", "confirmed", f"{DOCUMENT}; the convention of threads: {NOTES}"),
    Assumption("an_enduser_can_be_made_of_an_address_a_name_and_a_company", "confirmed", f"{BULK}; {UNIQUE}"),
    Assumption("activity_tags_can_be_listed_by_name", "open", f"a public client has the path; {INFERENCE}"),
    Assumption("people_are_taken_as_objects_of_their_ids", "confirmed", f"{DOCUMENT}, its examples"),
    Assumption("the_answer_does_not_show_all_that_was_sent", "confirmed", f"{DOCUMENT}, its examples"),
    Assumption("an_enduser_without_an_id_of_planhats_is_left_out_in_silence", "open", f"{NOTES}; that the rest is taken: {INFERENCE}"),
    Assumption("an_enduser_is_taken_by_id_and_shown_by_name", "confirmed", f"{DOCUMENT}, its examples"),
    Assumption("free_words_stay_as_activity_tags", "open", f"{DOCUMENT}; its page on notes and {NOTES} say ids"),
    Assumption("a_date_without_a_time_is_refused_on_create", "open", f"{NOTES}, by Planhat's MCP server"),
    Assumption("a_date_in_another_zone_is_given_back_in_utc", "open", INFERENCE),
    Assumption("properties_that_no_table_names_are_written_all_the_same", "open", f"{NOTES}; `source` in the document's example"),
    Assumption("the_company_may_be_named_by_its_external_id_alone", "confirmed", "Planhat's page on notes, its table"),
    Assumption("the_type_other_stands", "open", NOTES),
    Assumption("a_types_name_is_matched_exactly", "open", NOTES),
    # custom fields
    Assumption("a_dotted_name_sets_one_custom_field_and_leaves_the_others", "open", NOTES),
    Assumption("a_custom_field_that_is_not_defined_is_stored_and_read_back", "open", NOTES),
    Assumption("custom_fields_can_be_listed_with_their_model_and_type", "confirmed", "Planhat's page on custom fields"),
    Assumption("the_custom_fields_of_conversations_have_the_parent_conversation", "open", "public code, of other models"),
    Assumption("a_name_in_another_case_is_another_field", "open", NOTES),
    Assumption("two_names_that_differ_in_case_alone_refuse_the_whole_request", "open", NOTES),
    Assumption("null_clears_a_custom_field", "open", f"{NOTES}; null in an example"),
    Assumption("an_empty_string_is_stored_as_one", "open", NOTES),
    Assumption("an_empty_string_leaves_a_date_field_as_it_is", "open", NOTES),
    Assumption("an_empty_object_changes_nothing", "open", INFERENCE),
    # answers to reads
    Assumption("a_create_answers_with_the_properties_of_the_document", "confirmed", f"{DOCUMENT}, its examples"),
    Assumption("a_change_and_a_delete_answer_with_the_properties_of_the_document", "confirmed", f"{DOCUMENT}, its examples"),
    Assumption("time_buckets_have_sunday_weeks_and_months_without_a_nought", "confirmed", f"{DOCUMENT}, its examples; the page on tickets"),
    Assumption("a_list_begins_with_the_newest", "confirmed", f"{DOCUMENT}, its example; by date: {INFERENCE}"),
    Assumption("a_list_shows_no_description_unless_it_is_selected", "confirmed", f"{DOCUMENT}, its example"),
    Assumption("blanks_beside_the_commas_of_select_do_not_count", "open", "a public client"),
    Assumption("an_archived_conversation_is_not_in_its_companys_list", "open", NOTES),
    Assumption("a_key_that_is_none_is_refused_with_the_two_prefixes_named", "open", NOTES),
    Assumption("a_record_that_is_not_there_is_called_no_such_document", "open", NOTES),
    Assumption("a_path_that_is_no_model_is_told_apart_from_a_missing_record", "open", f"{NOTES}; the status: {INFERENCE}"),
    Assumption("patch_changes_one_conversation_as_put_does", "open", "a public client"),
    Assumption("a_wrong_token_is_answered_with_401", "confirmed", "three public clients"),
    Assumption("the_token_may_also_stand_as_the_user_of_basic_authentication", "confirmed", LIMITS),
    Assumption("answers_carry_the_headers_of_the_quota", "open", "Planhat's pages of 2017; a weak source today"),
    Assumption("a_record_that_is_not_there_is_answered_with_404", "open", "a public client"),
    Assumption("a_list_of_conversations_is_a_bare_array_of_30_unless_told", "confirmed", DOCUMENT),
    Assumption("a_limit_over_2000_gives_2000_and_not_an_error", "open", f"{DOCUMENT} has the limit; {INFERENCE}"),
    Assumption("pages_by_offset_do_not_overlap", "open", INFERENCE),
    Assumption("select_gives_the_id_also_when_it_is_not_named", "open", INFERENCE),
    Assumption("companies_tell_their_domains_when_asked", "confirmed", "Planhat's page on companies"),
    Assumption("an_unknown_filter_is_ignored_and_not_refused", "open", "a public bot's notes"),
    Assumption("lean_companies_filter_by_external_id", "confirmed", "Planhat's pages; four public clients"),
    Assumption("endusers_filter_by_email", "confirmed", "Planhat's page on endusers; two public clients"),
    Assumption("the_email_of_an_enduser_is_found_whatever_its_case", "open", INFERENCE),
    Assumption("users_filter_by_email", "open", "Planhat's pages of 2017"),
    # writes
    Assumption("an_insert_echoes_the_external_id_it_was_sent", "confirmed", "two public clients"),
    Assumption("an_unchanged_item_is_a_count_and_is_not_named", "confirmed", "Planhat's page on timesheets, its example"),
    Assumption("an_update_is_named_by_its_id", "confirmed", "Planhat's page on timesheets, its example"),
    Assumption("counts_add_up_to_what_was_sent", "confirmed", "Planhat's page on timesheets, its example"),
    Assumption("one_bad_item_does_not_hold_up_the_others_and_makes_a_206", "confirmed", CODES),
    Assumption("a_request_of_bad_items_alone_is_a_400_that_still_carries_the_envelope", "confirmed", CODES),
    Assumption("a_company_that_does_not_exist_is_the_items_error", "open", INFERENCE),
    Assumption("an_empty_array_is_nothing_to_do", "open", INFERENCE),
    Assumption("five_thousand_items_are_looked_at", "confirmed", LIMITS),
    Assumption("more_than_five_thousand_are_refused_whole", "open", f"{LIMITS} has the limit; {INFERENCE}"),
    Assumption("a_body_of_four_megabytes_is_taken", "open", "32 MB on another of Planhat's hosts"),
    Assumption("a_compressed_body_is_taken", "open", INFERENCE),
    Assumption("one_external_id_in_two_companies_makes_two_conversations", "confirmed", UNIQUE),
    Assumption("two_items_of_one_key_in_one_request_make_one_conversation", "open", INFERENCE),
    Assumption("an_update_may_leave_the_company_out", "open", INFERENCE),
    Assumption("the_id_counts_more_than_the_external_id", "confirmed", "Planhat's words quoted by a partner; the page on tickets"),
    Assumption("a_source_id_counts_more_than_an_external_id", "open", f"{DOCUMENT}; {NOTES}: conversations have none"),
    Assumption("external_ids_differ_by_case", "open", INFERENCE),
    Assumption("an_external_id_of_any_characters_is_found_by_its_encoded_path", "open", INFERENCE),
    Assumption("an_external_id_of_128_characters_is_kept_whole", "open", INFERENCE),
    Assumption("an_archived_conversation_is_still_found_by_its_external_id", "open", INFERENCE),
    Assumption("the_external_id_of_a_deleted_conversation_is_free_again", "open", INFERENCE),
    Assumption("an_item_with_the_id_of_a_deleted_conversation_is_refused", "open", INFERENCE),
    Assumption("creating_an_external_id_again_is_refused", "open", "an old article says that a duplicate is made"),
    Assumption("a_delete_names_the_id_alone", "confirmed", DOCUMENT),
    Assumption("what_is_left_out_stays", "confirmed", f"{NOTES}; a second public client, live in 2026"),
    Assumption("a_list_is_replaced_whole", "open", "Planhat's pages of 2017, of companies"),
    Assumption("an_empty_list_clears", "open", INFERENCE),
    Assumption("null_clears", "open", INFERENCE),
    Assumption("custom_properties_merge_key_by_key", "open", f"{NOTES}, REST"),
    Assumption("markup_in_a_description_is_kept", "confirmed", f"{DOCUMENT}, its examples; a public bot"),
    Assumption("a_snippet_is_made_from_the_description", "confirmed", f"{DOCUMENT}, its examples"),
    Assumption("a_date_is_kept_to_the_millisecond", "confirmed", f"{DOCUMENT}, its examples"),
    Assumption("generated_properties_that_are_sent_are_ignored_and_not_refused", "open", INFERENCE),
    Assumption("an_unknown_property_is_ignored_and_not_refused", "open", f"{NOTES}, by Planhat's MCP server"),
    Assumption("an_unknown_type_becomes_a_note_in_silence", "confirmed", f"{DOCUMENT}; {NOTES} say both"),
    Assumption("a_custom_type_of_the_tenant_stays", "confirmed", DOCUMENT),
    Assumption("a_reserved_type_is_refused", "open", f"{DOCUMENT}: \"should not be created\""),
)  # fmt: skip

REFUTED: Final = (
    Refuted(
        "any HTML in a description looks in Planhat as it was sent",
        f"{NOTES}, read back from the app; list classes in a second project's data",
        "one serialiser writes what the editor keeps (`planhat.descriptions: safe`)",
    ),
    Refuted(
        "a custom field that reads back is one that people see",
        f"{NOTES}, REST",
        "compared with the tenant's list (`planhat.undefined_fields`)",
    ),
    Refuted(
        "a thread's date is its first message's",
        f"{NOTES}, on Planhat's own connectors",
        "the newest message's (`planhat.thread_date`)",
    ),
    Refuted(
        "a conversation without people is as good as one with",
        NOTES,
        "people are looked up (`planhat.resolve_people`)",
    ),
    Refuted("a plain date is a date", NOTES, "completed to a moment, everywhere"),
    Refuted(
        "`source`, `transcript`, `category`, `startDate`, `endDate`, `taskId`, `companyExternalId` cannot be written",
        f"{DOCUMENT}, its example (`source`); the page on notes (`companyExternalId`); {NOTES}",
        "they can; the default rules set `source`",
    ),
    Refuted(
        "everything that was sent can be read back and compared",
        f"{DOCUMENT}: its examples send `ownerId` and `useSubject`, and show neither",
        "each property is compared by what it is, these not at all",
    ),
    Refuted("lists begin with the oldest", f"{DOCUMENT}, its example", "newest first, in the sandbox too"),
    Refuted(
        "any host under planhat.com may be the API",
        "the hosts that public clients and Planhat's pages name",
        "`ws.`, `app.` and pages are refused and named",
    ),
)

PAGE: Final = Path(__file__).resolve().parents[2] / "docs" / "planhat.md"
BEGIN, END = (
    "<!-- assumptions: written by python -m tests.contract.assumptions -->",
    "<!-- end of assumptions -->",
)


def tables() -> str:
    """Both tables, as they stand in the page."""
    return "\n".join([*_asked(), "", *_refuted()])


def _asked() -> Iterator[str]:
    confirmed = sum(one.state == "confirmed" for one in ASSUMPTIONS)
    yield f"{len(ASSUMPTIONS)} assumptions: {confirmed} confirmed, {len(ASSUMPTIONS) - confirmed} open."
    yield ""
    yield "| what a test of `tests/contract` asks | | source |"
    yield "|---|---|---|"
    for one in ASSUMPTIONS:
        yield f"| {one.test.replace('_', ' ')} | {one.state} | {one.source} |"


def _refuted() -> Iterator[str]:
    yield "| assumed by earlier releases, and refuted | source | now |"
    yield "|---|---|---|"
    for one in REFUTED:
        yield f"| {one.assumed} | {one.source} | {one.instead} |"


def main() -> None:
    text = PAGE.read_text(encoding="utf-8")
    before, after = text.split(BEGIN)[0], text.split(END)[1]
    PAGE.write_text(f"{before}{BEGIN}\n{tables()}\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
