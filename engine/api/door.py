"""The door: what every request passes on its way in and out, in one place.

Who asks, may they, how long did it take, what is told when it goes wrong. A handler is a function
of (services, request, principal); it raises a Problem or an EngineError, or returns an answer.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import structlog
from aiohttp import web
from uuid_utils import uuid7

from engine.api.problems import CONTENT_TYPE, Problem, error_problem, language_of
from engine.api.services import SERVICES, Services
from engine.errors import EngineError
from engine.people.keys import Principal, Role

log = structlog.get_logger()

REQUEST_ID = re.compile(r"[A-Za-z0-9._:/+=-]{1,128}")
TRACEPARENT = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}")
JSON_HEADERS = {
    "Content-Type": "application/json",
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
}

Handler = Callable[[Services, web.Request, Principal], Awaitable[web.Response]]


@dataclass(frozen=True, slots=True)
class Route:
    """One call of the contract: its method, its path, who may make it, and who answers."""

    method: str
    path: str
    roles: frozenset[Role]
    handler: Handler


def answer(body: bytes, status: int = 200, *, replayed: bool = False) -> web.Response:
    """Return a JSON answer."""
    response = web.Response(body=body, status=status, headers=JSON_HEADERS)
    if replayed:
        response.headers["Idempotent-Replayed"] = "true"
    return response


async def read_body(services: Services, request: web.Request) -> bytes:
    """Return the whole body; raises Problem where it is too large, too slow or compressed."""
    if "Content-Encoding" in request.headers:
        raise Problem("unsupported_encoding", "Send the body as it is, without Content-Encoding.")
    limit = services.settings.body_bytes_max
    if (request.content_length or 0) > limit:
        raise Problem("body_too_large", f"A body has at most {limit} bytes.")
    try:
        if request.content.is_eof():
            return await request.read()
        async with asyncio.timeout(services.settings.body_timeout_ms / 1000):
            return await request.read()
    except web.HTTPRequestEntityTooLarge:
        raise Problem("body_too_large", f"A body has at most {limit} bytes.") from None
    except TimeoutError:
        raise Problem("request_timeout", "The whole body must arrive in a few seconds.") from None


def guarded(route: Route) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    """Return what aiohttp calls for `route`: authentication, the handler, and how it is told."""
    name = route.path

    async def handle(request: web.Request) -> web.StreamResponse:
        started = perf_counter()
        services = request.app[SERVICES]
        request_id = request.headers.get("X-Request-Id")
        if request_id is None or REQUEST_ID.fullmatch(request_id) is None:
            request_id = str(uuid7())
        try:
            principal = _authenticate(services, request)
            if principal.role not in route.roles:
                raise Problem("forbidden", f"This takes a key of {_listed(route.roles)}.")
            response = await route.handler(services, request, principal)
        except Problem as problem:
            response = _told(problem, request, request_id)
        except EngineError as error:
            response = _told(error_problem(error), request, request_id)
        except Exception:
            log.exception("request_failed", request_id=request_id, route=name)
            failure = Problem("internal_error", f"Tell support the request id {request_id}.")
            response = _told(failure, request, request_id)
        response.headers["X-Request-Id"] = request_id
        if services.health.not_ready == "draining":
            response.force_close()
        duration = perf_counter() - started
        services.metrics.request_child(route.method, name, response.status)(duration)
        if services.settings.log_requests or response.status >= 500:
            _log_request(request, response, request_id, name, duration)
        return response

    return handle


def _authenticate(services: Services, request: web.Request) -> Principal:
    header = request.headers.get("Authorization", "")
    principal = services.catalogue.now.principal(header[7:]) if header[:7] == "Bearer " else None
    if principal is None:
        raise Problem(
            "unauthorized",
            "Send the header Authorization: Bearer <key> with a key that is not revoked.",
            headers={"WWW-Authenticate": "Bearer"},
        )
    return principal


def _told(problem: Problem, request: web.Request, request_id: str) -> web.Response:
    language = language_of(request.headers.get("Accept-Language"))
    headers = {**JSON_HEADERS, **problem.headers, "Content-Type": CONTENT_TYPE}
    return web.Response(
        body=problem.body(request_id, language), status=problem.status, headers=headers
    )


def _log_request(
    request: web.Request, response: web.StreamResponse, request_id: str, route: str, duration: float
) -> None:
    facts: dict[str, Any] = {
        "request_id": request_id,
        "method": request.method,
        "route": route,
        "status": response.status,
        "duration_ms": round(duration * 1000, 2),
    }
    trace = TRACEPARENT.fullmatch(request.headers.get("traceparent", ""))
    if trace is not None:
        facts["trace_id"] = trace[1]
    log.info("request", **facts)


def _listed(roles: frozenset[Role]) -> str:
    return " or ".join(sorted(role.value for role in roles))


async def nothing_here(request: web.Request) -> web.StreamResponse:
    """Answer what no route takes: 405 where another method would do, else 404."""
    request_id = str(uuid7())
    allowed = set()
    for resource in request.app.router.resources():
        if "{tail" not in resource.canonical:
            _, methods = await resource.resolve(request)
            allowed |= methods
    if allowed:
        listed = ", ".join(sorted(allowed))
        problem = Problem(
            "method_not_allowed", f"This path takes {listed}.", headers={"Allow": listed}
        )
    else:
        problem = Problem("not_found", "No call of the contract has this path.")
    services = request.app[SERVICES]
    services.metrics.request_child("other", "unknown", problem.status)(0.0)
    response = _told(problem, request, request_id)
    response.headers["X-Request-Id"] = request_id
    return response
