"""Every operation of pyplanhat 0.2.1: `drive_pyplanhat.py URL`, in an environment that has it."""

from __future__ import annotations

from pyplanhat import Company, Conversation, EndUser, PyPlanhat
from steps import ACME, step, url_and_tag


def main() -> None:
    url, tag = url_and_tag()
    with PyPlanhat("token", url) as client:
        step("companies.list", client.companies.list)
        step("companies.get", lambda: client.companies.get(ACME), lambda got: got.name == "Acme")
        made = step(
            "companies.create",
            lambda: client.companies.create(Company(name=f"Made {tag}", externalId=f"made-{tag}")),
            lambda got: got.id and got.external_id == f"made-{tag}",
        )
        key = made.id if made else f"extid-made-{tag}"
        step(
            "companies.update",
            lambda: client.companies.update(key, Company(name=f"Renamed {tag}", custom={"Tier": "gold"})),
            lambda got: got.name == f"Renamed {tag}" and got.external_id == f"made-{tag}",
        )
        home = made.id if made else ACME
        person = step(
            "endusers.create",
            lambda: client.endusers.create(
                EndUser(companyId=home, email=f"{tag}@made.example", firstName="Mia", lastName="Made")
            ),
            lambda got: got.id and got.name == "Mia Made",
        )
        person_key = person.id if person else "5e0000000000000000000001"
        step("endusers.list", client.endusers.list)
        step("endusers.list(company)", lambda: client.endusers.list(home))
        step("endusers.get", lambda: client.endusers.get(person_key), lambda got: got.id == person_key)
        step(
            "endusers.update",
            lambda: client.endusers.update(person_key, EndUser(position="CFO")),
            lambda got: got.position == "CFO" and got.email == f"{tag}@made.example",
        )
        talk = step(
            "conversations.create",
            lambda: client.conversations.create(
                Conversation(
                    companyId=home, subject="Hello", description="<p>Hi</p>", custom={"Channel": "C1"}
                )
            ),
            lambda got: got.id and got.snippet == "Hi",
        )
        talk_key = talk.id if talk else "0" * 24
        step("conversations.list", client.conversations.list)
        step("conversations.list(company)", lambda: client.conversations.list(home))
        step(
            "conversations.get",
            lambda: client.conversations.get(talk_key),
            lambda got: got.custom == {"Channel": "C1"},
        )
        step(
            "conversations.update",
            lambda: client.conversations.update(talk_key, Conversation(subject="Changed")),
            lambda got: got.subject == "Changed" and got.custom == {"Channel": "C1"},
        )
        nothing = lambda got: got is None  # noqa: E731
        step("conversations.delete", lambda: client.conversations.delete(talk_key), nothing)
        step("endusers.delete", lambda: client.endusers.delete(person_key), nothing)
        step("companies.delete", lambda: client.companies.delete(key), nothing)


main()
