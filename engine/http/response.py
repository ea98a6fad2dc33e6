"""A whole answer, written to the socket in one piece.

aiohttp's own Response keeps a header map for each answer and writes through several layers; nothing
here needs that, and leaving it out pays for the rest of the engine's work on a request (the figures
are in docs/decisions/http.md). To aiohttp it looks like its own: it prepares, it writes, and it
says whether the connection is kept.
"""

from __future__ import annotations

from email.utils import formatdate
from functools import cache
from http import HTTPStatus
from time import time
from typing import Any

from aiohttp import HttpVersion11, web

from engine.http.plain import whole_answer

JSON = "application/json"
REPLAYED = {"Idempotent-Replayed": "true"}
"""The header of an answer that was given before, success or refusal."""
CLOSE = "Connection: close\r\n"
KEEP = b"Connection: keep-alive\r\n"
"""What a client of HTTP/1.0 waits for before it uses a connection again; for others it is usual."""
UNSENT_BYTES_MAX = 64 * 1024
"""A client that does not read its answers is not answered further until it has."""

_date: tuple[int, bytes] = (0, b"")


class Response:
    """One answer: a status, a JSON body, and what headers there are beyond the usual."""

    __slots__ = ("_request", "body", "content_type", "headers", "keep_alive", "status")

    def __init__(
        self,
        body: bytes,
        status: int = 200,
        *,
        content_type: str = JSON,
        headers: dict[str, str] | None = None,
    ) -> None:
        self.body = body
        self.status = status
        self.content_type = content_type
        self.headers = headers or {}
        self.keep_alive: bool | None = None
        self._request: Any = None

    def force_close(self) -> None:
        """Close the connection after this answer."""
        self.keep_alive = False

    def encode(self, *, with_body: bool = True) -> bytes:
        """Return the whole answer as it goes over the wire."""
        usual = head_of(self.status, self.content_type)
        body = self.body if with_body else b""
        connection = CLOSE.encode() if self.keep_alive is False else self._kept()
        return whole_answer(usual, date_header(), self.headers, body, len(self.body), connection)

    def _kept(self) -> bytes:
        """Return the header that says to an old client that the connection is kept, if it is."""
        request = self._request
        return b"" if request is None or request.version >= HttpVersion11 else KEEP

    async def prepare(self, request: web.BaseRequest) -> None:
        """Take the request that is answered; aiohttp calls it before `write_eof`."""
        self._request = request
        if self.keep_alive is None:
            self.keep_alive = request.keep_alive

    async def write_eof(self) -> None:
        """Write the whole answer; a client that has gone gets nothing."""
        transport = self._request.transport
        if transport is None or transport.is_closing():
            return
        transport.write(self.encode(with_body=self._request.method != "HEAD"))
        if transport.get_write_buffer_size() > UNSENT_BYTES_MAX:
            await self._request.writer.drain()


@cache
def head_of(status: int, content_type: str) -> bytes:
    """Return the part of an answer's head that is the same for all of its status."""
    return (
        f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\nContent-Type: {content_type}\r\n"
        "Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n"
    ).encode()


def date_header() -> bytes:
    """Return the Date header of this second."""
    global _date
    second = int(time())
    if _date[0] != second:
        _date = (second, f"Date: {formatdate(second, usegmt=True)}\r\n".encode())
    return _date[1]
