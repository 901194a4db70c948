#!/usr/bin/env bash
# html-to-mrkdwn: a table vanishes without a word left
#
# Most would expect: cells become lines or columns of text, since Slack has no tables.
# Instead: everything inside <table> is gone, also when the "table" is only the
#   layout (as in almost every HTML mail). The result of a mail that is one table is
#   an empty string, which Slack refuses ("no_text").
# Seen with: html-to-mrkdwn 3.0.0 (npm), 2026-11-28. Source: its list of translators
#   for node-html-markdown, where tables have none.
# Why it matters here: mail that is passed on into Slack loses exactly the order, the
#   figures, the log.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

npm init -y >/dev/null
npm install --silent --no-audit --no-fund --ignore-scripts html-to-mrkdwn@3.0.0 >/dev/null

cat >show.mjs <<'END'
import assert from 'node:assert';
import module from 'html-to-mrkdwn';

const toMrkdwn = module.default || module;
const render = html => toMrkdwn(html).text;
const inParagraph = render('<p>Order 7 is late.</p>');
const inTable = render('<table><tr><td>Order 7</td><td>is late.</td></tr></table>');
const between = render('<p>Hello,</p><table><tr><td>Order 7 is late.</td></tr></table><p>Ann</p>');
console.log('expected: the words, in each');
console.log('in a paragraph:', JSON.stringify(inParagraph));
console.log('in a table:    ', JSON.stringify(inTable));
console.log('between:       ', JSON.stringify(between));
assert.equal(inParagraph, 'Order 7 is late.', 'the control failed');
assert.equal(inTable.trim(), '', 'tables are kept now');
assert(between.includes('Hello,') && between.includes('Ann') && !between.includes('Order'), 'tables are kept now');
END
node show.mjs
