#!/usr/bin/env bash
# JWT: a token whose "iat" lies ahead is refused in Python and taken in JavaScript
#
# Most would expect: "iat" says when a token was issued and forbids nothing; that is what
#   "nbf" is for (RFC 7519, sections 4.1.5 and 4.1.6). Two good libraries agree.
# Instead: PyJWT and joserfc treat iat as a second nbf, with a leeway of 0; jsonwebtoken
#   and jose do not look at it. And joserfc compares with whole seconds: it refuses a
#   token with "iat": time.time() that it has made itself, until the next second begins.
# Seen with: PyJWT 2.15.1, joserfc 1.8.0 (Python), jsonwebtoken 9.0.3, jose 6.2.18
#   (npm), 2026-11-28. Source: jwt/api_jwt.py, _validate_iat; joserfc/_rfc7519/claims.py,
#   validate_iat.
# Why it matters here: chat and meeting providers sign their calls with a JWT made the
#   moment before. A receiver whose clock is a second behind answers 401 to genuine ones
#   at random; the same code in the other language never does.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

python3 -m venv env
env/bin/pip install -qq --disable-pip-version-check PyJWT==2.15.1 joserfc==1.8.0
npm init -y >/dev/null
npm install --silent --no-audit --no-fund --ignore-scripts jsonwebtoken@9.0.3 jose@6.2.18 >/dev/null

cat >show.mjs <<'END'
import jsonwebtoken from 'jsonwebtoken';
import { jwtVerify } from 'jose';

const [key, ...tokens] = process.argv.slice(2);
async function verdict(check) {
  try { await check(); return 'taken'; } catch (error) { return `refused (${error.message})`; }
}
const answers = [];
for (const token of tokens) {
  answers.push({
    jsonwebtoken: await verdict(() => jsonwebtoken.verify(token, key, { algorithms: ['HS256'] })),
    jose: await verdict(() => jwtVerify(token, new TextEncoder().encode(key))),
  });
}
console.log(JSON.stringify(answers));
END
cat >show.py <<'END'
import json
import subprocess
import sys
import time

import jwt
from joserfc import jwt as joserfc
from joserfc.jwk import OctKey

KEY = "a key made up for this script, 32+"


def verdict(check, token):
    try:
        check(token)
    except Exception as error:
        return f"refused ({error})"
    return "taken"


def by_joserfc(token):
    registry = joserfc.JWTClaimsRegistry()
    registry.validate(joserfc.decode(token, OctKey.import_key(KEY), algorithms=["HS256"]).claims)


def by_pyjwt(token):
    jwt.decode(token, KEY, algorithms=["HS256"])


def made(claims):
    return joserfc.encode({"alg": "HS256"}, claims, OctKey.import_key(KEY))


while time.time() % 1 > 0.3:  # leave most of a second for the check of the fraction
    time.sleep(0.05)
own = verdict(by_joserfc, made({"iat": time.time()}))
now = int(time.time())
cases = {"iat is now": {"iat": now}, "iat 30 s ahead": {"iat": now + 30}, "nbf 30 s ahead": {"nbf": now + 30}}
tokens = [made(claims) for claims in cases.values()]
rows = [{"PyJWT": verdict(by_pyjwt, token), "joserfc": verdict(by_joserfc, token)} for token in tokens]
script = json.loads(subprocess.check_output([sys.argv[1], "show.mjs", KEY, *tokens], text=True))
for name, row, other in zip(cases, rows, script, strict=True):
    row.update(other)
    print(f"{name:15}", " | ".join(f"{library}: {answer}" for library, answer in row.items()))
print("joserfc, its own token of this moment:", own)
plain, ahead, later = rows
assert set(plain.values()) == {"taken"}, "the control failed"
assert all(answer.startswith("refused") for answer in later.values()), "the control failed"
assert ahead["jsonwebtoken"] == ahead["jose"] == "taken", "JavaScript looks at iat now"
assert ahead["PyJWT"].startswith("refused") and ahead["joserfc"].startswith("refused"), "Python lets iat pass now"
assert own.startswith("refused"), "joserfc takes its own token at once now"
END
env/bin/python show.py "$(command -v node)"
