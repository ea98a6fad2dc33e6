"""Invoices that a point of sale prints are kept once, and claimed once (INV-1…3, PTS-7)."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import UTC, datetime, timedelta
from urllib.parse import quote

import pytest
from harness import numbered, raw_request

from engine.http.dispatcher import Route, Router

SALE = {"amount": 5_400_000, "currency": "COP"}


def ago(**span: float) -> str:
    return (datetime.now(UTC) - timedelta(**span)).isoformat().replace("+00:00", "Z")


# Printing.


async def test_a_printed_sale_is_kept_and_told_as_it_was_sent(api):
    issued_at = ago(minutes=3)
    reply = await api.store.print(1, "P-1", **SALE, issued_at=issued_at)
    assert reply.status == 201
    received_at = reply.json.pop("received_at")
    assert received_at.endswith("Z")
    assert datetime.fromisoformat(received_at) <= datetime.now(UTC)
    assert reply.json == SALE | {
        "store_id": 1,
        "invoice_number": "P-1",
        "issued_at": issued_at,
        "till": None,
        "status": "unclaimed",
        "customer_id": None,
        "transaction_id": None,
    }
    for client in (api.store, api.brand, api.network, api.cashier):
        again = await client.print(1, "P-1", **SALE, issued_at=issued_at)
        assert (again.status, again.json) == (200, reply.json | {"received_at": received_at})
        assert (await client.invoice(1, "P-1")).json == again.json


@pytest.mark.parametrize(
    "other", [{"amount": 5_400_001}, {"issued_at": "2026-01-31T10:00:00Z"}], ids=str
)
async def test_other_content_under_a_number_is_refused_and_the_first_stands(api, other):
    body = {**SALE, "issued_at": ago(minutes=1)}
    first = await api.store.print(1, f"P-2 {other}", **body)
    differs = await api.store.print(1, f"P-2 {other}", **body | other)
    assert (differs.status, differs.code) == (409, "invoice_differs")
    assert {name: differs.json[name] for name in body} == body
    again = await api.store.print(1, f"P-2 {other}", **body)
    assert (again.status, again.json) == (200, first.json)


async def test_the_same_moment_in_another_offset_is_the_same_content(api):
    moment = datetime.now(UTC) - timedelta(minutes=1)
    here = moment.astimezone(None).isoformat()
    first = await api.store.print(1, "P-3", issued_at=moment.isoformat())
    bogota = (moment - timedelta(hours=5)).replace(tzinfo=None).isoformat() + "-05:00"
    for issued_at in (here, bogota):
        assert (await api.store.print(1, "P-3", issued_at=issued_at)).json == first.json


async def test_a_moment_is_answered_with_its_microseconds_even_if_they_are_0(api):
    moment = datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=1)
    reply = await api.store.print(1, "P-3 whole", issued_at=moment.isoformat())
    assert reply.json["issued_at"] == f"{moment:%Y-%m-%dT%H:%M:%S}.000000Z"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"issued_at": ago(days=7, minutes=1)}, "occurred_at_out_of_range"),
        ({"issued_at": ago(minutes=-30)}, "occurred_at_out_of_range"),
        ({"issued_at": "0001-01-01T00:00:00+14:00"}, "occurred_at_out_of_range"),
        ({"issued_at": "2026-01-31T10:00:00"}, "invalid_request"),
        ({"issued_at": None}, "invalid_request"),
        ({"currency": "USD"}, "currency_mismatch"),
        ({"amount": 0}, "invalid_request"),
        ({"amount": 1.5}, "invalid_request"),
        ({"customer_id": "x"}, "invalid_request"),
    ],
    # Of what is sent the name alone, for moments are others in each process that collects.
    ids=lambda each: each if isinstance(each, str) else " ".join(each),
)
async def test_a_sale_that_cannot_be_is_not_kept(api, body, code):
    number = f"P-4 {code} {len(str(body))}"
    reply = await api.store.print(1, number, **body)
    assert (reply.status, reply.code) == (400, code)
    assert (await api.store.invoice(1, number)).code == "invoice_not_found"


async def test_a_repeated_sale_that_has_grown_old_is_still_the_same(api):
    sold = datetime.now(UTC) - timedelta(days=7) + timedelta(milliseconds=700)
    first = await api.store.print(1, "P-5", issued_at=sold.isoformat())
    assert first.status == 201
    for n in range(200):
        fresh = await api.store.print(1, f"P-5 {n}", issued_at=sold.isoformat())
        if fresh.status == 400:
            break
        await asyncio.sleep(0.05)
    assert fresh.code == "occurred_at_out_of_range"
    again = await api.store.print(1, "P-5", issued_at=sold.isoformat())
    assert (again.status, again.json) == (200, first.json)
    differs = await api.store.print(1, "P-5", issued_at=sold.isoformat(), amount=1)
    assert (differs.status, differs.code) == (409, "invoice_differs")


async def test_many_sales_at_once_are_all_kept_and_each_is_new_once(api):
    numbers = [f"S-{n % 150}" for n in range(450)]
    issued_at = ago(seconds=1)
    replies = await asyncio.gather(
        *(api.store.print(1, number, **SALE, issued_at=issued_at) for number in numbers)
    )
    assert Counter(reply.status for reply in replies) == {201: 150, 200: 300}
    for number, reply in zip(numbers, replies, strict=True):
        assert reply.json["invoice_number"] == number


async def test_two_contents_of_one_number_at_once_keep_one(api):
    issued_at = ago(seconds=1)
    replies = await asyncio.gather(
        *(api.store.print(1, "S-x", amount=1 + n % 2, issued_at=issued_at) for n in range(20))
    )
    counts = Counter(reply.status for reply in replies)
    assert counts == {201: 1, 200: 9, 409: 10}
    kept = (await api.store.invoice(1, "S-x")).json["amount"]
    assert {r.json["amount"] for r in replies} == {kept}


# Numbers in paths.

NUMBERS = [
    "A/1",
    "%2F",
    "a b",
    "#?&=+;7",
    "STREAM",
    "..8",
    "~9",
    '"10"',
    "x" * 128,
    "/11",
    "%12",
    "/v1/stores",
]


@pytest.mark.parametrize("number", NUMBERS)
async def test_a_number_may_have_any_printable_characters(api, engine, number):
    path = f"/v1/stores/1/invoices/{quote(number, safe='').replace('.', '%2E')}"
    body = b'{"amount":100,"currency":"COP","issued_at":"%b"}' % ago(seconds=1).encode()
    head = (
        f"PUT {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {api.store.key}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    reply = await raw_request(engine.url, head.encode() + body)
    assert (reply.status, reply.json["invoice_number"]) == (201, number)
    assert (await api.store.invoice(1, number)).json == reply.json


@pytest.mark.parametrize(
    "path",
    ["%C3%B1", "%FF", "%00", "%0A", "x" * 129, "%7F", "%20", "%20%20", "-", "%2F.", "n%2Fa", "NA"],
)
async def test_a_number_of_other_characters_is_nobodys(api, path):
    place = f"/v1/stores/1/invoices/{path}"
    issued = {"amount": 1, "currency": "COP", "issued_at": ago(seconds=1)}
    for method, body in (("PUT", issued), ("GET", None), ("DELETE", None)):
        reply = await api.store.request(method, place, body)
        assert (reply.status, reply.code) == (400, "invalid_request")
        assert reply.json["detail"].startswith("An invoice number has 1 to 128")


@pytest.mark.parametrize("path", ["stream", "%73tream"])
async def test_a_number_whose_address_is_that_of_the_stream_is_not_taken(api, path):
    issued = {"amount": 1, "currency": "COP", "issued_at": ago(seconds=1)}
    reply = await api.store.request("PUT", f"/v1/stores/1/invoices/{path}", issued)
    assert (reply.status, reply.code) == (400, "invalid_request")
    assert "`STREAM`" in reply.json["detail"]


async def test_a_slash_that_is_not_encoded_makes_another_path(api):
    reply = await api.store.request("PUT", "/v1/stores/1/invoices/A/2", {})
    assert (reply.status, reply.code) == (404, "not_found")


def test_of_two_shapes_of_a_path_the_more_fixed_one_takes_its_methods():
    def answers(services, call):
        raise AssertionError

    stream, put, get, fixed = (
        Route(method, path, frozenset(), answers)
        for method, path in (
            ("GET", "/s/{store}/i/stream"),
            ("PUT", "/s/{store}/i/{number}"),
            ("GET", "/s/{store}/i/{number}"),
            ("POST", "/s/all/i/stream"),
        )
    )
    for routes in ([stream, put, get, fixed], [fixed, get, put, stream]):
        router = Router(routes)
        assert router.find("GET", "/s/1/i/stream") == (stream, {"store": "1"})
        assert router.find("PUT", "/s/1/i/stream") == (put, {"store": "1", "number": "stream"})
        assert router.find("GET", "/s/all/i/stream") == (stream, {"store": "all"})
        assert router.find("POST", "/s/all/i/stream") == (fixed, {})
        assert router.find("POST", "/s/1/i/stream") == (None, {})
        assert router.find("GET", "/s/1%2F2/i/a%2Fb") == (get, {"store": "1/2", "number": "a/b"})
        assert router.find("POST", "/s%2Fall%2Fi%2Fstream") == (None, {})
        assert router.methods("/s/all/i/stream") == ["GET", "POST", "PUT"]
        assert router.methods("/s/1/i/stream") == ["GET", "PUT"]
        assert router.methods("/s/1/i") == []


# Whose they are.


async def test_a_store_sees_its_own_invoices_only(api, demo):
    sibling = next(
        one["store_id"] for one in demo["stores"] if one["brand_id"] == 1 and one["store_id"] != 1
    )
    await api.brand.print(sibling, "W-1")
    for client, store_id in ((api.store, sibling), (api.other_store, 1), (api.brand, 2)):
        for reply in (
            await client.print(store_id, "W-1"),
            await client.invoice(store_id, "W-1"),
            await client.invoices(store_id),
        ):
            assert (reply.status, reply.code) == (404, "store_not_found")
    assert (await api.store.invoice(1, "W-1")).code == "invoice_not_found"
    assert (await api.brand.invoice(sibling, "W-1")).status == 200
    for garbage in ("x", "0", "-1", "99999999999999999999", "%31"):
        reply = await api.brand.request("GET", f"/v1/stores/{garbage}/invoices")
        assert reply.status == (200 if garbage == "%31" else 404)


# Transacciones históricas.


@pytest.fixture
async def shelf(api, demo):
    """Return a store that no other test prints at, and a client of it."""
    taken = {1, 2}
    for store in demo["stores"]:
        if store["store_id"] in taken or store["currency"] != "COP":
            continue
        listed = await api.network.invoices(store["store_id"], status="all")
        if listed.json["invoices"] == []:
            return store["store_id"]
    raise AssertionError("no store is left")


async def test_historic_transactions_are_paged_newest_first(api, shelf):
    for n in (3, 1, 4, 0, 2, 5):
        await api.network.print(shelf, f"H-{n}", issued_at=ago(hours=n // 2, minutes=1))
    seen, cursor = [], None
    for _ in range(4):
        query = {"limit": "2"} | ({} if cursor is None else {"cursor": cursor})
        page = (await api.network.invoices(shelf, **query)).json
        seen += [invoice["invoice_number"] for invoice in page["invoices"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert sorted(seen) == [f"H-{n}" for n in range(6)]
    assert [int(number[2:]) // 2 for number in seen] == [0, 0, 1, 1, 2, 2]
    assert {invoice["status"] for invoice in page["invoices"]} == {"unclaimed"}


async def test_the_list_tells_claimed_from_unclaimed(api, people, shelf):
    customer_id = people.complete()["customer_id"]
    for n in range(4):
        await api.network.print(shelf, f"L-{n}", issued_at=ago(minutes=n))
    claimed = await api.network.accumulate(customer_id, store_id=shelf, invoice_number="L-2")
    assert claimed.status == 201

    async def numbers(**query):
        found = (await api.network.invoices(shelf, **query)).json["invoices"]
        return [invoice["invoice_number"] for invoice in found]

    assert await numbers() == ["L-0", "L-1", "L-3"]
    assert await numbers(status="unclaimed") == ["L-0", "L-1", "L-3"]
    assert await numbers(status="claimed") == ["L-2"]
    assert await numbers(status="all") == ["L-0", "L-1", "L-2", "L-3"]
    assert await numbers(since=ago(seconds=90)) == ["L-0", "L-1"]
    for invoice in (
        (await api.network.invoices(shelf, status="claimed")).json["invoices"][0],
        (await api.network.invoice(shelf, "L-2")).json,
    ):
        assert invoice["status"] == "claimed"
        assert invoice["transaction_id"] == claimed.json["transaction_id"]
        assert invoice["customer_id"] == customer_id


async def test_a_number_that_was_claimed_before_it_was_printed_is_told_as_claimed(api, customer_id):
    sale = await api.store.accumulate(customer_id, **SALE, invoice_number="L-typed")
    reply = await api.store.print(1, "L-typed")
    assert (reply.status, reply.json["status"]) == (201, "claimed")
    assert reply.json["transaction_id"] == sale.json["transaction_id"]


@pytest.mark.parametrize(
    "query",
    [
        {"status": "open"},
        {"limit": "0"},
        {"limit": "1001"},
        {"since": "yesterday"},
        {"since": "2026-01-31T10:00:00"},
        {"since": "0001-01-01T00:00:00+14:00"},
        {"cursor": "x"},
        {"cursor": "ñ"},
        {"cursor": "MS4AeA"},  # 1.\0x
        {"cursor": "OTk5OTk5OTk5OTk5OTk5OTk5OTkuQQ"},  # further than any day
    ],
    ids=str,
)
async def test_a_query_that_makes_no_sense_is_refused(api, query):
    reply = await api.store.invoices(1, **query)
    assert (reply.status, reply.code) == (400, "invalid_request")


async def test_the_whole_of_time_may_be_asked_for(api):
    since = "0001-01-01T00:00:00+00:00"
    for spelled in (since, quote(since, safe=""), since.replace("+00:00", "Z")):
        path = f"/v1/stores/1/invoices?status=all&since={spelled}"
        assert (await api.store.request("GET", path)).status == 200


# Claiming.


async def test_a_printed_sale_is_claimed_by_its_number_alone(api, customer_id):
    await api.store.print(1, "C-1", amount=5_400_000)
    reply = await api.store.accumulate(customer_id, invoice_number="C-1")
    assert reply.status == 201
    assert (reply.json["points"]["earned"], reply.json["coins"]["earned"]) == (54, 540)
    postings = (await api.store.transactions(customer_id)).json["transactions"]
    assert (5_400_000, "C-1") in [(one["bill_amount"], one["invoice_number"]) for one in postings]


async def test_a_printed_sale_is_judged_at_the_moment_it_was_issued(api, customer_id):
    issued = datetime.now(UTC) - timedelta(days=3)
    await api.store.print(1, "C-2", issued_at=issued.isoformat())
    reply = await api.store.accumulate(customer_id, invoice_number="C-2", currency="COP")
    day = (issued - timedelta(hours=5)).date()
    assert reply.json["points"]["expires_on"] == (day + timedelta(days=365)).isoformat()
    posting = (await api.store.transactions(customer_id)).json["transactions"][0]
    assert datetime.fromisoformat(posting["occurred_at"]) == issued
    await api.store.print(1, "C-3", issued_at=issued.isoformat())
    yesterday = datetime.now(UTC) - timedelta(days=1)
    said = await api.store.accumulate(
        customer_id, invoice_number="C-3", occurred_at=yesterday.isoformat()
    )
    day = (yesterday - timedelta(hours=5)).date()
    assert said.json["points"]["expires_on"] == (day + timedelta(days=365)).isoformat()


async def test_nobody_types_another_amount_than_was_printed(api, customer_id):
    issued = datetime.now(UTC) - timedelta(days=2)
    await api.store.print(1, "C-77", amount=100_000, issued_at=issued.isoformat())
    sale = {"invoice_number": "C-77", "currency": "COP"}
    reply = await api.store.accumulate(customer_id, **sale, amount=90_000_000)
    assert (reply.status, reply.code, reply.json["amount"]) == (409, "invoice_differs", 100_000)
    bulk = {"type": "accumulation", "idempotency_key": "c-9", "customer_id": customer_id}
    (result,) = (await api.store.upload([bulk | sale | {"amount": 90_000_000}])).json["results"]
    assert (result["status"], result["code"]) == (409, "invoice_differs")
    reply = await api.store.accumulate(customer_id, **sale, amount=100_000)
    assert (reply.status, reply.json["points"]["earned"]) == (201, 1)
    posting = (await api.store.transactions(customer_id)).json["transactions"][0]
    assert datetime.fromisoformat(posting["occurred_at"]) == issued


async def test_a_second_claim_is_refused_whoever_makes_it(api, people):
    first, second = people.several(2)
    await api.store.print(1, "C-4")
    claimed = await api.store.accumulate(first, "mine", invoice_number="C-4")
    for customer_id in (first, second):
        for body in ({}, SALE):
            reply = await api.store.accumulate(customer_id, invoice_number="C-4", **body)
            assert (reply.status, reply.code) == (409, "invoice_already_claimed")
    again = await api.store.accumulate(first, "mine", invoice_number="C-4")
    assert (again.status, again.json, again.replayed) == (201, claimed.json, True)
    # What was sent counts: the same sale spelled out is another request.
    reused = await api.store.accumulate(first, "mine", invoice_number="C-4", **SALE)
    assert (reused.status, reused.code) == (422, "idempotency_key_reused")


async def test_an_invoice_of_another_store_is_not_known_here(api, customer_id):
    await api.store.print(1, "C-5")
    reply = await api.other_store.accumulate(customer_id, invoice_number="C-5")
    assert (reply.status, reply.code) == (400, "amount_required")
    assert (await api.store.accumulate(customer_id, invoice_number="C-5")).status == 201


async def test_a_printed_sale_of_more_than_seven_days_is_claimed_no_more(api, customer_id):
    sold = datetime.now(UTC) - timedelta(days=7) + timedelta(milliseconds=700)
    for number in ("C-6", "C-7"):
        await api.store.print(1, number, issued_at=sold.isoformat())
    first = await api.store.accumulate(customer_id, "in time", invoice_number="C-6")
    assert first.status == 201
    await asyncio.sleep(0.8)
    late = await api.store.accumulate(customer_id, invoice_number="C-7")
    assert (late.status, late.code) == (400, "occurred_at_out_of_range")
    listed = (await api.store.invoices(1, limit=1000)).json["invoices"]
    assert "C-7" not in {invoice["invoice_number"] for invoice in listed}
    again = await api.store.accumulate(customer_id, "in time", invoice_number="C-6")
    assert (again.status, again.json) == (201, first.json)


async def test_a_new_customer_is_registered_into_the_accumulation(api):
    await api.store.print(1, "C-8")
    registered = await api.cashier.register(
        document={"type": "CC", "number": "71234598"}, email="nueva.persona@example.com"
    )
    reply = await api.cashier.accumulate(registered.json["customer_id"], invoice_number="C-8")
    assert (reply.status, reply.json["points"]["earned"]) == (201, 54)


async def test_one_printed_sale_claimed_for_many_customers_at_once_earns_once(api, people):
    customers = people.several(20)
    await api.store.print(1, "C-9")
    keys = numbered("claim")
    replies = await asyncio.gather(
        *(api.store.accumulate(one, next(keys), invoice_number="C-9") for one in customers)
    )
    assert Counter(reply.status for reply in replies) == {201: 1, 409: 19}
    balances = await asyncio.gather(*(api.store.points(one, 1) for one in customers))
    assert sum(balances) == 54
