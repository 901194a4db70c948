#!/usr/bin/env bash
# talon and planer: a mail's text ends after 1,000 lines, quote or not
#
# Most would expect: a text too long to be analysed is handed back whole, or an
#   error says that it is too long.
# Instead: extract_from_plain reads the first 1,000 lines and returns only these.
#   There is no quote in the text, no error, no mark where it was cut. The port for
#   Node does the same; Crisp's reader (email-reply-parser, npm) keeps all.
# Seen with: talon 1.4.4 (Python), planer 1.2.0 and email-reply-parser 2.3.7 (npm),
#   2026-11-28. Source: talon/quotations.py, MAX_LINES_COUNT.
# Why it matters here: customers paste logs. What they write below the log ("please
#   restart it before noon") never reaches anybody.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

python3 -m venv env
env/bin/pip install -qq --disable-pip-version-check talon==1.4.4
npm init -y >/dev/null
npm install --silent --no-audit --no-fund --ignore-scripts planer@1.2.0 email-reply-parser@2.3.7 >/dev/null

cat >show.py <<'END'
from talon import quotations

text = "\n".join(f"log entry {number}" for number in range(1499)) + "\nPlease restart it before noon."
lines = quotations.extract_from_plain(text).splitlines()
print(len(lines), lines[-1])
END
cat >show.cjs <<'END'
const planer = require('planer');
const EmailReplyParser = require('email-reply-parser');

const log = Array.from({ length: 1499 }, (_, number) => `log entry ${number}`);
const text = [...log, 'Please restart it before noon.'].join('\n');
const which = process.argv[2];
const reader = EmailReplyParser.default || EmailReplyParser;
const kept = which === 'planer' ? planer.extractFrom(text, 'text/plain') : new reader().read(text).getVisibleText();
const lines = kept.trim().split('\n');
console.log(lines.length, lines.at(-1));
END
talon=$(env/bin/python show.py 2>/dev/null)
planer=$(node show.cjs planer)
crisp=$(node show.cjs crisp)
echo "lines kept of 1500, and the last one; nothing in the text is quoted"
echo "  expected:           1500 Please restart it before noon."
echo "  talon 1.4.4:        $talon"
echo "  planer 1.2.0:       $planer"
echo "  email-reply-parser: $crisp"
[ "$talon" = "1000 log entry 999" ] || { echo "talon behaves otherwise"; exit 1; }
[ "$planer" = "1000 log entry 999" ] || { echo "planer behaves otherwise"; exit 1; }
[ "$crisp" = "1500 Please restart it before noon." ] || { echo "the control failed"; exit 1; }
