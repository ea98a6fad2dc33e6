"""Blocking a customer (CUS-9): a row in every wallet, so that no writer goes on from before it."""

from itertools import pairwise
from uuid import UUID

import pytest
from verbs import (
    ANA,
    BEA,
    CAFE,
    COLOMBIA,
    DAY_S,
    FUEL,
    NOW,
    SECOND,
    SOON,
    TODAY,
    ask,
    balances,
    capture,
    earn,
    hold,
    load_wallet,
    post,
    redeem,
    resend,
    void,
)

from engine.codes import COINS, FLAG_BLOCKED, Counter, Kind, Outcome, Refusal
from engine.ledger.core import COPY_HEADER, COPY_TRAILER, Auditor, Ledger
from engine.ledger.statements import Page, Statements
from engine.ledger.verdicts import Verdict
from engine.postgres.connections import create_read_pool
from tests.copy_format import Posting, chained, decode, derived_id, encode, pack_lots

WHY = b'{"reason":"three cities in one day","by":"customer service"}'
AT_FUEL = {"asset": FUEL, "brand_id": FUEL}
TOMORROW = NOW + DAY_S * SECOND


def block(**others):
    return ask(Kind.BLOCK, **{"details": WHY} | others)


def unblock(**others):
    return ask(Kind.UNBLOCK, **{"details": WHY} | others)


def flags_of(rows):
    """Return by asset what the newest of `rows` has for flags."""
    return {row.asset: row.flags for row in rows}


# Blocking and unblocking.


@pytest.mark.parametrize(("verb", "flags"), [(block, FLAG_BLOCKED), (unblock, 0)])
def test_a_block_and_an_unblock_are_a_row_in_every_wallet(ledger, verb, flags):
    post(ledger, earn(5, coins=7), earn(3, **AT_FUEL))
    if verb is unblock:
        post(ledger, block())
    coins, cafe, fuel = post(ledger, asked := verb())
    assert [row.asset for row in (coins, cafe, fuel)] == [COINS, CAFE, FUEL]
    for row in (coins, cafe, fuel):
        assert (row.kind, row.leg, row.flags, row.refusal) == (asked.kind, 0, flags, 0)
        assert (row.amount, row.held_amount, row.requested, row.moved) == (0, 0, 0, {})
        assert (row.counter, row.counter_party) == (Counter.NONE, 0)
        assert row.occurred_at == row.recorded_at == NOW
    assert [row.balance for row in (coins, cafe, fuel)] == [7, 5, 3]
    assert (asked.outcome, asked.amount, asked.balance, asked.held) == (Outcome.POSTED, 0, 7, 0)


def test_the_row_in_the_wallet_of_coins_is_the_operations_own_and_the_others_refer_to_it(ledger):
    post(ledger, earn(5, coins=7))
    coins, cafe = post(ledger, asked := block(fingerprint=77))
    assert (coins.transaction_id, coins.fingerprint) == (asked.transaction_id, 77)
    assert (coins.details, coins.reference) == (WHY, None)
    assert cafe.transaction_id == derived_id(ANA, CAFE, 2)
    assert (cafe.details, cafe.fingerprint, cafe.brand_id) == (None, 0, 0)
    assert cafe.reference == asked.transaction_id


def test_a_customer_without_wallets_is_blocked_by_a_wallet_of_coins(ledger):
    batch = ledger.decide([block()], NOW)
    assert batch.new_wallets == [(ANA, COINS)]
    [row] = decode(batch.journal)
    assert (row.asset, row.seq, row.flags) == (COINS, 1, FLAG_BLOCKED)


def test_a_blocked_customer_neither_earns_nor_spends_until_they_are_unblocked(ledger):
    post(ledger, earn(9, coins=9), payment := hold(2))
    post(ledger, block())
    spending = redeem(1), hold(1), capture(payment)
    post(ledger, earn(1), *spending, new := earn(1, **AT_FUEL))
    assert [one.refusal for one in (*spending, new)] == [Refusal.CUSTOMER_BLOCKED] * 4
    assert balances(ledger) == (7, 2)
    post(ledger, unblock())
    later = earn(1), redeem(1), hold(1), capture(payment), earn(1, **AT_FUEL)
    post(ledger, *later)
    assert [one.refusal for one in later] == [0] * 5


def test_a_block_and_an_unblock_count_for_what_follows_in_their_batch(ledger):
    asked = earn(1), block(), earn(1), unblock(), earn(1)
    rows = post(ledger, *asked)
    assert [one.refusal for one in asked] == [0, 0, Refusal.CUSTOMER_BLOCKED, 0, 0]
    cafe = [(row.kind, row.flags) for row in rows if row.asset == CAFE]
    assert cafe == [(1, 0), (9, 1), (1, 1), (10, 0), (1, 0)]


def test_what_is_held_comes_back_to_a_blocked_customer(ledger):
    post(ledger, earn(coins=10), given_up := hold(1), kept := hold(2))
    post(ledger, block(), resent := resend(kept), voided := void(given_up))
    assert (resent.refusal, voided.refusal) == (0, 0)
    rows = post(ledger, earn(1, coins=1), unblock(), now=SOON)
    assert [row.kind for row in rows if row.asset == COINS] == [Kind.RELEASE, Kind.UNBLOCK]
    assert balances(ledger) == (10, 0)


@pytest.mark.parametrize(("verb", "flags"), [(block, FLAG_BLOCKED), (unblock, 0)])
def test_what_is_so_already_is_written_again_with_its_reason(ledger, verb, flags):
    post(ledger, earn(1, coins=1), verb())
    rows = post(ledger, verb(details=b'{"reason":"another"}'))
    assert flags_of(rows) == {COINS: flags, CAFE: flags}
    assert rows[0].details == b'{"reason":"another"}'


def test_an_unblock_clears_the_flag_wherever_it_is(ledger):
    load_wallet(ledger, CAFE, {}, flags=0)
    load_wallet(ledger, FUEL, {}, flags=FLAG_BLOCKED)
    rows = post(ledger, unblock())
    assert flags_of(rows) == {COINS: 0, CAFE: 0, FUEL: 0}
    assert post(ledger, earn(1))[0].refusal == 0


def test_a_flag_of_another_meaning_is_left_as_it_is(ledger):
    load_wallet(ledger, CAFE, {}, flags=2)
    load_wallet(ledger, COINS, {}, flags=2)
    assert flags_of(post(ledger, block())) == {COINS: 3, CAFE: 3}
    assert flags_of(post(ledger, unblock())) == {COINS: 2, CAFE: 2}


def test_what_is_due_is_written_down_in_the_wallet_of_coins_and_no_other(ledger):
    """The calendar of a brand is not known to a block; the next operation there knows it."""
    post(ledger, earn(5, coins=10, last_day=TODAY), hold(4))
    rows = post(ledger, block(), now=TOMORROW)
    kinds = [(row.asset, row.kind, row.flags, row.balance) for row in rows]
    assert kinds == [
        (COINS, Kind.RELEASE, 0, 10),
        (COINS, Kind.EXPIRY, 0, 0),
        (COINS, Kind.BLOCK, FLAG_BLOCKED, 0),
        (CAFE, Kind.BLOCK, FLAG_BLOCKED, 5),
    ]
    rows = post(ledger, redeem(1), now=TOMORROW)
    assert [(row.kind, row.amount) for row in rows] == [(Kind.EXPIRY, -5), (Kind.REDEMPTION, 0)]


def test_a_discarded_block_blocks_nothing(ledger):
    post(ledger, earn(5))
    ledger.discard(ledger.decide([block()], NOW))
    assert post(ledger, redeem(1))[0].refusal == 0


def test_a_block_is_decided_on_all_wallets_that_there_are(compiled):
    post(compiled, earn(1, coins=1))
    assert compiled.needs_load(block())
    assert compiled.needs_load(unblock())


# Openings.


def test_that_a_brands_wallet_is_opened_is_written_in_the_wallet_of_coins(ledger):
    batch = ledger.decide([earn(5, store_id=70, bill_amount=9, details=b"{}")], NOW)
    opening, _ = decode(batch.journal)
    assert batch.new_wallets == [(ANA, COINS), (ANA, CAFE)]
    assert (opening.asset, opening.seq, opening.kind, opening.leg) == (COINS, 1, Kind.OPENING, 0)
    assert opening.transaction_id == derived_id(ANA, COINS, 1)
    assert (opening.amount, opening.held_amount, opening.requested) == (0, 0, 0)
    assert (opening.counter, opening.counter_party, opening.moved) == (Counter.NONE, 0, {})
    assert (opening.brand_id, opening.store_id, opening.reference) == (CAFE, 0, None)
    assert (opening.fingerprint, opening.bill_amount, opening.details) == (0, None, None)
    assert opening.occurred_at == opening.recorded_at == NOW


def test_each_wallet_is_opened_once(ledger):
    opened = [row.kind for row in post(ledger, earn(1), earn(1, **AT_FUEL)) if not row.asset]
    assert opened == [Kind.OPENING] * 2
    assert [row.asset for row in post(ledger, earn(1), earn(1, **AT_FUEL))] == [CAFE, FUEL]
    assert [row.kind for row in post(ledger, hold(0))] == [Kind.HOLD]


def test_a_sale_that_earns_coins_too_opens_before_it_earns(ledger):
    rows = post(ledger, earn(1, coins=2))
    kinds = [(row.asset, row.seq, row.kind, row.leg) for row in rows]
    assert kinds == [
        (COINS, 1, Kind.OPENING, 0),
        (COINS, 2, Kind.ACCUMULATION, 1),
        (CAFE, 1, Kind.ACCUMULATION, 0),
    ]


@pytest.mark.parametrize("asked", [redeem(5), earn(1, barred=Refusal.INVOICE_ALREADY_CLAIMED)])
def test_a_refusal_opens_a_wallet_in_the_same_way(ledger, asked):
    opening, refused = post(ledger, asked)
    assert (opening.kind, opening.asset, opening.refusal) == (Kind.OPENING, COINS, 0)
    assert (refused.asset, refused.refusal) == (CAFE, asked.refusal)


def test_what_is_due_in_the_wallet_of_coins_is_written_before_an_opening(ledger):
    post(ledger, earn(coins=10, last_day=TODAY), hold(4))
    rows = post(ledger, earn(1, **AT_FUEL), now=TOMORROW)
    kinds = [Kind.RELEASE, Kind.EXPIRY, Kind.OPENING, Kind.ACCUMULATION]
    assert [row.kind for row in rows] == kinds
    assert (rows[2].balance, rows[2].moved) == (0, {})


def test_a_customer_of_an_older_journal_gets_a_wallet_of_coins_with_the_next_brand(ledger):
    load_wallet(ledger, CAFE, {(TODAY, 0): 4}, seq=9)
    assert [row.asset for row in post(ledger, earn(1))] == [CAFE]
    batch = ledger.decide([earn(1, **AT_FUEL)], NOW)
    assert batch.new_wallets == [(ANA, COINS), (ANA, FUEL)]
    assert [(row.asset, row.seq) for row in decode(batch.journal)] == [(COINS, 1), (FUEL, 1)]


def test_openings_of_several_customers_stand_in_the_order_of_the_primary_key(ledger):
    ledger.load_customer(BEA, 0)
    bea = {"customer_id": BEA}
    rows = post(ledger, earn(1, **bea), earn(1, **AT_FUEL), earn(1, coins=1), block(), block(**bea))
    places = [(row.customer_id, row.asset, row.seq) for row in rows]
    assert places == sorted(places)
    for before, row in pairwise(rows):
        if (before.customer_id, before.asset) == (row.customer_id, row.asset):
            assert row.seq == before.seq + 1


# The audit.


def told_of(rows):
    """Return what the audit says of rows, but for what it says of the whole."""
    journal = COPY_HEADER + b"".join(map(encode, rows)) + COPY_TRAILER
    return Auditor().feed(journal)


def rows_with(*kinds_and_flags):
    """Return the rows of one wallet, well chained, that change nothing but the flags."""
    rows, hash_ = [], bytes(16)
    for seq, (kind, flags) in enumerate(kinds_and_flags, 1):
        facts = {"customer_id": ANA, "asset": CAFE, "seq": seq, "occurred_at": 1, "recorded_at": 1}
        row = Posting(**facts, transaction_id=bytes([seq]) * 16, kind=kind, flags=flags)
        rows.append(chained(row, hash_))
        hash_ = rows[-1].hash
    return rows


def test_the_audit_finds_nothing_wrong_with_blocks_openings_and_gifts(ledger):
    asked = [earn(5), block(), earn(1, **AT_FUEL), unblock(), redeem(0)]
    asked += [payment := hold(0), capture(payment)]
    assert told_of(post(ledger, *asked)) == []


@pytest.mark.parametrize("first", [0, FLAG_BLOCKED])
def test_flags_change_with_a_block_and_an_unblock(first):
    rows = [(Kind.RESEND, first), (Kind.BLOCK, 1), (Kind.RESEND, 1), (Kind.BLOCK, 1)]
    rows += [(Kind.UNBLOCK, 0), (Kind.RESEND, 0), (Kind.UNBLOCK, 0)]
    assert told_of(rows_with(*rows)) == []


@pytest.mark.parametrize(
    ("rows", "fault"),
    [
        ([(7, 0), (7, 1)], "seq 2) has flags 1 after 0; only a block or an unblock changes them"),
        ([(9, 1), (7, 0)], "seq 2) has flags 0 after 1; only a block or an unblock changes them"),
        ([(7, 0), (9, 0)], "seq 2) is a block, and does not have the flag of one"),
        ([(9, 0)], "seq 1) is a block, and does not have the flag of one"),
        ([(9, 1), (10, 1)], "seq 2) is an unblock, and has the flag of a block"),
    ],
)
def test_a_flag_that_no_block_explains_is_named(rows, fault):
    [told] = told_of(rows_with(*rows))
    assert told.endswith(fault)


# Collisions, on a real journal.

BEFORE = {
    "no wallet": [],
    "a wallet of coins": [hold(0)],
    "a wallet of the brand": [earn(5)],
    "wallets of another brand": [earn(5, **AT_FUEL)],
}


async def append(journal, ledger, *operations):
    """Decide operations, append them, and settle them by what came of it."""
    batch = ledger.decide(list(operations), NOW)
    verdict = await journal.append(batch)
    settle = ledger.publish if verdict is Verdict.DURABLE else ledger.discard
    settle(batch)
    return verdict


def of(customer_id, operations):
    """Return operations like these of another customer."""
    names = ("kind", "asset", "brand_id", "requested", "expires_day", "code_mac", "tries_max")
    return [
        ask(**{name: getattr(each, name) for name in names}, customer_id=customer_id)
        for each in operations
    ]


async def two_writers(open_journal, customer_id, before):
    """Return two journals with a ledger each, which have loaded one state of the customer."""
    journal = await open_journal()
    ledger = Ledger(COLOMBIA)
    await journal.load(ledger, [customer_id])
    if before:
        assert await append(journal, ledger, *of(customer_id, before)) is Verdict.DURABLE
    writers = []
    for _ in range(2):
        journal, ledger = await open_journal(), Ledger(COLOMBIA)
        assert await journal.load(ledger, [customer_id]) == set()
        writers.append((journal, ledger))
    return writers


@pytest.mark.parametrize("before", BEFORE.values(), ids=BEFORE)
@pytest.mark.parametrize("blocks_first", [True, False])
async def test_of_a_block_and_a_sale_on_one_state_the_second_is_stale(
    open_journal, customers, before, blocks_first
):
    customer_id = next(customers)
    writers = await two_writers(open_journal, customer_id, before)
    asked = [block(customer_id=customer_id), earn(3, customer_id=customer_id)]
    first, second = asked if blocks_first else asked[::-1]
    assert await append(*writers[0], first) is Verdict.DURABLE
    journal, ledger = writers[1]
    assert await append(journal, ledger, second) is Verdict.STALE
    await journal.load(ledger, [customer_id])
    assert await append(journal, ledger, second) is Verdict.DURABLE
    assert second.refusal == (Refusal.CUSTOMER_BLOCKED if blocks_first else 0)
    await journal.load(ledger, [customer_id])
    assert await append(journal, ledger, last := earn(1, customer_id=customer_id)) is (
        Verdict.DURABLE
    )
    assert last.refusal == Refusal.CUSTOMER_BLOCKED


async def test_a_customer_of_an_older_journal_is_blocked_as_well(open_journal, customers):
    """Their row was written when the wallet of a brand was opened without a word elsewhere."""
    customer_id = next(customers)
    [(journal, ledger), (other, stale)] = await two_writers(open_journal, customer_id, [])
    older = pack_lots({}), None, bytes(16), NOW
    for each in (ledger, stale):
        each.load_wallet(customer_id, CAFE, 1, 0, 0, 0, *older)
    assert await append(journal, ledger, block(customer_id=customer_id)) is Verdict.DURABLE
    opens = earn(1, customer_id=customer_id, **AT_FUEL)
    assert await append(other, stale, opens) is Verdict.STALE
    assert await append(other, stale, earn(1, customer_id=customer_id)) is Verdict.STALE


# History.


async def test_history_tells_of_a_block_once_and_of_gifts_and_of_no_refusal(
    open_journal, customers, database
):
    customer_id = next(customers)
    journal, ledger = await open_journal(), Ledger(COLOMBIA)
    await journal.load(ledger, [customer_id])
    ana = {"customer_id": customer_id}
    asked = [earn(5, **ana), redeem(0, **ana), redeem(9, **ana), blocked := block(**ana)]
    asked += [earn(1, **ana), redeem(0, **ana), freed := unblock(**ana)]
    assert await append(journal, ledger, *asked) is Verdict.DURABLE
    pool = await create_read_pool(database, connections_max=1, statement_timeout_ms=2000)
    page = {"asset": None, "brand_id": None, "before": None, "limit": 20}
    rows = await Statements(pool).history(customer_id, Page(**page))
    receipt = await Statements(pool).receipt(customer_id, blocked.transaction_id)
    pool.terminate()
    listed = sorted((row["kind"], row["asset"]) for row in rows)
    assert listed == [(Kind.ACCUMULATION, CAFE), (Kind.REDEMPTION, CAFE), (9, COINS), (10, COINS)]
    ids = {row["transaction_id"] for row in rows if row["asset"] == COINS}
    assert ids == {UUID(bytes=one.transaction_id) for one in (blocked, freed)}
    assert {row["details"] for row in rows if row["asset"] == COINS} == {WHY.decode()}
    assert (receipt.kind, receipt.details, receipt.refusal) == (Kind.BLOCK, WHY, 0)
