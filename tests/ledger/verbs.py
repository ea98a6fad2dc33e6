"""What the tests of the rules ask of a ledger, and how they look at it."""

from itertools import count

from engine.codes import COINS, Kind
from engine.ledger.core import Operation
from tests.copy_format import decode, leg_of, pack_holds, pack_lots

ANA, BEA = b"a" * 16, b"b" * 16
CAFE, FUEL = 7, 9  # brands; CAFE issues coins, FUEL receives them
BANK, ORPHANAGE = 3, 5
PARTNER = 2**31 + BANK  # as an issuer of coins
QR = 1_771_000_000
DAY_S = 86_400
TODAY = 20_500
COLOMBIA, GUATEMALA = -5 * 3600, -6 * 3600
SECOND = 1_000_000
MIDNIGHT = (TODAY * DAY_S - COLOMBIA) * SECOND  # TODAY begins in Colombia
NOW = MIDNIGHT + 9 * 3600 * SECOND
SOON = NOW + 300 * SECOND
RIGHT, WRONG = b"r" * 16, b"w" * 16
NUMBERS = count(1)


def earn(points=0, *, coins=0, last_day=TODAY + 30, **others):
    """Return an accumulation at the café; points and coins are good until `last_day`."""
    return ask(
        Kind.ACCUMULATION,
        **{"asset": CAFE, "brand_id": CAFE, "requested": points, "expires_day": last_day}
        | {"coins": coins, "coins_expires_day": last_day}
        | others,
    )


def redeem(points, **others):
    return ask(Kind.REDEMPTION, **{"asset": CAFE, "brand_id": CAFE, "requested": points} | others)


def hold(coins, **others):
    """Return a payment at the fuel station: one resend, two tries, five minutes."""
    return ask(
        Kind.HOLD,
        **{"brand_id": FUEL, "store_id": 90, "requested": coins, "code_mac": RIGHT}
        | {"hold_expires_at": SOON, "tries_max": 2, "resends_max": 1}
        | others,
    )


def capture(payment, code=RIGHT, **others):
    return ask(Kind.CAPTURE, reference=payment.transaction_id, code_mac=code, **others)


def void(payment, **others):
    return ask(Kind.VOID, reference=payment.transaction_id, **others)


def resend(payment, code=RIGHT, **others):
    return ask(Kind.RESEND, reference=payment.transaction_id, code_mac=code, **others)


def pay(coins, **others):
    """Return a payment at the fuel station by the QR of the customer's app."""
    return ask(
        Kind.PAYMENT,
        **{"brand_id": FUEL, "store_id": 90, "requested": coins, "qr_issued_at": QR} | others,
    )


def convert(coins, reference=b"R-1", *, last_day=TODAY + 30, **others):
    """Return a conversion of the bank's points."""
    return ask(
        Kind.CONVERSION,
        **{"party_id": BANK, "claim_reference": reference, "requested": coins}
        | {"expires_day": last_day}
        | others,
    )


def cash_back(coins, *, last_day=TODAY + 30, **others):
    """Return cashback of an online order at the café, of another one each time."""
    columns = {"brand_id": CAFE, "requested": coins, "expires_day": last_day}
    columns |= {"claim_reference": b"O-%d" % next(NUMBERS)}
    return ask(Kind.CASHBACK, **columns | others)


def donate(coins, **others):
    return ask(Kind.DONATION, **{"party_id": ORPHANAGE, "requested": coins} | others)


def reverse(rows, *, item=None, **others):
    """Return the reversal of a transaction's rows; `item` is what it took."""
    legs = sorted(rows, key=lambda row: row.leg)
    return ask(
        Kind.REVERSAL,
        **{"reference": legs[0].transaction_id, "brand_id": legs[0].brand_id}
        | {"original": [leg_of(row, **({} if row.leg else item or {})) for row in legs]}
        | others,
    )


def rows_of(rows, operation):
    """Return the rows of one operation, leg 0 first."""
    own = [row for row in rows if row.transaction_id == operation.transaction_id]
    return sorted(own, key=lambda row: row.leg)


def ask(kind, **keywords):
    number = next(NUMBERS)
    defaults = {"customer_id": ANA, "transaction_id": number.to_bytes(16, "big")}
    defaults |= {"utc_offset": COLOMBIA, "occurred_at": NOW, "fingerprint": number}
    return Operation(kind=kind, **defaults | keywords)


def post(ledger, *operations, now=NOW):
    """Decide operations, publish them, and return the rows."""
    batch = ledger.decide(list(operations), now)
    ledger.publish(batch)
    return decode(batch.journal)


def balances(ledger, asset=COINS, customer=ANA):
    """Return (available, held) as committed."""
    wallet = ledger.wallet(customer, asset)
    return wallet.balance, wallet.held


def newest(lots, holds=(), **columns):
    """Return what a wallet's newest row says, but for what `columns` says otherwise."""
    row = {"seq": 1, "balance": sum(lots.values()), "held": sum(each.coins for each in holds)}
    row |= {"flags": 0, "lots": pack_lots(lots), "holds": pack_holds(holds)}
    return row | {"hash": bytes(16), "recorded_at": NOW} | columns


def load_wallet(ledger, asset, lots, *, holds=(), customer=ANA, **columns):
    ledger.load_wallet(customer, asset, *newest(lots, holds, **columns).values())
