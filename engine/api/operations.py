"""For those who run the engine: probes and metrics. No key is needed, nothing personal is told."""

from __future__ import annotations

import asyncio

import orjson
from aiohttp import web
from prometheus_client.aiohttp import make_aiohttp_handler

from engine.api.services import SERVICES

DATABASE_PROBE_S_MAX = 1.0


def add_routes(app: web.Application) -> None:
    """Register `/livez`, `/readyz`, `/startupz` and `/metrics`."""
    app.router.add_get("/livez", livez)
    app.router.add_get("/readyz", readyz)
    app.router.add_get("/startupz", startupz)
    app.router.add_get("/metrics", make_aiohttp_handler(app[SERVICES].metrics.registry))


async def livez(_request: web.Request) -> web.Response:
    """The event loop turns. Never touches the database."""
    return _told(None)


async def readyz(request: web.Request) -> web.Response:
    """Work can be taken: started, not draining, and the database answers."""
    services = request.app[SERVICES]
    reason = services.health.not_ready
    if reason is None:
        try:
            async with asyncio.timeout(DATABASE_PROBE_S_MAX):
                await services.pool.fetchval("select 1")  # network op
        except Exception:  # noqa: BLE001 - whatever it is, the database cannot be used
            reason = "database out of reach"
    return _told(reason)


async def startupz(request: web.Request) -> web.Response:
    """Migrations are done and the catalogue is loaded."""
    return _told(None if request.app[SERVICES].health.started else "starting")


def _told(reason: str | None) -> web.Response:
    status = 200 if reason is None else 503
    body = orjson.dumps({"status": "ok" if reason is None else "unavailable", "reason": reason})
    return web.Response(body=body, status=status, content_type="application/json")
