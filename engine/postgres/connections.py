"""Connections to PostgreSQL as the engine wants them, and the refusal of a server that loses data.

A writer owns its connection, for a pool's release costs a round trip. Readers share a pool whose
release costs none: they leave no session state behind, so there is nothing to reset.
"""

from __future__ import annotations

import asyncio
import os
import socket
from typing import Any, Final, TypeAlias

import asyncpg

from engine.postgres.dsn import Target, target_of
from engine.postgres.durability import state_of

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"
PooledConnection: TypeAlias = "asyncpg.pool.PoolConnectionProxy[asyncpg.Record]"

PostgresError: Final = asyncpg.PostgresError
"""What the server says when it refuses something."""
UniqueViolation: Final = asyncpg.UniqueViolationError
"""Someone else has this key already."""
CheckViolation: Final = asyncpg.CheckViolationError
"""A row would be what its table does not allow."""

NoSuchServer: Final = asyncpg.TargetServerAttributeNotMatched
"""None of the servers of the URL is what its `target_session_attrs` asks for."""
PermissionDenied: Final = asyncpg.InsufficientPrivilegeError
"""The role may not do this."""
WritesRefused: Final = asyncpg.ReadOnlySQLTransactionError
"""The server is a standby, or the database is read-only."""
NOTHING_WRITTEN: Final = (WritesRefused, PermissionDenied)
"""What says for certain that a statement wrote nothing, though the next one may be taken."""

SERVER_MAJOR_MIN: Final = 15
# Every statement of the engine looks up by index. On young tables, whose statistics are not there
# yet, the planner prefers to read and hash the whole of them, at each batch.
LOOK_UPS_ONLY: Final = {
    "enable_seqscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "plan_cache_mode": "force_generic_plan",
    "standard_conforming_strings": "on",
}
OUT_OF_REACH: Final = (
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,  # shutting down, starting up, a statement that took too long
    asyncpg.InsufficientResourcesError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # of a connection that is breaking
    OSError,
    TimeoutError,
)
"""What a read raises that may well succeed when it is tried again."""

SESSION: Final = {"idle_in_transaction_session_timeout": "5s", "jit": "off"}
FORBID_WRITES: Final = "set default_transaction_read_only = on"


class UnsafeServer(Exception):
    """The server could lose or corrupt what it has confirmed, or is too old."""


class ReadConnection(asyncpg.Connection):
    """A reader's connection: dropped where something is in doubt, for then a new one is as good.

    asyncpg would ask the server to cancel what was given up, and wait for that without a limit.
    """

    async def execute(self, *args: Any, **options: Any) -> str:
        """Run a statement without parameters, or one whose rows nobody wants."""
        try:
            return await super().execute(*args, **options)
        except BaseException as error:
            self._drop_if_in_doubt(error)
            raise

    async def _execute(self, *args: Any, **options: Any) -> Any:
        try:
            return await super()._execute(*args, **options)  # type: ignore[misc]
        except BaseException as error:
            self._drop_if_in_doubt(error)
            raise

    def _drop_if_in_doubt(self, error: BaseException) -> None:
        sqlstate = (error.sqlstate or "") if isinstance(error, asyncpg.PostgresError) else "08"
        if sqlstate.startswith(("08", "57P")):
            self.terminate()


class Pool:
    """Connections for readers. No read takes longer than `seconds_max`, whatever it waits for."""

    def __init__(self, pool: asyncpg.Pool[asyncpg.Record], seconds_max: float) -> None:
        self._pool = pool
        self._seconds_max = seconds_max

    async def fetch(self, query: str, *args: Any) -> list[asyncpg.Record]:
        """Return all rows."""
        async with asyncio.timeout(self._seconds_max):
            return await self._pool.fetch(query, *args)  # network op

    async def fetchrow(self, query: str, *args: Any) -> asyncpg.Record | None:
        """Return the first row, None where there is none."""
        async with asyncio.timeout(self._seconds_max):
            return await self._pool.fetchrow(query, *args)  # network op

    async def fetchval(self, query: str, *args: Any) -> Any:
        """Return the first value of the first row."""
        async with asyncio.timeout(self._seconds_max):
            return await self._pool.fetchval(query, *args)  # network op

    async def ping(self) -> None:
        """Raise what a database out of reach raises."""
        await self.fetchval("select 1")  # network op

    def acquire(self) -> Any:
        """Lend a connection: `async with pool.acquire() as connection`."""
        return self._pool.acquire(timeout=self._seconds_max)

    def get_size(self) -> int:
        """Return how many connections there are."""
        return self._pool.get_size()

    async def renew(self) -> None:
        """Open each connection anew before its next use, for what it found may have changed."""
        await self._pool.expire_connections()

    def terminate(self) -> None:
        """Drop every connection."""
        self._pool.terminate()

    async def close(self) -> None:
        """Close every connection, once it is given back."""
        await self._pool.close()


async def connect(
    dsn: str,
    *,
    statement_timeout_ms: int,
    lock_timeout_ms: int,
    application_name: str,
    command_timeout_seconds: float = 4.0,
    look_ups_only: bool = False,
) -> Connection:
    """Open a connection for one writer. The server's deadlines end before the driver's does.

    Raises UnsafeServer, ValueError for a URL that cannot be used, and what asyncpg raises.
    """
    target = target_of(dsn)
    connection = await asyncpg.connect(  # network op
        target.dsn,
        timeout=target.connect_seconds_max,
        command_timeout=command_timeout_seconds,
        max_cached_statement_lifetime=0,
        server_settings={"application_name": application_name},
    )
    try:
        await _prepare_session(
            connection,
            target,
            {
                "statement_timeout": f"{statement_timeout_ms}ms",
                "lock_timeout": f"{lock_timeout_ms}ms",
                **SESSION,
                **(LOOK_UPS_ONLY if look_ups_only else {}),
            },
        )
    except BaseException:
        connection.terminate()
        raise
    return connection


async def create_read_pool(
    dsn: str,
    *,
    connections_max: int,
    statement_timeout_ms: int,
    application_name: str = "leal-reader",
    allow_data_loss: bool = True,
) -> Pool:
    """Open a pool, full from the start, so that no request pays for a connection.

    Without `allow_data_loss` its connections take no writes where a commit is not durable.
    Raises what `connect` raises.
    """
    target = target_of(dsn)

    async def prepare(connection: Connection) -> None:
        settings = {"statement_timeout": f"{statement_timeout_ms}ms", **SESSION, **LOOK_UPS_ONLY}
        await _prepare_session(connection, target, settings)
        if not allow_data_loss and (await state_of(connection)).off:
            await connection.execute(FORBID_WRITES)  # network op

    pool = await asyncpg.create_pool(  # network op
        target.dsn,
        connection_class=ReadConnection,
        min_size=connections_max,
        max_size=connections_max,
        timeout=target.connect_seconds_max,
        command_timeout=2 * statement_timeout_ms / 1000,
        max_inactive_connection_lifetime=0,
        max_cached_statement_lifetime=0,
        reset=_leave_session_as_it_is,
        init=prepare,
        server_settings={"application_name": application_name},
    )
    return Pool(pool, 2 * statement_timeout_ms / 1000 + 1)


async def _prepare_session(
    connection: Connection, target: Target, settings: dict[str, str]
) -> None:
    """Give a new session its settings. One round trip.

    They are not in the startup message, for a pooler refuses there what it does not know.
    """
    if connection.get_settings().server_encoding != "UTF8":
        raise UnsafeServer(
            f"The database is encoded in {connection.get_settings().server_encoding}; the engine"
            " needs UTF8: create database … encoding 'UTF8' template template0."
        )
    _set_socket_options(connection, target)
    text = "".join(f"set {name} = '{value}';" for name, value in settings.items())
    await connection.execute(text)  # network op


def _set_socket_options(connection: Connection, target: Target) -> None:
    """Give the socket what the URL asks for; a unix socket has no such options."""
    told = connection._transport.get_extra_info("socket")  # type: ignore[attr-defined]
    if told is None or told.family == socket.AF_UNIX or not target.socket_options:
        return
    with socket.socket(fileno=os.dup(told.fileno())) as same:
        for level, option, value in target.socket_options:
            same.setsockopt(level, option, value)


def refuse_old_server(connection: Connection | PooledConnection) -> None:
    """Raise UnsafeServer where the server is older than the engine needs."""
    major = connection.get_server_version().major
    if major < SERVER_MAJOR_MIN:
        raise UnsafeServer(
            f"The server is PostgreSQL {major}; the engine needs {SERVER_MAJOR_MIN} or newer. "
            "Upgrade it, or leave out --database-url to use the embedded one."
        )


async def refuse_unsafe_server(
    connection: Connection | PooledConnection, *, allow_data_loss: bool
) -> None:
    """Raise UnsafeServer unless a confirmed commit survives a crash of this server."""
    refuse_old_server(connection)
    if allow_data_loss:
        return
    if found := (await state_of(connection)).data_loss:
        raise UnsafeServer(
            f"The server runs with {found}, so a crash can lose payments that were confirmed. "
            "Switch on what is off, or accept the loss with --allow-data-loss."
        )


async def _leave_session_as_it_is(connection: Connection) -> None:
    """Replaces asyncpg's reset, which would be a round trip at every release."""
