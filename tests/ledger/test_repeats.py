"""Claims that probably come second are looked up first, and make no batch fail."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from fakes import FakeDatabase

from engine.codes import Claim, Kind, Refusal
from engine.errors import KeyReused
from engine.ledger.committer import Committer
from engine.ledger.core import Operation
from engine.metrics import Metrics
from engine.settings import Settings

POINTS, STORE, COLOMBIA = 7, 1, -5 * 3600
SETTINGS = Settings(lanes=1)
CUSTOMERS = [bytes([n]) * 16 for n in range(1, 40)]
ANA, BEA, CARLA, *OTHERS = CUSTOMERS
keys = iter(range(1, 10**6))


def sale(customer_id=ANA, invoice=b"F-1", *, store_id=STORE, key=None, fingerprint=1):
    return Operation(
        kind=Kind.ACCUMULATION,
        customer_id=customer_id,
        transaction_id=(next(keys) if key is None else key).to_bytes(16, "big"),
        fingerprint=fingerprint,
        brand_id=POINTS,
        store_id=store_id,
        asset=POINTS,
        requested=10,
        expires_day=30_000,
        utc_offset=COLOMBIA,
        invoice_number=invoice,
    )


class LookUps:
    """Look-ups by the fake database, which can be held, and can fail."""

    def __init__(self, database):
        self.database = database
        self.asked = []
        self.error = None
        self.held = None

    async def __call__(self, operations):
        self.asked.append([operation.transaction_id for operation in operations])
        if self.held is not None:
            await self.held.wait()
        if self.error is not None:
            raise self.error
        journal = await self.database.open()
        return await journal.find(operations), await journal.find_barred(operations)


@pytest.fixture
def database():
    return FakeDatabase(CUSTOMERS)


@pytest.fixture
def look_ups(database):
    return LookUps(database)


@asynccontextmanager
async def committer_on(database, look_ups, **settings):
    committer = Committer(
        database.open,
        replace(SETTINGS, **settings),
        Metrics(),
        coins_utc_offset=COLOMBIA,
        look_up=look_ups,
    )
    committer.start()
    try:
        yield committer
    finally:
        await committer.close()


@pytest.fixture
async def committer(database, look_ups):
    async with committer_on(database, look_ups) as committer:
        yield committer


@pytest.fixture
async def watched(committer):
    """Return a committer one of whose stores has sent an invoice twice."""
    await committer.submit(sale(ANA))
    answer, _ = await committer.submit(sale(BEA))
    assert answer.refusal == Refusal.INVOICE_ALREADY_CLAIMED
    return committer


async def test_a_first_claim_is_not_looked_up(committer, look_ups):
    await asyncio.gather(*(committer.submit(sale(one, b"F%d" % one[0])) for one in CUSTOMERS))
    assert look_ups.asked == []


async def test_a_repeated_invoice_makes_no_batch_fail_once_its_store_is_watched(
    watched, database, look_ups
):
    before = len(database.appends)
    repeats = [sale(customer_id) for customer_id in OTHERS[:5]]
    honest = [sale(customer_id, None) for customer_id in OTHERS[5:10]]
    answers = await asyncio.gather(*(watched.submit(one) for one in (*repeats, *honest)))
    refusals = [answer.refusal for answer, _ in answers]
    assert refusals == [Refusal.INVOICE_ALREADY_CLAIMED] * 5 + [0] * 5
    assert [len(asked) for asked in look_ups.asked] == [5]
    sent = [transaction_id for batch in database.appends[before:] for transaction_id in batch]
    assert len(sent) == len(set(sent)) == 10, "no operation is appended twice"


async def test_a_sale_without_an_invoice_is_not_looked_up(watched, look_ups):
    await watched.submit(sale(CARLA, None))
    assert look_ups.asked == []


async def test_a_store_that_repeats_nothing_is_not_looked_up(watched, look_ups):
    await watched.submit(sale(CARLA, b"F-9", store_id=2))
    assert look_ups.asked == []


async def test_a_new_invoice_of_a_watched_store_earns(watched):
    answer, replayed = await watched.submit(sale(CARLA, b"F-2"))
    assert (answer.refusal, answer.balance, replayed) == (0, 10, False)


async def test_a_retry_at_a_watched_store_is_answered_from_the_journal(watched, database):
    first = sale(CARLA, b"F-3", key=77)
    await watched.submit(first)
    before = len(database.appends)
    answer, replayed = await watched.submit(sale(CARLA, b"F-3", key=77))
    assert (answer.balance, replayed) == (10, True)
    assert len(database.appends) == before


async def test_a_key_that_was_used_for_something_else_is_refused_at_a_watched_store(watched):
    await watched.submit(sale(CARLA, b"F-3", key=78))
    with pytest.raises(KeyReused):
        await watched.submit(sale(CARLA, b"F-4", key=78, fingerprint=2))


async def test_an_invoice_that_was_freed_earns_at_a_watched_store(watched, database):
    database.claims.clear()
    answer, _ = await watched.submit(sale(CARLA))
    assert answer.refusal == 0


async def test_where_the_look_up_fails_the_batch_decides(watched, look_ups):
    look_ups.error = ConnectionResetError()
    answer, _ = await watched.submit(sale(CARLA))
    assert answer.refusal == Refusal.INVOICE_ALREADY_CLAIMED
    answer, _ = await watched.submit(sale(CARLA, b"F-5"))
    assert answer.refusal == 0


async def test_look_ups_that_wait_go_together(watched, look_ups):
    look_ups.held = asyncio.Event()
    tasks = [asyncio.create_task(watched.submit(sale(one))) for one in OTHERS[:1]]
    while not look_ups.asked:
        await asyncio.sleep(0)
    tasks += [asyncio.create_task(watched.submit(sale(one))) for one in OTHERS[1:7]]
    await asyncio.sleep(0)
    look_ups.held.set()
    await asyncio.gather(*tasks)
    assert [len(asked) for asked in look_ups.asked] == [1, 6]


async def test_a_caller_who_gives_up_leaves_the_look_up_to_the_others(watched, look_ups):
    look_ups.held = asyncio.Event()
    first, second = (asyncio.create_task(watched.submit(sale(one))) for one in OTHERS[:2])
    while not look_ups.asked:
        await asyncio.sleep(0)
    first.cancel()
    look_ups.held.set()
    answer, _ = await second
    assert answer.refusal == Refusal.INVOICE_ALREADY_CLAIMED


async def test_uploads_are_looked_up_too(watched, database, look_ups):
    known = sale(CARLA, b"F-6", key=79)
    await watched.submit(known)
    before = len(database.appends)
    results = await watched.submit_many(
        [
            sale(OTHERS[0]),
            sale(CARLA, b"F-6", key=79),
            sale(CARLA, b"F-6", key=79, fingerprint=2),
            sale(OTHERS[1], b"F-7"),
        ]
    )
    assert isinstance(results[2], KeyReused)
    refused, again, _, earned = results
    assert refused[0].refusal == Refusal.INVOICE_ALREADY_CLAIMED
    assert again[1] is True
    assert earned[0].refusal == 0
    assert len(database.appends) - before <= 2


async def test_a_store_is_watched_for_a_while_only(database, look_ups):
    async with committer_on(database, look_ups, repeats_watched_s=0) as committer:
        await committer.submit(sale(ANA))
        await committer.submit(sale(BEA))
        await committer.submit(sale(CARLA))
    assert look_ups.asked == []


async def test_no_more_owners_are_watched_than_allowed(database, look_ups):
    async with committer_on(database, look_ups, repeats_owners_max=2) as committer:
        for store_id in (1, 2, 3):
            await committer.submit(sale(ANA, store_id=store_id))
            await committer.submit(sale(BEA, store_id=store_id))
        expected = [committer.repeats.expects(sale(CARLA, store_id=n)) for n in (1, 2, 3)]
    assert expected == [False, True, True]


async def test_a_partner_that_repeats_a_reference_is_watched_apart(watched, look_ups):
    conversion = Operation(
        kind=Kind.CONVERSION,
        customer_id=CARLA,
        transaction_id=next(keys).to_bytes(16, "big"),
        requested=10,
        expires_day=30_000,
        party_id=STORE,
        claim_reference=b"R-1",
    )
    assert conversion.claim_kind == Claim.REFERENCE
    await watched.submit(conversion)
    assert look_ups.asked == []
