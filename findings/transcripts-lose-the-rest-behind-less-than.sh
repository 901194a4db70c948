#!/usr/bin/env bash
# A transcript says "if A < B then stop"; what is read is "if A", and R&D is "R&;D"
#
# Most would expect: what is said in a call is in the transcript (WebVTT), and one reader
#   finds what another writer wrote: the words, and who said them.
# Instead: Deepgram's writer puts the words in as they are. "<" begins a tag in WebVTT, so
#   that readers which follow the standard drop the rest of the line. Written right, as
#   &amp; and &lt;, it does not help: webvtt-parser, by an editor of the standard, reads
#   "R&;D" and "A <; B" unless it is handed a list of entities; webvtt-py leaves
#   "R&amp;D", and gives a cue with two speakers to the first of them.
# Seen with: @deepgram/captions 1.2.0, webvtt-parser 2.2.0, media-captions 1.0.4 (npm),
#   webvtt-py 0.6.0 (Python), 2026-11-28. Source: webvtt-parser's default entities end
#   without ";"; webvtt-py, Caption.voice. Format: WebVTT, WebVTT cue text span, 4.2.2.
# Why it matters here: calls reach the CRM as transcripts (Zoom, Teams, Aircall). "The
#   export stops if rows < 5" says nothing of what is wrong, or the customer is quoted with
#   what the agent said.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

python3 -m venv env
env/bin/pip install -qq --disable-pip-version-check webvtt-py==0.6.0
npm init -y >/dev/null
npm install --silent --no-audit --no-fund --ignore-scripts @deepgram/captions@1.2.0 webvtt-parser@2.2.0 media-captions@1.0.4 >/dev/null

cat >right.vtt <<'END'
WEBVTT

00:00:01.000 --> 00:00:04.000
<v Ann Lee>R&amp;D says: if A &lt; B then stop.</v>

00:00:04.000 --> 00:00:08.000
<v Ann Lee>Is it fixed?</v>
<v Bob Ray>Not yet.</v>
END
cat >show.mjs <<'END'
import assert from 'node:assert';
import fs from 'node:fs';
import { execFileSync } from 'node:child_process';
import { createRequire } from 'node:module';
import { parseText, tokenizeVTTCue } from 'media-captions';

const require = createRequire(import.meta.url);
const { webvtt } = require('@deepgram/captions');
const { WebVTTParser } = require('webvtt-parser');

const words = 'If A < B then stop.'.split(' ').map((word, at) => ({ word, punctuated_word: word, start: at, end: at + 0.5, confidence: 1, speaker: 0 }));
const answer = {
  metadata: { request_id: 'made up', created: '2026-11-28T10:00:00Z', duration: 9, channels: 1 },
  results: { channels: [{ alternatives: [{ transcript: '', words }] }], utterances: [{ start: 0, end: 6, transcript: '', words, speaker: 0 }] },
};
const written = webvtt(answer);
const right = fs.readFileSync('right.vtt', 'utf8');

const spoken = node => (node.children ? node.children.map(spoken).join('') : (node.value ?? node.data));
const parser = text => new WebVTTParser().parse(text).cues.map(cue => spoken(cue.tree));
const captions = async text => (await parseText(text, { type: 'vtt' })).cues.map(cue => tokenizeVTTCue(cue).map(spoken).join(''));
const seen = {
  'webvtt-parser': [parser(written), parser(right)],
  'media-captions': [await captions(written), await captions(right)],
};
console.log('Deepgram writes:', JSON.stringify(written.trim().split('\n').at(-1)));
for (const [reader, [first, second]] of Object.entries(seen)) console.log(`${reader.padEnd(14)} of Deepgram's: ${JSON.stringify(first)}; of the right one: ${JSON.stringify(second)}`);
const python = JSON.parse(execFileSync('env/bin/python', ['read.py']));
console.log('webvtt-py      of the right one:', JSON.stringify(python));

assert.deepEqual(seen['media-captions'][1], ['R&D says: if A < B then stop.', 'Is it fixed?\nNot yet.'], 'the control failed');
assert(written.includes('If A < B then stop.'), 'Deepgram writes &lt; now');
for (const [reader, [first]] of Object.entries(seen)) assert.equal(first[0].trim(), 'If A', `${reader} reads on now`);
assert.equal(seen['webvtt-parser'][1][0], 'R&;D says: if A <; B then stop.', 'webvtt-parser knows &amp; now');
assert.deepEqual(python[0], ['Ann Lee', 'R&amp;D says: if A &lt; B then stop.'], 'webvtt-py reads entities now');
assert.deepEqual(python[1], ['Ann Lee', 'Is it fixed?\nNot yet.'], 'webvtt-py tells two speakers apart now');
END
cat >read.py <<'END'
import json

import webvtt

print(json.dumps([(caption.voice, caption.text) for caption in webvtt.read("right.vtt")]))
END
node show.mjs
