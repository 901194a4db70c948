"""The table of the functions that read text from outside, each with the short pieces that its worst inputs repeat."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

from relay.errors import PayloadInvalid
from relay.event import Person
from relay.sources import base
from relay.sources.base import Credentials, Inbound
from relay.sources.mail import (
    attribution,
    automatic,
    bodies,
    calendar,
    evidence,
    flowed,
    header_block,
    headers,
    mime,
    nesting,
    people,
    repair,
    reply,
    rtf,
    thread_ids,
    winmail,
)
from relay.sources.mail.headers import MailHeaders
from relay.sources.proof import cut
from relay.sources.read import (
    charset,
    form_scan,
    jis,
    json_scan,
    look_up,
    markup,
    moment,
    multipart,
    page,
    pick,
    slack_markup,
    templated,
    xml,
)
from tests.sources.test_every_source import NOW_S
from tests.sources.test_mail_growth import MAILS, PAGES, TEXTS

FORM = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data; boundary=x"
#: Short pieces; what a function chokes on, it chokes on repeated.
PLAIN = [
    "a",
    " ",
    "\n",
    "é",
    "\ud800",
    "&",
    "&amp;",
    "<",
    "<a>",
    "<a",
    '"',
    "\\",
    "%",
    "a@b.c,",
    "(",
    "=?utf-8?q?a?= ",
    ":",
    "-",
]
RAW = [
    b"a",
    b" ",
    b"\n",
    b"\xff",
    b"\x1b$B",
    b"%",
    b"%41",
    b"+",
    b"&",
    b"=",
    b"a=b&",
    b";",
    b"\x00",
    b"\xe2\x98\x83",
]
JSON = [
    b"[",
    b"{",
    b"{}",
    b"[],",
    b"{},",
    b'"',
    b'"",',
    b"\\",
    b'\\"',
    b"\\n",
    b"1,",
    b'"a":1,',
    b'{"a":',
    b" ",
    b'"\\u0061":1,',
    b"x",
]
PARTS = [
    *(b"--x\r\n", b"\r\n--x\r\n", b"\n--x", b"\n--xy", b"--", b"-", b"\r\n", b"\n", b"x"),
    b"--x\r\nContent-Disposition: form-data; name=a\r\n\r\nb\r\n",
    b'--x\r\nContent-Disposition: form-data; name="\\"',
    b"Content-Type: a\r\n",
]
HEADS = [";", "=", '"', '\\"', "a=b;", 'name="', "filename*=UTF-8''%41;", "%22", "a", '="\\"']
MARKUP = [
    b"<a>",
    b"<a/>",
    b"</a>",
    b"<a b='c'>",
    b"&lt;",
    b"&",
    b"<!--",
    b"-->",
    b"<![CDATA[",
    b"]]>",
    b"<a",
    b" x='y'",
    b"a",
    b"\n",
]
SLACK = [
    "<",
    ">",
    "<a>",
    "<@U1>",
    "<http://x|y>",
    "*a* ",
    "*",
    "_a_ ",
    "~",
    "`",
    "```",
    "`a` ",
    "&amp;",
    "\n",
    "<a|",
    "a",
]


@dataclass(frozen=True)
class Row:
    """`work` with each of `pieces` repeated; `before` and `after` stand around them, so that what is read is deep in
    something."""

    work: Callable[[Any], object]
    pieces: Sequence[Any]
    around: Sequence[tuple[Any, Any]] = field(default=())


def rows(module: ModuleType, **of: Row) -> dict[str, Row]:
    return {f"{module.__name__}:{name}": row for name, row in of.items()}


def text(work: Callable[[str], object], *more: str) -> Row:
    return Row(work, [*PLAIN, *more])


def raw(work: Callable[[bytes], object], pieces: Sequence[bytes] = RAW, *around: tuple[bytes, bytes]) -> Row:
    return Row(work, pieces, around)


IN_JSON = ((b'{"a":[', b'1],"token":"x"}'), (b'{"a":"', b'","token":"x"}'), (b"", b""))
IN_MAIL = ((b"", b""), (b"Content-Type: multipart/mixed; boundary=x\n\n--x\n", b""))

ROWS: dict[str, Row] = {
    **rows(
        base,
        parse_json=raw(base.parse_json, JSON, *IN_JSON),
        loads=raw(base.loads, JSON, *IN_JSON),
        json_object=raw(base.json_object, JSON, *IN_JSON),
        content_key=raw(base.content_key),
        same=raw(lambda one: base.same(one, one)),
        any_same=raw(lambda one: base.any_same(one, [one, one])),
        hmac_bytes=raw(lambda one: base.hmac_bytes(b"key", one)),
        require_recent=text(lambda one: base.require_recent(one, now_s=NOW_S), "1"),
    ),
    **rows(
        charset,
        decode_bytes=raw(
            lambda one: [
                charset.decode_bytes(one, name) for name in ("utf-8", "iso-2022-jp", "cp1252", "gbk")
            ]
        ),
        printable=text(charset.printable, "\x00"),
        encodable=text(lambda one: charset.encodable(one, "iso-8859-1")),
    ),
    **rows(jis, decode_jis=raw(jis.decode_jis)),
    **rows(
        form_scan,
        form_fields=raw(
            lambda one: [_form(form_scan.form_fields, one, kind) for kind in (FORM, MULTIPART)],
            [*RAW, *PARTS],
        ),
        only_field=raw(
            lambda one: [_form(form_scan.only_field, one, kind, False) for kind in (FORM, MULTIPART)],
            [*RAW, *PARTS],
        ),
    ),
    **rows(
        json_scan,
        members=raw(lambda one: json_scan.members(one, ("token",)), JSON, *IN_JSON),
        items=raw(lambda one: list(json_scan.items(one, (0, len(one)))), JSON, (b"[", b"1]")),
        small_value=raw(lambda one: json_scan.small_value(one, (0, len(one))), JSON, (b'"', b'"')),
        large_text=raw(lambda one: json_scan.large_text(one, (0, len(one))), JSON, (b'"', b'"')),
        scan_path=raw(lambda one: json_scan.scan_path(one, "a.b.0.token"), JSON, *IN_JSON),
        whole=raw(json_scan.whole, [b" ", b"\n", b"a"]),
    ),
    **rows(
        markup,
        has_tags=Row(markup.has_tags, PAGES),
        clean_html=Row(markup.clean_html, PAGES, (("<p>", ""), ("", ""))),
        clean_shallow_html=Row(markup.clean_shallow_html, ["<p>x</p>", "<br>", "&amp;", "a", "\n"]),
        text_of_html=Row(markup.text_of_html, PAGES, (("<p>", ""),)),
        html_of_text=text(markup.html_of_text),
        is_deep_markup=Row(markup.is_deep_markup, PAGES),
    ),
    **rows(moment, moment_us=text(moment.moment_us, "1", "2026-01-01T", "Mon, ")),
    **rows(
        multipart,
        parse_form=raw(
            lambda one: [_form(multipart.parse_form, one, kind, False) for kind in (FORM, MULTIPART)],
            [*RAW, *PARTS],
        ),
        boundary_of=text(
            lambda one: multipart.boundary_of(b"--x\r\n", "multipart/form-data; boundary=" + one)
        ),
        clean_parts=raw(
            lambda one: multipart.clean_parts(one, b"x", lambda name, content: content + b"y"), PARTS
        ),
        as_object=raw(multipart.as_object, JSON, (b"{", b"}")),
        as_list=raw(multipart.as_list, JSON, (b"[", b"1]")),
        pairs_between=raw(lambda one: list(multipart.pairs_between(one))),
        percent_decoded=raw(multipart.percent_decoded),
        field_name=raw(lambda one: multipart.field_name(one, 0, len(one))),
        parts_between=raw(lambda one: list(multipart.parts_between(one, b"x")), PARTS),
        part_head=raw(lambda one: multipart.part_head(one, 0, len(one)), PARTS),
        parse_parameters=Row(multipart.parse_parameters, HEADS),
    ),
    # The parser under it takes quadratic time over what nests: whoever calls it has asked `is_deep_markup` first.
    **rows(
        page,
        read_page=Row(lambda one: markup.is_deep_markup(one) or page.read_page(one), PAGES, (("<p>", ""),)),
    ),
    **rows(
        pick,
        ident=text(pick.ident),
        follow=text(lambda one: pick.follow({"a": [{"b": one}]}, "a.0.b." + one), "."),
        header=text(lambda one: pick.header({"x": one}, "x")),
        bare=text(lambda one: pick.bare({one: one, "subject": one}), "_"),
        places=text(lambda one: pick.places({"data": {"ticket": {"text": one}}})),
        flatten=text(lambda one: pick.flatten([{"text": one}])),
        batch=text(lambda one: pick.batch({"items": [{"text": one}]})),
        first_text=text(lambda one: pick.first_text([{"text": one}], pick.TEXT)),
        first_ident=text(lambda one: pick.first_ident([{"id": one}], pick.OWN_ID)),
        first_moment_us=text(lambda one: pick.first_moment_us([{"time": one}], pick.TIME)),
        first_person=text(lambda one: pick.first_person([{"from": one}, {"user": {"email": one}}], {}), "a@"),
        thread_of=text(lambda one: pick.thread_of([{"links": {"ticket": one}}], {}), "/"),
    ),
    **rows(
        slack_markup,
        render_text=Row(slack_markup.render_text, SLACK),
        render_html=Row(slack_markup.render_html, SLACK),
    ),
    **rows(
        templated,
        read_templated=raw(
            lambda one: [
                _form(
                    lambda body, kind: templated.read_templated(Inbound(body, {"content-type": kind})),
                    one,
                    kind,
                    False,
                )
                for kind in (FORM, "application/json")
            ],
            [*RAW, *JSON],
        ),
    ),
    **rows(
        xml,
        parse_xml=raw(xml.parse_xml, MARKUP, (b"<r>", b"</r>"), (b"<r ", b"/>")),
        first_leaf=raw(
            lambda one: xml.first_leaf(one, ("r", "a")), MARKUP, (b"<r>", b"</r>"), (b"<r ", b"/>")
        ),
    ),
    **rows(
        look_up,
        quoted=text(lambda one: look_up.quoted({"a": one}, "a"), "%", "/"),
        has_text=text(lambda one: look_up.has_text({"text": one})),
        unknown_sender=text(lambda one: look_up.unknown_sender({"sender": {"id": one}})),
        put_text=Row(lambda one: look_up.put_text({}, one, one), PAGES),
        put_person=text(lambda one: look_up.put_person({"sender": {}}, one, one, one)),
    ),
    **rows(
        attribution,
        **{
            name: Row(getattr(attribution, name), TEXTS)
            for name in ("midline_start", "closes_attribution", "may_end", "is_weak_attribution")
        },
    ),
    **rows(
        evidence,
        **{
            name: Row(getattr(evidence, name), TEXTS)
            for name in ("evidence_in", "has_time", "has_address", "has_machine_date")
        },
    ),
    **rows(
        header_block,
        **{name: Row(getattr(header_block, name), TEXTS) for name in ("may_be_header", "is_known_field")},
    ),
    **rows(
        bodies,
        bodies_of=Row(lambda one: bodies.bodies_of("Hi\n\n> x", "<p>Hi</p>" + one), PAGES),
        strays_from=Row(lambda one: bodies.strays_from(one, one), TEXTS),
    ),
    **rows(calendar, calendar_text=Row(lambda one: calendar.calendar_text("BEGIN:VEVENT\n" + one), TEXTS)),
    **rows(flowed, unflowed=Row(lambda one: flowed.unflowed(one, delete_space=True), TEXTS)),
    **rows(
        headers,
        header_block=Row(headers.header_block, TEXTS),
        unfolded=text(headers.unfolded, "\r\n "),
        decoded=text(headers.decoded, "=?utf-8?b?YQ==?= ", "=?a?q?"),
        addresses=text(headers.addresses, '"a" <a@b>, ', "<", "\\"),
        date_us=text(headers.date_us, "Mon, "),
        attachment=text(lambda one: headers.attachment(one, one, 1)),
    ),
    **rows(
        thread_ids,
        message_ids=text(thread_ids.message_ids, "<a@b> ", "<a", "=?utf-8?q?=3Ca=40b=3E?= ", "<a b"),
        is_id=text(thread_ids.is_id, "a@", "1"),
        normal=text(thread_ids.normal, "a@", ".", "<"),
        conversation_of=text(thread_ids.conversation_of, "AdiA", "="),
    ),
    **rows(
        automatic,
        classify=text(
            lambda one: automatic.classify(
                MailHeaders([("Auto-Submitted", one), ("Content-Type", one), ("Precedence", one)]),
                subject=one,
                author=one,
                sender=one,
                envelope_from=one,
            ),
            "automatic reply",
            "multipart/report; ",
            "report-type=",
            "mailer-daemon",
        ),
    ),
    **rows(
        people,
        mail_author=text(lambda one: people.mail_author(MailHeaders([("From", one)]), one, None), "a@b, "),
        writer_of=text(
            lambda one: people.writer_of(
                Person(name=one, email=one + "@a"), MailHeaders([("Reply-To", one)]), (), one
            ),
            "no-reply",
            " via ",
            "a@b, ",
        ),
    ),
    **rows(mime, read_mime=raw(mime.read_mime, MAILS, *IN_MAIL)),
    **rows(nesting, is_too_nested=raw(nesting.is_too_nested, MAILS, *IN_MAIL)),
    **rows(repair, mended=raw(repair.mended, MAILS, *IN_MAIL)),
    **rows(
        reply,
        reply_of=Row(reply.reply_of, TEXTS, (("Hi\n\n", "\n\nend"),)),
        reply_of_html=Row(reply.reply_of_html, PAGES, (("<p>Hi</p>", ""),)),
    ),
    **rows(
        rtf,
        text_of_rtf=raw(rtf.text_of_rtf, [b"{", b"}", b"\\", b"\\par", b"\\'e9", b"x"]),
        unpacked=raw(rtf.unpacked),
    ),
    **rows(winmail, read_winmail=raw(winmail.read_winmail, RAW, (b"\x78\x9f\x3e\x22\0\0", b""))),
    **rows(
        cut,
        without_credentials=raw(
            lambda one: cut.without_credentials(
                Inbound(one, {}, path_query="/hooks/x?" + one.decode("latin-1")),
                cut.all_places(Credentials(paths=("a.*.token",), elements=("SessionId",), quick="")),
                lambda: ["secret"],
            ),
            [*JSON, *MARKUP, *RAW, b"<SessionId ", b"<SessionId>", b'"token":"', b"secret"],
            *IN_JSON,
        ),
        strike=text(lambda one: cut.strike({"a": [{one: one}] * 100}, ["a", "*", one], "x")),
    ),
}

#: No text of a sender's length comes to these.
NOT_TEXT = {
    "relay.sources.read.multipart:encode_multipart": "makes samples",
    "relay.sources.proof.cut:all_places": "reads the config",
    "relay.sources.mail.thread_ids:thread_ids": "hashes what was cut before",
    "relay.sources.mail.thread_ids:keys_of_mails": "hashes what was cut before",
}


def _form(work: Callable[..., object], body: bytes, kind: str, names: bool = True) -> object:
    try:
        return work(body, kind, ("token",)) if names else work(body, kind)
    except PayloadInvalid:
        return None
