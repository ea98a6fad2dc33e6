"""Reversals: a transaction is undone once and whole, into the very lots it came from."""

import asyncio
from contextlib import asynccontextmanager
from uuid import UUID

import pytest
from harness import connection_to
from verbs import (
    ANA,
    BEA,
    CAFE,
    COLOMBIA,
    DAY_S,
    FUEL,
    GUATEMALA,
    NOW,
    QR,
    SECOND,
    TODAY,
    WRONG,
    ask,
    balances,
    capture,
    cash_back,
    convert,
    donate,
    earn,
    hold,
    load_wallet,
    pay,
    post,
    redeem,
    resend,
    reverse,
    rows_of,
    void,
)

from engine.codes import COINS, DEBT_DAY, FLAG_BLOCKED, Counter, Kind, Refusal
from engine.ledger.audit import audit_journal
from engine.ledger.committer import Committer
from engine.ledger.core import Leg, Operation
from engine.ledger.journal import append_statement
from engine.ledger.receipts import Once, legs_of
from engine.ledger.statements import Page, Statements
from engine.metrics import Metrics
from engine.postgres.connections import create_read_pool
from engine.settings import Settings
from tests.copy_format import decode, leg_of, negated

LATER = TODAY + 30
TOMORROW = NOW + DAY_S * SECOND
MUG = 11
AT_BEA = {"customer_id": BEA}


def undone(ledger, asked, *, before=(), after=(), now=NOW, **others):
    """Post what is asked for, and its reversal; return its rows, the reversal and its rows."""
    rows = post(ledger, *before, asked)
    own = rows_of(rows, asked)
    post(ledger, *after)
    reversal = reverse(own, **others)
    return own, reversal, post(ledger, reversal, now=now)


# What earned is taken back.


def test_a_reversed_sale_takes_back_both_legs_by_a_row_each(ledger):
    sale = earn(12, coins=50, store_id=70, bill_amount=9, details=b"{}")
    (points, coins), asked, rows = undone(
        ledger, sale, before=[earn(3, coins=4)], store_id=71, details=b'{"reason":"returned"}'
    )
    back_coins, back_points = rows
    assert (back_points.kind, back_points.leg, back_points.asset) == (16, 0, CAFE)
    assert (back_coins.kind, back_coins.leg, back_coins.asset) == (16, 1, COINS)
    for row, earned in ((back_points, points), (back_coins, coins)):
        assert (row.amount, row.requested, row.held_amount) == (-earned.amount, earned.amount, 0)
        assert row.moved == negated(earned.moved)
        assert (row.counter, row.counter_party) == (earned.counter, earned.counter_party)
        assert (row.reference, row.transaction_id) == (sale.transaction_id, asked.transaction_id)
        assert (row.store_id, row.fingerprint) == (71, asked.fingerprint)
        assert (row.bill_amount, row.invoice_number) == (None, None)
    assert (back_points.details, back_coins.details) == (b'{"reason":"returned"}', None)
    assert (asked.amount, asked.balance, asked.refusal) == (-12, 3, 0)
    assert (asked.has_coins, asked.coins_amount, asked.coins_balance) == (True, -50, 4)
    assert (asked.asset, asked.requested) == (CAFE, 12)


@pytest.mark.parametrize("gives", [convert(10), cash_back(10)], ids=["conversion", "cashback"])
def test_what_a_partner_or_a_brand_gave_is_taken_back(ledger, gives):
    [made], asked, [row] = undone(ledger, gives)
    assert (row.amount, row.moved, row.lots) == (-10, negated(made.moved), {})
    assert (row.counter, row.counter_party) == (made.counter, made.counter_party)
    assert (asked.asset, asked.amount, asked.balance, asked.has_coins) == (COINS, -10, 0, False)


def test_what_is_open_of_the_very_lot_is_taken_and_the_rest_is_owed(ledger):
    others = [cash_back(20, last_day=LATER + 1), cash_back(30, brand_id=FUEL)]
    _, asked, (back, repaid) = undone(ledger, cash_back(10), before=others, after=[pay(4)])
    assert back.moved == {(DEBT_DAY, CAFE): -4, (LATER, CAFE): -6}
    assert (back.amount, back.balance, asked.balance) == (-10, 46, 46)
    assert repaid.moved == {(DEBT_DAY, CAFE): 4, (LATER, FUEL): -4}
    assert repaid.lots == {(LATER, FUEL): 26, (LATER + 1, CAFE): 20}


def test_what_others_put_into_the_same_lot_is_as_good(ledger):
    _, _, [back] = undone(ledger, cash_back(10), after=[pay(4), cash_back(4)])
    assert (back.moved, back.lots) == ({(LATER, CAFE): -10}, {})


def test_what_is_held_is_not_open_and_is_owed(ledger):
    _, asked, [back] = undone(ledger, cash_back(10), after=[payment := hold(7)])
    assert back.moved == {(DEBT_DAY, CAFE): -7, (LATER, CAFE): -3}
    assert (asked.balance, asked.held) == (-7, 7)
    post(ledger, capture(payment))
    assert balances(ledger) == (-7, 0)


# What was spent comes back.


def test_a_reversed_redemption_gives_back_the_very_lots(ledger):
    before = [earn(5, last_day=TODAY + 1), earn(5)]
    [spent], asked, [back] = undone(ledger, redeem(7), before=before)
    assert (back.amount, back.balance, back.moved) == (7, 10, negated(spent.moved))
    assert back.lots == {(TODAY + 1, 0): 5, (LATER, 0): 5}
    assert (back.counter, back.counter_party) == (Counter.POINTS_REDEEMED, CAFE)
    assert (asked.amount, asked.balance, asked.requested) == (7, 10, 7)


@pytest.mark.parametrize("spends", [pay(7), donate(7)], ids=["payment", "donation"])
def test_reversed_coins_come_back_with_their_issuers(ledger, spends):
    before = [cash_back(5), cash_back(5, brand_id=FUEL)]
    [spent], asked, [back] = undone(ledger, spends, before=before)
    assert back.moved == negated(spent.moved) == {(LATER, CAFE): 5, (LATER, FUEL): 2}
    assert (back.counter, back.counter_party) == (spent.counter, spent.counter_party)
    assert (asked.amount, asked.balance) == (7, 10)


def test_a_reversed_capture_gives_back_what_was_held(ledger):
    post(ledger, cash_back(10), payment := hold(7))
    [taken], asked, [back] = undone(ledger, capture(payment))
    assert (taken.amount, taken.held_amount) == (0, -7)
    assert (back.amount, back.held_amount, back.balance, back.held) == (7, 0, 10, 0)
    assert back.moved == {(LATER, CAFE): 7}
    assert (back.counter, back.counter_party) == (Counter.COINS_SETTLED, FUEL)
    assert (asked.amount, asked.requested, asked.balance) == (7, 7, 10)


def test_a_gift_is_reversed_by_a_row_of_nothing(ledger):
    _, asked, [back] = undone(ledger, redeem(0))
    assert (back.amount, back.moved, back.counter) == (0, {}, Counter.POINTS_REDEEMED)
    assert asked.refusal == 0


def test_what_has_expired_meanwhile_comes_back_expired(ledger):
    before = [earn(5, last_day=TODAY), earn(5)]
    _, asked, (back, broken) = undone(ledger, redeem(7), before=before, now=TOMORROW)
    assert (back.kind, back.amount, back.balance) == (Kind.REVERSAL, 7, 10)
    assert (broken.kind, broken.moved, broken.balance) == (Kind.EXPIRY, {(TODAY, 0): -5}, 5)
    assert (broken.counter, broken.counter_party) == (Counter.POINTS_EXPIRED, CAFE)
    assert (asked.amount, asked.balance) == (7, 10)  # what its own row says, and every retry


@pytest.mark.parametrize(("offset", "kinds"), [(COLOMBIA, [16, 8]), (GUATEMALA, [16])])
def test_which_day_it_is_says_the_calendar_of_the_brand(ledger, offset, kinds):
    midnight = ((TODAY + 1) * DAY_S - COLOMBIA) * SECOND
    calendar = {"utc_offset": offset}
    before = [earn(5, last_day=TODAY, **calendar)]
    asked = redeem(5, **calendar)
    _, _, rows = undone(ledger, asked, before=before, now=midnight, **calendar)
    assert [row.kind for row in rows] == kinds


def test_coins_expire_by_their_own_calendar_wherever_they_are_reversed(ledger):
    midnight = ((TODAY + 1) * DAY_S - COLOMBIA) * SECOND
    before = [cash_back(5, last_day=TODAY)]
    _, _, rows = undone(ledger, pay(5), before=before, now=midnight, utc_offset=GUATEMALA)
    assert [row.kind for row in rows] == [Kind.REVERSAL, Kind.EXPIRY]


def test_what_expired_before_it_is_taken_back_is_owed(ledger):
    """The journal tells that the lot is gone; of what it went by a reversal asks no more."""
    _, asked, rows = undone(ledger, cash_back(10, last_day=TODAY), now=TOMORROW)
    assert [(row.kind, row.balance) for row in rows] == [(Kind.EXPIRY, 0), (Kind.REVERSAL, -10)]
    assert (rows[1].moved, asked.balance) == ({(DEBT_DAY, CAFE): -10}, -10)


def test_all_that_happened_is_undone_by_undoing_all_of_it(ledger):
    rows = post(ledger, sale := earn(9, coins=9), convert(5), paid := pay(12), gift := redeem(9))
    asked = [reverse(rows_of(rows, one)) for one in (sale, paid, gift)]
    rows = post(ledger, *asked)
    assert [one.refusal for one in asked] == [0, 0, 0]
    assert (balances(ledger), balances(ledger, CAFE)) == ((5, 0), (0, 0))
    assert [row.kind for row in rows if row.asset == COINS] == [16, 17, 16, 17]


# Who may, and what.


def test_a_block_and_a_profile_are_not_in_the_way(ledger):
    ledger.load_customer(ANA, 63)
    load_wallet(ledger, COINS, {(LATER, CAFE): 10}, flags=FLAG_BLOCKED)
    leg = {"asset": COINS, "kind": Kind.CASHBACK, "amount": 10, "moved": [(LATER << 32 | CAFE, 10)]}
    original = [Leg(**leg, counter=Counter.COINS_ISSUED, counter_party=CAFE)]
    asked = ask(Kind.REVERSAL, reference=b"t" * 16, original=original, needs_profile=True)
    [row] = post(ledger, asked)
    assert (row.refusal, row.balance, row.flags) == (0, 0, FLAG_BLOCKED)


def test_only_what_earned_or_spent_is_reversible(ledger):
    post(ledger, cash_back(50), kept := hold(1), other := hold(2, tries_max=1))
    wrong = capture(other, WRONG)
    asked = [earn(1, barred=7), redeem(99), hold(3), resend(kept), void(kept), wrong]
    asked += [pay(999), donate(999), convert(1, barred=14), cash_back(1, barred=10)]
    asked += [ask(Kind.BLOCK), ask(Kind.UNBLOCK)]
    rows = post(ledger, *asked)
    rows += post(ledger, earn(coins=1, last_day=TODAY - 1), donate(999))
    rows += post(ledger, sale := earn(3))
    rows += (reversal := post(ledger, reverse(rows_of(rows, sale))))
    refused = {}
    for row in rows:
        if row.kind != Kind.ACCUMULATION or row.refusal:
            post(ledger, undo := reverse([row]))
            refused[row.kind, row.refusal] = undo.refusal
    assert set(refused.values()) == {Refusal.NOT_REVERSIBLE}
    assert {kind for kind, _ in refused} == set(Kind) - {Kind.RELEASE, Kind.REPAYMENT}
    assert [row.kind for row in reversal] == [Kind.REVERSAL]


def test_a_refusal_stands_in_the_wallet_of_the_first_leg(ledger):
    post(ledger, other := earn(1))
    rows = post(ledger, hold(0), refused := redeem(5))
    [row] = post(ledger, asked := reverse(rows_of(rows, refused), details=b"{}"))
    assert (row.asset, row.leg, row.kind) == (CAFE, 0, Kind.REVERSAL)
    assert (row.refusal, row.amount, row.moved) == (Refusal.NOT_REVERSIBLE, 0, {})
    assert (row.reference, row.details) == (refused.transaction_id, b"{}")
    assert (asked.refusal, asked.amount, asked.balance, other.balance) == (16, 0, 1, 1)


def test_a_transaction_is_reversed_once_in_a_batch(ledger):
    ledger.load_customer(BEA, 0)
    hers = post(ledger, earn(5, **AT_BEA))
    rows = post(ledger, sale := earn(5))
    first, second = (reverse(rows_of(rows, sale)) for _ in range(2))
    other = reverse(hers[1:], reference=sale.transaction_id, **AT_BEA)
    post(ledger, first, second, other)
    assert [one.refusal for one in (first, second, other)] == [0, Refusal.ALREADY_REVERSED, 0]
    assert balances(ledger, CAFE) == (0, 0)


def test_a_refused_reversal_leaves_room_for_another(ledger):
    rows = post(ledger, sale := earn(5))
    own = rows_of(rows, sale)
    post(ledger, refused := reverse(own, barred=Refusal.NOT_REVERSIBLE), done := reverse(own))
    assert (refused.refusal, done.refusal) == (Refusal.NOT_REVERSIBLE, 0)


def test_a_reversal_needs_no_fresh_state(compiled):
    rows = post(compiled, sale := earn(5))
    assert not compiled.needs_load(reverse(rows_of(rows, sale)))


# Stock and turns.


def test_a_batch_tells_the_units_and_turns_that_come_back(ledger):
    ledger.load_customer(BEA, 0)
    taken = [redeem(0, item_id=MUG, unit=n, turn=n) for n in (2, 1)]
    taken += [redeem(0, item_id=MUG, unit=3, **AT_BEA), redeem(0)]
    rows = post(ledger, *taken)
    asked = []
    for one in taken:
        item = {"item_id": one.item_id, "unit": one.unit, "turn": one.turn}
        whose = {"customer_id": one.customer_id}
        asked.append(reverse(rows_of(rows, one), item=item, **whose))
    again = redeem(0, item_id=MUG, unit=2, turn=2)
    batch = ledger.decide([*asked, again], NOW)
    ids = [one.transaction_id for one in taken]
    assert batch.freed_units == [(MUG, 1, ids[1]), (MUG, 2, ids[0]), (MUG, 3, ids[2])]
    assert batch.freed_turns == [(ANA, MUG, 1, ids[1]), (ANA, MUG, 2, ids[0])]
    assert batch.units == [(MUG, 2, ANA, again.transaction_id)]
    assert again.refusal == 0


def test_a_refused_reversal_frees_nothing(ledger):
    rows = post(ledger, taken := redeem(0, item_id=MUG, unit=1, turn=1))
    item = {"item_id": MUG, "unit": 1, "turn": 1}
    asked = reverse(rows_of(rows, taken), item=item, barred=Refusal.ALREADY_REVERSED)
    batch = ledger.decide([asked], NOW)
    assert (batch.freed_units, batch.freed_turns) == ([], [])


def test_what_comes_back_goes_before_what_is_taken(compiled):
    rows = post(compiled, taken := redeem(0, item_id=MUG, unit=1, turn=1))
    item = {"item_id": MUG, "unit": 1, "turn": 1}
    again = redeem(0, item_id=MUG, unit=1, turn=1)
    batch = compiled.decide([reverse(rows_of(rows, taken), item=item), again], NOW)
    said = append_statement(batch).split(";")
    assert [one.split(" values")[0].split(" where")[0] for one in said[:4]] == [
        *("delete from item_unit", "insert into item_unit"),
        *("delete from item_turn", "insert into item_turn"),
    ]
    assert taken.transaction_id.hex() in said[0]
    assert taken.transaction_id.hex() in said[2]


# The border.

GOOD_LEG = {"asset": COINS, "kind": Kind.CASHBACK, "amount": 5, "moved": [(9 << 32, 5)]}


@pytest.mark.parametrize(
    "bad",
    [
        {"amount": 4},
        {"held_amount": 1},
        {"moved": []},
        {"moved": [(9 << 32, -5)], "amount": -5},
        {"moved": [(7, 5)]},
        {"moved": [(9 << 32, 6), (8 << 32, -1)]},
        {"moved": [(9 << 32, 2**53 + 1)], "amount": 2**53 + 1},
        {"kind": Kind.PAYMENT},
        {"kind": Kind.CAPTURE, "amount": 0, "held_amount": 5},
    ],
)
def test_a_leg_that_contradicts_itself_is_none(bad):
    assert Leg(**GOOD_LEG).moved == GOOD_LEG["moved"]
    with pytest.raises(ValueError, match="does not move"):
        Leg(**GOOD_LEG | bad)


def test_of_what_is_not_reversible_a_leg_may_be_anything():
    assert not Leg(**GOOD_LEG | {"kind": Kind.HOLD, "amount": -5}).reversible
    assert not Leg(**GOOD_LEG | {"refusal": 1, "amount": 0}).reversible


@pytest.mark.parametrize(
    "bad",
    [
        {"original": None},
        {"original": []},
        {"reference": None},
        {"original": [Leg(**GOOD_LEG), Leg(**GOOD_LEG)]},
        {"kind": Kind.VOID},
    ],
)
def test_a_reversal_needs_its_original(bad):
    good = {"kind": Kind.REVERSAL, "reference": bytes(16), "original": [Leg(**GOOD_LEG)]}
    good |= {"customer_id": ANA, "transaction_id": bytes(16)}
    assert Operation(**good).requested == 5
    with pytest.raises(ValueError, match=r"original|reversal|legs"):
        Operation(**good | bad)


def test_a_leg_is_a_leg_and_nothing_else():
    with pytest.raises(TypeError):
        ask(Kind.REVERSAL, reference=bytes(16), original=[(COINS, 1, 2)])


def test_legs_are_read_from_rows_as_the_journal_has_them(ledger):
    rows = post(ledger, sale := earn(3, coins=4))
    columns = ("asset", "kind", "refusal", "amount", "held_amount", "counter", "counter_party")
    read = [
        {name: getattr(row, name) for name in (*columns, "leg")}
        | {"moved": [n for key, amount in leg_of(row).moved for n in (key, amount)]}
        | {"transaction_id": UUID(bytes=row.transaction_id), "reference": None}
        for row in rows_of(rows, sale)
    ]
    points, coins = legs_of(read, Once(item_id=MUG, unit=4, turn=5))
    assert (points.asset, points.amount, points.item_id) == (CAFE, 3, MUG)
    assert (points.unit, points.turn, points.moved) == (4, 5, [(LATER << 32, 3)])
    assert (coins.asset, coins.amount, coins.item_id, coins.unit) == (COINS, 4, 0, 0)
    assert (coins.counter, coins.counter_party) == (Counter.COINS_ISSUED, CAFE)


# On a real journal.


@asynccontextmanager
async def worker(open_journal):
    committer = Committer(open_journal, Settings(lanes=1), Metrics(), coins_utc_offset=COLOMBIA)
    committer.start()
    try:
        yield committer
    finally:
        await committer.close()


@pytest.fixture
async def statements(database):
    pool = await create_read_pool(database, connections_max=2, statement_timeout_ms=2000)
    yield Statements(pool)
    pool.terminate()


async def reversal_of(statements, operation, **item):
    """Return the reversal of a committed transaction, as a caller of the ledger makes it."""
    rows = await statements.rows(operation.customer_id, operation.transaction_id)
    return ask(
        Kind.REVERSAL,
        reference=operation.transaction_id,
        original=legs_of(rows, Once(**item)),
        customer_id=operation.customer_id,
    )


def long_lived(**others):
    return earn(10, coins=20, last_day=TODAY + 36_500, **others)


async def test_of_two_reversals_by_two_workers_one_is_done(open_journal, customers, statements):
    for _ in range(5):
        ana = next(customers)
        async with worker(open_journal) as one, worker(open_journal) as other:
            await one.submit(sale := long_lived(customer_id=ana))
            asked = [await reversal_of(statements, sale) for _ in range(2)]
            await asyncio.gather(one.submit(asked[0]), other.submit(asked[1]))
            late = await reversal_of(statements, sale)
            answer, replayed = await one.submit(late)
        assert sorted(op.refusal for op in asked) == [0, Refusal.ALREADY_REVERSED]
        assert (answer.refusal, answer.balance, replayed) == (Refusal.ALREADY_REVERSED, 0, False)
        wallets, _ = await statements.wallets(ana, lambda _: COLOMBIA)
        assert [(wallet.asset, wallet.balance) for wallet in wallets] == [(COINS, 0), (CAFE, 0)]


async def test_a_retried_reversal_is_answered_from_its_rows(open_journal, customers, statements):
    ana = next(customers)
    async with worker(open_journal) as one, worker(open_journal) as other:
        await one.submit(sale := long_lived(customer_id=ana))
        await one.submit(pay(15, customer_id=ana))
        first, _ = await one.submit(asked := await reversal_of(statements, sale))
        key = {"transaction_id": asked.transaction_id, "fingerprint": asked.fingerprint}
        retry = ask(
            Kind.REVERSAL,
            reference=sale.transaction_id,
            original=asked.original,
            customer_id=ana,
            **key,
        )
        again, replayed = await other.submit(retry)
    assert replayed
    names = ("kind", "asset", "requested", "amount", "balance", "has_coins", "coins_amount")
    names += ("coins_balance", "coins_expires_day", "refusal", "recorded_at", "reference")
    assert [getattr(again, name) for name in names] == [getattr(first, name) for name in names]
    assert (again.amount, again.coins_amount, again.coins_balance) == (-10, -20, -15)
    wallets, _ = await statements.wallets(ana, lambda _: COLOMBIA)
    assert (wallets[0].balance, wallets[0].expiring) == (-15, [])


async def test_conversions_payments_and_voids_are_answered_from_their_rows(
    open_journal, customers, dice
):
    ana = next(customers)
    mine = {"customer_id": ana}
    text = b"R-%d" % dice.getrandbits(60)
    asked = [
        convert(50, text, last_day=TODAY + 36_500, **mine),
        cash_back(5, last_day=TODAY + 36_500, **mine),
        pay(7, qr_issued_at=QR, reference=b"p" * 16, **mine),
        donate(8, **mine),
        payment := hold(9, hold_expires_at=NOW + 3650 * DAY_S * SECOND, **mine),
        void(payment, **mine),
    ]
    async with worker(open_journal) as one, worker(open_journal) as other:
        answers = [(await one.submit(operation))[0] for operation in asked]
        journal = await open_journal()
        receipts = await journal.find(asked)
        key = {"transaction_id": asked[0].transaction_id, "fingerprint": asked[0].fingerprint}
        retry = convert(50, text, last_day=TODAY + 36_500, **mine, **key)
        again, replayed = await other.submit(retry)
    names = ("kind", "asset", "amount", "balance", "held", "earned_expires_day", "refusal")
    names += ("recorded_at", "reference", "has_coins")
    for answer in answers:
        receipt = receipts[answer.transaction_id]
        assert [getattr(receipt, n) for n in names] == [getattr(answer, n) for n in names]
    assert (again.balance, replayed) == (50, True)


async def test_a_freed_unit_is_taken_again_and_its_turn_too(
    open_journal, customers, statements, dice, database
):
    item_id, ana, bea = dice.randrange(100, 2**31), next(customers), next(customers)
    item = {"item_id": item_id, "unit": 1, "turn": 1}
    async with worker(open_journal) as one, worker(open_journal) as other:
        await one.submit(taken := redeem(0, customer_id=ana, **item))
        await one.submit(await reversal_of(statements, taken, **item))
        again, hers = redeem(0, customer_id=ana, **item), redeem(0, customer_id=bea, **item)
        results = await other.submit_many([again, hers])
        await other.submit(await reversal_of(statements, taken, **item))
    done = [result for result in results if isinstance(result, tuple)]
    assert [answer.refusal for answer, _ in done] == [0]
    [(answer, _)] = done
    async with connection_to(database) as connection:
        query = "select transaction_id from item_unit where item_id = $1"
        assert (await connection.fetchval(query, item_id)).bytes == answer.transaction_id


async def test_a_qr_and_a_reference_are_used_up_by_one_of_two_workers(
    open_journal, customers, dice
):
    for _ in range(5):
        ana, bea = next(customers), next(customers)
        text = b"R-%d" % dice.getrandbits(60)
        async with worker(open_journal) as one, worker(open_journal) as other:
            await one.submit(long_lived(customer_id=ana))
            paid = [pay(3, customer_id=ana) for _ in range(2)]
            made = [convert(3, text, customer_id=who) for who in (ana, bea)]
            await asyncio.gather(
                *(one.submit(asked) for asked in (paid[0], made[0])),
                *(other.submit(asked) for asked in (paid[1], made[1])),
            )
        assert sorted(op.refusal for op in paid) == [0, Refusal.QR_INVALID]
        assert sorted(op.refusal for op in made) == [0, Refusal.REFERENCE_ALREADY_USED]


async def test_a_reversal_on_stale_state_is_decided_again(open_journal, customers, statements):
    ana = next(customers)
    async with worker(open_journal) as one, worker(open_journal) as other:
        await one.submit(sale := long_lived(customer_id=ana))
        await other.submit(pay(20, customer_id=ana))
        answer, _ = await one.submit(await reversal_of(statements, sale))
    assert (answer.balance, answer.coins_balance) == (0, -20)


async def test_history_tells_of_a_reversal_leg_by_leg_and_of_no_repayment(
    open_journal, customers, statements
):
    ana = next(customers)
    async with worker(open_journal) as one:
        await one.submit(sale := long_lived(customer_id=ana))
        await one.submit(donate(15, customer_id=ana))
        await one.submit(gift := redeem(0, customer_id=ana))
        await one.submit(cash_back(30, last_day=TODAY + 36_500, customer_id=ana))
        for undo in (sale, gift):
            await one.submit(await reversal_of(statements, undo))
    page = {"asset": None, "brand_id": None, "before": None, "limit": 20}
    rows = await statements.history(ana, Page(**page))
    told = [(row["kind"], row["asset"], row["amount"]) for row in rows]
    assert told[:3] == [(16, CAFE, 0), (16, CAFE, -10), (16, COINS, -20)]
    assert Kind.REPAYMENT not in {row["kind"] for row in rows}


# The audit.

CHANGES = {
    "a reversal of nothing": (
        "update journal set reference = $1 where kind = 16 and refusal = 0 and customer_id = $1",
        "is not the opposite of the row that it reverses",
    ),
    "a reversal of more": (
        "update journal set amount = amount - 1 where kind = 16 and leg = 1 and customer_id = $1",
        "is not the opposite of the row that it reverses",
    ),
    "a leg that was left": (
        "delete from journal where kind = 16 and leg = 1 and customer_id = $1",
        "was not reversed with the other rows of its transaction",
    ),
    "a QR of nothing": (
        "insert into qr_use values ($1, 5, $1)",
        "has paid nothing",
    ),
    "a reference of nothing": (
        "insert into reference_claim values (9, 'R9', $1, $1)",
        "reference_claim (9, R9) has no posting that claims it",
    ),
    "a conversion without its reference": (
        "delete from reference_claim where customer_id = $1",
        "has no reference_claim",
    ),
}


@pytest.mark.parametrize("change", CHANGES)
async def test_the_audit_names_what_does_not_agree(
    open_journal, customers, statements, dice, database, change
):
    ana = next(customers)
    text = b"R-%d" % dice.getrandbits(60)
    async with worker(open_journal) as one:
        await one.submit(sale := long_lived(customer_id=ana))
        await one.submit(convert(9, text, last_day=TODAY + 36_500, customer_id=ana))
        await one.submit(pay(25, customer_id=ana))
        await one.submit(await reversal_of(statements, sale))
    statement, fault = CHANGES[change]
    async with connection_to(database) as connection:
        assert (await audit_journal(connection)).faults == []
        async with connection.transaction():
            await connection.execute(statement, ana.hex())
            told = (await told_in_this_transaction(connection)).faults
            await connection.execute("rollback")
            await connection.execute("begin")
    assert any(fault in one for one in told), told


async def told_in_this_transaction(connection):
    """Audit what a transaction sees that is never committed."""

    class Within:
        def __getattr__(self, name):
            return getattr(connection, name)

        def transaction(self, **_options):
            return connection.transaction()

    return await audit_journal(Within())


def test_rows_of_a_batch_with_reversals_stand_in_the_order_of_the_primary_key(ledger):
    rows = post(ledger, sale := earn(5, coins=5), other := earn(1, asset=FUEL, brand_id=FUEL))
    asked = [reverse(rows_of(rows, one)) for one in (other, sale)]
    batch = ledger.decide([asked[0], earn(2, coins=2), asked[1], cash_back(1)], NOW)
    places = [(row.customer_id, row.asset, row.seq) for row in decode(batch.journal)]
    assert places == sorted(places)
    assert len(places) == len(set(places))
