"""The domains under which Amazon's services stand, a partition of its regions each.

Source: AWS, the endpoint list of its SDKs (botocore, `partitions.json` and `endpoints.json`).
"""

from __future__ import annotations

from typing import Final

#: The word behind "arn:" -> the domain of its regions' hosts.
DOMAINS: Final[dict[str, str]] = {
    "aws": "amazonaws.com",
    "aws-cn": "amazonaws.com.cn",
    "aws-us-gov": "amazonaws.com",
    "aws-eusc": "amazonaws.eu",
    "aws-iso": "c2s.ic.gov",
    "aws-iso-b": "sc2s.sgov.gov",
    "aws-iso-e": "cloud.adc-e.uk",
    "aws-iso-f": "csp.hci.ic.gov",
}
#: Those of hosts that answer over IPv6 too.
DUAL_STACK_DOMAINS: Final[tuple[str, ...]] = (
    "api.aws",
    "api.amazonwebservices.com.cn",
    "api.amazonwebservices.eu",
    "api.aws.ic.gov",
    "api.aws.scloud",
    "api.cloud-aws.adc-e.uk",
    "api.aws.hci.ic.gov",
)
