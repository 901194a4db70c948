"""What mail programs of 2024 to 2026 send that is neither a plain answer nor a plain mail: mails passed on, answers to them, smileys
set as pictures, paragraphs set in, attributions in unusual places. In every case: no word of the writer's lost, no quotation left."""

from __future__ import annotations

import re
from collections import Counter
from html import escape

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.sources.mail.bodies import bodies_of, is_passed_on
from relay.sources.mail.reply import reply_of, reply_of_html
from relay.sources.read.markup import text_of_html

NOTE = "Please look at this."
INNER = "The export is broken.\n\nNora"
#: The labels of a header in several languages, as Outlook and Apple Mail have them.
LABELS = {
    "en": ("From", "Date", "To", "Subject"),
    "de": ("Von", "Datum", "An", "Betreff"),
    "fr": ("De ", "Date ", "À ", "Objet "),
    "da": ("Fra", "Dato", "Til", "Emne"),
    "fi": ("Lähettäjä", "Päivämäärä", "Vastaanottaja", "Aihe"),
    "ru": ("От", "Дата", "Кому", "Тема"),
    "ja": ("差出人", "日付", "宛先", "件名"),
    "unknown": ("Vrab", "Zent", "Poi", "Tirn"),
}
VALUES = ("Nora Lind <nora@acme.example>", "5 March 2026 10:12", "Bo <bo@example.org>", "Export")


def words(text: str) -> Counter[str]:
    return Counter(re.findall(r"\w+", text))


def header(language: str) -> list[str]:
    return [f"{label}: {value}" for label, value in zip(LABELS[language], VALUES, strict=True)]


def shown(lines: list[str] | str) -> str:
    return "<br>".join(map(escape, lines.split("\n") if isinstance(lines, str) else lines))


def forwarded(program: str, language: str) -> tuple[str, str]:
    """A mail that is passed on, as text and as page."""
    fields, inner = header(language), INNER.split("\n")
    marked = "\n".join(f"> {line}".rstrip() for line in [*fields, "", *inner])
    bare = "\n".join([*fields, "", *inner])
    note = f"<div>{NOTE}</div>"
    if program == "apple mail":
        text = f"{NOTE}\n\n> Begin forwarded message:\n> \n{marked}"
        return (
            text,
            f"{note}<div><blockquote type='cite'><div>Begin forwarded message:</div><br>{shown(bare)}</blockquote></div>",
        )
    if program == "apple phone":
        text = f"{NOTE}\n\nBegin forwarded message:\n\n{marked}"
        page = f"{note}<div>Begin forwarded message:<br><br></div><blockquote type='cite'>{shown(fields)}</blockquote>"
        return text, f"{page}<blockquote type='cite'>{shown(inner)}</blockquote>"
    if program == "new outlook":
        box = "<div id='mail-editor-reference-message-container' class='ms-outlook-mobile-reference-message'>"
        return f"{NOTE}\n\n{bare}", f"{note}{box}{shown(bare)}</div>"
    if program == "outlook":
        box = "<div style='border:none;border-top:solid #E1E1E1 1.0pt'>"
        return f"{NOTE}\n\n{bare}", f"{note}{box}{shown(fields)}</div><p>{shown(inner)}</p>"
    box = "<div class='protonmail_quote'>"
    return f"{NOTE}\n\n------- Forwarded Message -------\n{marked}", f"{note}{box}{shown(bare)}</div>"


PROGRAMS = ("apple mail", "apple phone", "new outlook", "outlook", "proton")


@pytest.mark.parametrize("answers", [True, False])
@pytest.mark.parametrize("language", LABELS)
@pytest.mark.parametrize("program", PROGRAMS)
def test_a_mail_that_is_passed_on_with_a_note_stays_whole(program: str, language: str, answers: bool) -> None:
    # Outlook names the mail that it passes on as if it answered it.
    text, page = forwarded(program, language)
    for given_text, given_page in ((text, ""), ("", page), (text, page)):
        found = bodies_of(given_text, given_page, subject="FW: Export", answers=answers)
        for part in (found.text, *([text_of_html(found.html)] if found.html else [])):
            assert words(NOTE + " " + INNER) - words(part) == Counter()


@pytest.mark.parametrize("program", PROGRAMS[:2])
def test_a_marker_tells_a_mail_passed_on_whatever_its_subject(program: str) -> None:
    text, page = forwarded(program, "en")
    assert words(INNER) - words(bodies_of(text, "", subject="Export", answers=True).text) == Counter()
    assert words(INNER) - words(bodies_of("", page, subject="Export", answers=True).text) == Counter()


ATTRIBUTION = "On Mon, 2 Mar 2026 at 10:00, Bob <bob@example.com> wrote:"


@pytest.mark.parametrize(
    "marker",
    ["---------- Forwarded message ---------", "Begin forwarded message:", "Fra: Nora\nDato: 5. marts"],
)
@pytest.mark.parametrize("subject", ["Re: Fwd: Export", "SV: VS: Export", "AW: WG: Export", "Fwd: Export"])
def test_an_answer_to_a_mail_that_was_passed_on_leaves_its_quotation(marker: str, subject: str) -> None:
    marked = "\n".join(f"> {line}" for line in f"{marker}\n{INNER}".split("\n"))
    assert bodies_of(f"Done.\n\n{ATTRIBUTION}\n{marked}", "", subject=subject).text == "Done."
    inner = f"<br><div class='gmail_quote'>{shown(marker)}<br>{shown(INNER)}</div>"
    gmail = f"<div class='gmail_quote'><div class='gmail_attr'>{escape(ATTRIBUTION)}<br></div><blockquote class='gmail_quote'>{inner}</blockquote></div>"
    apple = f"<blockquote type='cite'><div>{escape(ATTRIBUTION)}</div><br>{inner}</blockquote>"
    for quotation in (gmail, apple):
        assert bodies_of("", f"<div>Done.</div>{quotation}", subject=subject, answers=True).text == "Done."


@pytest.mark.parametrize(
    "subject",
    [
        *(
            "Fwd: x",
            "FW : x",
            "WG: x",
            "TR : x",
            "I: x",
            "Fwd[2]: x",
            "İLT: x",
            "PŘ: x",
            "转: x",
            "Пересл: x",
        ),
        *("[EXT] FW: x", "(Ext) FW: x", "*EXT* WG: x", "EXTERN: WG: x", "[Ticket 1] [EXTERNAL] Fwd: x"),
    ],
)
def test_a_subject_says_that_its_mail_is_passed_on(subject: str) -> None:
    assert is_passed_on(subject, "", "")
    assert not is_passed_on(f"Re: {subject}", "", "")


def test_two_letters_mean_a_mail_passed_on_in_danish_and_an_answer_in_finnish() -> None:
    for language, whole in (("da", True), ("fi", False)):
        text, page = forwarded("outlook", language)
        for found in (bodies_of(text, "", subject="VS: Export"), bodies_of("", page, subject="VS: Export")):
            assert ("broken" in found.text) is whole


@pytest.mark.parametrize(
    "marker",
    [
        *("----- Mail transféré -----", "----- Weitergeleitet von Nora/ACME am 05.03.2026 10:12 -----"),
        *("----- Réexpédié par Nora le 05/03/2026 -----", "-------- Пересылаемое сообщение --------"),
        *(
            "---------- Yönlendirilen ileti ----------",
            "---------- 轉寄訊息 ---------",
            "---- 转发的原邮件 ----",
        ),
        *("-------- Videresendt e-mail --------", "---------- Przesłana wiadomość ---------"),
    ],
)
def test_programs_name_a_mail_that_is_passed_on(marker: str) -> None:
    text = f"{NOTE}\n\n{marker}\n" + "\n".join(header("en")) + f"\n\n{INNER}"
    assert reply_of(text).text == text


@pytest.mark.parametrize(
    "style", ["margin:0 0 0 40px;border:none;padding:0px", "border: none; margin: 0 0 0 40px;"]
)
def test_a_paragraph_that_is_set_in_is_the_writers(style: str) -> None:
    steps = f'<blockquote style="{style}"><div>open the export</div><div>press it</div></blockquote>'
    for page in (f"<div>Steps:</div>{steps}", f"{steps}<div>Steps:</div>"):
        assert words(reply_of_html(page, answers=True).text) == words("Steps: open the export press it")
        quoted = f"<div class='yahoo_quoted'>{escape(ATTRIBUTION)}{steps}</div>"
        found = reply_of_html(page + quoted, answers=True)
        assert words(found.text) == words("Steps: open the export press it")


@pytest.mark.parametrize(
    "line",
    [
        "On 5 March 2026 at 10:12 the log shows:",
        "El 5 de marzo de 2026 a las 10:12 vemos esto:",
        "Den 5 mars 2026 kl. 10:12 säger loggen:",
    ],
)
def test_a_dated_sentence_above_what_was_pasted_stays(line: str) -> None:
    text = f"{line}\n> ERR 500\n> ERR 501\n\nWhy?"
    assert reply_of(text).text == text
    assert reply_of(f"{text}\n\n{ATTRIBUTION}\n> old", answers=True).text == text


def test_smileys_that_are_pictures_are_shown_and_other_pictures_are_not() -> None:
    page = '<div>Great <img alt="👍" src="cid:1"> <img alt="Acme &amp; Co" src="cid:2"><img alt="logo.png"> thanks <img alt="❤️"></div>'
    found = bodies_of("", page)
    assert found.text == "Great 👍 thanks ❤️"
    assert text_of_html(found.html) == found.text
    assert "img" not in found.html


@pytest.mark.parametrize(
    "stand_in",
    [
        "Please view this email in an HTML capable client.",
        "Ihr E-Mail-Programm kann leider keine HTML-Mails anzeigen.",
        "Votre messagerie ne peut pas afficher les messages HTML.",
    ],
)
def test_a_short_page_counts_more_than_a_text_that_stands_in_for_it(stand_in: str) -> None:
    quotation = f"<div class='yahoo_quoted'>{escape(ATTRIBUTION)}<p>old</p></div>"
    found = bodies_of(stand_in, f"<div>Still broken.</div>{quotation}")
    assert (found.text, found.html) == ("Still broken.", "<div>Still broken.</div>")
    # A customer may write of HTML too, and a page may be a footer alone.
    for text in ("The HTML export fails since Friday.", "HTML fails"):
        for page in (
            f"<p>{text}</p>",
            f"<p>{text} Sent by our tool</p>",
            "<p>Sent by our ticket tool</p>",
        ):
            assert words(text) - words(bodies_of(text, page).text) == Counter()


@given(alt=st.text(max_size=40))
def test_no_words_come_out_of_a_pictures_text(alt: str) -> None:
    found = bodies_of("", f'<div>a <img alt="{escape(alt)}"> b</div>')
    assert words(found.text) == words("a b")
    assert words(text_of_html(found.html)) == words("a b")


@pytest.mark.parametrize(
    "attribution",
    [
        "On Thu, Mar 5, 2026 at 10:12 AM, Nora Lind<nora@acme.example> wrote:",
        "Am Do., 5. März 2026 um 10:12 schrieb Nora Lind<nora@acme.example>:",
        "Le jeu. 5 mars 2026 à 10:12, Nora Lind<nora@acme.example> a écrit :",
    ],
)
def test_a_quotation_may_go_on_behind_its_attribution(attribution: str) -> None:
    # Yahoo's apps.
    text = f"25 is right.\n\n  {attribution}   Our invoice lists 40 seats.\nWe have 25."
    assert reply_of(text).text == "25 is right."
    assert words(reply_of(text).quoted) == words(text) - words("25 is right")
    whole = "As to the form:   the mail of 10:12 on 5 March 2026 <nora@acme.example> is missing."
    assert reply_of(whole).text == whole


@pytest.mark.parametrize(
    "above",
    [
        # Claws and Becky break the line behind the date.
        "On Thu, 05 Mar 2026 10:12:33 +0900\nNora Lind <nora@acme.example> wrote:",
        # Yandex sets fields under a rule.
        '----------------\nКому: Bo (bo@example.org);\nТема: Export;\n05.03.2026, 10:12, "Nora" <nora@acme.example>:',
        # A label that is not known here.
        "보낸 사람: Nora <nora@acme.example>\n보낸 때: 2026년 3월 5일 목요일 오전 10:12\n받는 사람: Bo\n제목: Export",
        "From: Nora <nora@acme.example>\nZent: 5 March 2026 10:12\nTo: Bo\nSubject: Export",
        "---- 回复的原邮件 ----\n| 发件人 | Nora<nora@acme.example> |",
        # Marks of direction around the line.
        "\u202bבתאריך יום ה׳, 5 במרץ 2026 ב-10:12 מאת \u202aNora\u202c\u200f <\u202anora@acme.example\u202c\u200f>:\u202c",
    ],
)
def test_unusual_attributions_leave_whole(above: str) -> None:
    assert reply_of(f"25 is right.\n\n{above}\n\nWe have 40.").text == "25 is right."
    assert reply_of(f"25 is right.\n\n{above}\n> We have 40.").text == "25 is right."
    assert (
        reply_of_html(f"<div>25 is right.</div><div>{shown(above)}</div><div>We have 40.</div>").text
        == "25 is right."
    )
