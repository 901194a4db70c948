"""People and addresses as a rule's values name them."""

from __future__ import annotations

from typing import Any

from relay.rules.language.filters import email


def person_of(person: Any) -> Any:
    """Return a person as Planhat takes one: it leaves those who are named by a bare text out in silence."""
    if isinstance(person, dict):
        address = person.get("email")
        mended = {key: str(person[key]) for key in ("id", "_id") if _is_number(person.get(key))}
        if isinstance(address, str):
            mended["email"] = bare_address(address)
        return {**person, **mended} if mended else person
    if _is_number(person):
        return {"id": str(person)}
    if not isinstance(person, str):
        return person
    return {"email": bare_address(person.strip())} if "@" in person else {"id": person.strip()}


def _is_number(value: Any) -> bool:
    """Tell whether an id is a number, as many senders give it."""
    return isinstance(value, int) and not isinstance(value, bool)


def bare_address(text: str) -> str:
    """Take the address out of "Ann <ann@example.com>", as a sender may write it; what is none stays as it is."""
    return (email(text) or text) if "<" in text or " " in text else text


def cannot_be_found(person: Any) -> bool:
    """Tell whether a person has a name at most: nobody can be found by that."""
    return isinstance(person, dict) and not any(person.get(key) for key in ("id", "_id", "email"))
