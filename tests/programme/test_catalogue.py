"""The catalogue follows the database: by notices, without them, and past an unsound row."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest
from harness import connection_to, until

from engine.postgres.connections import connect, create_read_pool
from engine.postgres.sql import queries
from engine.programme import catalogue as module
from engine.programme.catalogue import CHANNEL, Catalogue, snapshot_of

TOUCH = queries("catalogue")["touch"]
NEVER_MS = 3_600_000
SOON_MS = 20
LISTENERS = "select pid from pg_stat_activity where application_name = 'leal-listener'"


@pytest.fixture
async def pool(database):
    """Give readers of the module's database."""
    pool = await create_read_pool(database, connections_max=2, statement_timeout_ms=2000)
    yield pool
    pool.terminate()


@pytest.fixture
async def following(pool):
    """Give what makes a loaded catalogue run its loops until the test is over."""
    tasks = []

    async def follow(refresh_ms, connect=None):
        catalogue = Catalogue(pool, refresh_ms, 7)
        await catalogue.load()
        tasks.append(asyncio.create_task(catalogue.watch()))
        if connect is not None:
            tasks.append(asyncio.create_task(catalogue.listen(connect)))
        return catalogue

    yield follow
    for task in tasks:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


@pytest.fixture
def open_listener(database):
    """Return what opens a connection to listen on."""

    async def open_one():
        return await connect(
            database,
            statement_timeout_ms=2000,
            lock_timeout_ms=1000,
            application_name="leal-listener",
        )

    return open_one


async def rename(connection, brand_id, name, *, told):
    async with connection.transaction():
        await connection.execute(TOUCH)
        await connection.execute("update brand set name = $2 where brand_id = $1", brand_id, name)
        if told:
            await connection.execute(f"notify {CHANNEL}")


async def listener_of(connection):
    return await until(lambda: connection.fetchval(LISTENERS))


async def test_a_notice_is_enough(following, open_listener, database):
    catalogue = await following(NEVER_MS, open_listener)
    async with connection_to(database) as connection:
        await listener_of(connection)
        for number in range(5):
            name = f"told {number}"
            await rename(connection, 1, name, told=True)
            await until(lambda name=name: catalogue.now.brands[1].name == name)


async def test_without_notices_the_change_is_found_all_the_same(following, database):
    async def no_listening():
        raise OSError("this pooler has none")

    catalogue = await following(SOON_MS, no_listening)
    async with connection_to(database) as connection:
        await rename(connection, 2, "untold", told=False)
        await until(lambda: catalogue.now.brands[2].name == "untold")


async def test_a_listening_connection_that_is_lost_is_opened_again(
    following, open_listener, database
):
    catalogue = await following(NEVER_MS, open_listener)
    async with connection_to(database) as connection:
        first = await listener_of(connection)
        await connection.execute("select pg_terminate_backend($1)", first)
        await until(lambda: _another(connection, first))
        await rename(connection, 3, "after the loss", told=True)
        await until(lambda: catalogue.now.brands[3].name == "after the loss")


async def _another(connection, first):
    found = await connection.fetchval(LISTENERS)
    return found is not None and found != first


async def test_a_row_that_is_not_sound_leaves_the_last_snapshot_in_force(following, database):
    catalogue = await following(SOON_MS)
    served = catalogue.now
    async with connection_to(database) as connection:
        await connection.execute("insert into brand values (9999, 'Nowhere', 'XX', 'XXX')")
        await connection.execute(TOUCH)
        with pytest.raises(KeyError):
            await catalogue.load()
        assert catalogue.now is served
        await connection.execute("delete from brand where brand_id = 9999")
        await rename(connection, 4, "sound again", told=False)
        await until(lambda: catalogue.now.brands[4].name == "sound again")


async def test_who_waits_for_a_version_shares_the_reading_of_it(pool, database, monkeypatch):
    catalogue = Catalogue(pool, NEVER_MS, 7)
    await catalogue.load()
    readings = []
    read = catalogue._load

    async def counted():
        readings.append(1)
        await read()

    monkeypatch.setattr(catalogue, "_load", counted)
    async with connection_to(database) as connection:
        await connection.execute(TOUCH)
    wanted = catalogue.now.version + 1
    await asyncio.gather(*(catalogue.catch_up(wanted) for _ in range(20)))
    assert catalogue.now.version >= wanted
    assert len(readings) == 1


async def test_the_event_loop_turns_while_a_large_network_is_built(database, monkeypatch):
    async with connection_to(database) as connection:
        sql = queries("catalogue")
        rows = {name: await connection.fetch(sql[name]) for name in module.TABLES}
    monkeypatch.setattr(module, "ROWS_A_TURN", 10)
    turns = 0

    async def count_turns():
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    counting = asyncio.create_task(count_turns())
    snapshot = await snapshot_of(rows, scopes_since=0.0)
    counting.cancel()
    assert len(snapshot.stores) == len(rows["stores"])
    assert turns >= len(rows["stores"]) // 10
