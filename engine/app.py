"""The application: builds every part of a worker once, and closes them in reverse.

The only place that knows all parts. Start: an unsafe server is refused, the catalogue
is loaded, then the door opens. End: readiness off, the door closes, what was taken is
made durable and answered, connections close.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from time import perf_counter

import structlog
from aiohttp import web

from engine import database
from engine.api.operations import own_metrics, worker_socket
from engine.api.routes import FAST_ROUTES, OPEN_ROUTES, ROUTES
from engine.commands.concurrency import ConcurrencyLimit
from engine.commands.services import Health, Services
from engine.errors import EngineError
from engine.http.admission import HEAD_LINE_BYTES_MAX, connections_allowed
from engine.http.dispatcher import Dispatcher, OpenRoute
from engine.http.fast_path import EngineServer, FastPath
from engine.keyfiles import chain_key, code_secret
from engine.ledger.chain import adopt_chain_key
from engine.ledger.committer import Committer
from engine.ledger.journal import look_up_by
from engine.ledger.readiness import Readiness
from engine.ledger.seen import LookUp
from engine.ledger.statements import Statements
from engine.metrics import Metrics
from engine.network.anchoring import Anchoring
from engine.network.events import Events
from engine.network.folding import Folder
from engine.network.invoices import Invoices
from engine.network.reports import Reports
from engine.network.sweeper import Sweeper
from engine.people.codes import SentCodes
from engine.people.customers import Customers
from engine.people.dispatch import Dispatch
from engine.people.failed_codes import FailedCodes
from engine.people.gateways import sender_of
from engine.people.guesses import Guesses
from engine.people.keys import Role
from engine.people.passwords import Passwords
from engine.people.presence import Presences
from engine.people.sessions import Sessions
from engine.postgres.connections import (
    Pool,
    connect,
    create_read_pool,
    refuse_unsafe_server,
)
from engine.postgres.pooler import refuse_transaction_pooling
from engine.programme.administration import Administration
from engine.programme.calendar import COINS_COUNTRY, UTC_OFFSETS
from engine.programme.catalogue import Catalogue
from engine.programme.funds import Funds
from engine.programme.stock import Stock
from engine.settings import Settings
from engine.signals import STOP_SIGNALS

log = structlog.get_logger()

LOOP_LAG_INTERVAL_S = 0.25
YOUNG_OBJECTS_MAX = 50_000
"""Objects made and not yet freed before the garbage collector looks at them."""
OWN_ROUTES = (*OPEN_ROUTES, OpenRoute("GET", "/metrics", own_metrics))
"""What a worker tells of itself alone, where the port is that of all."""


@contextlib.asynccontextmanager
async def services_of(settings: Settings, dsn: str) -> AsyncIterator[Services]:
    """Build the parts of one worker on the database `dsn`, and close them in reverse.

    Raises UnsafeServer, and what a database out of reach raises.
    """
    async with contextlib.AsyncExitStack() as stack:
        pool = await stack.enter_async_context(pool_of(settings, dsn))
        metrics, catalogue = Metrics(), catalogue_of(settings, pool)
        await catalogue.load()
        open_listener = partial(database.open_listener, settings, dsn)
        committer = await stack.enter_async_context(
            committer_of(settings, dsn, metrics, durable=True, look_up=look_up_by(pool))
        )
        open_like_a_lane = partial(database.open_like_a_lane, settings, dsn)
        readiness = Readiness(open_like_a_lane, committer.lanes, [pool], settings)
        await readiness.look()
        events = Events(
            pool,
            open_listener,
            metrics,
            feeds_max=settings.streams_max,
            feeds_of_store_max=settings.streams_of_store_max,
            waiting_max=settings.stream_events_waiting_max,
            days_max=settings.occurred_days_max,
        )
        for watcher in (
            Sweeper(pool, committer, partial(_utc_offset_now, catalogue), settings, metrics).run(),
            catalogue.watch(),
            catalogue.listen(open_listener),
            events.listen(),
            _watch_loop(metrics),
            readiness.run(),
            _fold(settings, dsn, metrics),
            Anchoring(dsn, settings, metrics).run(),
        ):
            stack.callback(asyncio.create_task(watcher).cancel)
        dispatch = Dispatch(sender_of(settings), settings, metrics)
        stack.push_async_callback(dispatch.close)
        # Two of them, so that strangers who sign in keep no administrator waiting.
        passwords = Passwords(1, settings.passwords_waiting_max)
        sign_ins = Passwords(settings.passwords_hashing_max, 0)
        stack.callback(passwords.close)
        stack.callback(sign_ins.close)
        reports = await stack.enter_async_context(reports_of(settings, dsn))
        yield Services(
            settings=settings,
            metrics=metrics,
            pool=pool,
            catalogue=catalogue,
            administration=Administration(pool, catalogue, settings.answer_timeout_ms),
            invoices=Invoices(pool, settings.invoices_waiting_max, settings.printing_remembered_ms),
            events=events,
            uploads=ConcurrencyLimit(settings.bulk_uploads_max, settings.bulk_uploads_waiting_max),
            stock=Stock(pool, settings.stock_remembered_ms),
            funds=Funds(pool, settings),
            committer=committer,
            readiness=readiness,
            statements=Statements(pool),
            reports=reports,
            customers=Customers(pool, dispatch.channels),
            guesses=guesses_of(settings),
            passwords=passwords,
            sessions=Sessions(pool, sign_ins, settings, code_secret(settings)),
            dispatch=dispatch,
            presences=Presences(pool, settings.presence_lifetime_s),
            sent_codes=SentCodes(pool, 2 * settings.code_lifetime_s),
            failed_codes=FailedCodes(pool, settings, metrics),
            code_secret=code_secret(settings),
            health=Health(not_ready=None, started=True),
        )


@contextlib.asynccontextmanager
async def pool_of(settings: Settings, dsn: str) -> AsyncIterator[Pool]:
    """Give the pool of a worker. Raises UnsafeServer, and what a database out of reach raises."""
    await refuse_transaction_pooling(dsn)
    pool = await create_read_pool(
        dsn,
        connections_max=settings.read_connections_max,
        statement_timeout_ms=settings.statement_timeout_ms,
        allow_data_loss=settings.allow_data_loss,
    )
    try:
        async with pool.acquire() as connection:
            await refuse_unsafe_server(connection, allow_data_loss=settings.allow_data_loss)
            await adopt_chain_key(connection, chain_key(settings))
        yield pool
    finally:
        pool.terminate()


def catalogue_of(settings: Settings, pool: Pool) -> Catalogue:
    """Return the catalogue that a worker loads from the database of `pool`."""
    return Catalogue(pool, settings.catalogue_refresh_ms, settings.occurred_days_max)


@contextlib.asynccontextmanager
async def reports_of(settings: Settings, dsn: str) -> AsyncIterator[Reports]:
    """Give reports on connections of their own: they take long, and no look-up waits for them."""
    pool = await create_read_pool(
        dsn,
        connections_max=settings.reports_max,
        statement_timeout_ms=settings.report_timeout_ms,
        application_name="leal-reports",
    )
    try:
        yield Reports(pool)
    finally:
        pool.terminate()


@contextlib.asynccontextmanager
async def sweeper_of(settings: Settings, dsn: str) -> AsyncIterator[Sweeper]:
    """Give a sweeper that works on the database `dsn`, beside any others, and close its parts."""
    pool = await create_read_pool(
        dsn, connections_max=1, statement_timeout_ms=settings.statement_timeout_ms
    )
    try:
        async with pool.acquire() as connection:
            await adopt_chain_key(connection, chain_key(settings))
        metrics, catalogue = Metrics(), catalogue_of(settings, pool)
        await catalogue.load()
        async with committer_of(settings, dsn, metrics) as committer:
            yield Sweeper(
                pool, committer, lambda asset: catalogue.now.utc_offset(asset), settings, metrics
            )
    finally:
        pool.terminate()


@contextlib.asynccontextmanager
async def committer_of(
    settings: Settings,
    dsn: str,
    metrics: Metrics,
    *,
    durable: bool = False,
    look_up: LookUp | None = None,
) -> AsyncIterator[Committer]:
    """Give a committer that works on the database `dsn`, beside any others, and close it.

    With `durable` it takes nothing where a commit is not, unless the settings allow that.
    `look_up` finds what probably comes second; see `engine/ledger/repeats.py`.
    """
    if not durable:
        settings = replace(settings, allow_data_loss=True)
    committer = Committer(
        partial(database.open_journal, settings, dsn),
        settings,
        metrics,
        coins_utc_offset=UTC_OFFSETS[COINS_COUNTRY],
        chain_key=chain_key(settings),
        look_up=look_up,
    )
    committer.start()
    try:
        yield committer
    finally:
        await committer.close()


async def serve(
    settings: Settings, dsn: str, *, announce: Callable[[int], None] | None = None
) -> bool:
    """Serve until SIGTERM or SIGINT, then drain; return whether all came to its outcome.

    Before it serves, signals are those of `engine.signals`. A second signal ends it at once. A
    worker leaves that to its supervisor, whose end is a signal too.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    async with services_of(settings, dsn) as services, contextlib.AsyncExitStack() as stack:
        _collect_seldom()
        dispatcher = Dispatcher(services, ROUTES + OPEN_ROUTES)
        runner = web.ServerRunner(
            EngineServer(
                dispatcher,
                FastPath(services, dispatcher, FAST_ROUTES if settings.fast_path else ()),
                connections_max=connections_allowed(settings.connections_max),
                access_log=None,
                keepalive_timeout=settings.keepalive_timeout_s,
                lingering_time=settings.body_timeout_ms / 1000,
                auto_decompress=False,
                handler_cancellation=False,
                max_line_size=HEAD_LINE_BYTES_MAX,
                max_field_size=HEAD_LINE_BYTES_MAX,
            ),
            handle_signals=False,
            shutdown_timeout=settings.drain_timeout_s,
        )
        await runner.setup()
        shared = settings.worker_slot > 0
        site = web.TCPSite(
            runner, settings.host, settings.port, backlog=1024, reuse_port=shared or None
        )
        await site.start()
        port = runner.addresses[0][1]
        if shared:
            stack.push_async_callback((await _tell_of_itself(services)).cleanup)
            stack.enter_context(_stopped_with_supervisor(stop))
        else:
            for number in STOP_SIGNALS:
                loop.add_signal_handler(number, _stop_or_end, stop, services.health)
        log.info("serving", host=settings.host, port=port, pid=os.getpid())
        if announce is not None:
            announce(port)
        await stop.wait()
        return await drain(services, runner)


async def drain(services: Services, runner: web.ServerRunner) -> bool:
    """Turn readiness off, close the door, and bring what was taken to its outcome."""
    services.health.not_ready = "draining"
    log.info("draining", waiting=sum(lane.room.waiting for lane in services.committer.lanes))
    await asyncio.sleep(services.settings.drain_delay_ms / 1000)
    for site in list(runner.sites):
        await site.stop()
    services.events.end()
    complete = await services.committer.drain(services.settings.drain_timeout_s)
    await runner.cleanup()
    log.info("drained", complete=complete)
    return complete


def guesses_of(settings: Settings) -> Guesses:
    """Return the purses of misses: a till of a brand has its own, a cashier a smaller one."""
    return Guesses(
        {
            Role.BRAND: settings.misses_an_hour_max,
            Role.STORE: settings.misses_an_hour_max,
            Role.CASHIER: settings.cashier_misses_an_hour_max,
        }
    )


def _collect_seldom() -> None:
    """Let the garbage collector pass over what lives as long as the process, and look seldom.

    A request leaves no cycles behind; a look at every cached customer took a tenth of the CPU.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS_MAX, 20, 100)


async def _tell_of_itself(services: Services) -> web.ServerRunner:
    """Answer probes and the scrapes of other workers on a socket of this worker's own.

    Its file stays behind: the next worker of the slot takes it over, and may be there already.
    """
    path = worker_socket(services.settings.data_dir, services.settings.worker_slot)
    if path.parent != services.settings.data_dir.resolve():
        _make_private_folder(path.parent)
    runner = web.ServerRunner(
        web.Server(Dispatcher(services, OWN_ROUTES), access_log=None), handle_signals=False
    )
    await runner.setup()
    await web.UnixSite(runner, str(path)).start()
    path.chmod(0o600)
    return runner


def _make_private_folder(path: Path) -> None:
    """Anyone may write to /tmp: open the folder, then judge and change just what was opened."""
    refusal = f"{path} is not a folder of this user. Remove it, start again."
    with contextlib.suppress(FileExistsError):
        path.mkdir(mode=0o700)
    try:
        folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError as error:
        raise EngineError(refusal) from error
    try:
        if os.fstat(folder).st_uid != os.geteuid():
            raise EngineError(refusal)
        os.fchmod(folder, 0o700)
    finally:
        os.close(folder)


@contextlib.contextmanager
def _stopped_with_supervisor(stop: asyncio.Event) -> Iterator[None]:
    """Stop at a signal, or when standard input ends: it does so with the supervisor.

    A terminal sends the signals to all processes, and the supervisor hands them on besides. So
    one more means nothing, and it may come until the process is gone: handlers that the event loop
    takes back when it closes would let it kill.
    """
    loop = asyncio.get_running_loop()
    lifeline = sys.stdin.fileno()

    def ended() -> None:
        loop.remove_reader(lifeline)
        stop.set()

    for number in STOP_SIGNALS:
        signal.signal(number, lambda *_: loop.call_soon_threadsafe(stop.set))
    loop.add_reader(lifeline, ended)
    yield
    for number in STOP_SIGNALS:
        signal.signal(number, signal.SIG_IGN)


async def _fold(settings: Settings, dsn: str, metrics: Metrics) -> None:
    """Fold the journal into sums for as long as the worker lives, where that is wanted."""
    open_folder = partial(
        connect,
        dsn,
        statement_timeout_ms=settings.fold_timeout_ms,
        lock_timeout_ms=settings.lock_timeout_ms,
        application_name="leal-folder",
        command_timeout_seconds=2 * settings.fold_timeout_ms / 1000,
        look_ups_only=True,
    )
    if settings.fold_interval_ms:
        await Folder(
            open_folder,
            metrics,
            interval_ms=settings.fold_interval_ms,
            rows_max=settings.fold_rows_max,
        ).run()


def _utc_offset_now(catalogue: Catalogue, asset: int) -> int:
    return catalogue.now.utc_offset(asset)


async def _watch_loop(metrics: Metrics) -> None:
    """Measure how late the event loop runs a timer."""
    while True:
        due = perf_counter() + LOOP_LAG_INTERVAL_S
        await asyncio.sleep(LOOP_LAG_INTERVAL_S)
        metrics.loop_lag.observe(max(0.0, perf_counter() - due))


def _stop_or_end(stop: asyncio.Event, health: Health) -> None:
    """Stop, or end at once where that is under way; two signals in one moment are one."""
    if health.not_ready == "draining":
        log.warning("ended_by_second_signal")
        os._exit(1)
    stop.set()
