#!/usr/bin/env bash
# md-to-adf: the minutes of a time of day become an emoji and are gone from the text
#
# Most would expect: Markdown's "at 10:30:45 it fell" is one text node in ADF. Names such
#   as :smile: may become emoji nodes.
# Instead: any ":word:" is one, digits too, wherever it stands: the text is "at 10", an
#   emoji named "30", and "45 it fell". The colons are gone, and Jira knows no emoji of
#   that name. "urn:isbn:0451" and "a:b:c" fare the same. marklassian leaves
#   times alone.
# Seen with: md-to-adf 0.6.4 and marklassian 1.2.1 (npm), 2026-11-28. Source: md-to-adf,
#   source/adfHandling.js, the expression for emoji: anything but blanks between colons.
# Why it matters here: a customer's log lines sent on to a Jira comment lose the minutes
#   of each time stamp, and whoever reads the comment back by its text nodes gets "1045".
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

npm init -y >/dev/null
npm install --silent --no-audit --no-fund --ignore-scripts md-to-adf@0.6.4 marklassian@1.2.1 >/dev/null

cat >show.mjs <<'END'
import assert from 'node:assert';
import { createRequire } from 'node:module';
import { markdownToAdf } from 'marklassian';

const mdToAdf = createRequire(import.meta.url)('md-to-adf');
const nodes = (adf) => JSON.parse(JSON.stringify(adf)).content[0].content
  .map((node) => (node.type === 'emoji' ? `<emoji ${node.attrs.shortName}>` : node.text));

const texts = ['fine so far', 'at 10:30:45 it fell', 'urn:isbn:0451'];
console.log('expected: one text node each');
for (const text of texts) {
  const [control, seen] = [nodes(markdownToAdf(text)), nodes(mdToAdf(text))];
  console.log(`  marklassian 1.2.1: ${JSON.stringify(control)}   md-to-adf 0.6.4: ${JSON.stringify(seen)}`);
  assert.deepEqual(control, [text], 'the control failed');
}
assert.deepEqual(nodes(mdToAdf(texts[0])), [texts[0]], 'the control failed');
assert.deepEqual(nodes(mdToAdf(texts[1])), ['at 10', '<emoji 30>', '45 it fell'], 'times are read otherwise now');
assert.deepEqual(nodes(mdToAdf(texts[2])), ['urn', '<emoji isbn>', '0451'], 'colons are read otherwise now');
END
node show.mjs
