"""Every operation of planhat 0.5.1 on the models that the sandbox has: `drive_planhat.py URL`."""

from __future__ import annotations

from planhat import Planhat
from steps import ACME, ALEX, step, url_and_tag


def main() -> None:
    url, tag = url_and_tag()
    client = Planhat(url, "tenant", "token")
    step("get_companies", client.get_companies)
    step(
        "get_companies(segment)",
        lambda: client.get_companies("5a0000000000000000000001"),
        lambda got: got == [],
    )
    step("get_users", client.get_users)
    step("get_user", lambda: client.get_user(ALEX), lambda got: got["_id"] == ALEX)
    step("get_contacts", client.get_contacts)
    step(
        "get_contacts(company)",
        lambda: client.get_contacts(ACME),
        lambda got: got and {row["companyId"] for row in got} == {ACME},
    )
    step("get_activity_tags", client.get_activity_tags, lambda got: got and got[0]["name"])
    step(
        "post_conversations",
        lambda: client.post_conversations(
            title="note", description=f"<p>{tag}</p>", company_id=ACME, user_id=ALEX, conversation="text"
        ),
        lambda got: got["snippet"] == tag and got["users"][0]["id"] == ALEX and "comments" not in got,
    )
    step("get_conversations", client.get_conversations)


main()
