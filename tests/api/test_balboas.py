"""In Panama the balboa is the dollar at par, in whatever call a currency stands."""

from __future__ import annotations

from uuid import uuid4

import pytest

SALE = 2_500


@pytest.fixture
def store_in(demo):
    """Return what gives a store of a country."""

    def find(country):
        return next(one for one in demo["stores"] if one["country"] == country)

    return find


@pytest.fixture
def panama(store_in):
    store = store_in("PA")
    assert store["currency"] == "USD"
    return store["store_id"]


@pytest.fixture
def customer_id(people):
    return people.complete()["customer_id"]


async def test_a_sale_in_balboas_earns_what_it_earns_in_dollars(api, panama, people):
    earned = []
    for currency in ("PAB", "USD"):
        reply = await api.network.accumulate(
            people.complete()["customer_id"], amount=SALE, currency=currency, store_id=panama
        )
        assert reply.status == 201, reply.json
        earned.append(reply.json["points"]["earned"])
    assert earned[0] == earned[1] > 0


@pytest.mark.parametrize("pair", [("PAB", "USD"), ("USD", "PAB")])
async def test_one_key_with_both_names_is_one_request(api, panama, customer_id, pair):
    key = str(uuid4())
    first, again = [
        await api.network.accumulate(
            customer_id, key, amount=SALE, currency=currency, store_id=panama
        )
        for currency in pair
    ]
    assert (first.status, again.status) == (201, 201)
    assert again.headers["Idempotent-Replayed"] == "true"
    assert again.json == first.json


@pytest.mark.parametrize("pair", [("PAB", "USD"), ("USD", "PAB")])
async def test_a_sale_printed_under_one_name_is_claimed_under_the_other(
    api, panama, customer_id, pair
):
    number = f"B-{uuid4().hex[:8]}"
    printed = await api.network.print(panama, number, amount=SALE, currency=pair[0])
    assert (printed.status, printed.json["currency"]) == (201, "USD")
    sent = {"amount": SALE, "currency": pair[1], "issued_at": printed.json["issued_at"]}
    again = await api.network.print(panama, number, **sent)
    assert (again.status, again.json) == (200, printed.json)
    claimed = await api.network.accumulate(
        customer_id, invoice_number=number, amount=SALE, currency=pair[1], store_id=panama
    )
    assert claimed.status == 201, claimed.json


async def test_bulk_takes_both_names(api, panama, customer_id):
    key = str(uuid4())
    items = [
        {
            "idempotency_key": key,
            "customer_id": customer_id,
            "amount": SALE,
            "currency": currency,
            "store_id": panama,
        }
        for currency in ("PAB", "USD")
    ]
    results = []
    for item in items:
        results += (await api.network.upload([item])).json["results"]
    assert [one["status"] for one in results] == [201, 201]
    assert results[1]["replayed"] is True


@pytest.mark.parametrize("country", ["CO", "SV", "GT"])
async def test_no_other_country_has_balboas(api, store_in, customer_id, country):
    store_id = store_in(country)["store_id"]
    sale = await api.network.accumulate(customer_id, amount=SALE, currency="PAB", store_id=store_id)
    printed = await api.network.print(store_id, "PAB-1", amount=SALE, currency="PAB")
    for reply in (sale, printed):
        assert (reply.status, reply.code) == (400, "currency_mismatch")


@pytest.mark.parametrize("currency", ["COP", "GTQ"])
async def test_panama_takes_no_third_currency(api, panama, customer_id, currency):
    sale = await api.network.accumulate(
        customer_id, amount=SALE, currency=currency, store_id=panama
    )
    assert (sale.status, sale.code) == (400, "currency_mismatch")
