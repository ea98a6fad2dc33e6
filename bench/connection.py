"""A keep-alive HTTP/1.1 connection with at most one flow of requests under way.

A flow is the requests of one operation, in order: bytes, or what makes the next bytes of the answer
before. It does little more than write bytes and read a status line, for the client shares the
machine with what it measures.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from time import perf_counter_ns
from typing import Any, Final, Protocol

Step = bytes | Callable[[bytes], bytes | None]
"""A request; or what makes it of the body of the answer before, None where it is not ready yet."""
Flow = tuple[Step, ...]

NOT_READY_PAUSE_S: Final = 0.001


class Loop(Protocol):
    """Whoever begins flows, and hears how they end."""

    def answered(self, status: bytes, answer: bytes, head: int) -> bool:
        """Take note of an answer whose head has so many bytes; return whether the flow goes on."""

    def ended(self, connection: Connection, status: bytes) -> None:
        """Take note of the end of a flow, with the status of its last answer."""

    def fail(self, reason: str) -> None:
        """Take note of what no healthy server does."""


def head_of_whole(data: bytes) -> int:
    """Return where the head of a whole answer ends, -1 as long as some of it is missing."""
    head = data.find(b"\r\n\r\n")
    # Content-Length, whose first letters are small with some servers.
    at = data.find(b"ength: ", 0, head)
    if head < 0 or len(data) < head + 4 + int(data[at + 7 : data.index(b"\r", at)]):
        return -1
    return head


class Connection(asyncio.Protocol):
    """One connection of a loop; `due` is when its flow should have begun, in ns."""

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self._answer = b""
        self._left: list[Step] = []
        self.flow: Flow = ()
        self.due = 0
        self.transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        self._loop.fail(f"connection lost: {exc!r}")

    def begin(self, flow: Flow, due: int | None = None) -> None:
        """Send the first request of a flow, which was due at `due`, by default now."""
        self.flow = flow
        self._left = list(flow)
        self.due = perf_counter_ns() if due is None else due
        self._send(b"")

    def data_received(self, data: bytes) -> None:
        if self._answer:
            data = self._answer + data
        head = head_of_whole(data)
        if head < 0:
            self._answer = data
            return
        self._answer = b""
        status = data[9:12]
        if self._loop.answered(status, data, head) and self._left:
            self._send(data[head + 4 :])
        else:
            self._loop.ended(self, status)

    def _send(self, before: bytes) -> None:
        """Send the next request, as soon as it can be made of the answer before."""
        step = self._left[0]
        request = step if isinstance(step, bytes) else step(before)
        if request is None:
            asyncio.get_running_loop().call_later(NOT_READY_PAUSE_S, self._send, before)
            return
        del self._left[0]
        self.transport.write(request)
