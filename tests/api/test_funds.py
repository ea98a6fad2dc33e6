"""Prepaid issuers: what was deposited is issued, and not a coin more (COI-2)."""

from __future__ import annotations

import asyncio
from collections import Counter
from uuid import uuid4

import pytest
from harness import assert_balanced, connection_to

SALE = {"amount": 10_000_000, "currency": "COP"}  # 100 points and 1000 coins at brand 1


@pytest.fixture(scope="module")
def engine_flags():
    return ("--allotment-lease-ms", "200")


@pytest.fixture
async def fund(api):
    """Return what adds to the fund of brand 1, which is empty and prepaid; postpaid at the end."""
    assert (await api.network.prepay()).json["prepaid"]
    balance = (await api.network.fund()).json["balance"]
    if balance:  # of the test before
        await api.app.cash_back(await someone(api), coins=balance)
    yield api.network.deposit
    assert not (await api.network.prepay(False)).json["prepaid"]


async def someone(api):
    """Return a customer without a complete profile."""
    number = str(uuid4().int)[:9]
    body = {"document": {"type": "CC", "number": number}, "email": f"{number}@example.com"}
    return (await api.store.register(**body)).json["customer_id"]


async def balance(api):
    told = (await api.network.fund()).json
    assert told["deposited"] == told["issued"] + told["balance"]
    return told["balance"]


async def coins_not_issued(api):
    text = (await api.anonymous.request("GET", "/metrics")).json.decode()
    return float(text.split("\nleal_coins_not_issued_total ")[1].split("\n")[0])


@pytest.fixture(autouse=True, scope="module")
def the_books_balance_in_the_end(database, engine):
    yield

    asyncio.run(assert_balanced(database))


# Administration.


async def test_a_brand_that_never_had_a_fund_is_postpaid(api):
    told = (await api.network.fund(2)).json
    assert told == {
        "brand_id": 2,
        "prepaid": False,
        "deposited": 0,
        "issued": 0,
        "balance": 0,
    }


async def test_deposits_add_up_and_their_brand_may_read_it(api):
    before = (await api.brand.fund()).json
    first = await api.network.deposit(300, reference="transfer 1")
    assert (first.status, first.replayed) == (201, False)
    assert first.json.pop("deposited_at")
    assert first.json == {"brand_id": 1, "coins": 300, "reference": "transfer 1"}
    assert (await api.network.deposit(20)).status == 201
    after = (await api.brand.fund()).json
    assert after == before | {
        "deposited": before["deposited"] + 320,
        "balance": before["balance"] + 320,
    }


async def test_a_deposit_is_made_once_under_its_key_and_once_by_its_reference(api):
    before = await balance(api)
    replies = await asyncio.gather(
        *(api.network.deposit(50, "once", reference="transfer 2") for _ in range(5))
    )
    assert [reply.status for reply in replies] == [201] * 5
    assert Counter(reply.replayed for reply in replies) == {False: 1, True: 4}
    assert len({reply.json["deposited_at"] for reply in replies}) == 1
    other = await api.network.deposit(51, "once", reference="transfer 2")
    assert (other.status, other.code) == (422, "idempotency_key_reused")
    other = await api.network.deposit(50, reference="transfer 2")
    assert (other.status, other.code) == (409, "deposit_exists")
    assert await balance(api) == before + 50
    # Another brand has references of its own.
    assert (await api.network.deposit(1, reference="transfer 2", brand_id=2)).status == 201


async def test_who_changed_a_fund_stands_in_the_log_of_changes(api, database):
    await api.network.deposit(7, reference="transfer 3")
    async with connection_to(database) as connection:
        row = await connection.fetchrow("select * from change order by change_id desc limit 1")
        by = await connection.fetchval("select principal from issuer_deposit where coins = 7")
    assert (row["action"], row["subject"]) == ("coins deposited", "1")
    assert row["principal"] == by
    assert by.startswith("key:")


async def test_a_brand_of_another_country_has_no_fund_to_fill(api):
    brands = (await api.network.request("GET", "/v1/brands?limit=1000")).json["brands"]
    brand_id = next(one["brand_id"] for one in brands if one["country"] != "CO")
    for reply in (
        await api.network.deposit(5, brand_id=brand_id),
        await api.network.prepay(brand_id=brand_id),
    ):
        assert (reply.status, reply.code) == (400, "invalid_request")
        assert "Colombia" in reply.json["detail"]


@pytest.mark.parametrize(
    "body",
    [{"coins": 0}, {"coins": -5}, {"coins": 1.5}, {"reference": ""}, {"reference": "ñ"}, {"a": 1}],
)
async def test_what_is_no_deposit_is_refused(api, body):
    coins = body.pop("coins", 5)
    reply = await api.network.deposit(coins, **body)
    assert (reply.status, reply.code) == (400, "invalid_request")


# What is issued.


async def test_sales_and_cashbacks_draw_the_fund_down(api, fund, customer_id):
    await fund(2_500)
    sale = await api.store.accumulate(customer_id, **SALE)
    assert sale.json["coins"]["earned"] == 1000
    assert await balance(api) == 1_500
    assert (await api.app.cash_back(customer_id, coins=400)).status == 201
    assert await balance(api) == 1_100
    # What paid for them is nobody's business.
    listed = (await api.network.transactions(customer_id)).json["transactions"]
    assert [(one["asset"], one["payment_id"]) for one in listed] == [
        *(("coins", None), ("points", None), ("coins", None)),
    ]


async def test_a_sale_that_is_too_much_for_the_fund_earns_points_only(api, fund, customer_id):
    await fund(1_999)
    missing = await coins_not_issued(api)
    first = await api.store.accumulate(customer_id, **SALE)
    assert first.json["coins"]["earned"] == 1000
    sale = await api.store.accumulate(customer_id, "short", **SALE)
    assert (sale.status, sale.json["coins"]) == (201, None)
    assert sale.json["points"] == first.json["points"] | {"balance": 200}
    assert await coins_not_issued(api) == missing + 1000
    # What is left is issued to whoever needs no more than that.
    little = await api.store.accumulate(customer_id, amount=9_990_000, currency="COP")
    assert little.json["coins"]["earned"] == 999
    assert await balance(api) == 0
    # A retry is told what was told, whatever the fund has by now.
    await fund(5_000)
    again = await api.store.accumulate(customer_id, "short", **SALE)
    assert (again.json, again.replayed) == (sale.json, True)
    read = await api.store.transaction(customer_id, sale.json["transaction_id"])
    assert read.json == sale.json
    assert await balance(api) == 5_000
    assert await coins_not_issued(api) == missing + 1000


async def test_a_cashback_that_is_too_much_for_the_fund_is_not_available(api, fund, customer_id):
    await fund(10)
    missing = await coins_not_issued(api)
    reply = await api.app.cash_back(customer_id, "k", coins=11)
    assert (reply.status, reply.code) == (409, "not_available")
    assert "issues no coins" in reply.json["detail"]
    assert await coins_not_issued(api) == missing + 11
    assert (await api.app.cash_back(customer_id, coins=10)).status == 201
    await fund(20)
    again = await api.app.cash_back(customer_id, "k", coins=11)
    assert (again.status, again.code, again.replayed) == (409, "not_available", True)
    assert await balance(api) == 20


async def test_a_deposit_is_issued_from_at_once(api, fund, customer_id):
    for _ in range(3):
        assert (await api.store.accumulate(customer_id, **SALE)).json["coins"] is None
        await fund(1_000)
        assert (await api.store.accumulate(customer_id, **SALE)).json["coins"]["earned"] == 1000


async def test_a_retry_issues_once(api, fund, customer_id):
    await fund(5_000)
    replies = await asyncio.gather(
        *(api.store.accumulate(customer_id, "same", **SALE) for _ in range(8))
    )
    assert {reply.json["transaction_id"] for reply in replies} == {
        replies[0].json["transaction_id"]
    }
    assert await balance(api) == 4_000
    # What was reserved for the retries is there for others.
    sales = await asyncio.gather(*(api.store.accumulate(customer_id, **SALE) for _ in range(5)))
    assert sorted(sale.json["coins"] is None for sale in sales) == [False] * 4 + [True]


async def test_what_is_refused_leaves_the_coins_to_others(api, fund, customer_id):
    blocked = await someone(api)
    await api.network.block(blocked, "a test")
    await fund(1_000)
    replies = [await api.store.accumulate(blocked, **SALE) for _ in range(3)]
    assert {reply.code for reply in replies} == {"customer_blocked"}
    nobody = await api.store.accumulate(str(uuid4()), **SALE)
    assert nobody.code == "customer_not_found"
    assert await balance(api) == 1_000
    assert (await api.store.accumulate(customer_id, **SALE)).json["coins"]["earned"] == 1000


async def test_a_postpaid_issuer_leaves_its_balance_as_it_is(api, fund, customer_id):
    await fund(1_000)
    await api.network.prepay(False)
    assert (await api.store.accumulate(customer_id, **SALE)).json["coins"]["earned"] == 1000
    assert await balance(api) == 1_000
    await api.network.prepay()
    assert (await api.store.accumulate(customer_id, **SALE)).json["coins"]["earned"] == 1000
    assert await balance(api) == 0
    assert (await api.store.accumulate(customer_id, **SALE)).json["coins"] is None


async def test_a_fund_is_issued_to_the_last_coin_however_many_want_them(api, fund, people):
    await fund(30_000)
    customers = people.several(20)
    sales = await asyncio.gather(
        *(api.store.accumulate(customer, **SALE) for customer in customers * 3)
    )
    assert {sale.status for sale in sales} == {201}
    issued = Counter(sale.json["coins"] is not None for sale in sales)
    assert issued == {True: 30, False: 30}
    assert await balance(api) == 0


# What comes back.


async def test_a_reversal_gives_the_coins_back_to_the_fund(api, fund, customer_id):
    await fund(1_400)
    sale = await api.store.accumulate(customer_id, **SALE)
    cashback = await api.app.cash_back(customer_id, coins=400)
    assert await balance(api) == 0
    # Also of what was spent already: the customer owes it.
    assert (await api.app.donate(customer_id, coins=1_300)).status == 201
    for done, by, left in ((sale, api.store, 1_000), (cashback, api.network, 1_400)):
        reply = await by.reverse(customer_id, done.json["transaction_id"])
        assert reply.status == 201
        assert await balance(api) == left
    assert await api.store.coins(customer_id) == -1_300
    assert (await api.app.cash_back(await someone(api), coins=1_400)).status == 201
    assert await balance(api) == 0


async def test_a_reversal_of_what_was_issued_postpaid_gives_the_fund_nothing(api, customer_id):
    sale = await api.store.accumulate(customer_id, **SALE)
    before = await balance(api)
    assert (await api.store.reverse(customer_id, sale.json["transaction_id"])).status == 201
    assert await balance(api) == before


# In bulk.


def item(customer_id, **body):
    return {"customer_id": customer_id, "idempotency_key": str(uuid4())} | SALE | body


async def test_an_upload_issues_no_more_than_the_fund_has(api, fund, people):
    await fund(100_500)
    customers = people.several(20)
    items = [item(customer) for customer in customers * 10]
    reply = await api.store.upload(items)
    results = reply.json["results"]
    assert {result["status"] for result in results} == {201}
    issued = Counter(result["coins"] is not None for result in results)
    assert issued == {True: 100, False: 100}
    assert await balance(api) == 500
    again = (await api.store.upload(items)).json["results"]
    assert [one["coins"] for one in again] == [one["coins"] for one in results]
    assert await balance(api) == 500
