"""What every contestant has in common: the route, the answer's shape, and how it is served."""

from __future__ import annotations

import asyncio
import signal
from typing import Any

from aiohttp import web

ROUTE = "/v1/customers/{customer_id}/accumulations"
HEADERS = {"Content-Type": "application/json", "Cache-Control": "no-store"}

EXAMPLE = {
    "transaction_id": "0b7c7e2e-3c1b-5f43-9d8e-0d5c1f1a2b3c",
    "customer_id": "937c7a83-8f27-445a-8566-23d9c1b84f6a",
    "store_id": 1,
    "brand_id": 1,
    "points": {"earned": 54, "balance": 1054, "expires_on": "2027-11-21"},
    "coins": {"earned": 540, "balance": 10540, "expires_on": "2028-11-21"},
    "recorded_at": "2026-11-21T23:33:01.865812Z",
}
"""An answer to an accumulation at a brand that issues coins."""

ANSWER_BYTES = 309
"""The size of EXAMPLE as JSON."""


async def ready(_: web.Request) -> web.Response:
    """`GET /readyz`."""
    return web.Response(text="ready")


async def serve(app: web.Application, port: int) -> None:
    """Serve until SIGTERM, without an access log, as the engine does."""
    app.router.add_get("/readyz", ready)
    runner = web.AppRunner(app, access_log=None, handle_signals=False, handler_cancellation=False)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port, backlog=1024).start()
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    await stop.wait()
    await runner.cleanup()


def earned(amount: int, balance: int, expires_on: str) -> dict[str, Any]:
    """Return the part of the answer that tells of one wallet."""
    return {"earned": amount, "balance": balance, "expires_on": expires_on}
