"""Bulk uploads: each item succeeds or fails as a single call would, in order, and once (SYS-4)."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import cycle
from uuid import UUID, uuid4

import orjson
import pytest

from engine.api import bulk

SALE = {"amount": 5_400_000, "currency": "COP"}
pytestmark = pytest.mark.filterwarnings("ignore:Sending a large body directly:ResourceWarning")


@pytest.fixture(scope="module")
def engine_flags():
    return ("--bulk-uploads-max", "2", "--bulk-uploads-waiting-max", "3")


def ago(**span):
    return (datetime.now(UTC) - timedelta(**span)).isoformat()


def item(customer_id, key=None, **body):
    return {"customer_id": customer_id, "idempotency_key": key or str(uuid4())} | SALE | body


def outcomes(reply):
    assert reply.status == 200, reply
    assert reply.headers["Content-Type"] == "application/json"
    return [(one["status"], one.get("code")) for one in reply.json["results"]]


# What comes back.


async def test_an_item_is_answered_as_the_single_call_would_be(api, people):
    first, second = people.several(2)
    single = (await api.store.accumulate(second, "like this", **SALE)).json
    (result,) = (await api.store.upload([item(first, "one")])).json["results"]
    assert list(result)[:2] == ["idempotency_key", "status"]
    assert (result.pop("idempotency_key"), result.pop("status")) == ("one", 201)
    assert "replayed" not in result
    stored = await api.store.transaction(first, result["transaction_id"])
    assert stored.json == result
    for name in ("transaction_id", "customer_id", "recorded_at"):
        del result[name], single[name]
    assert result == single


async def test_a_thousand_items_good_and_bad_are_answered_in_order(api, people):
    customers = people.several(40)
    items, wanted = [], []
    for n in range(1000):
        one = item(customers[n % 40], f"thousand-{n}")
        if n % 10 == 3:
            one["amount"] = -1
            wanted.append((400, "invalid_request"))
        elif n % 10 == 5:
            one["currency"] = "USD"
            wanted.append((400, "currency_mismatch"))
        elif n % 10 == 7:
            one["customer_id"] = str(uuid4())
            wanted.append((404, "customer_not_found"))
        elif n % 10 == 8:
            one |= {"invoice_number": f"T-{n // 20}", "customer_id": customers[n // 20 % 40]}
            wanted.append((201, None) if n % 20 == 8 else (409, "invoice_already_claimed"))
        else:
            wanted.append((201, None))
        items.append(one)
    reply = await api.store.upload(items)
    assert outcomes(reply) == wanted
    assert [one["idempotency_key"] for one in reply.json["results"]] == [
        one["idempotency_key"] for one in items
    ]
    points = await asyncio.gather(*(api.store.points(one, 1) for one in customers))
    assert sum(points) == 54 * sum(status == 201 for status, _ in wanted)
    again = await api.store.upload(items)
    assert outcomes(again) == wanted
    for first, second in zip(reply.json["results"], again.json["results"], strict=True):
        known = first["status"] in (201, 409)
        assert second == (first | {"replayed": True} if known else first)
    assert sum(await asyncio.gather(*(api.store.points(one, 1) for one in customers))) == sum(
        points
    )


async def test_three_hundred_items_of_one_customer_keep_their_order(api, customer_id):
    reply = await api.store.upload([item(customer_id, amount=100_000) for _ in range(300)])
    assert set(outcomes(reply)) == {(201, None)}
    balances = [one["points"]["balance"] for one in reply.json["results"]]
    assert balances == list(range(1, 301))


async def test_titles_follow_the_language(api, customer_id):
    bad = [item(customer_id, currency="USD")]
    for language, title in (("en", "The currency is not the store's"), ("es", "La moneda no es")):
        reply = await api.store.upload(bad, headers={"Accept-Language": language})
        assert reply.json["results"][0]["title"].startswith(title)


# How it is sent.


async def test_an_array_is_taken_like_lines(api, customer_id):
    items = [{"type": "accumulation"} | item(customer_id, f"array-{n}") for n in range(3)]
    array = await api.store.request("POST", "/v1/transactions", items)
    assert outcomes(array) == [(201, None)] * 3
    for body in (
        b"\r\n\n ".join(map(orjson.dumps, items)) + b"\n\n",
        b"\xef\xbb\xbf" + b"\n".join(map(orjson.dumps, items)),
        b" \n" + orjson.dumps(items, option=orjson.OPT_INDENT_2) + b"\n",
    ):
        lines = await api.store.request("POST", "/v1/transactions", body)
        assert lines.json["results"] == [one | {"replayed": True} for one in array.json["results"]]


async def test_a_line_that_cannot_be_read_fails_by_itself(api, customer_id):
    good = orjson.dumps({"type": "accumulation"} | item(customer_id))
    unknown = {"type": "accumulation", "points": 3} | item(customer_id, "named")
    lines = [
        good,
        b'{"type":',
        b"[1]",
        b"null",
        orjson.dumps(unknown),
        b'{"idempotency_key":"typeless","customer_id":"x"}',
        b'{"type":["accumulation"],"idempotency_key":7}',
        b'{"type":"accumulation","idempotency_key":"\xff"}',
        b"[" * 5000,
        good,
    ]
    reply = await api.store.request("POST", "/v1/transactions", b"\n".join(lines))
    assert outcomes(reply) == [
        (201, None),
        (400, "malformed_json"),
        *[(400, "invalid_request")] * 5,
        (400, "malformed_json"),
        (400, "invalid_request"),
        (201, None),
    ]
    results = reply.json["results"]
    assert [one.get("index") for one in results] == [None, *range(1, 9), None]
    keys = [one["idempotency_key"] for one in results[1:9]]
    assert keys == [None, None, None, "named", "typeless", None, None, None]
    assert results[9]["replayed"]


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"", 400, "invalid_request"),
        (b" \n\r\n ", 400, "invalid_request"),
        (b"[]", 400, "invalid_request"),
        (b"[", 400, "malformed_json"),
        (b'[{"type":"accumulation"},', 400, "malformed_json"),
        (b"[1] 2", 400, "malformed_json"),
        (b"[" * 100_000, 400, "malformed_json"),
        (b"{}\n" * 1001, 413, "too_many_items"),
        (b"[" + b"{}," * 1000 + b"{}]", 413, "too_many_items"),
        (b"[" + b"0," * 2_000_000 + b"0]", 413, "too_many_items"),
        (b"[[" + b"0," * 2_000_000 + b"0]]", 413, "too_many_items"),
        (b"x" * (4 * 1024 * 1024 + 1), 413, "body_too_large"),
    ],
    ids=lambda value: value[:12] if isinstance(value, bytes) else None,
)
async def test_an_upload_that_is_none_is_refused_as_a_whole(api, body, status, code):
    reply = await api.store.request("POST", "/v1/transactions", body)
    assert (reply.status, reply.code) == (status, code)
    assert reply.headers["Content-Type"] == "application/problem+json"


async def test_a_body_of_nearly_four_mebibytes_is_taken(api, customer_id):
    items = [{"type": "accumulation"} | item(customer_id, "k" * 255) for _ in range(3)]
    body = b"\n".join(orjson.dumps(one) + b" " * 1_300_000 for one in items)
    assert 3_900_000 < len(body) <= 4 * 1024 * 1024
    reply = await api.store.request("POST", "/v1/transactions", body)
    assert outcomes(reply) == [(201, None)] * 3


async def test_an_item_is_no_larger_than_a_body(api, customer_id):
    sent = {"type": "accumulation"} | item(customer_id, "large")
    fits = orjson.dumps(sent | {"padding": ""})
    lines = [
        orjson.dumps(sent | {"padding": "x" * (16 * 1024 - len(fits) + more)}) for more in (0, 1)
    ]
    lines.append(orjson.dumps(sent | {"idempotency_key": "k" * 20_000}))
    lines.append(b'{"type":' + b"[" * 3_000_000 + b"}")
    lines.append(orjson.dumps(sent))
    for body in (b"\n".join(lines), b"[" + b",".join([*lines[:3], lines[4]]) + b"]"):
        reply = await api.store.request("POST", "/v1/transactions", body)
        told = outcomes(reply)
        large = (413, "body_too_large")
        assert told == [(400, "invalid_request"), *[large] * (len(told) - 2), (201, None)]
        keys = [one["idempotency_key"] for one in reply.json["results"]]
        assert keys == ["large", "large", *[None] * (len(told) - 3), "large"]


async def test_what_stands_in_a_label_is_not_built(monkeypatch):
    built = []
    monkeypatch.setattr(bulk.msgspec.json, "decode", lambda raw, **_: built.append(raw))
    deep = b'{"type":"%b","idempotency_key":[%b]}' % (b"x" * 5000, b"{}," * 1000 + b"{}")
    label = bulk._label_of(deep)
    assert (bulk._text_of(label.type), bulk._text_of(label.idempotency_key)) == (None, None)
    assert built == []


# What is taken.


@pytest.mark.parametrize(
    ("kind", "fields", "word"),
    [
        ("redemption", {"reward_id": 1}, "spent"),
        ("payment", {"coins": 1, "document_checked": True}, "spent"),
        ("donation", {"organisation_id": 1, "coins": 1}, "spent"),
        ("conversion", {"partner_id": 1, "partner_points": 1, "reference": "r"}, "bulk"),
        ("cashback", {"coins": 1, "order": "o"}, "bulk"),
        ("reversal", {"transaction_id": str(uuid4()), "reason": "r"}, "bulk"),
    ],
)
async def test_nothing_but_accumulations_is_taken(api, customer_id, kind, fields, word):
    await api.store.accumulate(customer_id, **SALE)
    before = (await api.store.wallets(customer_id)).json["wallets"]
    sent = {"type": kind, "idempotency_key": "k", "customer_id": customer_id, **fields}
    (result,) = (await api.store.upload([sent])).json["results"]
    assert (result["status"], result["code"]) == (400, "not_in_bulk")
    assert (result["idempotency_key"], word in result["detail"]) == ("k", True)
    assert (await api.store.wallets(customer_id)).json["wallets"] == before


async def test_a_customer_is_named_in_one_of_three_ways(api, people):
    one = people.complete()
    document = {**one["document"], "number": " " + one["document"]["number"]}
    reply = await api.store.upload(
        [
            {"idempotency_key": "by id", "customer_id": one["customer_id"].upper(), **SALE},
            {"idempotency_key": "by document", "document": document, **SALE},
            {"idempotency_key": "by phone", "phone": one["phone"], **SALE},
            {"idempotency_key": "both", "phone": one["phone"], "document": document, **SALE},
            {"idempotency_key": "none", **SALE},
            {"idempotency_key": "nobody", "phone": "+573009999999", **SALE},
            {"idempotency_key": "no phone", "phone": "12", **SALE},
            {"idempotency_key": "no document", "document": {"type": "CC", "number": "x"}, **SALE},
        ]
    )
    assert outcomes(reply) == [
        *[(201, None)] * 3,
        *[(400, "invalid_request")] * 2,
        (404, "customer_not_found"),
        *[(400, "invalid_request")] * 2,
    ]
    named = {result["customer_id"] for result in reply.json["results"][:3]}
    assert named == {one["customer_id"]}
    assert one["phone"] not in str(reply.json)


async def test_a_phone_is_read_as_one_of_the_stores_country(api, demo):
    stores = {store["currency"]: store["store_id"] for store in demo["stores"]}
    body = {"idempotency_key": "k", "phone": "3001234567"}
    reply = await api.network.upload(
        [
            {**body, "amount": 100, "currency": "COP", "store_id": stores["COP"]},
            {**body, "amount": 100, "currency": "GTQ", "store_id": stores["GTQ"]},
        ]
    )
    assert outcomes(reply) == [(404, "customer_not_found"), (400, "invalid_request")]


async def test_the_store_is_that_of_the_key_or_one_of_its_brand(api, demo, people):
    sibling = next(
        one["store_id"] for one in demo["stores"] if one["brand_id"] == 1 and one["store_id"] != 1
    )
    customer = people.complete()
    items = [
        item(customer["customer_id"]),
        item(customer["customer_id"], store_id=1),
        item(customer["customer_id"], store_id=sibling),
        item(customer["customer_id"], store_id=2),
        {"idempotency_key": "k", "phone": customer["phone"], "store_id": 2, **SALE},
    ]
    done, none, unnamed = (201, None), (404, "store_not_found"), (400, "store_required")
    assert outcomes(await api.store.upload(items)) == [done, done, none, none, none]
    assert outcomes(await api.cashier.upload(items[:1])) == [done]
    assert outcomes(await api.brand.upload(items)) == [unnamed, done, done, none, none]
    foreign = (404, "store_not_found")
    assert outcomes(await api.other_store.upload(items[1:3])) == [foreign, foreign]


async def test_a_sale_lies_at_most_seven_days_back(api, customer_id):
    reply = await api.store.upload(
        [
            item(customer_id, occurred_at=ago(days=6)),
            item(customer_id, occurred_at=ago(days=8)),
            item(customer_id, occurred_at=ago(minutes=-30)),
            item(customer_id, occurred_at="2026-01-31T10:00:00"),
        ]
    )
    out = (400, "occurred_at_out_of_range")
    assert outcomes(reply) == [(201, None), out, out, (400, "invalid_request")]


async def test_a_printed_invoice_tells_the_amount(api, people):
    first, second = people.several(2)
    for number in ("B-1", "B-2"):
        await api.store.print(1, number, amount=2_000_000, issued_at=ago(days=2))
    reply = await api.store.upload(
        [
            {"idempotency_key": "1", "customer_id": first, "invoice_number": "B-1"},
            {"idempotency_key": "2", "customer_id": second, "invoice_number": "B-1"},
            {"idempotency_key": "3", "customer_id": second, "invoice_number": "B-2"},
            {"idempotency_key": "4", "customer_id": second, "invoice_number": "B-3"},
            {"idempotency_key": "5", "customer_id": second},
        ]
    )
    assert outcomes(reply) == [
        (201, None),
        (409, "invoice_already_claimed"),
        (201, None),
        *[(400, "amount_required")] * 2,
    ]
    results = [one for one in reply.json["results"] if one["status"] == 201]
    assert [one["points"]["earned"] for one in results] == [20, 20]
    day = (datetime.now(UTC) - timedelta(days=2, hours=5)).date()
    assert results[0]["points"]["expires_on"] == (day + timedelta(days=365)).isoformat()


async def test_of_several_customers_the_first_one_gets_an_invoice(api, people):
    customers = sorted(people.several(40), key=lambda one: UUID(one).bytes[15] % 4)
    for round_, order in enumerate((customers, customers[::-1])):
        items = [
            item(one, invoice_number=f"{spelled}{round_}")
            for one, spelled in zip(order, cycle(("F-1", "f-1", " F -1 ")), strict=False)
        ]
        # Whoever comes later does so with all that follows.
        items += [item(order[-1], invoice_number=f"F-2{round_}")]
        items += [item(order[0], invoice_number=f"f-2{round_}")]
        taken = (409, "invoice_already_claimed")
        done = (201, None)
        assert outcomes(await api.store.upload(items)) == [done, *[taken] * 39, done, taken]


async def test_where_the_first_one_cannot_claim_an_invoice_the_next_one_does(api, people):
    blocked, second, third = people.several(3)
    await api.network.block(blocked, "a test", str(uuid4()))
    claims = [item(one, invoice_number="G-1", store_id=1) for one in (blocked, second, third)]
    assert outcomes(await api.store.upload(claims)) == [
        (409, "customer_blocked"),
        (201, None),
        (409, "invoice_already_claimed"),
    ]


async def test_a_retired_store_answers_retries_however_the_customer_is_named(api, people):
    one = people.complete()
    store = await api.brand.request("POST", "/v1/stores", {"name": "Feria", "city": "Cali"})
    place = {**SALE, "store_id": store.json["store_id"]}
    items = [
        {"idempotency_key": "by id", "customer_id": one["customer_id"], **place},
        {"idempotency_key": "by document", "document": one["document"], **place},
        {"idempotency_key": "by phone", "phone": one["phone"], **place},
    ]
    first = await api.brand.upload(items)
    assert outcomes(first) == [(201, None)] * 3
    await api.brand.request("DELETE", f"/v1/stores/{place['store_id']}")
    again = await api.brand.upload([*items, items[2] | {"idempotency_key": "new"}])
    assert outcomes(again) == [(201, None)] * 3 + [(404, "store_not_found")]
    wanted = [one | {"replayed": True} for one in first.json["results"]]
    assert again.json["results"][:3] == wanted


# Once.


@pytest.mark.parametrize("sent", ['"quoted"', " quoted ", '"quo\\ted"', "quoted"])
async def test_a_key_is_named_like_in_the_header(api, customer_id, sent):
    single = await api.store.accumulate(customer_id, sent, **SALE)
    (result,) = (await api.store.upload([item(customer_id, sent)])).json["results"]
    assert result == {"idempotency_key": sent, "status": 201, "replayed": True} | single.json


@pytest.mark.parametrize("sent", ["   ", '""', ' "" '])
async def test_a_key_that_names_nothing_is_refused(api, customer_id, sent):
    (result,) = (await api.store.upload([item(customer_id, sent)])).json["results"]
    assert (result["status"], result["code"]) == (400, "idempotency_key_invalid")
    assert result["idempotency_key"] == sent


async def test_an_item_and_a_single_call_with_one_key_are_one(api, customer_id):
    body = {**SALE, "invoice_number": "O-1", "occurred_at": ago(hours=3)}
    single = await api.store.accumulate(customer_id, "one", **body)
    (result,) = (await api.store.upload([item(customer_id, "one", **body)])).json["results"]
    assert result == {"idempotency_key": "one", "status": 201, "replayed": True} | single.json
    (first,) = (await api.store.upload([item(customer_id, "two", store_id=1)])).json["results"]
    again = await api.store.accumulate(customer_id, "two", **SALE)
    assert (again.replayed, again.json["transaction_id"]) == (True, first["transaction_id"])
    reused = await api.store.upload([item(customer_id, "two", amount=1)])
    assert outcomes(reused) == [(422, "idempotency_key_reused")]


async def test_one_key_twice_in_one_upload_is_done_once(api, people):
    one = people.complete()
    customer_id = one["customer_id"]
    by_phone = {"idempotency_key": "twice", "phone": one["phone"], **SALE}
    same = item(customer_id, "twice")
    reply = await api.store.upload([same, same, by_phone, item(customer_id, "twice", amount=1)])
    first, second, third, other = reply.json["results"]
    assert (first["status"], first.get("replayed")) == (201, None)
    assert second == third == first | {"replayed": True}
    assert (other["status"], other["code"]) == (422, "idempotency_key_reused")
    assert await api.store.points(customer_id, 1) == 54


async def test_an_upload_at_once_in_several_copies_is_done_once(api, people):
    customers = people.several(10)
    items = [item(one, f"copy-{n}") for n in range(30) for one in customers]
    replies = await asyncio.gather(*(api.store.upload(items) for _ in range(4)))
    answers = []
    for reply in replies:
        assert set(outcomes(reply)) == {(201, None)}
        answers.append([{**one, "replayed": None} for one in reply.json["results"]])
    assert all(answer == answers[0] for answer in answers)
    fresh = Counter("replayed" not in one for reply in replies for one in reply.json["results"])
    assert fresh[True] == len(items)
    assert await api.store.points(customers[0], 1) == 54 * 30


async def test_an_upload_that_has_grown_old_is_answered_from_the_books(api, customer_id):
    sold = datetime.now(UTC) - timedelta(days=7) + timedelta(milliseconds=900)
    items = [item(customer_id, f"late-{n}", occurred_at=sold.isoformat()) for n in range(3)]
    first = await api.store.upload(items[:2])
    assert outcomes(first) == [(201, None)] * 2
    await asyncio.sleep(1)
    again = await api.store.upload(items)
    assert outcomes(again) == [(201, None)] * 2 + [(400, "occurred_at_out_of_range")]
    wanted = [one | {"replayed": True} for one in first.json["results"]]
    assert again.json["results"][:2] == wanted


async def test_refusals_are_repeated_with_their_key(api, people):
    first, second = people.several(2)
    await api.store.accumulate(first, **SALE, invoice_number="R-1")
    claim = [item(second, "again", invoice_number="R-1")]
    refused = (await api.store.upload(claim)).json["results"][0]
    assert (refused["status"], refused["code"]) == (409, "invoice_already_claimed")
    assert "replayed" not in refused
    assert (await api.store.upload(claim)).json["results"] == [refused | {"replayed": True}]


# Too much.


async def test_too_many_uploads_at_once_are_refused_with_nothing_done(api, people):
    customers = people.several(12)
    items = [[item(one, f"crowd-{n}") for n in range(200)] for one in customers]
    replies = await asyncio.gather(*(api.store.upload(one) for one in items))
    counts = Counter(reply.status for reply in replies)
    assert set(counts) == {200, 503}
    assert counts[200] >= 5
    for customer_id, reply in zip(customers, replies, strict=True):
        points = await api.store.points(customer_id, 1)
        assert points == (54 * 200 if reply.status == 200 else 0)
        if reply.status == 503:
            assert reply.code == "overloaded"
            assert int(reply.headers["Retry-After"]) >= 1


async def test_bodies_that_arrive_slowly_take_no_place(api, engine, customer_id):
    host, _, port = engine.url.removeprefix("http://").partition(":")
    head = (
        "POST /v1/transactions HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n"
        f"Authorization: Bearer {api.store.key}\r\n\r\n{{"
    )
    slow = [await asyncio.open_connection(host, int(port)) for _ in range(8)]
    try:
        for _, writer in slow:
            writer.write(head.encode())
            await writer.drain()
        for _ in range(3):
            assert outcomes(await api.store.upload([item(customer_id)])) == [(201, None)]
    finally:
        for _, writer in slow:
            writer.close()


async def test_single_calls_go_on_beside_uploads(api, people):
    busy, *others = people.several(21)
    upload = asyncio.create_task(api.store.upload([item(busy, f"beside-{n}") for n in range(1000)]))
    replies = []
    while not upload.done():
        replies += await asyncio.gather(*(api.store.accumulate(one, **SALE) for one in others))
    assert {reply.status for reply in replies} == {201}
    assert set(outcomes(upload.result())) == {(201, None)}
