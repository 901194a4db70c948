"""A reply apart from its quote: in many languages, as many programs write it, without a word of the writer's lost."""

from __future__ import annotations

import re
from collections import Counter

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from relay.sources.mail.bodies import bodies_of
from relay.sources.mail.reply import MAX_TEXT_CHARS, reply_of, reply_of_html
from relay.sources.read.markup import clean_html, text_of_html

REPLY = "25 is right.\n\nNora"
QUOTE = "Our invoice lists 40 seats.\n\nWe have 25."
MARKED = "\n".join(f"> {line}".rstrip() for line in QUOTE.split("\n"))

#: Gmail, Apple Mail and Thunderbird, and Outlook's header, in languages of which no fixture exists.
ATTRIBUTIONS = {
    "hu": (
        "Nagy Anna <anna@example.com> ezt írta (időpont: 2026. márc. 5., Cs, 10:12):",
        "Nagy Anna <anna@example.com> írta (2026. március 5. dátummal, 10:12 időpontban):",
        "2026. 03. 05. 10:12 keltezéssel, Nagy Anna írta:",
        "Feladó: Nagy Anna <anna@example.com>\nElküldve: 2026. március 5., csütörtök 10:12\n"
        "Címzett: Bo Berg <bo@example.org>\nTárgy: Re: Export",
    ),
    "ro": (
        "În joi, 5 mar. 2026 la 10:12, Ana Pop <ana@example.com> a scris:",
        "Pe 5 mar. 2026, la 10:12, Ana Pop <ana@example.com> a scris:",
        "Pe 05.03.2026 10:12, Ana Pop a scris:",
        "De la: Ana Pop <ana@example.com>\nTrimis: joi, 5 martie 2026 10:12\n"
        "Către: Bo Berg <bo@example.org>\nSubiect: Re: Export",
    ),
    "el": (
        "Στις Πέμ 5 Μαρ 2026 στις 10:12 π.μ., ο χρήστης Άννα Νίκου <anna@example.com> έγραψε:",
        "Στις 5 Μαρ 2026, 10:12 π.μ., ο/η Άννα Νίκου <anna@example.com> έγραψε:",
        "Στις 5/3/2026 10:12, ο/η Άννα Νίκου έγραψε:",
        "Από: Άννα Νίκου <anna@example.com>\nΣτάλθηκε: Πέμπτη, 5 Μαρτίου 2026 10:12 πμ\n"
        "Προς: Bo Berg <bo@example.org>\nΘέμα: Re: Export",
    ),
    "uk": (
        "чт, 5 бер. 2026 р. о 10:12 Анна Коваль <anna@example.com> пише:",
        "5 бер. 2026 р. о 10:12 Анна Коваль <anna@example.com> написав(ла):",
        "05.03.26 10:12, Анна Коваль пише:",
        "Від: Анна Коваль <anna@example.com>\nНадіслано: 5 березня 2026 р. 10:12\n"
        "Кому: Bo Berg <bo@example.org>\nТема: Re: Export",
    ),
    "ko": (
        "2026년 3월 5일 (목) 오전 10:12, 김안나 <anna@example.com>님이 작성:",
        "2026. 3. 5. 오전 10:12, 김안나 <anna@example.com> 작성:",
        "2026. 3. 5. 오전 10:12에 김안나 이(가) 쓴 글:",
        "보낸 사람: 김안나 <anna@example.com>\n보낸 날짜: 2026년 3월 5일 목요일 오전 10:12\n"
        "받는 사람: Bo Berg <bo@example.org>\n제목: Re: Export",
    ),
    "sk": (
        "št 5. 3. 2026 o 10:12 Anna Nová <anna@example.com> napísal(a):",
        "Dňa 5. 3. 2026 o 10:12 používateľ Anna Nová <anna@example.com> napísal:",
        "Dňa 5. 3. 2026 o 10:12 Anna Nová napísal(a):",
        "Od: Anna Nová <anna@example.com>\nOdoslané: štvrtok 5. marca 2026 10:12\n"
        "Komu: Bo Berg <bo@example.org>\nPredmet: Re: Export",
    ),
    "hr": (
        "čet, 5. ožu 2026. u 10:12 Ana Horvat <ana@example.com> napisao je:",
        "Dana 5. ožu 2026., u 10:12, Ana Horvat <ana@example.com> je napisala:",
        "Dana 5. 3. 2026. u 10:12, Ana Horvat je napisala:",
        "Šalje: Ana Horvat <ana@example.com>\nPoslano: 5. ožujka 2026. 10:12\n"
        "Prima: Bo Berg <bo@example.org>\nPredmet: Re: Export",
    ),
    "vi": (
        "Vào Th 5, 5 thg 3, 2026 vào lúc 10:12 Anna Nguyễn <anna@example.com> đã viết:",
        "Vào 10:12, 5 thg 3, 2026, Anna Nguyễn <anna@example.com> đã viết:",
        "Vào lúc 10:12 05/03/2026, Anna Nguyễn đã viết:",
        "Từ: Anna Nguyễn <anna@example.com>\nĐã gửi: Thứ Năm, 05 Tháng Ba 2026 10:12\n"
        "Đến: Bo Berg <bo@example.org>\nChủ đề: Re: Export",
    ),
    "he": (
        "בתאריך יום ה׳, 5 במרץ 2026 ב-10:12 מאת אנה כהן <anna@example.com>:",
        "ב-5 במרץ 2026, בשעה 10:12, אנה כהן <anna@example.com> כתב/ה:",
        "בתאריך 05/03/2026 10:12, אנה כהן כתב:",
        "מאת: אנה כהן <anna@example.com>\nנשלח: יום חמישי 05 מרץ 2026 10:12\n"
        "אל: Bo Berg <bo@example.org>\nנושא: Re: Export",
    ),
}
#: A language that nobody knows: what is left is address and time.
UNKNOWN = "Qe 5 zub 2026 po 10:12, Anna Xyl <anna@example.com> vrabel:"
UNKNOWN_HEADER = (
    "Vrab: Anna <anna@example.com>\nZent: 5 zub 2026 10:12\nPoi: Bo <bo@example.org>\nTirn: Export"
)


def cases() -> list[tuple[str, str]]:
    found = [("unknown", UNKNOWN), ("unknown header", UNKNOWN_HEADER)]
    for language, lines in ATTRIBUTIONS.items():
        found += [
            (f"{language} {program}", line)
            for program, line in zip(("gmail", "apple", "thunderbird", "outlook"), lines, strict=True)
        ]
    return found


@pytest.mark.parametrize("attribution", [line for _, line in cases()], ids=[name for name, _ in cases()])
def test_an_attribution_leaves_with_its_quotation(attribution: str) -> None:
    assert reply_of(f"{REPLY}\n\n{attribution}\n\n{QUOTE}\n").text == REPLY
    if not attribution.startswith("Vrab"):
        assert reply_of(f"{REPLY}\r\n\r\n{attribution}\r\n\r\n{MARKED}\r\n").text == REPLY
    assert reply_of(f"{REPLY}\n\n________________________________\n{attribution}\n\n{QUOTE}").text == REPLY
    page = "".join(f"<div>{line}</div>" for line in REPLY.split("\n"))
    shown = "<br>".join(line.replace("<", "&lt;").replace(">", "&gt;") for line in attribution.split("\n"))
    assert reply_of_html(f"{page}<div>{shown}</div><div>{QUOTE}</div>").text == REPLY.replace("\n\n", "\n")


@pytest.mark.parametrize(
    "attribution",
    [
        "On Tue, 3 Mar 2026 at 09:15, Nora Lind <nora@acme.example> wrote:",
        "On Tue, 3 Mar 2026 at 09:15, Nora Lind with a rather long name\n<nora@acme.example> wrote:",
        "On Tue, 3 Mar 2026 at 09:15, Nora Lind from a company with a long name <\nnora@acme.example> wrote:",
        "On Tue, 3 Mar 2026 at 09:15, Nora Lind from a company with a long\nname <nora@acme.example> wrote:",
        "On Tue, 3 Mar 2026 at 09:15, Nora Lind\n\n<\nmailto:nora@acme.example\n> wrote:",
        "Am 3. März 2026 um 09:15 schrieb Nora Lind <nora@acme.example>:",
        "Le 3 mars 2026 à 09:15, Nora Lind <nora@acme.example> a écrit :",
        "Nora Lind <nora@acme.example> schrieb am Di., 3. März 2026\num 09:15 Uhr:",
        "Il 3 marzo 2026 alle 09:15 Nora Lind ha scritto:",
        "---- On Tue, 03 Mar 2026 09:15:00 +0100 Nora Lind <nora@acme.example> wrote ----",
        "3 Mar 2026, 09:15 by nora@acme.example:",
        "-----Original Message-----\nFrom: Nora\n",
        "-------- Original message --------\nFrom: Nora <nora@acme.example>\n",
        "________________________________\nFrom: Nora\nSent: Tuesday 09:15\nTo: Help\nSubject: Seats\n",
        "From: Nora <nora@acme.example>\nSent: Tuesday, 3 March 2026 09:15\nTo: Help\nSubject: Seats\n",
        "From: Nora Lind\nSent: Tuesday, 3 March 2026 09:15\nTo: Help Desk\nSubject: Seats\n",
        "*From:* Nora <nora@acme.example>\n*Sent:* Tuesday 09:15\n*To:* Help\n",
        "Date: Tue, 3 Mar 2026 09:15:00 +0100\nFrom: nora@acme.example\nTo: help@vendor.example\n",
        'Gesendet: Dienstag, 3. März 2026 um 09:15 Uhr\nVon: "Nora" <nora@acme.example>\nAn: help@vendor.example\nBetreff: Plätze\n',
        "##- Please type your reply above this line -##",
        "##- Skriv ditt svar ovanför denna rad -##",
        "--- Please reply above this line ---",
    ],
)
def test_what_programs_put_above_a_quotation_ends_the_reply(attribution: str) -> None:
    assert reply_of(f"{REPLY}\n\n{attribution}\n{QUOTE}").text == REPLY


WHOLE = [
    # A verb, and no evidence beside it.
    "On Monday we upgraded to 4.2 and since then the export fails.\nMy colleague wrote:\nthe file is empty\n\nHelp!",
    "Am Montag haben wir auf 4.2 umgestellt. Mein Kollege schrieb:\ndie Datei ist leer\n\nBitte helfen Sie.",
    "I måndags uppgraderade vi. Min kollega skrev:\nfilen är tom\n\nHjälp!",
    "Lundi nous avons mis à jour. Mon collègue a écrit :\nle fichier est vide\n\nAidez-nous.",
    # A time or a date that belongs to the sentence.
    "The import of 10:12 failed. Here is what the log said:\nERR 500\n\nCan you look?",
    "On 5 March 2026 at 10:12 we tried again, and as my colleague wrote:\nit failed\n\nWhat now?",
    "On 3 March 2026 your colleague wrote:\n\nrestart the import\n\nbut it still fails.",
    "Call me at 10:12 or write to ann@example.com.\nThen send me:\n\n- the log\n- the file",
    # Lines that look like a header.
    "Please book:\nFrom: Stockholm\nTo: Malmo\nDate: 5 March 2026\n\nThree seats.",
    "Minutes\nDate: 5 March 2026 10:00\nTo: the team\nSubject: weekly\n\nWe agreed on 40 seats.",
    "A form:\n\nFrom: lead@example.net\nDate: 5 March 2026 10:12\nSubject: Pricing\n\nMessage:\nWe want a quote.",
    "Email: lead@example.net\nPhone: 08-123 45 67\nCall at: 5 March 2026 10:30\nMessage: We want a quote.",
    "Please look at this mail:\n\nFrom: ann@example.com\nSent: 5 March 2026 10:12\nTo: help@example.org\nSubject: x\n\nIs it yours?",
    "klient napisał wczoraj.\nTemat: faktura 123\nKwota jest bledna.",
    # `>` that quotes nobody.
    "This shell prints nothing:\n\n> relay check\n> echo $?\n\nWhy?",
    "This shell prints nothing:\n\n> relay check\n> echo $?",
    "My colleague wrote:\n\n> the file is empty\n\nPlease help.",
    "| a | b |\n| 1 | 2 |\n\nThe table above is wrong.",
    # What parts nothing from anything.
    "Two things:\n\n- export\n- import\n\n-- \nAnn\nSuccess Team",
    "Part one\n\n--------------------\n\nPart two\n\n____________________\n\nPart three",
    "We forwarded message 12 to you: please answer it.",
]


@pytest.mark.parametrize("text", WHOLE)
def test_a_mail_without_a_quotation_stays_whole(text: str) -> None:
    assert reply_of(text).text.split() == text.split()
    assert reply_of(text).quoted == ""
    page = "".join(f"<p>{line.replace('>', '&gt;')}</p>" for line in text.split("\n"))
    assert reply_of_html(page).text.split() == text.split()


@pytest.mark.parametrize(
    "marker",
    [
        "---------- Forwarded message ---------\nFrom: Bob <bob@example.com>\nDate: 2 March 2026 10:12\nSubject: Broken\nTo: ann@example.com",
        "Begin forwarded message:\n\nFrom: Bob <bob@example.com>\nSubject: Broken\nDate: 2 March 2026 10:12\nTo: ann@example.com",
        "-------- Weitergeleitete Nachricht --------\nBetreff: Kaputt\nDatum: 2. März 2026 10:12\nVon: Bob <bob@example.com>",
        "---------- Továbbított üzenet ---------\nFeladó: Bob <bob@example.com>",
    ],
)
def test_a_forward_keeps_what_it_forwards(marker: str) -> None:
    text = f"FYI\n\n{marker}\n\nThe export is broken.\n\nOn Mon, 1 Mar 2026 at 10:00, Ann <ann@example.com> wrote:\n> Which?"
    assert reply_of(text).text == text
    page = f"<p>FYI</p><div class='gmail_quote'><div class='gmail_attr'>{'<br>'.join(marker.split(chr(10)))}</div><p>The export is broken.</p></div>"
    assert "The export is broken." in reply_of_html(page).text


def test_a_subject_tells_a_forward_without_a_marker() -> None:
    text = "FYI\n\nFrom: Bob <bob@example.com>\nSent: Monday, 2 March 2026 10:12\nTo: Ann\nSubject: Broken\n\nThe export is broken."
    assert bodies_of(text, "", subject="FW: Broken").text == text
    assert bodies_of(text, "", subject="[EXT] WG: Broken").text == text
    assert bodies_of(text, "", subject="Re: Broken").text == "FYI"


ATTRIBUTION = "On Mon, 2 Mar 2026 at 10:00, Bob <bob@example.com> wrote:"


def test_answers_between_and_below_quotes_stay() -> None:
    text = (
        f"Hi Bob.\n\n{ATTRIBUTION}\n> Which version?\n\n4.2.1\n\n> Which browser?\n\nFirefox 140\n\n> Thanks"
    )
    assert reply_of(text).text == "Hi Bob.\n\n\n4.2.1\n\n\nFirefox 140"
    assert reply_of(f"{ATTRIBUTION}\n{MARKED}\n\nThat is right.").text == "That is right."


def test_answers_between_quotes_stay_in_html_too() -> None:
    page = (
        f"<p>Hi Bob.</p><div class='gmail_quote'><div class='gmail_attr'>{ATTRIBUTION}</div>"
        "<blockquote class='gmail_quote'>Which version?</blockquote><div>4.2.1</div>"
        "<blockquote class='gmail_quote'>Which browser?</blockquote><div>Firefox 140</div></div>"
    )
    assert reply_of_html(page).text == "Hi Bob.\n4.2.1\nFirefox 140"
    page = (
        f"<p>Hi Bob.</p><div class='moz-cite-prefix'>{ATTRIBUTION}</div><blockquote type='cite'><p>Which version?</p>"
        "</blockquote><p>4.2.1</p><blockquote type='cite'><p>Which browser?</p></blockquote><p>Firefox 140</p>"
    )
    assert reply_of_html(page).text == "Hi Bob.\n4.2.1\nFirefox 140"


def test_an_answer_inside_the_pages_quotation_is_taken_from_the_text() -> None:
    text = f"Hi Bob.\n\n{ATTRIBUTION}\n> Which version?\n4.2.1, since Monday\n> Which browser?\nFirefox 140"
    page = f"<p>Hi Bob.</p><div class='yahoo_quoted'>{ATTRIBUTION}<p>Which version?</p><p style='color:red'>4.2.1, since Monday</p><p>Which browser?</p><p>Firefox 140</p></div>"
    found = bodies_of(text, page)
    for word in ("4.2.1", "Monday", "Firefox", "140"):
        assert word in found.text
        assert word in found.html


def test_pasted_text_in_a_blockquote_cuts_nothing() -> None:
    page = "<p>The page says:</p><blockquote type='cite'><p>Export failed</p></blockquote><p>Why?</p>"
    assert reply_of_html(page).text == "The page says:\nExport failed\nWhy?"


def test_a_signature_below_the_quotation_leaves_with_it_and_an_answer_does_not() -> None:
    quotation = f"{ATTRIBUTION}\n{MARKED}\n"
    assert reply_of(f"{REPLY}\n\n{quotation}\n-- \nNora Lind\nAcme").text == REPLY
    assert reply_of(f"{quotation}\nRight.\n\n-- \nNora Lind").text == "Right.\n\n--\nNora Lind"


def test_a_mail_that_only_quotes_is_given_whole() -> None:
    text = f"{ATTRIBUTION}\n{MARKED}"
    assert reply_of(text).text == text
    assert reply_of_html("<div class='yahoo_quoted'>all</div>").text == "all"


def test_an_answer_without_an_attribution_leaves_its_quotation() -> None:
    assert reply_of(f"{REPLY}\n\n{MARKED}", answers=True).text == REPLY
    assert reply_of(f"{REPLY}\n\nNora wrote:\n{MARKED}", answers=True).text == REPLY
    assert reply_of(f"{MARKED}\n\n{REPLY}", answers=True).text == REPLY
    assert (
        reply_of("Why?\n\n> relay check\n\nNothing.", answers=True).text
        == "Why?\n\n> relay check\n\nNothing."
    )


PROGRAMS = {
    "freshdesk": "<div class='freshdesk_quote'><blockquote>{quote}</blockquote></div>",
    "front": "<blockquote type='cite' class='front-blockquote'>On March 5, 2026 at 10:12 AM GMT+1 anna@example.com wrote:<br>{quote}</blockquote>",
    "hubspot": "<div class='hs_reply'><p>On Thu, Mar 5, 2026 at 10:12 AM, Anna wrote:</p><blockquote>{quote}</blockquote></div>",
    "missive": "<div class='missive_quote'>On Mar 5, 2026 Anna wrote:<blockquote>{quote}</blockquote></div>",
    "superhuman": "<div class='sh-quoted-content'><div><div class='gmail_quote'>On Thu, Mar 05, 2026 at 10:12 AM, Anna wrote:<blockquote>{quote}</blockquote></div></div></div>",
    "apple phone": "<div dir='ltr'><br><blockquote type='cite'>On 5 Mar 2026, at 10:12, Anna &lt;anna@example.com&gt; wrote:<br><br></blockquote></div><blockquote type='cite'><div dir='ltr'>\ufeff{quote}</div></blockquote>",
    "spark": "<div name='messageReplySection'>On 5 Mar 2026, 10:12 +0100, Anna wrote:<br><blockquote type='cite'>{quote}</blockquote></div>",
    "tutanota": "<div>5 Mar 2026, 10:12 by anna@example.com:</div><blockquote class='tutanota_quote'>{quote}</blockquote>",
    "zoho": "<div class='zmail_extra'><br>---- On Thu, 05 Mar 2026 10:12:00 +0100 <b>Anna</b> wrote ---<br><blockquote>{quote}</blockquote></div>",
    "outreach": "<div class='outreach-quote'>Anna wrote:<br>{quote}</div>",
    "notion": "<blockquote class='notion-mail-quote'>On 5 Mar 2026 Anna wrote:<br>{quote}</blockquote>",
    "samsung": "<div>-------- Original message --------</div><div>From: Anna &lt;anna@example.com&gt; </div><div>Date: 05/03/2026 10:12 (GMT+01:00) </div><div>{quote}</div>",
    "proton": "<div class='protonmail_quote'>On Thursday, March 5th, 2026 at 10:12, Anna &lt;anna@example.com&gt; wrote:<br><blockquote type='cite'>{quote}</blockquote></div>",
    "yahoo": "<div id='ydp1234abcdyahoo_quoted_1' class='ydp1234abcdyahoo_quoted'><div>On Thursday Anna wrote:</div>{quote}</div>",
    "outlook web": "<div id='appendonsend'></div><hr><div id='divRplyFwdMsg'><b>Von:</b> Anna &lt;anna@example.com&gt;<br><b>Gesendet:</b> Donnerstag, 5. März 2026 10:12</div>{quote}",
    "outlook new": "<div id='mail-editor-reference-message-container'><b>From:</b> Anna<br><b>Date:</b> Thursday<br>{quote}</div>",
    "outlook": "<div><div style='border:none;border-top:solid #E1E1E1 1.0pt'><p><b>Zent:</b> Anna &lt;anna@example.com&gt;<br><b>Poi:</b> 5 zub 2026 10:12</p></div></div>{quote}",
    "word": "<div style='border:none;border-top:solid #B5C4DF 1.0pt'><p><b>From:</b> Anna Smith<br><b>Sent:</b> Thursday 10:12 AM<br><b>To:</b> Bo</p></div>{quote}",
    "zoho desk": "<div title='beforequote:::'></div><div title='beforequote:::'>---- Anna wrote ----<br>{quote}</div>",
    "gmail attr in an unknown language": "<div class='gmail_quote'><div class='gmail_attr'>Vrabel Anna</div><blockquote class='gmail_quote'>{quote}</blockquote></div>",
}


@pytest.mark.parametrize("program", PROGRAMS)
def test_the_marks_of_mail_programs_end_the_page(program: str) -> None:
    quote = "<div>Our invoice lists 40 seats.</div><div>We have 25.</div>"
    found = reply_of_html(
        f"<div>25 is <b>right</b>.</div><div>Nora</div>{PROGRAMS[program].format(quote=quote)}"
    )
    assert found.text == "25 is right.\nNora"
    assert clean_html(found.html).startswith("<div>25 is <b>right</b>.</div><div>Nora</div>")
    assert "40 seats" not in found.html
    assert "Our invoice lists 40 seats." in found.quoted


def test_a_page_that_shows_less_than_the_text_gives_way_to_it() -> None:
    found = bodies_of("The export fails since Friday, please help us.", "<p>Sent by our ticket tool</p>")
    assert found.html == "The export fails since Friday, please help us."


def test_a_text_that_only_stands_in_for_the_page_gives_way_to_it() -> None:
    page = "<p>The export fails since Friday, please help us with all of it.</p>"
    assert bodies_of("no HTML", page).text == "The export fails since Friday, please help us with all of it."


def test_what_a_page_hides_is_shown_nowhere() -> None:
    page = "<div style='display:none; max-height:0'>Preview of it</div><p>Hello</p><div class='yahoo_quoted'><p>old</p><p style='display: none'>x</p></div>"
    found = bodies_of("", page)
    assert (found.text, found.html) == ("Hello", "<p>Hello</p>")


def test_a_long_paragraph_comes_back_unharmed() -> None:
    long = "word " * 2000
    assert reply_of(f"{long}\n{ATTRIBUTION}\n> x").text == long.strip()


WORDS = st.lists(
    st.sampled_from(
        [
            "seat",
            "Export",
            "10:12",
            "ERR",
            "500",
            "5",
            "March",
            "wrote",
            "Nora",
            "from",
            "Sent:",
            "to:",
            "-",
            "skrev",
        ]
    ),
    min_size=1,
    max_size=9,
).map(" ".join)
PARAGRAPHS = st.lists(WORDS, min_size=1, max_size=5).map("\n".join)


def words(text: str) -> Counter[str]:
    return Counter(re.findall(r"\w+", text))


@given(
    reply=PARAGRAPHS,
    quote=PARAGRAPHS,
    below=st.just("") | PARAGRAPHS,
    attribution=st.sampled_from([line for _, line in cases() if "\n" not in line]),
    marked=st.booleans(),
)
@example(
    reply="seat",
    quote="skrev Sent:",
    below="seat seat",
    attribution="Qe 5 zub 2026 po 10:12, Anna Xyl <anna@example.com> vrabel:",
    marked=True,
)
@example(
    reply="seat\nseat seat seat seat seat seat Export Export skrev",
    quote="seat",
    below="",
    attribution="Qe 5 zub 2026 po 10:12, Anna Xyl <anna@example.com> vrabel:",
    marked=False,
)
def test_no_word_of_the_writers_is_lost(
    reply: str, quote: str, below: str, attribution: str, marked: bool
) -> None:
    # The verb alone, or with a time, is no evidence here: nothing in `reply` may be taken for an attribution.
    shown = "\n".join(f"> {line}" for line in quote.split("\n")) if marked else quote
    text = f"{reply}\n\n{attribution}\n{shown}" + (f"\n\n{below}" if marked else "")
    found = reply_of(text)
    assert not words(reply) - words(found.text)
    assert not (words(below) if marked else Counter()) - words(found.text)
    # What leaves is not lost.
    assert words(found.text) + words(found.quoted) == words(text)
    page = "".join(f"<p>{line.replace('<', '&lt;')}</p>" for line in reply.split("\n"))
    page += f"<div>{attribution.replace('<', '&lt;')}</div><blockquote>{quote}</blockquote>"
    of_page = reply_of_html(page)
    assert not words(reply) - words(of_page.text)
    assert words(of_page.text) == words(text_of_html(clean_html(of_page.html)))


LINES = st.sampled_from(
    [
        "> q",
        "On x, y wrote:",
        "From: a",
        "Sent: b",
        "To: c",
        "hello",
        "",
        "--",
        "____",
        "a" * 700,
        ATTRIBUTION,
        ">> On a wrote:",
    ]
)


@given(st.lists(LINES | st.text(max_size=30), max_size=30), st.booleans())
def test_any_text_is_parted_without_loss(lines: list[str], answers: bool) -> None:
    text = "\n".join(lines).replace("\r", "\n")
    found = reply_of(text, answers=answers)
    assert words(found.text) + words(found.quoted) == words(text)


@given(
    st.text(max_size=300)
    | st.lists(
        st.sampled_from(
            [
                "<div>",
                "</div>",
                "<blockquote>",
                "</blockquote>",
                "x ",
                "<br>",
                "<p",
                ">",
                ATTRIBUTION,
                "<!--",
                "-->",
                "<pre>\n",
                "<td>",
                "&",
                "<hr>",
                "<p style='display:none'>",
                "<img>",
            ]
        ),
        max_size=30,
    ).map("".join)
)
def test_any_page_is_parted(page: str) -> None:
    found = reply_of_html(page)
    (found.html + found.text + found.quoted).encode("utf-8", "surrogatepass")
    bodies_of(page[:40], page)


def test_a_body_is_cut_at_its_limit() -> None:
    assert len(reply_of("x" * (MAX_TEXT_CHARS + 5)).text) == MAX_TEXT_CHARS
