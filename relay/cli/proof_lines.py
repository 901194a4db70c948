"""The part of a source that proves who sends, for a config that somebody starts with."""

from __future__ import annotations

import re
from dataclasses import replace

#: Proofs that cannot be found by trying: what the sender has to be given, or whose topic it is.
_PROOFS = {
    "ses": (
        "    topics: [arn:aws:sns:eu-central-1:111122223333:inbound-mail]   # yours; Amazon signs what it sends\n"
        '    basic_auth: ["${{{variable}_LOGIN}}"]  # user:password, in the URL that the topic posts to\n'
        "    # certificate_files: [samples.pem]  # for `relay send`: a certificate of your own with its private key\n"
    ),
    "cloudevents": '    bearer: ["${{{variable}_SECRET}}"]\n',
    "gorgias": '    basic_auth: ["${{{variable}_LOGIN}}"]      # user:password, as a header of the integration\n',
    "servicenow": '    basic_auth: ["${{{variable}_LOGIN}}"]      # user:password\n',
    "teams": '    secrets: ["${{{variable}_SECRET}}"]      # the token that Teams showed, in base64\n',
    "generic": (
        '    secrets: ["${{{variable}_SECRET}}"]      # Standard Webhooks; describe another signature under `signature:`\n'
    ),
}


def proof_lines(adapter: str, source: str) -> str:
    """Return the keys that this adapter wants as proof of who sends, the first that it can be built with, as YAML of `source`; their
    values are variables named after it: `${SLACK_SECRET}`, `${..._LOGIN}` (user:password), `${..._PUBLIC_KEY}`."""
    variable = re.sub(r"[^A-Z0-9]+", "_", source.upper()).strip("_")
    from relay.source_options import SourceOptions
    from relay.sources.registry import build_adapter

    if adapter in _PROOFS:
        return _PROOFS[adapter].format(variable=variable)
    url = f"https://relay.example.com/hooks/{source}"
    base = SourceOptions(adapter, adapter)
    secret = replace(base, secrets=lambda: ["c2VjcmV0c2VjcmV0c2VjcmV0"])
    login = replace(base, basic_auth=lambda: ["user:password"])
    trials = (
        (secret, f'    secrets: ["${{{variable}_SECRET}}"]\n'),
        (
            replace(secret, public_url=url),
            f'    secrets: ["${{{variable}_SECRET}}"]\n    public_url: {url}    # as it is registered there\n',
        ),
        (login, f'    basic_auth: ["${{{variable}_LOGIN}}"]      # user:password\n'),
    )
    for options, text in trials:
        try:
            build_adapter(options)
        except ValueError:
            continue
        return text
    return f'    public_keys: ["${{{variable}_PUBLIC_KEY}}"]\n'
