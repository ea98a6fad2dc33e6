"""The list says what this customer can take now, and what is missing for the rest (RED-4)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from harness import connection_to, until

PROFILE = {"gender": "F", "birth_date": "1990-03-15", "city": "Cali"}


@pytest.fixture
def make(api):
    """Give what makes an item of brand 1, known to the engine when it returns."""

    async def make(kind, **body):
        facts = {"name": "Termo"} | ({"points": 10} if kind == "reward" else {}) | body
        reply = await api.brand.request("POST", f"/v1/brands/1/{kind}s", facts)
        assert reply.status == 201, reply.json
        return reply.json[f"{kind}_id"]

    return make


async def offers(api, customer_id):
    reply = await api.store.offers(customer_id)
    assert reply.status == 200, reply.json
    return reply.json


async def offer(api, customer_id, kind, number):
    """Return one offer, None where it is not in the list."""
    listed = (await offers(api, customer_id))[f"{kind}s"]
    return next((one for one in listed if one[f"{kind}_id"] == number), None)


async def give(api, customer_id, points):
    reply = await api.store.accumulate(customer_id, amount=points * 100_000, currency="COP")
    assert reply.status == 201


async def test_the_list_tells_what_is_missing(api, customer_id, make):
    cheap, dear = await make("reward", points=10), await make("reward", points=900)
    await give(api, customer_id, 300)
    assert await offer(api, customer_id, "reward", cheap) == {
        "reward_id": cheap,
        "name": "Termo",
        "points": 10,
        "coins": 0,
        "available": True,
        "missing": 0,
        "reason": None,
        "ends_at": None,
    }
    told = await offer(api, customer_id, "reward", dear)
    assert (told["available"], told["missing"]) == (False, 600)
    assert told["reason"] == "insufficient_points"


async def test_the_whole_table_of_the_brand_is_told_by_price(api, customer_id, demo):
    seen = await offers(api, customer_id)
    for listed in seen.values():
        prices = [one["points"] or one["coins"] for one in listed]
        assert prices == sorted(prices)
    plain = {one["reward_id"] for one in demo["rewards"] if one["brand_id"] == 1}
    assert plain <= {one["reward_id"] for one in seen["rewards"]}
    others = {one["reward_id"] for one in demo["rewards"] if one["brand_id"] != 1}
    assert not others & {one["reward_id"] for one in seen["rewards"]}


async def test_what_is_offered_is_what_a_redemption_gets(api, people, make):
    await make("reward", stock=0)
    await make("reward", points=70, customer_limit=1)
    await make("promotion", points=30, stock=1)
    for person, points in (
        (people.complete(), 0),
        (people.complete(), 60),
        (people.complete(), 5000),
        (people.incomplete(), 5000),
    ):
        customer_id = person["customer_id"]
        if points:
            await give(api, customer_id, points)
        for kind in ("gift", "promotion", "reward"):
            for one in (await offers(api, customer_id))[f"{kind}s"]:
                name = f"{kind}_id"
                told = await offer(api, customer_id, kind, one[name])
                if told["coins"]:
                    continue
                reply = await api.store.redeem(customer_id, **{name: one[name]})
                assert reply.code == told["reason"]
                assert (reply.status == 201) == told["available"]


async def test_what_is_sold_out_or_had_often_enough_says_so(api, people, make):
    sold_out, limited = await make("reward", stock=1), await make("reward", customer_limit=1)
    ana, luis = people.several(2)
    for customer in (ana, luis):
        await give(api, customer, 100)
        assert (await offer(api, customer, "reward", sold_out))["reason"] is None
    await api.store.redeem(ana, reward_id=sold_out)
    await api.store.redeem(ana, reward_id=limited)
    for customer, reason in ((ana, "limit_reached"), (luis, None)):
        assert (await offer(api, customer, "reward", sold_out))["reason"] == "out_of_stock"
        told = await offer(api, customer, "reward", limited)
        assert (told["reason"], told["missing"]) == (reason, 0)
        assert told["available"] is (reason is None)
    await api.brand.request("PATCH", f"/v1/brands/1/rewards/{sold_out}", {"stock": 2})
    assert (await offer(api, luis, "reward", sold_out))["reason"] is None


async def test_a_unit_that_came_back_is_offered_again(api, people, make, database):
    item = await make("promotion", stock=1)
    ana, luis = people.several(2)
    await api.store.redeem(ana, promotion_id=item)
    assert (await offer(api, luis, "promotion", item))["reason"] == "out_of_stock"
    async with connection_to(database) as connection:
        await connection.execute("delete from item_unit where item_id = $1", item)

    async def is_back():
        return (await offer(api, luis, "promotion", item))["available"]

    await until(is_back)


async def test_what_is_not_for_now_is_left_out(api, customer_id, make):
    now = datetime.now(UTC)
    before, after = ((now + timedelta(days=days)).isoformat() for days in (-1, 1))
    over = await make("promotion", ends_at=before)
    early = await make("promotion", starts_at=after)
    open_now = await make("promotion", starts_at=before, ends_at=after)
    hidden = await make("promotion", available=False)
    retired = await make("promotion")
    await api.brand.request("DELETE", f"/v1/brands/1/promotions/{retired}")
    listed = {one["promotion_id"]: one for one in (await offers(api, customer_id))["promotions"]}
    assert not {over, early, hidden, retired} & set(listed)
    ends_at = datetime.fromisoformat(listed[open_now]["ends_at"])
    assert ends_at == datetime.fromisoformat(after)


async def test_a_promotion_is_offered_to_its_segment(api, people, make):
    women = await make("promotion", segment={"genders": ["F"], "cities": ["cali"]})
    birthday = await make("promotion", segment={"birthday_month": True})
    inside, outside = people.several(2)
    month = datetime.now(UTC) - timedelta(hours=5)
    other_month = month.replace(day=1) - timedelta(days=1)
    for customer, gender, born in ((inside, "F", month), (outside, "M", other_month)):
        profile = PROFILE | {"gender": gender, "birth_date": f"1990-{born.month:02}-05"}
        await api.store.request("PATCH", f"/v1/customers/{customer}", profile)
    for item in (women, birthday):
        assert (await offer(api, inside, "promotion", item))["available"]
        assert await offer(api, outside, "promotion", item) is None


async def test_a_gift_is_offered_to_whom_it_is_for_until_it_is_taken(api, people, make):
    ana, luis = people.several(2)
    gift = await make("gift", customer_ids=[ana])
    assert await offer(api, luis, "gift", gift) is None
    told = await offer(api, ana, "gift", gift)
    assert (told["available"], told["points"], told["missing"]) == (True, 0, 0)
    assert (await api.store.redeem(ana, gift_id=gift)).status == 201
    assert await offer(api, ana, "gift", gift) is None


async def test_what_costs_coins_tells_the_coins_that_are_missing(api, customer_id, make):
    promotion = await make("promotion", coins=500)
    told = await offer(api, customer_id, "promotion", promotion)
    assert (told["reason"], told["missing"]) == ("insufficient_coins", 500)
    await give(api, customer_id, 30)  # 300 coins
    told = await offer(api, customer_id, "promotion", promotion)
    assert (told["points"], told["coins"], told["missing"]) == (0, 500, 200)
    await give(api, customer_id, 30)
    told = await offer(api, customer_id, "promotion", promotion)
    assert (told["available"], told["missing"], told["reason"]) == (True, 0, None)
    without = await api.brand.request(
        "POST", "/v1/stores", {"name": "Sin coins", "city": "Cali", "accepts_coins": False}
    )
    reply = await api.brand.offers(customer_id, store_id=without.json["store_id"])
    told = next(one for one in reply.json["promotions"] if one["promotion_id"] == promotion)
    assert (told["available"], told["reason"]) == (False, "coins_not_accepted")


async def test_an_incomplete_profile_and_a_block_are_told_first(api, people):
    person = people.incomplete()["customer_id"]
    await give(api, person, 10)
    seen = await offers(api, person)
    assert {one["reason"] for one in seen["rewards"]} == {"profile_incomplete"}
    assert seen["rewards"][-1]["missing"] == seen["rewards"][-1]["points"] - 10
    await api.network.request("POST", f"/v1/customers/{person}/block", {"reason": "a test"})
    seen = await offers(api, person)
    assert {one["reason"] for one in seen["rewards"]} == {"customer_blocked"}
    assert not any(one["available"] for listed in seen.values() for one in listed)


async def test_a_key_without_a_store_names_one(api, demo, customer_id):
    own = await api.store.offers(customer_id)
    for client in (api.network, api.brand, api.app):
        missing = await client.offers(customer_id)
        assert (missing.status, missing.code) == (400, "store_required")
        named = await client.offers(customer_id, store_id=1)
        assert (named.status, named.json) == (200, own.json)
    assert (await api.cashier.offers(customer_id)).json == own.json
    foreign = next(one["store_id"] for one in demo["stores"] if one["brand_id"] == 2)
    for client in (api.brand, api.store, api.cashier):
        reply = await client.offers(customer_id, store_id=foreign)
        assert (reply.status, reply.code) == (404, "store_not_found")
    seen = (await api.app.offers(customer_id, store_id=foreign)).json
    of_brand_2 = {one["reward_id"] for one in demo["rewards"] if one["brand_id"] == 2}
    assert of_brand_2 <= {one["reward_id"] for one in seen["rewards"]}


@pytest.mark.parametrize("store_id", ["0", "-1", "x", "1.0", str(2**31), ""])
async def test_a_store_that_is_none_is_told(api, customer_id, store_id):
    reply = await api.app.offers(customer_id, store_id=store_id)
    assert (reply.status, reply.code) == (400, "invalid_request")


async def test_nobody_has_no_offers(api):
    reply = await api.store.offers("00000000-0000-4000-8000-000000000000")
    assert (reply.status, reply.code) == (404, "customer_not_found")
