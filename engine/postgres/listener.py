"""A connection that listens: what PostgreSQL tells of a channel, for as long as the worker lives.

A notice can be lost, with the connection or without a word of it. So a listener says when it begins
anew, and a user who needs every notice then reads what was published meanwhile.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final

from engine.postgres.connections import Connection
from engine.postgres.sql import queries

SQL = queries("listener")
OPENED_AGAIN_AFTER_S: Final = 0.5
TRIED_EVERY_S: Final = 15.0

Connect = Callable[[], Awaitable[Connection]]


async def listen(
    connect: Connect, channel: str, heard: Callable[[str], None], begun: Callable[[], None]
) -> None:
    """Call `heard` with each notice of `channel`, and `begun` whenever listening begins, for ever.

    A connection that is lost is opened again. One to a pooler that tells nobody is no harm.
    """
    while True:
        with suppress(Exception):
            await _listen_on(await connect(), channel, heard, begun)
        await asyncio.sleep(OPENED_AGAIN_AFTER_S)


async def _listen_on(
    connection: Connection, channel: str, heard: Callable[[str], None], begun: Callable[[], None]
) -> None:
    """Listen until the connection is lost; it is tried now and then, for that may be silent."""
    lost = asyncio.Event()
    try:
        connection.add_termination_listener(lambda *_: lost.set())
        await connection.add_listener(  # network op
            channel, lambda _connection, _pid, _channel, told: heard(str(told))
        )
        begun()
        while not lost.is_set():
            with suppress(TimeoutError):
                async with asyncio.timeout(TRIED_EVERY_S):
                    await lost.wait()
            await connection.fetchval(SQL["still_there"])  # network op
    finally:
        connection.terminate()
