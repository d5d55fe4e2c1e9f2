"""What is answered when a request cannot be served, in the shape of OpenAI's interface.

{"error": {"message": "...", "type": "invalid_request_error", "param": "language", "code": "invalid_value"}}
"""

import logging
from typing import Any

from starlette.exceptions import HTTPException

log = logging.getLogger(__name__)

KINDS = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}
"""the type of an error by its status; otherwise it is the request's (4xx) or the server's (5xx)"""


class RequestError(Exception):
    """A request that is not served, and why.

    Args:
        status: of HTTP.
        message: one sentence for whoever sent the request.
        param: the parameter that is to be changed.
        code: a word for programs.
        retry_after_s: after how many seconds the same request may succeed.
        headers: others of the answer.
    """

    def __init__(
        self,
        status: int,
        message: str,
        param: str | None = None,
        code: str | None = None,
        retry_after_s: int | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status, self.message, self.param, self.code = status, message, param, code
        self.headers = dict(headers or {})
        if retry_after_s is not None:
            self.headers["retry-after"] = str(retry_after_s)

    def to_dict(self) -> dict[str, Any]:
        """Return the error as JSON has it."""
        kind = KINDS.get(self.status, "invalid_request_error" if self.status < 500 else "server_error")
        described = {"message": self.message, "type": kind, "param": self.param, "code": self.code}
        return {"error": described}


class ClientGoneError(Exception):
    """The client has closed its connection, so that nobody waits for the answer."""


def refused(param: str, message: str, code: str = "invalid_value") -> RequestError:
    """Return the error for a parameter that cannot be honoured."""
    return RequestError(400, message, param, code)


def as_request_error(error: Exception) -> RequestError:
    """Return what is answered about an error; of one that is our own mistake only the place is logged."""
    if isinstance(error, RequestError):
        return error
    if isinstance(error, HTTPException):
        message = {404: "there is nothing at this address", 405: "this address takes another method"}
        said, code = message.get(error.status_code, error.detail), {404: "not_found"}.get(error.status_code)
        return RequestError(error.status_code, said, code=code, headers=dict(error.headers or {}))
    if isinstance(error, MemoryError):
        return RequestError(503, "not enough memory for this now", code="out_of_memory", retry_after_s=10)
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    place = f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}" if trace else "?"
    log.error("a request failed: %s at %s", type(error).__name__, place)  # its text may hold what was sent
    return RequestError(500, "the server made a mistake", code="server_error")
