"""The fast path: a plain sale goes from the socket to the lane and back without a task of its own.

Most requests of a busy hour are sales that arrive whole, in one packet, on an idle connection, and
whose answer needs nothing but the ledger. For these aiohttp's request object, its payload stream
and its task cost more than the sale. So a connection looks at what arrives before aiohttp does:

    bytes ─▶ plain? idle? a fast route? a known key? sound? ─ yes ─▶ lane ─▶ answer
                │ no, at any of them: nothing has happened yet
                ▼
             aiohttp ─▶ Dispatcher ─▶ handler

Nothing is done before the operation enters its lane, so until then a request can still go the
other way, and does whenever something about it is unusual: its handler says what is wrong with
it. From the lane on, answers are made by the same functions as those of the handlers.

To aiohttp the connection is busy meanwhile: it is not idle for the keep-alive timer, its end waits
for the answer, and what the client sends behind is not read before that is written.

A connection may only look where aiohttp's parser holds nothing of a request. So it counts how much
of a body that parser still expects; where it cannot be sure of that, for some request was not
plain, the connection is aiohttp's to its end.

aiohttp waits for the rest of a head for as long as for a next request. So where something came and
a head is not whole yet, a timer is set; a head that comes in one piece, as nearly all do, has none.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from time import perf_counter
from typing import Any

from aiohttp import web
from aiohttp.http_exceptions import LineTooLong
from aiohttp.web_protocol import RequestHandler

from engine.commands.refusals import raise_refusal
from engine.commands.services import Services
from engine.errors import Overloaded
from engine.http.admission import Admission, OneTooMany
from engine.http.dispatcher import (
    Dispatcher,
    Route,
    answer,
    known_principal,
    problem_response,
    request_id_of,
)
from engine.http.plain import PlainRequest, plain_request
from engine.http.response import Response
from engine.ledger.core import Operation, uuid_bytes
from engine.ledger.receipts import Answer
from engine.people.keys import Principal

CUSTOMER = "/v1/customers/"
CUSTOMER_ID = slice(len(CUSTOMER), len(CUSTOMER) + 36)
TEXTS = {"Too many headers": "many_headers", "Duplicate": "repeated_header"}
"""Parts of aiohttp's texts of errors that have no type of their own, and what they come to."""
UNKNOWN = -1
"""Of the bytes that aiohttp's parser expects: the number is not known."""


@dataclass(frozen=True, slots=True)
class FastRoute:
    """A call of a customer that can be answered by its operation alone.

    `begin` returns the operation, None where more is needed; what it raises sends the request to
    its handler. `answer` makes the body of a 201.
    """

    route: Route
    begin: Callable[[Services, Principal, bytes, PlainRequest, bytes], Operation | None]
    answer: Callable[[Answer], bytes]


@dataclass(slots=True)
class InFlight:
    """A request of the fast path whose operation is under way."""

    request: PlainRequest
    route: FastRoute
    operation: Operation | None
    """None where the lane takes on no more, and the request is refused."""
    started: float


class FastPath:
    """Takes plain requests to the lanes of a worker, and the answers back."""

    def __init__(
        self, services: Services, dispatcher: Dispatcher, routes: Iterable[FastRoute]
    ) -> None:
        self._services = services
        self._dispatcher = dispatcher
        self.admission = Admission(services.metrics)
        self.head_timeout_s = services.settings.head_timeout_ms / 1000
        self.head_bytes_max = services.settings.head_bytes_max
        self._routes = {
            (one.route.method, one.route.path.rpartition("}")[2]): one for one in routes
        }

    def route_of(self, request: PlainRequest) -> FastRoute | None:
        """Return the route of a request, None where the fast path does not take it."""
        target = request.target
        route = self._routes.get((request.method, target[CUSTOMER_ID.stop :]))
        return route if target.startswith(CUSTOMER) else None

    def submit(self, request: PlainRequest, route: FastRoute) -> InFlight | None:
        """Let the operation of a request wait in its lane; None where nothing was done."""
        started = perf_counter()
        services = self._services
        principal = known_principal(services, request.headers.get("Authorization", ""))
        customer_id = uuid_bytes(request.target[CUSTOMER_ID])
        body = request.body
        if (
            principal is None
            or principal.role not in route.route.roles
            or customer_id is None
            or len(body) > services.settings.body_bytes_max
        ):
            return None
        if services.committer.full_for(customer_id):
            return InFlight(request, route, None, started)
        try:
            operation = route.begin(services, principal, customer_id, request, body)
        except Exception:  # noqa: BLE001 - the handler will meet and report it
            return None
        if operation is None or not services.committer.begin(operation):
            return None
        services.metrics.fast_path.add((route.route.path,))
        return InFlight(request, route, operation, started)

    def complete(self, in_flight: InFlight) -> Response:
        """Return the answer to a request whose operation is done, whatever came of it."""
        headers, name = in_flight.request.headers, in_flight.route.route.path
        request_id = request_id_of(headers)
        try:
            if in_flight.operation is None:
                raise Overloaded
            decided, replayed = self._services.committer.result(in_flight.operation)
            raise_refusal(decided, replayed=replayed)
            reply = answer(in_flight.route.answer(decided), 201, replayed=replayed)
        except Exception as error:  # noqa: BLE001 - it is answered, and logged where it is our fault
            reply = problem_response(error, name, headers, request_id)
        self._dispatcher.finish(reply, in_flight.request, name, request_id, in_flight.started)
        return reply


@dataclass(slots=True)
class Head:
    """The head of a request that comes in pieces."""

    behind: int
    """How many requests the connection had before; where it has more, the head is whole."""
    timer: asyncio.TimerHandle
    size: int = 0
    """Bytes that have come of it."""


class Connection(RequestHandler):
    """A connection of aiohttp's that gives plain requests to the fast path."""

    __slots__ = ("_behind", "_expected", "_fast_path", "_head", "_held", "_in_flight")

    def __init__(self, fast_path: FastPath, manager: web.Server, **options: Any) -> None:
        super().__init__(manager, **options)
        self._fast_path = fast_path
        self._expected = 0
        self._in_flight: InFlight | None = None
        self._held = False
        self._behind = b""
        self._head: Head | None = None

    def connection_lost(self, exc: BaseException | None) -> None:
        """Forget the head that will not be whole any more."""
        self._forget_head()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take what has arrived, or hold it while a request of the fast path is under way."""
        if self._held and data:
            self._behind += data
            self._pause_transport_reading()
        else:
            self._take(data, at_once=False)

    def close(self) -> None:
        """Close the connection, after its answer where one is under way."""
        if self._in_flight is None:
            super().close()
        else:
            self._close = True

    def _take(self, data: bytes, *, at_once: bool) -> None:
        """Give what has arrived to the fast path or to aiohttp.

        aiohttp is idle a turn of the event loop after it has answered, and a busy client has sent
        the next request by then; that waits for the turn unless it is taken `at_once`.
        """
        if self._expected == 0 and data:  # there is none where aiohttp asks itself for more
            request = plain_request(data)
            if request is not None and request.missing == 0:
                route = self._fast_path.route_of(request)
                if route is None:
                    pass
                elif self._waiter is not None:
                    if self._submit(request, route):
                        return
                elif not (at_once or self._request_in_progress or self._messages):
                    self._held, self._behind = True, data
                    self._loop.call_soon(self._go_on)
                    return
            self._expected = UNKNOWN if request is None else request.missing
        elif self._expected > 0:
            self._expected = max(self._expected - len(data), UNKNOWN)
        super().data_received(data)
        if data and self._wants_head():
            self._await_head(data)

    def _wants_head(self) -> bool:
        """Return whether the next thing that aiohttp needs is a head, or the rest of one."""
        if self._waiter is None:  # it is busy, or has only just been made
            return self._request_count == 0
        return not self._waiter.done()

    def _await_head(self, piece: bytes) -> None:
        """Limit the head of which `piece` has come, in time and in size."""
        head = self._head
        if head is None or head.behind != self._request_count:
            if not piece.strip(b"\r\n"):  # old clients end a body with a line that is not counted
                return
            self._forget_head()
            timer = self._loop.call_later(self._fast_path.head_timeout_s, self._cut, "slow_head")
            head = self._head = Head(self._request_count, timer)
        head.size += len(piece)
        if head.size > self._fast_path.head_bytes_max:
            self._cut("large_head")

    def _cut(self, reason: str) -> None:
        """Tell a client whose head does not become whole, and close."""
        head, transport = self._head, self.transport
        self._forget_head()
        if head is None or head.behind != self._request_count or transport is None:
            return  # it is whole by now
        transport.write(self._fast_path.admission.refuse(reason).encode())
        self.force_close()

    def _forget_head(self) -> None:
        if self._head is not None:
            self._head.timer.cancel()
            self._head = None

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> Any:
        """Answer what aiohttp could not read as other bad input; that is no error of ours."""
        if status == 400:
            return self._fast_path.admission.refuse(_reason_of(exc))
        return super().handle_error(request, status, exc, message)

    def _submit(self, request: PlainRequest, route: FastRoute) -> bool:
        """Give a request to the fast path; return whether it is taken."""
        assert self._waiter is not None
        if self._waiter.done() or self._paused:  # it ends, or its client reads no answers
            return False
        in_flight = self._fast_path.submit(request, route)
        if in_flight is None:
            return False
        self._in_flight, self._held = in_flight, True
        self._request_count += 1
        self._request_in_progress = True
        if in_flight.operation is None:
            self._loop.call_soon(self._answer)
        else:
            in_flight.operation.waiter.add_done_callback(self._answer)
        return True

    def _answer(self, _: asyncio.Future[None] | None = None) -> None:
        """Write the answer of the request under way, and be idle again."""
        assert self._in_flight is not None
        reply = self._fast_path.complete(self._in_flight)
        if self.transport is not None and not self.transport.is_closing():
            self.transport.write(reply.encode())
        self._in_flight = None
        self._request_in_progress = False
        if self._handler_waiter is not None and not self._handler_waiter.done():
            self._handler_waiter.set_result(None)
        if reply.keep_alive is False or self._close or self._force_close:
            self.force_close()
            return
        self._next_keepalive_close_time = self._loop.time() + self._keepalive_timeout
        if self._keepalive_handle is None:
            self._keepalive_handle = self._loop.call_at(
                self._next_keepalive_close_time, self._process_keepalive
            )
        self._go_on()

    def _go_on(self) -> None:
        """Take what was held."""
        self._held = False
        if self._behind:
            behind, self._behind = self._behind, b""
            self._resume_transport_reading()
            self._take(behind, at_once=True)

    def _process_keepalive(self) -> None:
        if self._in_flight is not None:
            self._next_keepalive_close_time = self._loop.time() + self._keepalive_timeout
        super()._process_keepalive()


def _reason_of(error: BaseException | None) -> str:
    """Return why a head could not be read, as the admission calls it."""
    if isinstance(error, LineTooLong):
        return "long_line"
    text = str(error)
    return next((reason for part, reason in TEXTS.items() if part in text), "broken")


class EngineServer(web.Server):
    """aiohttp's low-level server, with connections that know the fast path."""

    def __init__(
        self, door: Dispatcher, fast_path: FastPath, *, connections_max: int, **options: Any
    ) -> None:
        super().__init__(door, **options)
        self._fast_path = fast_path
        self._connections_max = connections_max
        fast_path.admission.metrics.watch(self._gauges)

    def __call__(self) -> Any:
        """Make the protocol of a new connection."""
        if len(self._connections) >= self._connections_max:
            return OneTooMany(self._fast_path.admission)
        return Connection(self._fast_path, self, loop=self._loop, **self._kwargs)

    def _gauges(self) -> dict[str, tuple[str, float]]:
        return {
            "leal_http_connections_open": (
                "Connections of clients that are open.",
                len(self._connections),
            ),
            "leal_http_connections_max": (
                "Connections that there is room for; the next one is refused.",
                self._connections_max,
            ),
        }
