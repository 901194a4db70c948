#!/usr/bin/env bash
# jira2md: underscores in a bare link and stars in a code block are rewritten
#
# Most would expect: Jira's wiki marks are translated in prose; a URL and what stands
#   in {code} or {noformat} come through letter by letter.
# Instead: "https://example.com/a_b_c" becomes "https://example.com/a*b*c": still a
#   link, and one to another page. Inside a code block "f(*p, *q)" becomes "f(**p, **q)",
#   and snake_case_name in prose "snake*case*name".
# Seen with: jira2md 3.0.1 (npm), 2026-11-28. Source: index.js, to_markdown: a chain
#   of replaces over the whole text, without tokens.
# Why it matters here: Jira's comments come as wiki text through webhooks. A link in
#   a support conversation must lead where the customer pointed.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

npm init -y >/dev/null
npm install --silent --no-audit --no-fund --ignore-scripts jira2md@3.0.1 >/dev/null

cat >show.mjs <<'END'
import assert from 'node:assert';
import j2m from 'jira2md';

const rows = {
  'See https://example.com/a_b_c now': 'See https://example.com/a*b*c now',
  '{code}\nf(*p, *q);\n{code}': '```\nf(**p, **q);\n```',
  'snake_case_name': 'snake*case*name',
  '*bold* and _italic_': '**bold** and *italic*',
};
for (const [wiki, other] of Object.entries(rows)) {
  const markdown = j2m.to_markdown(wiki);
  console.log(`${JSON.stringify(wiki)}\n   -> ${JSON.stringify(markdown)}`);
  assert.equal(markdown, other, 'translated otherwise now');
}
END
node show.mjs
