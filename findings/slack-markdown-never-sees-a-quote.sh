#!/usr/bin/env bash
# slack-markdown: it reads a message as it is typed, not as Slack sends it
#
# Most would expect: "a markdown parser for Slack messages" takes what Slack's API and
#   events hold. There "<", ">" and "&" of the text are always written &lt; &gt; &amp;,
#   so a quoted line begins with "&gt;".
# Instead: only a line that begins with a bare ">" is a quote, which no message from
#   Slack has. By default the three are escaped once more ("AT&amp;amp;T"), as if they
#   were text. With escapeHTML: false prose is right, a quote is still none, and inside
#   code they are escaped all the same. No setting reads a genuine message right.
# Seen with: slack-markdown 0.3.0 (npm); slack-to-html 2.1.0 (npm) reads the same texts;
#   2026-11-28. Source: slack-markdown, index.js, the rules blockQuote and codeBlock.
# Why it matters here: who said what is lost in a conversation made from it: the quoted
#   words and the answer are one paragraph, and a reader sees "&gt;" and "&lt;".
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

npm init -y >/dev/null
npm install --silent --no-audit --no-fund --ignore-scripts slack-markdown@0.3.0 slack-to-html@2.1.0 >/dev/null

cat >show.mjs <<'END'
import assert from 'node:assert';
import { createRequire } from 'node:module';
import { escapeForSlackWithMarkdown as control } from 'slack-to-html';

const { toHTML } = createRequire(import.meta.url)('slack-markdown');
const sent = { quote: '&gt; It fails.\nSince when is that?', prose: 'AT&amp;T', code: '```a &lt; b```' };
const rows = Object.entries(sent).map(([name, text]) =>
  [name, toHTML(text), toHTML(text, { escapeHTML: false }), control(text)]);
console.log('a message as Slack sends it | slack-markdown 0.3.0 | with escapeHTML: false | slack-to-html 2.1.0');
for (const row of rows) console.log(' ', row.join(' | ').replaceAll('\n', '\\n'));
const [quote, prose, code] = rows;
assert.match(toHTML('> It fails.\nSince when is that?'), /<blockquote>It fails/, 'the control failed');
assert.match(quote[3], /quote|slack_block/, 'the control failed');
assert.equal(prose[2], 'AT&amp;T', 'the control failed');
assert.ok(!/blockquote/.test(quote[1] + quote[2]), 'a quote is seen now');
assert.equal(prose[1], 'AT&amp;amp;T', 'prose is escaped otherwise now');
assert.match(code[2], /a &amp;lt; b/, 'code is escaped otherwise now');
END
node show.mjs
