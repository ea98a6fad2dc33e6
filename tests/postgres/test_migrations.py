from __future__ import annotations

import asyncio
from pathlib import Path

import asyncpg
import pytest

from engine.postgres.connections import Connection
from engine.postgres.migrations import CREATE_TABLE, MigrationError, migrate, pending


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "0001_customer.sql").write_text("create table customer (id int); select 1;")
    (tmp_path / "0002_name.sql").write_text("alter table customer add column name text;")
    return tmp_path


async def test_each_migration_is_applied_once_and_in_order(
    connection: Connection, folder: Path
) -> None:
    assert await pending(connection, folder) == ["0001_customer", "0002_name"]
    assert await migrate(connection, folder) == ["0001_customer", "0002_name"]
    await connection.execute("insert into customer (id, name) values (1, 'Ana')")

    (folder / "0003_more.sql").write_text("insert into customer (id) values (2)")
    assert await pending(connection, folder) == ["0003_more"]
    assert await migrate(connection, folder) == ["0003_more"]
    assert await migrate(connection, folder) == []
    assert await pending(connection, folder) == []
    assert await connection.fetchval("select count(*) from customer") == 2


async def test_pending_changes_nothing(connection: Connection, folder: Path) -> None:
    await pending(connection, folder)
    assert await connection.fetchval("select to_regclass('schema_migration')") is None


async def test_a_file_edited_after_it_was_applied_is_refused(
    connection: Connection, folder: Path
) -> None:
    await migrate(connection, folder)
    (folder / "0001_customer.sql").write_text("create table customer (id bigint);")
    for look in (migrate, pending):
        with pytest.raises(MigrationError, match="0001_customer changed after it was applied"):
            await look(connection, folder)


async def test_a_database_newer_than_the_code_is_refused(
    connection: Connection, folder: Path
) -> None:
    await migrate(connection, folder)
    (folder / "0002_name.sql").unlink()
    with pytest.raises(MigrationError, match="0002_name, which this engine does not know"):
        await migrate(connection, folder)


async def test_a_database_of_a_development_version_is_refused_in_a_sentence(
    connection: Connection,
) -> None:
    await connection.execute(CREATE_TABLE)
    await connection.execute("insert into schema_migration values (1, '0001_initial', '')")
    with pytest.raises(MigrationError, match="Start with an empty database"):
        await migrate(connection)


async def test_a_failing_migration_changes_nothing_and_keeps_those_before_it(
    connection: Connection, folder: Path
) -> None:
    (folder / "0003_broken.sql").write_text("create table half (id int); select no_such_column;")
    with pytest.raises(MigrationError, match="0003_broken failed and changed nothing"):
        await migrate(connection, folder)
    assert await connection.fetchval("select to_regclass('half')") is None
    assert await pending(connection, folder) == ["0003_broken"]


async def test_two_processes_may_migrate_at_once(dsn: str, folder: Path) -> None:
    (folder / "0001_customer.sql").write_text(
        "create table customer (id int); select pg_sleep(0.1);"
    )
    connections = [await asyncpg.connect(dsn) for _ in range(2)]
    first, second = await asyncio.gather(*(migrate(one, folder) for one in connections))
    assert sorted(first + second) == ["0001_customer", "0002_name"]
    for one in connections:
        await one.close()


async def test_a_long_migration_outlasts_the_deadlines_of_the_connection(
    connection: Connection, folder: Path
) -> None:
    await connection.execute("set statement_timeout = '50ms'")
    (folder / "0002_name.sql").write_text("select pg_sleep(0.1);")
    assert await migrate(connection, folder) == ["0001_customer", "0002_name"]
    assert await connection.fetchval("show statement_timeout") == "50ms"


@pytest.mark.parametrize("name", ["0004_gap.sql", "0002_twice.sql", "3_short.sql", "no_number.sql"])
async def test_a_file_out_of_the_order_of_numbers_is_refused(
    connection: Connection, folder: Path, name: str
) -> None:
    (folder / name).write_text("select 1")
    with pytest.raises(MigrationError, match=r"should be named 000[34]_"):
        await migrate(connection, folder)
