"""The processes of an audit: they share its tasks, and all of them see one snapshot.

A process has an event loop of its own and STREAMS connections. Each connection takes the next task
that nobody has taken, until there is none. Two connections a process, for one of them fills the
buffers of its socket while the other one's rows are checked.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from multiprocessing import get_context, parent_process
from multiprocessing.connection import Connection as Pipe
from multiprocessing.context import SpawnProcess
from typing import Any, Final, NamedTuple

import uvloop

from engine.errors import Unaudited
from engine.postgres.connections import OUT_OF_REACH, Connection, connect
from engine.postgres.sql import queries

SQL = queries("audit")
STREAMS: Final = 2
PROGRESS_INTERVAL_S: Final = 0.1
TASK_SECONDS_MAX: Final = 86_400

Tell = Callable[[int], None]
Work = Callable[[Connection, Any, Tell], Awaitable[Any]]
"""Carries out a task on a connection, and tells how many rows it has read since it told last."""


class Orders(NamedTuple):
    """What a process is started with."""

    dsn: str
    snapshot: str
    work: Work
    tasks: Sequence[Any]
    taken: Any
    """How many of the tasks are taken: a number that all processes share."""
    rows: Any
    """How many rows each process has read."""


async def carry_out(
    connection: Connection,
    dsn: str,
    processes: int,
    work: Work,
    tasks: Sequence[Any],
    progress: Tell,
) -> list[Any]:
    """Carry out `tasks` in so many processes; return their results in the order of `tasks`.

    `connection` is in a transaction of REPEATABLE READ, whose snapshot the others take; `work` is a
    function of a module. `progress` is told the rows read by all. Raises Unaudited where PostgreSQL
    or a process goes away; then no process is left.
    """
    snapshot = await connection.fetchval(SQL["export_snapshot"])  # network op
    context = get_context("spawn")
    rows = context.RawArray("q", processes)
    orders = Orders(dsn, snapshot, work, tasks, context.Value("q", 0), rows)
    crew: list[SpawnProcess] = []
    results: set[asyncio.Task[dict[int, Any]]] = set()
    try:
        for slot in range(processes):
            receiver, sender = context.Pipe(duplex=False)
            process = context.Process(target=_serve, args=(slot, orders, sender), daemon=True)
            process.start()
            sender.close()
            crew.append(process)
            results.add(asyncio.create_task(asyncio.to_thread(_result_of, receiver)))
        found: dict[int, Any] = {}
        waiting = results
        while waiting:
            done, waiting = await asyncio.wait(
                waiting, timeout=PROGRESS_INTERVAL_S, return_when=asyncio.FIRST_COMPLETED
            )
            progress(sum(rows))
            for one in done:
                found |= one.result()
    finally:
        for process in crew:
            process.kill()
            process.join()
        await asyncio.gather(*results, return_exceptions=True)
    return [found[at] for at in range(len(tasks))]


def _result_of(pipe: Pipe) -> dict[int, Any]:
    """Wait for what a process has found, by the numbers of the tasks; raises Unaudited."""
    try:
        result = pipe.recv()
    except EOFError:
        raise Unaudited(
            "A process of the audit was ended from outside, perhaps for want of memory; nothing is"
            " known of the books. Run it again, with a lower --audit-processes-max."
        ) from None
    if isinstance(result, Unaudited):
        raise result
    found: dict[int, Any] = result
    return found


def _serve(slot: int, orders: Orders, sender: Pipe) -> None:
    """Be one of the processes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the one that started this one ends it
    result: Any
    try:
        result = uvloop.run(_carry_out(slot, orders))
    except OUT_OF_REACH as error:
        result = Unaudited.by(error)
    with suppress(BrokenPipeError):
        sender.send(result)


async def _carry_out(slot: int, orders: Orders) -> dict[int, Any]:
    found: dict[int, Any] = {}

    def tell(rows: int) -> None:
        orders.rows[slot] += rows

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
            while (at := _next(orders)) < len(orders.tasks):
                found[at] = await orders.work(connection, orders.tasks[at], tell)
        await connection.close()

    await asyncio.gather(*(stream() for _ in range(STREAMS)))
    return found


def _next(orders: Orders) -> int:
    """Return the number of a task that nobody has taken; beyond the last one there is no more."""
    parent = parent_process()
    if parent is None or not parent.is_alive():
        return len(orders.tasks)
    with orders.taken.get_lock():
        at: int = orders.taken.value
        orders.taken.value += 1
    return at
