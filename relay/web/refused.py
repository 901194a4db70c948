"""What console and API answer to whom they do not let in."""

from __future__ import annotations


class RequestRefused(Exception):
    """`status` 400, 401, 403 or 429; `code` and the message are for the answer."""

    def __init__(self, status: int, code: str, message: str, retry_after_s: int = 0) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.retry_after_s = retry_after_s
