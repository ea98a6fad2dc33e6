"""A partner's points become coins, once by the partner's reference (SYS-9, COI-2, COI-4)."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from uuid import uuid4

import pytest
from harness import connection_to, numbered

REFERENCES = numbered("DV")


async def partner(api, **body):
    made = await api.network.request("POST", "/v1/partners", {"name": "Millas"} | body)
    assert made.status == 201
    return made.json["partner_id"]


def today():
    """Return the day in Colombia."""
    return (datetime.now(UTC) - timedelta(hours=5)).date()


def in_24_months(day):
    last = day.replace(day=1).replace(year=day.year + 2)
    months_end = (last.replace(day=28) + timedelta(days=4)).replace(day=1) - timedelta(days=1)
    return date(day.year + 2, day.month, min(day.day, months_end.day))


async def test_points_become_as_many_coins_which_expire_in_24_months(api, customer_id, database):
    reference = next(REFERENCES)
    days = {today()}
    reply = await api.app.convert(customer_id, partner_points=700, reference=reference)
    days.add(today())
    assert reply.status == 201
    told = reply.json
    assert told.pop("transaction_id")
    assert told.pop("recorded_at")
    assert date.fromisoformat(told["coins"].pop("expires_on")) in set(map(in_24_months, days))
    assert told == {
        "customer_id": customer_id,
        "partner_id": 1,
        "partner_points": 700,
        "reference": reference,
        "coins": {"earned": 700, "balance": 700},
    }
    assert await api.network.coins(customer_id) == 700
    async with connection_to(database) as connection:
        lots = await connection.fetchval(
            "select open_lots::text from posting where customer_id = $1 and kind = 13", customer_id
        )
    assert '"partner": true' in lots


async def test_a_retry_converts_once_and_another_body_is_refused(api, customer_id):
    body = {"partner_points": 5, "reference": next(REFERENCES)}
    first = await api.app.convert(customer_id, "k", **body)
    again = await api.app.convert(customer_id, "k", **body)
    assert (again.status, again.json, again.replayed) == (201, first.json, True)
    other = await api.app.convert(customer_id, "k", **body | {"partner_points": 6})
    assert (other.status, other.code) == (422, "idempotency_key_reused")
    assert await api.app.coins(customer_id) == 5


async def test_a_reference_converts_once_whoever_sends_it(api, people):
    ana, bea = people.several(2)
    body = {"partner_points": 5, "reference": next(REFERENCES)}
    assert (await api.app.convert(ana, **body)).status == 201
    for client, customer in ((api.app, ana), (api.app, bea), (api.network, bea)):
        reply = await client.convert(customer, "again", **body)
        assert (reply.status, reply.code) == (409, "reference_already_used")
    again = await api.network.convert(bea, "again", **body)
    assert (again.code, again.replayed) == ("reference_already_used", True)
    assert await api.app.coins(bea) == 0
    # It is the partner's own: another partner's is another one.
    assert (await api.app.convert(bea, partner_id=2, **body)).status == 201


async def test_a_reference_that_is_sent_many_times_at_once_converts_once(api, people):
    body = {"partner_points": 5, "reference": next(REFERENCES)}
    customers = people.several(12)
    replies = await asyncio.gather(*(api.app.convert(each, **body) for each in customers))
    told = Counter((reply.status, reply.code) for reply in replies)
    assert told == {(201, None): 1, (409, "reference_already_used"): 11}


@pytest.mark.parametrize(
    ("coins", "points", "sent", "earned"), [(3, 2, 5, 7), (1, 10, 19, 1), (1000, 1, 2, 2000)]
)
async def test_the_rate_of_the_partner_says_how_many(api, customer_id, coins, points, sent, earned):
    partner_id = await partner(api, rate={"coins": coins, "points": points})
    body = {"partner_id": partner_id, "partner_points": sent, "reference": "R-1"}
    reply = await api.app.convert(customer_id, **body)
    assert (reply.status, reply.json["coins"]["earned"]) == (201, earned)


async def test_what_is_worth_no_coin_or_too_many_is_refused_and_its_reference_stays(
    api, customer_id
):
    partner_id = await partner(api, rate={"coins": 1, "points": 10})
    body = {"partner_id": partner_id, "reference": "R-1"}
    reply = await api.app.convert(customer_id, partner_points=9, **body)
    assert (reply.status, reply.code) == (400, "invalid_request")
    assert (await api.app.convert(customer_id, partner_points=10, **body)).status == 201
    dear = await partner(api, rate={"coins": 1000, "points": 1})
    body = {"partner_id": dear, "reference": "R-1"}
    reply = await api.app.convert(customer_id, partner_points=10**10, **body)
    assert (reply.status, reply.code) == (400, "invalid_request")


async def test_another_rate_counts_from_now_on_and_a_retry_keeps_the_old(api, customer_id):
    partner_id = await partner(api)
    path = f"/v1/partners/{partner_id}"
    body = {"partner_id": partner_id, "partner_points": 10}
    first = await api.app.convert(customer_id, "a", reference="R-1", **body)
    changed = await api.network.request("PATCH", path, {"rate": {"coins": 1, "points": 100}})
    assert changed.status == 200
    less = await api.app.convert(customer_id, "b", reference="R-2", **body)
    assert (less.status, less.code) == (400, "invalid_request")
    again = await api.app.convert(customer_id, "a", reference="R-1", **body)
    assert (again.status, again.json, again.replayed) == (201, first.json, True)
    assert first.json["coins"]["earned"] == 10
    await api.network.request("DELETE", path)
    again = await api.app.convert(customer_id, "a", reference="R-1", **body)
    assert (again.status, again.json, again.replayed) == (201, first.json, True)
    gone = await api.app.convert(customer_id, reference="R-3", **body)
    assert (gone.status, gone.code) == (404, "partner_not_found")


async def test_nobody_unknown_or_blocked_converts(api, customer_id):
    body = {"partner_points": 5, "reference": next(REFERENCES)}
    reply = await api.app.convert(str(uuid4()), **body)
    assert (reply.status, reply.code) == (404, "customer_not_found")
    reply = await api.app.convert(customer_id, **body, partner_id=999_999)
    assert (reply.status, reply.code) == (404, "partner_not_found")
    await api.network.block(customer_id, "a test")
    reply = await api.app.convert(customer_id, **body)
    assert (reply.status, reply.code) == (409, "customer_blocked")
    await api.network.unblock(customer_id, "a test")
    # What was refused has used up no reference.
    assert (await api.app.convert(customer_id, **body)).status == 201


@pytest.mark.parametrize(
    "wrong",
    [
        {"reference": ""},
        {"reference": "ñ"},
        {"reference": "x" * 65},
        {"reference": "a\nb"},
        {"reference": None},
        {"partner_points": 0},
        {"partner_points": -1},
        {"partner_points": 1.5},
        {"partner_points": 10**13},
        {"partner_id": 0},
        {"coins": 1},
    ],
)
async def test_what_is_no_conversion_is_refused(api, customer_id, wrong):
    reply = await api.app.convert(customer_id, **{"partner_points": 1, "reference": "x"} | wrong)
    assert (reply.status, reply.code) == (400, "invalid_request")


async def test_a_conversion_is_read_back_by_the_app_and_not_by_a_brand(api, customer_id):
    body = {"partner_points": 5, "reference": next(REFERENCES)}
    made = (await api.app.convert(customer_id, **body)).json
    for client in (api.app, api.network):
        read = await client.transaction(customer_id, made["transaction_id"])
        assert (read.status, read.json) == (200, made)
        (row,) = (await client.transactions(customer_id)).json["transactions"]
        told = (row["type"], row["asset"], row["amount"], row["brand_id"], row["store_id"])
        assert told == ("conversion", "coins", 5, None, None)
    for client in (api.brand, api.store):
        read = await client.transaction(customer_id, made["transaction_id"])
        assert (read.status, read.code) == (404, "transaction_not_found")
