"""The table goes on: functions that read large bodies and proofs, and the texts of what was accepted (descriptions, search, erasing, the console)."""

from __future__ import annotations

from relay import conversation
from relay.description import depth, entries, links, plain, quick, safe, stored, vocabulary
from relay.operations import selection
from relay.operations.search import words
from relay.planhat import complaints
from relay.source_options import SourceOptions
from relay.sources import large_json
from relay.sources.base import Inbound
from relay.sources.large_json import LongText
from relay.sources.mail import slim
from relay.sources.proof import credentials, freshness, jwt, rule, sns, standard
from relay.web.console import render
from tests.sources.test_every_source import NOW_S
from tests.sources.test_mail_growth import MAILS, TEXTS
from tests.text_functions import IN_JSON, IN_MAIL
from tests.text_pieces import JSON, PLAIN, RAW, Row, raw, rows, text

TOKENS = ("a.", "a", "=", ",", "v1,YQ== ", "Bearer ", ":", "https://a/")
WORDS = [*PLAIN, *TEXTS, "a@", "a.", "a.b@c.d ", "ß", "漢", "한", "e\u0301", "A1 ", "_", "+"]


#: No text comes to these.
NOT_STORED_TEXT = {"relay.description.stored:mend_registers": "changes stored registers' ways"}


def _head(given: str) -> Inbound:
    names = ("authorization", "x-api-key", "webhook-id", "webhook-signature", "x-webhook-token", "x-id")
    return Inbound(
        b"{}", {**dict.fromkeys(names, given), "webhook-timestamp": str(int(NOW_S))}, query={"token": given}
    )


#: Of pages, those that a parser minds most: all of them take it seconds.
FEW = ["<p>", "<b>", "<td>", "<div></div>", "<ul><li>", "<!--", "&", "a", "\n", "<"]
SAFE = [
    "<p>x</p>",
    "<p></p>",
    "<p><b></b></p>",
    "<br>",
    "&amp;",
    "a",
    "<ul><li>a</li></ul>",
    "é",
    "\U0001f600",
]
STORED_ROWS: dict[str, Row] = {
    **rows(
        large_json,
        load_large=raw(
            lambda one: large_json.load_large(one * 3),
            [*JSON, b'"\\"', b"\xf0\x9f\x98\x80", b'"a",'],
            *IN_JSON,
        ),
        dump_large=text(lambda one: large_json.dump_large([LongText.of(one.encode("utf-8", "replace"))])),
        utf8_of=text(lambda one: large_json.utf8_of(LongText.of(one.encode("utf-8", "replace")))),
        utf8_size=text(large_json.utf8_size),
        base64_size=text(large_json.base64_size, "="),
    ),
    **rows(
        slim,
        slim=raw(
            lambda one: slim.slim(one * 25), [*MAILS, b"\n--", b"A" * 76 + b"\n", b"A" * 76, b"A\n"], *IN_MAIL
        ),
    ),
    **rows(
        credentials,
        verify_basic=text(lambda one: credentials.verify_basic(_head("Basic " + one), ["a:b"]), *TOKENS),
        verify_bearer=text(lambda one: credentials.verify_bearer(_head("Bearer " + one), ["a"]), *TOKENS),
        verify_api_key=text(lambda one: credentials.verify_api_key(_head(one), "X-Api-Key", ["a"]), *TOKENS),
        verify_login=text(
            lambda one: credentials.verify_login(_head(one), SourceOptions(name="x", adapter="generic")),
            *TOKENS,
        ),
        keyed_digest=raw(lambda one: credentials.keyed_digest(b"k", one)),
        matches_hex=text(lambda one: credentials.matches_hex(one, ["k"], b"x"), *TOKENS),
        matches_base64=text(lambda one: credentials.matches_base64(one, ["k"], b"x"), *TOKENS),
    ),
    **rows(
        freshness,
        require_window=text(
            lambda one: freshness.require_window(
                one, SourceOptions(name="x", adapter="generic"), now_s=NOW_S, default_s=300
            ),
            "1",
        ),
    ),
    **rows(
        jwt,
        bearer_token=text(jwt.bearer_token, *TOKENS),
        verify_jwt=raw(
            lambda one: jwt.verify_jwt(
                one, jwt.JwtRules(("HS256",), secrets=lambda: ["k" * 40]), now_s=NOW_S
            ),
            [*RAW, b"a.", b"."],
        ),
        read_payload=raw(lambda one: jwt.read_payload(b"a." + one + b".a"), [*RAW, b"e30", b"."]),
        read_claims=raw(lambda one: jwt.read_claims(b"a." + one + b".a"), [*RAW, b"e30", b"."]),
    ),
    **rows(
        rule,
        token_of=text(lambda one: rule.token_of(_head(one)), *TOKENS),
        delivery_of=text(lambda one: rule.delivery_of(_head(one), "x-id"), *TOKENS),
    ),
    **rows(
        sns,
        amazon_url=text(lambda one: sns.amazon_url("https://sns." + one), *TOKENS, "a.", ".amazonaws.com"),
        certificate_url=text(lambda one: sns.certificate_url("https://sns." + one), *TOKENS, ".pem"),
        confirmation_url=text(lambda one: sns.confirmation_url("https://sns." + one), *TOKENS, "&"),
    ),
    **rows(
        standard,
        verify_standard_webhooks=text(
            lambda one: standard.verify_standard_webhooks(_head(one), ["whsec_a2V5"], (), NOW_S), *TOKENS
        ),
        look_at_standard_head=text(lambda one: standard.look_at_standard_head(_head(one), NOW_S), *TOKENS),
    ),
    **rows(depth, is_deep=Row(depth.is_deep, FEW)),
    **rows(
        entries,
        block_of=Row(entries.block_of, FEW),
        join=Row(lambda one: entries.join([one] * 3, limit=40_000), SAFE),
        edges=Row(entries.edges, FEW),
        fit_to_planhat=Row(lambda one: entries.fit_to_planhat(one, limit=40_000), SAFE),
    ),
    **rows(
        links,
        link_of=text(links.link_of, "https://a", "\t", "&#106;", "javascript:"),
        image_name=text(
            lambda one: links.image_name("img", {"src": "https://a/" + one, "alt": one}), "/", "?", "%41"
        ),
    ),
    **rows(plain, plain_text=Row(plain.plain_text, FEW), without_tags=Row(plain.without_tags, FEW)),
    **rows(plain, words_of_html=Row(lambda one: is_shallow(one) and plain.words_of_html(one), FEW)),
    **rows(
        quick,
        is_bare=Row(quick.is_bare, FEW),
        quick_html=Row(quick.quick_html, FEW),
    ),
    **rows(safe, safe_html=Row(safe.safe_html, FEW)),
    **rows(stored, blocks_of=Row(stored.blocks_of, FEW)),
    **rows(vocabulary, names=text(vocabulary.names, "a ", "a")),
    **rows(
        words,
        text_as_compared=Row(words.text_as_compared, WORDS),
        search_words=Row(lambda one: list(words.search_words(one + "@")), WORDS),
        distinct_words=Row(lambda one: words.distinct_words(one, one + "@"), WORDS),
    ),
    **rows(
        selection,
        cause_group=text(lambda one: selection.cause_group({"cause": one}), '"a"', "1", "'", "evt_1 "),
    ),
    **rows(conversation, safe_external_id=text(conversation.safe_external_id, "_", "é")),
    **rows(complaints, complaint_kind=text(complaints.complaint_kind, '"', "1", "a ", "[", "'a'")),
    **rows(
        render,
        pretty=text(lambda one: render.pretty({"a": one}), "<"),
        plain_cell=text(render.plain_cell, "=", "<"),
    ),
}


def is_shallow(markup: str) -> bool:
    return not depth.is_deep(markup)
