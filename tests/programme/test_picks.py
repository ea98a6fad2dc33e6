"""What one worker picks for several redemptions at once differs, and a stock is searched once."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from types import SimpleNamespace
from typing import Any

import pytest

from engine.programme.items import Item, ItemKind
from engine.programme.stock import SQL, Stock

ANA, LUIS = b"a" * 16, b"l" * 16
REMEMBERED_MS = 10_000


class FakePool:
    """The tables of units and turns; it counts the searches, and lets others go on meanwhile."""

    def __init__(self) -> None:
        self.units: set[int] = set()
        self.turns: dict[bytes, list[int]] = {}
        self.looks = 0
        self.searches = 0

    async def fetchrow(self, sql: str, _item: int, customer: Any, units: Any, stock: Any) -> Any:
        assert sql == SQL["look"]
        self.looks += 1
        await asyncio.sleep(0)
        return {
            "units": [unit for unit in units if unit not in self.units],
            "lowered": stock is not None and any(unit > stock for unit in self.units),
            "turns": sorted(self.turns.get(customer.bytes, [])),
            "named": False,
        }

    async def fetch(self, sql: str, _item: int, stock: int, start: int, limit: int) -> Any:
        assert sql == SQL["search"]
        self.searches += 1
        await asyncio.sleep(0.01)
        numbers = (*range(start, stock + 1), *range(1, start))
        return [{"unit": unit} for unit in numbers if unit not in self.units][:limit]


def item(**facts: Any) -> Item:
    unlimited = dict.fromkeys(("stock", "customer_limit", "starts_at", "ends_at", "segment"))
    plain = {"item_id": 5, "kind": ItemKind.REWARD, "brand": SimpleNamespace(), "name": "x"}
    plain |= {"points": 1, "coins": 0, "available": True, "retired": False}
    return Item(**(plain | unlimited | facts))


@pytest.fixture
def pool() -> FakePool:
    return FakePool()


@pytest.fixture
def stock(pool) -> Stock:
    return Stock(pool, REMEMBERED_MS)


async def picks(stock, wanted, customers):
    """Return what all of them pick while the others hold theirs."""
    async with AsyncExitStack() as stack:
        return await asyncio.gather(
            *(stack.enter_async_context(stock.picked(wanted, each)) for each in customers)
        )


async def test_a_plain_reward_takes_no_look(stock, pool):
    (pick,) = await picks(stock, item(), [ANA])
    assert (pick.unit, pick.turn, pick.out_of_stock, pick.limit_reached) == (0, 0, False, False)
    assert pick.named
    assert (pool.looks, pool.searches) == (0, 0)


async def test_picks_at_once_are_different_units(stock, pool):
    pool.units = set(range(1, 6))
    found = await picks(stock, item(stock=25), [ANA] * 20)
    assert {pick.unit for pick in found} == set(range(6, 26))
    assert pool.looks == 20


async def test_the_last_unit_is_picked_by_two_where_there_is_no_other(stock, pool):
    pool.units = {1, 2}
    found = await picks(stock, item(stock=3), [ANA, LUIS])
    assert [pick.unit for pick in found] == [3, 3]
    assert not any(pick.out_of_stock for pick in found)


async def test_a_unit_that_was_not_taken_is_picked_again(stock):
    for _ in range(3):
        (pick,) = await picks(stock, item(stock=1), [ANA])
        assert (pick.unit, pick.out_of_stock) == (1, False)


async def test_a_stock_that_is_gone_is_searched_by_one_for_all(stock, pool):
    pool.units = set(range(1, 1001))
    found = await picks(stock, item(stock=1000), [ANA] * 50)
    assert all(pick.out_of_stock and not pick.unit for pick in found)
    assert pool.searches == 1


async def test_another_stock_is_searched_at_once(stock, pool):
    pool.units = {1, 2, 3}
    assert (await picks(stock, item(stock=3), [ANA]))[0].out_of_stock
    assert (await picks(stock, item(stock=4), [ANA]))[0].unit == 4


async def test_what_a_search_found_is_believed_for_a_moment_only(pool):
    stock = Stock(pool, 0)
    pool.units = {1}
    assert (await picks(stock, item(stock=1), [ANA]))[0].out_of_stock
    pool.units.clear()
    assert (await picks(stock, item(stock=1), [ANA]))[0].unit == 1


async def test_turns_at_once_are_different_for_one_customer_only(stock, pool):
    pool.turns = {ANA: [1, 3]}
    found = await picks(stock, item(customer_limit=5), [ANA, ANA, ANA, LUIS])
    assert [pick.turn for pick in found] == [2, 4, 5, 1]
    found = await picks(stock, item(customer_limit=3), [ANA, ANA])
    assert [pick.turn for pick in found] == [2, 2]


@pytest.mark.parametrize(
    ("taken", "limit", "turn"),
    [([], 1, 1), ([1], 1, 0), ([1, 2, 3], 2, 0), ([3], 2, 1), ([2, 3], 3, 1), ([1, 5], 4, 2)],
)
async def test_turns_above_a_lowered_limit_count(stock, pool, taken, limit, turn):
    pool.turns = {ANA: taken}
    (pick,) = await picks(stock, item(customer_limit=limit), [ANA])
    assert (pick.turn, pick.limit_reached) == (turn, turn == 0)


async def test_of_a_lowered_limit_no_more_turns_are_picked_at_once_than_are_left(stock, pool):
    pool.turns = {ANA: [7, 8]}
    found = await picks(stock, item(customer_limit=4), [ANA] * 6)
    assert {pick.turn for pick in found} == {1, 2}


async def test_a_gift_is_taken_once_and_by_name(stock, pool):
    gift = item(kind=ItemKind.GIFT)
    (pick,) = await picks(stock, gift, [ANA])
    assert (pick.turn, pick.named, pick.limit_reached) == (1, False, False)
    pool.turns = {ANA: [1]}
    (pick,) = await picks(stock, gift, [ANA])
    assert (pick.turn, pick.limit_reached) == (0, True)
