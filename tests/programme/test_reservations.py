"""How a worker takes allotments out of a fund, on a real database (COI-2)."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from itertools import count
from typing import Any
from uuid import UUID

import pytest
from asyncpg import CheckViolationError
from harness import connection_to

from engine.errors import FundBusy, Unavailable
from engine.postgres.connections import create_read_pool
from engine.programme import funds as module
from engine.programme.brands import Brand
from engine.programme.funds import Allotment, Funds
from engine.settings import Settings

SETTINGS = Settings(allotment_coins_max=1000, allotment_lease_ms=200, fund_remembered_ms=60_000)
BRANDS = count(1000)
ALLOTMENTS = "select coins, drawn from issuer_allotment where brand_id = $1 order by allotted_at"


@pytest.fixture
async def pool(database):
    pool = await create_read_pool(database, connections_max=2, statement_timeout_ms=2000)
    yield pool
    pool.terminate()


@pytest.fixture
async def connection(database):
    async with connection_to(database) as connection:
        yield connection


@pytest.fixture
def worker(pool):
    """Return what makes the funds of one more worker."""
    return lambda **settings: Funds(pool, replace(SETTINGS, **settings))


@pytest.fixture
def funded(connection):
    """Return what makes a prepaid brand with so many coins."""

    async def make(coins: int) -> Brand:
        brand_id = next(BRANDS)
        await connection.execute("insert into issuer_fund values ($1, now(), $2)", brand_id, coins)
        versions: tuple[Any, ...] = ()
        brand = Brand(brand_id, "Café", "CO", "COP", -18_000, versions, ())
        return replace(brand, prepaid=True, deposited=coins)

    return make


async def draw(connection, allotment, coins):
    """Issue coins that were reserved."""
    await connection.execute(
        "call draw_coins($1, $2, 0)", UUID(bytes=allotment.allotment_id), coins
    )


async def left(connection, brand):
    query = "select coins from issuer_fund where brand_id = $1"
    return await connection.fetchval(query, brand.brand_id)


async def allotments(connection, brand):
    return [tuple(row) for row in await connection.fetch(ALLOTMENTS, brand.brand_id)]


async def patiently(funds, brand, lane, coins):
    """Reserve, and ask again while others may be about to issue what is left."""
    while True:
        try:
            return await funds.reserve(brand, lane, coins)
        except FundBusy:
            await asyncio.sleep(0.02)


async def test_an_allotment_is_a_share_of_what_is_left_with_a_bound(worker, funded, connection):
    rich, poor = await funded(1_000_000), await funded(1600)
    funds = worker()
    await funds.reserve(rich, 0, 10)
    await funds.reserve(poor, 0, 10)
    assert await allotments(connection, rich) == [(1000, 0)]
    assert await allotments(connection, poor) == [(100, 0)]
    # One that wants more gets what it wants.
    await funds.reserve(rich, 1, 5000)
    assert await allotments(connection, rich) == [(1000, 0), (5000, 0)]
    assert await left(connection, rich) == 1_000_000 - 6000


async def test_many_reserve_of_one_allotment_without_the_fund(worker, funded, connection):
    brand, funds = await funded(1_000_000), worker()
    query = "select xmin::text from issuer_fund where brand_id = $1"
    first = await funds.reserve(brand, 0, 10)
    before = await connection.fetchval(query, brand.brand_id)
    others = [await funds.reserve(brand, 0, 10) for _ in range(99)]
    assert {id(other) for other in others} == {id(first)}
    assert first.left == 0
    assert await connection.fetchval(query, brand.brand_id) == before
    # The next one gives it coins anew: a lane has one allotment.
    assert await funds.reserve(brand, 0, 10) is first
    assert await allotments(connection, brand) == [(2000, 0)]


async def test_what_was_given_back_is_reserved_again(worker, funded):
    brand, funds = await funded(100), worker()
    allotment = await funds.reserve(brand, 0, 100)
    funds.give_back(allotment, 100)
    assert await funds.reserve(brand, 0, 100) is allotment


async def test_those_who_wait_for_one_fund_ask_it_once(worker, funded, connection):
    brand, funds = await funded(1_000_000), worker()
    got = await asyncio.gather(*(funds.reserve(brand, 0, 10) for _ in range(100)))
    assert len({id(one) for one in got}) == 1
    assert await allotments(connection, brand) == [(1000, 0)]


async def test_what_is_waited_for_is_given_at_once(worker, funded, connection):
    brand, funds = await funded(1650), worker()
    asked = (funds.reserve(brand, 0, 100) for _ in range(30))
    got = await asyncio.gather(*asked, return_exceptions=True)
    assert [type(one) for one in got] == [Allotment] * 16 + [FundBusy] * 14
    assert await allotments(connection, brand) == [(1650, 0)]


async def test_a_fund_that_others_have_is_not_asked_again_at_once(
    worker, funded, connection, monkeypatch
):
    monkeypatch.setattr(module, "BUSY_S", 60)
    brand, one, other = await funded(100), worker(), worker()
    await one.reserve(brand, 0, 100)
    with pytest.raises(FundBusy):
        await other.reserve(brand, 0, 50)
    async with connection.transaction():
        query = "select from issuer_fund where brand_id = $1 for update"
        await connection.execute(query, brand.brand_id)
        async with asyncio.timeout(1):
            for coins in (50, 51, 100):
                with pytest.raises(FundBusy):
                    await other.reserve(brand, 0, coins)
    # Whoever needs less may be luckier.
    await connection.execute(
        "update issuer_fund set coins = 40 where brand_id = $1", brand.brand_id
    )
    assert await other.reserve(brand, 0, 40) is not None


async def test_what_others_have_and_do_not_issue_is_taken_back(worker, funded, connection):
    brand, dead, funds = await funded(1000), worker(), worker()
    allotment = await dead.reserve(brand, 0, 600)
    await draw(connection, allotment, 50)
    with pytest.raises(FundBusy):
        await funds.reserve(brand, 0, 950)
    own = await patiently(funds, brand, 0, 950)
    assert own is not None
    await draw(connection, own, 950)
    assert await allotments(connection, brand) == [(50, 50), (950, 950)]
    assert await left(connection, brand) == 0
    with pytest.raises(CheckViolationError, match="issuer_allotment_drawn"):
        await draw(connection, allotment, 1)
    # The one that it was taken from has no more of it than it may issue.
    dead.forget({allotment.allotment_id})
    assert await dead.reserve(brand, 0, 1) is None


async def test_nobody_is_told_of_a_shortage_while_others_may_still_give_back(worker, funded):
    brand, one, other = await funded(100), worker(), worker()
    allotment = await one.reserve(brand, 0, 100)
    with pytest.raises(FundBusy):
        await other.reserve(brand, 0, 10)
    one.give_back(allotment, 100)  # nothing was issued after all
    assert await patiently(other, brand, 0, 10) is not None


async def test_a_lane_takes_back_what_its_own_worker_has_elsewhere(worker, funded, connection):
    brand, funds = await funded(100), worker()
    first = await funds.reserve(brand, 0, 40)
    funds.give_back(first, 40)
    second = await patiently(funds, brand, 1, 100)
    assert second is not None
    assert second is not first
    # What is closed is reserved from no more: the worker knows that it was.
    with pytest.raises(FundBusy):
        await funds.reserve(brand, 0, 40)
    assert await allotments(connection, brand) == [(0, 0), (100, 0)]


async def test_an_allotment_that_others_closed_is_followed_by_another(worker, funded, connection):
    brand, one, other = await funded(160), worker(), worker()
    closed = await one.reserve(brand, 0, 10)
    await patiently(other, brand, 0, 155)
    await connection.execute(
        "update issuer_fund set coins = 1600 where brand_id = $1", brand.brand_id
    )
    await draw(connection, (await one.reserve(brand, 0, 20)), 20)
    assert await allotments(connection, brand) == [(0, 0), (155, 0), (100, 20)]
    assert closed.left == 0


async def test_a_shortage_is_remembered_and_a_deposit_ends_it(worker, funded, connection):
    brand, funds = await funded(15), worker()
    assert await funds.reserve(brand, 0, 16) is None
    # The fund is not asked again: somebody holds its row, and nobody waits for that.
    async with connection.transaction():
        query = "select from issuer_fund where brand_id = $1 for update"
        await connection.execute(query, brand.brand_id)
        async with asyncio.timeout(1):
            got = [await funds.reserve(brand, lane, 16 + lane) for lane in range(50)]
    assert got == [None] * 50
    assert await funds.reserve(brand, 0, 15) is not None
    await connection.execute(
        "update issuer_fund set coins = coins + 100 where brand_id = $1", brand.brand_id
    )
    assert await funds.reserve(brand, 0, 16) is None
    assert await funds.reserve(replace(brand, deposited=115), 0, 16) is not None


async def test_a_shortage_is_not_believed_for_ever(worker, funded, connection):
    brand, funds = await funded(15), worker(fund_remembered_ms=0)
    assert await funds.reserve(brand, 0, 16) is None
    await connection.execute(
        "update issuer_fund set coins = coins + 1 where brand_id = $1", brand.brand_id
    )
    assert await funds.reserve(brand, 0, 16) is not None


async def test_the_last_coins_go_to_whoever_asks_however_many_do(worker, funded, connection):
    brand = await funded(1005)
    workers = [worker() for _ in range(3)]

    turn = asyncio.Lock()  # of the one connection that draws

    async def issue(number):
        """Reserve and issue ten coins, as often as it takes."""
        funds = workers[number % 3]
        while True:
            allotment = await patiently(funds, brand, number % 2, 10)
            if allotment is None:
                return 0
            try:
                async with turn:
                    await draw(connection, allotment, 10)
            except CheckViolationError:
                funds.forget({allotment.allotment_id})
            else:
                return 10

    issued = await asyncio.gather(*(issue(number) for number in range(150)))
    assert sum(issued) == 1000
    drawn = "select sum(drawn) from issuer_allotment where brand_id = $1"
    assert await connection.fetchval(drawn, brand.brand_id) == 1000


async def test_a_database_out_of_reach_is_told(worker, funded, pool):
    brand, funds = await funded(100), worker()
    pool.terminate()
    with pytest.raises(Unavailable):
        await funds.reserve(brand, 0, 10)
