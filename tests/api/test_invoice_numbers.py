"""Which sale a number means where numbers restart, and what is answered of the others (INV-4)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from test_scope_changes import CLAIMED, SALE, ago, business_day, outcome, path_of, store_with

TILL_NEEDED = "Send `till`: each till of this store numbers its own receipts."


async def printed_at(api, store_id, number, **body):
    reply = await api.brand.print(store_id, number, **SALE | body)
    assert reply.status == 201
    return reply.json


# The till.


async def test_where_tills_number_their_own_receipts_a_sale_is_named_with_its_till(
    api, customer_id
):
    store_id = await store_with(api, "till_day")
    kept = {till: await printed_at(api, store_id, "17", till=till) for till in ("1", "2")}
    for method in ("GET", "DELETE"):
        for query in ({}, {"day": business_day(kept["1"])}):
            reply = await api.brand.request(method, path_of(store_id, "17", **query))
            assert (reply.status, reply.json["detail"]) == (400, TILL_NEEDED)
    sale = {"store_id": store_id, "invoice_number": "17"}
    for body in ({}, SALE):
        reply = await api.brand.accumulate(customer_id, **sale, **body)
        assert (reply.status, reply.json["detail"]) == (400, TILL_NEEDED)
    voided = await api.brand.request("DELETE", path_of(store_id, "17", till="2"))
    assert (voided.status, voided.json["till"]) == (200, "2")
    read = await api.brand.request("GET", path_of(store_id, "17", till="1"))
    assert (read.status, read.json) == (200, kept["1"])


@pytest.mark.parametrize("till", [".", "--", " - "])
async def test_a_till_without_letters_and_digits_is_none(api, customer_id, till):
    store_id = await store_with(api, "forever")
    assert (await printed_at(api, store_id, "17", till=till))["till"] is None
    tills = await store_with(api, "till_day")
    refused = await api.brand.print(tills, "17", **SALE, till=till)
    assert (refused.status, refused.json["detail"]) == (400, TILL_NEEDED)
    sale = {"store_id": tills, "invoice_number": "17", "till": till} | SALE
    assert outcome(await api.brand.accumulate(customer_id, **sale)) == (400, "invalid_request")


# The day.


@pytest.mark.parametrize(("scope", "till"), [("day", {}), ("till_day", {"till": "A"})])
async def test_a_sale_of_an_earlier_day_is_read_by_its_day(api, customer_id, scope, till):
    store_id = await store_with(api, scope)
    kept = [await printed_at(api, store_id, "88", issued_at=ago(days=n), **till) for n in range(3)]
    sale = {"store_id": store_id, "invoice_number": "88", "occurred_at": kept[1]["issued_at"]}
    claimed = await api.brand.accumulate(customer_id, **sale, **till)
    assert claimed.status == 201
    voided = path_of(store_id, "88", day=business_day(kept[2]), **till)
    assert (await api.brand.request("DELETE", voided)).json["status"] == "voided"
    for one, status in zip(kept, ("unclaimed", "claimed", "voided"), strict=True):
        path = path_of(store_id, "88", day=business_day(one), **till)
        read = await api.brand.request("GET", path)
        assert (read.json["issued_at"], read.json["status"]) == (one["issued_at"], status)
    refused = path_of(store_id, "88", day=business_day(kept[1]), **till)
    assert outcome(await api.brand.request("DELETE", refused)) == CLAIMED
    assert (await api.brand.request("DELETE", voided)).json["status"] == "voided"


async def test_a_day_must_be_that_of_the_sale_where_a_number_names_it_for_ever(api):
    store_id = await store_with(api, "forever")
    kept = await printed_at(api, store_id, "88", issued_at=ago(days=1))
    before = (datetime.now(UTC) - timedelta(days=4)).date().isoformat()
    for method in ("GET", "DELETE"):
        wrong = await api.brand.request(method, path_of(store_id, "88", day=before))
        assert outcome(wrong) == (404, "invoice_not_found")
    read = await api.brand.request("GET", path_of(store_id, "88", day=business_day(kept)))
    assert (read.status, read.json) == (200, kept)


@pytest.mark.parametrize("day", ["yesterday", "2026-02-30", "2026-1-31", "0001-01-01", "17"])
async def test_a_day_that_is_none_is_refused(api, day):
    await api.store.print(1, "day")
    for method in ("GET", "DELETE"):
        reply = await api.store.request(method, path_of(1, "day", day=day))
        assert (reply.status, reply.code) == (400, "invalid_request")
        assert reply.json["detail"] == "`day` is a day since 1970, like 2026-01-31."


@pytest.mark.parametrize("issued_at", ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z"])
async def test_a_sale_of_no_business_day_is_refused_where_numbers_restart(
    api, customer_id, issued_at
):
    store_id = await store_with(api, "day")
    printed = await api.brand.print(store_id, "88", **SALE, issued_at=issued_at)
    assert outcome(printed) == (400, "occurred_at_out_of_range")
    for body in ({}, SALE):
        sale = {"store_id": store_id, "invoice_number": "88", "occurred_at": issued_at}
        claimed = await api.brand.accumulate(customer_id, **sale, **body)
        assert outcome(claimed) == (400, "occurred_at_out_of_range")


async def test_a_claim_of_a_number_that_restarts_and_was_not_printed_is_asked_for_its_day(
    api, customer_id
):
    details = {}
    for scope in ("forever", "day"):
        sale = {"store_id": await store_with(api, scope), "invoice_number": "88"}
        reply = await api.brand.accumulate(customer_id, **sale)
        assert outcome(reply) == (400, "amount_required")
        details[scope] = reply.json["detail"]
    assert "`occurred_at`" in details["day"]
    assert "`occurred_at`" not in details["forever"]


# What is claimed or voided.


async def test_a_claimed_sale_is_voided_once_its_transaction_is_reversed(api, customer_id):
    store_id = await store_with(api, "forever")
    await printed_at(api, store_id, "88")
    sale = {"store_id": store_id, "invoice_number": "88"}
    claimed = await api.brand.accumulate(customer_id, **sale)
    path = path_of(store_id, "88")
    refused = await api.brand.request("DELETE", path)
    assert outcome(refused) == CLAIMED
    assert "reverse its transaction with the cause `mistake`" in refused.json["detail"]
    spanish = await api.brand.request("DELETE", path, headers={"Accept-Language": "es"})
    assert "Primero reversa esa transacción" in spanish.json["detail"]
    undone = await api.brand.reverse(customer_id, claimed.json["transaction_id"], cause="mistake")
    assert undone.status == 201
    assert (await api.brand.request("DELETE", path)).json["status"] == "voided"


async def test_a_voided_number_is_not_printed_again_with_another_content(api):
    store_id = await store_with(api, "forever")
    kept = await printed_at(api, store_id, "88", issued_at=ago(minutes=1))
    await api.brand.request("DELETE", path_of(store_id, "88"))
    again = await api.brand.print(store_id, "88", **SALE, issued_at=kept["issued_at"])
    assert (again.status, again.json) == (200, kept | {"status": "voided"})
    other = await api.brand.print(store_id, "88", amount=1, issued_at=kept["issued_at"])
    assert outcome(other) == (409, "invoice_voided")
    assert "has voided this number" in other.json["detail"]
