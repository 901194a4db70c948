#!/usr/bin/env bash
# "+49 151 12345678 (mobil)" is a number of 18 digits for Google's library, 13 for its port
#
# Most would expect: libphonenumber, in its ports, gives one E.164 form for a number as
#   people write it; a remark behind it is left out, or the number is refused.
# Instead: as soon as three letters stand behind, phonenumbers and google-libphonenumber
#   take them for keys of a telephone: "(mobil)" is dialled as 66245 and appended to the
#   number; of "office" the second one makes a digit more or less, since it keeps numbers as
#   doubles. libphonenumber-js leaves the remark out, and in return makes +11800 of
#   "1-800-FLOWERS", which the two others read right. None raises an error; "(AB)" is left
#   out by all.
# Seen with: phonenumbers 9.0.43 (Python), google-libphonenumber 3.2.47, libphonenumber-js
#   1.13.16 (npm), 2026-11-28. Source: phonenumberutil.py, _normalize: VALID_ALPHA_PHONE
#   (three letters or more).
# Why it matters here: contacts of a CRM are matched by E.164. A remark from an address
#   book or a signature gives a caller whom nobody has, by the service that asks.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

python3 -m venv env
env/bin/pip install -qq --disable-pip-version-check phonenumbers==9.0.43
npm init -y >/dev/null
npm install --silent --no-audit --no-fund --ignore-scripts google-libphonenumber@3.2.47 libphonenumber-js@1.13.16 >/dev/null

cat >numbers.json <<'END'
["+49 151 12345678", "+49 151 12345678 (AB)", "+49 151 12345678 (mobil)", "+49 151 12345678 office", "1-800-FLOWERS"]
END
cat >read.py <<'END'
import json

import phonenumbers

numbers = [phonenumbers.parse(text, "US") for text in json.load(open("numbers.json"))]
print(json.dumps([phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164) for number in numbers]))
END
cat >show.mjs <<'END'
import assert from 'node:assert';
import fs from 'node:fs';
import { execFileSync } from 'node:child_process';
import google from 'google-libphonenumber';
import { parsePhoneNumberFromString } from 'libphonenumber-js/max';

const texts = JSON.parse(fs.readFileSync('numbers.json'));
const util = google.PhoneNumberUtil.getInstance();
const seen = {
  phonenumbers: JSON.parse(execFileSync('env/bin/python', ['read.py'])),
  'google-libphonenumber': texts.map(text => util.format(util.parse(text, 'US'), google.PhoneNumberFormat.E164)),
  'libphonenumber-js': texts.map(text => parsePhoneNumberFromString(text, 'US').number),
};
texts.forEach((text, at) => console.log(text.padEnd(25), Object.entries(seen).map(([who, numbers]) => `${who} ${numbers[at]}`).join('  ')));
const right = '+4915112345678';
for (const [who, numbers] of Object.entries(seen)) assert.deepEqual(numbers.slice(0, 2), [right, right], `the control failed: ${who}`);
for (const [who, last] of [['phonenumbers', 3], ['google-libphonenumber', 4]]) {
  assert.deepEqual(seen[who].slice(2), [`${right}66245`, `${right}63342${last}`, '+18003569377'], `${who} reads remarks in another way now`);
}
assert.deepEqual(seen['libphonenumber-js'].slice(2), [right, right, '+11800'], 'libphonenumber-js reads letters in another way now');
END
node show.mjs
