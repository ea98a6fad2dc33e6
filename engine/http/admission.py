"""Admission: connections that are refused before there is a request, and how many fit.

A connection takes a file descriptor and some kilobytes before anything is known of its client. So
there is room for a number of them; beyond it a new one is answered at once and closed, and those
that are there go on.
"""

from __future__ import annotations

import asyncio
import resource
from typing import cast

import structlog
from uuid_utils import uuid7

from engine.errors import EngineError
from engine.http.problems import (
    CONTENT_TYPE,
    RETRY_AFTER_S,
    HttpProblem,
    body_of,
    headers_of,
    status_of,
)
from engine.http.response import Response
from engine.metrics import Metrics

log = structlog.get_logger()

OWN_DESCRIPTORS = 256
"""What a worker puts aside for itself: connections to PostgreSQL, sockets, files."""
OWN_DESCRIPTORS_MIN = 64
"""The same where the system allows few: an idle worker has 25, more while its database fails."""
CONNECTIONS_MIN = 32
"""So few connections are not worth a start."""

HEAD_LINE_BYTES_MAX = 4096
"""Size of a request line, and of a header."""
HEADERS_MAX = 128

PROBLEMS_OF_CONNECTIONS = {
    "full": HttpProblem(
        "overloaded",
        "There are too many connections. Use those that you have, or try again later.",
        headers={"Retry-After": str(RETRY_AFTER_S)},
    ),
    "slow_head": HttpProblem(
        "request_timeout", "The whole head of a request must arrive in a few seconds."
    ),
    "large_head": HttpProblem(
        "headers_too_large", "The request line and the headers are too large together."
    ),
    "long_line": HttpProblem(
        "headers_too_large",
        f"The request line and each header have at most {HEAD_LINE_BYTES_MAX} bytes. Look at the"
        " cookies and at what a proxy adds.",
    ),
    "many_headers": HttpProblem(
        "headers_too_large", f"A request has at most {HEADERS_MAX} headers."
    ),
    "repeated_header": HttpProblem(
        "invalid_request",
        "A header that may come once, such as Content-Length or Host, comes twice.",
    ),
    "broken": HttpProblem(
        "invalid_request", "This is no sound HTTP/1.1: look at the request line and the headers."
    ),
}
"""The last answer of a connection that is closed, by the reason that is counted."""


class Admission:
    """Refuses connections: makes their last answer, and counts them."""

    def __init__(self, metrics: Metrics) -> None:
        self.metrics = metrics

    def refuse(self, reason: str) -> Response:
        """Return the last answer of a connection; `reason` is one of PROBLEMS_OF_CONNECTIONS."""
        self.metrics.connections_cut.labels(reason).inc()
        problem = PROBLEMS_OF_CONNECTIONS[reason]
        body = body_of(problem, str(uuid7()), "en")
        reply = Response(
            body, status_of(problem), content_type=CONTENT_TYPE, headers=headers_of(problem)
        )
        reply.force_close()
        return reply


class OneTooMany(asyncio.Protocol):
    """A connection above the limit: it gets an answer and is closed."""

    def __init__(self, admission: Admission) -> None:
        self._admission = admission

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Answer before anything was asked: it costs no memory to wait for."""
        transport = cast(asyncio.Transport, transport)
        transport.write(self._admission.refuse("full").encode())
        transport.close()


def connections_allowed(connections_max: int) -> int:
    """Return how many connections the process can have; its limit of descriptors is raised for it.

    Says in the log where the system allows fewer than `connections_max`. Raises EngineError where
    it allows next to none.
    """
    wanted = connections_max + OWN_DESCRIPTORS
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return connections_max
    allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
    if allowed == wanted:
        return connections_max
    connections = allowed - max(OWN_DESCRIPTORS_MIN, min(OWN_DESCRIPTORS, allowed // 4))
    if connections < min(CONNECTIONS_MIN, connections_max):
        raise EngineError(
            f"This process may have {allowed} open files, which is too few: raise the hard limit"
            f" (ulimit -Hn, LimitNOFILE) to {OWN_DESCRIPTORS_MIN + CONNECTIONS_MIN} or more."
        )
    log.warning(
        "too_few_file_descriptors",
        wanted=wanted,
        allowed=allowed,
        connections_max=connections,
        advice="raise the hard limit (ulimit -Hn, LimitNOFILE) or lower connections_max",
    )
    return connections
