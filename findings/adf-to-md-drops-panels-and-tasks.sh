#!/usr/bin/env bash
# adf-to-md: panels, task lists and expands vanish with all their words
#
# Most would expect: a node that Markdown has no form for keeps its text (a panel as
#   a quote, a task as a list item).
# Instead: everything inside is left out. The result is well-formed Markdown with
#   empty lines; only a Set beside it names the kinds of nodes ("panel",
#   "taskList"), not what they held. A mention in a sentence vanishes too: "Ask
#   @Ann today" reads "Ask  today".
# Seen with: adf-to-md 1.2.1 (npm), 2026-11-28. Source: index.js, _convert: the
#   default case adds a warning and returns an empty string.
# Why it matters here: Jira Service Management sends comments as ADF. Agents put the
#   steps in a task list and the caution in a panel.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

npm init -y >/dev/null
npm install --silent --no-audit --no-fund --ignore-scripts adf-to-md@1.2.1 >/dev/null

cat >show.mjs <<'END'
import assert from 'node:assert';
import adf from 'adf-to-md';

const text = words => ({ type: 'text', text: words });
const paragraph = (...content) => ({ type: 'paragraph', content });
const document = {
  type: 'doc', version: 1, content: [
    paragraph(text('Ask '), { type: 'mention', attrs: { id: '5b1', text: '@Ann' } }, text(' today.')),
    { type: 'panel', attrs: { panelType: 'warning' }, content: [paragraph(text('Do not restart.'))] },
    { type: 'taskList', attrs: { localId: '1' }, content: [
      { type: 'taskItem', attrs: { localId: '2', state: 'TODO' }, content: [text('Send the log.')] }] },
    { type: 'expand', attrs: { title: 'Details' }, content: [paragraph(text('Version 4.2.'))] },
    paragraph(text('Thanks.')),
  ],
};
const log = console.log;
console.log = () => {};
const { result, warnings } = adf.convert(document);
console.log = log;
console.log('expected: all of: @Ann, Do not restart, Send the log, Version 4.2');
console.log('got:     ', JSON.stringify(result));
console.log('beside it:', [...warnings].join(', '));
assert.match(result, /Ask {2}today\.[^]*Thanks\./, 'the control failed, or mentions are kept now');
for (const lost of ['@Ann', 'Do not restart', 'Send the log', 'Version 4.2']) {
  assert(!result.includes(lost), `${lost} is kept now`);
}
END
node show.mjs
