#!/usr/bin/env bash
# Chatwoot's "Markdown to plain text" writes the whole message as one word after another
#
# Most would expect: headings, paragraphs, list entries and lines of code come out one
#   below the other, as with the package that it is a copy of.
# Instead: @chatwoot/markdown-to-txt joins all blocks with nothing between: "## Order",
#   "Desk", "- red" and "- blue" become "OrderDeskredblue". Hard line breaks are dropped
#   as well; only soft ones stay, which the original keeps too. The original,
#   markdown-to-txt, puts each block on lines of its own.
# Seen with: @chatwoot/markdown-to-txt 2.0.4, markdown-to-txt 2.0.1 (npm), 2026-11-28.
#   Source: dist/markdown-to-txt.js, `const block = text => text + ""` where the original
#   has "\n\n"; made for one-line previews, which no word of its description says.
# Why it matters here: it is the obvious package for the text of a Chatwoot message. In a
#   conversation's snippet two order numbers in a list become one.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

npm init -y >/dev/null
npm install --silent --no-audit --no-fund --ignore-scripts @chatwoot/markdown-to-txt@2.0.4 markdown-to-txt@2.0.1 lodash@4.17.21 >/dev/null

cat >show.mjs <<'END'
import assert from 'node:assert';
import chatwoot from '@chatwoot/markdown-to-txt';
import original from 'markdown-to-txt';

const text = '## Order\n\nTwo desks, **both** oak\n\n- 4711\n- 4712\n\nsoft\nline and hard  \nline\n\n```\na = 1\n```';
const ours = chatwoot.markdownToTxt(text);
const theirs = original.markdownToTxt(text);
console.log('markdown-to-txt 2.0.1:          ', JSON.stringify(theirs));
console.log('@chatwoot/markdown-to-txt 2.0.4:', JSON.stringify(ours));
assert(theirs.includes('4711\n') && theirs.includes('Order\n'), 'the control failed');
assert.equal(ours, 'OrderTwo desks, both oak47114712soft\nline and hardlinea = 1', 'it is written otherwise now');
END
node show.mjs
