"""Points become a reward at once, or one clear reason why not (RED-1, RED-5, CUS-7)."""

from __future__ import annotations

import asyncio
from collections import Counter
from uuid import UUID, uuid4

import pytest
from harness import connection_to

from engine.postgres.sql import queries


@pytest.fixture(scope="module")
def reward(demo):
    """Return the cheapest reward of brand 1."""
    return min((one for one in demo["rewards"] if one["brand_id"] == 1), key=lambda r: r["points"])


@pytest.fixture(scope="module")
def dear(demo):
    """Return the dearest reward of brand 1."""
    return max((one for one in demo["rewards"] if one["brand_id"] == 1), key=lambda r: r["points"])


async def give(api, customer_id, points):
    reply = await api.store.accumulate(customer_id, amount=points * 100_000, currency="COP")
    assert reply.status == 201


@pytest.fixture
async def withdrawn(api, database, dear):
    """Give a reward that is no longer to be had, for as long as the test lasts."""

    async def set_available(connection, available):
        await connection.execute(
            "update item set available = $2 where item_id = $1", dear["reward_id"], available
        )
        await connection.execute(queries("catalogue")["touch"])

    async with connection_to(database) as connection:
        await set_available(connection, False)
        yield dear
        await set_available(connection, True)


async def test_a_reward_takes_its_points(api, customer_id, reward):
    await give(api, customer_id, reward["points"] + 7)
    reply = await api.store.redeem(customer_id, reward_id=reward["reward_id"])
    assert reply.status == 201
    answer = reply.json
    assert UUID(answer["transaction_id"])
    assert (answer["customer_id"], answer["store_id"], answer["brand_id"]) == (customer_id, 1, 1)
    assert answer["points"] == {"spent": reward["points"], "balance": 7}
    assert answer["item"] == {
        "kind": "reward",
        "reward_id": reward["reward_id"],
        "name": reward["name"],
        "points": reward["points"],
    }
    assert await api.store.points(customer_id, 1) == 7


async def test_a_retry_redeems_once(api, customer_id, reward):
    await give(api, customer_id, 2 * reward["points"])
    first = await api.store.redeem(customer_id, "once", reward_id=reward["reward_id"])
    again = await api.store.redeem(customer_id, "once", reward_id=reward["reward_id"])
    assert (again.status, again.json) == (201, first.json)
    assert (first.replayed, again.replayed) == (False, True)
    assert await api.store.points(customer_id, 1) == reward["points"]


async def test_points_that_are_not_there_are_told_with_what_is(api, customer_id, dear):
    await give(api, customer_id, 3)
    reply = await api.store.redeem(customer_id, "poor", reward_id=dear["reward_id"])
    assert (reply.status, reply.code) == (409, "insufficient_points")
    assert (reply.json["available"], reply.json["required"]) == (3, dear["points"])


async def test_a_refusal_stays_when_the_points_have_come(api, customer_id, reward):
    body = {"reward_id": reward["reward_id"]}
    refused = await api.store.redeem(customer_id, "early", **body)
    assert refused.code == "insufficient_points"
    await give(api, customer_id, reward["points"])
    again = await api.store.redeem(customer_id, "early", **body)
    assert (again.status, again.code) == (409, "insufficient_points")
    assert (again.json["available"], again.json["required"]) == (0, reward["points"])
    assert again.replayed
    assert (await api.store.redeem(customer_id, "new key", **body)).status == 201


async def test_an_incomplete_profile_is_told_what_is_missing(api, people, reward):
    person = people.incomplete()
    await give(api, person["customer_id"], reward["points"])
    reply = await api.store.redeem(person["customer_id"], reward_id=reward["reward_id"])
    assert (reply.status, reply.code) == (409, "profile_incomplete")
    customer = (await api.store.customer(person["customer_id"])).json
    assert reply.json["missing_fields"] == customer["missing_fields"] != []
    assert await api.store.points(person["customer_id"], 1) == reward["points"]


async def test_an_incomplete_profile_is_told_before_missing_points(api, people, dear):
    person = people.incomplete()
    reply = await api.store.redeem(person["customer_id"], reward_id=dear["reward_id"])
    assert reply.code == "profile_incomplete"


async def test_a_withdrawn_reward_is_not_available(api, customer_id, withdrawn):
    await give(api, customer_id, withdrawn["points"])
    async with asyncio.timeout(20):
        while True:
            reply = await api.store.redeem(customer_id, reward_id=withdrawn["reward_id"])
            if reply.status == 409:
                break
            assert reply.status == 201  # the engine has not seen the change yet
            await give(api, customer_id, withdrawn["points"])
            await asyncio.sleep(0.05)
    assert reply.code == "not_available"
    # Missing points are told first.
    balance = await api.store.points(customer_id, 1)
    assert balance == withdrawn["points"]
    poor = await api.store.redeem(
        (await api.store.register(
            document={"type": "CC", "number": "800000001"}, email="poor@example.com",
            phone="+573008000001", first_names="A", last_names="B", gender="X",
            birth_date="1990-01-01",
        )).json["customer_id"],
        reward_id=withdrawn["reward_id"],
    )  # fmt: skip
    assert poor.code == "insufficient_points"


async def test_another_brands_reward_does_not_exist(api, demo, customer_id):
    foreign = next(one for one in demo["rewards"] if one["brand_id"] == 2)
    reply = await api.store.redeem(customer_id, reward_id=foreign["reward_id"])
    assert (reply.status, reply.code) == (404, "reward_not_found")
    unknown = await api.store.redeem(customer_id, reward_id=999_999)
    assert (unknown.status, unknown.code) == (404, "reward_not_found")
    # The network sees both brands, but a reward is taken at a store of its own.
    reply = await api.network.redeem(customer_id, reward_id=foreign["reward_id"], store_id=1)
    assert (reply.status, reply.code) == (404, "reward_not_found")


async def test_an_unknown_customer_redeems_nothing(api, reward):
    reply = await api.store.redeem(str(uuid4()), reward_id=reward["reward_id"])
    assert (reply.status, reply.code) == (404, "customer_not_found")


async def test_points_of_another_brand_do_not_count(api, customer_id, reward):
    await api.other_store.accumulate(customer_id, amount=10**9, currency="COP")
    reply = await api.store.redeem(customer_id, reward_id=reward["reward_id"])
    assert (reply.code, reply.json["available"]) == ("insufficient_points", 0)


async def test_many_redemptions_at_once_never_spend_more_than_there_is(api, customer_id, reward):
    await give(api, customer_id, 5 * reward["points"])
    replies = await asyncio.gather(
        *(api.store.redeem(customer_id, reward_id=reward["reward_id"]) for _ in range(25))
    )
    assert Counter(reply.status for reply in replies) == {201: 5, 409: 20}
    assert {reply.code for reply in replies} == {None, "insufficient_points"}
    assert await api.store.points(customer_id, 1) == 0


async def test_the_earliest_expiry_is_spent_first(api, customer_id, reward):
    from datetime import UTC, datetime, timedelta

    old = (datetime.now(UTC) - timedelta(days=3)).isoformat()
    amount = 100_000 * reward["points"]
    await api.store.accumulate(customer_id, amount=amount, currency="COP")
    await api.store.accumulate(customer_id, amount=amount, currency="COP", occurred_at=old)
    before = (await api.store.wallets(customer_id)).json["wallets"][-1]["expiring"]
    await api.store.redeem(customer_id, reward_id=reward["reward_id"])
    after = (await api.store.wallets(customer_id)).json["wallets"][-1]["expiring"]
    assert len(before) == 2
    assert after == before[1:]
