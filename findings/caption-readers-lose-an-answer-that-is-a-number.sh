#!/usr/bin/env bash
# Transcripts: "How many seats?" - "250" is "250 3", or the answer is missing
#
# Most would expect: a reader of captions gives each cue with its words. A number above the
#   times is the cue's, a number below them was said, and so was the last cue.
# Instead: vtt-to-json adds the number of the next cue to the words ("250 3"), without numbers
#   makes an answer empty that repeats the cue before ("Sure?" - "Sure?"), and leaves out the
#   last cue of a file that ends with a line end, as text files do. caption2text throws each
#   line away that is a number: of an SRT file the "250" is gone, while of a VTT file the
#   numbers of all cues are left between the words.
# Seen with: vtt-to-json 0.1.1, @plussub/srt-vtt-parser 2.0.5 (npm), caption2text 0.1.2
#   (Python), 2026-11-29. Source: vtt-to-json's index.js, convertVttToJson; caption2text's
#   converter.py, SRT_INDEX_REGEX. Format: WebVTT, section 4.1 (a cue's identifier).
# Why it matters here: calls reach the CRM as transcripts with numbered cues. What a customer
#   answers is often one number, and the last line is what was agreed.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

python3 -m venv env
env/bin/pip install -qq --disable-pip-version-check caption2text==0.1.2
npm init -y >/dev/null
npm install --silent --no-audit --no-fund --ignore-scripts vtt-to-json@0.1.1 @plussub/srt-vtt-parser@2.0.5 >/dev/null

cat >read.py <<'END'
import json

from caption2text.converter import srt_to_transcript, vtt_to_transcript

print(json.dumps([srt_to_transcript("call.srt").split("\n"), vtt_to_transcript("call.vtt").split("\n")]))
END
cat >show.cjs <<'END'
const assert = require('node:assert');
const fs = require('node:fs');
const { execFileSync } = require('node:child_process');
const { parse } = require('@plussub/srt-vtt-parser');
const vttToJson = require('vtt-to-json');

const said = ['How many seats?', '250', 'Sure?', 'Sure?', 'Agreed.'];
const plain = `WEBVTT\n\n${said.map((line, at) => `00:00:0${at}.000 --> 00:00:0${at + 1}.000\n${line}\n`).join('\n')}`;
const cues = said.map((line, at) => `${at + 1}\n00:00:0${at}.000 --> 00:00:0${at + 1}.000\n${line}\n`).join('\n');
fs.writeFileSync('call.vtt', `WEBVTT\n\n${cues}`);
fs.writeFileSync('call.srt', cues.replaceAll('.000', ',000'));

const files = ['call.srt', 'call.vtt'].map((name) => fs.readFileSync(name, 'utf8'));
const control = [...files, plain].map((text) => parse(text).entries.map((cue) => cue.text));
const [srt, vtt] = JSON.parse(execFileSync('env/bin/python', ['read.py'], { stdio: ['ignore', 'pipe', 'ignore'] }));
Promise.all([vttToJson(files[1]), vttToJson(plain)]).then((answers) => {
  const [json, unnumbered] = answers.map((sections) => sections.map((section) => section.part));
  console.log('said:                 ', JSON.stringify(said));
  console.log('vtt-to-json, of VTT:  ', JSON.stringify(json));
  console.log('  without numbers:    ', JSON.stringify(unnumbered));
  console.log('caption2text, of SRT: ', JSON.stringify(srt));
  console.log('caption2text, of VTT: ', JSON.stringify(vtt));
  assert.deepEqual(control, [said, said, said], 'the control failed');
  assert.deepEqual(json, ['How many seats?', '250 3', 'Sure? 4', 'Sure? 5'], 'vtt-to-json reads something else now');
  assert.deepEqual(unnumbered, ['How many seats?', '250', 'Sure?', ''], 'vtt-to-json reads cues without numbers otherwise now');
  assert.deepEqual(srt, ['How many seats?', 'Sure?', 'Sure?', 'Agreed.'], 'caption2text keeps numbers of SRT now');
  assert.deepEqual(vtt, said.flatMap((line, at) => [`${at + 1}`, line]), 'caption2text reads VTT otherwise now');
});
END
node show.cjs
