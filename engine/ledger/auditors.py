"""The processes of an audit: they share its tasks, and all of them see one snapshot.

A process has an event loop of its own and STREAMS connections, and each of these asks for the next
task until there is none. Two connections a process, for one of them fills the buffers of its socket
while the other one's rows are checked. Who leads the processes speaks to each over a link, in a
thread; a process ends with its link.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from multiprocessing import Pipe
from multiprocessing.connection import Connection as Link
from queue import Empty, SimpleQueue
from typing import Any, Final, NamedTuple

import uvloop

from engine.errors import Unaudited
from engine.postgres.connections import OUT_OF_REACH, Connection, connect
from engine.postgres.sql import queries

SQL = queries("audit")
STREAMS: Final = 2
PROGRESS_INTERVAL_S: Final = 0.1
TASK_SECONDS_MAX: Final = 86_400
COMMAND: Final = (sys.executable, "-c", "from engine.ledger.auditors import serve; serve()")
ENDED: Final = (
    "A process of the audit was ended from outside, perhaps for want of memory; nothing is known of"
    " the books. Run it again, with a lower --audit-processes-max."
)
WANTED: Final = "wanted"
"""What a process says for each task that it wants; it gets the task and its number, or None."""

Tell = Callable[[int], None]
Work = Callable[[Connection, Any, Tell], Awaitable[Any]]
"""Carries out a task on a connection, and tells how many rows more it has read."""


class Orders(NamedTuple):
    """What a process is told first."""

    dsn: str
    snapshot: str
    work: Work


class Found(NamedTuple):
    """What a process says of a task, by its number."""

    at: int
    result: Any


async def carry_out(
    connection: Connection,
    dsn: str,
    processes: int,
    work: Work,
    tasks: Sequence[Any],
    progress: Tell,
) -> list[Any]:
    """Carry out `tasks` in a number of processes; return their results in the order of `tasks`.

    `connection` is in a transaction of REPEATABLE READ, whose snapshot the others take; `work` can
    be pickled. `progress` is told the rows read by all. Raises Unaudited where PostgreSQL or a
    process goes away. No process outlives the call.
    """
    snapshot = await connection.fetchval(SQL["export_snapshot"])  # network op
    led = Led(Orders(dsn, snapshot, work), tasks)
    loop, crew = asyncio.get_running_loop(), []
    threads = ThreadPoolExecutor(processes)
    waiting: set[asyncio.Future[None]] = set()
    try:
        for _ in range(processes):
            ours, theirs = Pipe()
            descriptor = theirs.fileno()
            crew.append(
                await asyncio.create_subprocess_exec(
                    *COMMAND,
                    str(descriptor),
                    pass_fds=[descriptor],
                    stdin=asyncio.subprocess.DEVNULL,
                )
            )
            theirs.close()
            waiting.add(loop.run_in_executor(threads, led.lead, ours))
        while waiting:
            done, waiting = await asyncio.wait(
                waiting, timeout=PROGRESS_INTERVAL_S, return_when=asyncio.FIRST_COMPLETED
            )
            progress(led.rows)
            for one in done:
                one.result()
    finally:
        for process in crew:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()
        await asyncio.gather(*waiting, return_exceptions=True)
        threads.shutdown()
    return [led.found[at] for at in range(len(tasks))]


class Led:
    """What the processes share: the tasks that are left, and what came of the others."""

    def __init__(self, orders: Orders, tasks: Sequence[Any]) -> None:
        self.found: dict[int, Any] = {}
        self._orders = orders
        self._tasks: SimpleQueue[tuple[int, Any]] = SimpleQueue()
        for numbered in enumerate(tasks):
            self._tasks.put(numbered)
        self._rows: dict[Link, int] = {}

    @property
    def rows(self) -> int:
        """How many rows were read."""
        return sum(list(self._rows.values()))

    def lead(self, link: Link) -> None:
        """Speak with a process until it has done its part; raises Unaudited where it cannot."""
        self._rows[link] = 0
        try:
            link.send(self._orders)
            while (said := link.recv()) is not None:
                if isinstance(said, Unaudited):
                    raise said
                if isinstance(said, Found):
                    self.found[said.at] = said.result
                elif isinstance(said, int):
                    self._rows[link] += said
                else:
                    link.send(self._next())
        except (EOFError, OSError):
            raise Unaudited(ENDED) from None
        finally:
            link.close()

    def _next(self) -> tuple[int, Any] | None:
        try:
            return self._tasks.get_nowait()
        except Empty:
            return None


def serve() -> None:
    """Be one of the processes; the last argument is the descriptor of the link."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # who leads this process ends it
    link = Link(int(sys.argv[-1]))
    try:
        uvloop.run(_serve(link))
        link.send(None)
    except OUT_OF_REACH as error:
        link.send(Unaudited.by(error))
    except EOFError:
        return


async def _serve(link: Link) -> None:
    orders: Orders = link.recv()
    asking, loop = asyncio.Lock(), asyncio.get_running_loop()
    untold, told_at = 0, loop.time()

    def tell(rows: int) -> None:
        nonlocal untold
        untold += rows
        if loop.time() - told_at > PROGRESS_INTERVAL_S:
            flush()

    def flush() -> None:
        nonlocal untold, told_at
        link.send(untold)
        untold, told_at = 0, loop.time()

    async def stream() -> None:
        connection = await connect(
            orders.dsn,
            statement_timeout_ms=1000 * TASK_SECONDS_MAX,
            lock_timeout_ms=1000 * TASK_SECONDS_MAX,
            application_name="leal-audit",
            command_timeout_seconds=TASK_SECONDS_MAX,
        )
        async with connection.transaction(isolation="repeatable_read", readonly=True):  # network op
            take = SQL["take_snapshot"].format(snapshot=orders.snapshot)
            await connection.execute(take)  # network op
            await connection.execute(SQL["plan"])  # network op
            while (numbered := await ask()) is not None:
                at, task = numbered
                link.send(Found(at, await orders.work(connection, task, tell)))
                flush()
        await connection.close()

    async def ask() -> tuple[int, Any] | None:
        async with asking:
            link.send(WANTED)
            numbered: tuple[int, Any] | None = await asyncio.to_thread(link.recv)
            return numbered

    await asyncio.gather(*(stream() for _ in range(STREAMS)))
