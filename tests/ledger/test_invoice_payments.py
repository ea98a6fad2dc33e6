"""What payments say of the coins on their invoice, and what the database makes of it (INV-8).

The procedure `pay_invoice` decides; `bars_of_payments` says of whom it would refuse, and why.
"""

from contextlib import suppress

import asyncpg
import orjson
import pytest
from harness import connection_to
from verbs import NOW, RIGHT, SECOND, WRONG, capture, hold, load_wallet, pay, post, reverse, void

from engine.codes import COINS, Kind, Refusal
from engine.ledger.claims import bars_of_payments, literal
from engine.ledger.core import Ledger, Operation
from engine.postgres.sql import queries
from tests.copy_format import leg_of

INVOICE = {"invoice_number": b"fv-1", "coins_max": 50}
PLACE = (90, b"FV1")
LOTS = {(20_600, 7): 100}


@pytest.fixture
def paid(ledger):
    """Return what decides operations and gives (rows, how the coins of invoices change)."""
    load_wallet(ledger, COINS, LOTS)

    def decide(*operations, now=NOW):
        batch = ledger.decide(list(operations), now)
        ledger.publish(batch)
        return batch.invoice_payments

    return decide


def test_a_hold_adds_coins_and_its_capture_pays_them(paid):
    held = hold(5, **INVOICE)
    assert paid(held) == [(*PLACE, 50, 5, 0, False)]
    assert paid(capture(held, WRONG)) == []
    assert paid(capture(held)) == [(*PLACE, -1, 0, 5, False)]


def test_a_payment_at_once_adds_coins_that_are_paid(paid):
    assert paid(pay(5, **INVOICE, printed=True)) == [(*PLACE, 50, 5, 5, True)]


@pytest.mark.parametrize("how", ["void", "guess", "time", "refused"])
def test_a_hold_that_ends_gives_the_coins_of_its_invoice_back(paid, how):
    held = hold(5, **INVOICE, tries_max=1)
    paid(held)
    end, now = {
        "void": (void(held), NOW),
        "guess": (capture(held, WRONG), NOW),
        "time": (pay(1, qr_issued_at=1), NOW + 301 * SECOND),
        "refused": (capture(held, barred=Refusal.INVOICE_VOIDED), NOW),
    }[how]
    assert paid(end, now=now) == [(*PLACE, -1, -5, 0, False)]


def test_a_reversal_gives_back_coins_that_were_paid(ledger, paid):
    [row] = post(ledger, payment := pay(5, **INVOICE))
    leg = leg_of(row, invoice=PLACE)
    assert paid(reverse([row], original=[leg])) == [(*PLACE, -1, -5, -5, False)]
    assert payment.printed is False


def test_changes_of_one_invoice_stay_in_the_order_of_the_decisions(paid):
    first, second = hold(5, **INVOICE), pay(2, invoice_number=b"FV 1", coins_max=9, printed=True)
    other = pay(1, invoice_number=b"a-1", qr_issued_at=2)
    assert paid(first, second, other, void(first)) == [
        (90, b"A1", -1, 1, 1, False),
        (*PLACE, 50, 5, 0, False),
        (*PLACE, 9, 2, 2, True),
        (*PLACE, -1, -5, 0, False),
    ]


def test_what_pays_no_invoice_changes_none(paid):
    held = hold(5)
    assert paid(held, capture(held), pay(0, **INVOICE), pay(3, qr_issued_at=4)) == []


def test_the_right_code_of_a_hold_that_is_barred_gives_the_coins_back(ledger):
    load_wallet(ledger, COINS, LOTS)
    held = hold(5, **INVOICE)
    post(ledger, held)
    [wrong] = post(ledger, capture(held, WRONG, barred=Refusal.INVOICE_VOIDED))
    assert (wrong.refusal, wrong.amount) == (Refusal.CODE_INVALID, 0)
    asked = capture(held, RIGHT, barred=Refusal.INVOICE_VOIDED)
    [row] = post(ledger, asked)
    assert (row.kind, row.refusal) == (Kind.CAPTURE, Refusal.INVOICE_VOIDED)
    assert (row.amount, row.held_amount, row.balance, row.held) == (5, -5, 100, 0)
    assert (row.counter, row.lots, row.holds) == (0, LOTS, ())
    assert (asked.refusal, asked.amount, asked.balance) == (Refusal.INVOICE_VOIDED, 0, 100)


def test_a_printed_amount_is_one_that_is_known():
    with pytest.raises(ValueError, match="what was printed has an amount"):
        pay(5, invoice_number=b"fv-1", printed=True)
    with pytest.raises(ValueError, match="nothing but a payment of an invoice"):
        pay(5, coins_max=5, printed=True)


# What the database makes of it.


@pytest.fixture
async def connection(database):
    async with connection_to(database) as connection:
        yield connection


def call_of(operation, settled=False):
    """Return the statement of a payment, as an append has it."""
    ledger = Ledger(0)
    ledger.load_customer(operation.customer_id, 0)
    load_wallet(ledger, COINS, {(20_600, 7): 10_000})
    batch = ledger.decide([operation], NOW)
    [(store, key, *change)] = batch.invoice_payments
    most, more, paid, printed = change
    return (
        f"call pay_invoice({store},{literal(key)},{most},{more}"
        f",settled=>{paid if settled else 0},printed=>{printed})"
    )


async def kept_of(connection):
    """Return the rows of the invoice, by the query of a journal."""
    return await connection.fetch(queries("journal")["find_paid"], [PLACE[0]], ["FV1"])


async def applied(connection, statements):
    """Carry statements out together or not at all; return whether they were."""
    with suppress(asyncpg.CheckViolationError):
        async with connection.transaction():
            for statement in statements:
                await connection.execute(statement)
        return True
    return False


def drawn(dice):
    """Return a payment that may or may not fit."""
    coins_max = dice.choice([-1, 5, 8, 20, 40])
    printed = coins_max >= 0 and dice.random() < 0.3
    facts = {"invoice_number": b"fv 1", "coins_max": coins_max, "printed": printed}
    return hold(dice.randrange(1, 12), **facts)


async def test_whom_the_database_refuses_is_barred_and_nobody_else(connection, dice):
    outcomes = set()
    for _ in range(400):
        rows, payment = await kept_of(connection), drawn(dice)
        barred = bars_of_payments([payment], rows)
        fits = await applied(connection, [call_of(payment)])
        assert fits != bool(barred), (rows, payment.coins_max, payment.printed, payment.requested)
        outcomes.add((fits, payment.printed))
        for bar in barred.values():
            left = orjson.loads(bar.details)["left"]
            assert bar.refusal == Refusal.EXCEEDS_INVOICE
            assert 0 <= left < payment.requested
            for coins in (left + 1, left)[: 1 + bool(left)]:
                asked = Operation(**facts_of(payment) | {"requested": coins})
                assert await applied(connection, [call_of(asked)]) == (coins == left)
        [row] = await kept_of(connection)
        if row["coins"] and dice.random() < 0.3:
            back = dice.choice([row["coins"], dice.randrange(1, row["coins"] + 1)])
            assert await applied(connection, [f"call pay_invoice(90,'FV1',-1,{-back})"])
    assert outcomes == {(True, False), (False, False), (True, True), (False, True)}


async def test_of_several_payments_those_that_are_not_barred_fit_together(connection, dice):
    refused = 0
    for _ in range(150):
        payments = [drawn(dice) for _ in range(dice.randrange(2, 6))]
        barred = bars_of_payments(payments, await kept_of(connection))
        fitting = [one for one in payments if one.transaction_id not in barred]
        refused += len(barred)
        assert await applied(connection, map(call_of, payments)) == (barred == {})
        if barred:
            assert await applied(connection, map(call_of, fitting))
        coins = (await kept_of(connection))[0]["coins"] if fitting else 0
        if coins and dice.random() < 0.6:
            assert await applied(connection, [f"call pay_invoice(90,'FV1',-1,{-coins})"])
    assert refused > 50


async def test_on_a_voided_invoice_coins_go_back_and_nothing_is_paid(connection):
    payment = hold(5, invoice_number=b"v-1", coins_max=50)
    held = call_of(payment)
    assert await applied(connection, [held])
    await connection.execute("update invoice_payment set voided = true where invoice_key = 'V1'")
    for more in (held, call_of(Operation(**facts_of(payment) | {"printed": True}))):
        assert not await applied(connection, [more])
    assert not await applied(connection, ["call pay_invoice(90,'V1',-1,0,settled=>5)"])
    assert await applied(connection, ["call pay_invoice(90,'V1',-1,-5)"])
    assert not await applied(connection, [held])
    rows = await connection.fetch(queries("journal")["find_paid"], [90], ["V1"])
    barred = bars_of_payments([payment], rows)
    assert [bar.refusal for bar in barred.values()] == [Refusal.INVOICE_VOIDED]


def facts_of(payment):
    """Return what a hold was asked with."""
    names = ("kind", "customer_id", "transaction_id", "store_id", "requested", "code_mac")
    names += ("tries_max", "hold_expires_at", "invoice_number", "coins_max", "printed")
    return {name: getattr(payment, name) for name in names}
