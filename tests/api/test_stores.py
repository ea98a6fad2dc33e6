"""Stores: who sees which, what they say of a point's value, and what retiring one does (PTS-2)."""

from __future__ import annotations

import pytest

SALE = {"amount": 5_400_000, "currency": "COP"}


async def create(client, **body):
    reply = await client.request("POST", "/v1/stores", {"name": "Sur", "city": "Cali"} | body)
    assert reply.status == 201
    return reply.json


async def stores(client, query=""):
    return (await client.request("GET", f"/v1/stores?limit=1000{query}")).json["stores"]


async def test_a_store_tells_what_a_cashier_needs_before_accumulating(api, demo):
    said, brand = demo["stores"][0], demo["brands"][0]
    store = (await api.store.request("GET", "/v1/stores/1")).json
    programme = store.pop("programme")
    assert store == {
        "store_id": 1,
        "brand_id": 1,
        "brand_name": brand["name"],
        "name": said["name"],
        "city": said["city"],
        "country": "CO",
        "currency": "COP",
        "accepts_coins": True,
        "invoice_scope": "forever",
        "coins_accepted": True,
        "retired": False,
    }
    assert programme == {
        "version": 1,
        "effective_from": "2020-01-01T00:00:00Z",
        **{name: brand[name] for name in ("points", "points_amount", "points_validity_days")},
        **{name: brand[name] for name in ("coins", "coins_amount", "issuer", "receiver")},
        "currency": "COP",
    }


async def test_each_sees_what_is_theirs(api, demo):
    numbers = {one["store_id"] for one in demo["stores"]}
    of_brand_1 = {one["store_id"] for one in demo["stores"] if one["brand_id"] == 1}
    for client in (api.network, api.app):
        assert numbers <= {store["store_id"] for store in await stores(client)}
        assert of_brand_1 <= {store["store_id"] for store in await stores(client, "&brand_id=1")}
        assert {store["brand_id"] for store in await stores(client, "&brand_id=2")} == {2}
    assert of_brand_1 <= {store["store_id"] for store in await stores(api.brand)}
    assert {store["brand_id"] for store in await stores(api.brand)} == {1}
    for query in ("", "&brand_id=1"):
        assert [store["store_id"] for store in await stores(api.store, query)] == [1]


async def test_another_brands_stores_are_told_like_none(api, demo):
    sibling = next(
        one["store_id"] for one in demo["stores"] if one["brand_id"] == 1 and one["store_id"] != 1
    )
    for client, store_id in ((api.brand, 2), (api.store, 2), (api.store, sibling)):
        reply = await client.request("GET", f"/v1/stores/{store_id}")
        assert (reply.status, reply.code) == (404, "store_not_found")
    for method, body in (("PATCH", {"name": "Mine"}), ("DELETE", None)):
        reply = await api.brand.request(method, "/v1/stores/2", body)
        assert (reply.status, reply.code) == (404, "store_not_found")
    for client in (api.brand, api.store):
        reply = await client.request("GET", "/v1/stores?brand_id=2")
        assert (reply.status, reply.code) == (404, "brand_not_found")
    reply = await api.brand.request(
        "POST", "/v1/stores", {"name": "Mine", "city": "Cali", "brand_id": 2}
    )
    assert (reply.status, reply.code) == (404, "brand_not_found")


async def test_a_brand_opens_a_store_and_it_works_at_once(api, customer_id):
    store = await create(api.brand, name="Plaza Mayor", accepts_coins=True)
    assert (store["brand_id"], store["coins_accepted"]) == (1, True)
    sale = await api.brand.accumulate(customer_id, **SALE, store_id=store["store_id"])
    assert (sale.status, sale.json["points"]["earned"]) == (201, 54)
    paid = await api.brand.pay(customer_id, coins=10, store_id=store["store_id"])
    assert paid.status == 201


async def test_the_network_says_whose_store_it_is(api):
    assert (await create(api.network, brand_id=19))["country"] == "SV"
    reply = await api.network.request("POST", "/v1/stores", {"name": "Sur", "city": "Cali"})
    assert (reply.status, reply.code) == (400, "invalid_request")
    reply = await api.network.request(
        "POST", "/v1/stores", {"name": "Sur", "city": "Cali", "brand_id": 999_999}
    )
    assert (reply.status, reply.code) == (404, "brand_not_found")


async def test_a_change_leaves_the_rest_as_it_is(api):
    store = await create(api.brand, name="Vieja", city="Cali", accepts_coins=True)
    path = f"/v1/stores/{store['store_id']}"
    for change in ({"name": "Nueva"}, {"city": "Buga"}, {"accepts_coins": False}, {}):
        store |= change | {"coins_accepted": change.get("accepts_coins", store["coins_accepted"])}
        reply = await api.brand.request("PATCH", path, change)
        assert (reply.status, reply.json) == (200, store)


@pytest.mark.parametrize(
    "body", [{"name": None}, {"name": "."}, {"brand_id": 2}, {"accepts_coins": 1}, {"city": "a\0b"}]
)
async def test_a_change_that_cannot_be_is_refused(api, body):
    reply = await api.network.request("PATCH", "/v1/stores/1", body)
    assert (reply.status, reply.code) == (400, "invalid_request")


async def test_coins_are_accepted_where_the_store_is_enabled_and_the_brand_a_receiver(api, people):
    customer_id = people.complete()["customer_id"]
    await api.store.accumulate(customer_id, **SALE)
    no_receiver = 7
    store = await create(api.network, brand_id=no_receiver, accepts_coins=True)
    assert (store["accepts_coins"], store["coins_accepted"]) == (True, False)
    disabled = await create(api.brand)
    assert (disabled["accepts_coins"], disabled["coins_accepted"]) == (False, False)
    for one in (store, disabled):
        reply = await api.network.pay(customer_id, coins=10, store_id=one["store_id"])
        assert (reply.status, reply.code) == (409, "coins_not_accepted")


async def test_a_retired_store_takes_nothing_new_and_answers_retries(api, people):
    customer_id = people.complete()["customer_id"]
    store_id = (await create(api.brand, accepts_coins=True))["store_id"]
    sold = await api.brand.accumulate(customer_id, "sold", **SALE, store_id=store_id)
    paid = await api.brand.pay(customer_id, "paid", coins=10, store_id=store_id)
    poor = await api.brand.pay(customer_id, "poor", coins=10**6, store_id=store_id)
    assert (sold.status, paid.status, poor.code) == (201, 201, "insufficient_coins")
    retired = await api.brand.request("DELETE", f"/v1/stores/{store_id}")
    assert (retired.status, retired.json["retired"]) == (200, True)
    for key in ("sold", "paid", "new"):
        for client in (api.brand, api.network):
            if key == "new" or client is api.network:  # whose keys are not the brand's
                await is_refused(client, customer_id, key, store_id)
    again = await api.brand.accumulate(customer_id, "sold", **SALE, store_id=store_id)
    assert (again.status, again.json, again.replayed) == (201, sold.json, True)
    again = await api.brand.pay(customer_id, "paid", coins=10, store_id=store_id)
    assert (again.status, again.json, again.replayed) == (201, paid.json, True)
    again = await api.brand.pay(customer_id, "poor", coins=10**6, store_id=store_id)
    assert (again.status, again.code, again.replayed) == (409, "insufficient_coins", True)
    other = await api.brand.accumulate(
        customer_id, "sold", amount=1, currency="COP", store_id=store_id
    )
    assert (other.status, other.code) == (404, "store_not_found")
    sibling = await api.store.accumulate(customer_id, "sold", **SALE, store_id=store_id)
    assert (sibling.status, sibling.code) == (404, "store_not_found")


async def is_refused(client, customer_id, key, store_id):
    sale = await client.accumulate(customer_id, key, **SALE, store_id=store_id)
    assert (sale.status, sale.code) == (404, "store_not_found")
    payment = await client.pay(customer_id, key, coins=10, store_id=store_id)
    assert (payment.status, payment.code) == (404, "store_not_found")


async def test_a_key_of_a_retired_store_is_nobodys(api, people):
    customer_id = people.complete()["customer_id"]
    store_id = (await create(api.brand))["store_id"]
    body = {"role": "store", "store_id": store_id, "name": "till"}
    till = api.with_key((await api.brand.request("POST", "/v1/keys", body)).json["key"])
    sold = await till.accumulate(customer_id, "sold", **SALE)
    assert (sold.status, (await till.customer(customer_id)).status) == (201, 200)
    await api.brand.request("DELETE", f"/v1/stores/{store_id}")
    for reply in (
        await till.customer(customer_id),
        await till.update(customer_id, first_names="X"),
        await till.accumulate(customer_id, "sold", **SALE),
        await till.request("GET", "/v1/stores"),
    ):
        assert (reply.status, reply.code) == (401, "unauthorized")
    again = await api.brand.accumulate(customer_id, "sold", **SALE, store_id=store_id)
    assert (again.status, again.json, again.replayed) == (201, sold.json, True)


async def test_the_keys_of_a_retired_brand_are_nobodys(api):
    brand = await api.network.request("POST", "/v1/brands", {"name": "Breve", "country": "CO"})
    brand_id = brand.json["brand_id"]
    store_id = (await create(api.network, brand_id=brand_id))["store_id"]
    clients = []
    for place in ({"role": "brand", "brand_id": brand_id}, {"role": "store", "store_id": store_id}):
        made = await api.network.request("POST", "/v1/keys", {"name": "x"} | place)
        clients.append(api.with_key(made.json["key"]))
    for status in (200, 401):
        for client in clients:
            assert (await client.request("GET", f"/v1/brands/{brand_id}")).status == status
        await api.network.request("DELETE", f"/v1/brands/{brand_id}")


@pytest.mark.parametrize("number", ["0", "x", "2147483647", "2147483648", "9" * 30, "%00"])
async def test_a_number_that_nothing_has_is_not_found(api, number):
    for path, code in (
        (f"/v1/stores/{number}", "store_not_found"),
        (f"/v1/stores/{number}/invoices", "store_not_found"),
        (f"/v1/stores/{number}/invoices/A-1", "store_not_found"),
        (f"/v1/brands/{number}", "brand_not_found"),
        (f"/v1/brands/{number}/programme", "brand_not_found"),
        (f"/v1/brands/{number}/cashiers", "brand_not_found"),
        (f"/v1/brands/1/rewards/{number}", "reward_not_found"),
        (f"/v1/brands/1/gifts/{number}", "gift_not_found"),
        (f"/v1/partners/{number}", "partner_not_found"),
    ):
        reply = await api.network.request("GET", path)
        assert (reply.status, reply.code) == (404, code), path


async def test_a_store_of_a_retired_brand_is_retired_with_it(api, people):
    customer_id = people.complete()["customer_id"]
    brand = await api.network.request("POST", "/v1/brands", {"name": "Fugaz", "country": "CO"})
    brand_id = brand.json["brand_id"]
    programme = {"points": 1, "points_amount": 100_000, "points_validity_days": 30}
    await api.network.request("POST", f"/v1/brands/{brand_id}/programme", programme)
    store_id = (await create(api.network, brand_id=brand_id))["store_id"]
    sold = await api.network.accumulate(customer_id, "sold", **SALE, store_id=store_id)
    assert sold.json["points"]["earned"] == 54
    await api.network.request("DELETE", f"/v1/brands/{brand_id}")
    await is_refused(api.network, customer_id, "new", store_id)
    again = await api.network.accumulate(customer_id, "sold", **SALE, store_id=store_id)
    assert (again.status, again.json, again.replayed) == (201, sold.json, True)
    assert store_id not in [store["store_id"] for store in await stores(api.app)]
    assert await api.network.points(customer_id, brand_id) == 54


async def test_a_retired_store_stays_readable_for_its_own(api):
    store = await create(api.brand)
    path = f"/v1/stores/{store['store_id']}"
    retired = await api.brand.request("DELETE", path)
    assert retired.json == store | {"retired": True}
    for client in (api.brand, api.network):
        assert (await client.request("GET", path)).json == retired.json
        assert (await client.request("DELETE", path)).json == retired.json
        assert retired.json in await stores(client, "&brand_id=1")
    reply = await api.app.request("GET", path)
    assert (reply.status, reply.code) == (404, "store_not_found")
    reply = await api.brand.request("PATCH", path, {"name": "Back"})
    assert (reply.status, reply.code) == (409, "retired")
