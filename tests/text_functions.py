"""The table of the functions that read text from outside, each with the short pieces that its worst inputs repeat."""

from __future__ import annotations

from collections.abc import Callable

from relay.errors import PayloadInvalid
from relay.event import Person
from relay.sources import base, foreign_json
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
    signed,
    thread_ids,
    winmail,
    within,
)
from relay.sources.mail.headers import MailHeaders
from relay.sources.mail.lines import Line
from relay.sources.proof import cut
from relay.sources.read import (
    adf,
    attached,
    bare_object,
    charset,
    either,
    form_answers,
    form_scan,
    jira_issue,
    jis,
    json_scan,
    lenient,
    lines,
    look_up,
    markdown,
    markup,
    moment,
    multipart,
    page,
    percent,
    pick,
    privacy,
    said,
    slack_blocks,
    slack_markup,
    teams_markup,
    templated,
    unknown,
    wiki,
    xml,
)
from tests.sources.test_every_source import NOW_S
from tests.sources.test_mail_growth import MAILS, PAGES, TEXTS
from tests.text_pieces import (
    FORM,
    HEADS,
    JSON,
    MARKDOWN,
    MARKUP,
    MULTIPART,
    PARTS,
    PLAIN,
    RAW,
    SLACK,
    Row,
    raw,
    rows,
    text,
)

IN_JSON = ((b'{"a":[', b'1],"token":"x"}'), (b'{"a":"', b'","token":"x"}'), (b"", b""))
IN_MAIL = ((b"", b""), (b"Content-Type: multipart/mixed; boundary=x\n\n--x\n", b""))

ROWS: dict[str, Row] = {
    **rows(
        foreign_json,
        parse_json=raw(foreign_json.parse_json, JSON, *IN_JSON),
        loads=raw(foreign_json.loads, JSON, *IN_JSON),
        json_object=raw(foreign_json.json_object, JSON, *IN_JSON),
    ),
    **rows(
        base,
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
        charset_of_page=raw(
            lambda one: charset.charset_of_page(one, ""),
            MARKUP,
            (b"<meta ", b"\xff"),
            (b"<meta charset=", b"\xff"),
        ),
        printable=text(charset.printable, "\x00"),
        encodable=text(lambda one: charset.encodable(one, "iso-8859-1")),
    ),
    **rows(jis, decode_jis=raw(jis.decode_jis)),
    **rows(
        form_answers,
        form_answers=text(lambda one: form_answers.form_answers('{"a": ["' + one + '"]}'), '","', "{"),
    ),
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
        clean_pairs=raw(
            lambda one: _form(
                lambda body, _: multipart.clean_pairs(body, lambda name, content: content + b"y"),
                one,
                FORM,
                False,
            )
        ),
        form_pairs=raw(lambda one: _form(lambda body, _: multipart.form_pairs(body, 1000), one, FORM, False)),
        as_object=raw(multipart.as_object, JSON, (b"{", b"}")),
        as_list=raw(multipart.as_list, JSON, (b"[", b"1]")),
        pairs_between=raw(lambda one: list(multipart.pairs_between(one))),
        field_name=raw(lambda one: multipart.field_name(one, 0, len(one))),
        parts_between=raw(lambda one: list(multipart.parts_between(one, b"x")), PARTS),
        part_head=raw(lambda one: multipart.part_head(one, 0, len(one)), PARTS),
        parse_parameters=Row(multipart.parse_parameters, HEADS),
    ),
    **rows(percent, percent_decoded=raw(percent.percent_decoded)),
    # The parser under it takes quadratic time over what nests: whoever calls it has asked `is_deep_markup` first.
    **rows(
        page,
        symbols_of=text(page.symbols_of, "\U0001f44d"),
        read_page=Row(lambda one: markup.is_deep_markup(one) or page.read_page(one), PAGES, (("<p>", ""),)),
    ),
    **rows(
        pick,
        ident=text(pick.ident),
        follow=text(lambda one: pick.follow({"a": [{"b": one}]}, "a.0.b." + one), "."),
        header=text(lambda one: pick.header({"x": one}, "x")),
        places=text(lambda one: pick.places({"data": {"ticket": {"text": one}}})),
        flatten=text(lambda one: pick.flatten([{"text": one}])),
        batch=text(lambda one: pick.batch({"items": [{"text": one}]})),
        first_text=text(lambda one: pick.first_text([{"text": one}], pick.TEXT)),
        first_ident=text(lambda one: pick.first_ident([{"id": one}], pick.OWN_ID)),
        first_moment_us=text(lambda one: pick.first_moment_us([{"time": one}], pick.TIME)),
        first_person=text(lambda one: pick.first_person([{"from": one}, {"user": {"email": one}}], {}), "a@"),
        thread_of=text(lambda one: pick.thread_of([{"links": {"ticket": one}}], {}), "/"),
        author_of=text(lambda one: pick.author_of({"author": one}, [{"from": one}], {"user": one}), "a@"),
        channel_of=text(lambda one: pick.channel_of([{"channel": {"id": one, "name": one}}])),
        message_in=text(lambda one: pick.message_in([{"comment": {"body": one}}])),
        newest_in=text(lambda one: pick.newest_in([{"comments": [{"body": one}]}], lambda _: "")),
        tags_of=text(lambda one: pick.tags_of({"tags": one}), ","),
        ticket_of=text(lambda one: pick.ticket_of([{"ticket": {"status": one}}], {"status": one})),
        worded=text(lambda one: pick.worded(bare_object.BareObject({"body": {"plain": one}}))),
    ),
    **rows(
        bare_object,
        held=text(
            lambda one: bare_object.held(bare_object.BareObject({one: one, "subject": one}), pick.SUBJECT),
            "_",
        ),
        under=text(lambda one: bare_object.under({one: one, "subject": one}, pick.SUBJECT), "_"),
    ),
    **rows(
        adf,
        read_adf=text(
            lambda one: adf.read_adf(
                {
                    "type": "doc",
                    "content": [{"type": "paragraph", "content": [{"type": "text", "text": one}]}],
                }
            )
        ),
    ),
    **rows(
        attached,
        files_in=text(lambda one: attached.files_in([{"files": [{"name": one, "url": "https://" + one}]}])),
        name_in=text(attached.name_in, "/", "%41", "?"),
        pictures_in=Row(attached.pictures_in, [*PAGES, "<img ", "<img src='a'>", '<img src="']),
        read_file=text(lambda one: attached.read_file({"name": one, "url": "https://" + one})),
        read_files=text(lambda one: attached.read_files([one, {"url": one}]), "https://a/"),
    ),
    **rows(
        either,
        looks_like_html=Row(either.looks_like_html, PAGES),
        read_either=Row(either.read_either, [*PAGES, *PLAIN]),
    ),
    **rows(lenient, parse_lenient=raw(lenient.parse_lenient, [*JSON, b"\n", b"\t", b'"\n'], *IN_JSON)),
    **rows(lines, is_safe=text(lines.is_safe, "https://a", "\t")),
    **rows(markdown, read_markdown=Row(markdown.read_markdown, MARKDOWN)),
    **rows(
        privacy,
        audience=text(lambda one: privacy.audience({one: one, "public": one, "note": {"visibility": one}})),
        audience_of=text(lambda one: privacy.audience_of({one: one}, {"note": {"visibility": one}})),
        is_private=text(lambda one: privacy.is_private({one: one, "public": one, "visibility": one})),
    ),
    **rows(
        said,
        read_said=Row(lambda one: said.read_said({"body": one}, {"text": one}), [*PAGES, *PLAIN]),
    ),
    **rows(slack_blocks, says=text(lambda one: slack_blocks.says(one, one))),
    **rows(
        teams_markup,
        **{
            name: Row(getattr(teams_markup, name), [*PAGES, "<emoji alt='a'>", "<img alt='a'>", "<emoji "])
            for name in ("teams_html", "teams_text", "with_emoji")
        },
    ),
    **rows(
        unknown,
        is_worded=text(lambda one: unknown.is_worded({"a": [one, {"b": one}], one: one})),
        skip_unknown=text(lambda one: unknown.skip_unknown({"a": [one, {"b": one}]})),
        holds_words=raw(
            lambda one: [unknown.holds_words(Inbound(one, {"content-type": kind})) for kind in (FORM, "")],
            [*RAW, *JSON],
            *IN_JSON,
        ),
    ),
    **rows(
        wiki,
        read_wiki=text(
            wiki.read_wiki, *MARKDOWN, "{code}", "{color:red}", "[a|b]", "||", "h1. a\n", "{*}", "{*}a", "*_a"
        ),
    ),
    **rows(jira_issue, said_in=text(jira_issue.said_in, *MARKDOWN, "{*}", "{_}a", "[a|b]")),
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
        put_either=Row(lambda one: look_up.put_either({}, one), [*PAGES, *PLAIN]),
        put_person=text(lambda one: look_up.put_person({"sender": {}}, one, one, one)),
    ),
    **rows(
        attribution,
        **{
            name: Row(getattr(attribution, name), TEXTS)
            for name in ("midline_start", "run_on_start", "may_end", "is_weak_attribution", "is_preview")
        },
        closes_attribution=Row(lambda one: attribution.closes_attribution([Line(one)], "> " + one), TEXTS),
    ),
    **rows(
        signed,
        without_armour=Row(
            signed.without_armour,
            [*TEXTS, "- \n", "-----BEGIN PGP SIGNED MESSAGE-----\n", "\n-----BEGIN PGP SIGNATURE-----\n"],
        ),
        signed_content=raw(
            signed.signed_content,
            [b"\x04\x00", b"\x04\x01a", b"\x24\x80", b"\x30\x80"],
            (
                bytes.fromhex(
                    "308006092a864886f70d010702a08030800201013100308006092a864886f70d010701a0802480"
                ),
                b"",
            ),
        ),
    ),
    **rows(within, answers_within=Row(within.answers_within, [*TEXTS, "my answers ", "inline ", "see "])),
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
        is_passed_on=Row(
            lambda one: bodies.is_passed_on("VS: " + one, one, one), [*TEXTS, "(a) ", "[a] ", "*a* "]
        ),
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
        header_pairs=text(lambda one: headers.header_pairs({one: [one, one], "a": one})),
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
