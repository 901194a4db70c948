#!/usr/bin/env bash
# sns-validator (npm) refuses every genuine UnsubscribeConfirmation
#
# Most would expect: the three message types of Amazon SNS are checked as Amazon's
#   documentation says: confirmations of both kinds are signed over Message,
#   MessageId, SubscribeURL, Timestamp, Token, TopicArn and Type.
# Instead: only SubscriptionConfirmation gets the Token into the text to verify. An
#   UnsubscribeConfirmation is checked with the list for notifications, without
#   Token, so that its signature is "invalid". The Python validator takes the same
#   message. (The script signs with a key of its own; the certificate, which would
#   be fetched from Amazon, is handed in.)
# Seen with: sns-validator 0.3.5 (npm), aws-sns-message-validator 0.0.5 (Python),
#   2026-11-28. Source: index.js, validateSignature: `message.Type ===
#   'SubscriptionConfirmation'`.
# Why it matters here: "somebody has unsubscribed this endpoint" is the one message
#   that must be heard, since no mail comes after it. It ends as a 401.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

python3 -m venv env
env/bin/pip install -qq --disable-pip-version-check aws-sns-message-validator==0.0.5 cryptography==50.0.2 requests-cache==1.3.3
npm init -y >/dev/null
npm install --silent --no-audit --no-fund --ignore-scripts sns-validator@0.3.5 >/dev/null

cat >sign.py <<'END'
"""Make a key, a certificate and two messages signed as Amazon documents it."""
import base64
import json
from datetime import datetime, timedelta, timezone

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509.oid import NameOID

key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "made for a finding")])
now = datetime.now(timezone.utc)
builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(1)
certificate = builder.not_valid_before(now).not_valid_after(now + timedelta(days=1)).sign(key, hashes.SHA256())
open("cert.pem", "wb").write(certificate.public_bytes(serialization.Encoding.PEM))

SIGNED = ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type")
for kind in ("SubscriptionConfirmation", "UnsubscribeConfirmation"):
    message = {
        "Type": kind,
        "MessageId": "11111111-2222-3333-4444-555555555555",
        "Token": "2336412f37",
        "TopicArn": "arn:aws:sns:us-east-1:123456789012:mail",
        "Message": "You have changed a subscription.",
        "SubscribeURL": "https://sns.us-east-1.amazonaws.com/?Action=ConfirmSubscription",
        "Timestamp": "2026-11-27T10:00:00.000Z",
        "SignatureVersion": "1",
        "SigningCertURL": "https://sns.us-east-1.amazonaws.com/SimpleNotificationService-1.pem",
    }
    text = "".join(f"{field}\n{message[field]}\n" for field in SIGNED)
    message["Signature"] = base64.b64encode(key.sign(text.encode(), padding.PKCS1v15(), hashes.SHA1())).decode()
    json.dump(message, open(f"{kind}.json", "w"))
END
cat >check.cjs <<'END'
const fs = require('fs');
const https = require('https');
const { Readable } = require('stream');

https.get = (_, answer) => {
  answer(Object.assign(Readable.from([fs.readFileSync('cert.pem')]), { statusCode: 200 }));
  return { on() {} };
};
const Validator = require('sns-validator');
new Validator().validate(JSON.parse(fs.readFileSync(`${process.argv[2]}.json`)), error => {
  console.log(error ? error.message : 'accepted');
});
END
cat >check.py <<'END'
import json
import sys
from types import SimpleNamespace

from sns_message_validator import SNSMessageValidator

validator = SNSMessageValidator()
validator._cert_session.get = lambda url: SimpleNamespace(content=open("cert.pem", "rb").read())
validator.validate_message(json.load(open(f"{sys.argv[1]}.json")))
print("accepted")
END
env/bin/python sign.py
begin_npm=$(node check.cjs SubscriptionConfirmation)
begin_python=$(env/bin/python check.py SubscriptionConfirmation)
end_npm=$(node check.cjs UnsubscribeConfirmation)
end_python=$(env/bin/python check.py UnsubscribeConfirmation)
echo "expected: accepted, four times"
echo "SubscriptionConfirmation:  npm 0.3.5: $begin_npm | Python 0.0.5: $begin_python"
echo "UnsubscribeConfirmation:   npm 0.3.5: $end_npm | Python 0.0.5: $end_python"
[ "$begin_npm$begin_python$end_python" = "acceptedacceptedaccepted" ] || { echo "the control failed"; exit 1; }
[ "$end_npm" = "The message signature is invalid." ] || { echo "sns-validator takes it now"; exit 1; }
