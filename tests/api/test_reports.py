"""The reports over HTTP: what they say of sales and payments, to whom, and to which questions."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime, timedelta
from urllib.parse import quote
from uuid import uuid4

import pytest
from harness import connection_to, until

from engine.programme.calendar import COINS_COUNTRY, UTC_OFFSETS, iso_moment

TODAY = (datetime.now(UTC) + timedelta(seconds=UTC_OFFSETS[COINS_COUNTRY])).date()
TOMORROW = (TODAY + timedelta(days=1)).isoformat()
BRAND_1 = ("brand", 1)


async def report(client, name, **query):
    reply = await client.request("GET", f"/v1/{name}", params=query)
    assert reply.status == 200, reply
    return reply.json


async def flows(client, **query):
    """Return the coins that went, by issuer, receiver and reason."""
    found = await report(client, "settlements", **query)
    for flow in found["settlements"]:
        assert flow["amount"] == 100 * flow["coins"]
    return {
        (party(flow["issuer"]), party(flow["receiver"]), flow["reason"]): flow["coins"]
        for flow in found["settlements"]
    }


def party(told):
    return told["type"], told["id"]


def new(before, after):
    """Return what came to flows meanwhile."""
    places = {*before, *after}
    change = {place: after.get(place, 0) - before.get(place, 0) for place in places}
    return {place: coins for place, coins in change.items() if coins}


@pytest.fixture
async def receiver(database, demo):
    """Return a store of another brand that takes coins."""
    store = next(one for one in demo["stores"] if one["accepts_coins"] and one["brand_id"] != 1)
    async with connection_to(database) as connection:
        receives = "select receiver from programme where brand_id = $1"
        assert await connection.fetchval(receives, store["brand_id"])
    return store


async def pay(api, customer_id, coins, store_id=1):
    qr = (await api.app.qr(customer_id)).json["qr"]
    reply = await api.network.pay(customer_id, coins=coins, qr=qr, store_id=store_id)
    assert (reply.status, reply.json.get("status")) == (201, "succeeded"), reply
    return reply.json["payment_id"]


async def test_a_spend_moves_value_from_the_issuers_to_the_receiver(api, customer_id, receiver):
    before = await flows(api.network)
    assert (await api.app.cash_back(customer_id, coins=100)).status == 201
    reply = await api.app.convert(customer_id, partner_points=50, reference=str(uuid4()))
    from_partner = reply.json["coins"]["earned"]
    payment = await pay(api, customer_id, 100 + from_partner - 10, receiver["store_id"])
    assert (await api.app.donate(customer_id, coins=10)).status == 201
    received = ("brand", receiver["brand_id"])
    assert sum(new(before, await flows(api.network)).values()) == 100 + from_partner
    moved = new(before, await flows(api.network))
    paid = {issuer: coins for (issuer, to, _), coins in moved.items() if to == received}
    given = {issuer: coins for (issuer, to, _), coins in moved.items() if to[0] == "organisation"}
    assert sum(paid.values()) == 90 + from_partner
    assert sum(given.values()) == 10
    assert set(paid) | set(given) <= {BRAND_1, ("partner", 1)}
    assert (await api.network.reverse(customer_id, payment)).status == 201
    left = new(before, await flows(api.network))
    assert {place: coins for place, coins in left.items() if place[1] == received} == {}


async def test_what_was_taken_back_is_repaid_by_whose_coins_come_next(api, customer_id, receiver):
    before = await flows(api.network)
    cash_back = await api.app.cash_back(customer_id, coins=80)
    await pay(api, customer_id, 80, receiver["store_id"])
    await api.network.reverse(customer_id, cash_back.json["transaction_id"])
    assert await api.app.coins(customer_id) == -80
    await api.app.convert(customer_id, partner_points=30, reference=str(uuid4()))
    repaid = 80 + await api.app.coins(customer_id)
    assert repaid > 0
    moved = new(before, await flows(api.network))
    assert moved[("partner", 1), BRAND_1, "repayment"] == repaid


async def test_the_positions_and_totals_net_to_zero(api, customer_id, receiver):
    await api.app.cash_back(customer_id, coins=40)
    await pay(api, customer_id, 40, receiver["store_id"])
    found = await report(api.network, "settlements")
    assert sum(one["net"] for one in found["positions"]) == 0
    assert (found["totals"]["net"], found["totals"]["net_amount"]) == (0, 0)
    assert found["totals"]["coins"] == sum(one["coins"] for one in found["settlements"])
    assert found["currency"] == "COP"
    assert found["from"] == found["to"] == TODAY.isoformat()
    for one in found["positions"]:
        assert one["net"] == one["receives"] - one["pays"]
        assert one["net_amount"] == 100 * one["net"]
    issuer = next(one for one in found["positions"] if party(one["party"]) == BRAND_1)
    assert issuer["issued"] >= 40
    assert issuer["party"]["name"]


async def test_a_brand_sees_the_flows_that_it_is_in(api, people, receiver):
    one, other = people.several(2)
    await api.app.convert(one, partner_points=50, reference=str(uuid4()))
    await pay(api, one, 1, receiver["store_id"])  # of the partner's coins: not brand 1's
    await api.app.cash_back(other, coins=40)
    await pay(api, other, 30)
    everything = await flows(api.network)
    own = await flows(api.brand)
    assert own == {flow: coins for flow, coins in everything.items() if BRAND_1 in flow}
    assert own != everything
    seen = await report(api.brand, "settlements")
    assert [party(one["party"]) for one in seen["positions"]] == [BRAND_1]
    assert seen["totals"]["net"] == 0
    foreign = await api.brand.request("GET", f"/v1/brands/{receiver['brand_id']}/liability")
    assert (foreign.status, foreign.code) == (404, "brand_not_found")


@pytest.mark.parametrize("how", ["query", "header"])
async def test_a_settlement_opens_in_a_spreadsheet(api, database, customer_id, how):
    await api.app.cash_back(customer_id, coins=5)
    await pay(api, customer_id, 5)
    # No brand gets such a name over HTTP in earnest; a spreadsheet must not carry it out.
    name = {"name": '=HYPERLINK("x","Café, ñandú")'}
    assert (await api.network.request("PATCH", "/v1/brands/1", name)).status == 200
    asked = {"params": {"format": "csv"}} if how == "query" else {"headers": {"Accept": "text/csv"}}
    reply = await api.network.request("GET", "/v1/settlements", **asked)
    assert reply.status == 200
    assert reply.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert f"settlement-{TODAY}-{TODAY}.csv" in reply.headers["Content-Disposition"]
    rows = list(csv.DictReader(io.StringIO(reply.json.decode("utf-8-sig"))))
    told = {
        (of_row(row, "issuer"), of_row(row, "receiver"), row["reason"]): int(row["coins"])
        for row in rows
    }
    assert told == await flows(api.network)
    assert {row["currency"] for row in rows} == {"COP"}
    assert all(int(row["amount"]) == 100 * int(row["coins"]) for row in rows)
    named = {row["issuer_name"] for row in rows if row["issuer_id"] == "1"}
    assert '\'=HYPERLINK("x","Café, ñandú")' in named
    as_json = await api.network.request(
        "GET", "/v1/settlements", params={"format": "json"}, headers={"Accept": "text/csv"}
    )
    assert as_json.json["settlements"]


def of_row(row, side):
    return row[f"{side}_type"], int(row[f"{side}_id"])


BAD = {
    "settlements?from=2026-02-30": "`from` is a day since 1970",
    "settlements?from=yesterday": "`from` is a day since 1970",
    "settlements?to=2026-01-01T10:00:00": "`to` is a day since 1970",
    f"settlements?from={TODAY}&to=2020-01-01": "`from` is after `to`",
    f"settlements?from={TOMORROW}": "`from` lies in the future",
    "settlements?from=2001-01-01": "at most 400 days",
    "settlements?from=0001-01-01": "since 1970",
    "settlements?to=9999-12-31": "since 1970",
    "settlements?format=xml": "`format` is json or csv",
    "trial-balance?as_of=2999-01-01": "`as_of` lies in the future",
    f"trial-balance?as_of={TODAY + timedelta(days=2)}T00:00:00Z": "`as_of` lies in the future",
    "trial-balance?as_of=": "`as_of` is empty",
    "brands/1/liability?as_of=x": "`as_of` is a day since 1970",
    "brands/1/liability?as_of=1969-12-31": "since 1970",
}


@pytest.mark.parametrize(("path", "says"), BAD.items(), ids=BAD)
async def test_a_question_without_an_answer_is_told_why(api, path, says):
    reply = await api.network.request("GET", f"/v1/{path}")
    assert (reply.status, reply.code) == (400, "invalid_request")
    assert says in reply.json["detail"]


@pytest.mark.parametrize(
    "query",
    [
        {"from": "1970-01-01", "to": "1970-02-01"},
        {"from": TODAY.isoformat(), "to": "9998-12-31"},
        {"from": f"{TODAY - timedelta(days=3)}T00:00:00-05:00", "to": TOMORROW},
    ],
)
async def test_a_period_may_have_nothing_in_it_or_not_be_over(api, query):
    found = await report(api.network, "settlements", **query)
    assert (found["from"][:4], found["to"][:4]) == (query["from"][:4], query["to"][:4])


async def test_moments_cut_a_day(api, people):
    one, other = people.several(2)
    for customer_id in (one, other):
        await api.app.cash_back(customer_id, coins=9)
    first = await pay(api, one, 4)
    await pay(api, other, 5)
    told = (await api.network.transaction(one, first)).json
    moment = datetime.fromisoformat(told["recorded_at"])
    after = iso_moment(int((moment + timedelta(microseconds=1)).timestamp() * 1e6))
    upto, since = {"to": after}, {"from": after}
    whole = await flows(api.network)
    parts = [await flows(api.network, **one) for one in (upto, since)]
    assert new({}, {flow: sum(part.get(flow, 0) for part in parts) for flow in whole}) == whole
    of_parts = [part.get((BRAND_1, BRAND_1, "payment"), 0) for part in parts]
    assert of_parts[1] >= 5
    assert of_parts[0] >= 4


async def test_what_a_brand_owes_its_customers(api, customer_id):
    before = await report(api.brand, "brands/1/liability")
    sale = await api.store.accumulate(customer_id, amount=5_400_000, currency="COP")
    earned, coins = sale.json["points"], sale.json["coins"]
    after = await report(api.brand, "brands/1/liability")
    told = after["points"]
    assert told["outstanding"] - before["points"]["outstanding"] == earned["earned"]
    assert sum(month["amount"] for month in told["months"]) == told["outstanding"]
    month = {one["month"]: one["amount"] for one in told["months"]}
    month_before = {one["month"]: one["amount"] for one in before["points"]["months"]}
    in_month = earned["expires_on"][:7]
    assert month[in_month] - month_before.get(in_month, 0) == earned["earned"]
    of_coins = (before["coins"] or {"outstanding": 0})["outstanding"]
    assert after["coins"]["outstanding"] - of_coins == coins["earned"]
    assert after["coins"]["outstanding_amount"] == 100 * after["coins"]["outstanding"]
    assert after["as_of"][:2] == "20"
    yesterday = (TODAY - timedelta(days=1)).isoformat()
    past = await report(api.network, "brands/1/liability", as_of=yesterday)
    assert past["points"] == {"outstanding": 0, "months": [], "expired": 0, "owed": 0}
    assert (past["as_of"], past["coins"]) == (yesterday, None)


async def test_what_customers_owe_is_told_apart(api, customer_id):
    before = (await report(api.brand, "brands/1/liability"))["points"]
    sale = await api.store.accumulate(customer_id, amount=99_000_000, currency="COP")
    reward = await api.store.redeem(customer_id, reward_id=1)
    assert reward.status == 201
    await api.store.reverse(customer_id, sale.json["transaction_id"])
    after = (await report(api.brand, "brands/1/liability"))["points"]
    assert after["owed"] - before["owed"] == reward.json["points"]["spent"]
    assert after["outstanding"] == before["outstanding"]


async def test_a_retired_brands_points_are_still_owed_and_unknown_brands_are_none(api):
    for brand_id in ("0", "999999", "x"):
        reply = await api.network.request("GET", f"/v1/brands/{brand_id}/liability")
        assert (reply.status, reply.code) == (404, "brand_not_found")


async def test_the_books_balance_at_any_moment(api, customer_id):
    await api.app.cash_back(customer_id, coins=9)
    first = await api.store.accumulate(customer_id, amount=1_000_000, currency="COP")
    await api.store.accumulate(customer_id, amount=2_000_000, currency="COP")
    now = await report(api.network, "trial-balance")
    then = await report(api.network, "trial-balance", as_of=first.json["recorded_at"])
    for told in (now, then):
        assert told["difference"] == 0
        for books in told["books"]:
            customers = books["customers"]
            assert customers["lots"] == customers["available"] + customers["held"]
            accounts = sum(account["balance"] for account in books["accounts"])
            assert accounts + customers["lots"] == books["difference"] == 0
    issued = [balance_of(told, 1, "points_issued") for told in (now, then)]
    assert issued[0] < issued[1] < 0
    coins = next(books for books in now["books"] if books["asset"] == "coins")
    assert "brand_id" not in coins
    yesterday = (TODAY - timedelta(days=1)).isoformat()
    assert (await report(api.network, "trial-balance", as_of=yesterday))["books"] == []


def balance_of(told, brand_id, account):
    books = next(one for one in told["books"] if one.get("brand_id") == brand_id)
    return next(one["balance"] for one in books["accounts"] if one["account"] == account)


async def test_the_plus_of_an_offset_may_be_a_space(api):
    told = (await report(api.network, "trial-balance", as_of="2026-01-31T10:00:00 05:00"))["as_of"]
    assert told == "2026-01-31T05:00:00.000000Z"
    assert quote("+") == "%2B"


async def test_the_sums_are_folded_by_the_engine_and_agree_with_what_was_told_before(
    api, customer_id
):
    await api.app.cash_back(customer_id, coins=11)
    await pay(api, customer_id, 11)
    before = await report(api.network, "settlements")

    async def folded():
        told = await report(api.network, "settlements")
        return told["folded"]["rows_added"] == 0 and told

    after = await until(folded)
    assert after["settlements"] == before["settlements"]
    assert after["positions"] == before["positions"]
    assert after["folded"]["until"] >= before["folded"]["until"]

    async def metrics():
        async with api.session.get(f"{api.anonymous.url}/metrics") as response:
            lines = (await response.text()).splitlines()
        read = dict(line.split(" ") for line in lines if line.startswith("leal_fold_"))
        return float(read["leal_fold_lag_seconds"]) == 0 and read

    read = await until(metrics)
    assert float(read["leal_fold_waiting_rows"]) == 0
    assert float(read["leal_fold_rows_total"]) > 0
    assert float(read["leal_fold_failures_total"]) == 0
