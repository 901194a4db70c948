#!/usr/bin/env bash
# draftjs-to-html: code is gone without a trace, and a sub-point stands under the wrong point
#
# Most would expect: what was written in a Draft.js editor comes out with all its words and
#   in its order; a list may look a little different.
# Instead: draftjs-to-html knows "code", while Draft.js itself calls its block "code-block":
#   such lines leave nothing behind, as does each type that the library does not know. Where
#   a numbered list has a sub-point and a bullet below that, the sub-point of "one" is printed
#   after "two" and its bullet before. draft-js-export-html and Python's draftjs_exporter
#   have the words, and their order.
# Seen with: draftjs-to-html 0.9.1, draft-js 0.11.7, draft-js-export-html 1.4.1 (npm),
#   draftjs_exporter 7.3.1 (Python), 2026-11-29. Source: draftjs-to-html's lib/draftjs-to-html.js,
#   blockTypesMapping and getListMarkup.
# Why it matters here: notes and articles of older help desks and CRMs are Draft.js JSON. The
#   error message that the customer put into a code block is what the ticket is about.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

python3 -m venv env
env/bin/pip install -qq --disable-pip-version-check draftjs_exporter==7.3.1
npm init -y >/dev/null
npm install --silent --no-audit --no-fund --ignore-scripts draftjs-to-html@0.9.1 draft-js@0.11.7 draft-js-export-html@1.4.1 react@18.3.1 react-dom@18.3.1 immutable@3.7.6 >/dev/null

cat >export.py <<'END'
import json
import sys

from draftjs_exporter.html import HTML

print(json.dumps([HTML({}).render(content) for content in json.load(sys.stdin)]))
END
cat >show.cjs <<'END'
const assert = require('node:assert');
const { execFileSync } = require('node:child_process');
const { ContentState, EditorState, RichUtils, convertFromRaw, convertToRaw } = require('draft-js');
const { stateToHTML } = require('draft-js-export-html');
const draftToHtml = require('draftjs-to-html');

const block = (text, type, depth = 0) => ({ key: text, text, type, depth, inlineStyleRanges: [], entityRanges: [], data: {} });
const content = (...blocks) => ({ blocks, entityMap: {} });
const editor = RichUtils.toggleCode(EditorState.createWithContent(ContentState.createFromText('Error 4711')));
const contents = {
  control: content(block('Title', 'header-two'), block('one', 'ordered-list-item'), block('two', 'ordered-list-item')),
  code: convertToRaw(editor.getCurrentContent()),
  list: content(block('one', 'ordered-list-item'), block('inner', 'ordered-list-item', 1), block('deep', 'unordered-list-item', 2), block('two', 'ordered-list-item')),
};
const words = (html) => html.replace(/<[^>]*>/g, ' ').trim().split(/\s+/).join(' ');
const python = JSON.parse(execFileSync('env/bin/python', ['export.py'], { input: JSON.stringify(Object.values(contents)) }));
const seen = Object.fromEntries(Object.entries(contents).map(([name, raw], at) => [name, {
  'draftjs-to-html': words(draftToHtml(raw)),
  'draft-js-export-html': words(stateToHTML(convertFromRaw(raw))),
  draftjs_exporter: words(python[at]),
}]));
console.log('the code block of Draft.js: %s', contents.code.blocks[0].type);
for (const [name, texts] of Object.entries(seen)) console.log(name.padEnd(8), JSON.stringify(texts));
const right = { control: 'Title one two', code: 'Error 4711', list: 'one inner deep two' };
for (const [name, text] of Object.entries(right)) for (const library of ['draft-js-export-html', 'draftjs_exporter']) assert.equal(seen[name][library], text, 'the second control failed');
assert.equal(seen.control['draftjs-to-html'], right.control, 'the control failed');
assert.equal(seen.code['draftjs-to-html'], '', 'it writes code now');
assert.equal(seen.list['draftjs-to-html'], 'one deep two inner', 'the points are in order now');
END
node show.cjs
