"""Streams: server-sent events, one for each sale that a store prints (INV-1).

A client that reconnects with `Last-Event-ID` gets what it missed; every `EventSource` does so.
"""

from __future__ import annotations

import asyncio
from time import monotonic
from typing import Any

import msgspec
from aiohttp import web

from engine.api.date_ranges import query_moment
from engine.api.invoices import OF_TILL, SINCE, query_till, shown_invoice, store_named
from engine.commands.problem import Problem
from engine.commands.scope import store_of
from engine.commands.services import Services
from engine.http.dispatcher import Call, session_of
from engine.http.operation import Text, operation
from engine.http.response import CLOSE, Response, date_header, head_of
from engine.network.events import Event, Feed
from engine.network.invoice_names import till_key_of
from engine.postgres.connections import OUT_OF_REACH

CONTENT_TYPE = "text/event-stream"
UNBUFFERED = {"X-Accel-Buffering": "no"}
"""Asks a proxy to hand on each event as it comes."""
RETRY_AFTER_MS = 2000
HEARTBEAT = b":\n\n"
CURSOR_DIGITS_MAX = 18
RECHECK_S_MIN = 0.1


EXAMPLE = 'event: invoice\nid: 42\ndata: {"invoice_number":"FV-20931",…}\n\n'


@operation(
    "streamInvoices",
    summary="Stream sales as they are printed, as server-sent events (INV-1, SYS-3)",
    about="The data of an event is an `Invoice`. Who reconnects with the header"
    " `Last-Event-ID` gets what was missed, as every `EventSource` does.",
    query=SINCE | OF_TILL,
    answer_example=(Text("text/event-stream", EXAMPLE),),
    problems=("overloaded",),
)
async def stream(services: Services, call: Call) -> Response:
    """`GET /v1/stores/{store_id}/invoices/stream`: unclaimed sales, as they are printed."""
    store = store_named(services, call)
    since = query_moment(call.request, "since")
    after = _last_event_id(call.request)
    till_key = till_key_of(query_till(call))
    feed = await services.events.open(store.store_id, after=after, since=since, till_key=till_key)
    return EventStream(services, feed)


class EventStream(Response):
    """An answer that goes on until its client hangs up, may not read any more, or does not read."""

    __slots__ = ("_feed", "_services")

    def __init__(self, services: Services, feed: Feed) -> None:
        super().__init__(b"", content_type=CONTENT_TYPE, headers=dict(UNBUFFERED))
        self.force_close()
        self._services = services
        self._feed = feed

    async def write_eof(self) -> None:
        """Write events until the end."""
        try:
            await self._write_all(self._request)
        finally:
            self._services.events.close(self._feed)

    async def _write_all(self, request: web.BaseRequest) -> None:
        heartbeat_s = self._services.settings.stream_heartbeat_s
        looked_at_s = max(self._services.settings.session_recheck_ms / 1000, RECHECK_S_MIN)
        extra = "".join([f"{name}: {value}\r\n" for name, value in self.headers.items()])
        head = b"%b%b%b\r\n" % (
            head_of(self.status, self.content_type),
            date_header(),
            (extra + CLOSE).encode(),
        )
        if request.method == "HEAD":
            await _write(request, head, heartbeat_s)
            return
        # An id by itself is no event; who reconnects before the first one names it all the same.
        head += b"retry: %d\nid: %d\n\n" % (RETRY_AFTER_MS, self._feed.after)
        open_still = await _write(request, head, heartbeat_s)
        written_at = monotonic()
        while open_still:
            events = await self._feed.read(min(heartbeat_s, looked_at_s))
            if self._feed.ended or not await self._may_read(request, events):
                return
            if not events and monotonic() - written_at < heartbeat_s:
                continue
            text = b"".join([_text(event) for event in events]) or HEARTBEAT
            open_still = await _write(request, text, heartbeat_s)
            written_at = monotonic()

    async def _may_read(self, request: web.BaseRequest, events: list[Event]) -> bool:
        """Return whether the key or the session is still valid, and the store still theirs.

        While the database is out of reach that cannot be known of a session: it stays open until
        there is something to tell.
        """
        snapshot = self._services.catalogue.now
        try:
            principal = snapshot.principal(request.headers.get("Authorization", ""))
            if principal is None:
                session = await session_of(self._services, request, used=False)
                principal = session.principal
            store_of(snapshot, principal, self._feed.store_id)
        except Problem:
            return False
        except OUT_OF_REACH:
            return not events
        return True


async def _write(request: web.BaseRequest, data: bytes, seconds_max: float) -> bool:
    """Write, and return whether the client is there; one that does not read is cut off."""
    transport: Any = request.transport
    if transport is None or transport.is_closing():
        return False
    transport.write(data)
    try:
        async with asyncio.timeout(seconds_max):
            await request.writer.drain()
    except TimeoutError:
        transport.abort()
        return False
    return True


def _text(event: Event) -> bytes:
    data = msgspec.json.encode(shown_invoice(event.invoice))
    kind = b"voided" if event.invoice.status == "voided" else b"invoice"
    return b"event: %b\nid: %d\ndata: %b\n\n" % (kind, event.arrival, data)


def _last_event_id(request: web.BaseRequest) -> int | None:
    """Return the arrival that the client has read last; raises Problem where it is none."""
    text = request.headers.get("Last-Event-ID")
    if not text:
        return None
    if not text.isascii() or not text.isdigit() or len(text) > CURSOR_DIGITS_MAX:
        raise Problem(
            "invalid_request", "`Last-Event-ID` must be the id of an event of this stream."
        )
    return int(text)
