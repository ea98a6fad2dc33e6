"""One throwaway server for all tests of this folder, and an empty database for each that asks."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from itertools import count

import asyncpg
import pytest

from engine.postgres.connections import Connection, connect
from engine.postgres.embedded import EmbeddedPostgres

database_numbers = count(1)


@pytest.fixture(scope="session")
def server_dsn(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    server = EmbeddedPostgres(tmp_path_factory.mktemp("shared"), fsync=False)
    try:
        yield server.start()
    finally:
        server.stop()


@pytest.fixture
async def dsn(server_dsn: str) -> str:
    name = f"test_{next(database_numbers)}"
    connection = await asyncpg.connect(server_dsn)
    await connection.execute(f"create database {name}")
    await connection.close()
    return server_dsn.replace("/leal?", f"/{name}?")


@pytest.fixture
async def connection(dsn: str) -> AsyncIterator[Connection]:
    connection = await connect(
        dsn, statement_timeout_ms=2000, lock_timeout_ms=1000, application_name="test"
    )
    yield connection
    await connection.close()
