"""What is due is written down although nobody uses the wallet (PTS-5, COI-4)."""

from __future__ import annotations

import asyncio
import re
import sys
import time
from asyncio.subprocess import PIPE
from uuid import UUID

import pytest
from harness import People, clients_of, connection_to, settings_for, until
from uuid_utils import uuid7

from engine.app import committer_of, sweeper_of
from engine.codes import COINS, Kind
from engine.ledger.core import Operation
from engine.ledger.operations import accumulation
from engine.metrics import Metrics
from engine.network import sweeper
from engine.programme.calendar import UTC_OFFSETS, local_day

KINDS = (
    "select asset, kind, amount from journal where customer_id = $1 and kind in (6, 8)"
    " order by asset, seq"
)
LATE = ("--sweep-round-s", "0")
BRAND = 1


async def give_what_is_over(dsn, customers, tmp_path):
    """Give each customer 7 points and 5 coins whose last day was yesterday, and 3 points more."""
    today = local_day(time.time(), UTC_OFFSETS["CO"])
    async with committer_of(settings_for(tmp_path), dsn, Metrics()) as committer:
        for number, customer in enumerate(customers):
            for points, coins, day in ((7, 5, today - 1), (3, 0, today)):
                operation = accumulation(
                    customer_id=UUID(customer).bytes,
                    transaction_id=(points * 100_000 + number).to_bytes(16, "big"),
                    fingerprint=0,
                    brand_id=BRAND,
                    store_id=1,
                    points=points,
                    expires_day=day,
                    coins=coins,
                    coins_expires_day=day,
                    utc_offset=UTC_OFFSETS["CO"] - 2 * 86_400,
                    occurred_at=time.time_ns() // 1000,
                    bill_amount=-1,
                    invoice_number=None,
                    invoice_scope=None,
                )
                await committer.submit(operation)


async def swept(connection, customers, wanted):
    """Return once each customer has had what is wanted written down."""

    async def done():
        rows = [await connection.fetch(KINDS, customer) for customer in customers]
        return all([tuple(row) for row in found] == wanted for found in rows)

    await until(done)


async def counted(engine, metric):
    """Return a metric of an engine."""
    async with clients_of(engine) as clients:
        told = (await clients.anonymous.request("GET", "/metrics")).json.decode()
    return float(re.search(rf"^{metric} (.+)$", told, re.MULTILINE)[1])


async def run(*command, dsn):
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "engine", *command, "--database-url", dsn), stdout=PIPE, stderr=PIPE
    )
    out, err = await process.communicate()
    return process.returncode, out.decode(), err.decode()


BREAKAGE = [(COINS, Kind.EXPIRY, -5), (BRAND, Kind.EXPIRY, -7)]


async def test_two_engines_sweep_what_is_over_once_and_leave_the_rest(
    loaded_network, dsn, make_engine, tmp_path
):
    engines = [
        make_engine(loaded_network, dsn, *LATE, "--sweep-wallets-max", "7", "--sweep-tick-ms", "20")
        for _ in range(2)
    ]
    for engine in engines:
        await asyncio.to_thread(engine.start)
    customers = People(engines[0].demo).several(30)
    await give_what_is_over(dsn, customers, tmp_path)
    async with connection_to(dsn) as connection:
        await swept(connection, customers, BREAKAGE)
        async with clients_of(engines[0]) as clients:
            assert await clients.store.points(customers[0], BRAND) == 3
        breakage = [await counted(engine, "leal_breakage_postings_total") for engine in engines]
        assert sum(breakage) == len(BREAKAGE) * len(customers)
        due = [await counted(engine, "leal_swept_due_total") for engine in engines]
        assert sum(due) == len(BREAKAGE) * len(customers)
        assert max([await counted(one, "leal_last_sweep_timestamp_seconds") for one in engines]) > 0
        # One worker is gone, whichever of them swept: the other one goes on.
        engines[0].kill()
        more = People(engines[1].demo).several(60)[30:]
        await give_what_is_over(dsn, more, tmp_path)
        await swept(connection, more, BREAKAGE)
        engines[1].kill()
    assert (await run("audit", dsn=dsn))[0] == 0


async def test_a_sweep_by_hand_goes_on_where_one_was_left_off(
    loaded_network, dsn, make_engine, tmp_path
):
    demo = make_engine(loaded_network, dsn).demo
    customers = sorted(People(demo).several(40), key=lambda text: UUID(text).bytes)
    await give_what_is_over(dsn, customers, tmp_path)
    async with connection_to(dsn) as connection:
        await connection.execute(
            "update sweep set began_at = now(), customer_id = $1, asset = $2", customers[19], BRAND
        )
        code, out, _ = await run("sweep", "--sweep-wallets-max", "9", dsn=dsn)
        assert (code, out) == (0, "40 wallets looked at\n")
        assert await connection.fetch(KINDS, customers[19]) == []
        await swept(connection, customers[20:], BREAKAGE)
        code, out, _ = await run("sweep", dsn=dsn)
        assert (code, out) == (0, "80 wallets looked at\n")
        await swept(connection, customers, BREAKAGE)
        # Nothing is due any more.
        rows = await connection.fetchval("select count(*) from journal")
        await run("sweep", dsn=dsn)
        assert await connection.fetchval("select count(*) from journal") == rows
    assert (await run("audit", dsn=dsn))[0] == 0


async def test_a_wallet_that_contradicts_itself_does_not_keep_others_from_being_swept(
    loaded_network, dsn, make_engine, tmp_path
):
    demo = make_engine(loaded_network, dsn).demo
    customers = sorted(People(demo).several(9), key=lambda text: UUID(text).bytes)
    await give_what_is_over(dsn, customers, tmp_path)
    async with connection_to(dsn) as connection:
        await connection.execute(
            "update journal set balance = balance + 1 where customer_id = $1", customers[4]
        )
        code, out, _ = await run("sweep", "--sweep-wallets-max", "4", dsn=dsn)
        assert (code, out) == (0, "18 wallets looked at\n")
        await swept(connection, customers[:4] + customers[5:], BREAKAGE)
        assert await connection.fetch(KINDS, customers[4]) == []


async def test_holds_that_nobody_released_are_caught_up_with_page_by_page(
    loaded_network, dsn, make_engine, tmp_path, monkeypatch
):
    """Some of them were placed in the same moment, as those of one batch are."""
    monkeypatch.setattr(sweeper, "HOLDS_PAGE", 4)
    monkeypatch.setattr(sweeper, "HOLDS_PAGES_MAX", 2)
    demo = make_engine(loaded_network, dsn).demo
    customers = [UUID(one).bytes for one in People(demo).several(30)]
    settings = settings_for(tmp_path, code_lifetime_s=0)
    gift = {"kind": Kind.CASHBACK, "requested": 5, "brand_id": BRAND, "expires_day": 2**31 - 1}
    hold = {"kind": Kind.HOLD, "requested": 5, "brand_id": BRAND, "code_mac": bytes(16)}
    hold |= {"tries_max": 1, "hold_expires_at": 1}

    def asked(one, facts):
        order = {"claim_reference": one.hex().encode()} if facts is gift else {}
        return Operation(customer_id=one, transaction_id=uuid7().bytes, **facts, **order)

    async with committer_of(settings, dsn, Metrics()) as committer:
        for first, last in ((0, 1), (1, 8), (8, 9), (9, 21), (21, 30)):
            for facts in (gift, hold):
                await committer.submit_many([asked(one, facts) for one in customers[first:last]])
    async with sweeper_of(settings, dsn) as sweeps:
        found = [await sweeps.release_holds() for _ in range(4)]
    assert 0 < found[0] < 30
    assert (sum(found), found[-1]) == (30, 0)
    async with connection_to(dsn) as connection:
        await swept(connection, [UUID(bytes=one) for one in customers], [(COINS, Kind.RELEASE, 5)])
    assert (await run("audit", dsn=dsn))[0] == 0


async def test_the_coins_of_an_expired_hold_can_pay_its_invoice_again(
    loaded_network, dsn, make_engine
):
    flags = ("--code-lifetime-s", "1", "--sweep-tick-ms", "100", "--sweep-round-s", "100000")
    engine = make_engine(loaded_network, dsn, *flags)
    await asyncio.to_thread(engine.start)
    first, second = People(engine.demo).several(2)
    bill = {"invoice_number": "FV-1", "amount": 10_000}
    async with clients_of(engine) as clients, connection_to(dsn) as connection:
        for customer in (first, second):
            await clients.store.accumulate(customer, amount=5_400_000, currency="COP")
        assert (await clients.store.pay(first, coins=100, **bill)).status == 201
        full = await clients.store.pay(second, coins=1, **bill)
        assert (full.code, full.json["left"]) == ("exceeds_invoice", 0)
        await swept(connection, [first], [(COINS, Kind.RELEASE, 100)])
        kept = "select coins, paid from invoice_payment where invoice_key = 'FV1'"
        assert tuple(await connection.fetchrow(kept)) == (0, 0)
        qr = (await clients.app.qr(second)).json["qr"]
        assert (await clients.store.pay(second, coins=100, qr=qr, **bill)).status == 201
        assert tuple(await connection.fetchrow(kept)) == (100, 100)
    assert (await run("audit", dsn=dsn))[0] == 0


@pytest.mark.parametrize("item", [False, True])
async def test_a_payment_whose_time_is_up_is_released_without_waiting_for_anybody(
    loaded_network, dsn, make_engine, item
):
    flags = ("--code-lifetime-s", "1", "--sweep-tick-ms", "100", "--sweep-round-s", "100000")
    engine = make_engine(loaded_network, dsn, *flags)
    await asyncio.to_thread(engine.start)
    customer = People(engine.demo).complete()["customer_id"]
    async with clients_of(engine) as clients, connection_to(dsn) as connection:
        await clients.store.accumulate(customer, amount=5_400_000, currency="COP")
        asked = {"coins": 100}
        if item:
            body = {"name": "Termo", "coins": 100, "stock": 1}
            made = await clients.brand.request("POST", "/v1/brands/1/promotions", body)
            asked = {"promotion_id": made.json["promotion_id"]}
        paid = await clients.store.pay(customer, **asked)
        assert paid.status == 201
        await swept(connection, [customer], [(COINS, Kind.RELEASE, 100)])
        assert await connection.fetchval("select count(*) from item_unit") == 0
        told = await clients.store.payment(customer, paid.json["payment_id"])
        assert told.json["status"] == "expired"
        assert await clients.store.coins(customer) == 540
    assert engine.events("sweep_failed") == []
