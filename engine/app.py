"""The application: builds every part of a worker once, and closes them in reverse.

The only place that knows all parts. Start: an unsafe server is refused, the catalogue
is loaded, then the door opens. End: readiness off, the door closes, what was taken is
made durable and answered, connections close.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator, Callable
from hashlib import sha256
from pathlib import Path
from time import perf_counter

import structlog
from aiohttp import web

from engine.api.door import Door
from engine.api.routes import OPEN_ROUTES, ROUTES
from engine.api.services import Health, Services
from engine.errors import EngineError
from engine.ledger.committer import Committer
from engine.ledger.journal import Journal
from engine.ledger.statements import Statements
from engine.metrics import Metrics
from engine.people.customers import Customers
from engine.people.sender import Outbox
from engine.postgres.connections import connect, create_read_pool, refuse_unsafe_server
from engine.programme.calendar import COINS_COUNTRY, UTC_OFFSETS
from engine.programme.catalogue import Catalogue
from engine.settings import Settings

log = structlog.get_logger()

LOOP_LAG_INTERVAL_S = 0.25
SECRET_SIZE = 32
HEAD_LINE_BYTES_MAX = 4096


@contextlib.asynccontextmanager
async def services_of(settings: Settings, dsn: str) -> AsyncIterator[Services]:
    """Build the parts of one worker on the database `dsn`, and close them in reverse.

    Raises UnsafeServer, and what a database out of reach raises.
    """
    async with contextlib.AsyncExitStack() as stack:
        pool = await create_read_pool(
            dsn,
            connections_max=settings.read_connections_max,
            statement_timeout_ms=settings.statement_timeout_ms,
        )
        stack.callback(pool.terminate)
        async with pool.acquire() as connection:
            await refuse_unsafe_server(connection, allow_data_loss=settings.allow_data_loss)
        metrics = Metrics()
        catalogue = Catalogue(pool, settings.catalogue_refresh_ms)
        await catalogue.load()

        async def open_journal() -> Journal:
            connection = await connect(
                dsn,
                statement_timeout_ms=settings.statement_timeout_ms,
                lock_timeout_ms=settings.lock_timeout_ms,
                application_name="leal-writer",
                command_timeout_seconds=settings.append_timeout_ms / 1000,
                look_ups_only=True,
            )
            return await Journal.open(connection, settings.append_timeout_ms)

        committer = Committer(
            open_journal, settings, metrics, coins_utc_offset=UTC_OFFSETS[COINS_COUNTRY]
        )
        committer.start()
        stack.push_async_callback(committer.close)
        for watcher in (catalogue.watch(), _watch_loop(metrics)):
            stack.callback(asyncio.create_task(watcher).cancel)
        yield Services(
            settings=settings,
            metrics=metrics,
            pool=pool,
            catalogue=catalogue,
            committer=committer,
            statements=Statements(pool),
            customers=Customers(pool),
            sender=Outbox(settings.data_dir / "outbox.ndjson"),
            code_secret=code_secret(settings),
            health=Health(not_ready=None, started=True),
        )


async def serve(
    settings: Settings, dsn: str, *, announce: Callable[[int], None] | None = None
) -> None:
    """Serve until SIGTERM or SIGINT, then drain; a second signal ends it at once."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    async with services_of(settings, dsn) as services:
        runner = web.ServerRunner(
            web.Server(
                Door(services, ROUTES + OPEN_ROUTES),
                access_log=None,
                keepalive_timeout=settings.keepalive_timeout_s,
                auto_decompress=False,
                handler_cancellation=False,
                max_line_size=HEAD_LINE_BYTES_MAX,
                max_field_size=HEAD_LINE_BYTES_MAX,
            ),
            handle_signals=False,
            shutdown_timeout=settings.drain_timeout_s,
        )
        await runner.setup()
        site = web.TCPSite(runner, settings.host, settings.port, backlog=1024)
        await site.start()
        port = runner.addresses[0][1]
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, _stop_or_end, stop)
        log.info("serving", host=settings.host, port=port, pid=os.getpid())
        if announce is not None:
            announce(port)
        await stop.wait()
        await drain(services, runner)


async def drain(services: Services, runner: web.ServerRunner) -> None:
    """Turn readiness off, close the door, and bring what was taken to its outcome."""
    services.health.not_ready = "draining"
    log.info("draining", waiting=sum(lane.room.waiting for lane in services.committer.lanes))
    await asyncio.sleep(services.settings.drain_delay_ms / 1000)
    for site in list(runner.sites):
        await site.stop()
    complete = await services.committer.drain(services.settings.drain_timeout_s)
    await runner.cleanup()
    log.info("drained", complete=complete)


def code_secret(settings: Settings) -> bytes:
    """Return the key of payment codes: from the settings, or from a file made at the first start.

    It stays outside the database, so that who reads the one cannot guess the other's four digits.
    """
    if settings.secret:
        return sha256(settings.secret.encode()).digest()
    path = settings.data_dir / "secret"
    with contextlib.suppress(FileExistsError):
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(file, "wb") as secret:
            secret.write(os.urandom(SECRET_SIZE))
    made = Path(path).read_bytes()
    if len(made) != SECRET_SIZE:
        raise EngineError(f"{path} has not {SECRET_SIZE} bytes; delete it to have a new one made")
    return made


async def _watch_loop(metrics: Metrics) -> None:
    """Measure how late the event loop runs a timer."""
    while True:
        due = perf_counter() + LOOP_LAG_INTERVAL_S
        await asyncio.sleep(LOOP_LAG_INTERVAL_S)
        metrics.loop_lag.observe(max(0.0, perf_counter() - due))


def _stop_or_end(stop: asyncio.Event) -> None:
    if stop.is_set():
        log.warning("ended_by_second_signal")
        os._exit(1)
    stop.set()
