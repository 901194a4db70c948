#!/usr/bin/env bash
# slack-to-html: a quote may swallow the answer, and one further down is none
#
# Most would expect: as in Slack, ">" quotes the line that it begins, wherever the line
#   stands (and ">>>" the rest of the message).
# Instead: when the answer below the quoted line is a single word, it is inside the
#   quote as well; when the quoted line is not the message's first, it is left as
#   "&gt; ..." in the text. Who said what is turned round in one case and lost in
#   the other.
# Seen with: slack-to-html 2.1.0 (npm), 2026-11-28. Source: dist/index.mjs, the
#   block-quote patterns "&gt;" and "&gt;&gt;&gt;".
# Why it matters here: quoting a line and answering below it is how people answer in
#   Slack; a conversation in the CRM then shows the answer as the customer's words.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

npm init -y >/dev/null
npm install --silent --no-audit --no-fund --ignore-scripts slack-to-html@2.1.0 >/dev/null

cat >show.mjs <<'END'
import assert from 'node:assert';
import { escapeForSlackWithMarkdown as toHtml } from 'slack-to-html';

const close = toHtml('&gt; Is it fixed?\nYes, in 4.2.');
const short = toHtml('&gt; Is it fixed?\nYes.');
const second = toHtml('You asked:\n&gt; Is it fixed?\nYes, in 4.2.');
const words = html => /<span class="slack_block">([^]*?)<\/span>/.exec(html)?.[1].trim() ?? 'nothing';
console.log('expected to be quoted: "Is it fixed?", three times');
console.log('answered "Yes, in 4.2.":   ', JSON.stringify(words(close)));
console.log('answered "Yes.":           ', JSON.stringify(words(short)));
console.log('quote in the second line: ', JSON.stringify(words(second)));
assert.equal(words(close), 'Is it fixed?', 'the control failed');
assert.equal(words(short), 'Is it fixed?\nYes.', 'the quote ends with its line now');
assert.equal(words(second), 'nothing', 'a later quote is recognised now');
assert(second.includes('&gt; Is it fixed?'), 'the words have changed');
END
node show.mjs
