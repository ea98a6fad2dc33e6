from __future__ import annotations

import asyncio
from types import SimpleNamespace

import asyncpg
import pytest

from engine.postgres.connections import (
    Connection,
    UnsafeServer,
    connect,
    create_read_pool,
    refuse_unsafe_server,
)


async def test_a_writer_has_its_deadlines_and_its_name(dsn: str) -> None:
    connection = await connect(
        dsn, statement_timeout_ms=1500, lock_timeout_ms=700, application_name="lane-1"
    )
    names = ["application_name", "statement_timeout", "lock_timeout", "jit"]
    shown = [await connection.fetchval("select current_setting($1)", name) for name in names]
    assert shown == ["lane-1", "1500ms", "700ms", "off"]
    idle = await connection.fetchval("show idle_in_transaction_session_timeout")
    assert idle == "5s"
    await connection.close()


async def test_the_server_ends_a_statement_that_takes_too_long(dsn: str) -> None:
    connection = await connect(
        dsn, statement_timeout_ms=50, lock_timeout_ms=50, application_name="lane-1"
    )
    with pytest.raises(asyncpg.QueryCanceledError):
        await connection.execute("select pg_sleep(5)")
    await connection.close()


async def test_the_driver_gives_up_after_its_own_deadline(dsn: str) -> None:
    connection = await connect(
        dsn,
        statement_timeout_ms=5000,
        lock_timeout_ms=50,
        application_name="lane-1",
        command_timeout_seconds=0.05,
    )
    with pytest.raises(asyncio.TimeoutError):
        await connection.execute("select pg_sleep(5)")
    connection.terminate()


async def test_the_read_pool_keeps_the_session_between_two_users(dsn: str) -> None:
    pool = await create_read_pool(dsn, connections_max=1, statement_timeout_ms=500)
    assert pool.get_size() == 1
    async with pool.acquire() as connection:
        await connection.execute("set work_mem = '5MB'")
    async with pool.acquire() as connection:
        assert await connection.fetchval("show work_mem") == "5MB"
        assert await connection.fetchval("show statement_timeout") == "500ms"
        await refuse_unsafe_server(connection, allow_data_loss=True)
    await pool.close()


async def test_a_server_without_fsync_is_refused(connection: Connection) -> None:
    with pytest.raises(UnsafeServer, match=r"fsync = off .*--allow-data-loss"):
        await refuse_unsafe_server(connection, allow_data_loss=False)


async def test_data_loss_can_be_allowed(connection: Connection) -> None:
    await refuse_unsafe_server(connection, allow_data_loss=True)


@pytest.mark.parametrize(("level", "refused"), [("off", True), ("local", False), ("on", False)])
async def test_only_a_commit_that_waits_for_no_disk_is_refused(
    connection: Connection, level: str, refused: bool
) -> None:
    await connection.execute(f"set synchronous_commit = {level}")
    with pytest.raises(UnsafeServer) as refusal:
        await refuse_unsafe_server(connection, allow_data_loss=False)
    assert ("synchronous_commit = off" in str(refusal.value)) is refused


async def test_an_old_server_is_refused_even_when_data_loss_is_allowed(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(type(connection), "get_server_version", lambda _: SimpleNamespace(major=14))
    with pytest.raises(UnsafeServer, match="PostgreSQL 14; the engine needs 15"):
        await refuse_unsafe_server(connection, allow_data_loss=True)
