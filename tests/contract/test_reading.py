"""What the relay assumes about Planhat where nothing has to be written to find out. See conftest for a real tenant."""

from __future__ import annotations

from tests.contract.conftest import Tenant

NOBODY = "relay-contract-nobody-has-this"


def test_a_wrong_token_is_answered_with_401(tenant: Tenant) -> None:
    """Otherwise a wrong token would look like a refusal of items."""
    answer = tenant.http.get("/companies", params={"limit": 1}, headers={"Authorization": "Bearer wrong"})
    assert answer.status_code == 401


def test_the_token_may_also_stand_as_the_user_of_basic_authentication(tenant: Tenant) -> None:
    """Not used by the relay; documented."""
    token = tenant.http.headers["Authorization"].removeprefix("Bearer ")
    assert tenant.http.get("/companies", params={"limit": 1}, auth=(token, "")).status_code == 200


def test_answers_carry_the_headers_of_the_quota(tenant: Tenant) -> None:
    """Documented in 2017. The relay counts its calls itself and does without."""
    headers = tenant.http.get("/companies", params={"limit": 1}).headers
    assert "x-rate-limit-limit" in headers
    assert int(headers["x-rate-limit-remaining"]) >= 0


def test_a_record_that_is_not_there_is_answered_with_404(tenant: Tenant) -> None:
    """Otherwise a look-up could not tell "no such company" from an outage."""
    for path in (
        f"/conversations/extid-{NOBODY}",
        f"/companies/extid-{NOBODY}",
        "/conversations/" + "0" * 24,
    ):
        assert tenant.http.get(path).status_code == 404


def test_a_list_of_conversations_is_a_bare_array_of_30_unless_told(tenant: Tenant) -> None:
    """A short page is taken for the end, so the default must be known."""
    rows = tenant.http.get("/conversations").json()
    assert isinstance(rows, list)
    assert len(rows) <= 30


def test_a_limit_over_2000_gives_2000_and_not_an_error(tenant: Tenant) -> None:
    """The relay never asks for more; a person at the shell might."""
    answer = tenant.http.get("/conversations", params={"limit": 2001, "select": "_id"})
    assert answer.status_code == 200
    assert len(answer.json()) <= 2000


def test_pages_by_offset_do_not_overlap(tenant: Tenant) -> None:
    """`list --all` leaves out what it has seen, but would miss what an overlap pushes out."""
    pages = [tenant.planhat.list_page(limit=5, offset=offset, select=["_id"]) for offset in (0, 5)]
    ids = [row["_id"] for page in pages for row in page]
    assert len(ids) == len(set(ids))


def test_select_gives_the_id_also_when_it_is_not_named(tenant: Tenant) -> None:
    """The relay names it anyway."""
    assert all("_id" in row for row in tenant.planhat.companies(limit=3, select=["name"]))


def test_companies_tell_their_domains_when_asked(tenant: Tenant) -> None:
    """`planhat: company_domain` stands on it; without domains it finds nobody."""
    rows = tenant.planhat.companies(limit=100, select=["_id", "name", "domains"])
    assert all(isinstance(row.get("domains", []), list) for row in rows)
    assert any(row.get("domains") for row in rows)


def test_an_unknown_filter_is_ignored_and_not_refused(tenant: Tenant) -> None:
    """Why every filtered answer is checked on our side."""
    everything = tenant.planhat.companies(limit=5)
    answer = tenant.http.get("/companies", params={"limit": 5, "noSuchFilter": NOBODY})
    assert answer.status_code == 200
    assert [row["_id"] for row in answer.json()] == [row["_id"] for row in everything]


def test_lean_companies_filter_by_external_id(tenant: Tenant) -> None:
    """Documented; the relay checks what comes back."""
    assert tenant.planhat.lean_companies(external_id=NOBODY) == []


def test_endusers_filter_by_email(tenant: Tenant) -> None:
    """`planhat: enduser_email` stands on it; if it were ignored, the check on our side would find nobody."""
    assert tenant.planhat.endusers(email=f"{NOBODY}@example.com") == []


def test_the_email_of_an_enduser_is_found_whatever_its_case(tenant: Tenant) -> None:
    """The relay asks in lower case."""
    known = next((row["email"] for row in tenant.planhat.endusers(limit=20) if row.get("email")), "")
    found = tenant.planhat.endusers(email=known.upper())
    assert known.lower() in {row["email"].lower() for row in found}


def test_users_filter_by_email(tenant: Tenant) -> None:
    """Documented in 2017 only; the relay checks what comes back."""
    assert tenant.planhat.users(email=f"{NOBODY}@example.com") == []
