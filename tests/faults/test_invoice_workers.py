"""Invoices at two engines on one database: kept once, told by both, and earned once (PTS-7)."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import UTC, datetime
from itertools import count
from uuid import uuid4

import pytest
from harness import People, clients_of, connection_to
from traffic import faults_of

SALE = {"amount": 5_400_000, "currency": "COP"}

numbers = count(1)


@pytest.fixture(scope="module")
def people(engines):
    return People(engines[0].demo)


def now():
    return datetime.now(UTC).isoformat()


async def single(client, customer_id, number):
    """Claim by a single call; return (status, code)."""
    reply = await client.store.accumulate(customer_id, invoice_number=number)
    return reply.status, reply.code


async def bulk(client, customer_id, number):
    """Claim by an upload that has other items too; return (status, code) of the claim."""
    claim = {"customer_id": customer_id, "invoice_number": number}
    items = [claim, *({"customer_id": customer_id, **SALE} for _ in range(3))]
    reply = await client.store.upload([{"idempotency_key": str(uuid4())} | one for one in items])
    assert reply.status == 200
    assert {one["status"] for one in reply.json["results"][1:]} == {201}
    first = reply.json["results"][0]
    return first["status"], first.get("code")


@pytest.mark.parametrize(
    ("here", "there"), [(single, single), (single, bulk), (bulk, bulk)], ids=["ss", "sb", "bb"]
)
async def test_a_printed_sale_claimed_on_both_at_once_earns_once(two, people, here, there):
    one, other, connection = two
    claims = []
    for _ in range(12):
        number = f"both-{next(numbers)}"
        assert (await one.store.print(1, number)).status == 201
        claims.append((number, *people.several(2)))
    outcomes = await asyncio.gather(
        *(
            asyncio.gather(here(one, first, number), there(other, second, number))
            for number, first, second in claims
        )
    )
    for pair in outcomes:
        assert Counter(pair) == {(201, None): 1, (409, "invoice_already_claimed"): 1}
    for number, *_ in claims:
        row = await connection.fetchrow(
            "select count(*) as postings, count(distinct transaction_id) as sales from journal"
            " where store_id = 1 and invoice_number = $1 and refusal = 0 and leg = 0",
            number,
        )
        assert tuple(row) == (1, 1)
        assert (await other.store.invoice(1, number)).json["status"] == "claimed"
    assert await faults_of(connection, []) == []


async def test_one_sale_printed_at_both_at_once_is_new_once(two):
    one, other, _ = two
    issued_at = now()
    pairs = await asyncio.gather(
        *(
            asyncio.gather(
                one.store.print(1, f"once-{n}", issued_at=issued_at),
                other.store.print(1, f"once-{n}", issued_at=issued_at),
            )
            for n in range(150)
        )
    )
    for pair in pairs:
        assert sorted(reply.status for reply in pair) == [200, 201]
        assert pair[0].json == pair[1].json


async def test_two_contents_of_one_number_at_both_at_once_keep_one(two):
    one, other, _ = two
    issued_at = now()
    pairs = await asyncio.gather(
        *(
            asyncio.gather(
                one.store.print(1, f"torn-{n}", issued_at=issued_at, amount=1),
                other.store.print(1, f"torn-{n}", issued_at=issued_at, amount=2),
            )
            for n in range(50)
        )
    )
    for n, pair in enumerate(pairs):
        assert sorted(reply.status for reply in pair) == [201, 409]
        kept = (await one.store.invoice(1, f"torn-{n}")).json["amount"]
        assert kept == next(r.json["amount"] for r in pair if r.status == 201)


async def test_a_stream_at_one_tells_what_was_printed_at_the_other(two):
    one, other, _ = two
    async with one.store.follow(1) as stream:
        for n in range(5):
            await other.store.print(1, f"there-{n}")
            event = await stream.next()
            assert event.json["invoice_number"] == f"there-{n}"


async def test_both_tell_all_of_what_is_printed_at_both_once_and_in_one_order(two):
    one, other, _ = two
    async with one.store.follow(1) as here, other.store.follow(1) as there:
        printing = asyncio.gather(
            *((one, other)[n % 2].store.print(1, f"mixed-{n}") for n in range(200))
        )
        told, told_there = await asyncio.gather(here.several(200), there.several(200))
        await printing
    assert told == told_there
    ids = [int(event.id) for event in told]
    assert ids == sorted(set(ids))
    assert {event.json["invoice_number"] for event in told} == {f"mixed-{n}" for n in range(200)}


async def test_who_reconnects_elsewhere_while_sales_are_printed_sees_each_once(two):
    """A follower who changes engines after every few events has neither gap nor repetition."""
    one, other, _ = two
    seen = []
    async with one.store.follow(1) as stream:
        last = stream.last_event_id
        await one.store.print(1, "hop")
        last = (await stream.next()).id

    async def printing():
        for n in range(120):
            await asyncio.gather(one.store.print(1, f"hop-a{n}"), other.store.print(1, f"hop-b{n}"))

    task = asyncio.create_task(printing())
    turn = 0
    while len(seen) < 240:
        async with (one, other)[turn % 2].store.follow(1, last_event_id=last) as stream:
            for event in await stream.several(min(7, 240 - len(seen))):
                seen.append(event)
            last = seen[-1].id
        turn += 1
    await task
    names = [event.json["invoice_number"] for event in seen]
    assert len(set(names)) == len(names) == 240
    assert turn > 30


async def test_more_printed_sales_than_may_wait_are_refused_and_taken_when_sent_again(
    loaded_network, dsn, make_engine
):
    engine = make_engine(loaded_network, dsn, "--invoices-waiting-max", "3")
    await asyncio.to_thread(engine.start)
    issued_at = now()
    async with clients_of(engine) as clients:
        replies = await asyncio.gather(
            *(clients.store.print(1, f"many-{n}", issued_at=issued_at) for n in range(80))
        )
        statuses = Counter(reply.status for reply in replies)
        assert set(statuses) == {201, 503}
        assert {reply.code for reply in replies if reply.status == 503} == {"overloaded"}
        kept = (await clients.store.invoices(1, limit=1000)).json["invoices"]
        assert len(kept) == statuses[201]
        for n, reply in enumerate(replies):
            again = await clients.store.print(1, f"many-{n}", issued_at=issued_at)
            assert again.status == (200 if reply.status == 201 else 201)


async def test_a_printed_sale_of_unknown_outcome_is_told_so_and_may_be_sent_again(
    loaded_network, dsn, make_engine
):
    """The statement waits for longer than the server lets it."""
    engine = make_engine(loaded_network, dsn)
    await asyncio.to_thread(engine.start)
    issued_at = now()
    async with clients_of(engine) as clients, connection_to(dsn) as connection:
        async with connection.transaction():
            await connection.execute("lock table invoice in exclusive mode")
            reply = await clients.store.print(1, "lost", issued_at=issued_at)
            assert (reply.status, reply.code) == (504, "outcome_unknown")
        again = await clients.store.print(1, "lost", issued_at=issued_at)
        assert again.status in (200, 201)
        assert (await clients.store.print(1, "lost", issued_at=issued_at)).status == 200


async def test_the_same_upload_at_both_at_once_is_done_once(two, people):
    one, other, connection = two
    items = [
        {"idempotency_key": f"upload-{n}", "customer_id": customer_id, **SALE}
        for n in range(20)
        for customer_id in people.several(1)
    ] * 2
    replies = await asyncio.gather(one.store.upload(items), other.store.upload(items))
    stripped = [
        [{**result, "replayed": None} for result in reply.json["results"]] for reply in replies
    ]
    assert stripped[0] == stripped[1]
    fresh = [r for reply in replies for r in reply.json["results"] if "replayed" not in r]
    assert len(fresh) == 20
    assert {result["status"] for result in fresh} == {201}
    assert await faults_of(connection, []) == []
