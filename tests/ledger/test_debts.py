"""Debts: what was taken back and was not there any more is owed, and the next lots repay it."""

import pytest
from verbs import (
    ANA,
    BANK,
    CAFE,
    COLOMBIA,
    DAY_S,
    FUEL,
    NOW,
    PARTNER,
    SECOND,
    SOON,
    TODAY,
    WRONG,
    balances,
    capture,
    cash_back,
    convert,
    donate,
    earn,
    hold,
    load_wallet,
    newest,
    pay,
    post,
    redeem,
    reverse,
    rows_of,
    void,
)

from engine.codes import BALANCE_MAX, COINS, DEBT_DAY, FLAG_BLOCKED, Counter, Kind, Refusal
from engine.ledger.core import COPY_HEADER, COPY_TRAILER, Auditor
from tests.copy_format import Hold, Posting, chained, derived_id, encode, lots_of

LATER = TODAY + 30
TOMORROW = NOW + DAY_S * SECOND
OWED = (DEBT_DAY, CAFE)


def owe(ledger, coins, *others):
    """Leave Ana with a debt of coins to the café: they are spent when the sale is reversed."""
    rows = post(ledger, sale := earn(coins=coins), donate(coins), *others)
    return post(ledger, reverse(rows_of(rows, sale)))


def kinds(rows, asset=COINS):
    return [(row.kind, row.amount) for row in rows if row.asset == asset]


# Owing.


def test_what_was_spent_is_owed_to_its_issuer(ledger):
    [row] = [row for row in owe(ledger, 100) if row.asset == COINS]
    assert (row.kind, row.amount, row.balance) == (Kind.REVERSAL, -100, -100)
    assert row.moved == row.lots == {OWED: -100}


def test_points_are_owed_to_no_issuer_and_in_their_brands_wallet(ledger):
    rows = post(ledger, sale := earn(10), redeem(4))
    [row] = post(ledger, reverse(rows_of(rows, sale)))
    assert row.moved == {(DEBT_DAY, 0): -4, (LATER, 0): -6}
    assert (row.lots, row.balance) == ({(DEBT_DAY, 0): -4}, -4)


def test_debts_to_several_issuers_are_kept_apart(ledger):
    asked = [earn(coins=5, brand_id=FUEL), convert(7), earn(coins=3)]
    rows = post(ledger, *asked, donate(15))
    for one in asked:
        post(ledger, reverse(rows_of(rows, one)))
    owed = {(DEBT_DAY, CAFE): -3, (DEBT_DAY, FUEL): -5, (DEBT_DAY, PARTNER): -7}
    [looks] = post(ledger, donate(0))
    assert list(looks.lots.items()) == list(owed.items())
    assert balances(ledger) == (-15, 0)


@pytest.mark.parametrize("spends", [hold, pay, donate])
@pytest.mark.parametrize("coins", [0, 1])
def test_who_owes_spends_nothing(ledger, spends, coins):
    owe(ledger, 100)
    post(ledger, asked := spends(coins))
    assert (asked.refusal, asked.balance) == (Refusal.INSUFFICIENT_COINS, -100)


def test_a_debt_never_expires(ledger):
    owe(ledger, 100)
    rows = post(ledger, earn(1), now=NOW + 9_000 * DAY_S * SECOND)
    assert kinds(rows) == []
    assert balances(ledger) == (-100, 0)


# Repaying.


@pytest.mark.parametrize(
    "gives",
    [
        earn(coins=30, brand_id=FUEL),
        cash_back(30, brand_id=FUEL),
        convert(30, party_id=BANK),
    ],
    ids=["accumulation", "cashback", "conversion"],
)
def test_what_is_earned_repays_by_a_row_of_its_own(ledger, gives):
    owe(ledger, 100)
    earned, repaid = [row for row in post(ledger, gives) if row.asset == COINS]
    issuer = PARTNER if gives.kind == Kind.CONVERSION else FUEL
    assert (earned.amount, earned.balance, earned.moved) == (30, -70, {(LATER, issuer): 30})
    assert earned.lots == {OWED: -100, (LATER, issuer): 30}
    assert (repaid.kind, repaid.amount, repaid.held_amount) == (Kind.REPAYMENT, 0, 0)
    assert repaid.moved == {OWED: 30, (LATER, issuer): -30}
    assert (repaid.lots, repaid.balance, repaid.requested) == ({OWED: -70}, -70, 30)
    assert (repaid.counter, repaid.counter_party, repaid.reference) == (Counter.NONE, 0, None)
    assert repaid.transaction_id == derived_id(ANA, COINS, repaid.seq)
    assert (repaid.brand_id, repaid.store_id, repaid.fingerprint) == (0, 0, 0)
    assert (repaid.details, repaid.occurred_at, repaid.leg) == (None, NOW, 0)
    told = gives.coins_balance if gives.has_coins else gives.balance
    assert told == -70


def test_points_repay_points(ledger):
    rows = post(ledger, sale := earn(10), redeem(10))
    post(ledger, reverse(rows_of(rows, sale)))
    earned, repaid = post(ledger, asked := earn(25))
    assert (earned.balance, repaid.balance, asked.balance) == (15, 15, 15)
    assert repaid.moved == {(DEBT_DAY, 0): 10, (LATER, 0): -10}
    assert (repaid.lots, repaid.brand_id, repaid.asset) == ({(LATER, 0): 15}, CAFE, CAFE)


def test_debts_are_repaid_in_their_order_from_the_earliest_lots_as_far_as_they_go(ledger):
    asked = [earn(coins=5, brand_id=FUEL), convert(7), earn(coins=3)]
    rows = post(ledger, *asked, donate(15))
    rich = post(ledger, cash_back(9, last_day=TODAY + 1), cash_back(2), paid := donate(11))
    for one in asked:
        post(ledger, reverse(rows_of(rows, one)))
    back, repaid = post(ledger, reverse(rows_of(rich, paid)))
    assert (back.amount, back.balance) == (11, -4)
    first, second = (TODAY + 1, CAFE), (LATER, CAFE)
    debts = {(DEBT_DAY, CAFE): 3, (DEBT_DAY, FUEL): 5, (DEBT_DAY, PARTNER): 3}
    assert list(repaid.moved.items()) == list((debts | {first: -9, second: -2}).items())
    assert repaid.lots == {(DEBT_DAY, PARTNER): -4}


def test_nothing_earned_repays_nothing(ledger):
    owe(ledger, 100)
    assert kinds(post(ledger, cash_back(0))) == [(Kind.CASHBACK, 0)]


def test_who_repaid_spends_what_is_left(ledger):
    owe(ledger, 100)
    post(ledger, cash_back(130), paid := pay(30))
    assert (paid.refusal, paid.balance) == (0, 0)


def test_a_batch_goes_on_from_what_was_repaid_in_it(ledger):
    owe(ledger, 100)
    rows = post(ledger, cash_back(60), cash_back(60), pay(20))
    assert kinds(rows) == [(14, 60), (17, 0), (14, 60), (17, 0), (12, -20)]
    assert [row.balance for row in rows] == [-40, -40, 20, 20, 0]


@pytest.mark.parametrize("asset", ["points", "coins"])
def test_what_is_earned_expired_repays_nothing(ledger, asset):
    rows = post(ledger, sale := earn(10, coins=10), redeem(10), donate(10))
    post(ledger, reverse(rows_of(rows, sale)))
    gives = {"points": earn(4, last_day=TODAY - 1), "coins": cash_back(4, last_day=TODAY - 1)}
    wallet = {"points": CAFE, "coins": COINS}[asset]
    earned, broken = post(ledger, gives[asset])
    assert (earned.amount, broken.kind, broken.amount) == (4, Kind.EXPIRY, -4)
    assert balances(ledger, wallet) == (-10, 0)


def test_what_expires_leaves_before_the_rest_repays(ledger):
    rows = post(
        ledger,
        sale := earn(coins=9),
        cash_back(5, last_day=TODAY),
        cash_back(4),
        paid := donate(18),
    )
    post(ledger, reverse(rows_of(rows, sale)))
    back, broken, repaid = post(ledger, asked := reverse(rows_of(rows, paid)), now=TOMORROW)
    assert (back.amount, back.balance, asked.balance) == (18, 9, 9)
    assert (broken.kind, broken.moved) == (Kind.EXPIRY, {(TODAY, CAFE): -5})
    assert broken.lots == {OWED: -9, (LATER, CAFE): 13}
    assert (repaid.moved, repaid.balance) == ({OWED: 9, (LATER, CAFE): -9}, 4)
    assert repaid.lots == {(LATER, CAFE): 4}


# Holds over debts.


def test_what_a_void_gives_back_repays(ledger):
    rows = post(ledger, sale := earn(coins=10), payment := hold(8))
    post(ledger, reverse(rows_of(rows, sale)))
    assert balances(ledger) == (-8, 8)
    back, repaid = post(ledger, asked := void(payment))
    assert (back.kind, back.balance, back.held) == (Kind.VOID, 0, 0)
    assert back.lots == {OWED: -8, (LATER, CAFE): 8}
    assert (repaid.kind, repaid.lots, repaid.balance) == (Kind.REPAYMENT, {}, 0)
    assert (asked.amount, asked.balance, asked.held) == (8, 0, 0)


def test_what_a_last_wrong_code_gives_back_repays(ledger):
    rows = post(ledger, sale := earn(coins=10), payment := hold(8, tries_max=1))
    post(ledger, reverse(rows_of(rows, sale)))
    back, repaid = post(ledger, asked := capture(payment, WRONG))
    assert (back.kind, back.refusal, repaid.kind) == (Kind.CAPTURE, 11, Kind.REPAYMENT)
    assert (asked.refusal, asked.balance, asked.tries_left) == (Refusal.CODE_INVALID, 0, 0)


def test_what_is_released_repays_before_anything_else_is_decided(ledger):
    rows = post(ledger, sale := earn(coins=10), cash_back(1, last_day=TODAY), payment := hold(9))
    post(ledger, other := hold(2))
    post(ledger, reverse(rows_of(rows, sale)))
    assert (other.refusal, balances(ledger)) == (0, (-10, 11))
    rows = post(ledger, asked := pay(0), now=TOMORROW)
    released = [Kind.RELEASE, Kind.RELEASE, Kind.EXPIRY, Kind.REPAYMENT, Kind.PAYMENT]
    assert [row.kind for row in rows] == released
    assert [row.balance for row in rows] == [-1, 1, 0, 0, 0]
    assert (asked.refusal, rows[-1].lots, rows[-1].holds) == (0, {}, ())
    assert rows[0].reference == payment.transaction_id


def test_held_coins_are_paid_by_who_owes(ledger):
    rows = post(ledger, sale := earn(coins=10), payment := hold(8))
    post(ledger, reverse(rows_of(rows, sale)))
    [paid] = post(ledger, asked := capture(payment))
    assert (asked.refusal, asked.balance, asked.held) == (0, -8, 0)
    assert paid.lots == {OWED: -8}


# What a wallet says without a posting.


def test_a_wallet_says_what_debts_and_holds_will_leave(compiled):
    rows = post(compiled, sale := earn(coins=10), cash_back(3, last_day=TODAY), hold(12))
    post(compiled, reverse(rows_of(rows, sale)))
    wallet = compiled.wallet(ANA, COINS)
    assert wallet.available(SOON - 1, COLOMBIA) == (-9, 12, [(CAFE, -9)])
    available, held, lots = wallet.available(SOON, COLOMBIA)
    assert (available, held, lots_of(lots)) == (3, 0, {(LATER, CAFE): 3})
    assert wallet.available(TOMORROW, COLOMBIA)[:2] == (0, 0)


# Limits.


def test_a_debt_has_the_limit_of_a_balance(ledger):
    rows = post(ledger, sale := cash_back(BALANCE_MAX), donate(BALANCE_MAX))
    more = post(ledger, one := cash_back(1), donate(1))
    post(ledger, asked := reverse(rows_of(rows, sale)))
    assert (asked.refusal, asked.balance) == (0, -BALANCE_MAX)
    [row] = post(ledger, asked := reverse(rows_of(more, one)))
    assert row.refusal == asked.refusal == Refusal.LIMIT_REACHED
    assert balances(ledger) == (-BALANCE_MAX, 0)
    post(ledger, asked := cash_back(BALANCE_MAX))
    assert (asked.refusal, asked.balance) == (0, 0)


def test_a_wallet_that_owes_is_loaded_and_goes_on(ledger):
    load_wallet(ledger, COINS, {OWED: -5, (DEBT_DAY, FUEL): -2}, flags=FLAG_BLOCKED)
    post(ledger, refused := cash_back(9))
    assert (refused.refusal, refused.balance) == (Refusal.CUSTOMER_BLOCKED, -7)


# The audit.


def told_of(*rows):
    """Return what the audit says of the rows of one wallet, but for its trial balance."""
    auditor = Auditor()
    journal = COPY_HEADER + b"".join(map(encode, rows)) + COPY_TRAILER
    return auditor.feed(journal) + auditor.finish()


def rows_with(*changes):
    """Return rows of one wallet, well chained, that change it like this."""
    rows, hash_ = [], bytes(16)
    for seq, columns in enumerate(changes, 1):
        facts = {"customer_id": ANA, "asset": COINS, "seq": seq, "transaction_id": bytes(16)}
        row = Posting(**facts, occurred_at=1, recorded_at=1, **columns)
        rows.append(chained(row, hash_))
        hash_ = rows[-1].hash
    return rows


OWES = {
    "kind": Kind.REVERSAL,
    "amount": -9,
    "balance": -9,
    "moved": {OWED: -9},
    "lots": {OWED: -9},
    "counter": Counter.COINS_ISSUED,
}
EARNS = {
    "kind": Kind.CASHBACK,
    "amount": 5,
    "balance": -4,
    "moved": {(LATER, CAFE): 5},
    "lots": {OWED: -9, (LATER, CAFE): 5},
    "counter": Counter.COINS_ISSUED,
}
REPAYS = {
    "kind": Kind.REPAYMENT,
    "balance": -4,
    "moved": {OWED: 5, (LATER, CAFE): -5},
    "lots": {OWED: -4},
}
PARTLY = {"moved": {OWED: 3, (LATER, CAFE): -3}, "lots": {OWED: -6, (LATER, CAFE): 2}}
BACKWARDS = {"moved": {OWED: -3, (LATER, CAFE): 3}, "lots": {OWED: -12, (LATER, CAFE): 8}}


def test_the_audit_finds_nothing_wrong_with_debts(ledger):
    rows = post(ledger, sale := earn(coins=10), payment := hold(8), donate(2))
    rows += post(ledger, reverse(rows_of(rows, sale)))
    rows += post(ledger, cash_back(1), void(payment), cash_back(3))
    rows = [row for row in rows if row.asset == COINS]
    assert Kind.REPAYMENT in {row.kind for row in rows}
    assert told_of(*rows) == []
    assert told_of(*rows_with(OWES, EARNS, REPAYS)) == []


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ((OWES, EARNS), "leaves debts beside lots that could repay them"),
        ((OWES, EARNS, REPAYS | PARTLY), "does not repay all that it can"),
        ((OWES, EARNS, REPAYS | BACKWARDS), "takes from debts or adds to lots"),
        ((OWES, {"kind": Kind.REPAYMENT, "balance": -9, "lots": {OWED: -9}}), "all that it can"),
        ((OWES | {"lots": {}},), "has lots of 0 for a balance of -9"),
        ((OWES | {"lots": {(LATER, CAFE): -9}, "moved": {(LATER, CAFE): -9}},), "sign of a debt"),
        ((OWES, REPAYS), "lots that the row before and the lots it moved do not give"),
    ],
)
def test_a_debt_that_does_not_follow_is_named(changes, fault):
    assert any(fault in told for told in told_of(*rows_with(*changes)))


def test_a_held_debt_is_no_hold(compiled):
    facts = {"expires_at": SOON, "code_mac": bytes(16), "brand_id": FUEL, "store_id": 90}
    facts |= {"tries_left": 2, "resends_left": 1, "payment_id": b"p" * 16}
    kept = [Hold(coins=-2, lots={OWED: -2}, **facts)]
    with pytest.raises(ValueError, match="contradicts itself"):
        compiled.load_wallet(ANA, COINS, *newest({}, kept).values())
