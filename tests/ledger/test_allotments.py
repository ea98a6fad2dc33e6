"""Coins of prepaid issuers (COI-2): what is issued is drawn from an allotment, and comes back."""

import asyncio
from uuid import UUID, uuid4

import pytest
from harness import connection_to
from verbs import (
    BEA,
    CAFE,
    COLOMBIA,
    FUEL,
    NOW,
    ask,
    cash_back,
    convert,
    earn,
    load_wallet,
    pay,
    reverse,
    rows_of,
)

from engine.codes import COINS, FLAG_BLOCKED, Counter, Kind, Refusal
from engine.ledger.core import Ledger, Leg
from engine.ledger.journal import append_statement
from engine.ledger.verdicts import Verdict
from engine.programme.funds import SQL
from tests.copy_format import decode

FIRST, SECOND = b"1" * 16, b"2" * 16


def decided(ledger, *operations):
    """Decide and publish operations; return (the batch, its rows)."""
    batch = ledger.decide(list(operations), NOW)
    ledger.publish(batch)
    return batch, decode(batch.journal)


# What a batch draws.


def test_a_row_that_issues_coins_names_what_paid_for_them(ledger):
    sale = earn(5, coins=50, allotment_id=FIRST)
    given = cash_back(7, allotment_id=SECOND)
    batch, rows = decided(ledger, sale, given)
    points, coins = rows_of(rows, sale)
    assert (points.reference, coins.reference) == (None, FIRST)
    assert (coins.counter, coins.counter_party) == (Counter.COINS_ISSUED, CAFE)
    (cashback,) = rows_of(rows, given)
    assert (cashback.reference, cashback.counter) == (SECOND, Counter.COINS_ISSUED)
    assert batch.draws == [(FIRST, 50, 0), (SECOND, 7, 0)]
    assert batch.refunds == []


def test_draws_of_one_allotment_add_up_and_come_in_order(ledger):
    ledger.load_customer(BEA, 0)
    batch, _ = decided(
        ledger,
        earn(coins=3, allotment_id=SECOND),
        earn(coins=4, allotment_id=FIRST, customer_id=BEA),
        cash_back(5, allotment_id=SECOND, customer_id=BEA),
        earn(coins=100),
        convert(100),
        cash_back(100),
    )
    assert batch.draws == [(FIRST, 4, 0), (SECOND, 8, 0)]


@pytest.mark.parametrize("why", ["barred", "blocked", "invoice", "room"])
def test_what_is_refused_draws_nothing(ledger, why):
    load_wallet(ledger, CAFE, {}, flags=FLAG_BLOCKED * (why == "blocked"))
    load_wallet(ledger, COINS, {(20_600, CAFE): 2**53} if why == "room" else {})
    invoice = {"invoice_number": b"F-1", "store_id": 1} if why == "invoice" else {}
    before = [earn(1, **invoice)] if why == "invoice" else []
    barred = Refusal.LIMIT_REACHED * (why == "barred")
    sale = earn(5, coins=50, allotment_id=FIRST, barred=barred, **invoice)
    batch, rows = decided(ledger, *before, sale)
    assert sale.refusal != 0
    assert batch.draws == []
    assert [row.reference for row in rows_of(rows, sale)] == [None]
    given = cash_back(5, allotment_id=FIRST, barred=barred)
    if why != "invoice":
        batch, rows = decided(ledger, given)
        assert (batch.draws, given.refusal != 0) == ([], True)
        assert [row.reference for row in rows_of(rows, given)] == [None]


def test_what_is_discarded_was_never_drawn(ledger):
    ledger.discard(ledger.decide([earn(coins=5, allotment_id=FIRST)], NOW))
    batch, _ = decided(ledger, earn(coins=6, allotment_id=FIRST))
    assert batch.draws == [(FIRST, 6, 0)]


# What comes back.


def test_a_reversal_gives_the_fund_back_what_an_allotment_paid(ledger):
    sale, given, free = (
        earn(5, coins=50, allotment_id=FIRST),
        cash_back(7, allotment_id=SECOND),
        earn(5, coins=9),
    )
    _, rows = decided(ledger, sale, given, free)
    decided(ledger, pay(60))  # also of what was spent
    undone = [reverse(rows_of(rows, each)) for each in (sale, given, free)]
    batch, _ = decided(ledger, *undone)
    assert [each.refusal for each in undone] == [0, 0, 0]
    assert batch.draws == [(FIRST, 0, 50), (SECOND, 0, 7)]
    assert batch.refunds == [(CAFE, 57)]


def test_a_reversal_that_is_refused_gives_nothing_back(ledger):
    sale = earn(5, coins=50, allotment_id=FIRST)
    _, rows = decided(ledger, sale)
    batch, _ = decided(ledger, reverse(rows_of(rows, sale), barred=Refusal.ALREADY_REVERSED))
    assert (batch.draws, batch.refunds) == ([], [])
    first, second = (reverse(rows_of(rows, sale)) for _ in range(2))
    batch, _ = decided(ledger, first, second)
    assert (first.refusal, second.refusal) == (0, Refusal.ALREADY_REVERSED)
    assert (batch.draws, batch.refunds) == ([(FIRST, 0, 50)], [(CAFE, 50)])


def test_one_allotment_pays_and_has_back_in_one_batch(ledger):
    sale = earn(5, coins=50, allotment_id=FIRST)
    _, rows = decided(ledger, sale)
    batch, _ = decided(
        ledger, reverse(rows_of(rows, sale)), earn(coins=3, allotment_id=FIRST), earn(coins=1)
    )
    assert batch.draws == [(FIRST, 3, 50)]


# What may be asked for.


@pytest.mark.parametrize(
    ("kind", "facts", "why"),
    [
        (Kind.ACCUMULATION, {"asset": CAFE, "coins": 5, "allotment_id": b"short"}, "16 bytes"),
        (Kind.ACCUMULATION, {"asset": CAFE, "allotment_id": FIRST}, "issues coins"),
        (Kind.CASHBACK, {"allotment_id": FIRST}, "issues coins"),
        (Kind.REDEMPTION, {"asset": CAFE, "requested": 5, "allotment_id": FIRST}, "issues coins"),
        (Kind.PAYMENT, {"requested": 5, "allotment_id": FIRST}, "issues coins"),
    ],
)
def test_nothing_but_what_issues_coins_has_an_allotment(kind, facts, why):
    last_days = {"expires_day": 20_600, "coins_expires_day": 20_600}
    last_days |= {"claim_reference": b"O-1"} if kind == Kind.CASHBACK else {}
    with pytest.raises(ValueError, match=why):
        ask(kind, **last_days | facts)


def test_a_leg_of_another_counter_account_has_no_allotment():
    with pytest.raises(ValueError, match="issues coins"):
        Leg(asset=CAFE, kind=Kind.ACCUMULATION, moved=[], allotment_id=FIRST)


def test_an_operation_tells_how_many_coins_a_brand_issues_by_it():
    asked = earn(5, coins=7), earn(5), cash_back(3), convert(4), pay(2)
    assert [each.coins_issued for each in asked] == [7, 0, 3, 0, 0]


def test_funds_and_allotments_come_before_all_other_rows(compiled):
    sale = earn(5, coins=50, allotment_id=SECOND)
    _, rows = decided(compiled, sale)
    back = reverse(rows_of(rows, sale))
    new = earn(1, coins=2, allotment_id=FIRST, asset=FUEL, brand_id=FUEL)
    batch = compiled.decide([back, new], NOW)
    assert append_statement(batch).split(";")[:3] == [
        f"update issuer_fund set coins=coins+50 where brand_id={CAFE}",
        f"call draw_coins('{FIRST.hex()}',2,0)",
        f"call draw_coins('{SECOND.hex()}',0,50)",
    ]


# On a real journal.


@pytest.fixture
async def books(open_journal, customers, database):
    """Give (a journal, a ledger that knows a customer, the customer, a connection)."""
    journal, ledger, customer_id = await open_journal(), Ledger(COLOMBIA), next(customers)
    await journal.load(ledger, [customer_id])
    async with connection_to(database) as connection:
        yield journal, ledger, customer_id, connection


async def append(journal, ledger, *operations):
    batch = ledger.decide(list(operations), NOW)
    verdict = await journal.append(batch)
    (ledger.publish if verdict is Verdict.DURABLE else ledger.discard)(batch)
    return verdict


async def opened(connection, coins, brand_id=CAFE):
    """Return an allotment with so many coins."""
    allotment_id = uuid4()
    await connection.execute(
        "insert into issuer_allotment values ($1, $2, $3, 0, now())", allotment_id, brand_id, coins
    )
    return allotment_id.bytes


async def standing(connection, allotment_id):
    query = "select coins, drawn from issuer_allotment where allotment_id = $1"
    return tuple(await connection.fetchrow(query, UUID(bytes=allotment_id)))


async def test_coins_are_drawn_by_the_transaction_that_issues_them(books):
    journal, ledger, ana, connection = books
    allotment_id = await opened(connection, 100)
    sale = earn(5, coins=60, allotment_id=allotment_id, customer_id=ana)
    assert await append(journal, ledger, sale) is Verdict.DURABLE
    assert await standing(connection, allotment_id) == (100, 60)
    too_much = earn(5, coins=41, allotment_id=allotment_id, customer_id=ana)
    assert await append(journal, ledger, too_much) is Verdict.SEEN
    assert await journal.find_taken([too_much]) == {too_much.transaction_id}
    assert await standing(connection, allotment_id) == (100, 60)
    rest = earn(5, coins=40, allotment_id=allotment_id, customer_id=ana)
    assert await append(journal, ledger, rest) is Verdict.DURABLE
    assert await standing(connection, allotment_id) == (100, 100)


async def test_an_allotment_that_is_not_there_issues_nothing(books):
    """A failover may have lost it."""
    journal, ledger, ana, _ = books
    sale = earn(5, coins=1, allotment_id=FIRST, customer_id=ana)
    assert await append(journal, ledger, sale) is Verdict.SEEN
    assert await journal.find_taken([sale]) == {sale.transaction_id}


async def test_only_whose_allotment_has_not_enough_for_all_of_them_is_found(books):
    journal, _, ana, connection = books
    enough, little = await opened(connection, 10), await opened(connection, 9)
    of_enough = [earn(coins=5, allotment_id=enough, customer_id=ana) for _ in range(2)]
    of_little = [earn(coins=5, allotment_id=little, customer_id=ana) for _ in range(2)]
    others = [earn(5, coins=5, customer_id=ana), convert(4, customer_id=ana)]
    found = await journal.find_taken([*of_enough, *others, *of_little])
    assert found == {each.transaction_id for each in of_little}


async def test_a_reversal_takes_the_coins_out_of_the_allotment_and_into_the_fund(books):
    journal, ledger, ana, connection = books
    allotment_id = await opened(connection, 100)
    await connection.execute("insert into issuer_fund (brand_id, coins) values ($1, 5)", CAFE)
    sale = earn(5, coins=60, allotment_id=allotment_id, customer_id=ana)
    await append(journal, ledger, sale)
    apart = Ledger(COLOMBIA)  # the same sale, for its rows
    apart.load_customer(ana, 0)
    _, rows = decided(apart, sale)
    back = reverse(rows_of(rows, sale), customer_id=ana)
    assert await append(journal, ledger, back) is Verdict.DURABLE
    assert await standing(connection, allotment_id) == (40, 0)
    left = "select coins from issuer_fund where brand_id = $1"
    assert await connection.fetchval(left, CAFE) == 65


async def test_who_closes_an_allotment_waits_for_a_draw_under_way(books, database):
    """What is taken back is what was not drawn, and not what was not drawn a moment ago."""
    *_, connection = books
    allotment_id = await opened(connection, 100)
    async with connection_to(database) as drawing:
        transaction = drawing.transaction()
        await transaction.start()
        await drawing.execute("call draw_coins($1, 70, 0)", UUID(bytes=allotment_id))
        closing = asyncio.create_task(connection.fetch(SQL["take_back"], CAFE, 0))
        await asyncio.sleep(0.2)
        assert not closing.done()
        await transaction.commit()
        taken = {row["allotment_id"].bytes: row["coins"] for row in await closing}
    assert taken[allotment_id] == 30
    assert await standing(connection, allotment_id) == (70, 70)
