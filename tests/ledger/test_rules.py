"""What the ledger decides, rule by rule, on the compiled core and on the plain one alike."""

import pytest
from verbs import (
    ANA,
    BEA,
    CAFE,
    COLOMBIA,
    DAY_S,
    FUEL,
    GUATEMALA,
    MIDNIGHT,
    NOW,
    RIGHT,
    SECOND,
    SOON,
    TODAY,
    WRONG,
    ask,
    balances,
    capture,
    convert,
    earn,
    hold,
    load_wallet,
    newest,
    post,
    redeem,
    resend,
    void,
)

from engine.codes import (
    BALANCE_MAX,
    COINS,
    DEBT_DAY,
    FLAG_BLOCKED,
    Claim,
    Counter,
    Kind,
    Outcome,
    Refusal,
)
from engine.ledger.core import Leg, Operation
from tests.copy_format import (
    Hold,
    decode,
    derived_id,
    lots_of,
    negated,
    pack_holds,
    pack_lots,
)
from tests.reference import RESULTS

# Earning.


def test_an_accumulation_is_a_row_that_says_everything(ledger):
    asked = earn(12, store_id=70, bill_amount=12_500, details=b'{"a":1}')
    [_opening, row] = post(ledger, asked)
    assert (row.customer_id, row.asset, row.seq, row.leg) == (ANA, CAFE, 1, 0)
    assert (row.kind, row.refusal, row.transaction_id) == (1, 0, asked.transaction_id)
    assert (row.requested, row.amount, row.held_amount) == (12, 12, 0)
    assert (row.balance, row.held, row.lots) == (12, 0, {(TODAY + 30, 0): 12})
    assert (row.moved, row.holds) == ({(TODAY + 30, 0): 12}, ())
    assert (row.counter, row.counter_party) == (Counter.POINTS_ISSUED, CAFE)
    assert (row.brand_id, row.store_id, row.reference) == (CAFE, 70, None)
    assert (row.fingerprint, row.bill_amount) == (asked.fingerprint, 12_500)
    assert (row.occurred_at, row.recorded_at) == (NOW, NOW)
    assert (row.invoice_number, row.details) == (None, b'{"a":1}')
    assert (asked.outcome, asked.amount, asked.balance) == (Outcome.POSTED, 12, 12)
    assert (asked.earned_expires_day, asked.has_coins) == (TODAY + 30, False)


def test_coins_are_a_second_leg_in_a_wallet_of_their_own_that_knows_the_issuer(ledger):
    asked = earn(3, coins=50, bill_amount=9, details=b"{}", reference=bytes(16))
    _opening, coins, points = post(ledger, asked)
    assert (points.asset, points.leg, points.amount) == (CAFE, 0, 3)
    assert (coins.asset, coins.leg, coins.amount, coins.requested) == (COINS, 1, 50, 50)
    assert coins.lots == coins.moved == {(TODAY + 30, CAFE): 50}
    assert (coins.counter, coins.counter_party) == (Counter.COINS_ISSUED, CAFE)
    assert coins.transaction_id == points.transaction_id
    assert (coins.bill_amount, coins.invoice_number, coins.details) == (None, None, None)
    assert coins.reference == points.reference == bytes(16)
    assert (asked.has_coins, asked.coins_amount, asked.coins_balance) == (True, 50, 50)


def test_earning_nothing_is_a_row_without_a_lot(ledger):
    [_opening, row] = post(ledger, asked := earn(0))
    assert (row.amount, row.balance, row.lots, row.moved) == (0, 0, {}, {})
    assert asked.earned_expires_day == 0


def test_lots_of_one_expiry_and_issuer_merge(ledger):
    post(ledger, earn(1, coins=1), earn(2, coins=2, brand_id=FUEL), earn(4, coins=4))
    row = post(ledger, earn(8, coins=8, last_day=TODAY + 1))[0]
    merged = {(TODAY + 1, CAFE): 8, (TODAY + 30, CAFE): 5, (TODAY + 30, FUEL): 2}
    assert list(row.lots.items()) == list(merged.items())


def test_an_invoice_is_claimed_by_the_posting_that_earns(ledger):
    asked = earn(1, store_id=70, invoice_number=b"F-1")
    barred = earn(1, invoice_number=b"F-2", barred=Refusal.INVOICE_ALREADY_CLAIMED)
    batch = ledger.decide([asked, barred], NOW)
    assert batch.claims == [(Claim.INVOICE, 70, b"F1", ANA, asked.transaction_id)]
    _opening, *rows = decode(batch.journal)
    assert [row.invoice_number for row in rows] == [b"F-1", b"F-2"]
    assert ledger.decide([earn(1)], NOW).claims == []


def test_an_invoice_earns_once_in_a_batch_whoever_claims_it(ledger):
    ledger.load_customer(BEA, 0)
    claims = earn(1, customer_id=ANA, store_id=70, invoice_number=b"F-1")
    comes_late = earn(1, customer_id=BEA, store_id=70, invoice_number=b"F-1")
    other_store = earn(1, customer_id=BEA, store_id=71, invoice_number=b"F-1")
    batch = ledger.decide([claims, comes_late, other_store], NOW)
    refusals = [one.refusal for one in (claims, comes_late, other_store)]
    assert refusals == [0, Refusal.INVOICE_ALREADY_CLAIMED, 0]
    assert [claim[1:3] for claim in batch.claims] == [(70, b"F1"), (71, b"F1")]


def test_a_wallet_is_new_with_its_first_row_and_only_then(ledger):
    batch = ledger.decide([earn(1, coins=1), earn(1)], NOW)
    assert batch.new_wallets == [(ANA, COINS), (ANA, CAFE)]
    ledger.publish(batch)
    assert ledger.decide([earn(1, coins=1)], NOW).new_wallets == []


@pytest.mark.parametrize("verb", [capture, void, resend])
def test_what_finds_no_payment_makes_no_wallet(ledger, verb):
    load_wallet(ledger, CAFE, {})
    batch = ledger.decide([verb(hold(1)), earn(1)], NOW)
    assert batch.new_wallets == []
    ledger.publish(batch)
    assert ledger.wallet(ANA, COINS) is None


def test_an_earning_that_finds_no_room_for_points_makes_no_wallet_for_coins(ledger):
    load_wallet(ledger, CAFE, {(TODAY + 30, 0): BALANCE_MAX})
    assert ledger.decide([earn(1, coins=1)], NOW).new_wallets == []


# Spending.


@pytest.mark.parametrize(("price", "refusal"), [(99, 0), (100, 0), (101, 3)])
def test_points_can_be_spent_to_the_last(ledger, price, refusal):
    post(ledger, earn(100))
    [row] = post(ledger, asked := redeem(price))
    assert row.refusal == asked.refusal == refusal
    assert row.balance == asked.balance == (100 if refusal else 100 - price)
    assert row.amount == asked.amount == (0 if refusal else -price)


@pytest.mark.parametrize(("price", "refusal"), [(99, 0), (100, 0), (101, 4)])
def test_coins_can_be_held_to_the_last(ledger, price, refusal):
    post(ledger, earn(coins=100))
    [row] = post(ledger, asked := hold(price))
    assert row.refusal == asked.refusal == refusal
    assert (asked.balance, asked.held) == ((100, 0) if refusal else (100 - price, price))


def test_spending_nothing_needs_nothing(ledger):
    _opening, coins, points = post(ledger, redeem(0), hold(0))
    assert (points.refusal, points.amount, points.moved) == (0, 0, {})
    assert (points.counter, points.counter_party) == (Counter.POINTS_REDEEMED, CAFE)
    assert (coins.refusal, coins.held_amount, len(coins.holds)) == (0, 0, 1)


def test_the_earliest_expiry_is_spent_first_then_the_lowest_issuer(ledger):
    post(ledger, earn(coins=5, last_day=TODAY + 9), earn(coins=5, brand_id=FUEL))
    post(ledger, earn(coins=5))
    [row] = post(ledger, hold(12))
    taken = {(TODAY + 9, CAFE): 5, (TODAY + 30, CAFE): 5, (TODAY + 30, FUEL): 2}
    assert list(row.moved.items()) == list(negated(taken).items())
    assert row.lots == {(TODAY + 30, FUEL): 3}
    assert row.holds[0].lots == taken


def test_a_redemption_takes_points_of_several_lots_from_its_brand(ledger):
    post(ledger, earn(5, last_day=TODAY), earn(5, last_day=TODAY + 1), earn(5))
    [row] = post(ledger, redeem(11))
    assert row.moved == {(TODAY, 0): -5, (TODAY + 1, 0): -5, (TODAY + 30, 0): -1}
    assert (row.counter, row.counter_party) == (Counter.POINTS_REDEEMED, CAFE)


def test_points_of_one_brand_buy_nothing_at_another(ledger):
    post(ledger, earn(100))
    [_opening, row] = post(ledger, redeem(1, asset=FUEL, brand_id=FUEL))
    assert (row.asset, row.refusal, row.balance) == (FUEL, Refusal.INSUFFICIENT_POINTS, 0)


# Refusals, in the order of their numbers: what is asked on an empty wallet of a customer with
# `missing` fields and `flags`, and why it is refused.

BLOCKED, INCOMPLETE = {"flags": FLAG_BLOCKED}, {"missing": 1}


def undo(**others):
    """Return the reversal of a hold, which has a void for that."""
    legs = [Leg(asset=COINS, kind=Kind.HOLD, moved=[])]
    return ask(Kind.REVERSAL, reference=b"p" * 16, original=legs, **others)


REFUSALS = [
    (Refusal.CUSTOMER_BLOCKED, earn(1), BLOCKED),
    (Refusal.CUSTOMER_BLOCKED, earn(1, barred=Refusal.INVOICE_ALREADY_CLAIMED), BLOCKED),
    (Refusal.CUSTOMER_BLOCKED, redeem(1, needs_profile=True), BLOCKED | INCOMPLETE),
    (Refusal.CUSTOMER_BLOCKED, hold(1, needs_profile=True), BLOCKED | INCOMPLETE),
    (Refusal.PROFILE_INCOMPLETE, redeem(1, needs_profile=True), INCOMPLETE),
    (Refusal.PROFILE_INCOMPLETE, hold(1, needs_profile=True), INCOMPLETE),
    (Refusal.INSUFFICIENT_POINTS, redeem(1, barred=Refusal.OUT_OF_STOCK), {}),
    (Refusal.INSUFFICIENT_POINTS, redeem(1), INCOMPLETE),
    (Refusal.INSUFFICIENT_COINS, hold(1, barred=Refusal.COINS_NOT_ACCEPTED), {}),
    (Refusal.COINS_NOT_ACCEPTED, hold(0, barred=Refusal.COINS_NOT_ACCEPTED), {}),
    (Refusal.QR_INVALID, ask(Kind.PAYMENT, barred=Refusal.QR_INVALID), {}),
    (Refusal.INVOICE_ALREADY_CLAIMED, earn(1, barred=Refusal.INVOICE_ALREADY_CLAIMED), {}),
    (Refusal.OUT_OF_STOCK, redeem(0, barred=Refusal.OUT_OF_STOCK), {}),
    (Refusal.LIMIT_REACHED, redeem(0, barred=Refusal.LIMIT_REACHED), {}),
    (Refusal.NOT_AVAILABLE, redeem(0, barred=Refusal.NOT_AVAILABLE), {}),
    (Refusal.CODE_INVALID, capture(hold(1), WRONG), {"held": True}),
    (Refusal.REFERENCE_ALREADY_USED, convert(1, barred=Refusal.REFERENCE_ALREADY_USED), {}),
    (Refusal.ALREADY_REVERSED, undo(barred=Refusal.ALREADY_REVERSED), BLOCKED),
    (Refusal.NOT_REVERSIBLE, undo(), BLOCKED),
]
UNREACHABLE = {
    Refusal.CODE_EXHAUSTED: "the last wrong code closes the hold, and is itself CODE_INVALID",
    Refusal.EXCEEDS_INVOICE: "what other payments have paid is known to the database alone",
    Refusal.INVOICE_VOIDED: "a void is a claim, which is known to the database alone",
    Refusal.PAYMENT_EXPIRED: "a closed hold is UNKNOWN_PAYMENT; how it closed is in the journal",
}


@pytest.mark.parametrize(("refusal", "asked", "state"), REFUSALS)
def test_a_refusal_is_a_row_of_amount_zero_that_moves_nothing(ledger, refusal, asked, state):
    ledger.load_customer(ANA, state.get("missing", 0))
    asset = asked.asset if asked.kind in (Kind.ACCUMULATION, Kind.REDEMPTION) else COINS
    load_wallet(ledger, asset, {}, flags=state.get("flags", 0))
    if "held" in state:
        payment = Operation(
            kind=Kind.HOLD, customer_id=ANA, transaction_id=asked.reference, code_mac=RIGHT,
            tries_max=2, hold_expires_at=SOON,
        )  # fmt: skip
        post(ledger, payment)
    [row] = post(ledger, asked)
    assert row.refusal == asked.refusal == refusal
    assert (row.transaction_id, row.kind, row.leg) == (asked.transaction_id, asked.kind, 0)
    assert (row.amount, row.held_amount, row.counter, row.moved) == (0, 0, 0, {})
    assert (asked.outcome, asked.amount, asked.balance) == (Outcome.POSTED, 0, 0)
    assert asked.missing_fields == row.missing_fields == state.get("missing", 0)


def test_every_refusal_has_a_row_in_order_or_a_reason_why_not():
    shown = [refusal for refusal, _, _ in REFUSALS]
    assert shown == sorted(shown)
    assert {*shown, *UNREACHABLE} == set(Refusal)


def test_accumulating_needs_no_complete_profile(ledger):
    ledger.load_customer(ANA, 63)
    assert post(ledger, earn(1, needs_profile=True))[0].refusal == 0


def test_a_profile_may_be_incomplete_where_the_verb_does_not_need_it(ledger):
    ledger.load_customer(ANA, 1)
    assert post(ledger, redeem(0), hold(0))[0].refusal == 0


def test_a_new_wallet_inherits_that_its_customer_is_blocked(ledger):
    load_wallet(ledger, FUEL, {}, flags=FLAG_BLOCKED)
    rows = post(ledger, earn(1), hold(0), redeem(0))
    assert [row.refusal for row in rows] == [0] + [Refusal.CUSTOMER_BLOCKED] * 3
    assert [row.flags for row in rows] == [FLAG_BLOCKED] * 4


def test_a_blocked_customer_pays_nothing_but_gets_held_coins_back(ledger):
    ledger.load_customer(ANA, 0)
    kept = [held_coins(b"p" * 16, 5), held_coins(b"q" * 16, 3)]
    load_wallet(ledger, COINS, {}, holds=kept, flags=FLAG_BLOCKED)
    refused = ask(Kind.CAPTURE, reference=b"p" * 16, code_mac=RIGHT)
    assert [row.refusal for row in post(ledger, refused)] == [Refusal.CUSTOMER_BLOCKED]
    post(ledger, ask(Kind.VOID, reference=b"p" * 16))
    post(ledger, earn(1), now=SOON)
    post(ledger, ask(Kind.VOID, reference=b"q" * 16), now=SOON)
    assert balances(ledger) == (8, 0)


def held_coins(payment_id, coins, lots=None, **others):
    """Return a hold as a row would have it."""
    lots = {(TODAY + 30, CAFE): coins} if lots is None else lots
    facts = {"expires_at": SOON, "code_mac": RIGHT, "brand_id": FUEL, "store_id": 90}
    facts |= {"tries_left": 2, "resends_left": 1}
    return Hold(payment_id=payment_id, coins=coins, lots=lots, **facts | others)


# Limits.


@pytest.mark.parametrize("asset", ["points", "coins"])
def test_a_balance_reaches_its_limit_and_no_further(ledger, asset):
    one = {"points": earn(1), "coins": earn(coins=1)}[asset]
    most = {"points": earn(BALANCE_MAX), "coins": earn(coins=BALANCE_MAX)}[asset]
    post(ledger, most)
    [row] = post(ledger, one)
    assert (row.refusal, row.asset) == (Refusal.LIMIT_REACHED, CAFE)
    assert one.has_coins is False
    assert ledger.wallet(ANA, {"points": CAFE, "coins": COINS}[asset]).balance == BALANCE_MAX


def test_held_coins_count_towards_the_limit_because_they_may_come_back(ledger):
    post(ledger, earn(coins=BALANCE_MAX), payment := hold(10))
    assert post(ledger, earn(coins=10))[0].refusal == Refusal.LIMIT_REACHED
    post(ledger, void(payment))
    assert balances(ledger) == (BALANCE_MAX, 0)


# Expiry.


@pytest.mark.parametrize("offset", [COLOMBIA, GUATEMALA])
def test_points_are_good_until_the_midnight_that_ends_their_last_day(ledger, offset):
    post(ledger, earn(10, last_day=TODAY, utc_offset=offset))
    midnight = ((TODAY + 1) * DAY_S - offset) * SECOND
    last = redeem(1, utc_offset=offset)
    assert [row.kind for row in post(ledger, last, now=midnight - 1)] == [Kind.REDEMPTION]
    breakage, refused = post(ledger, redeem(1, utc_offset=offset), now=midnight)
    assert (breakage.kind, breakage.amount, breakage.balance) == (Kind.EXPIRY, -9, 0)
    assert breakage.moved == {(TODAY, 0): -9}
    assert (breakage.counter, breakage.counter_party) == (Counter.POINTS_EXPIRED, CAFE)
    assert (breakage.brand_id, breakage.store_id, breakage.requested) == (CAFE, 0, 9)
    assert refused.refusal == Refusal.INSUFFICIENT_POINTS


def test_coins_expire_by_their_own_calendar_wherever_they_are_asked_for(ledger):
    post(ledger, earn(coins=10, last_day=TODAY - 1), now=MIDNIGHT - 1)
    breakage, _ = post(ledger, hold(0, utc_offset=GUATEMALA), now=MIDNIGHT)
    assert (breakage.kind, breakage.amount) == (Kind.EXPIRY, -10)
    assert breakage.moved == {(TODAY - 1, CAFE): -10}
    assert (breakage.counter, breakage.counter_party) == (Counter.COINS_EXPIRED, COINS)


def test_all_lots_that_are_due_and_no_others_leave_in_one_row_before_the_verb(ledger):
    post(ledger, *(earn(2**n, last_day=TODAY + n) for n in range(4)))
    rows = post(ledger, earn(8), now=NOW + 2 * DAY_S * SECOND)
    kinds = [(Kind.EXPIRY, -3), (Kind.ACCUMULATION, 8)]
    assert [(row.kind, row.amount) for row in rows] == kinds
    assert rows[0].lots == {(TODAY + 2, 0): 4, (TODAY + 3, 0): 8}


def test_what_nobody_asked_for_has_an_id_made_from_its_place(ledger):
    post(ledger, earn(1, last_day=TODAY - 1))
    row = post(ledger, earn(1))[0]
    assert row.transaction_id == derived_id(ANA, CAFE, 2)
    assert row.transaction_id[6] >> 4 == 8
    assert (row.fingerprint, row.reference, row.occurred_at) == (0, None, NOW)


# Payments.


def test_a_payment_moves_from_available_to_held_to_the_receiver(ledger):
    post(ledger, earn(coins=100), earn(coins=50, brand_id=FUEL))
    [held] = post(ledger, payment := hold(120))
    assert (held.amount, held.held_amount, held.balance, held.held) == (-120, 120, 30, 120)
    assert (held.counter, held.counter_party) == (Counter.NONE, 0)
    assert (payment.tries_left, payment.resends_left) == (2, 1)
    [paid] = post(ledger, asked := capture(payment, brand_id=1, store_id=2))
    assert (paid.amount, paid.held_amount, paid.balance, paid.held) == (0, -120, 30, 0)
    assert paid.moved == {(TODAY + 30, CAFE): -100, (TODAY + 30, FUEL): -20}
    assert (paid.counter, paid.counter_party) == (Counter.COINS_SETTLED, FUEL)
    assert (paid.brand_id, paid.store_id, paid.requested) == (FUEL, 90, 120)
    assert (paid.holds, paid.reference) == ((), payment.transaction_id)
    assert (asked.amount, asked.balance, asked.held) == (-120, 30, 0)


def test_a_wrong_code_costs_a_try_and_the_last_one_the_payment(ledger):
    post(ledger, earn(coins=10), payment := hold(4))
    [row] = post(ledger, first := capture(payment, WRONG))
    assert (row.refusal, row.balance, row.held, row.moved) == (Refusal.CODE_INVALID, 6, 4, {})
    assert (row.holds[0].tries_left, first.tries_left) == (1, 1)
    [row] = post(ledger, last := capture(payment, WRONG))
    assert (row.refusal, row.balance, row.held) == (Refusal.CODE_INVALID, 10, 0)
    assert (row.amount, row.held_amount, row.holds) == (4, -4, ())
    assert row.moved == {(TODAY + 30, CAFE): 4}
    assert (last.tries_left, last.amount, last.balance) == (0, 0, 10)
    assert post(ledger, late := capture(payment)) == []
    assert late.outcome == Outcome.UNKNOWN_PAYMENT


def test_wrong_codes_are_told_with_who_typed_them_where(ledger):
    post(ledger, earn(coins=10), payment := hold(4), other := hold(5, brand_id=CAFE, store_id=80))
    typed = [
        capture(payment, WRONG, cashier_id=7),
        capture(other, WRONG),
        capture(payment, RIGHT, cashier_id=8),
    ]
    batch = ledger.decide(typed, NOW)
    assert batch.failed_codes == [
        (CAFE, 80, 0, typed[1].transaction_id),
        (FUEL, 90, 7, typed[0].transaction_id),
    ]
    assert [(asked.tries_left, asked.resends_left) for asked in typed] == [(1, 1), (1, 1), (0, 0)]
    ledger.publish(batch)
    batch = ledger.decide([last := capture(other, WRONG), capture(other, WRONG)], NOW)
    assert batch.failed_codes == [(CAFE, 80, 0, last.transaction_id)]
    assert (last.tries_left, last.resends_left) == (0, 0)


@pytest.mark.parametrize("verb", [void, resend])
def test_nothing_but_a_typed_code_is_of_a_cashier(verb):
    with pytest.raises(ValueError, match="cashier"):
        verb(hold(1), cashier_id=1)
    with pytest.raises(ValueError, match="cashier"):
        capture(hold(1), cashier_id=-1)


def test_a_code_is_not_right_because_there_is_none(ledger):
    post(ledger, earn(coins=10), payment := hold(4))
    [row] = post(ledger, capture(payment, None))
    assert row.refusal == Refusal.CODE_INVALID


def test_a_void_gives_the_very_lots_back(ledger):
    post(ledger, earn(coins=5, last_day=TODAY + 9), earn(coins=5))
    before = ledger.wallet(ANA, COINS).lots
    post(ledger, payment := hold(7))
    [row] = post(ledger, asked := void(payment))
    assert (row.amount, row.held_amount, row.counter) == (7, -7, Counter.NONE)
    assert row.moved == {(TODAY + 9, CAFE): 5, (TODAY + 30, CAFE): 2}
    assert (row.brand_id, row.store_id, asked.amount) == (FUEL, 90, 7)
    assert ledger.wallet(ANA, COINS).lots == before


def test_what_expired_while_it_was_held_comes_back_expired(ledger):
    """The void gives back, and breakage takes at once what is past its last day."""
    tomorrow = NOW + DAY_S * SECOND
    post(ledger, earn(coins=5, last_day=TODAY), earn(coins=5))
    post(ledger, payment := hold(7, hold_expires_at=tomorrow + 1))
    given, broken = post(ledger, asked := void(payment), now=tomorrow)
    assert (given.kind, given.amount, given.balance) == (Kind.VOID, 7, 10)
    assert (broken.kind, broken.amount, broken.balance) == (Kind.EXPIRY, -5, 5)
    assert (asked.amount, asked.balance) == (
        7,
        10,
    )  # what its own row says, and every retry is told


def test_what_a_last_wrong_code_gives_back_expired_is_gone_at_once(ledger):
    tomorrow = NOW + DAY_S * SECOND
    post(ledger, earn(coins=5, last_day=TODAY))
    post(ledger, payment := hold(5, hold_expires_at=tomorrow + 1, tries_max=1))
    rows = post(ledger, asked := capture(payment, WRONG), now=tomorrow)
    assert [(row.kind, row.balance) for row in rows] == [(Kind.CAPTURE, 5), (Kind.EXPIRY, 0)]
    assert (asked.balance, asked.tries_left) == (5, 0)


@pytest.mark.parametrize(("now", "kinds"), [(SOON - 1, [4]), (SOON, [6]), (SOON + 1, [6])])
def test_a_hold_is_released_at_the_very_moment_it_expires(ledger, now, kinds):
    post(ledger, earn(coins=10), payment := hold(4))
    rows = post(ledger, asked := capture(payment), now=now)
    assert [row.kind for row in rows] == kinds
    if kinds == [Kind.RELEASE]:
        assert asked.outcome == Outcome.UNKNOWN_PAYMENT
        assert (rows[0].amount, rows[0].held_amount, rows[0].held) == (4, -4, 0)
        assert rows[0].moved == {(TODAY + 30, CAFE): 4}
        assert rows[0].reference == payment.transaction_id
        assert rows[0].transaction_id == derived_id(ANA, COINS, 4)
        assert (rows[0].brand_id, rows[0].store_id, rows[0].requested) == (FUEL, 90, 4)


def test_due_holds_go_back_before_due_lots_leave(ledger):
    post(ledger, earn(coins=10, last_day=TODAY))
    post(ledger, hold(3), hold(4), hold(1, hold_expires_at=NOW + 9 * DAY_S * SECOND))
    rows = post(ledger, hold(0), now=NOW + DAY_S * SECOND)
    kinds = [Kind.RELEASE, Kind.RELEASE, Kind.EXPIRY, Kind.HOLD]
    assert [row.kind for row in rows] == kinds
    assert [row.balance for row in rows] == [5, 9, 0, 0]
    assert [row.held for row in rows] == [5, 1, 1, 1]


def test_a_resend_replaces_the_code_and_leaves_the_tries(ledger):
    post(ledger, earn(coins=10), payment := hold(4), capture(payment, WRONG))
    [row] = post(ledger, asked := resend(payment, WRONG))
    assert (row.amount, row.held_amount, row.moved) == (0, 0, {})
    assert (row.holds[0].code_mac, row.holds[0].tries_left) == (WRONG, 1)
    assert (row.holds[0].resends_left, asked.tries_left, row.requested) == (0, 1, 4)
    assert asked.resends_left == 0
    assert post(ledger, resend(payment))[0].refusal == Refusal.LIMIT_REACHED
    assert post(ledger, capture(payment, WRONG))[0].refusal == 0


def test_each_of_several_payments_is_found_by_its_own_id(ledger):
    post(ledger, earn(coins=10), first := hold(1), second := hold(2), third := hold(3))
    post(ledger, capture(second), capture(third, WRONG), void(first))
    assert balances(ledger) == (5, 3)
    assert [held.payment_id for held in ledger.wallet(ANA, COINS).holds] == [third.transaction_id]


@pytest.mark.parametrize("verb", [capture, void, resend])
def test_a_payment_that_is_not_open_is_unknown_and_leaves_no_row(ledger, verb):
    post(ledger, earn(coins=10))
    assert post(ledger, asked := verb(hold(1))) == []
    assert asked.outcome == Outcome.UNKNOWN_PAYMENT


def test_a_payment_of_one_customer_is_unknown_to_another(ledger):
    ledger.load_customer(BEA, 0)
    post(ledger, earn(coins=10), payment := hold(4), earn(coins=1, customer_id=BEA))
    assert post(ledger, asked := void(payment, customer_id=BEA)) == []
    assert asked.outcome == Outcome.UNKNOWN_PAYMENT


# Batches.


def test_the_rows_of_a_wallet_are_numbered_without_a_gap(ledger):
    rows = [*post(ledger, earn(5), redeem(9)), *post(ledger, redeem(1), earn(1))]
    assert [(row.asset, row.seq) for row in rows] == [(COINS, 1)] + [(CAFE, n) for n in range(1, 5)]


def test_an_operation_sees_what_those_before_it_in_the_batch_did(ledger):
    _opening, *rows = post(ledger, earn(5), redeem(3), redeem(3))
    assert [(row.refusal, row.balance) for row in rows] == [(0, 5), (0, 2), (3, 2)]


def test_rows_leave_in_the_order_of_the_primary_key(ledger):
    ledger.load_customer(BEA, 0)
    bea = {"customer_id": BEA}
    fuel = {"asset": FUEL, "brand_id": FUEL}
    rows = post(
        ledger, earn(1, **bea), earn(1, **fuel), earn(1, coins=1), earn(1, coins=1, **bea), hold(1)
    )
    places = [(row.customer_id, row.asset, row.seq) for row in rows]
    assert places == sorted(places)
    assert len(places) == 10


def test_time_never_goes_back_in_a_wallet(ledger):
    post(ledger, earn(1))
    assert post(ledger, early := earn(1), now=NOW - 1)[0].recorded_at == NOW
    assert early.recorded_at == NOW
    assert post(ledger, earn(1), now=NOW + 1)[0].recorded_at == NOW + 1


def test_time_is_that_of_the_newest_row_not_that_of_the_newest_question(ledger):
    post(ledger, earn(coins=1))
    post(ledger, void(hold(1)), now=NOW + 9)
    assert post(ledger, earn(coins=1), now=NOW + 1)[0].recorded_at == NOW + 1


def test_a_discarded_batch_leaves_nothing_and_decides_to_the_same_bytes_again(ledger):
    post(ledger, earn(10, coins=10))
    wallet = balances(ledger), ledger.wallet(ANA, COINS).hash
    asked = [earn(5, asset=FUEL), payment := hold(4), capture(payment, WRONG), redeem(3)]
    first = ledger.decide(asked, NOW)
    ledger.discard(first)
    assert (balances(ledger), ledger.wallet(ANA, COINS).hash) == wallet
    assert ledger.wallet(ANA, FUEL) is None
    second = ledger.decide(asked, NOW)
    assert (second.journal, second.new_wallets, second.claims) == (
        first.journal,
        first.new_wallets,
        first.claims,
    )


def test_an_operation_that_is_decided_again_keeps_nothing_of_the_first_answer(ledger):
    asked = earn(5, coins=5)
    ledger.discard(ledger.decide([asked], NOW))
    assert asked.has_coins
    load_wallet(ledger, CAFE, {}, flags=FLAG_BLOCKED)
    ledger.discard(ledger.decide([asked], NOW))
    fresh = earn(5, coins=5)
    ledger.discard(ledger.decide([fresh], NOW))
    assert [getattr(asked, name) for name in RESULTS] == [getattr(fresh, name) for name in RESULTS]


def test_an_outcome_without_a_row_keeps_nothing_of_the_first_answer(ledger):
    post(ledger, earn(coins=5), payment := hold(5))
    asked = capture(payment, WRONG)
    ledger.discard(ledger.decide([asked], NOW))
    assert (asked.refusal, asked.tries_left) == (Refusal.CODE_INVALID, 1)
    ledger.discard(ledger.decide([asked], SOON))
    assert asked.outcome == Outcome.UNKNOWN_PAYMENT
    assert (asked.refusal, asked.tries_left, asked.recorded_at) == (0, 0, 0)


def test_publishing_builds_on_what_was_published(ledger):
    for expected in (5, 10, 15):
        post(ledger, earn(5))
        assert balances(ledger, CAFE) == (expected, 0)


@pytest.mark.parametrize("first", ["publish", "discard"])
@pytest.mark.parametrize("then", ["publish", "discard"])
def test_a_batch_is_settled_once(ledger, first, then):
    post(ledger, earn(5))
    batch = ledger.decide([earn(6)], NOW)
    getattr(ledger, first)(batch)
    expected = 11 if first == "publish" else 5
    getattr(ledger, then)(batch)
    assert balances(ledger, CAFE) == (expected, 0)
    assert post(ledger, redeem(expected))[0].refusal == 0


def test_a_settled_batch_settles_nothing_of_the_next_one(ledger):
    batch = ledger.decide([earn(5)], NOW)
    ledger.publish(batch)
    following = ledger.decide([earn(6)], NOW)
    ledger.publish(batch)
    assert balances(ledger, CAFE) == (5, 0)
    ledger.publish(following)
    assert balances(ledger, CAFE) == (11, 0)


def test_a_customer_that_is_not_loaded_does_not_exist(ledger):
    asked = earn(1, customer_id=BEA)
    assert post(ledger, asked) == []
    assert asked.outcome == Outcome.UNKNOWN_CUSTOMER


def test_an_empty_batch_is_an_empty_copy(ledger):
    batch = ledger.decide([], NOW)
    assert decode(batch.journal) == []
    assert (batch.new_wallets, batch.claims) == ([], [])


def test_a_loaded_wallet_goes_on_where_its_newest_row_ended(ledger):
    lots, kept = {(TODAY, CAFE): 4}, [held_coins(b"p" * 16, 2)]
    newest = {"seq": 41, "hash": b"h" * 16, "recorded_at": NOW + 7}
    load_wallet(ledger, COINS, lots, holds=kept, **newest)
    [row] = post(ledger, hold(1))
    assert (row.seq, row.balance, row.held, row.recorded_at) == (42, 3, 3, NOW + 7)
    assert row.holds[0] == kept[0]


# The border of the compiled core: what it loads, keeps and takes.

CONTRADICTIONS = {
    "more balance than lots": {"balance": 11},
    "less balance than lots": {"balance": 9},
    "more held than holds": {"held": 3},
    "less held than holds": {"held": 1},
    "a hash cut short": {"hash": bytes(15)},
    "lots cut short": {"lots": pack_lots({(TODAY, CAFE): 10})[:-1]},
    "lots that are no array": {"lots": b"", "balance": 0},
    "lots of another type": {
        "lots": pack_lots({(TODAY, CAFE): 10}).replace(b"\0\0\0\x14", b"\0\0\0\x15")
    },
    "lots out of order": {"lots": pack_lots({(TODAY, 9): 5, (TODAY, 7): 5})},
    "a lot below zero": {"lots": pack_lots({(TODAY, 7): -5, (TODAY, 9): 15})},
    "an empty lot": {"lots": pack_lots({(TODAY, 7): 10, (TODAY, 9): 0})},
    "a debt above zero": {"lots": pack_lots({(DEBT_DAY, 7): 10})},
    "a debt of nothing": {"lots": pack_lots({(DEBT_DAY, 7): 0, (TODAY, 9): 10})},
    "a debt beside lots": {"lots": pack_lots({(DEBT_DAY, 7): -5, (TODAY, 9): 15})},
    "a debt that is held": {
        "holds": pack_holds([held_coins(b"p" * 16, 2, lots={(DEBT_DAY, 7): -1, (TODAY, 7): 3})])
    },
    "a hold cut short": {"holds": pack_holds([held_coins(b"p" * 16, 2)])[:60]},
    "a hold's lots cut short": {"holds": pack_holds([held_coins(b"p" * 16, 2)])[:-1]},
    "a hold of more than its lots": {"holds": pack_holds([held_coins(b"p" * 16, 2, lots={})])},
    "a hold of countless lots": {
        "holds": pack_holds([held_coins(b"p" * 16, 2, lots={})])[:-4] + b"\x10\0\0\0"
    },
}


@pytest.mark.parametrize("contradiction", CONTRADICTIONS)
def test_a_row_that_contradicts_itself_is_not_loaded(compiled, contradiction):
    row = newest({(TODAY, CAFE): 10}, [held_coins(b"p" * 16, 2)])
    compiled.load_wallet(ANA, FUEL, *row.values())
    with pytest.raises(ValueError, match=r"contradicts itself|lots|hold"):
        compiled.load_wallet(ANA, COINS, *(row | CONTRADICTIONS[contradiction]).values())
    assert compiled.wallet(ANA, COINS) is None
    assert compiled.wallets == 1


def test_a_wallet_of_a_customer_that_is_not_loaded_is_not_loaded(compiled):
    with pytest.raises(KeyError):
        load_wallet(compiled, CAFE, {}, customer=BEA)


def test_only_what_the_compare_and_set_does_not_check_needs_fresh_state(compiled):
    compiled.load_customer(BEA, 3)
    post(compiled, earn(coins=10), payment := hold(4))
    bea = {"customer_id": BEA}
    for asked in (earn(1), redeem(1), hold(1), capture(payment), void(payment), resend(payment)):
        assert not compiled.needs_load(asked)
    for asked in (earn(1, **bea), redeem(1, **bea), hold(1, reference=bytes(16), **bea)):
        assert not compiled.needs_load(asked)
    assert not compiled.needs_load(redeem(1, needs_profile=True))
    assert compiled.needs_load(redeem(1, needs_profile=True, **bea))
    assert compiled.needs_load(earn(1, customer_id=bytes(16)))
    assert compiled.needs_load(capture(hold(1)))
    assert compiled.needs_load(void(payment, **bea))


def customers_with_a_wallet(ledger, *numbers):
    ids = [bytes([number]) * 16 for number in numbers]
    for customer_id in ids:
        ledger.load_customer(customer_id, 0)
        load_wallet(ledger, CAFE, {}, customer=customer_id)
    return ids


def kept(ledger, ids):
    return [customer_id for customer_id in ids if ledger.wallet(customer_id, CAFE)]


def test_trimming_forgets_the_oldest_customers_that_were_not_used(compiled):
    ids = customers_with_a_wallet(compiled, 1, 2, 3, 4, 5)
    compiled.needs_load(earn(1, customer_id=ids[0]))
    compiled.trim(3, {ids[1]})
    assert kept(compiled, ids) == [ids[0], ids[1], ids[4]]
    assert compiled.wallets == 3
    compiled.trim(3, ())
    assert compiled.wallets == 3


def test_a_customer_that_is_used_gets_one_more_round(compiled):
    ids = customers_with_a_wallet(compiled, 1, 2, 3)
    for customer_id in ids:
        compiled.needs_load(earn(1, customer_id=customer_id))
    compiled.trim(2, ())
    assert kept(compiled, ids) == ids[1:]
    compiled.trim(1, ())
    assert kept(compiled, ids) == ids[2:]


def test_trimming_bounds_customers_without_a_wallet(compiled):
    for number in range(1_000):
        compiled.load_customer(number.to_bytes(16, "big"), 0)
    [kept_] = customers_with_a_wallet(compiled, 7)
    compiled.trim(20, ())
    assert (compiled.customers, compiled.wallets) == (20, 1)
    assert kept(compiled, [kept_]) == [kept_]


def test_customers_are_found_whoever_else_comes_and_goes(compiled, dice):
    """Against a dict: many ids that differ in few bits, dropped and loaded in any order."""
    compiled.drop(ANA)
    ids = [at.to_bytes(2, "little") * 8 for at in range(3_000)]
    there = {}
    for turn in range(12_000):
        customer_id = dice.choice(ids)
        if customer_id in there and dice.random() < 0.5:
            compiled.drop(customer_id)
            del there[customer_id]
        else:
            compiled.load_customer(customer_id, 0)
            load_wallet(compiled, CAFE, {}, customer=customer_id, seq=turn + 1)
            there[customer_id] = turn + 1
        if turn % 3_000 == 2_999:
            found = {id_: compiled.wallet(id_, CAFE) for id_ in ids}
            assert {id_: wallet.seq for id_, wallet in found.items() if wallet} == there
            assert compiled.customers == compiled.wallets == len(there)
    compiled.clear()
    assert (compiled.customers, compiled.wallets) == (0, 0)
    assert not any(compiled.wallet(id_, CAFE) for id_ in ids)


@pytest.mark.parametrize("size", [0, 15, 17])
def test_an_id_of_another_length_is_refused(compiled, size):
    for call in (compiled.drop, lambda id_: compiled.load_customer(id_, 0)):
        with pytest.raises(ValueError, match="a customer's id has 16 bytes"):
            call(bytes(size))
    with pytest.raises(ValueError, match="a customer's id has 16 bytes"):
        compiled.wallet(bytes(size), CAFE)


def test_trimming_ends_where_all_are_locked(compiled):
    ids = customers_with_a_wallet(compiled, 1, 2, 3)
    compiled.trim(0, set(ids))
    assert kept(compiled, ids) == ids


def test_dropping_a_customer_forgets_their_wallets(compiled):
    post(compiled, earn(1, coins=1))
    assert (compiled.customers, compiled.wallets) == (1, 2)
    compiled.drop(ANA)
    compiled.drop(ANA)
    assert (compiled.customers, compiled.wallets) == (0, 0)
    assert compiled.wallet(ANA, COINS) is None


@pytest.mark.parametrize("settle", ["publish", "discard"])
def test_wallets_are_counted_right_where_a_batch_outlives_the_cache(compiled, settle):
    batch = compiled.decide([earn(1, coins=1)], NOW)
    compiled.clear()
    getattr(compiled, settle)(batch)
    assert (compiled.customers, compiled.wallets) == (0, 0)


def test_a_wallet_says_what_will_be_available_without_a_posting(compiled):
    post(compiled, earn(coins=5, last_day=TODAY), earn(coins=5), hold(7))
    wallet = compiled.wallet(ANA, COINS)
    assert wallet.available(SOON - 1, COLOMBIA)[:2] == (3, 7)
    assert wallet.available(SOON, COLOMBIA)[:2] == (10, 0)
    available, held, lots = wallet.available(NOW + DAY_S * SECOND, COLOMBIA)
    assert (available, held, lots_of(lots)) == (5, 0, {(TODAY + 30, CAFE): 5})
    rows = post(compiled, hold(0), now=NOW + DAY_S * SECOND)
    assert (rows[-1].balance, rows[-1].lots) == (5, lots_of(lots))


BAD_OPERATIONS = {
    "a customer's id of 15 bytes": {"customer_id": bytes(15)},
    "a transaction's id of 17 bytes": {"transaction_id": bytes(17)},
    "a reference of no bytes": {"reference": b""},
    "a code's MAC of 4 bytes": {"code_mac": b"1234"},
    "less than no points": {"requested": -1},
    "more points than any balance": {"requested": BALANCE_MAX + 1},
    "less than no coins": {"coins": -1},
    "more coins than any balance": {"coins": BALANCE_MAX + 1},
    "an unknown kind": {"kind": 0},
    "a kind that nobody asks for": {"kind": Kind.RELEASE},
    "another kind that nobody asks for": {"kind": Kind.REPAYMENT},
    "points of no brand": {"asset": COINS},
    "an issuer below zero": {"brand_id": -1},
    "a last day before the calendar": {"expires_day": -1},
    "a last day after the calendar": {"expires_day": 2**31},
    "a last day of coins before the calendar": {"coins_expires_day": -1},
    "a last day of coins after the calendar": {"coins_expires_day": 2**31},
    "a hold without a code": {"kind": Kind.HOLD, "tries_max": 1},
    "a hold without a try": {"kind": Kind.HOLD, "code_mac": RIGHT, "tries_max": 0},
    "a hold of countless tries": {"kind": Kind.HOLD, "code_mac": RIGHT, "tries_max": 2**15},
    "a hold of countless resends": {
        "kind": Kind.HOLD,
        "code_mac": RIGHT,
        "tries_max": 1,
        "resends_max": 2**15,
    },
    "a resend without a code": {"kind": Kind.RESEND, "reference": bytes(16)},
    "points that are good for no day": {"requested": 1},
    "coins that are good for no day": {"coins": 1},
}


@pytest.mark.parametrize("bad", BAD_OPERATIONS)
def test_an_operation_that_no_row_could_hold_is_not_made(bad):
    good = {"kind": Kind.ACCUMULATION, "asset": CAFE, "brand_id": CAFE}
    good |= {"customer_id": ANA, "transaction_id": bytes(16)}
    Operation(**good)
    with pytest.raises(ValueError, match=r"bytes|range|zero|kind|points|needs"):
        Operation(**good | BAD_OPERATIONS[bad])


def test_an_operation_is_asked_for_by_name_and_does_not_change(compiled):
    with pytest.raises(TypeError):
        Operation(Kind.VOID, ANA, bytes(16))
    with pytest.raises(AttributeError):
        earn(1).requested = 2


def test_the_largest_amounts_are_taken(ledger):
    extremes = {"last_day": 2**31 - 1, "brand_id": 2**31 - 1, "coins": BALANCE_MAX}
    _opening, coins, points = post(ledger, earn(BALANCE_MAX, **extremes))
    assert points.balance == coins.balance == BALANCE_MAX
    assert coins.lots == {(2**31 - 1, 2**31 - 1): BALANCE_MAX}
