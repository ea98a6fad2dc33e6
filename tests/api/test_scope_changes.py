"""A sale keeps the name by which it was first printed, claimed or paid (INV-4)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import permutations
from uuid import uuid4

import pytest
from harness import assert_balanced, connection_to

SALE = {"amount": 1_000_000, "currency": "COP"}
SCOPES = ("forever", "day", "till_day")
CHANGES = list(permutations(SCOPES, 2))
CLAIMED = (409, "invoice_already_claimed")
BOGOTA = timedelta(hours=5)


@pytest.fixture
async def two(people):
    """Return two customers whose profiles are complete."""
    return people.several(2)


def ago(**since):
    return (datetime.now(UTC) - timedelta(**since)).isoformat()


def business_day(invoice):
    return (datetime.fromisoformat(invoice["issued_at"]) - BOGOTA).date().isoformat()


def outcome(reply):
    return reply.status, reply.code


async def store_with(api, scope):
    """Make a store of this scope; return its id."""
    body = {"name": "Norte", "city": "Cali", "accepts_coins": True, "invoice_scope": scope}
    reply = await api.brand.request("POST", "/v1/stores", body)
    assert reply.status == 201
    return reply.json["store_id"]


async def change(api, store_id, scope):
    """Give a store this scope from now on."""
    reply = await api.brand.request("PATCH", f"/v1/stores/{store_id}", {"invoice_scope": scope})
    assert (reply.status, reply.json["invoice_scope"]) == (200, scope)


async def move_changes(api, database, store_id, days):
    """Let the changes of a store have been some days earlier."""
    async with connection_to(database) as connection:
        await connection.execute(
            "update invoice_scope_change set until = until - make_interval(days => $2)"
            " where store_id = $1",
            store_id,
            days,
        )
    reply = await api.brand.request("PATCH", f"/v1/stores/{store_id}", {"city": f"Cali {days}"})
    assert reply.status == 200


def path_of(store_id, number, **query):
    path = f"/v1/stores/{store_id}/invoices/{number}"
    return path + "".join(f"{'&' if n else '?'}{k}={v}" for n, (k, v) in enumerate(query.items()))


# What was claimed before the change.


@pytest.mark.parametrize(("before", "after"), CHANGES)
async def test_a_sale_claimed_before_a_change_of_scope_earns_no_second_time(
    api, two, database, before, after
):
    store_id = await store_with(api, before)
    sale = {"store_id": store_id, "invoice_number": "FV-1", "till": "1"} | SALE
    assert (await api.brand.accumulate(two[0], **sale)).status == 201
    await change(api, store_id, after)
    for customer_id in two:
        again = await api.brand.accumulate(customer_id, **sale | {"invoice_number": "fv 1"})
        assert outcome(again) == CLAIMED
    item = {"idempotency_key": str(uuid4()), "customer_id": two[1]} | sale
    (result,) = (await api.brand.upload([item])).json["results"]
    assert (result["status"], result["code"]) == CLAIMED
    await assert_balanced(database)


@pytest.mark.parametrize(("before", "after"), CHANGES)
async def test_the_number_of_another_day_is_another_sale_after_a_change_of_scope(
    api, two, database, before, after
):
    store_id = await store_with(api, before)
    sale = {"store_id": store_id, "invoice_number": "FV-1", "till": "1"} | SALE
    yesterday = sale | {"occurred_at": ago(days=1)}
    assert (await api.brand.accumulate(two[0], **yesterday)).status == 201
    await change(api, store_id, after)
    assert (await api.brand.accumulate(two[1], **sale)).status == 201
    assert outcome(await api.brand.accumulate(two[0], **sale)) == CLAIMED
    assert outcome(await api.brand.accumulate(two[1], **yesterday)) == CLAIMED
    await assert_balanced(database)


async def test_a_change_of_scope_holds_at_once_for_every_other_sale(api, two):
    store_id = await store_with(api, "forever")
    sale = {"store_id": store_id, "invoice_number": "FV-1"} | SALE
    await change(api, store_id, "day")
    for days in (0, 1, 2):
        sold = sale | {"occurred_at": ago(days=days)}
        assert (await api.brand.accumulate(two[0], **sold)).status == 201
    await change(api, store_id, "forever")
    number = {"invoice_number": "FV-2"}
    assert (await api.brand.accumulate(two[0], **sale | number)).status == 201
    old = await api.brand.accumulate(two[0], **sale | number, occurred_at=ago(days=1))
    assert outcome(old) == CLAIMED


@pytest.mark.parametrize("after", ["forever", "day"])
async def test_a_sale_of_another_till_is_another_one_where_both_tills_are_known(api, two, after):
    store_id = await store_with(api, "till_day")
    sale = {"store_id": store_id, "invoice_number": "17"} | SALE
    assert (await api.brand.accumulate(two[0], **sale, till="Caja 1")).status == 201
    await change(api, store_id, after)
    assert outcome(await api.brand.accumulate(two[1], **sale)) == CLAIMED
    assert outcome(await api.brand.accumulate(two[1], **sale, till="CAJA-1")) == CLAIMED
    assert (await api.brand.accumulate(two[1], **sale, till="Caja 2")).status == 201


async def test_a_sale_that_keeps_a_name_without_a_till_needs_none(api, two):
    store_id = await store_with(api, "forever")
    sale = {"store_id": store_id, "invoice_number": "17"} | SALE
    assert (await api.brand.accumulate(two[0], **sale)).status == 201
    await api.brand.print(store_id, "18", **SALE)
    await api.brand.print(store_id, "19", **SALE, issued_at=ago(days=2))
    await change(api, store_id, "till_day")
    assert outcome(await api.brand.accumulate(two[1], **sale)) == CLAIMED
    for number in ("18", "19"):
        assert (await api.brand.invoice(store_id, number)).status == 200
        claimed = {"store_id": store_id, "invoice_number": number}
        assert (await api.brand.accumulate(two[1], **claimed)).status == 201
    other = await api.brand.accumulate(two[1], **sale | {"invoice_number": "20"})
    assert outcome(other) == (400, "invalid_request")
    assert "`till`" in other.json["detail"]


@pytest.mark.parametrize("after", ["forever", "day"])
async def test_a_sale_that_keeps_a_name_with_a_till_is_read_and_voided_by_its_till(api, after):
    store_id = await store_with(api, "till_day")
    for till in ("1", "2"):
        assert (await api.brand.print(store_id, "17", **SALE, till=till)).status == 201
    await change(api, store_id, after)
    for method in ("GET", "DELETE"):
        nameless = await api.brand.request(method, path_of(store_id, "17"))
        assert outcome(nameless) == (400, "invalid_request")
        assert "`till`" in nameless.json["detail"]
        found = await api.brand.request(method, path_of(store_id, "17", till="1"))
        assert (found.status, found.json["till"]) == (200, "1")
    (left,) = (await api.brand.invoices(store_id)).json["invoices"]
    assert left["till"] == "2"


async def test_a_sale_keeps_its_name_over_several_changes_of_scope(api, two, database):
    store_id = await store_with(api, "till_day")
    sale = {"store_id": store_id, "invoice_number": "17", "till": "1"} | SALE
    assert (await api.brand.accumulate(two[0], **sale)).status == 201
    for scope in ("day", "forever", "till_day", "forever"):
        await change(api, store_id, scope)
        assert outcome(await api.brand.accumulate(two[1], **sale)) == CLAIMED
    await assert_balanced(database)


async def test_an_invoice_that_a_mistake_freed_is_claimed_under_either_scope(api, two, database):
    store_id = await store_with(api, "forever")
    sale = {"store_id": store_id, "invoice_number": "17"} | SALE
    for scope in ("day", "forever"):
        earned = await api.brand.accumulate(two[0], **sale)
        assert earned.status == 201
        await change(api, store_id, scope)
        undone = await api.brand.reverse(two[0], earned.json["transaction_id"], cause="mistake")
        assert undone.status == 201
    assert (await api.brand.accumulate(two[1], **sale)).status == 201
    assert outcome(await api.brand.accumulate(two[0], **sale)) == CLAIMED
    await assert_balanced(database)


async def test_only_a_change_of_the_scope_itself_is_kept(api, database):
    store_id = await store_with(api, "forever")
    for body in ({"name": "Sur"}, {"invoice_scope": "forever"}, {"invoice_scope": "day"}):
        reply = await api.brand.request("PATCH", f"/v1/stores/{store_id}", body)
        assert reply.status == 200
    async with connection_to(database) as connection:
        kept = await connection.fetch(
            "select scope from invoice_scope_change where store_id = $1", store_id
        )
    assert [row["scope"] for row in kept] == ["forever"]


async def test_a_change_of_scope_is_looked_at_while_a_sale_before_it_can_be_claimed(
    api, two, database
):
    store_id = await store_with(api, "forever")
    sale = {"store_id": store_id, "invoice_number": "17"} | SALE
    for number, days in (("17", 0), ("18", 6)):
        sold = sale | {"invoice_number": number, "occurred_at": ago(days=days)}
        assert (await api.brand.accumulate(two[0], **sold)).status == 201
    await change(api, store_id, "day")
    old = sale | {"invoice_number": "18", "occurred_at": ago(days=6)}
    await move_changes(api, database, store_id, 6)
    assert outcome(await api.brand.accumulate(two[1], **old)) == CLAIMED
    # As if the engine ran on: now no such sale could be sent any more.
    await move_changes(api, database, store_id, 3)
    assert (await api.brand.accumulate(two[1], **sale)).status == 201


# What was printed before the change.


@pytest.mark.parametrize(("before", "after"), CHANGES)
async def test_what_was_printed_before_a_change_of_scope_is_read_claimed_and_voided_after_it(
    api, two, database, before, after
):
    store_id = await store_with(api, before)
    for number, days in (("1", 0), ("2", 1), ("3", 0), ("4", 1)):
        printed = {"amount": (days + 1) * 1_000_000, "till": "A", "issued_at": ago(days=days)}
        assert (await api.brand.print(store_id, number, **printed)).status == 201
    listed = (await api.brand.invoices(store_id, status="all")).json
    await change(api, store_id, after)
    assert (await api.brand.invoices(store_id, status="all")).json == listed
    for kept in listed["invoices"]:
        for query in ({"till": "A"}, {"till": "A", "day": business_day(kept)}):
            read = await api.brand.request(
                "GET", path_of(store_id, kept["invoice_number"], **query)
            )
            assert (read.status, read.json) == (200, kept)
    *claimed, voided = listed["invoices"]
    for kept in claimed:
        sale = {"store_id": store_id, "invoice_number": kept["invoice_number"], "till": "A"}
        when = {"occurred_at": kept["issued_at"]}
        earned = await api.brand.accumulate(two[0], **sale, **when)
        assert (earned.status, earned.json["points"]["earned"]) == (201, kept["amount"] // 100_000)
        assert outcome(await api.brand.accumulate(two[1], **sale, **when)) == CLAIMED
    reply = await api.brand.request("DELETE", path_of(store_id, voided["invoice_number"], till="A"))
    assert (reply.status, reply.json) == (200, voided | {"status": "voided"})
    sale = {"store_id": store_id, "invoice_number": voided["invoice_number"], "till": "A"} | SALE
    again = await api.brand.accumulate(two[0], **sale, occurred_at=voided["issued_at"])
    assert outcome(again) == (409, "invoice_voided")
    await assert_balanced(database)


@pytest.mark.parametrize(("before", "after"), CHANGES)
async def test_of_sales_printed_before_a_change_of_scope_todays_is_claimed_first(
    api, two, before, after
):
    store_id = await store_with(api, before)
    earlier = {"amount": 2_000_000, "till": "A", "issued_at": ago(days=2)}
    assert (await api.brand.print(store_id, "5", **earlier)).status == 201
    await change(api, store_id, after)
    assert (await api.brand.print(store_id, "5", **SALE, till="A")).status == 201
    sale = {"store_id": store_id, "invoice_number": "5", "till": "A"}
    first = await api.brand.accumulate(two[0], **sale)
    assert (first.status, first.json["points"]["earned"]) == (201, 10)
    assert outcome(await api.brand.accumulate(two[1], **sale)) == CLAIMED
    second = await api.brand.accumulate(two[1], **sale, occurred_at=earlier["issued_at"])
    assert (second.status, second.json["points"]["earned"]) == (201, 20)


@pytest.mark.parametrize(("before", "after"), CHANGES)
async def test_a_sale_printed_before_a_change_of_scope_is_claimed_without_its_day(
    api, two, before, after
):
    store_id = await store_with(api, before)
    printed = {"amount": 2_000_000, "till": "A", "issued_at": ago(days=2)}
    assert (await api.brand.print(store_id, "5", **printed)).status == 201
    await change(api, store_id, after)
    sale = {"store_id": store_id, "invoice_number": "5", "till": "A"}
    claimed = await api.brand.accumulate(two[0], **sale)
    assert (claimed.status, claimed.json["points"]["earned"]) == (201, 20)
    listed = await api.brand.invoices(store_id, status="claimed")
    (kept,) = listed.json["invoices"]
    assert kept["transaction_id"] == claimed.json["transaction_id"]


@pytest.mark.parametrize(("before", "after"), CHANGES)
async def test_a_sale_is_printed_once_whatever_the_scope_becomes(api, before, after):
    store_id = await store_with(api, before)
    printed = SALE | {"till": "A", "issued_at": ago()}
    first = await api.brand.print(store_id, "7-A", **printed)
    await change(api, store_id, after)
    again = await api.brand.print(store_id, "7a", **printed)
    assert (again.status, again.json) == (200, first.json)
    differs = await api.brand.print(store_id, "7A", **printed | {"amount": 1})
    assert outcome(differs) == (409, "invoice_differs")
    yesterday = await api.brand.print(store_id, "7A", **printed | {"issued_at": ago(days=1)})
    assert yesterday.status == 201
    assert len((await api.brand.invoices(store_id, status="all")).json["invoices"]) == 2


@pytest.mark.parametrize(("before", "after"), CHANGES)
async def test_a_sale_claimed_before_a_change_of_scope_is_printed_as_claimed_after_it(
    api, customer_id, before, after
):
    store_id = await store_with(api, before)
    sale = {"store_id": store_id, "invoice_number": "8", "till": "A"} | SALE
    claimed = await api.brand.accumulate(customer_id, **sale)
    await change(api, store_id, after)
    printed = await api.brand.print(store_id, "8", **SALE, till="A")
    assert (printed.status, printed.json["status"]) == (201, "claimed")
    assert printed.json["transaction_id"] == claimed.json["transaction_id"]


async def test_a_bulk_upload_claims_what_was_printed_before_a_change_of_scope(api, two, database):
    store_id = await store_with(api, "forever")
    for number in ("1", "2"):
        await api.brand.print(store_id, number, **SALE)
    await change(api, store_id, "day")
    items = [
        {"idempotency_key": str(uuid4()), "customer_id": customer_id, "store_id": store_id}
        | {"invoice_number": number}
        for number, customer_id in (("1", two[0]), ("2", two[1]), ("1", two[1]))
    ]
    results = (await api.brand.upload(items)).json["results"]
    assert [one["status"] for one in results] == [201, 201, 409]
    statuses = {one["status"] for one in (await api.brand.invoices(store_id)).json["invoices"]}
    assert statuses == set()
    await assert_balanced(database)


# What was paid before the change.


@pytest.mark.parametrize("printed", [False, True])
@pytest.mark.parametrize(("before", "after"), CHANGES)
async def test_coins_paid_before_a_change_of_scope_count_after_it(
    api, two, database, before, after, printed
):
    store_id = await store_with(api, before)
    for customer_id in two:
        assert (await api.app.cash_back(customer_id, coins=5000)).status == 201
    if printed:
        await api.brand.print(store_id, "9", amount=100_000, till="A")
    bill = {"store_id": store_id, "invoice_number": "9", "till": "A", "amount": 100_000}
    assert (await api.brand.pay(two[0], coins=400, **bill)).status == 201
    await change(api, store_id, after)
    more = await api.brand.pay(two[1], coins=601, **bill)
    assert (*outcome(more), more.json.get("left")) == (409, "exceeds_invoice", 600)
    assert (await api.brand.pay(two[1], coins=600, **bill)).status == 201
    await assert_balanced(database)


async def test_coins_paid_before_a_change_to_numbers_of_a_day_count_on_its_day_only(
    api, customer_id, database
):
    store_id = await store_with(api, "forever")
    assert (await api.app.cash_back(customer_id, coins=5000)).status == 201
    bill = {"store_id": store_id, "invoice_number": "9", "amount": 100_000}
    assert (await api.brand.pay(customer_id, coins=1000, **bill)).status == 201
    await change(api, store_id, "day")
    more = await api.brand.pay(customer_id, coins=1, **bill)
    assert outcome(more) == (409, "exceeds_invoice")
    await move_changes(api, database, store_id, 1)
    assert (await api.brand.pay(customer_id, coins=1000, **bill)).status == 201
    await assert_balanced(database)


async def test_a_sale_voided_before_a_change_of_scope_is_not_paid_after_it(api, customer_id):
    store_id = await store_with(api, "forever")
    assert (await api.app.cash_back(customer_id, coins=5000)).status == 201
    await api.brand.print(store_id, "9", amount=100_000)
    assert (await api.brand.request("DELETE", path_of(store_id, "9"))).status == 200
    await change(api, store_id, "day")
    paid = await api.brand.pay(customer_id, coins=1, store_id=store_id, invoice_number="9")
    assert outcome(paid) == (409, "invoice_voided")
