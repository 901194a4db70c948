"""What a program wrote: answers of absent people and reports of failed delivery, which nobody is to read as a
customer's words, and mail of lists, campaigns and machines, which a person may well be behind.

Source: RFC 3834 (Auto-Submitted), RFC 3464 and RFC 6522 (reports), RFC 2919 and RFC 2369 (lists), and what mail programs
put into their automatic answers. A header alone often says too little: Exchange puts `X-Auto-Response-Suppress` on much
that people write, so it counts only beside a subject that says "automatic reply".
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from relay.sources.mail.headers import MailHeaders

#: Reasons for which a mail is skipped unless it is to be kept.
BOUNCE = "bounce"
AUTO_REPLY = "auto_reply"
#: Tags of mails that are relayed, and what `skip:` calls them.
TAGS = {"lists": "list", "bulk": "bulk", "auto_generated": "auto-generated"}

_REPORT = re.compile(r"\s*multipart/report\b", re.IGNORECASE)
_RECEIPT = re.compile(r"report-type\s{0,9}=\s{0,9}\"?disposition-notification", re.IGNORECASE)
_DAEMON = re.compile(
    r"(?:mailer-daemon|mail-daemon|mailerdaemon|double-bounce)(?:$|[@+\s(>])"
    r"|(?:mail|message) delivery (?:sub)?system(?:$|\s)",
    re.IGNORECASE,
)
_POSTMASTER = re.compile(r"(?:postmaster|mailmaster)(?:$|@)", re.IGNORECASE)
#: Headers whose being there says that an answer is automatic, whatever they hold but "no".
_ANSWERING = (
    "x-autoreply",
    "x-auto-reply",
    "x-autoreply-from",
    "x-autoreply-domain",
    "x-mail-autoreply",
    "x-autorespond",
    "x-autoresponder",
    "x-auto-responder",
    "x-autoresponse",
    "x-autoresponder-version",
    "x-vacation-mail",
    "x-ooo-reply",
)
_OF_A_LIST = ("list-id", "list-post", "mailing-list")
#: A mailbox that passes mail on leaves its mark, and may leave nobody to answer to.
_PASSED_ON = ("x-forwarded-to", "x-forwarded-for", "resent-from", "resent-to")
_NO = frozenset({"", "no", "false", "0", "none", "never"})
#: What the subject of an automatic answer begins with, in the languages of Exchange, Gmail, Zimbra and others.
_SUBJECTS = """
    automatic reply|auto-reply|auto reply|autoreply|auto response|auto-response|automatic response|out of office
    out-of-office|vacation reply|away from the office|automatische antwort|automatische rückantwort|abwesenheitsnotiz
    abwesenheitsmeldung|abwesend|autosvar|automatiskt svar|frånvaromeddelande|automatisk svar|automatisk svarmelding
    fraværsbesked|fraværsmelding|automaattinen vastaus|poissaoloviesti|réponse automatique|absence du bureau|absent du bureau
    respuesta automática|fuera de la oficina|resposta automática|resposta automàtica|ausência temporária
    risposta automatica|fuori sede|automatisch antwoord|afwezigheidsbericht|automatyczna odpowiedź|odpowiedź automatyczna
    automatická odpověď|automatická odpoveď|automatikus válasz|automatikus valasz|răspuns automat|αυτόματη απάντηση
    otomatik yanıt|автоматический ответ|автоответ|автоматична відповідь|автовідповідь|автоматичен отговор
    automatski odgovor|аутоматски одговор|samodejni odgovor|automaatvastus|automātiskā atbilde|automatinis atsakymas
    sjálfvirkt svar|自動応答|自動返信|不在通知|自动答复|自动回复|自動回覆|자동 회신|자동 응답|رد تلقائي|תשובה אוטומטית|מענה אוטומטי
    trả lời tự động|ตอบกลับอัตโนมัติ|การตอบกลับอัตโนมัติ|balasan otomatis
    """
_AUTOMATIC_SUBJECT = re.compile(
    r"\s{0,9}(?:"
    + "|".join(
        re.escape(words.strip()) for line in _SUBJECTS.strip().splitlines() for words in line.split("|")
    )
    + r")\s{0,9}(?:[:：\-–—(\[]|$)",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Automatic:
    """`reason`: what it is skipped as, "" where a person may have written it. `tags` say what else it is."""

    reason: str = ""
    tags: tuple[str, ...] = ()


_PERSON = Automatic()


def classify(
    headers: MailHeaders, *, subject: str, author: str, sender: str, envelope_from: str | None
) -> Automatic:
    """Return what a mail's header says of who wrote it. `author` is From as it stands there, "" where there is none, `sender` the
    address in it; `envelope_from` is "" for mail that nobody can answer, None where it is not known."""
    unanswerable = envelope_from is not None and envelope_from.replace(" ", "") in ("", "<>")
    submitted = _submitted(headers)
    if _is_bounce(headers, author, sender, submitted, unanswerable):
        return Automatic(BOUNCE)
    precedence = headers.raw("precedence").lower()
    if _is_answer(headers, submitted, precedence) or (
        _AUTOMATIC_SUBJECT.match(subject[:200])
        and _hints_at_an_answer(headers, submitted, precedence, unanswerable)
    ):
        return Automatic(AUTO_REPLY)
    tags = []
    if precedence == "list" or any(name in headers for name in _OF_A_LIST):
        tags.append(TAGS["lists"])
    if precedence in ("bulk", "junk") or "list-unsubscribe-post" in headers:
        tags.append(TAGS["bulk"])
    if submitted not in ("", "no"):
        tags.append(TAGS["auto_generated"])
    return Automatic(tags=tuple(tags)) if tags else _PERSON


def _is_bounce(headers: MailHeaders, author: str, sender: str, submitted: str, unanswerable: bool) -> bool:
    kind = headers.raw("content-type")
    if _REPORT.match(kind):
        return not _RECEIPT.search(kind)
    if _DAEMON.match(sender) or _DAEMON.match(author.lstrip(" <\"'(")):
        return True
    if "x-failed-recipients" in headers or author.replace(" ", "") == "<>":
        return True
    if _POSTMASTER.match(sender):
        # A person may sit there; but none whom nobody can answer, or who answers by himself.
        return unanswerable or _has_null_path(headers) or submitted in ("auto-replied", "auto-generated")
    # A rule that passes a person's mail on may empty its envelope.
    return unanswerable and not (
        submitted in ("auto-forwarded", "auto-generated") or any(name in headers for name in _PASSED_ON)
    )


def _is_answer(headers: MailHeaders, submitted: str, precedence: str) -> bool:
    return (
        submitted == "auto-replied"
        or precedence in ("auto_reply", "auto-reply", "autoreply")
        or any(name in headers and headers.raw(name).lower() not in _NO for name in _ANSWERING)
        or headers.raw("delivered-to").lower() == "autoresponder"
        or "autoresponder" in headers.raw("x-post-messageclass").lower()
        or _RECEIPT.search(headers.raw("content-type")) is not None
    )


def _hints_at_an_answer(headers: MailHeaders, submitted: str, precedence: str, unanswerable: bool) -> bool:
    """What beside a subject that says so makes an answer automatic: a person may write "automatic reply" too."""
    return (
        headers.raw("x-auto-response-suppress").lower() not in _NO
        or submitted not in ("", "no")
        or precedence in ("bulk", "junk")
        or unanswerable
        or _has_null_path(headers)
    )


def _has_null_path(headers: MailHeaders) -> bool:
    return headers.raw("return-path").replace(" ", "") == "<>"


def _submitted(headers: MailHeaders) -> str:
    """The word of `Auto-Submitted`, without parameters and comments. Source: RFC 3834, section 5."""
    words = headers.raw("auto-submitted").lower().replace("(", ";").partition(";")[0].split()
    return words[0] if words else ""
