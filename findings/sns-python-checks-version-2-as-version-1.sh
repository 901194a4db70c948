#!/usr/bin/env bash
# aws-sns-message-validator: told to take version 2, it still hashes as version 1
#
# Most would expect: SNSMessageValidator(signature_version="2") checks SHA-256, which
#   is what version 2 of Amazon's signatures is.
# Instead: the parameter is only compared with the message's SignatureVersion. The
#   hash stays SHA-1, so that every genuine version 2 message is refused as "Invalid
#   signature". sns-validator (npm) reads the version and takes the genuine one. (The script
#   signs with a key of its own and hands the certificate in.)
# Seen with: aws-sns-message-validator 0.0.5 (Python), sns-validator 0.3.5 (npm),
#   2026-11-28. Source: sns_message_validator.py, _verify_signature: SHA1() written out.
# Why it matters here: version 2 is what one switches a topic to, and what mail that
#   comes through SES and SNS should use. With this library the switch loses all.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

python3 -m venv env
env/bin/pip install -qq --disable-pip-version-check aws-sns-message-validator==0.0.5 cryptography==50.0.2 requests-cache==1.3.3
npm init -y >/dev/null
npm install --silent --no-audit --no-fund --ignore-scripts sns-validator@0.3.5 >/dev/null

cat >check.cjs <<'END'
const fs = require('fs');
const https = require('https');
const { Readable } = require('stream');

https.get = (_, answer) => {
  answer(Object.assign(Readable.from([fs.readFileSync('cert.pem')]), { statusCode: 200 }));
  return { on() {} };
};
const Validator = require('sns-validator');
new Validator().validate(fs.readFileSync('message.json', 'utf8'), error => console.log(error ? error.message : 'accepted'));
END
cat >show.py <<'END'
import base64
import json
import subprocess
import sys
from datetime import datetime, timedelta, timezone
from types import SimpleNamespace

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509.oid import NameOID
from sns_message_validator import SignatureVerificationFailureException, SNSMessageValidator

key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "made for a finding")])
now = datetime.now(timezone.utc)
builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(1)
certificate = builder.not_valid_before(now).not_valid_after(now + timedelta(days=1)).sign(key, hashes.SHA256())
pem = certificate.public_bytes(serialization.Encoding.PEM)
open("cert.pem", "wb").write(pem)


def verdicts(version, algorithm):
    """Sign a notification and return what the Python and the npm library say of it."""
    message = {
        "Type": "Notification",
        "MessageId": "11111111-2222-3333-4444-555555555555",
        "TopicArn": "arn:aws:sns:us-east-1:123456789012:mail",
        "Message": "a mail has come",
        "Timestamp": "2026-11-27T10:00:00.000Z",
        "SignatureVersion": version,
        "SigningCertURL": "https://sns.us-east-1.amazonaws.com/SimpleNotificationService-1.pem",
    }
    fields = ("Message", "MessageId", "Timestamp", "TopicArn", "Type")
    text = "".join(f"{field}\n{message[field]}\n" for field in fields).encode()
    message["Signature"] = base64.b64encode(key.sign(text, padding.PKCS1v15(), algorithm)).decode()
    validator = SNSMessageValidator(signature_version=version)
    validator._cert_session.get = lambda url: SimpleNamespace(content=pem)
    try:
        validator.validate_message(message)
        python = "accepted"
    except SignatureVerificationFailureException as error:
        python = f"refused ({error})"
    json.dump(message, open("message.json", "w"))
    npm = subprocess.run([sys.argv[1], "check.cjs"], check=True, capture_output=True, text=True).stdout.strip()
    return python, npm


one, two = verdicts("1", hashes.SHA1()), verdicts("2", hashes.SHA256())
print("expected: accepted, four times")
print(f"version 1, SHA-1:    Python 0.0.5: {one[0]} | npm 0.3.5: {one[1]}")
print(f"version 2, SHA-256:  Python 0.0.5: {two[0]} | npm 0.3.5: {two[1]}")
assert one == ("accepted", "accepted") and two[1] == "accepted", "the control failed"
assert two[0] == "refused (Invalid signature.)", "version 2 is checked as it should be now"
END
env/bin/python show.py "$(command -v node)"
