#!/usr/bin/env bash
# Bot Framework: with the mention of the bot its name goes out of the whole sentence
#
# Most would expect: remove_recipient_mention() takes "<at>Support</at>" off the text of a
#   Teams message and leaves what the person wrote; the libraries of one maker agree.
# Instead: botbuilder for Python removes the name of the bot wherever it stands, inside words
#   too: "Supporting files; Support desk" is "ing files;  desk". Where the mention has an
#   attribute its tags stay. The one for JavaScript removes the first mention
#   only: of a bot that is named twice "<at>Support</at>" is left in the text. The Agents SDK
#   for Python does as expected, with the same three messages.
# Seen with: botbuilder-core 4.17.1, microsoft-agents-activity 1.9.0 (Python), botbuilder-core
#   4.23.3 (npm), 2026-11-29. Source: botbuilder/core/
#   turn_context.py, remove_mention_text: `re.sub(mention_name_match.groups()[1], "", ...)`;
#   `text.replace(mention.text, '')` in JavaScript, which replaces once.
# Why it matters here: a bot that relays is called after what it is for, and customers write
#   just these words. What they wrote is stored with holes in it, and nobody sees that there was a word.
set -euo pipefail

work=$(mktemp -d)
installing=
trap '[ -z "$installing" ] || kill "$installing" 2>/dev/null || true; rm -rf "$work"' EXIT
cd "$work"

npm init -y >/dev/null
npm install --silent --no-audit --no-fund --ignore-scripts botbuilder-core@4.23.3 >/dev/null &
installing=$!
python3 -m venv env
env/bin/pip install -qq --no-compile --disable-pip-version-check botbuilder-core==4.17.1 microsoft-agents-activity==1.9.0 aiohttp==3.14.5
wait "$installing"
installing=

cat >messages.json <<'END'
[["<at>Support</at> Supporting files; Support desk", "<at>Support</at>"],
 ["<at>Support</at> <at>Support</at> hello", "<at>Support</at>"],
 ["<at id=\"0\">Support</at> hello", "<at id=\"0\">Support</at>"]]
END
cat >show.py <<'END'
import json

from botbuilder.core import TurnContext
from botbuilder.schema import Activity
from microsoft_agents.activity import Activity as NewActivity


def message(text, mention):
    """Return a message as Teams sends it, in which the bot is mentioned."""
    bot = {"id": "28:bot", "name": "Support"}
    return {"type": "message", "text": text, "recipient": bot, "entities": [{"type": "mention", "mentioned": bot, "text": mention}]}


messages = [message(*parts) for parts in json.load(open("messages.json"))]
old = [TurnContext.remove_recipient_mention(Activity().deserialize(one)).strip() for one in messages]
new = [NewActivity.model_validate(one).remove_recipient_mention().strip() for one in messages]
print(json.dumps([old, new]))
END
cat >show.cjs <<'END'
const { TurnContext } = require('botbuilder-core');

const bot = { id: '28:bot', name: 'Support' };
const messages = () =>
  require('./messages.json').map(([text, mention]) => ({
    type: 'message', text, recipient: bot, entities: [{ type: 'mention', mentioned: bot, text: mention }],
  }));
const all = remove => messages().map(one => remove(one).trim());
console.log(JSON.stringify(all(TurnContext.removeRecipientMention)));
END
env/bin/python show.py >python.json
node show.cjs >node.json
cat >compare.py <<'END'
import json

(old, agents), javascript = json.load(open("python.json")), json.load(open("node.json"))
GOOD = ["Supporting files; Support desk", "hello", "hello"]
print("expected:                   ", GOOD)
print("Agents SDK (Python):        ", agents)
print("botbuilder-core (Python):   ", old)
print("botbuilder-core (JS):       ", javascript)
assert agents == GOOD, "the control failed"
assert javascript[0] == GOOD[0] and javascript[2] == GOOD[2], "the second control failed"
assert old[0] == "ing files;  desk", "the name stays in the sentence now"
assert old[2] == '<at id="0"></at> hello', "a mention with an attribute is removed now"
assert javascript[1] == "<at>Support</at> hello", "JavaScript removes the second mention now"
END
env/bin/python compare.py
