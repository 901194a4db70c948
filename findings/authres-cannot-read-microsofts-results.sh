#!/usr/bin/env bash
# authres cannot read the Authentication-Results of Microsoft 365
#
# Most would expect: the library that is made for this header reads what one of the two
#   largest mail services writes into each mail.
# Instead: Microsoft begins with "spf=pass ..." where the standard wants the name of the
#   server that checked. authres raises SyntaxError; none of the results (spf, dkim,
#   dmarc, compauth) comes out.
#   Google's header is read in full.
# Seen with: authres 1.2.0 (Python), 2026-11-28. Source: authres/core.py,
#   _parse_authserv_id. Format: RFC 8601, section 2.2; Microsoft, Anti-spam message
#   headers ("Authentication-results message header").
# Why it matters here: whether the From of a mail may be believed is asked of this
#   header. With authres, customers at Microsoft 365 count as never checked.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

python3 -m venv env
env/bin/pip install -qq --disable-pip-version-check authres==1.2.0

cat >show.py <<'END'
from importlib.metadata import version

from authres import AuthenticationResultsHeader

GOOGLE = """Authentication-Results: mx.google.com;
 dkim=pass header.i=@shop.example header.s=s1 header.b=AbCd1234;
 spf=pass (google.com: domain of ann@shop.example designates 192.0.2.7 as permitted sender)
 smtp.mailfrom=ann@shop.example; dmarc=pass (p=REJECT sp=REJECT dis=NONE) header.from=shop.example"""
MICROSOFT = """Authentication-Results: spf=pass (sender IP is 192.0.2.7)
 smtp.mailfrom=shop.example; dkim=pass (signature was verified)
 header.d=shop.example;dmarc=pass action=none
 header.from=shop.example;compauth=pass reason=100"""


def read(header):
    """Return the results by method, or the kind of error."""
    try:
        parsed = AuthenticationResultsHeader.parse(header.replace("\n", "\r\n"))
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return {result.method: result.result for result in parsed.results}


google, microsoft = read(GOOGLE), read(MICROSOFT)
print(f"authres {version('authres')}")
print("  Google:   ", google)
print("  Microsoft:", microsoft)
assert google == {"dkim": "pass", "spf": "pass", "dmarc": "pass"}, "the control failed"
assert isinstance(microsoft, str) and microsoft.startswith("SyntaxError"), "Microsoft's header is read now"
END
env/bin/python show.py
