"""One HTTP call to Planhat: the token asked for anew, the whole of it within its time-out. Synchronous, as RQ is.

Source: Planhat, Conversation API; what else is assumed is named by the tests in tests/contract.
"""

from __future__ import annotations

import gzip
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import httpx

from relay.errors import PlanhatForbidden, PlanhatUnavailable
from relay.planhat.address import base_url
from relay.planhat.transport import Deadline, DeadlinePassed, DeadlineTransport, proxy_for

CONNECT_TIMEOUT_S: Final = 5.0
CALL_TIMEOUT_S: Final = 60.0
MAX_ANSWER_BYTES: Final = 128 * 1024 * 1024
_TOKEN: Final = re.compile(r"[\x21-\x7e]+", re.ASCII)


@dataclass(frozen=True, slots=True)
class HttpReply:
    """An answer as it came, read to its end."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class PlanhatHttp:
    """The connections to one tenant; see `Planhat` for the options."""

    def __init__(
        self,
        url: str,
        token: str | Callable[[], str],
        *,
        timeout_s: float,
        connect_timeout_s: float,
        gzip_over_bytes: int | None,
        connections: int,
    ) -> None:
        self._url = base_url(url)
        self._token = token
        self._timeout_s = timeout_s
        self._connect_timeout_s = connect_timeout_s
        self._gzip_over_bytes = gzip_over_bytes
        self._deadline = Deadline()
        self.client = httpx.Client(
            transport=DeadlineTransport(self._deadline, proxy=proxy_for(self._url), connections=connections),
            headers={"Accept": "application/json", "User-Agent": "planhat-relay"},
            follow_redirects=False,
        )

    def close(self) -> None:
        """Close the connections."""
        self.client.close()

    def call(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: bytes | None = None,
        timeout_s: float | None = None,
    ) -> HttpReply:
        """Make one call and read its answer. Raises PlanhatUnavailable when there is no answer, PlanhatForbidden when there is no token to ask with."""
        whole_s = self._timeout_s if timeout_s is None else timeout_s
        headers = {"Authorization": f"Bearer {self.read_token()}"}
        if body is not None:
            headers["Content-Type"] = "application/json"
            if self._gzip_over_bytes is not None and len(body) > self._gzip_over_bytes:
                body = gzip.compress(body, compresslevel=3, mtime=0)
                headers["Content-Encoding"] = "gzip"
        request = self.client.build_request(
            method,
            f"{self._url}{path}",
            params=query or None,
            content=body,
            headers=headers,
            timeout=httpx.Timeout(whole_s, connect=min(self._connect_timeout_s, whole_s)),
        )
        self._deadline.start(whole_s)
        try:
            response = self.client.send(request, stream=True)
            try:
                content = _read_body(response)
            finally:
                response.close()
                # The stream points back at the response: that ring would keep 4 MB of sent body until the collector runs.
                response.stream = httpx.ByteStream(b"")
        except (DeadlinePassed, httpx.TimeoutException) as error:
            raise PlanhatUnavailable(_slow(error, whole_s, self._connect_timeout_s)) from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise PlanhatUnavailable(f"Planhat cannot be reached: {_short(error)}") from error
        finally:
            self._deadline.stop()
        return HttpReply(response.status_code, response.headers, content)

    def read_token(self) -> str:
        token = (self._token if isinstance(self._token, str) else self._token()).strip()
        if not token:
            raise PlanhatForbidden("no Planhat token: set RELAY_PLANHAT_TOKEN or RELAY_PLANHAT_TOKEN_FILE")
        if not _TOKEN.fullmatch(token):
            raise PlanhatForbidden("the Planhat token holds a blank or a character outside of ASCII")
        return token


def _read_body(response: httpx.Response) -> bytes:
    pieces: list[bytes] = []
    size = 0
    for piece in response.iter_bytes():
        size += len(piece)
        if size > MAX_ANSWER_BYTES:
            raise PlanhatUnavailable(f"Planhat's answer is larger than {MAX_ANSWER_BYTES} bytes")
        pieces.append(piece)
    return b"".join(pieces)


def _slow(error: Exception, whole_s: float, connect_s: float) -> str:
    if isinstance(error, httpx.ConnectTimeout):
        return f"Planhat cannot be reached: no connection within {min(connect_s, whole_s):g} s"
    return f"Planhat gave no whole answer within {whole_s:g} s"


def _short(error: Exception) -> str:
    """The kind of failure and the system's word for it; httpx's messages hold no data of ours."""
    text = " ".join(str(error).split())[:200]
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
