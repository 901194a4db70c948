"""What a Slack message says: its text, a program's blocks and attachments, what was forwarded with it, its files.

Source: Slack, "message event", "Legacy attachments", "File object"; forwarded messages come as attachments with
`is_share`, their words in `text` or in `message_blocks`.
"""

from __future__ import annotations

from html import escape

from relay.event import Attachment, Person
from relay.sources.foreign_json import Walk
from relay.sources.read.slack_blocks import TABLES, attachment_markup, blocks_markup, says
from relay.sources.read.slack_markup import render_html, render_text

#: A file that was deleted, or that the workspace's plan hides, has nothing to show.
_GONE = frozenset({"tombstone", "hidden_by_limit"})


def sender_of(message: Walk, *, apps: bool) -> Person:
    """Return who wrote. Modern bots carry `bot_id` and no subtype; classic ones have a `username` and no user.

    A person's message that an app posted carries both `user` and `bot_id`, and so does that of an app's own user: only
    what was typed in a client (`client_msg_id`) is surely a person's. With `apps` whatever has a user is one.
    """
    get = message.value.get
    user, bot_id = message.maybe_text("user"), message.maybe_text("bot_id")
    program = bool(bot_id or get("subtype") == "bot_message" or get("bot_profile"))
    if program and user and (apps or message.maybe_text("client_msg_id")):
        program = False
    if program or user == "USLACKBOT":
        name = message.maybe_text("username") or message.maybe("bot_profile").maybe_text("name")
        return Person(id=user or bot_id, name=name, bot=True)
    profile = get("user_profile")
    if not isinstance(profile, dict):
        return Person(id=user)
    walk = Walk(profile)
    name = walk.maybe_text("real_name") or walk.maybe_text("display_name") or walk.maybe_text("name")
    return Person(id=user, name=name, email=walk.maybe_text("email"))


def said(message: Walk) -> tuple[str, str]:
    """Return the message as text and as safe HTML."""
    raw = _own_words(message)
    if "attachments" not in message.value and "files" not in message.value:
        return render_text(raw), render_html(raw)
    texts, htmls = [render_text(raw)], [render_html(raw)]
    for part in message.items("attachments"):
        if _is_forward(part):
            text, html = _forwarded(part)
            texts.append(text)
            htmls.append(html)
    for file in message.items("files"):
        words = _words_of(file)
        texts.append(words)
        htmls.append(escape(words).replace("\n", "<br>"))
    return "\n".join(filter(None, texts)), "<br>".join(filter(None, htmls))


def says_another(message: Walk, before: Walk) -> bool:
    """Tell whether a message has other words than before, or lost a file. Without what it was before nobody can tell."""
    if not before.value:
        return False
    lost = {file.maybe_ident("id") for file in before.items("files")} - {
        file.maybe_ident("id") for file in message.items("files") if file.maybe_text("mode") not in _GONE
    }
    return bool(lost) or _own_words(message) != _own_words(before)


def files_of(message: Walk) -> tuple[Attachment, ...]:
    """Return the files, those of forwarded messages too, and the pictures that programs attach."""
    if "files" not in message.value and "attachments" not in message.value:
        return ()
    found = [_file(file) for file in message.items("files") if file.maybe_text("mode") not in _GONE]
    for part in message.items("attachments"):
        if _is_forward(part):
            found += [_file(file) for file in part.items("files") if file.maybe_text("mode") not in _GONE]
        picture = part.maybe_text("image_url")
        if picture and not part.maybe_text("from_url"):
            found.append(Attachment(name=part.maybe_text("title") or "image", type="image", url=picture))
    return tuple(found)


def _own_words(message: Walk) -> str:
    """The text as mrkdwn; of a program, whose text may be no more than a notice of the blocks, those as well."""
    text = message.maybe_text("text")
    get = message.value.get
    if text and not (get("bot_id") or get("app_id") or get("subtype") == "bot_message"):
        return f"{text}\n{tables}" if (tables := _tables(message)) else text
    blocks = blocks_markup(message.items("blocks"))
    if blocks and not says(blocks, text):
        text = blocks if says(text, blocks) else f"{text}\n{blocks}".strip()
    for part in message.items("attachments"):
        # A link's preview is not the writer's, unless nothing else is there.
        if _is_forward(part) or (text and part.maybe_text("from_url")):
            continue
        words = attachment_markup(part)
        if words and not says(words, text):
            text = f"{text}\n{words}".strip()
    return text


def _tables(message: Walk) -> str:
    """The tables that a person pasted: `text` holds all that was written but them."""
    beside = (
        block
        for part in message.items("attachments")
        if not _is_forward(part) and not part.maybe_text("from_url")
        for block in part.items("blocks")
    )
    found = [block for block in (*message.items("blocks"), *beside) if block.maybe_text("type") in TABLES]
    return blocks_markup(found) if found else ""


def _is_forward(part: Walk) -> bool:
    return part.value.get("is_share") is True or part.value.get("is_msg_unfurl") is True


def _forwarded(part: Walk) -> tuple[str, str]:
    """The words of another message, under the name of who wrote them."""
    raw = part.maybe_text("text")
    if not raw:
        raw = "\n".join(
            blocks_markup(held.maybe("message").items("blocks")) for held in part.items("message_blocks")
        ).strip()
    raw = raw or blocks_markup(part.items("blocks")) or part.maybe_text("fallback")
    if not raw and not part.items("files"):
        return "", ""
    author = part.maybe_text("author_name") or part.maybe_text("author_subname") or "Forwarded"
    quoted = "\n".join(f"> {line}" for line in render_text(raw).split("\n"))
    html = f"<blockquote><strong>{escape(author)}</strong>: {render_html(raw)}</blockquote>"
    return f"{author}:\n{quoted}" if raw else f"{author}:", html


def _file(file: Walk) -> Attachment:
    return Attachment(
        name=file.maybe_text("name") or file.maybe_text("title") or file.maybe_ident("id"),
        type=file.maybe_text("mimetype"),
        size=file.maybe_size("size"),
        url=file.maybe_text("permalink") or file.maybe_text("url_private"),
    )


def _words_of(file: Walk) -> str:
    """What a file itself says: the title its sender gave it, a mail's text, a voice clip's transcription."""
    title, name = file.maybe_text("title"), file.maybe_text("name")
    # Slack itself makes the title of the file's name.
    lines = ["" if title in (name, name.rpartition(".")[0]) else title]
    if file.maybe_text("filetype") == "email" or file.maybe_text("mode") == "email":
        lines += [file.maybe_text("subject"), file.maybe_text("plain_text")]
    lines.append(file.maybe("transcription").maybe("preview").maybe_text("content"))
    lines.append(file.maybe("initial_comment").maybe_text("comment"))
    return "\n".join(dict.fromkeys(line.strip() for line in lines if line.strip()))
