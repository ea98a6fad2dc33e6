"""A sale earns what its brand configured, once (PTS-2…PTS-7, COI-2, COI-4)."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from uuid import UUID, uuid4

import orjson
import pytest
from harness import numbered

from engine.programme.calendar import add_months

COP_54_000 = {"amount": 5_400_000, "currency": "COP"}
EPOCH = date(1970, 1, 1)


def at(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")


def noon_utc(days_back: int) -> datetime:
    noon = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0)
    return noon - timedelta(days=days_back)


async def test_a_sale_earns_points_by_the_brands_value_and_coins_at_an_issuer(api, customer_id):
    reply = await api.store.accumulate(customer_id, **COP_54_000)
    assert reply.status == 201
    answer = reply.json
    assert UUID(answer["transaction_id"]).version in (5, 8)  # made of its idempotency key
    assert (answer["customer_id"], answer["store_id"], answer["brand_id"]) == (customer_id, 1, 1)
    assert (answer["points"]["earned"], answer["points"]["balance"]) == (54, 54)
    assert (answer["coins"]["earned"], answer["coins"]["balance"]) == (540, 540)
    assert set(answer) == {
        *("transaction_id", "customer_id", "store_id", "brand_id"),
        *("points", "coins", "recorded_at"),
    }
    assert datetime.fromisoformat(answer["recorded_at"]).tzinfo == UTC
    assert answer["recorded_at"].endswith("Z")
    again = await api.store.accumulate(customer_id, **COP_54_000)
    assert (again.json["points"]["balance"], again.json["coins"]["balance"]) == (108, 1080)


async def test_every_brand_earns_by_its_own_programme(api, demo, customer_id):
    for brand in demo["brands"]:
        store = next(one for one in demo["stores"] if one["brand_id"] == brand["brand_id"])
        amount = 1_234_567
        reply = await api.network.accumulate(
            customer_id, store_id=store["store_id"], amount=amount, currency=brand["currency"]
        )
        assert reply.status == 201
        points = amount * brand["points"] // brand["points_amount"]
        assert reply.json["points"]["earned"] == points
        if brand["issuer"]:
            assert reply.json["coins"]["earned"] == amount * brand["coins"] // brand["coins_amount"]
        else:
            assert reply.json["coins"] is None


async def test_fractions_of_a_point_are_dropped_and_a_sale_may_earn_nothing(api, customer_id):
    reply = await api.store.accumulate(customer_id, amount=199_999, currency="COP")
    assert (reply.json["points"]["earned"], reply.json["coins"]["earned"]) == (1, 19)
    reply = await api.store.accumulate(customer_id, amount=1, currency="COP")
    assert reply.status == 201
    assert reply.json["points"] == {"earned": 0, "balance": 1, "expires_on": None}


async def test_expiry_counts_from_the_local_day_of_the_sale(api, customer_id):
    # 03:00 UTC is still the evening before in Bogotá.
    sold = noon_utc(3).replace(hour=3)
    reply = await api.store.accumulate(customer_id, **COP_54_000, occurred_at=at(sold))
    day = sold.date() - timedelta(days=1)
    assert reply.json["points"]["expires_on"] == (day + timedelta(days=365)).isoformat()
    coins_day = EPOCH + timedelta(days=add_months((day - EPOCH).days, 24))
    assert reply.json["coins"]["expires_on"] == coins_day.isoformat()


async def test_lots_of_different_days_stay_apart_in_the_wallet(api, customer_id):
    for days_back in (1, 2, 1):
        sold = at(noon_utc(days_back))
        await api.store.accumulate(customer_id, **COP_54_000, occurred_at=sold)
    wallets = (await api.store.wallets(customer_id)).json["wallets"]
    points = next(one for one in wallets if one["asset"] == "points")
    days = [(noon_utc(back).date() + timedelta(days=365)).isoformat() for back in (2, 1)]
    assert points["expiring"] == [
        {"amount": 54, "expires_on": days[0]},
        {"amount": 108, "expires_on": days[1]},
    ]


@pytest.mark.parametrize(
    ("occurred_at", "code"),
    [
        (timedelta(days=-7, seconds=60), None),
        (timedelta(days=-7, seconds=-60), "occurred_at_out_of_range"),
        (timedelta(seconds=200), None),
        (timedelta(seconds=400), "occurred_at_out_of_range"),
        ("0001-01-01T00:00:00+14:00", "occurred_at_out_of_range"),
        ("9999-12-31T23:59:59-14:00", "occurred_at_out_of_range"),
        ("1969-12-31T23:59:59Z", "occurred_at_out_of_range"),
        ("2026-01-31T10:00:00", "invalid_request"),
        ("2026-01-31", "invalid_request"),
        ("yesterday", "invalid_request"),
        (1_700_000_000, "invalid_request"),
    ],
)
async def test_a_sale_lies_at_most_seven_days_back_and_not_ahead(
    api, customer_id, occurred_at, code
):
    if isinstance(occurred_at, timedelta):
        occurred_at = at(datetime.now(UTC) + occurred_at)
    reply = await api.store.accumulate(customer_id, **COP_54_000, occurred_at=occurred_at)
    assert (reply.status, reply.code) == ((201, None) if code is None else (400, code))


async def test_a_currency_that_is_not_the_stores_is_refused(api, customer_id):
    reply = await api.store.accumulate(customer_id, amount=100, currency="USD")
    assert (reply.status, reply.code) == (400, "currency_mismatch")
    assert await api.store.points(customer_id, 1) == 0


async def test_an_amount_is_needed_where_no_invoice_is_known(api, customer_id):
    for body in ({}, {"currency": "COP"}, {"invoice_number": "never-sent"}):
        reply = await api.store.accumulate(customer_id, **body)
        assert (reply.status, reply.code) == (400, "amount_required")


async def test_a_key_without_a_store_has_to_name_one(api, customer_id):
    reply = await api.network.accumulate(customer_id, **COP_54_000)
    assert (reply.status, reply.code) == (400, "store_required")
    reply = await api.brand.accumulate(customer_id, **COP_54_000, store_id=1)
    assert reply.status == 201


async def test_an_unknown_customer_earns_nothing(api):
    reply = await api.store.accumulate(str(uuid4()), **COP_54_000)
    assert (reply.status, reply.code) == (404, "customer_not_found")


# Invoices.


async def test_an_invoice_of_a_store_earns_once_whoever_claims_it(api, people):
    first, second = people.several(2)
    earned = await api.store.accumulate(first, **COP_54_000, invoice_number="F-1")
    assert earned.status == 201
    for customer in (first, second):
        reply = await api.store.accumulate(customer, **COP_54_000, invoice_number="F-1")
        assert (reply.status, reply.code) == (409, "invoice_already_claimed")
    assert await api.store.points(first, 1) == 54
    assert await api.store.points(second, 1) == 0
    elsewhere = await api.other_store.accumulate(second, **COP_54_000, invoice_number="F-1")
    assert elsewhere.status == 201


@pytest.mark.parametrize("blank", [" ", "   ", " " * 64])
async def test_a_blank_invoice_number_is_none(api, people, blank):
    for customer in people.several(3):
        earned = await api.store.accumulate(customer, **COP_54_000, invoice_number=blank)
        assert (earned.status, earned.json["points"]["earned"]) == (201, 54)


async def test_a_blank_invoice_number_in_bulk_fails_no_neighbour(api, people):
    items = [
        {
            "type": "accumulation",
            "idempotency_key": str(number),
            "customer_id": customer,
            **COP_54_000,
            "invoice_number": "  ",
        }
        for number, customer in enumerate(people.several(4))
    ]
    for item in items[::2]:
        del item["invoice_number"]
    for _ in range(2):
        reply = await api.store.request("POST", "/v1/transactions", orjson.dumps(items))
        assert [result["status"] for result in reply.json["results"]] == [201] * 4


async def test_a_refused_invoice_stays_refused_for_its_key(api, people):
    first, second = people.several(2)
    await api.store.accumulate(first, **COP_54_000, invoice_number="F-2")
    refused = await api.store.accumulate(second, "k", **COP_54_000, invoice_number="F-2")
    again = await api.store.accumulate(second, "k", **COP_54_000, invoice_number="F-2")
    assert (refused.status, again.status) == (409, 409)
    assert (refused.replayed, again.replayed) == (False, True)
    told, told_again = dict(refused.json), dict(again.json)
    assert told.pop("request_id") != told_again.pop("request_id")
    assert told == told_again


async def test_one_invoice_sent_for_many_customers_at_once_earns_once(api, people):
    customers = people.several(30)
    neighbours = people.several(10)
    replies = await asyncio.gather(
        *(api.store.accumulate(one, **COP_54_000, invoice_number="F-3") for one in customers),
        *(api.store.accumulate(one, **COP_54_000) for one in neighbours),
    )
    claims, others = replies[:30], replies[30:]
    assert Counter(reply.status for reply in claims) == {201: 1, 409: 29}
    assert {reply.code for reply in claims} == {None, "invoice_already_claimed"}
    assert {reply.status for reply in others} == {201}
    balances = await asyncio.gather(*(api.store.points(one, 1) for one in customers))
    assert sum(balances) == 54


async def test_one_invoice_sent_under_many_keys_of_a_customer_at_once_earns_once(api, customer_id):
    replies = await asyncio.gather(
        *(api.store.accumulate(customer_id, **COP_54_000, invoice_number="F-4") for _ in range(20))
    )
    assert Counter(reply.status for reply in replies) == {201: 1, 409: 19}
    assert await api.store.points(customer_id, 1) == 54


# Idempotency.


async def test_a_retry_gets_the_recorded_answer(api, customer_id):
    first = await api.store.accumulate(customer_id, "retry", **COP_54_000)
    await api.store.accumulate(customer_id, **COP_54_000)
    for key in ("retry", '"retry"'):
        again = await api.store.accumulate(customer_id, key, **COP_54_000)
        assert (again.status, again.json) == (201, first.json)
        assert again.replayed
    assert not first.replayed
    assert again.headers["Content-Type"] == first.headers["Content-Type"]
    assert await api.store.points(customer_id, 1) == 108


async def test_the_spelling_of_the_body_does_not_matter_to_a_retry(api, customer_id):
    path = f"/v1/customers/{customer_id}/accumulations"
    replies = [
        await api.store.request("POST", path, body, idempotency="spelled")
        for body in (
            b'{"amount":5400000,"currency":"COP"}',
            b' {"currency" : "C\\u004fP",\n "amount": 5400000, "invoice_number": null} ',
        )
    ]
    assert [reply.status for reply in replies] == [201, 201]
    assert replies[0].json == replies[1].json


@pytest.mark.parametrize(
    "other",
    [
        {"amount": 5_400_001, "currency": "COP"},
        {"amount": 5_400_000},
        {"amount": 5_400_000, "currency": "COP", "invoice_number": "F-9"},
    ],
)
async def test_a_key_for_another_request_is_refused(api, customer_id, other):
    first = await api.store.accumulate(customer_id, "reused", **COP_54_000)
    reused = await api.store.accumulate(customer_id, "reused", **other)
    assert (reused.status, reused.code) == (422, "idempotency_key_reused")
    again = await api.store.accumulate(customer_id, "reused", **COP_54_000)
    assert again.json == first.json


async def test_a_key_for_another_verb_is_refused(api, demo, customer_id):
    reward = next(one for one in demo["rewards"] if one["brand_id"] == 1)
    await api.store.accumulate(customer_id, "verb", **COP_54_000)
    reused = await api.store.redeem(customer_id, "verb", reward_id=reward["reward_id"])
    assert (reused.status, reused.code) == (422, "idempotency_key_reused")
    reused = await api.store.pay(customer_id, "verb", coins=1)
    assert (reused.status, reused.code) == (422, "idempotency_key_reused")


async def test_the_same_key_fifty_times_at_once_has_one_effect_and_one_answer(api, customer_id):
    replies = await asyncio.gather(
        *(api.store.accumulate(customer_id, "storm", **COP_54_000) for _ in range(50))
    )
    assert {reply.status for reply in replies} == {201}
    assert all(reply.json == replies[0].json for reply in replies)
    assert Counter(reply.replayed for reply in replies) == {False: 1, True: 49}
    assert await api.store.points(customer_id, 1) == 54


async def test_the_same_key_for_two_requests_at_once_does_one_of_them(api, customer_id):
    bodies = [COP_54_000, {"amount": 1_000_000, "currency": "COP"}] * 10
    replies = await asyncio.gather(
        *(api.store.accumulate(customer_id, "torn", **body) for body in bodies)
    )
    assert Counter(reply.status for reply in replies) == {201: 10, 422: 10}
    done = next(reply for reply in replies if reply.status == 201)
    assert all(reply.json == done.json for reply in replies if reply.status == 201)
    assert await api.store.points(customer_id, 1) == done.json["points"]["earned"]


@pytest.mark.parametrize("spelling", ["fv-77a", "FV-77A ", " Fv-77a", "FV -77a"])
async def test_another_spelling_of_an_invoice_is_the_same_invoice(api, people, spelling):
    first, second = people.several(2)
    await api.store.accumulate(first, **COP_54_000, invoice_number="FV-77a")
    reply = await api.store.accumulate(second, **COP_54_000, invoice_number=spelling)
    assert (reply.status, reply.code) == (409, "invoice_already_claimed")


async def test_keys_belong_to_the_brand_and_the_customer(api, people):
    first, second = people.several(2)
    one = await api.store.accumulate(first, "mine", **COP_54_000)
    # Another customer, another brand, and the network are other scopes …
    replies = [
        await api.store.accumulate(second, "mine", **COP_54_000),
        await api.other_store.accumulate(first, "mine", **COP_54_000),
        await api.network.accumulate(first, "mine", **COP_54_000, store_id=1),
    ]
    assert [reply.status for reply in replies] == [201, 201, 201]
    assert not any(reply.replayed for reply in replies)
    assert len({reply.json["transaction_id"] for reply in (one, *replies)}) == 4
    # … and two keys of one brand are one.
    same = await api.brand.accumulate(first, "mine", **COP_54_000, store_id=2)
    assert (same.status, same.code) == (404, "store_not_found")
    reused = await api.brand.accumulate(first, "mine", amount=1, currency="COP", store_id=1)
    assert (reused.status, reused.code) == (422, "idempotency_key_reused")


async def test_a_retry_is_answered_when_the_sale_has_become_too_old_for_a_new_one(
    api, database, customer_id
):
    """Keys never expire: a POS that was offline for a week may retry what it sent (SYS-4)."""
    sold = at(datetime.now(UTC) - timedelta(days=7) + timedelta(milliseconds=700))
    body = {**COP_54_000, "occurred_at": sold}
    first = await api.store.accumulate(customer_id, "late", **body)
    assert first.status == 201
    async with asyncio.timeout(10):
        while (await api.store.accumulate(customer_id, **body)).status == 201:
            await asyncio.sleep(0.05)
    again = await api.store.accumulate(customer_id, "late", **body)
    assert (again.status, again.json) == (201, first.json)


async def test_concurrent_sales_of_one_customer_add_up(api, customer_id):
    keys = numbered("sum")
    replies = await asyncio.gather(
        *(api.store.accumulate(customer_id, next(keys), **COP_54_000) for _ in range(60))
    )
    assert {reply.status for reply in replies} == {201}
    balances = sorted(reply.json["points"]["balance"] for reply in replies)
    assert balances == [54 * number for number in range(1, 61)]
