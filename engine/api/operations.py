"""For those who run the engine: probes and metrics. No key is needed, nothing personal is told."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson
from aiohttp import web
from prometheus_client.aiohttp import make_aiohttp_handler

from engine.api.reply import Reply
from engine.api.services import Services

DATABASE_PROBE_S_MAX = 1.0


async def livez(_services: Services, _request: web.BaseRequest) -> Reply:
    """The event loop turns. Never touches the database."""
    return _told(None)


async def readyz(services: Services, _request: web.BaseRequest) -> Reply:
    """Work can be taken: started, not draining, and the database answers."""
    reason = services.health.not_ready
    if reason is None:
        try:
            async with asyncio.timeout(DATABASE_PROBE_S_MAX):
                await services.pool.fetchval("select 1")  # network op
        except Exception:  # noqa: BLE001 - whatever it is, the database cannot be used
            reason = "database out of reach"
    return _told(reason)


async def startupz(services: Services, _request: web.BaseRequest) -> Reply:
    """Migrations are done and the catalogue is loaded."""
    return _told(None if services.health.started else "starting")


async def metrics(services: Services, request: web.BaseRequest) -> Any:
    """Everything that is counted, as Prometheus or OpenMetrics text."""
    return await make_aiohttp_handler(services.metrics.registry)(request)  # type: ignore[arg-type]


def _told(reason: str | None) -> Reply:
    body = orjson.dumps({"status": "ok" if reason is None else "unavailable", "reason": reason})
    return Reply(body, 200 if reason is None else 503)
