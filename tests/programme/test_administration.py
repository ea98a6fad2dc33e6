"""A change is whole or nothing, recorded, and known to its worker before it is answered."""

from __future__ import annotations

import asyncio

import pytest
from asyncpg.transaction import Transaction
from harness import connection_to

from engine.errors import OutcomeUnknown
from engine.people.keys import principal_of
from engine.postgres.connections import OUT_OF_REACH, UniqueViolation, create_read_pool
from engine.programme.administration import SQL, Administration
from engine.programme.catalogue import Catalogue

CHANGES = "select action, principal, subject, content from change order by change_id"
BRANDS = "select count(*) from brand"


@pytest.fixture
async def pool(database):
    """Give readers of the module's database."""
    pool = await create_read_pool(database, connections_max=2, statement_timeout_ms=2000)
    yield pool
    pool.terminate()


@pytest.fixture
async def catalogue(pool):
    """Return a loaded catalogue that nobody watches."""
    catalogue = Catalogue(pool, 3_600_000, 7)
    await catalogue.load()
    return catalogue


@pytest.fixture
def administration(pool, catalogue):
    """Return the administration of one worker."""
    return Administration(pool, catalogue, 5000)


@pytest.fixture
async def connection(database):
    """Give a connection of the test's own."""
    async with connection_to(database) as connection:
        yield connection


async def add_brand(administration, name="Nueva", **facts):
    async with administration.change(None, "brand created", content={"name": name}) as change:
        change.subject = await change.connection.fetchval(SQL["insert_brand"], name, "CO", "COP")
        for fact in facts.values():
            await fact(change)
    return change.subject


async def test_who_made_a_change_knows_it_at_once(administration, catalogue, connection):
    brand_id = await add_brand(administration)
    assert catalogue.now.brands[brand_id].name == "Nueva"
    assert catalogue.now.version == await connection.fetchval(
        "select version from catalogue_version"
    )


async def test_a_change_says_who_and_what(administration, connection):
    network = principal_of("abc", "network", None, None, "abc")
    async with administration.change(network, "brand looked at", subject=7):
        pass
    brand_id = await add_brand(administration)
    *_, looked, created = [tuple(row) for row in await connection.fetch(CHANGES)]
    assert looked == ("brand looked at", "key:abc", "7", None)
    assert created == ("brand created", "command line", str(brand_id), '{"name":"Nueva"}')


@pytest.mark.parametrize("error", [RuntimeError, asyncio.CancelledError, UniqueViolation])
async def test_what_raises_is_taken_back_whole(administration, catalogue, connection, error):
    served, brands, changes = (
        catalogue.now,
        await connection.fetchval(BRANDS),
        await connection.fetch(CHANGES),
    )

    async def fails(change):
        if error is UniqueViolation:
            await change.connection.execute("insert into brand values (1, 'One', 'CO', 'COP')")
        raise error

    with pytest.raises(error):
        await add_brand(administration, fails=fails)
    assert await connection.fetchval(BRANDS) == brands
    assert await connection.fetch(CHANGES) == changes
    assert catalogue.now is served
    assert await add_brand(administration) in catalogue.now.brands


async def test_a_connection_lost_on_the_way_leaves_nothing(administration, catalogue, connection):
    brands = await connection.fetchval(BRANDS)

    async def dies(change):
        await connection.execute(
            "select pg_terminate_backend($1)", change.connection.get_server_pid()
        )
        await change.connection.execute("select pg_sleep(1)")

    with pytest.raises(OUT_OF_REACH):
        await add_brand(administration, dies=dies)
    assert await connection.fetchval(BRANDS) == brands
    assert await add_brand(administration) in catalogue.now.brands


async def test_a_commit_without_an_answer_is_told_as_unknown(
    administration, connection, monkeypatch
):
    brands = await connection.fetchval(BRANDS)
    commit = Transaction.commit

    async def unanswered(self):
        await commit(self)
        raise ConnectionResetError

    monkeypatch.setattr(Transaction, "commit", unanswered)
    with pytest.raises(OutcomeUnknown):
        await add_brand(administration)
    monkeypatch.undo()
    assert await connection.fetchval(BRANDS) == brands + 1
    assert await add_brand(administration)


async def test_many_at_once_are_made_one_after_the_other(administration, catalogue):
    ids = await asyncio.gather(*(add_brand(administration, f"N {n}") for n in range(30)))
    assert sorted(ids) == list(range(min(ids), min(ids) + 30))
    assert {catalogue.now.brands[brand_id].name for brand_id in ids} == {
        f"N {n}" for n in range(30)
    }


async def test_who_waits_too_long_for_their_turn_is_told_so(pool, catalogue, connection):
    administration = Administration(pool, catalogue, 100)
    brands = await connection.fetchval(BRANDS)
    release = asyncio.Event()

    async def holds(_change):
        await release.wait()

    first = asyncio.create_task(add_brand(administration, holds=holds))
    await asyncio.sleep(0)
    with pytest.raises(TimeoutError):
        await add_brand(administration)
    release.set()
    await first
    assert await connection.fetchval(BRANDS) == brands + 1
