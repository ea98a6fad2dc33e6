"""What a lane does with every verdict, without a server: the journal is a fake that is scripted."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace

import pytest
from copy_format import leg_of
from fakes import FakeDatabase, Step

from engine.codes import COINS, Kind, Outcome, Refusal
from engine.errors import (
    AllotmentClosed,
    CustomerNotFound,
    ItemTaken,
    KeyReused,
    OutcomeUnknown,
    Overloaded,
    PaymentNotFound,
    Quarantined,
    Unavailable,
)
from engine.ledger.committer import Committer
from engine.ledger.core import Operation
from engine.ledger.verdicts import Verdict
from engine.metrics import Metrics
from engine.settings import Settings
from tests.simulation.loop import virtual_clock

POINTS = 7
COLOMBIA = -5 * 3600
SETTINGS = Settings(lanes=1)
TODAY = 20_800
CUSTOMERS = [bytes([n]) * 16 for n in range(1, 40)]
ANA, BEA, CARLA, *OTHERS = CUSTOMERS

next_id = iter(range(1_000_000, 10**9))  # keys of the tests' own are below


@pytest.fixture
def database():
    return FakeDatabase(CUSTOMERS)


@asynccontextmanager
async def committer_on(database, *, clock=None, **settings):
    """Give a committer of one lane that works on `database`, in the time of the loop."""
    committer = Committer(
        database.open,
        replace(SETTINGS, **settings),
        Metrics(),
        coins_utc_offset=COLOMBIA,
        clock=clock or virtual_clock(),
    )
    committer.start()
    try:
        yield committer
    finally:
        await committer.close()


@pytest.fixture
async def committer(database):
    async with committer_on(database) as committer:
        yield committer


def earn(
    customer_id=ANA,
    points=10,
    *,
    key=None,
    invoice=None,
    fingerprint=1,
    store_id=1,
    coins=0,
    **more,
):
    return Operation(
        kind=Kind.ACCUMULATION,
        customer_id=customer_id,
        transaction_id=(next(next_id) if key is None else key).to_bytes(16, "big"),
        fingerprint=fingerprint,
        brand_id=POINTS,
        store_id=store_id,
        asset=POINTS,
        requested=points,
        expires_day=TODAY + 3650,
        coins=coins,
        coins_expires_day=TODAY + 3650,
        utc_offset=COLOMBIA,
        invoice_number=invoice,
        **more,
    )


def redeem(customer_id=ANA, points=10):
    return Operation(
        kind=Kind.REDEMPTION,
        customer_id=customer_id,
        transaction_id=next(next_id).to_bytes(16, "big"),
        asset=POINTS,
        requested=points,
        utc_offset=COLOMBIA,
    )


def take(customer_id=ANA, *, unit=0, turn=0, key=None, item_id=1):
    """Return the redemption of an item that costs nothing."""
    return Operation(
        kind=Kind.REDEMPTION,
        customer_id=customer_id,
        transaction_id=(next(next_id) if key is None else key).to_bytes(16, "big"),
        asset=POINTS,
        utc_offset=COLOMBIA,
        item_id=item_id,
        unit=unit,
        turn=turn,
    )


def of_coins(kind, customer_id=ANA, coins=10, **facts):
    return Operation(
        kind=kind,
        customer_id=customer_id,
        transaction_id=next(next_id).to_bytes(16, "big"),
        brand_id=POINTS,
        requested=coins,
        expires_day=TODAY + 3650,
        **facts,
    )


def pay(customer_id=ANA, *, qr=1):
    return of_coins(Kind.PAYMENT, customer_id, qr_issued_at=qr)


def convert(customer_id=ANA, *, reference=b"R-1"):
    return of_coins(Kind.CONVERSION, customer_id, party_id=3, claim_reference=reference)


def reverse(database, operation, **item):
    """Return the reversal of an operation of one leg that is in the journal."""
    [row] = [row for row in database.rows if row.transaction_id == operation.transaction_id]
    facts = {"reference": row.transaction_id, "original": [leg_of(row, **item)]}
    return of_coins(Kind.REVERSAL, row.customer_id, 0, **facts)


def block(customer_id=ANA):
    return Operation(
        kind=Kind.BLOCK, customer_id=customer_id, transaction_id=next(next_id).to_bytes(16, "big")
    )


def sweep(customer_id=ANA):
    """Return a sweep of points by the calendar of a country that is far ahead."""
    return Operation(
        kind=Kind.EXPIRY,
        customer_id=customer_id,
        transaction_id=next(next_id).to_bytes(16, "big"),
        asset=POINTS,
        utc_offset=36_500 * 86_400,
    )


def submit(committer, *operations):
    """Submit operations in this order, and return what waits for each."""
    return [asyncio.ensure_future(committer.submit(operation)) for operation in operations]


async def results(tasks):
    return await asyncio.gather(*tasks, return_exceptions=True)


def counted(committer, name, **labels):
    return committer._metrics.registry.get_sample_value(name, labels) or 0


# The plain thing.


async def test_what_waits_together_is_committed_together(database, committer):
    tasks = submit(committer, *(earn(customer) for customer in CUSTOMERS[:20]))
    decided = await results(tasks)
    assert [(answer.balance, replayed) for answer, replayed in decided] == [(10, False)] * 20
    assert [len(batch) for batch in database.appends] == [20]


async def test_nothing_is_answered_before_the_append_is_durable(database, committer):
    step = database.next(Step(lands=True, until=asyncio.Event()))
    (task,) = submit(committer, earn())
    await step.started.wait()
    for _ in range(20):
        await asyncio.sleep(0)
    assert not task.done()
    assert committer.lanes[0].ledger.wallet(ANA, POINTS).balance == 0
    step.until.set()
    answer, _ = await task
    assert answer.balance == 10


async def test_while_one_batch_is_made_durable_the_next_collects(database, committer):
    step = database.next(Step(lands=True, until=asyncio.Event()))
    first = submit(committer, earn(ANA))
    await step.started.wait()
    second = submit(committer, *(earn(customer) for customer in OTHERS[:10]))
    await asyncio.sleep(0)
    step.until.set()
    await results(first + second)
    assert [len(batch) for batch in database.appends] == [1, 10]


async def test_a_batch_has_at_most_so_many_operations(database):
    async with committer_on(database, batch_operations_max=8) as committer:
        await results(submit(committer, *(earn(customer) for customer in CUSTOMERS[:20])))
    assert max(len(batch) for batch in database.appends) == 8


async def test_an_unknown_customer_or_payment_leaves_no_row(database, committer):
    confirm = Operation(
        kind=Kind.CAPTURE, customer_id=ANA, transaction_id=bytes(16), reference=b"p" * 16
    )
    unknown, missing = await results(submit(committer, earn(b"?" * 16), confirm))
    assert isinstance(unknown, CustomerNotFound)
    assert isinstance(missing, PaymentNotFound)
    assert database.rows == []


async def test_operations_of_one_customer_keep_their_order_behind_a_locked_account(
    database, committer
):
    step = database.next(Step(lands=True, until=asyncio.Event()))
    operations = [earn(ANA, 1), *(earn(ANA, n) for n in range(2, 9)), redeem(ANA, 36), earn(ANA, 1)]
    first = submit(committer, operations[0])
    await step.started.wait()
    parked = submit(committer, *operations[1:])
    beside = submit(committer, earn(BEA))
    await asyncio.sleep(0)
    assert committer.lanes[0].room.waiting == len(operations)
    step.until.set()
    decided = await results(first + parked + beside)
    assert [answer.balance for answer, _ in decided[:8]] == [1, 3, 6, 10, 15, 21, 28, 36]
    assert [answer.balance for answer, _ in decided[8:10]] == [0, 1]


# Two requests with one key.


async def test_a_key_that_is_under_way_is_done_once_for_all_who_ask(database, committer):
    tasks = submit(committer, *(earn(ANA, key=5) for _ in range(50)))
    decided = await results(tasks)
    assert [replayed for _, replayed in decided] == [False] + [True] * 49
    assert {answer.balance for answer, _ in decided} == {10}
    assert [row.kind for row in database.rows] == [Kind.OPENING, Kind.ACCUMULATION]


async def test_a_key_that_is_under_way_for_another_request_is_refused(committer):
    first, second = submit(committer, earn(ANA, key=5), earn(ANA, key=5, fingerprint=2))
    assert (await first)[0].balance == 10
    with pytest.raises(KeyReused):
        await second


async def test_a_retry_is_not_refused_for_a_reuse_that_is_under_way(database, committer):
    await results(submit(committer, earn(ANA, 10, key=5)))
    step = database.next(Step(Verdict.SEEN, until=asyncio.Event()))
    reuse, retry = submit(committer, earn(ANA, 7, key=5, fingerprint=2), earn(ANA, 10, key=5))
    await step.started.wait()
    step.until.set()
    with pytest.raises(KeyReused):
        await reuse
    answer, replayed = await retry
    assert (answer.balance, replayed) == (10, True)


async def test_a_key_is_free_again_where_nothing_was_done(database, committer):
    database.next(Step(Verdict.UNAVAILABLE))
    first, second = submit(committer, earn(ANA, 10, key=5), earn(ANA, 7, key=5, fingerprint=2))
    with pytest.raises(Unavailable):
        await first
    assert (await second)[0].balance == 7


async def test_one_who_gives_up_does_not_take_the_others_answer_away(database, committer):
    step = database.next(Step(lands=True, until=asyncio.Event()))
    first, second, third = submit(committer, *(earn(ANA, key=5) for _ in range(3)))
    await step.started.wait()
    second.cancel()
    await asyncio.sleep(0)
    step.until.set()
    assert [(await task)[0].balance for task in (first, third)] == [10, 10]


async def test_a_key_that_the_journal_has_is_answered_from_it(database, committer):
    await results(submit(committer, earn(ANA, 10, key=5)))
    await results(submit(committer, earn(ANA, 7)))
    answer, replayed = (await results(submit(committer, earn(ANA, 10, key=5))))[0]
    assert (answer.balance, replayed) == (10, True)
    reused = (await results(submit(committer, earn(ANA, 10, key=5, fingerprint=2))))[0]
    assert isinstance(reused, KeyReused)
    assert database.balance(ANA, POINTS) == 17


async def test_a_retry_among_new_operations_keeps_none_of_them_from_being_done(database, committer):
    await results(submit(committer, earn(ANA, 10, key=5)))
    tasks = submit(
        committer,
        *(earn(customer) for customer in OTHERS[:5]),
        earn(ANA, 10, key=5),
        earn(BEA, invoice=b"F-1"),
        earn(ANA, 10, key=5, fingerprint=2),
    )
    decided = await results(tasks)
    assert [replayed for _, replayed in decided[:7]] == [False] * 5 + [True, False]
    assert isinstance(decided[7], KeyReused)


# STALE.


async def test_a_stale_state_is_loaded_again_and_decided_again(database, committer):
    await results(submit(committer, earn(ANA)))
    other = FakeDatabase(CUSTOMERS)
    other.rows, other.claims = database.rows, database.claims
    async with committer_on(other) as other_worker:
        await results(submit(other_worker, earn(ANA, 5)))
        database.rows = other.rows
    answer, _ = (await results(submit(committer, earn(ANA))))[0]
    assert answer.balance == 25
    assert counted(committer, "leal_batch_conflicts_total") == 1
    assert counted(committer, "leal_operation_tries_total", tries="2") == 1
    seqs = [row.seq for row in database.rows if row.asset == POINTS]
    assert seqs == [1, 2, 3]


async def test_stale_again_and_again_is_overloaded_and_did_nothing(database):
    async with committer_on(database, tries_max=3) as committer:
        for _ in range(3):
            database.next(Step(Verdict.STALE))
        (refused,) = await results(submit(committer, earn(ANA)))
        assert isinstance(refused, Overloaded)
        assert database.rows == []
        answer, _ = (await results(submit(committer, earn(ANA))))[0]
        assert answer.balance == 10


@pytest.mark.parametrize("verdict", [Verdict.STALE, Verdict.SEEN, Verdict.RETRY])
@pytest.mark.parametrize("place", [0, 7, 30])
async def test_an_operation_that_conflicts_forever_fails_alone(database, committer, verdict, place):
    operations = [earn(customer, key=number) for number, customer in enumerate(CUSTOMERS, 1)]
    bad = operations[place]
    database.conflicting[bad.transaction_id] = verdict
    outcomes = await results(submit(committer, *operations))
    failed = [at for at, outcome in enumerate(outcomes) if isinstance(outcome, Exception)]
    assert failed == [place]
    assert isinstance(outcomes[place], Quarantined if verdict is Verdict.SEEN else Overloaded)
    assert {row.transaction_id for row in database.rows if row.asset == POINTS} == {
        operation.transaction_id for operation in operations if operation is not bad
    }
    again = await results(submit(committer, earn(bad.customer_id)))
    assert again[0][0].balance == 10


async def test_a_large_batch_that_is_stale_is_decided_again_in_halves(database, committer):
    crowd = [number.to_bytes(16, "big") for number in range(1000, 1200)]
    database.customers |= dict.fromkeys(crowd, 0)
    for _ in range(2):
        database.next(Step(Verdict.STALE))
    told = await results(submit(committer, *map(earn, crowd)))
    assert [answer.balance for answer, _ in told] == [10] * 200
    assert [len(batch) for batch in database.appends] == [100, 50, 25, 25, 50, 100]
    assert counted(committer, "leal_operation_tries_total", tries="2") == 50
    assert counted(committer, "leal_operation_tries_total", tries="3") == 50


async def test_a_small_batch_that_is_stale_stays_together(database, committer):
    crowd = [bytes([number]) * 16 for number in range(100, 132)]
    database.customers |= dict.fromkeys(crowd, 0)
    database.next(Step(Verdict.STALE))
    await results(submit(committer, *map(earn, crowd)))
    assert [len(batch) for batch in database.appends] == [32, 32]


# Contended customers: others write to them as well.


async def contend(database, committer, *customers):
    """Let another worker move customers on, and the committer's lane find that out."""
    await results(submit(committer, *(earn(customer) for customer in customers)))
    async with committer_on(database) as other:
        await results(submit(other, *(earn(customer) for customer in customers)))
    await results(submit(committer, *(earn(customer) for customer in customers)))
    assert counted(committer, "leal_batch_conflicts_total") == 1


async def test_without_contention_nobody_is_locked_and_nothing_loaded_again(database, committer):
    for _ in range(3):
        await results(submit(committer, earn(ANA), earn(BEA)))
    assert database.locks == []
    assert len(database.loads) == 1


async def test_only_who_was_stale_is_locked_and_nobody_is_decided_on_the_cache(database, committer):
    await results(submit(committer, earn(BEA)))
    await contend(database, committer, ANA)
    await results(submit(committer, earn(BEA)))
    database.loads.clear()
    await results(submit(committer, earn(ANA), earn(BEA)))
    assert database.locks[-1] == {ANA}
    assert database.loads == [[ANA, BEA]]


async def test_a_contended_customer_is_locked_for_the_second_try(database, committer):
    await contend(database, committer, ANA)
    assert database.locks == [{ANA}]
    assert database.locked == {}
    assert counted(committer, "leal_operation_tries_total", tries="2") == 1


async def test_who_does_not_get_the_lock_waits_and_its_neighbours_do_not(database, committer):
    await contend(database, committer, ANA)
    database.locked[ANA] = "another worker"
    waiting = submit(committer, earn(ANA, 1), redeem(ANA, 31), earn(ANA, 2))
    [(beside, _)] = await results(submit(committer, earn(BEA)))
    assert beside.balance == 10
    await asyncio.sleep(0.05)
    assert not any(task.done() for task in waiting)
    del database.locked[ANA]
    decided = await results(waiting)
    assert [answer.balance for answer, _ in decided] == [31, 0, 2]
    assert counted(committer, "leal_operations_put_off_total") >= 3
    assert counted(committer, "leal_operation_tries_total", tries="2") == 1
    assert database.locked == {}


async def test_who_had_the_lock_lets_a_batch_go_by(database, committer):
    await contend(database, committer, ANA)
    await asyncio.sleep(0)
    (first,) = await results(submit(committer, earn(ANA)))
    (beside, _), (second, _) = await results(submit(committer, earn(BEA), earn(ANA)))
    assert (first[0].balance, beside.balance, second.balance) == (40, 10, 50)
    keys = [set(batch) for batch in database.appends[-2:]]
    assert [len(batch) for batch in keys] == [1, 1]


async def test_who_waits_for_a_lock_for_too_long_is_told_that_nothing_was_done(database):
    haste = {"lock_timeout_ms": 20, "statement_timeout_ms": 40, "append_timeout_ms": 80}
    async with committer_on(database, **haste, answer_timeout_ms=100) as committer:
        await contend(database, committer, ANA)
        database.locked[ANA] = "another worker"
        [refused] = await results(submit(committer, earn(ANA)))
        assert isinstance(refused, Unavailable | OutcomeUnknown)
        await committer.lanes[0].drain()
    assert database.balance(ANA, POINTS) == 30


async def test_where_the_lock_cannot_be_asked_for_all_begins_anew(database, committer):
    await contend(database, committer, ANA)
    await results(submit(committer, earn(BEA)))
    database.lock_failures = 1
    [(answer, _)] = await results(submit(committer, earn(ANA)))
    assert (answer.balance, database.opened) == (40, 3)
    assert database.locked == {}


async def test_a_lost_connection_has_no_locks_and_an_unknown_batch_is_settled(database, committer):
    await contend(database, committer, ANA)
    await results(submit(committer, earn(BEA)))
    database.next(Step(Verdict.AMBIGUOUS, lands=True))
    [(answer, _)] = await results(submit(committer, earn(ANA)))
    assert answer.balance == 40
    assert database.locked == {}


async def test_a_customer_is_contended_for_some_time_only(database):
    async with committer_on(database, contended_s=1) as committer:
        await contend(database, committer, ANA)
        asked = len(database.locks)
        await asyncio.sleep(2)
        await results(submit(committer, earn(ANA)))
        assert len(database.locks) == asked


async def test_so_many_customers_are_contended_at_most(database):
    async with committer_on(database, contended_customers_max=3) as committer:
        await contend(database, committer, *OTHERS[:8])
        await results(submit(committer, earn(BEA)))
        await results(submit(committer, *(earn(customer) for customer in OTHERS[:8])))
        assert max(map(len, database.locks)) == 3


async def test_several_workers_at_one_customer_try_seldom_and_give_nothing_up(database):
    async with AsyncExitStack() as stack:
        workers = [await stack.enter_async_context(committer_on(database)) for _ in range(3)]
        tasks = []
        for round_number in range(60):
            customers = (ANA, BEA, OTHERS[round_number % 8])
            tasks += submit(
                workers[round_number % 3], *(earn(customer, 1) for customer in customers)
            )
            await asyncio.sleep(0.002)
        decided = await results(tasks)
        assert [answer for answer in decided if isinstance(answer, Exception)] == []
        tries = sum(
            counted(worker, "leal_operation_tries_total", tries=str(n)) * (n - 1)
            for worker in workers
            for n in range(2, 6)
        )
        assert tries < 60
    assert database.balance(ANA, POINTS) == 60
    assert database.locked == {}


# SEEN, by an invoice.


async def test_an_invoice_that_is_claimed_is_refused_and_its_neighbours_are_not(
    database, committer
):
    await results(submit(committer, earn(ANA, invoice=b"F-1")))
    tasks = submit(
        committer, earn(BEA, invoice=b"F-1"), earn(CARLA), earn(OTHERS[0], invoice=b"F-2")
    )
    refused, plain, other = (answer for answer, _ in await results(tasks))
    assert refused.refusal == Refusal.INVOICE_ALREADY_CLAIMED
    assert (plain.balance, other.balance) == (10, 10)


async def test_one_invoice_many_times_in_one_batch_earns_once(database, committer):
    tasks = submit(
        committer,
        *(earn(customer, invoice=b"F-1") for customer in CUSTOMERS[:10]),
        *(earn(customer, invoice=b"F-1", store_id=2) for customer in CUSTOMERS[:2]),
        *(earn(customer) for customer in OTHERS[:3]),
    )
    answers = [answer for answer, _ in await results(tasks)]
    refusals = [answer.refusal for answer in answers]
    assert sorted(refusals[:10]) == [0] + [Refusal.INVOICE_ALREADY_CLAIMED] * 9
    assert sorted(refusals[10:12]) == [0, Refusal.INVOICE_ALREADY_CLAIMED]
    assert refusals[12:] == [0, 0, 0]
    assert len(database.claims) == 2
    assert max(operation.tries for operation in answers) <= 2


async def test_an_invoice_whose_first_claim_is_refused_earns_by_the_second(database, committer):
    database.bad.add((77).to_bytes(16, "big"))
    tasks = submit(committer, earn(ANA, invoice=b"F-1", key=77), earn(BEA, invoice=b"F-1"))
    bad, good = await results(tasks)
    assert isinstance(bad, Quarantined)
    assert good[0].refusal == 0
    assert good[0].balance == 10


@pytest.mark.parametrize(
    ("wants", "refusal"),
    [
        (lambda _, sale: pay(), Refusal.QR_INVALID),
        (lambda _, sale: convert(BEA), Refusal.REFERENCE_ALREADY_USED),
        (reverse, Refusal.ALREADY_REVERSED),
    ],
    ids=["QR", "reference", "reversal"],
)
async def test_what_happens_once_is_refused_to_the_second_and_to_no_neighbour(
    database, committer, wants, refusal
):
    await results(
        submit(
            committer, sale := earn(ANA), of_coins(Kind.CASHBACK, coins=50, claim_reference=b"O-1")
        )
    )
    await results(submit(committer, pay(), convert(), reverse(database, sale)))
    tasks = submit(
        committer, second := wants(database, sale), pay(qr=2), convert(reference=b"R-2"), earn(BEA)
    )
    answers = [answer for answer, _ in await results(tasks)]
    assert [answer.refusal for answer in answers] == [refusal, 0, 0, 0]
    assert second.tries == 1
    (again,) = await results(submit(committer, wants(database, sale)))
    assert (again[0].refusal, again[1]) == (refusal, False)


async def test_a_unit_that_came_back_is_taken_in_the_same_batch(database, committer):
    await results(submit(committer, gone := take(unit=1, turn=1)))
    back = reverse(database, gone, item_id=1, unit=1, turn=1)
    answers = await results(submit(committer, back, again := take(unit=1, turn=1)))
    assert [answer.refusal for answer, _ in answers] == [0, 0]
    assert set(database.taken.values()) == {again.transaction_id}


async def test_where_the_receipts_cannot_be_read_all_is_decided_again(database, committer):
    await results(submit(committer, earn(ANA, key=5)))
    database.find_failures = 1
    tasks = submit(committer, earn(ANA, key=5), earn(BEA))
    (replayed, was_there), (new, _) = await results(tasks)
    assert (replayed.balance, was_there, new.balance) == (10, True, 10)
    assert database.opened == 2


async def test_who_has_not_failed_alone_is_not_given_up_when_its_neighbour_is_answered(database):
    async with committer_on(database, tries_max=2) as committer:
        await results(submit(committer, earn(ANA, key=5)))
        database.next(Step(Verdict.RETRY))
        (_, replayed), (new, _) = await results(submit(committer, earn(ANA, key=5), earn(BEA)))
    assert (replayed, new.balance, new.tries) == (True, 10, 2)


async def test_a_key_that_no_request_has_is_decided_on_state_that_is_loaded_again(
    database, committer
):
    """The id of a row without a request is made from its place, so both are taken at once."""
    await results(submit(committer, earn(ANA)))
    await results(submit(committer, earn(BEA, invoice=b"F-1")))
    database.loads.clear()
    database.next(Step(lands=True))
    database.next(Step(Verdict.SEEN))
    second = earn(ANA, invoice=b"F-1")
    (refused, _), (answer, _) = await results(submit(committer, second, earn(ANA)))
    assert (refused.refusal, answer.balance) == (Refusal.INVOICE_ALREADY_CLAIMED, 20)
    assert database.loads == [[ANA]]


# RETRY, REFUSED, UNAVAILABLE.


async def test_what_passes_is_tried_again(database, committer):
    database.next(Step(Verdict.RETRY))
    database.next(Step(Verdict.RETRY))
    answer, _ = (await results(submit(committer, earn(ANA))))[0]
    assert (answer.balance, answer.tries) == (10, 2)
    assert counted(committer, "leal_append_failures_total", sqlstate="retry") == 2


@pytest.mark.parametrize("at", [0, 1, 15, 30, 31])
async def test_one_bad_operation_among_many_fails_alone(database, committer, at):
    customers = CUSTOMERS[:32]
    operations = [earn(customer) for customer in customers]
    database.bad.add(operations[at].transaction_id)
    decided = await results(submit(committer, *operations))
    assert isinstance(decided[at], Quarantined)
    good = decided[:at] + decided[at + 1 :]
    assert [answer.balance for answer, _ in good] == [10] * 31
    assert len(database.appends) <= 12
    # The bad one leaves nothing behind: its customer goes on.
    answer, _ = (await results(submit(committer, earn(customers[at]))))[0]
    assert answer.balance == 10


async def test_several_bad_operations_fail_alone_also_of_one_customer(database, committer):
    operations = [earn(customer, n) for customer in CUSTOMERS[:4] for n in range(1, 6)]
    bad = {1, 2, 7, 19}
    database.bad |= {operations[at].transaction_id for at in bad}
    decided = await results(submit(committer, *operations))
    for at, outcome in enumerate(decided):
        assert isinstance(outcome, Quarantined) == (at in bad)
    totals = [database.balance(customer, POINTS) for customer in CUSTOMERS[:4]]
    assert totals == [15 - 2 - 3, 15 - 3, 15, 15 - 5]


async def test_a_bad_half_that_becomes_unknown_parks_what_shares_its_account(database, committer):
    operations = [earn(ANA, n) for n in (1, 2, 3, 4)]
    database.next(Step(Verdict.REFUSED))
    database.next(Step(Verdict.AMBIGUOUS, lands=True))
    decided = await results(submit(committer, *operations))
    assert [answer.balance for answer, _ in decided] == [1, 3, 6, 10]
    assert [row.seq for row in database.rows if row.asset == POINTS] == [1, 2, 3, 4]


async def test_a_customer_whose_rows_contradict_themselves_fails_alone(database, committer):
    database.broken.add(BEA)
    tasks = submit(committer, earn(ANA), earn(BEA), earn(CARLA))
    async with asyncio.timeout(5):
        first, broken, last = await results(tasks)
    assert isinstance(broken, Quarantined)
    assert (first[0].balance, last[0].balance) == (10, 10)


async def test_a_server_that_takes_no_writes_is_told_at_once(database, committer):
    database.next(Step(Verdict.UNAVAILABLE))
    decided = await results(submit(committer, *(earn(customer) for customer in CUSTOMERS[:5])))
    assert all(isinstance(outcome, Unavailable) for outcome in decided)
    assert database.rows == []
    answer, _ = (await results(submit(committer, earn(ANA))))[0]
    assert answer.balance == 10
    assert database.opened == 2


async def test_a_lost_connection_drops_every_wallet_that_was_read_by_it(database, committer):
    await results(submit(committer, earn(ANA), earn(BEA)))
    database.next(Step(Verdict.UNAVAILABLE))
    await results(submit(committer, earn(CARLA)))
    assert committer.lanes[0].ledger.wallets == 0
    await results(submit(committer, earn(ANA)))
    assert database.loads[-1] == [ANA]


async def test_where_nobody_answers_the_connection_is_tried_again(database, committer):
    database.unreachable = 2
    database.load_failures = 1
    answer, _ = (await results(submit(committer, earn(ANA))))[0]
    assert answer.balance == 10


# AMBIGUOUS.


@pytest.mark.parametrize("landed", [True, False])
async def test_an_unknown_outcome_is_settled_by_appending_the_same_again(
    database, committer, landed
):
    await results(submit(committer, earn(ANA)))
    database.next(Step(Verdict.AMBIGUOUS, lands=landed))
    tasks = submit(committer, earn(ANA), redeem(ANA, 5), earn(BEA, invoice=b"F-1"))
    answers = [answer for answer, replayed in await results(tasks) if not replayed]
    assert [answer.balance for answer in answers] == [20, 15, 10]
    assert database.appends[1] == database.appends[2]
    rows = [row for row in database.rows if (row.customer_id, row.asset) == (ANA, POINTS)]
    assert [row.seq for row in rows] == [1, 2, 3]
    assert counted(committer, "leal_batch_ambiguous_total") == 1


async def test_an_unknown_outcome_may_stay_unknown_for_long(database, committer):
    for _ in range(5):
        database.next(Step(Verdict.AMBIGUOUS))
    database.next(Step(Verdict.RETRY))
    database.next(Step(Verdict.UNAVAILABLE))
    answer, _ = (await results(submit(committer, earn(ANA))))[0]
    assert answer.balance == 10
    assert len(database.appends) == 8
    assert [row.kind for row in database.rows] == [Kind.OPENING, Kind.ACCUMULATION]


async def test_the_accounts_of_an_unknown_outcome_stay_locked_and_others_go_on(database, committer):
    release = asyncio.Event()
    database.next(Step(Verdict.AMBIGUOUS, lands=True))
    resolving = database.next(Step(lands=True, until=release))
    (unknown,) = submit(committer, earn(ANA, 1))
    await resolving.started.wait()
    parked = submit(committer, earn(ANA, 2), redeem(ANA, 3))
    beside = submit(committer, earn(BEA), earn(CARLA))
    assert [answer.balance for answer, _ in await results(beside)] == [10, 10]
    assert not unknown.done()
    assert not any(task.done() for task in parked)
    assert len(committer.lanes[0].room.locked) == 1
    release.set()
    decided = await results([unknown, *parked])
    assert [(answer.balance, answer.refusal) for answer, _ in decided] == [(1, 0), (3, 0), (0, 0)]


async def test_an_unknown_batch_whose_place_another_took_is_decided_again(database, committer):
    """Not landed, and it cannot land any more: the other writer's row has its place."""
    await results(submit(committer, earn(ANA)))
    step = database.next(Step(Verdict.AMBIGUOUS, lands=False))
    tasks = submit(committer, earn(ANA, 7), earn(BEA, 7))
    await step.started.wait()
    async with committer_on(database) as other_worker:
        await results(submit(other_worker, earn(ANA, 100)))
    decided = await results(tasks)
    assert [answer.balance for answer, _ in decided] == [117, 7]
    rows = [row for row in database.rows if (row.customer_id, row.asset) == (ANA, POINTS)]
    assert [row.balance for row in rows] == [10, 110, 117]


async def test_an_unknown_batch_leaves_no_gap_after_a_failover_that_lost_what_was_before_it(
    database, committer
):
    """Without a look at the rows before it, its row with seq 3 would stand behind nothing."""
    await results(submit(committer, earn(ANA, 1), earn(BEA, 1)))
    kept = list(database.rows)
    await results(submit(committer, earn(ANA, 10)))
    step = database.next(Step(Verdict.AMBIGUOUS, until=asyncio.Event()))
    tasks = submit(committer, earn(ANA, 100), earn(BEA, 100))
    await step.started.wait()
    database.rows = kept
    database.timeline = "1/00000002"
    step.until.set()
    decided = await results(tasks)
    assert [(answer.balance, replayed) for answer, replayed in decided] == [(101, False)] * 2
    rows = [row for row in database.rows if (row.customer_id, row.asset) == (ANA, POINTS)]
    assert [(row.seq, row.balance) for row in rows] == [(1, 1), (2, 101)]
    assert counted(committer, "leal_timeline_changes_total", outcome="lost") == 1


async def test_an_unknown_batch_that_a_failover_kept_is_answered_from_its_rows(database, committer):
    await results(submit(committer, earn(ANA, 1)))
    step = database.next(Step(Verdict.AMBIGUOUS, lands=True, until=asyncio.Event()))
    tasks = submit(committer, earn(ANA, 100))
    await step.started.wait()
    step.until.set()
    database.timeline = "1/00000002"
    assert [answer.balance for answer, _ in await results(tasks)] == [101]
    assert len(database.appends) == 2
    await results(submit(committer, earn(ANA, 1)))
    assert counted(committer, "leal_timeline_changes_total", outcome="kept") == 1


async def test_a_sweep_has_no_posting_that_a_failover_could_lose(database, committer):
    await results(submit(committer, earn(ANA, 1)))
    ((swept, _),) = await results(submit(committer, sweep(ANA)))
    assert (swept.outcome, swept.amount) == (Outcome.WRITTEN_DOWN, -1)
    database.timeline = "1/00000002"
    committer.lanes[0]._journal.terminate()
    await results(submit(committer, earn(ANA, 1)))
    assert counted(committer, "leal_timeline_changes_total", outcome="lost") == 0
    assert counted(committer, "leal_timeline_changes_total", outcome="kept") == 1


async def test_an_unknown_batch_that_is_bad_is_bisected_when_that_is_known(database, committer):
    operations = [earn(ANA), earn(BEA), earn(CARLA)]
    database.bad.add(operations[1].transaction_id)
    database.next(Step(Verdict.AMBIGUOUS))
    first, bad, last = await results(submit(committer, *operations))
    assert isinstance(bad, Quarantined)
    assert (first[0].balance, last[0].balance) == (10, 10)


async def test_a_resolver_reconnects_for_as_long_as_it_takes(database, committer):
    database.next(Step(Verdict.AMBIGUOUS, lands=True))
    database.find_failures = 2
    (task,) = submit(committer, earn(ANA))
    database.unreachable = 0
    answer, _ = await task
    assert answer.balance == 10
    assert [row.kind for row in database.rows] == [Kind.OPENING, Kind.ACCUMULATION]


# Units and turns of items.


async def test_of_two_who_want_one_unit_in_one_batch_the_second_is_told_to_pick_again(
    database, committer
):
    tasks = submit(committer, take(ANA, unit=1), take(BEA, unit=1), take(CARLA, unit=2))
    first, second, third = await results(tasks)
    assert isinstance(second, ItemTaken)
    assert (first[0].refusal, third[0].refusal) == (0, 0)
    assert {row.customer_id for row in database.rows} == {ANA, CARLA}
    assert len(database.appends) == 1


async def test_what_the_journal_says_is_taken_is_told_and_its_neighbours_are_done(
    database, committer
):
    await results(submit(committer, take(ANA, unit=1, turn=1)))
    tasks = submit(
        committer,
        *(take(BEA, unit=1), take(ANA, turn=1), take(ANA, unit=2, turn=2), earn(CARLA)),
        take(CARLA, unit=3, turn=1),
    )
    taken, own_turn, *done = await results(tasks)
    assert isinstance(taken, ItemTaken)
    assert isinstance(own_turn, ItemTaken)
    assert [answer.refusal for answer, _ in done] == [0, 0, 0]
    assert committer.lanes[0].idle


async def test_who_picks_again_has_the_same_key(database, committer):
    await results(submit(committer, take(ANA, unit=1)))
    for unit, outcome in ((1, ItemTaken), (1, ItemTaken), (2, tuple), (3, tuple), (1, tuple)):
        (result,) = await results(submit(committer, take(BEA, unit=unit, key=5)))
        assert isinstance(result, outcome)
    answer, replayed = result
    assert (answer.refusal, replayed) == (0, True)
    units = {unit for item_id, unit in database.taken if item_id == 1}
    assert units == {1, 2}


async def test_all_who_ask_with_one_key_are_told_that_the_unit_is_taken(database, committer):
    await results(submit(committer, take(ANA, unit=1)))
    tasks = submit(committer, *(take(BEA, unit=1, key=5) for _ in range(3)))
    tasks += submit(committer, take(ANA, unit=2), *(take(CARLA, unit=2, key=6) for _ in range(2)))
    told = await results(tasks)
    assert [isinstance(one, ItemTaken) for one in told] == [*[True] * 3, False, *[True] * 2]


# Coins of allotments (COI-2).


def issue(customer_id=ANA, *, allotment=b"a", coins=5, key=None):
    """Return an accumulation whose coins are drawn from an allotment."""
    return earn(customer_id, coins=coins, allotment_id=allotment * 16, key=key)


async def test_whose_allotment_is_closed_is_told_and_its_neighbours_are_done(database, committer):
    database.allotments = {b"a" * 16: (10, 0), b"b" * 16: (5, 5)}
    tasks = submit(committer, issue(ANA), issue(BEA, allotment=b"b"), earn(CARLA), issue(CARLA))
    done, closed, *others = await results(tasks)
    assert isinstance(closed, AllotmentClosed)
    assert [answer.refusal for answer, _ in (done, *others)] == [0, 0, 0]
    assert done[0].coins_amount == 5
    assert database.allotments[b"a" * 16] == (10, 10)
    (lost,) = await results(submit(committer, issue(allotment=b"c")))
    assert isinstance(lost, AllotmentClosed)
    assert committer.lanes[0].idle


async def test_a_retry_whose_allotment_is_closed_is_answered_from_its_row(database, committer):
    database.allotments = {b"a" * 16: (5, 0)}
    ((first, _),) = await results(submit(committer, issue(key=5)))
    for allotment in (b"a", b"b"):
        tasks = submit(committer, issue(key=5, allotment=allotment))
        ((again, replayed),) = await results(tasks)
        assert (again.coins_amount, again.balance, replayed) == (5, first.balance, True)
    assert database.allotments[b"a" * 16] == (5, 5)


@pytest.mark.parametrize("landed", [True, False])
@pytest.mark.parametrize("closed", [True, False])
async def test_an_unknown_outcome_draws_once_or_not_at_all(database, committer, landed, closed):
    """It is settled by the identical batch, also where somebody closed the allotment meanwhile."""
    database.allotments = {b"a" * 16: (20, 0)}
    step = database.next(Step(Verdict.AMBIGUOUS, lands=landed))
    task = submit(committer, issue(ANA), issue(BEA))
    await step.started.wait()
    if closed:
        while not database.balance(BEA, COINS) and landed:
            await asyncio.sleep(0)
        drawn = 10 * landed
        database.allotments = {b"a" * 16: (drawn, drawn)}
    outcomes = await results(task)
    if closed and not landed:
        assert [type(one) for one in outcomes] == [AllotmentClosed] * 2
    else:
        assert [(answer.coins_amount, replayed) for answer, replayed in outcomes] == [
            (5, False)
        ] * 2
    assert database.allotments[b"a" * 16][1] == database.balance(ANA, COINS) * 2


@pytest.mark.parametrize("landed", [True, False])
async def test_an_unknown_outcome_tells_of_what_is_taken_too(database, committer, landed):
    database.next(Step(Verdict.AMBIGUOUS, lands=landed))
    tasks = submit(committer, take(ANA, unit=1), take(BEA, unit=1), take(CARLA, unit=2))
    first, second, third = await results(tasks)
    assert isinstance(second, ItemTaken)
    assert (first[0].refusal, third[0].refusal) == (0, 0)
    assert not committer.lanes[0].room.locked


async def test_an_unknown_batch_whose_unit_another_took_is_told_so(database, committer):
    step = database.next(Step(Verdict.AMBIGUOUS, lands=False))
    tasks = submit(committer, take(ANA, unit=1), take(BEA, unit=2), earn(CARLA))
    await step.started.wait()
    async with committer_on(database) as other_worker:
        await results(submit(other_worker, take(OTHERS[0], unit=1)))
    taken, second, third = await results(tasks)
    assert isinstance(taken, ItemTaken)
    assert (second[0].refusal, third[0].balance) == (0, 10)
    assert not committer.lanes[0].room.locked


async def test_where_it_cannot_be_read_what_is_taken_all_is_decided_again(database, committer):
    await results(submit(committer, take(ANA, unit=1)))
    database.find_failures = 2
    taken, done = await results(submit(committer, take(BEA, unit=1), take(CARLA, unit=2)))
    assert isinstance(taken, ItemTaken)
    assert done[0].refusal == 0
    assert done[0].tries == 3


# Blocks.


async def test_a_block_is_decided_on_wallets_that_are_loaded_for_it(database, committer):
    await results(submit(committer, earn(ANA)))
    async with committer_on(database) as other_worker:
        await results(submit(other_worker, block(ANA)))
        (refused, _), (block_answer, _) = await results(submit(committer, earn(ANA), block(ANA)))
    assert database.loads[-1] == [ANA]
    assert (refused.refusal, block_answer.refusal) == (Refusal.CUSTOMER_BLOCKED, 0)
    assert counted(committer, "leal_batch_conflicts_total") == 0


async def test_a_sale_at_a_new_brand_on_a_state_from_before_a_block_is_refused(database, committer):
    await results(submit(committer, earn(ANA, coins=1)))
    async with committer_on(database) as other_worker:
        await results(submit(other_worker, block(ANA)))
    new_brand = Operation(
        kind=Kind.ACCUMULATION,
        customer_id=ANA,
        transaction_id=next(next_id).to_bytes(16, "big"),
        asset=8,
    )
    ((answer, _),) = await results(submit(committer, new_brand))
    assert counted(committer, "leal_batch_conflicts_total") == 1
    assert answer.refusal == Refusal.CUSTOMER_BLOCKED


# Many at once.


async def test_many_are_answered_in_the_order_in_which_they_were_given(database, committer):
    operations = [earn(customer, n) for n in (1, 2, 3) for customer in CUSTOMERS]
    answers = await committer.submit_many(operations)
    assert [(a.customer_id, a.amount) for a, _ in answers] == [
        (op.customer_id, op.requested) for op in operations
    ]
    assert [answer.balance for answer, _ in answers[-3:]] == [6, 6, 6]
    assert [replayed for _, replayed in answers] == [False] * len(operations)
    assert [len(batch) for batch in database.appends] == [59, 58]


async def test_nothing_given_is_nothing_answered(committer):
    assert await committer.submit_many([]) == []


async def test_each_of_many_has_its_own_result_or_error(database, committer):
    await results(submit(committer, earn(CARLA, 10, key=5)))
    bad = earn(OTHERS[0])
    database.bad.add(bad.transaction_id)
    void = Operation(kind=Kind.VOID, customer_id=ANA, transaction_id=bytes(16), reference=b"p" * 16)
    asked = [earn(ANA), earn(b"?" * 16), void, bad, earn(CARLA, 10, key=5), redeem(BEA)]
    asked += [earn(CARLA, 10, key=5, fingerprint=2), take(ANA, unit=1), take(BEA, unit=1)]
    (
        first,
        unknown,
        no_payment,
        broken,
        replay,
        refused,
        reused,
        took,
        taken,
    ) = await committer.submit_many(asked)
    assert (first[0].balance, first[1]) == (10, False)
    assert isinstance(unknown, CustomerNotFound)
    assert isinstance(no_payment, PaymentNotFound)
    assert isinstance(broken, Quarantined)
    assert (replay[0].balance, replay[1]) == (10, True)
    assert refused[0].refusal == Refusal.INSUFFICIENT_POINTS
    assert isinstance(reused, KeyReused)
    assert took[0].refusal == 0
    assert isinstance(taken, ItemTaken)


async def test_a_key_that_is_twice_among_many_is_done_once(database, committer):
    asked = [earn(ANA, key=5), earn(ANA, key=5), earn(ANA, key=5, fingerprint=2), earn(BEA)]
    first, again, reused, other = await committer.submit_many(asked)
    assert (first[0].balance, first[1]) == (10, False)
    assert (again[0].balance, again[1]) == (10, True)
    assert isinstance(reused, KeyReused)
    assert other[0].balance == 10
    assert database.balance(ANA, POINTS) == 10
    assert counted(committer, "leal_idempotency_total", outcome="replay") == 1


async def test_a_key_comes_again_in_a_later_round(database):
    async with committer_on(database, account_operations_max=2) as committer:
        asked = [earn(ANA, 1, key=5), earn(ANA, 2), earn(ANA, 1, key=5)]
        asked += [earn(ANA, 1, key=5, fingerprint=2)]
        first, second, again, reused = await committer.submit_many(asked)
    assert [first[0].balance, second[0].balance, again[0].balance] == [1, 3, 1]
    assert [first[1], second[1], again[1]] == [False, False, True]
    assert isinstance(reused, KeyReused)


async def test_many_of_one_customer_leave_half_of_its_room_to_others(database):
    async with committer_on(database, account_operations_max=6) as committer:
        step = database.next(Step(lands=True, until=asyncio.Event()))
        before = submit(committer, earn(ANA, 1))
        await step.started.wait()
        many = asyncio.ensure_future(
            committer.submit_many([earn(ANA, n) for n in range(2, 12)] + [earn(BEA, 5)])
        )
        await asyncio.sleep(0)
        assert committer.lanes[0].room.waiting == 3 + 1
        between = submit(committer, *(earn(ANA, 100) for _ in range(3)))
        await asyncio.sleep(0)
        assert not any(task.done() for task in between)
        step.until.set()
        *of_ana, (of_bea, _) = await many
        await results(before + between)
    assert [answer.amount for answer, _ in of_ana] == list(range(2, 12))
    balances = [answer.balance for answer, _ in of_ana]
    assert balances == sorted(balances)
    assert balances[-1] == 300 + sum(range(1, 12))
    assert of_bea.balance == 5


async def test_many_leave_three_quarters_of_the_queue_to_others(database):
    async with committer_on(database, queue_operations_max=16) as committer:
        room = committer.lanes[0].room
        queued = []
        enter = room.enter

        def entering(operation, **patience):
            decided = enter(operation, **patience)
            queued.append(room.queued)
            return decided

        room.enter = entering
        answers = await committer.submit_many([earn(customer) for customer in CUSTOMERS])
    assert [answer.balance for answer, _ in answers] == [10] * len(CUSTOMERS)
    assert max(queued) == 4
    assert max(len(batch) for batch in database.appends) == 4


async def test_many_find_no_room_one_by_one(database):
    async with committer_on(database, queue_operations_max=4) as committer:
        step = database.next(Step(lands=True, until=asyncio.Event()))
        first = submit(committer, earn(ANA))
        await step.started.wait()
        waiting = submit(committer, *(earn(customer) for customer in OTHERS[:4]))
        await asyncio.sleep(0)
        refused = await committer.submit_many([earn(BEA), earn(CARLA)])
        assert all(isinstance(one, Overloaded) for one in refused)
        assert counted(committer, "leal_http_shed_total", reason="overloaded") == 2
        step.until.set()
        await results(first + waiting)


async def test_many_who_give_up_take_nobodys_answer_away(database, committer):
    step = database.next(Step(lands=True, until=asyncio.Event()))
    (own,) = submit(committer, earn(ANA, key=5))
    await step.started.wait()
    many = asyncio.ensure_future(committer.submit_many([earn(ANA, key=5), earn(BEA, key=6)]))
    (joined,) = submit(committer, earn(BEA, key=6))
    await asyncio.sleep(0)
    many.cancel()
    await asyncio.sleep(0)
    step.until.set()
    assert [(await task)[0].balance for task in (own, joined)] == [10, 10]


async def test_many_know_nothing_of_what_another_gave_up(database, committer):
    step = database.next(Step(lands=True, until=asyncio.Event()))
    (own,) = submit(committer, earn(ANA, key=5))
    await step.started.wait()
    many = asyncio.ensure_future(committer.submit_many([earn(ANA, key=5), earn(BEA)]))
    await asyncio.sleep(0)
    own.cancel()
    step.until.set()
    unknown, done = await many
    assert isinstance(unknown, OutcomeUnknown)
    assert done[0].balance == 10


async def test_many_are_not_waited_for_longer_than_one_is(database):
    async with committer_on(database, account_operations_max=2) as committer:
        step = database.next(Step(lands=True, until=asyncio.Event()))
        answers = await committer.submit_many([earn(ANA) for _ in range(3)] + [earn(BEA)])
        assert [type(one) for one in answers] == [
            *(OutcomeUnknown, Overloaded, Overloaded, OutcomeUnknown)
        ]
        step.until.set()
        await committer.drain(10)
    assert database.balance(ANA, POINTS) == database.balance(BEA, POINTS) == 10


# Limits and deadlines.


async def test_a_full_queue_refuses_at_once(database):
    async with committer_on(database, queue_operations_max=5) as committer:
        step = database.next(Step(lands=True, until=asyncio.Event()))
        first = submit(committer, earn(ANA))
        await step.started.wait()
        waiting = submit(committer, *(earn(customer) for customer in OTHERS[:8]))
        await asyncio.sleep(0)
        refused = [task for task in waiting if task.done()]
        assert len(refused) == 3
        assert all(isinstance(one, Overloaded) for one in await results(refused))
        assert counted(committer, "leal_http_shed_total", reason="overloaded") == 3
        step.until.set()
        decided = await results(first + waiting[:5])
        assert [answer.balance for answer, _ in decided] == [10] * 6


async def test_too_much_for_one_account_refuses_and_others_are_taken(database):
    async with committer_on(database, account_operations_max=3) as committer:
        step = database.next(Step(lands=True, until=asyncio.Event()))
        tasks = submit(committer, earn(ANA))
        await step.started.wait()
        tasks += submit(committer, *(earn(ANA) for _ in range(5)), earn(BEA))
        await asyncio.sleep(0)
        assert [task.done() for task in tasks] == [False] * 4 + [True] * 2 + [False]
        step.until.set()
        decided = await results(tasks)
        assert [isinstance(outcome, Overloaded) for outcome in decided] == [
            task in (4, 5) for task in range(7)
        ]


async def test_who_waits_too_long_is_told_that_the_outcome_is_unknown(database, committer):
    step = database.next(Step(lands=True, until=asyncio.Event()))
    (late,) = submit(committer, earn(ANA, key=5))
    with pytest.raises(OutcomeUnknown):
        await late
    # It is still under way: who asks again with the key learns what became of it.
    (again,) = submit(committer, earn(ANA, key=5))
    await asyncio.sleep(0)
    assert not again.done()
    step.until.set()
    answer, replayed = await again
    assert (answer.balance, replayed) == (10, True)
    assert [row.kind for row in database.rows] == [Kind.OPENING, Kind.ACCUMULATION]


async def test_what_was_never_sent_is_given_up_after_the_deadline(database):
    database.unreachable = 10**9
    async with committer_on(database) as committer:
        committer._tasks[1].cancel()  # or the watch would answer first that nothing is known
        (refused,) = await results(submit(committer, earn(ANA)))
        assert isinstance(refused, Unavailable)
        assert committer.lanes[0].idle
        assert not committer.lanes[0].room.locked
        database.unreachable = 0
        answer, _ = (await results(submit(committer, earn(ANA))))[0]
        assert answer.balance == 10


async def test_a_drain_brings_what_was_taken_to_its_outcome_and_takes_no_more(database, committer):
    step = database.next(Step(lands=True, until=asyncio.Event()))
    taken = submit(committer, earn(ANA), earn(BEA))
    await step.started.wait()
    parked = submit(committer, earn(ANA))
    await asyncio.sleep(0)
    draining = asyncio.ensure_future(committer.drain(10))
    await asyncio.sleep(0)
    (refused,) = await results(submit(committer, earn(CARLA)))
    assert isinstance(refused, Overloaded)
    assert not draining.done()
    step.until.set()
    assert await draining
    decided = await results(taken + parked)
    assert [answer.balance for answer, _ in decided] == [10, 10, 20]


async def test_a_drain_that_takes_too_long_says_so(database, committer):
    step = database.next(Step(lands=True, until=asyncio.Event()))
    tasks = submit(committer, earn(ANA))
    await step.started.wait()
    assert not await committer.drain(0.01)
    step.until.set()
    await results(tasks)


async def test_an_error_that_nobody_foresaw_unlocks_the_accounts(database, committer, monkeypatch):
    lane = committer.lanes[0]

    def broken(_operations):
        raise RuntimeError("a bug")

    monkeypatch.setattr(lane, "_decide", broken)
    (unknown,) = await results(submit(committer, earn(ANA)))
    assert isinstance(unknown, OutcomeUnknown)
    monkeypatch.undo()
    answer, _ = (await results(submit(committer, earn(ANA))))[0]
    assert answer.balance == 10


async def test_coins_and_points_of_a_sale_are_one_operation(database, committer):
    answer, _ = (await results(submit(committer, earn(ANA, coins=3))))[0]
    assert (answer.balance, answer.coins_balance) == (10, 3)
    assert (database.balance(ANA, POINTS), database.balance(ANA, COINS)) == (10, 3)
    again, replayed = (await results(submit(committer, earn(BEA), redeem(ANA, 4))))[1]
    assert (again.balance, replayed) == (6, False)


async def test_the_clock_going_back_keeps_recorded_moments_in_order(database):
    backward = iter(range(2_000_000_000_000_000_000, 0, -60_000_000_000))
    clock = replace(virtual_clock(), time_ns=lambda: next(backward))
    async with committer_on(database, clock=clock) as committer:
        await results(submit(committer, earn(ANA)))
        await results(submit(committer, earn(ANA)))
    moments = [row.recorded_at for row in database.rows]
    assert moments == sorted(moments)
