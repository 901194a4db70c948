"""Every operation of robocorp-planhat 1.0.0 on the models that the sandbox has: `drive_robocorp.py URL`."""

from __future__ import annotations

from typing import Any

from planhat import Planhat, types
from steps import ACME, ALEX, COMPANY, added, step, url_and_tag


def crud(
    client: Planhat, kind: Any, first: dict[str, Any], second: dict[str, Any], changes: dict[str, Any]
) -> None:
    """Create, read by each key, change, upsert in bulk, list and delete records of one model."""
    name = kind.__name__
    made = step(f"create_object({name})", lambda: client.create_object(kind(first)), lambda got: got.id)
    key = made.id if made else ALEX
    step(
        f"get_object_by_id({name})",
        lambda: client.get_object_by_id(kind, key),
        lambda got: made and got.id == key,
    )
    for word, id_type in (
        ("sourceId", types.PlanhatIdType.SOURCE_ID),
        ("externalId", types.PlanhatIdType.EXTERNAL_ID),
    ):
        if word in first:
            step(
                f"get_object_by_id({name}, {word})",
                lambda word=word, id_type=id_type: client.get_object_by_id(kind, first[word], id_type),
                lambda got: got.id == key,
            )
    step(
        f"update_object({name})",
        lambda: client.update_object(kind({"_id": key, **changes})),
        lambda got: all(got[name] == value for name, value in changes.items()),
    )
    if kind is not types.CustomField:
        step(
            f"update_objects({name})",
            lambda: client.update_objects(kind.from_list([{"_id": key, **first}, second])),
            lambda got: added(got, created=1, updated=1),
        )
    step(f"get_objects({name})", lambda: client.get_objects(kind), lambda got: key in [row.id for row in got])
    step(
        f"get_objects({name}, properties)",
        lambda: client.get_objects(kind, properties=["_id", "createDate"]),
        lambda got: set(got[0]) <= {"_id", "createDate"},
    )
    if first.get("companyId"):
        step(
            f"get_objects({name}, company_ids)",
            lambda: client.get_objects(kind, company_ids=ACME),
            lambda got: got and {row.company_id for row in got} == {ACME},
        )
    step(
        f"find_missing_objects({name})",
        lambda: client.find_missing_objects(kind.from_list([{"_id": key}])),
        lambda got: not got,
    )
    step(
        f"delete_planhat_object({name})",
        lambda: client.delete_planhat_object(kind({"_id": key})),
        lambda got: got.ok,
    )


def main() -> None:
    url, tag = url_and_tag()
    client = Planhat(api_key="token", use_caching=False)
    client.session._api_host = url
    step("list_all_companies", client.list_all_companies)
    crud(
        client,
        types.Company,
        {"name": f"One {tag}", "externalId": f"one-{tag}", "sourceId": f"crm-one-{tag}"},
        {"name": f"Two {tag}", "externalId": f"two-{tag}"},
        {"name": f"Renamed {tag}"},
    )
    step(
        "get_objects(Company, company_ids)",
        lambda: client.get_objects(types.Company, company_ids=[ACME]),
        lambda got: [row.id for row in got] == [ACME],
    )
    crud(
        client,
        types.Enduser,
        {
            "companyId": COMPANY,
            "email": f"one-{tag}@example.com",
            "externalId": f"eu-{tag}",
            "sourceId": f"crm-eu-{tag}",
        },
        {"companyId": COMPANY, "email": f"two-{tag}@example.com"},
        {"position": "CFO"},
    )
    person = {"firstName": "Una", "lastName": "User", "nickName": "Una"}
    crud(
        client,
        types.User,
        {**person, "email": f"una-{tag}@ourteam.example", "externalId": f"u-{tag}"},
        {**person, "email": f"two-{tag}@ourteam.example", "externalId": f"v-{tag}"},
        {"lastName": "Renamed"},
    )
    for kind in (types.Conversation, types.Note):
        word = kind.__name__.lower()
        crud(
            client,
            kind,
            {
                "companyId": COMPANY,
                "type": "note",
                "subject": word,
                "externalId": f"{word}-{tag}",
                "sourceId": f"src-{word}-{tag}",
            },
            {"companyId": COMPANY, "type": "note", "subject": word, "externalId": f"{word}-2-{tag}"},
            {"subject": "Changed"},
        )
    crud(
        client,
        types.CustomField,
        {"name": f"Field {tag}", "parent": "conversation", "type": "text", "isHidden": False},
        {},
        {"isFeatured": True},
    )
    step(
        "get_objects(Ticket)",
        lambda: client.get_objects(types.Ticket),
        lambda got: all(row["type"] == "ticket" for row in got),
    )


main()
