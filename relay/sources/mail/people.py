"""Who wrote a mail, and who got it.

`From` names the writer, but not where a form, a no-reply address or a group stands in between: then the person is the one
whom an answer would reach, or whom the group names. A web form writes from an address of ours with the customer in
`Reply-To`; Google Groups writes "'Anna' via Support" and keeps Anna in headers of its own.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from relay.event import Person, Recipient
from relay.sources.mail.headers import MailHeaders, addresses
from relay.sources.read.charset import printable

MAX_RECIPIENTS = 1000

#: Local parts that no person reads, in many languages; alone, or parted from the rest by a dot, a dash or a plus.
_UNREAD = re.compile(
    r"(?:^|[._+-])(?:"
    r"no[._-]?reply|do[._-]?not[._-]?(?:reply|respond)|dont[._-]?reply|never[._-]?reply|auto[._-]?reply"
    r"|nicht[._-]?antworten|keine[._-]?antwort|ne[._-]?pas[._-]?repondre|pas[._-]?de[._-]?reponse"
    r"|no[._-]?respond(?:a|er)|nao[._-]?respond(?:a|er)|non[._-]?rispondere"
    r"|niet[._-]?(?:be)?antwoorden|geen[._-]?antwoord|svara[._-]?(?:inte|ej)|(?:inte|ej)[._-]?svar[ae]?"
    r"|svar[._-]?ikke|ikke[._-]?svar|ala[._-]?vastaa|ei[._-]?vastata|nie[._-]?odpowiadaj|neodpovidat|neodpovidejte"
    r"|neodpovedat|ne[._-]?valaszolj|nu[._-]?raspunde|yanitlama|ne[._-]?otvechat"
    r"|notifications?|notify|mailer|wordpress|webforms?|web[._-]?form|form[._-]?mail(?:er)?|form[._-]?submissions?"
    r"|www-data|apache"
    r")(?:$|[._+\-\d])",
    re.IGNORECASE,
)
#: "'Anna Berg' via Support", as groups and other intermediaries rewrite a name.
_VIA = re.compile(
    r"[\s\"']{0,9}(\S.{0,200}?)[\s\"']{0,9}\s(?:via|über|par|vía|através de|tramite|przez)\s.{1,200}",
    re.DOTALL,
)
#: Headers in which a group keeps the writer whom it replaced. Source: Google Groups, Sympa, Mailman.
_ORIGINAL = ("x-original-from", "x-original-sender", "x-mailfrom")


def mail_author(headers: MailHeaders, sender: str, pair: tuple[str, str] | None) -> Person:
    """Return who stands in From: as the provider read it (`pair`), as it gave the line (`sender`), or in the header."""
    if pair is not None and pair[1]:
        return Person(name=printable(pair[0])[:256], email=printable(pair[1])[:320])
    for value in (sender, headers.raw("from")):
        for name, email in addresses(value):
            return Person(name=name, email=email)
    return Person()


def writer_of(
    author: Person, headers: MailHeaders, recipients: Sequence[Recipient], envelope_from: str | None
) -> Person:
    """Return the person behind `author`."""
    if not author.email:
        for value in (headers.raw("sender"), headers.raw("reply-to"), envelope_from or ""):
            for name, email in addresses(value):
                return Person(name=name, email=email)
        return author
    via = _VIA.fullmatch(author.name) if author.name else None
    if not (via or _is_unread(author.email) or _is_ours(author.email, recipients)):
        return author
    of_a_group = via or "list-id" in headers or "mailing-list" in headers
    for header in (*_ORIGINAL, "reply-to") if of_a_group else ("reply-to",):
        for name, email in addresses(headers.raw(header)):
            if email.lower() == author.email.lower() or _is_unread(email) or _is_ours(email, recipients):
                continue
            return Person(name=name or (via[1] if via else author.name), email=email)
    return (_in_copy(via[1], recipients) if via else None) or author


def _in_copy(name: str, recipients: Sequence[Recipient]) -> Person | None:
    """The one of this name in Cc: where lists put the writer whose place they take, if answers go to the list. Source: Mailman."""
    wanted = name.casefold()
    for person in recipients:
        if person.role == "cc" and person.name.strip("\"' ").casefold() == wanted:
            return Person(name=person.name, email=person.email)
    return None


def recipients_of(
    headers: MailHeaders,
    given: Mapping[str, str],
    people: Sequence[Recipient] | None,
    envelope_to: Sequence[str],
) -> tuple[Recipient, ...]:
    """Return each address once per role, in the order to, cc, bcc, envelope. `given` are the lines that the provider gives apart,
    by role; `people` the list that it made of them."""
    found: dict[tuple[str, str], Recipient] = {}
    if people is not None:
        for person in people:
            found.setdefault((person.role, person.email.lower()), person)
    else:
        for role in ("to", "cc", "bcc"):
            line = given.get(role, "")
            for value in [line] if line else headers.all(role):
                for name, email in addresses(value):
                    found.setdefault((role, email.lower()), Recipient(name, email, role))
    for value in envelope_to:
        for _, email in addresses(value):
            found.setdefault(("envelope", email.lower()), Recipient("", email, "envelope"))
    return tuple(found.values())[:MAX_RECIPIENTS]


def _is_unread(email: str) -> bool:
    return _UNREAD.search(email.partition("@")[0][:100]) is not None


def _is_ours(email: str, recipients: Sequence[Recipient]) -> bool:
    """Whether an address is one of those that got the mail, or of the domain that all of them share."""
    lowered = email.lower()
    reached = [person.email.lower() for person in recipients if person.role in ("to", "envelope")]
    if lowered in reached:
        return True
    domains = {one.rpartition("@")[2] for one in reached[:100] if one}
    addressed = {
        person.email.lower().rpartition("@")[2] for person in recipients[:100] if person.role == "to"
    }
    return (addressed or domains) == {lowered.rpartition("@")[2]}
