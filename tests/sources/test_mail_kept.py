"""What looks like a quotation or its end and is the writer's own: forms and signatures in boxes, answers under a rule, answers that
the writer says to be inside of the quotation."""

from __future__ import annotations

import re
from collections import Counter
from html import escape

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.sources.mail.attribution import is_preview
from relay.sources.mail.bodies import bodies_of
from relay.sources.mail.reply import reply_of, reply_of_html
from relay.sources.mail.within import MAX_POINTING_CHARS, answers_within
from relay.sources.read.markup import text_of_html

ATTRIBUTION = "On Mon, 2 Mar 2026 at 10:00, Bob <bob@example.com> wrote:"
OUTLOOK = "From: Bob <bob@example.com>\nSent: Monday, 2 March 2026 10:00\nTo: Nora\nSubject: Seats"
BOX = "border:none;border-top:solid #E1E1E1 1.0pt"


def words(text: str) -> Counter[str]:
    return Counter(re.findall(r"\w+", text))


FORMS = [
    "From: Lea <lea@example.net>\nSubject: Prices\nMessage: We want an offer.",
    "From: lea@example.net\nDate: 5 March 2026 10:12\nSubject: Prices\nMessage: We want an offer.",
    "From: Lea <lea@example.net>\nSubject: Prices\n\nWe want an offer.",
    "E-mail: lea@example.net\nDate: 5 March 2026 10:12\nQuestion: What does it cost?",
    "Name: Lea\nEmail: lea@example.net\nCall at: 5 March 2026 10:30",
    "From: Stockholm\nTo: Malmo\nDate: 5 March 2026 10:12\nSeats: three",
    "Von: Köln\nNach: Bonn\nDatum: 05.03.2026 10:12",
]
SIGNATURES = [
    "Nora Lind\nE-Mail: nora@acme.example\nHours: 09:00 - 17:00\nMain Street 1",
    "Support: help@acme.example\nÖffnungszeiten: 08:00 - 17:00\nHauptstraße 1",
]


@pytest.mark.parametrize("own", [*FORMS, *SIGNATURES])
def test_what_a_writer_sets_into_a_box_or_under_a_rule_stays(own: str) -> None:
    lines = own.split("\n")
    cells = "".join(
        f"<tr><td style='border-top:1px solid #ddd'><b>{escape(label)}{colon}</b></td>"
        f"<td style='border-top:1px solid #ddd'>{escape(value)}</td></tr>"
        for label, colon, value in (line.partition(":") for line in lines)
    )
    shown = "<br>".join(map(escape, lines))
    for page in (
        f"<p>A new one came in</p><table>{cells}</table>",
        f"<p>A new one came in</p><div style='border-top:1px solid #ccc'>{shown}</div>",
        f"<p>A new one came in</p><hr><p>{shown}</p>",
    ):
        assert not words(own) - words(reply_of_html(page).text)
        assert not words(own) - words(text_of_html(reply_of_html(page).html))
    for rule in ("--------------------", "____________________", "===================="):
        assert words(reply_of(f"A new one came in\n{rule}\n{own}").text) >= words(own)


def test_a_whole_header_in_a_box_ends_the_answer_whatever_form_it_heads() -> None:
    form = "Name: Lea\nMessage: We want an offer."
    assert reply_of(f"Done.\n\n________________________________\n{OUTLOOK}\n{form}").text == "Done."
    page = f"<p>Done.</p><div style='{BOX}'>{'<br>'.join(map(escape, OUTLOOK.split(chr(10))))}</div><p>{form}</p>"
    assert reply_of_html(page).text == "Done."


def test_a_writer_who_points_at_what_is_under_a_rule_has_it_read() -> None:
    text = f"This mail came from our supplier:\n\n____________________\n{OUTLOOK}\n\nIs it yours?"
    assert reply_of(text).text == text


def test_an_answer_under_a_rule_stays_and_a_lists_footer_leaves() -> None:
    quotation = f"Hi Bob.\n\n{ATTRIBUTION}\n> How many?\n\n"
    page = f"<p>Hi Bob.</p><div>{escape(ATTRIBUTION)}</div><blockquote type='cite'>How many?</blockquote><hr>"
    assert reply_of(f"{quotation}____________\n\n25 seats.").text.endswith("25 seats.")
    assert reply_of_html(f"{page}<p>25 seats.</p>").text.endswith("25 seats.")
    footers = (
        "Users mailing list -- users@lists.example.org\nTo leave write to users-leave@lists.example.org",
        "Read more: https://lists.example.org/users",
    )
    for footer in footers:
        assert reply_of(f"{quotation}_______________________________________________\n{footer}").text == (
            "Hi Bob."
        )
        assert reply_of_html(f"{page}<p>{footer.replace(chr(10), '<br>')}</p>").text == "Hi Bob."


def test_what_only_outlook_does_not_show_is_shown() -> None:
    page = "<p>Press</p><a href='https://a.example' style='background:#333;mso-hide:all'>Confirm</a><p style='display:none;mso-hide:all'>x</p>"
    assert reply_of_html(page).text == "Press\nConfirm"


def test_answers_between_quotations_stay_where_the_editor_set_a_block_around_all() -> None:
    inner = (
        f"<div class='gmail_attr'>{escape(ATTRIBUTION)}<br></div><blockquote class='gmail_quote'>How many?</blockquote>"
        "<div>25</div><blockquote class='gmail_quote'>Since when?</blockquote><div>Monday</div>"
    )
    page = f"<div>Hi Bob.</div><div class='gmail_quote gmail_quote_container'><div>{inner}</div></div>"
    assert reply_of_html(page).text == "Hi Bob.\n25\nMonday"


POINTING = [
    *("Please see my answers below in red.", "My comments are inline.", "Replies in-line below, thanks!"),
    *("I have answered your questions in blue.", "See inline.", "Our response is below.", "Inline answers:"),
    *("Meine Antworten stehen unten.", "Hallo, Antworten in Rot.", "Siehe Kommentare direkt im Text"),
    *("Mes réponses ci-dessous en rouge.", "Mis comentarios están abajo en azul.", "Le mie risposte sotto."),
    *("Minhas respostas abaixo.", "Mijn antwoorden staan hieronder.", "Mina svar nedan i rött."),
    *("Mine svar står med rødt.", "Vastaukseni alla punaisella.", "Odpowiedzi poniżej na czerwono."),
    *("Odpovědi níže červeně.", "A válaszaim lent pirossal.", "Răspunsurile mele sunt mai jos."),
    *("Οι απαντήσεις μου παρακάτω.", "Мои ответы ниже.", "Мої відповіді нижче.", "Cevaplarım aşağıda."),
    *("ردودي أدناه باللون الأحمر", "תשובותיי למטה באדום", "赤字で回答します。", "我的回复用红字标出。"),
    *("빨간 글씨로 답변드립니다.", "My answers to the\nquestions are below in green."),
]
NOT_POINTING = [
    *("25 is right.", "Thank you for your answer below.", "As per your comments below we have 25."),
    *(
        "See the log below.",
        "The export is in red.",
        "Ihre Antworten unten sind richtig.",
        "Inline styles fail.",
    ),
    "Do you see that the export is in red?",
    *("Merci pour vos réponses ci-dessous.", "Tack för ditt svar nedan.", "The answer. It is below."),
]


@pytest.mark.parametrize("note", POINTING)
def test_answers_that_are_said_to_be_in_the_quotation_arrive(note: str) -> None:
    quoted = "How many seats?\n25 since Monday\nThanks"
    fields = "<br>".join(map(escape, OUTLOOK.split("\n")))
    page = (
        f"<p>{note.replace(chr(10), ' ')}</p><div style='{BOX}'>{fields}</div>"
        "<p>How many seats?</p><p style='color:red'>25 since Monday</p><p>Thanks</p>"
    )
    text = f"{note}\n\n{OUTLOOK}\n\n{quoted}"
    for found in (bodies_of(text, ""), bodies_of("", page), bodies_of(text, page)):
        assert "25 since Monday" in found.text
        assert not found.html or "25 since Monday" in found.html


@pytest.mark.parametrize("note", POINTING)
def test_where_the_answers_stand_between_marked_lines_nothing_of_the_quotation_stays(note: str) -> None:
    text = f"{note}\n\n{ATTRIBUTION}\n> How many seats?\n\n25 since Monday\n\n> Thanks"
    assert words(reply_of(text, answers=True).text) == words(f"{note} 25 since Monday")


@pytest.mark.parametrize("note", NOT_POINTING)
def test_who_says_nothing_of_answers_in_the_quotation_has_it_cut(note: str) -> None:
    assert reply_of(f"{note}\n\n{OUTLOOK}\n\nHow many seats?").text == note


@given(st.text(max_size=200))
def test_any_note_is_looked_at(note: str) -> None:
    assert answers_within(note) in (True, False)
    assert not answers_within("x " * MAX_POINTING_CHARS + POINTING[0])


@pytest.mark.parametrize("when", ["05.03.2026 10:12:33", "03/05/2026 10:12:33 AM", "2026-03-05 10:12"])
@pytest.mark.parametrize("line", ["Nora Lind ---{}---Our invoice lists", '"Nora Lind" ---{}---Our invoice'])
def test_notes_preview_leaves_with_its_header(line: str, when: str) -> None:
    header = f"From: Nora Lind <nora@acme.example>\nTo: Bo <bo@example.org>\nDate: {when}\nSubject: Seats"
    preview = line.format(when)
    assert is_preview(preview)
    assert reply_of(f"25 is right.\n\n{preview}\n\n{header}\n\nOur invoice lists 40.").text == "25 is right."
    # Without a header under it, it may be anything.
    assert reply_of(f"25 is right.\n\n{preview}").text == f"25 is right.\n\n{preview}"
    assert not is_preview("Export ---see 5 items---done")


@pytest.mark.parametrize(
    "line",
    [
        "في الخميس، ٥ مارس ٢٠٢٦ في ١٠:١٢ ص تمت كتابة ما يلي بواسطة Nora <nora@acme.example>:",
        "پنجشنبه ۵ مارس ۲۰۲۶، ۱۰:۱۲ Nora Lind <nora@acme.example>:",
        "गुरु, ५ मार्च २०२६ १०:१२ Nora Lind <nora@acme.example>:",
    ],
)
def test_a_time_in_the_digits_of_another_script_is_one(line: str) -> None:
    assert reply_of(f"25\n\n{line}\n\nOur invoice lists 40.").text == "25"
