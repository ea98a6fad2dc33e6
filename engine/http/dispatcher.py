"""The dispatcher: every request passes it on its way in and out.

Who asks, may they, how long did it take, what is answered when it fails. A handler takes the
services and the call; it raises a Problem or an EngineError, or returns a Response.

It stands on aiohttp's low-level server: no request is routed, wrapped or resolved but here.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from operator import itemgetter
from time import perf_counter
from typing import Any, Protocol
from urllib.parse import unquote

import structlog
from aiohttp import ClientPayloadError, web
from aiohttp.http_exceptions import HttpProcessingError
from uuid_utils import uuid7

from engine.commands.problem import Problem
from engine.commands.services import Services
from engine.errors import EngineError, ReadOnly, Unavailable
from engine.http.headers import check_headers, check_query
from engine.http.problems import (
    CONTENT_TYPE,
    HttpProblem,
    body_of,
    error_problem,
    headers_of,
    language_of,
    status_of,
)
from engine.http.response import REPLAYED, Response
from engine.people.keys import Principal, Role
from engine.people.sessions import Session
from engine.postgres.connections import OUT_OF_REACH, PermissionDenied, WritesRefused

log = structlog.get_logger()

BROKEN_OFF = (ConnectionError, ClientPayloadError, HttpProcessingError)
"""What reading a body raises where its client hangs up, or does not send what it said it would."""

IDENTITY = "identity"
"""The Content-Encoding of a body that is as it is."""

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
"""What a client waits for that asks whether its body is welcome."""

STATUS_TEXTS = {status.value: str(status.value) for status in HTTPStatus}
REQUEST_ID = re.compile(r"[A-Za-z0-9._:/+=-]{1,128}")
TRACEPARENT = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}")


class Asked(Protocol):
    """What the dispatcher reads of any request, from aiohttp or from the fast path."""

    @property
    def method(self) -> str:
        """The method, in capitals."""

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers, by the names that this file calls them."""


@dataclass(slots=True)
class Call:
    """One request on its way to a handler: who asks, and what its path named."""

    request: web.BaseRequest
    principal: Principal
    params: dict[str, str]


Handler = Callable[[Services, Call], Awaitable[Response]]
OpenHandler = Callable[[Services, web.BaseRequest], Awaitable[Any]]


@dataclass(frozen=True, slots=True)
class Route:
    """One call of the contract: its method, its path, who may make it, and who answers.

    `query` are the query parameters that it takes; another one is refused.
    """

    method: str
    path: str
    roles: frozenset[Role]
    handler: Handler
    query: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class OpenRoute:
    """A call that needs no key; a `counted` one is seen in logs and metrics like those that do.

    The head of a `counted` one is read as strictly as those of other routes. The others are for
    probes and browsers, which add query parameters of their own.
    """

    method: str
    path: str
    handler: OpenHandler
    counted: bool = False
    query: frozenset[str] = frozenset()


Methods = dict[str, Route | OpenRoute]
"""The routes of one path, by method."""


@dataclass(slots=True)
class Group:
    """Routes whose fixed segments stand at the same places."""

    places: itemgetter[Any]
    routes: dict[Any, tuple[Methods, list[tuple[int, str]]]] = field(default_factory=dict)


class Router:
    """Finds a route by the shape of its path: its segments, those in braces for any text but none.

    Routes of one length are grouped by which of their segments are fixed; a path is looked up in
    each group by its own segments at these places. Where a path has several shapes, the one with
    more fixed segments takes the methods that it has, and leaves the others to the next.
    """

    def __init__(self, routes: Iterable[Route | OpenRoute]) -> None:
        self._exact: dict[str, Methods] = {}
        found: dict[int, dict[tuple[int, ...], Group]] = {}
        for route in routes:
            segments = route.path.split("/")
            fixed = tuple(at for at, name in enumerate(segments) if name[:1] != "{")
            if len(fixed) == len(segments):
                self._exact.setdefault(route.path, {})[route.method] = route
            named = [(at, name[1:-1]) for at, name in enumerate(segments) if at not in fixed]
            groups = found.setdefault(len(segments), {})
            group = groups.setdefault(fixed, Group(itemgetter(*fixed)))
            methods, _ = group.routes.setdefault(group.places(segments), ({}, named))
            methods[route.method] = route
        self._groups = {
            length: [groups[fixed] for fixed in sorted(groups, key=lambda at: (-len(at), at))]
            for length, groups in found.items()
        }

    def find(self, method: str, path: str) -> tuple[Route | OpenRoute | None, dict[str, str]]:
        """Return (the route of `method` at `path`, what its segments are); (None, {}) for none.

        `path` is as it was sent: a `%2F` in it is part of a segment.
        """
        exact = self._exact.get(path)
        if exact is not None and (route := exact.get(method)) is not None:
            return route, {}
        segments = _segments_of(path) if "%" in path else path.split("/")
        for group in self._groups.get(len(segments), ()):
            found = group.routes.get(group.places(segments))
            if found is not None and (route := found[0].get(method)) is not None:
                params = {name: segments[at] for at, name in found[1]}
                if "" not in params.values():
                    return route, params
        return None, {}

    def methods(self, path: str) -> list[str]:
        """Return the methods that `path` takes, in order; none where it is no path of a route."""
        segments = _segments_of(path)
        groups = self._groups.get(len(segments), ())
        found = [group.routes.get(group.places(segments)) for group in groups]
        return sorted(
            {
                method
                for one in found
                if one is not None and all(segments[at] for at, _ in one[1])
                for method in one[0]
            }
        )


def _segments_of(path: str) -> list[str]:
    return [unquote(one) if "%" in one else one for one in path.split("/")]


class Dispatcher:
    """Takes every request of a worker to its handler, and the answer back."""

    def __init__(self, services: Services, routes: Iterable[Route | OpenRoute]) -> None:
        self._services = services
        self._router = Router(routes)

    async def __call__(self, request: web.BaseRequest) -> Any:
        """Answer one request, whatever happens; aiohttp calls it."""
        started = perf_counter()
        services = self._services
        request_id = request_id_of(request.headers)
        name = "unknown"
        try:
            path = request.rel_url.raw_path
            method = "GET" if request.method == "HEAD" else request.method
            route, params = self._router.find(method, path)
            if route is None:
                raise _not_routed(self._router.methods(path))
            name = route.path
            if isinstance(route, OpenRoute):
                if route.counted:
                    check_headers(request.headers)
                    check_query(request, route.query)
                reply = await route.handler(services, request)
                if not route.counted:
                    reply.headers["X-Request-Id"] = request_id
                    return reply
            else:
                check_headers(request.headers)
                authorization = request.headers.get("Authorization", "")
                principal = services.catalogue.now.principal(authorization)
                if principal is None:
                    principal = (await session_of(services, request)).principal
                if principal.role not in route.roles:
                    raise Problem(
                        "forbidden", f"This call takes a key of the role {_listed(route.roles)}."
                    )
                check_query(request, route.query)
                reply = await route.handler(services, Call(request, principal, params))
        except Exception as error:  # noqa: BLE001 - it is answered, and logged where it is our fault
            reply = problem_response(error, name, request.headers, request_id)
        self.finish(reply, request, name, request_id, started)
        if reply.status == HTTPStatus.BAD_REQUEST:
            # A client that sends bad requests in a loop takes no more of the worker than a till.
            await asyncio.sleep(services.settings.bad_request_pause_ms / 1000)
        return reply

    def finish(
        self, reply: Response, request: Asked, name: str, request_id: str, started: float
    ) -> None:
        """Make an answer ready to be written, and count it; `name` is the path of its route.

        `started` is when its request was taken up, by `perf_counter`.
        """
        services = self._services
        reply.headers["X-Request-Id"] = request_id
        if services.health.not_ready == "draining":
            reply.force_close()
        duration = perf_counter() - started
        method = request.method if name != "unknown" else "other"
        services.metrics.requests.observe((method, name, STATUS_TEXTS[reply.status]), duration)
        if services.settings.log_requests or reply.status >= 500:
            _log_request(request, reply.status, request_id, name, duration)


def request_id_of(headers: Mapping[str, str]) -> str:
    """Return the id that a request brings, or a new one where it brings none that can be used."""
    request_id = headers.get("X-Request-Id")
    if request_id is None or REQUEST_ID.fullmatch(request_id) is None:
        return str(uuid7())
    return request_id


def problem_response(
    error: Exception, name: str, headers: Mapping[str, str], request_id: str
) -> Response:
    """Return the answer that reports an error; `name` is the path of the route.

    Is called where the error is handled, for its traceback is logged where it is our fault.
    """
    if isinstance(error, Problem):
        problem = error
    elif isinstance(error, EngineError):
        problem = error_problem(error)
    elif isinstance(error, WritesRefused):
        log.warning("database_read_only", route=name)
        problem = error_problem(ReadOnly())
    elif isinstance(error, (*OUT_OF_REACH, PermissionDenied)):
        log.warning("database_out_of_reach", route=name, error=type(error).__name__)
        problem = error_problem(Unavailable())
    else:
        log.exception("request_failed", request_id=request_id, route=name)
        problem = Problem("internal_error", f"Tell support the request id {request_id}.")
    return Response(
        body_of(problem, request_id, language_of(headers.get("Accept-Language"))),
        status_of(problem),
        content_type=CONTENT_TYPE,
        headers=headers_of(problem),
    )


def answer(body: bytes, status: int = 200, *, replayed: bool = False) -> Response:
    """Return a JSON answer."""
    return Response(body, status, headers=dict(REPLAYED) if replayed else None)


async def read_body(
    services: Services,
    request: web.BaseRequest,
    limit: int | None = None,
    timeout_ms: int | None = None,
) -> bytes:
    """Return the whole body; raises Problem where it is too large, too slow or compressed.

    `limit` in bytes and `timeout_ms` are those of the settings where they are not given.
    """
    settings = services.settings
    encoding = request.headers.get("Content-Encoding", IDENTITY)
    if encoding.strip().lower() not in ("", IDENTITY):
        raise Problem("unsupported_encoding", "Send the body as it is, without Content-Encoding.")
    limit = limit or settings.body_bytes_max
    if request.content.is_eof():  # it is here already: nothing to wait for
        body = request.content.read_nowait()
    elif (request.content_length or 0) > limit:
        raise _too_large(limit)
    else:
        body = await _read_slowly(request, limit, (timeout_ms or settings.body_timeout_ms) / 1000)
    if len(body) > limit:
        raise _too_large(limit)
    return body


def _too_large(limit: int) -> Problem:
    return Problem("body_too_large", f"A body has at most {limit} bytes.")


async def _read_slowly(request: web.BaseRequest, limit: int, timeout_s: float) -> bytes:
    """Return a body that is still arriving, or as much of it as is already too much."""
    pieces: list[bytes] = []
    size = 0
    if request.headers.get("Expect", "").lower() == "100-continue" and request.transport:
        request.transport.write(CONTINUE)
    try:
        async with asyncio.timeout(timeout_s):
            while size <= limit and (piece := await request.content.readany()):
                pieces.append(piece)
                size += len(piece)
    except TimeoutError:
        raise Problem("request_timeout", "The whole body must arrive in a few seconds.") from None
    except BROKEN_OFF:
        raise Problem("malformed_json", "The body broke off.") from None
    return b"".join(pieces)


def known_principal(services: Services, authorization: str) -> Principal | None:
    """Return who sends this header where no look-up is needed to know it, else None."""
    principal = services.catalogue.now.principal(authorization)
    if principal is not None:
        return principal
    session = services.sessions.remembered(authorization)
    return session.principal if session is not None and _has_store(services, session) else None


def _has_store(services: Services, session: Session) -> bool:
    store = services.catalogue.now.stores.get(session.store_id)
    return store is not None and not store.retired


async def session_of(services: Services, request: web.BaseRequest, *, used: bool = True) -> Session:
    """Return the cashier's session whose token is sent; with `used` it is not idle.

    Raises Problem where there is none, or its store is retired.
    """
    token = request.headers.get("Authorization", "")
    session = await services.sessions.of(token, used=used)
    if session is None or not _has_store(services, session):
        raise Problem(
            "unauthorized",
            "Send the header Authorization: Bearer <key> with a key that is neither revoked nor of "
            "a retired store or brand, or with the token of a session that is not over.",
        )
    return session


def _not_routed(methods: list[str]) -> Problem:
    """Return the problem of a path that is not there, or not with this method."""
    if not methods:
        return Problem("not_found", "No call of the contract has this path.")
    allowed = ", ".join(methods)
    return HttpProblem(
        "method_not_allowed", f"This path takes {allowed}.", headers={"Allow": allowed}
    )


def _log_request(request: Asked, status: int, request_id: str, route: str, duration: float) -> None:
    facts: dict[str, Any] = {
        "request_id": request_id,
        "method": request.method,
        "route": route,
        "status": status,
        "duration_ms": round(duration * 1000, 2),
    }
    trace = TRACEPARENT.fullmatch(request.headers.get("traceparent", ""))
    if trace is not None:
        facts["trace_id"] = trace[1]
    log.info("request", **facts)


def _listed(roles: frozenset[Role]) -> str:
    return " or ".join(sorted(role.value for role in roles))
