"""Poolers: one that lends a server's session for a transaction at a time is refused.

The engine prepares statements, sets deadlines and takes advisory locks for a session. A pooler in
transaction mode gives the next transaction another session, so all of that is lost, or another
client's. A pooler in session mode changes nothing.
"""

from __future__ import annotations

import asyncio
from typing import Final

import asyncpg

from engine.postgres.connections import Connection, UnsafeServer
from engine.postgres.dsn import target_of
from engine.postgres.sql import queries

SQL = queries("durability")
ROUNDS: Final = 4
SECONDS_MAX: Final = 10.0
SENTENCE: Final = (
    "The database URL leads to a pooler that gives each transaction another session (pool_mode ="
    " transaction or statement). The engine needs sessions: connect to PostgreSQL directly, or to a"
    " pool with pool_mode = session."
)


async def refuse_transaction_pooling(dsn: str) -> None:
    """Raise UnsafeServer where a session of the server does not stay with its connection.

    Two connections take turns: the second one holds a transaction while the first one is asked who
    serves it. Where both are served by one process, or the first one's changes, sessions are
    shared; an idle pooler, too, gives the session that the first one has just left to the second
    one. Raises what asyncpg raises.
    """
    opened: list[Connection] = []
    try:
        async with asyncio.timeout(SECONDS_MAX):
            first, second = [await _open(dsn, opened) for _ in range(2)]
            if await _share_a_session(first, second):
                raise UnsafeServer(SENTENCE)
    except TimeoutError:
        if len(opened) < 2:
            raise
        raise UnsafeServer(
            f"The database gave no second session within {SECONDS_MAX:.0f} s. Where the URL leads"
            " to a pooler, give its pool at least 20 sessions for each worker."
        ) from None
    except (
        asyncpg.InvalidSQLStatementNameError,
        asyncpg.DuplicatePreparedStatementError,
        asyncpg.NoActiveSQLTransactionError,
    ):
        raise UnsafeServer(SENTENCE) from None
    except asyncpg.PostgresError as error:
        if "pooling" in str(error):  # transaction blocks not allowed in statement pooling mode
            raise UnsafeServer(SENTENCE) from None
        raise
    finally:
        for connection in opened:
            connection.terminate()


async def _open(dsn: str, opened: list[Connection]) -> Connection:
    """Open a connection that prepares nothing by name, and keep it in `opened`."""
    target = target_of(dsn)
    connection = await asyncpg.connect(  # network op
        target.dsn,
        timeout=target.connect_seconds_max,
        statement_cache_size=0,
        server_settings={"application_name": "leal-pooler-check"},
    )
    opened.append(connection)
    return connection


async def _share_a_session(first: Connection, second: Connection) -> bool:
    """Return whether the process behind `first` changes, or is that behind `second`."""
    of_first: set[int] = set()
    of_second: set[int] = set()
    for _ in range(ROUNDS):
        of_first.add(await _pid(first))
        async with second.transaction():  # network op
            of_second.add(await second.fetchval(SQL["served_by"]))  # network op
            of_first.add(await _pid(first))
    return len(of_first) > 1 or len(of_second) > 1 or bool(of_first & of_second)


async def _pid(connection: Connection) -> int:
    """Return which process serves a transaction of its own.

    A transaction keeps together the messages of the one statement in it.
    """
    async with connection.transaction():  # network op
        return int(await connection.fetchval(SQL["served_by"]))  # network op
