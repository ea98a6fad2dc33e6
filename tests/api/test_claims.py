"""What happens once, by whatever spelling, and what is given back (PTS-7, SYS-9, INV-4…8)."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from harness import assert_balanced

from engine.ledger.claims import PLACEHOLDERS, names_nothing

SALE = {"amount": 540_000, "currency": "COP"}
SPELLINGS = [
    "fv-911711",
    "FV911711",
    "FV/911711",
    "FV_911711",
    " fv 911711 ",
    "FV-911711.",
    "F.V-911711",
]


@pytest.fixture
async def two(people):
    """Return two customers whose profiles are complete."""
    return people.several(2)


def ago(**since):
    return (datetime.now(UTC) - timedelta(**since)).isoformat()


def fresh(prefix="N"):
    """Return an invoice number that no other test has."""
    return f"{prefix}-{uuid4().hex[:12]}"


async def with_coins(api, customer_id, coins=5000):
    """Give a customer coins, and return their id."""
    given = await api.app.cash_back(customer_id, coins=coins)
    assert given.status == 201
    return customer_id


async def paid_by_code(api, engine, customer_id, **body):
    """Pay with the code that is sent; return the payment."""
    held = await api.store.pay(customer_id, **body)
    assert held.status == 201, held
    words = [word.strip(".") for word in engine.outbox()[-1]["text"].split()]
    code = next(word for word in reversed(words) if word.isdigit() and len(word) >= 4)
    paid = await api.store.confirm(customer_id, held.json["payment_id"], code)
    assert paid.json["status"] == "succeeded"
    return paid.json


# One paper is one invoice.


@pytest.mark.parametrize("spelling", SPELLINGS)
async def test_an_invoice_earns_once_however_it_is_typed(api, two, spelling):
    number = fresh("FV")
    typed = spelling.replace("911711", number[3:])
    assert (await api.store.accumulate(two[0], **SALE, invoice_number=number)).status == 201
    again = await api.store.accumulate(two[1], **SALE, invoice_number=typed)
    assert (again.status, again.code) == (409, "invoice_already_claimed")


@pytest.mark.parametrize("change", [str.lower, lambda n: f"{n} ", lambda n: n.replace("-", "")])
async def test_a_printed_amount_stands_however_the_number_is_typed(api, customer_id, change):
    number = fresh("X")
    assert (await api.store.print(1, number, amount=100_000)).status == 201
    typed = change(number)
    other = await api.store.accumulate(
        customer_id, amount=540_000_000, currency="COP", invoice_number=typed
    )
    assert (other.status, other.code, other.json["amount"]) == (409, "invoice_differs", 100_000)
    sale = await api.store.accumulate(customer_id, invoice_number=typed)
    assert (sale.status, sale.json["points"]["earned"]) == (201, 1)
    read = await api.store.invoice(1, typed)
    assert (read.json["status"], read.json["invoice_number"]) == ("claimed", number)


async def test_a_printed_sale_is_judged_when_it_was_issued_however_it_is_typed(api, two):
    number, other = fresh(), fresh()
    for name in (number, other):
        assert (await api.store.print(1, name, issued_at=ago(days=6))).status == 201
    as_printed = await api.store.accumulate(two[0], invoice_number=number)
    as_typed = await api.store.accumulate(two[1], invoice_number=other.lower())
    expiries = [reply.json["points"]["expires_on"] for reply in (as_printed, as_typed)]
    assert expiries[0] == expiries[1]


async def test_a_number_is_printed_once_however_it_is_typed(api):
    number, issued_at = fresh("X"), ago(minutes=1)
    first = await api.store.print(1, number, issued_at=issued_at)
    same = await api.store.print(1, number.lower(), issued_at=issued_at)
    other = await api.store.print(1, f"{number}.", issued_at=issued_at, amount=200_000)
    assert [reply.status for reply in (first, same, other)] == [201, 200, 409]
    assert other.code == "invoice_differs"
    assert same.json["invoice_number"] == number


@pytest.mark.parametrize("number", ["-", " . ", "N/A", "n.a.", "S/N", "null"])
async def test_a_text_that_only_stands_for_a_number_is_no_invoice(api, two, number):
    for customer_id in two:
        sale = await api.store.accumulate(customer_id, **SALE, invoice_number=number)
        assert sale.status == 201
    items = [
        {"idempotency_key": str(uuid4()), "customer_id": one, "invoice_number": number} | SALE
        for one in two
    ]
    results = (await api.store.upload(items)).json["results"]
    assert [one["status"] for one in results] == [201, 201]


@pytest.mark.parametrize("text", ["-", "N/A", "n.a.", "S/N", "null", "none", "undefined"])
async def test_a_text_that_only_stands_for_a_reference_or_an_order_is_refused(api, two, text):
    for customer_id in two:
        for reply, name in (
            (await api.app.cash_back(customer_id, coins=1, order=text), "order"),
            (await api.app.convert(customer_id, partner_points=1, reference=text), "reference"),
            (await api.network.deposit(1, reference=text), "reference"),
        ):
            assert (reply.status, reply.code) == (400, "invalid_request")
            assert reply.json["detail"] == (
                f"`{name}` is text of 1 to 64 characters of printable ASCII, with letters or"
                " digits, and not N/A or the like."
            )
        printed = await api.store.print(1, text)
        assert (printed.status, printed.code) == (400, "invalid_request")
        assert (await api.store.invoice(1, text)).code == "invalid_request"


def test_what_has_a_digit_names_something():
    assert not [one for one in PLACEHOLDERS if any(48 <= byte <= 57 for byte in one)]
    assert names_nothing("s / n")
    assert not names_nothing("S/N 1")


async def test_a_number_as_long_as_an_electronic_invoice_has_is_taken(api, two):
    cufe = (uuid4().hex * 3)[:96]
    assert (await api.store.accumulate(two[0], **SALE, invoice_number=cufe)).status == 201
    again = await api.store.accumulate(two[1], **SALE, invoice_number=cufe.upper())
    assert again.code == "invoice_already_claimed"


# Numbers that restart.


async def store_with(api, scope):
    reply = await api.brand.request(
        "POST",
        "/v1/stores",
        {"name": "Norte", "city": "Cali", "accepts_coins": True, "invoice_scope": scope},
    )
    assert (reply.status, reply.json["invoice_scope"]) == (201, scope)
    return reply.json["store_id"]


async def test_where_numbers_restart_daily_the_day_belongs_to_the_number(api, two):
    store_id = await store_with(api, "day")
    sale = {"store_id": store_id, "invoice_number": "520795"} | SALE
    first = await api.brand.accumulate(two[0], **sale, occurred_at=ago(days=2))
    today = await api.brand.accumulate(two[1], **sale)
    assert (first.status, today.status) == (201, 201)
    again = await api.brand.accumulate(two[0], **sale)
    old = await api.brand.accumulate(two[1], **sale, occurred_at=ago(days=2))
    assert {again.code, old.code} == {"invoice_already_claimed"}


async def test_a_printed_number_that_restarted_is_the_sale_of_its_day(api, two):
    store_id = await store_with(api, "day")
    for days, amount in ((2, 1_000_000), (0, 2_500_000)):
        printed = await api.brand.print(store_id, "520795", amount=amount, issued_at=ago(days=days))
        assert printed.status == 201
    listed = await api.brand.invoices(store_id)
    assert [one["amount"] for one in listed.json["invoices"]] == [2_500_000, 1_000_000]
    sale = {"store_id": store_id, "invoice_number": "520795"}
    today = await api.brand.accumulate(two[0], **sale)
    before = await api.brand.accumulate(two[1], **sale, occurred_at=ago(days=2))
    assert [reply.json["points"]["earned"] for reply in (today, before)] == [25, 10]
    again = await api.brand.accumulate(two[0], **sale)
    assert (again.status, again.code) == (409, "invoice_already_claimed")


async def test_a_number_that_restarts_is_the_newest_unclaimed_sale_where_today_has_none(api, two):
    store_id = await store_with(api, "day")
    for days in (3, 1):
        issued = {"amount": days * 1_000_000, "issued_at": ago(days=days)}
        assert (await api.brand.print(store_id, "88", **issued)).status == 201
    sale = {"store_id": store_id, "invoice_number": "88"}
    earned = [await api.brand.accumulate(customer_id, **sale) for customer_id in two]
    assert [reply.json["points"]["earned"] for reply in earned] == [10, 30]
    voided = await api.brand.request("DELETE", f"/v1/stores/{store_id}/invoices/88")
    assert (voided.status, voided.code) == (404, "invoice_not_found")


async def test_where_each_till_has_its_numbers_the_till_belongs_to_the_number(api, two):
    store_id = await store_with(api, "till_day")
    sale = {"store_id": store_id, "invoice_number": "17"} | SALE
    tills = [await api.brand.accumulate(two[0], **sale, till=till) for till in ("Caja 1", "caja-2")]
    assert [reply.status for reply in tills] == [201, 201]
    again = await api.brand.accumulate(two[1], **sale, till="CAJA1")
    assert (again.status, again.code) == (409, "invoice_already_claimed")
    nameless = await api.brand.accumulate(two[1], **sale)
    assert (nameless.status, nameless.code) == (400, "invalid_request")
    assert "`till`" in nameless.json["detail"]


async def test_a_list_and_a_stream_are_of_one_till(api):
    numbers = {till: fresh() for till in ("Caja 1", "Caja 2")}
    async with api.store.follow(1, till="caja 2") as stream:
        for till, number in numbers.items():
            assert (await api.store.print(1, number, till=till)).json["till"] == till
        event = await stream.next()
    assert event.json["invoice_number"] == numbers["Caja 2"]
    listed = await api.store.invoices(1, till="CAJA-1")
    assert numbers["Caja 1"] in [one["invoice_number"] for one in listed.json["invoices"]]
    assert numbers["Caja 2"] not in [one["invoice_number"] for one in listed.json["invoices"]]


# Voids of printed sales.


async def test_a_voided_sale_earns_nothing_and_leaves_every_window(api, customer_id):
    number = fresh()
    async with api.store.follow(1) as stream:
        await api.store.print(1, number, **SALE)
        assert (await stream.next()).name == "invoice"
        path = f"/v1/stores/1/invoices/{number.lower()}"
        voided = await api.store.request("DELETE", path)
        assert (voided.status, voided.json["status"]) == (200, "voided")
        event = await stream.next()
        assert (event.name, event.json) == ("voided", voided.json)
    assert (await api.store.request("DELETE", path)).json == voided.json
    for body in ({}, SALE):
        sale = await api.store.accumulate(customer_id, **body, invoice_number=number)
        assert (sale.status, sale.code) == (409, "invoice_voided")
    await with_coins(api, customer_id)
    paid = await api.store.pay(customer_id, coins=10, invoice_number=number)
    assert (paid.status, paid.code) == (409, "invoice_voided")
    listed = [one["invoice_number"] for one in (await api.store.invoices(1)).json["invoices"]]
    assert number not in listed
    everything = await api.store.invoices(1, status="voided")
    assert number in [one["invoice_number"] for one in everything.json["invoices"]]


async def test_a_claimed_sale_is_not_voided(api, customer_id, database):
    number = fresh()
    await api.store.print(1, number, **SALE)
    await api.store.accumulate(customer_id, invoice_number=number)
    reply = await api.store.request("DELETE", f"/v1/stores/1/invoices/{number}")
    assert (reply.status, reply.code) == (409, "invoice_already_claimed")
    await assert_balanced(database)


async def test_of_a_void_and_a_claim_at_once_one_is_done(api, people, database):
    customers = people.several(20)
    for customer_id in customers:
        number = fresh()
        await api.store.print(1, number, **SALE)
        void, sale = await asyncio.gather(
            api.store.request("DELETE", f"/v1/stores/1/invoices/{number}"),
            api.store.accumulate(customer_id, invoice_number=number),
        )
        outcome = (void.status, sale.status, sale.code)
        assert outcome in {(200, 409, "invoice_voided"), (409, 201, None)}
    await assert_balanced(database)


# What a mistake gives back.


@pytest.mark.parametrize("printed", [False, True])
@pytest.mark.parametrize("cause", ["wrong_customer", "mistake"])
async def test_a_mistake_frees_the_invoice_for_the_right_customer(api, two, cause, printed):
    wrong, right = two
    number = fresh("WC")
    if printed:
        await api.store.print(1, number, **SALE)
    sale = await api.store.accumulate(wrong, **SALE, invoice_number=number)
    undone = await api.store.reverse(wrong, sale.json["transaction_id"], cause=cause)
    assert (undone.status, undone.json["cause"]) == (201, cause)
    if printed:
        assert (await api.store.invoice(1, number)).json["status"] == "unclaimed"
    earned = await api.store.accumulate(right, **SALE, invoice_number=number.lower())
    assert (earned.status, earned.json["points"]["earned"]) == (201, 5)
    for customer_id in two:
        once_more = await api.store.accumulate(customer_id, **SALE, invoice_number=number)
        assert once_more.code == "invoice_already_claimed"


@pytest.mark.parametrize("body", [{}, {"cause": "returned"}])
async def test_a_return_frees_nothing(api, two, body):
    number = fresh("R")
    sale = await api.store.accumulate(two[0], **SALE, invoice_number=number)
    undone = await api.store.reverse(two[0], sale.json["transaction_id"], **body)
    assert (undone.status, undone.json["cause"]) == (201, "returned")
    again = await api.store.accumulate(two[1], **SALE, invoice_number=number)
    assert (again.status, again.code) == (409, "invoice_already_claimed")


async def test_a_cause_that_there_is_not_is_refused(api, customer_id):
    sale = await api.store.accumulate(customer_id, **SALE)
    reply = await api.store.reverse(customer_id, sale.json["transaction_id"], cause="fraud")
    assert (reply.status, reply.code) == (400, "invalid_request")


async def test_one_right_customer_gets_what_a_mistake_freed(api, people, database):
    wrong, *others = people.several(11)
    number = fresh("WC")
    sale = await api.store.accumulate(wrong, **SALE, invoice_number=number)
    replies = await asyncio.gather(
        api.store.reverse(wrong, sale.json["transaction_id"], cause="wrong_customer"),
        *(api.store.accumulate(one, **SALE, invoice_number=number) for one in others),
    )
    assert replies[0].status == 201
    assert [reply.status for reply in replies[1:]].count(201) <= 1
    late = await api.store.accumulate(wrong, **SALE, invoice_number=number)
    earned = [reply.status for reply in (*replies[1:], late)]
    assert earned.count(201) == 1
    await assert_balanced(database)


async def test_a_partners_reference_converts_once_however_it_is_spelled(api, two):
    reference = fresh("R")
    first = await api.app.convert(two[0], partner_points=10, reference=reference)
    assert first.status == 201
    for spelled in (f"{reference} ", reference.lower(), reference.replace("-", "/")):
        again = await api.app.convert(two[1], partner_points=10, reference=spelled)
        assert (again.status, again.code) == (409, "reference_already_used")
    undone = await api.network.reverse(two[0], first.json["transaction_id"], cause="wrong_customer")
    assert undone.status == 201
    right = await api.app.convert(two[1], partner_points=10, reference=reference)
    assert right.status == 201


async def test_an_online_order_pays_once_however_it_is_spelled(api, two):
    order = fresh("O")
    first = await api.app.cash_back(two[0], coins=10, order=order)
    assert first.status == 201
    for customer_id, spelled in zip(two, (order, order.lower()), strict=True):
        again = await api.app.cash_back(customer_id, coins=10, order=spelled)
        assert (again.status, again.code) == (409, "reference_already_used")
    undone = await api.network.reverse(two[0], first.json["transaction_id"], cause="mistake")
    assert undone.status == 201
    assert (await api.app.cash_back(two[1], coins=10, order=order)).status == 201


@pytest.mark.parametrize("text", ["-", "··", " . "])
async def test_a_reference_that_names_nothing_is_refused(api, customer_id, text):
    converted = await api.app.convert(customer_id, partner_points=10, reference=text)
    given = await api.app.cash_back(customer_id, coins=10, order=text)
    assert [reply.status for reply in (converted, given)] == [400, 400]


# Coins that pay an invoice.


async def test_a_printed_amount_is_what_coins_pay(api, customer_id):
    await with_coins(api, customer_id)
    number = fresh("M")
    await api.store.print(1, number, amount=100_000)
    other = await api.store.pay(
        customer_id, coins=5000, amount=500_000, invoice_number=number.lower()
    )
    assert (other.status, other.code, other.json["amount"]) == (409, "invoice_differs", 100_000)
    more = await api.store.pay(customer_id, coins=1001, invoice_number=number)
    assert (more.status, more.code, more.json["left"]) == (409, "exceeds_invoice", 1000)


@pytest.mark.parametrize("printed", [False, True])
async def test_all_payments_of_an_invoice_never_exceed_it(api, two, engine, database, printed):
    for customer_id in two:
        await with_coins(api, customer_id)
    number = fresh("M")
    if printed:
        await api.store.print(1, number, amount=100_000)
    bill = {"invoice_number": number, "amount": 100_000}
    first = await paid_by_code(api, engine, two[0], coins=400, **bill)
    held = await api.store.pay(two[1], coins=500, **bill)
    assert held.json["status"] == "requires_code"
    key = str(uuid4())
    refused = await api.store.pay(two[1], key, coins=200, **bill)
    assert (refused.status, refused.code, refused.json["left"]) == (409, "exceeds_invoice", 100)
    again = await api.store.pay(two[1], key, coins=200, **bill)
    assert (again.code, again.json["left"], again.replayed) == ("exceeds_invoice", 100, True)
    assert (await api.store.void(two[1], held.json["payment_id"])).status == 200
    await paid_by_code(api, engine, two[1], coins=600, **bill)
    full = await api.store.pay(two[0], coins=1, **bill)
    assert (full.code, full.json["left"]) == ("exceeds_invoice", 0)
    undone = await api.store.reverse(two[0], first["payment_id"], cause="mistake")
    assert undone.status == 201
    assert (await api.store.pay(two[0], coins=400, **bill)).status == 201
    await assert_balanced(database)


async def test_of_many_payments_of_an_invoice_at_once_as_many_are_done_as_fit(
    api, people, database
):
    customers = people.several(12)
    await asyncio.gather(*(with_coins(api, one) for one in customers))
    number = fresh("M")
    replies = await asyncio.gather(
        *(api.store.pay(one, coins=300, amount=100_000, invoice_number=number) for one in customers)
    )
    codes = [reply.code for reply in replies]
    assert (codes.count(None), codes.count("exceeds_invoice")) == (3, 9)
    await assert_balanced(database)


async def test_an_invoice_whose_amount_nobody_says_has_no_end(api, customer_id):
    await with_coins(api, customer_id)
    number = fresh("M")
    for _ in range(2):
        held = await api.store.pay(customer_id, coins=1000, invoice_number=number)
        assert held.status == 201


async def test_another_invoice_is_no_hindrance_to_a_payment(api, customer_id):
    await with_coins(api, customer_id)
    for number in (fresh("M"), fresh("M"), "N/A", "N/A"):
        paid = await api.store.pay(customer_id, coins=1000, amount=100_000, invoice_number=number)
        assert paid.status == 201
