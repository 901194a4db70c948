"""What was counted beside the books, as sentences: events without words, subscriptions that end, comments of unknown privacy."""

from __future__ import annotations

from collections.abc import Mapping

#: A remark that was not made again for so long is old news.
REMARKED_MS = 24 * 3600 * 1000

#: What an event without words comes of, and what to do about it.
_EMPTY = {
    "look_up": "the sender tells ids only; give the source `enrich:` with a token",
    "trigger": "the trigger's JSON carries no text; add the comment's placeholder to it",
    "fields": "the outbound message lacks the field with the text; add it there",
}
#: What Microsoft Graph says of a subscription, and what to do about it.
_LIFECYCLE = {
    "reauthorization_required": "Microsoft Graph asks to authorize the subscription again; renew it before it ends",
    "subscription_removed": "Microsoft Graph took the subscription away; make it again, and look at what came meanwhile",
    "missed": "Microsoft Graph could not deliver some notifications; look at the resource for what is missing",
}
_UNSAID = (
    "their JSON does not say whether the comment is public; add is_public to it (Zendesk: "
    "{{ticket.latest_comment.is_public}}), use the public comment's placeholder, or set privacy: as_told"
)


def remarks_in_words(remarks: Mapping[str, Mapping[str, int]], *, chosen: bool = False) -> list[str]:
    """Return what is to be done about what came in, a sentence each: events without words, subscriptions that end, and (unless `chosen`: their source
    says `privacy:` itself) comments of unknown privacy."""
    found = []
    for source, counts in remarks.items():
        for word, number in counts.items():
            kind, _, reason = word.partition(":")
            if kind == "empty" and reason in _EMPTY:
                found.append(f"{source}: events without words came, {number} so far: {_EMPTY[reason]}.")
            if kind == "skipped" and reason in _LIFECYCLE:
                found.append(f"{source}: {_LIFECYCLE[reason]}, {number} so far.")
        if chosen:
            continue
        if unsaid := counts.get("skipped:privacy_unsaid"):
            found.append(f"{source}: comments were skipped, {unsaid} so far: {_UNSAID}.")
        if unsaid := counts.get("privacy_unsaid"):
            found.append(f"{source}: comments were relayed, {unsaid} so far, although {_UNSAID}.")
    return found
