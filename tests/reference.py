"""The rules of the ledger in plain Python: what the compiled core must do, byte for byte.

A wallet is a value that never changes. A batch plans new values in a dictionary of its own, so
publishing it is taking them over and discarding it is forgetting them. A verb is a ladder of
refusals, of which the first that applies is the answer, and then one posting. Lots move by signed
amounts: what was open before and what moved add up to what is open after. A debt is a lot below
zero of the day 0.

Labels like PTS-4 name the rules of the domain.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import reduce
from operator import or_
from typing import Any

from engine.codes import (
    BALANCE_MAX,
    COINS,
    DEBT_DAY,
    FLAG_BLOCKED,
    Cause,
    Claim,
    Counter,
    Kind,
    Outcome,
    Refusal,
)
from engine.ledger.core import Leg, Operation
from tests import copy_format
from tests.copy_format import Hold, Lots, Posting, chained, derived_id, negated

BLOCKED = FLAG_BLOCKED
NO_COUNTER = (Counter.NONE, 0)  # between available and held of one wallet


@dataclass(frozen=True, slots=True)
class Wallet:
    """A customer's account of one asset: what its newest posting says."""

    customer_id: bytes
    asset: int
    flags: int = 0
    seq: int = 0
    lots: Lots = field(default_factory=dict)  # in the order of spending
    holds: tuple[Hold, ...] = ()  # in the order they were placed
    recorded_at: int = 0
    hash: bytes = bytes(16)

    @property
    def balance(self) -> int:  # what can be spent, or below zero what is owed
        return sum(self.lots.values())

    @property
    def held(self) -> int:  # what is set aside for payments
        return sum(hold.coins for hold in self.holds)

    def after(self, moved: Lots) -> Wallet:
        """Add `moved` to the lots: equal ones merge, empty ones go."""
        keys = sorted(self.lots.keys() | moved.keys())
        lots = {key: self.lots.get(key, 0) + moved.get(key, 0) for key in keys}
        return replace(self, lots={key: amount for key, amount in lots.items() if amount})

    def earliest(self, amount: int) -> Lots:
        """Return the lots to spend: the earliest expiry first, then the lowest issuer (PTS-4)."""
        taken: Lots = {}
        for key, available in self.lots.items():
            if amount > 0:
                taken[key] = min(amount, available)
                amount -= taken[key]
        return taken

    def repaid(self) -> Lots:
        """Return what moves where the earliest lots repay the debts in order, as far as they go."""
        moved: Lots = {}
        owed = {key: -amount for key, amount in self.lots.items() if key[0] == DEBT_DAY}
        for lot, amount in self.lots.items():
            for debt in owed if amount > 0 else ():
                paid = min(owed[debt], amount)
                owed[debt], amount = owed[debt] - paid, amount - paid
                moved[debt], moved[lot] = moved.get(debt, 0) + paid, moved.get(lot, 0) - paid
        return dict(sorted((key, change) for key, change in moved.items() if change))

    def with_hold(self, hold: Hold, successor: Hold | None) -> Wallet:
        """Put `successor` in the place of `hold`, or nothing."""
        holds = (successor if other is hold else other for other in self.holds)
        return replace(self, holds=tuple(other for other in holds if other))


@dataclass(slots=True)
class Batch:
    """The postings of a decision, and the wallets as they are once these are durable."""

    operations: list[Operation]
    planned: dict[tuple[bytes, int], Wallet] = field(default_factory=dict)
    rows: list[Posting] = field(default_factory=list)
    new_wallets: list[tuple[bytes, int]] = field(default_factory=list)
    claims: list[tuple[int, int, bytes, bytes, bytes]] = field(default_factory=list)
    freed_claims: list[tuple[int, int, bytes, bytes]] = field(default_factory=list)
    invoice_payments: list[tuple[int, bytes, int, int, int, bool]] = field(default_factory=list)
    units: list[tuple[int, int, bytes, bytes]] = field(default_factory=list)
    turns: list[tuple[bytes, int, int, bytes]] = field(default_factory=list)
    qr_uses: list[tuple[bytes, int, bytes]] = field(default_factory=list)
    reversals: list[tuple[bytes, bytes]] = field(default_factory=list)
    freed_units: list[tuple[int, int, bytes]] = field(default_factory=list)
    freed_turns: list[tuple[bytes, int, int, bytes]] = field(default_factory=list)
    failed_codes: list[tuple[int, int, int, bytes]] = field(default_factory=list)
    draws: list[tuple[bytes, int, int]] = field(default_factory=list)
    refunds: list[tuple[int, int]] = field(default_factory=list)
    journal: bytes = b""


class ReferenceLedger:
    """The committed wallets of the customers that are loaded."""

    def __init__(self, coins_utc_offset: int, chain_key: bytes = b"") -> None:
        self.coins_utc_offset = coins_utc_offset
        self.chain_key = chain_key
        self.missing_fields: dict[bytes, int] = {}  # of each customer
        self.committed: dict[tuple[bytes, int], Wallet] = {}

    def load_customer(self, customer_id: bytes, missing_fields: int) -> None:
        self.missing_fields[customer_id] = missing_fields
        self.committed = {at: w for at, w in self.committed.items() if at[0] != customer_id}

    def load_customer_again(self, customer_id: bytes, missing_fields: int) -> None:
        """Say what a customer's profile lacks now; the wallets stay."""
        self.missing_fields[customer_id] = missing_fields

    def load_wallet(self, customer_id: bytes, asset: int, *newest: Any) -> None:
        seq, _balance, _held, flags, lots, holds, hash_, recorded_at = newest
        opened, kept = copy_format.unpack_lots(lots), copy_format.unpack_holds(holds)
        wallet = Wallet(customer_id, asset, flags, seq, opened, kept, recorded_at, hash_)
        self.committed[customer_id, asset] = wallet

    def wallet(self, customer_id: bytes, asset: int) -> Wallet | None:
        return self.committed.get((customer_id, asset))

    def decide(self, operations: list[Operation], now: int) -> Batch:
        """Decide operations, each on what those before it planned."""
        batch = Batch(sorted(operations, key=lambda operation: operation.customer_id))
        for operation in batch.operations:
            Decision(self, batch, operation, now).decide()
        batch.rows.sort(key=lambda row: (row.customer_id, row.asset, row.seq))
        batch.new_wallets = [(row.customer_id, row.asset) for row in batch.rows if row.seq == 1]
        batch.journal = copy_format.encode_journal(batch.rows)
        for companions in COMPANIONS - {"invoice_payments"}:
            getattr(batch, companions).sort()
        batch.invoice_payments.sort(key=lambda payment: payment[:2])  # those of one as decided
        return batch

    def publish(self, batch: Batch) -> None:
        self.committed |= batch.planned
        batch.planned.clear()

    def discard(self, batch: Batch) -> None:
        batch.planned.clear()


class Decision:
    """One operation, decided on the wallets that the operations before it left."""

    def __init__(self, ledger: ReferenceLedger, batch: Batch, asks: Operation, now: int) -> None:
        self.ledger, self.batch, self.asks, self.now = ledger, batch, asks, now

    def decide(self) -> None:
        for result in RESULTS:
            setattr(self.asks, result, 0)
        if self.asks.customer_id not in self.ledger.missing_fields:
            self.asks.outcome = Outcome.UNKNOWN_CUSTOMER
            return
        self.asks.missing_fields = self.ledger.missing_fields[self.asks.customer_id]
        own = {Kind.ACCUMULATION: self.earn, Kind.REDEMPTION: self.redeem, Kind.HOLD: self.hold}
        own |= dict.fromkeys((Kind.BLOCK, Kind.UNBLOCK), self.block)
        own |= {Kind.PAYMENT: self.pay, Kind.DONATION: self.donate, Kind.REVERSAL: self.reverse}
        own |= dict.fromkeys((Kind.CONVERSION, Kind.CASHBACK), self.receive)
        own |= {Kind.EXPIRY: self.sweep}
        own.get(self.asks.kind, self.follow_up)(self.asks)

    def earn(self, asks: Operation) -> None:
        """Earn points of a brand (PTS-3), and coins where the brand issues them (COI-2)."""
        points = self.open(asks.asset)
        if self.flags() & BLOCKED:  # CUS-9
            return self.refuse(points, Refusal.CUSTOMER_BLOCKED)
        if asks.barred:  # the invoice earned before (PTS-7)
            return self.refuse(points, asks.barred)
        claim = None if asks.invoice_number is None else self.claim()
        if claim in {other[:3] for other in self.batch.claims}:  # or in this batch
            return self.refuse(points, Refusal.INVOICE_ALREADY_CLAIMED)
        if not has_room(points, asks.requested):
            return self.refuse(points, Refusal.LIMIT_REACHED)
        coins = self.open(COINS) if asks.coins else None
        if coins and not has_room(coins, asks.coins):
            return self.refuse(points, Refusal.LIMIT_REACHED)

        moved = {(asks.expires_day, 0): asks.requested} if asks.requested else {}
        points = self.post(points.after(moved), moved, (Counter.POINTS_ISSUED, asks.asset))
        self.answer(points, asks.requested, earned_expires_day=asks.expires_day * bool(moved))
        self.settle(points)
        if coins:  # each knows its issuer (COI-9), and its expiry (COI-4)
            moved = {(asks.coins_expires_day, asks.brand_id): asks.coins}
            issuer = (Counter.COINS_ISSUED, asks.brand_id)
            leg = {"leg": 1, "requested": asks.coins} | dict.fromkeys(TEXTS)
            leg |= {"reference": asks.allotment_id or asks.reference}
            self.draw(asks.allotment_id, issued=asks.coins)
            coins = self.post(coins.after(moved), moved, issuer, **leg)
            asks.has_coins, asks.coins_amount, asks.coins_balance = True, asks.coins, coins.balance
            self.settle(coins)
        if claim is not None:
            self.batch.claims.append((*claim, asks.customer_id, asks.transaction_id))
        return None

    def redeem(self, asks: Operation) -> None:
        """Take the price of a reward (RED-5) from the points of its brand (PTS-1).

        A unit of its stock is taken once, and so is each turn of a customer: who comes second in a
        batch is asked to come again with others, and no row is left of it.
        """
        if self.is_taken():
            asks.outcome = Outcome.TAKEN
            return None
        points = self.open(asks.asset)
        if refusal := self.refusal_to_spend(points, Refusal.INSUFFICIENT_POINTS):
            return self.refuse(points, refusal)
        self.take()
        return self.spend(points, (Counter.POINTS_REDEEMED, asks.asset))

    def is_taken(self) -> bool:
        """Return whether an operation before this one takes its unit or its turn (RED-5)."""
        unit, turn = self.unit_and_turn()
        units = {other[:2] for other in self.batch.units}
        return unit in units or turn in {other[:3] for other in self.batch.turns}

    def take(self) -> None:
        """Take the unit and the turn that are asked for, where they are numbered."""
        unit, turn = self.unit_and_turn()
        if self.asks.unit:
            self.batch.units.append((*unit, self.asks.customer_id, self.asks.transaction_id))
        if self.asks.turn:
            self.batch.turns.append((*turn, self.asks.transaction_id))

    def unit_and_turn(self) -> tuple[tuple[int, int], tuple[bytes, int, int]]:
        asks = self.asks
        return (asks.item_id, asks.unit), (asks.customer_id, asks.item_id, asks.turn)

    def free(self, of: Hold | Leg, taker: bytes) -> None:
        """Give back a unit and a turn; what was taken in this very batch was never taken."""
        batch, customer_id = self.batch, self.asks.customer_id
        unit = (of.item_id, of.unit, customer_id, taker)
        turn = (customer_id, of.item_id, of.turn, taker)
        if unit in batch.units:
            batch.units.remove(unit)
        elif of.unit:
            batch.freed_units.append((of.item_id, of.unit, taker))
        if turn in batch.turns:
            batch.turns.remove(turn)
        elif of.turn:
            batch.freed_turns.append(turn)

    def pay(self, asks: Operation) -> None:
        """Pay a receiver at once by the app's QR, which works once (COI-6)."""
        if self.is_taken():
            asks.outcome = Outcome.TAKEN
            return None
        coins = self.open(COINS)
        if refusal := self.refusal_to_spend(coins, Refusal.INSUFFICIENT_COINS):
            return self.refuse(coins, refusal)
        use = (asks.customer_id, asks.qr_issued_at)
        if use in {other[:2] for other in self.batch.qr_uses}:
            return self.refuse(coins, Refusal.QR_INVALID)
        if asks.qr_issued_at:
            self.batch.qr_uses.append((*use, asks.transaction_id))
        self.take()
        self.pay_invoice(asks.requested)
        return self.spend(coins, (Counter.COINS_SETTLED, asks.brand_id))

    def donate(self, asks: Operation) -> None:
        """Give coins to an organisation (COI-8)."""
        coins = self.open(COINS)
        if refusal := self.refusal_to_spend(coins, Refusal.INSUFFICIENT_COINS):
            return self.refuse(coins, refusal)
        return self.spend(coins, (Counter.COINS_DONATED, asks.party_id))

    def receive(self, asks: Operation) -> None:
        """Get coins from a partner, once by its reference (SYS-9), or as cashback (COI-2)."""
        coins, converts = self.open(COINS), asks.kind == Kind.CONVERSION
        claim = self.claim()
        if self.flags() & BLOCKED:  # CUS-9
            return self.refuse(coins, Refusal.CUSTOMER_BLOCKED)
        if asks.barred:
            return self.refuse(coins, asks.barred)
        if claim in {other[:3] for other in self.batch.claims}:
            return self.refuse(coins, Refusal.REFERENCE_ALREADY_USED)
        if not has_room(coins, asks.requested):
            return self.refuse(coins, Refusal.LIMIT_REACHED)
        issuer, counter = asks.brand_id, (Counter.COINS_ISSUED, asks.brand_id)
        if converts:
            issuer, counter = 2**31 + asks.party_id, (Counter.PARTNER_CLEARING, asks.party_id)
        self.batch.claims.append((*claim, asks.customer_id, asks.transaction_id))
        self.draw(asks.allotment_id, issued=asks.requested)
        moved = {(asks.expires_day, issuer): asks.requested} if asks.requested else {}
        payer = {"reference": asks.allotment_id or asks.reference}
        coins = self.post(coins.after(moved), moved, counter, **payer)
        self.answer(coins, asks.requested, earned_expires_day=asks.expires_day * bool(moved))
        self.settle(coins)
        return None

    def claim(self) -> tuple[int, int, bytes]:
        """Return what happens once: kind, owner and normal form (PTS-7, SYS-9, INV-8)."""
        asks = self.asks
        if asks.kind == Kind.ACCUMULATION:
            return Claim.INVOICE, asks.store_id, self.invoice_key()
        kind, owner = Claim.ORDER, asks.brand_id
        if asks.kind == Kind.CONVERSION:
            kind, owner = Claim.REFERENCE, asks.party_id
        return kind, owner, key_of(asks.claim_reference, None)

    def invoice_key(self) -> bytes | None:
        """Return the normal form of the invoice, which is its own within its scope (INV-4)."""
        number = self.asks.invoice_number
        return None if number is None else key_of(number, self.asks.invoice_scope)

    def pay_invoice(self, paid: int) -> None:
        """Count coins that pay an invoice (INV-8); `paid` of them wait for no code."""
        asks, key = self.asks, self.invoice_key()
        if key is not None and asks.requested:
            coins = (asks.coins_max, asks.requested, paid, asks.printed)
            self.batch.invoice_payments.append((asks.store_id, key, *coins))

    def change_invoice(self, store_id: int, key: bytes | None, coins: int, paid: int) -> None:
        """Count coins that went back, or that were held and are paid; no amount is known then."""
        if key is not None and (coins or paid):
            self.batch.invoice_payments.append((store_id, key, -1, coins, paid, False))

    def draw(self, allotment_id: bytes | None, issued: int = 0, returned: int = 0) -> None:
        """Let an allotment of a prepaid issuer pay for coins, or have them back (COI-2)."""
        if allotment_id is not None:
            draws = {id_: coins for id_, *coins in self.batch.draws}
            before, back = draws.get(allotment_id, (0, 0))
            draws[allotment_id] = [before + issued, back + returned]
            self.batch.draws = [(id_, *coins) for id_, coins in draws.items()]

    def reverse(self, asks: Operation) -> None:
        """Undo all legs of a transaction, once (PTS-8, RED-7); a block is not in the way of it."""
        first = self.open(asks.original[0].asset)
        undone = (asks.customer_id, asks.reference)
        if asks.barred:
            return self.refuse(first, asks.barred)
        if undone in self.batch.reversals:
            return self.refuse(first, Refusal.ALREADY_REVERSED)
        if any(leg.refusal or leg.kind not in REVERSIBLE for leg in asks.original):
            return self.refuse(first, Refusal.NOT_REVERSIBLE)
        wallets = [first, *(self.open(leg.asset) for leg in asks.original[1:])]
        for wallet, leg in zip(wallets, asks.original, strict=True):
            if not has_room(wallet, -(leg.amount + leg.held_amount)):
                return self.refuse(first, Refusal.LIMIT_REACHED)
        for number, leg in enumerate(asks.original):
            self.reverse_leg(number, leg)
            self.free(leg, leg.taker)
            if leg.claim is not None and asks.cause in (Cause.WRONG_CUSTOMER, Cause.MISTAKE):
                self.batch.freed_claims.append((*leg.claim, leg.taker))  # INV-6
            if leg.invoice is not None:
                coins = leg.amount + leg.held_amount
                self.change_invoice(*leg.invoice, coins, coins)
            if leg.allotment_id is not None:  # what was paid for beforehand is there to issue again
                self.draw(leg.allotment_id, returned=leg.amount)
                refunds = dict(self.batch.refunds)
                refunds[leg.counter_party] = refunds.get(leg.counter_party, 0) + leg.amount
                self.batch.refunds = list(refunds.items())
        self.batch.reversals.append(undone)
        return None

    def reverse_leg(self, number: int, leg: Leg) -> None:
        """Give back the very lots, or take back from the very lots and owe what is not there."""
        wallet, amount = self.current(leg.asset), -(leg.amount + leg.held_amount)
        moved: Lots = {}
        for (day, issuer), change in copy_format.lots_of(leg.moved).items():
            open_ = wallet.lots.get((day, issuer), 0) if change > 0 else 0
            back = min(change, open_) if change > 0 else change
            for key, part in (((day, issuer), back), ((DEBT_DAY, issuer), change - back)):
                moved[key] = moved.get(key, 0) - part
        moved = dict(sorted((key, change) for key, change in moved.items() if change))
        leg_n = {"leg": number, "requested": abs(amount)}
        leg_n |= dict.fromkeys(TEXTS) if number else {}
        wallet = self.post(wallet.after(moved), moved, (leg.counter, leg.counter_party), **leg_n)
        if number == 0:
            self.answer(wallet, amount)
        else:
            self.asks.has_coins = True
            self.asks.coins_amount, self.asks.coins_balance = amount, wallet.balance
        self.repay(self.expire(wallet))

    def spend(self, wallet: Wallet, counter: tuple[Counter, int]) -> None:
        """Take what is asked for from the earliest lots."""
        moved = negated(wallet.earliest(self.asks.requested))
        wallet = self.post(wallet.after(moved), moved, counter)
        self.answer(wallet, -self.asks.requested)

    def hold(self, asks: Operation) -> None:
        """Set coins aside, with their very lots, until the code is typed (COI-3, COI-6)."""
        if self.is_taken():
            asks.outcome = Outcome.TAKEN
            return None
        coins = self.open(COINS)
        if refusal := self.refusal_to_spend(coins, Refusal.INSUFFICIENT_COINS):  # COI-7
            return self.refuse(coins, refusal)
        lots = coins.earliest(asks.requested)
        hold = Hold(
            payment_id=asks.transaction_id,
            coins=asks.requested,
            expires_at=asks.hold_expires_at,
            code_mac=asks.code_mac,
            brand_id=asks.brand_id,
            store_id=asks.store_id,
            tries_left=asks.tries_max,
            resends_left=asks.resends_max,
            item_id=asks.item_id,
            unit=asks.unit,
            turn=asks.turn,
            invoice_key=self.invoice_key(),
            lots=lots,
        )
        self.take()
        self.pay_invoice(0)
        coins = replace(coins.after(negated(lots)), holds=(*coins.holds, hold))
        coins = self.post(coins, negated(lots))
        left = {"tries_left": asks.tries_max, "resends_left": asks.resends_max}
        return self.answer(coins, -asks.requested, **left)

    def follow_up(self, asks: Operation) -> None:
        """Capture, void or resend what is held; it takes place where the payment did."""
        coins = self.open(COINS)
        hold = next((hold for hold in coins.holds if hold.payment_id == asks.reference), None)
        if hold is None:
            asks.outcome = Outcome.UNKNOWN_PAYMENT
        elif asks.kind == Kind.VOID:
            coins = self.give_back(coins, hold)
            self.answer(coins, hold.coins)
            self.repay(self.expire(coins))
        elif asks.kind == Kind.RESEND and not hold.resends_left:
            self.refuse(coins, Refusal.LIMIT_REACHED)
        elif asks.kind == Kind.RESEND:  # another code; the tries that are gone stay gone (COI-6)
            resent = replace(hold, code_mac=asks.code_mac, resends_left=hold.resends_left - 1)
            coins = self.post(coins.with_hold(hold, resent), {}, **about(hold))
            left = {"tries_left": hold.tries_left, "resends_left": resent.resends_left}
            self.answer(coins, 0, **left)
        elif self.flags() & BLOCKED:  # CUS-9
            self.refuse(coins, Refusal.CUSTOMER_BLOCKED)
        elif asks.code_mac == hold.code_mac and asks.barred:  # its invoice is voided (INV-5)
            refused = {"refusal": asks.barred}
            coins = self.give_back(coins, hold, **refused)
            self.answer(coins, 0, **refused)
            self.repay(self.expire(coins))
        elif asks.code_mac == hold.code_mac:  # from the coins' issuers to the receiver (COI-9)
            moved, receiver = negated(hold.lots), (Counter.COINS_SETTLED, hold.brand_id)
            coins = self.post(coins.with_hold(hold, None), moved, receiver, **about(hold))
            self.answer(coins, -hold.coins)
            self.change_invoice(hold.store_id, hold.invoice_key, 0, hold.coins)
        else:  # a wrong code costs a try, and with the last one the coins are back
            left, refused = hold.tries_left - 1, {"refusal": Refusal.CODE_INVALID}
            typed = (hold.brand_id, hold.store_id, asks.cashier_id, asks.transaction_id)
            self.batch.failed_codes.append(typed)
            if left > 0:
                coins = coins.with_hold(hold, replace(hold, tries_left=left))
                coins = self.post(coins, {}, **refused, **about(hold))
            else:
                coins = self.give_back(coins, hold, **refused)
            resends_left = hold.resends_left if left else 0
            self.answer(coins, 0, **refused, tries_left=left, resends_left=resends_left)
            if not left:
                self.repay(self.expire(coins))

    def sweep(self, asks: Operation) -> None:
        """Write down what is due in a wallet, if there is one; no row is its own (PTS-5)."""
        for before in self.wallets():
            if before.asset == asks.asset:
                after = self.open(asks.asset)
                self.answer(after, after.balance + after.held - before.balance - before.held)
        asks.outcome = Outcome.WRITTEN_DOWN

    def block(self, asks: Operation) -> None:
        """Block or unblock the customer (CUS-9) by a row in every wallet.

        What is due in the wallets of brands is left to whoever knows their calendars.
        """
        coins = self.open(COINS)
        for wallet in self.wallets():
            if wallet.asset != COINS:
                columns = self.unasked(wallet, asks.kind, reference=asks.transaction_id)
                self.post(self.with_block(wallet), {}, **columns)
        self.answer(self.post(self.with_block(coins), {}), 0)

    def with_block(self, wallet: Wallet) -> Wallet:
        """Return a wallet with the flag that is asked for."""
        others = wallet.flags & ~BLOCKED
        return replace(wallet, flags=others | BLOCKED * (self.asks.kind == Kind.BLOCK))

    def open(self, asset: int) -> Wallet:
        """Return a wallet after what is due in it was written: its holds, its lots, its debts.

        That the wallet of a brand is opened is written in the wallet of coins, so a block, which
        writes in every wallet, collides with it.
        """
        if asset != COINS and all(wallet.asset != asset for wallet in self.wallets()):
            coins = self.open(COINS)
            self.post(coins, {}, **self.unasked(coins, Kind.OPENING, brand_id=asset))
        wallet = self.current(asset)
        for hold in wallet.holds:
            if hold.expires_at <= self.now:
                wallet = self.give_back(wallet, hold, **self.unasked(wallet, Kind.RELEASE))
        return self.repay(self.expire(wallet))

    def current(self, asset: int) -> Wallet:
        """Return a wallet as planned, or as committed; a new one has its owner's flags (CUS-9)."""
        at = (self.asks.customer_id, asset)
        known = self.batch.planned.get(at) or self.ledger.committed.get(at)
        return known or Wallet(*at, flags=self.flags())

    def flags(self) -> int:
        """Return the flags of the customer, which every wallet carries (CUS-9)."""
        return reduce(or_, (wallet.flags for wallet in self.wallets()), 0)

    def wallets(self) -> list[Wallet]:
        """Return the wallets of the customer, each as planned or as committed."""
        wallets = (self.ledger.committed | self.batch.planned).values()
        return [wallet for wallet in wallets if wallet.customer_id == self.asks.customer_id]

    def refusal_to_spend(self, wallet: Wallet, insufficient: Refusal) -> int:
        """Return the first reason not to spend (CUS-9, CUS-7 and COI-5, COI-7), or 0."""
        ladder = (
            (self.flags() & BLOCKED, Refusal.CUSTOMER_BLOCKED),
            (self.asks.needs_profile and self.asks.missing_fields, Refusal.PROFILE_INCOMPLETE),
            (wallet.balance < self.asks.requested, insufficient),
            (self.asks.barred, self.asks.barred),
        )
        return next((refusal for applies, refusal in ladder if applies), 0)

    def refuse(self, wallet: Wallet, refusal: int) -> None:
        """Write down that nothing was done and why: final for the key of the request."""
        self.answer(self.post(wallet, {}, refusal=refusal), 0, refusal=refusal)

    def give_back(self, wallet: Wallet, hold: Hold, **columns: Any) -> Wallet:
        """Return the lots of a hold to their wallet, with the expiry they had (COI-4)."""
        self.free(hold, hold.payment_id)
        self.change_invoice(hold.store_id, hold.invoice_key, -hold.coins, 0)
        wallet = wallet.with_hold(hold, None).after(hold.lots)
        return self.post(wallet, hold.lots, **columns | about(hold))

    def expire(self, wallet: Wallet) -> Wallet:
        """Take out what is past its last day (PTS-5, COI-4), by its country's calendar (COI-1)."""
        offset = self.asks.utc_offset if wallet.asset else self.ledger.coins_utc_offset
        today = (self.now // 1_000_000 + offset) // 86_400
        due = {key: n for key, n in wallet.lots.items() if DEBT_DAY < key[0] < today}
        moved = negated(due)
        if not moved:
            return wallet
        breakage = Counter.COINS_EXPIRED if wallet.asset == COINS else Counter.POINTS_EXPIRED
        columns = {"requested": -sum(moved.values()), "brand_id": wallet.asset}
        columns = self.unasked(wallet, Kind.EXPIRY, **columns)
        return self.post(wallet.after(moved), moved, (breakage, wallet.asset), **columns)

    def settle(self, wallet: Wallet) -> None:
        """Leave no debt beside what could repay it; what has expired repays nothing."""
        if wallet.repaid():
            self.repay(self.expire(wallet))

    def repay(self, wallet: Wallet) -> Wallet:
        """Repay debts from lots by a row that says whose coins paid whose debts (COI-9)."""
        moved = wallet.repaid()
        if not moved:
            return wallet
        paid = sum(change for change in moved.values() if change > 0)
        columns = {"requested": paid, "brand_id": wallet.asset}
        columns = self.unasked(wallet, Kind.REPAYMENT, **columns)
        return self.post(wallet.after(moved), moved, **columns)

    def unasked(self, wallet: Wallet, kind: Kind, **columns: Any) -> dict[str, Any]:
        """Return the columns of a posting nobody asked for; its id is made from its place."""
        id_ = derived_id(wallet.customer_id, wallet.asset, wallet.seq + 1)
        columns |= {"transaction_id": id_, "kind": kind, "occurred_at": self.now}
        return NOBODYS | columns

    def post(self, wallet: Wallet, moved: Lots, counter=NO_COUNTER, **columns: Any) -> Wallet:
        """Write the row that leads to `wallet`, whose lots and holds are as after it."""
        before = self.current(wallet.asset)
        row = {column: getattr(self.asks, column) for column in ASKED + TEXTS} | columns
        row |= {column: getattr(wallet, column) for column in STATE} | {"moved": moved}
        row["bill_amount"] = None if row["bill_amount"] == -1 else row["bill_amount"]
        row["counter"], row["counter_party"] = counter
        row["amount"] = wallet.balance - before.balance
        row["held_amount"] = wallet.held - before.held
        row["seq"] = before.seq + 1
        row["recorded_at"] = max(self.now, before.recorded_at)  # time never goes back in a wallet
        posting = chained(Posting(**row), before.hash, self.ledger.chain_key)
        self.batch.rows.append(posting)
        chain = {"seq": posting.seq, "recorded_at": posting.recorded_at, "hash": posting.hash}
        wallet = self.batch.planned[wallet.customer_id, wallet.asset] = replace(wallet, **chain)
        return wallet

    def answer(self, wallet: Wallet, amount: int, **results: int) -> None:
        """Tell what came of the operation, and what the wallet holds after it."""
        results |= {"outcome": Outcome.POSTED, "amount": amount, "balance": wallet.balance}
        results |= {"held": wallet.held, "recorded_at": wallet.recorded_at}
        for result, value in results.items():
            setattr(self.asks, result, value)


def has_room(wallet: Wallet, amount: int) -> bool:
    """Return whether a wallet can take an amount; what is held counts, for it may come back."""
    if amount < 0:
        return wallet.balance + amount >= -BALANCE_MAX
    return wallet.balance + wallet.held + amount <= BALANCE_MAX


def key_of(text: bytes, scope: bytes | None) -> bytes:
    """Return the normal form by which something happens once (INV-4, INV-8)."""
    key = "".join(sign for sign in text.decode() if sign.isalnum()).upper().encode()
    return key if scope is None else key + b"@" + scope


def about(hold: Hold) -> dict[str, Any]:
    """Return the columns of a posting that belongs to a payment: it is where the payment is."""
    columns = {"brand_id": hold.brand_id, "store_id": hold.store_id, "requested": hold.coins}
    return columns | {"reference": hold.payment_id}


COMPANIONS = {"claims", "units", "turns", "qr_uses", "freed_units", "freed_turns"}
COMPANIONS |= {"freed_claims", "invoice_payments"}
COMPANIONS |= {"failed_codes"}
COMPANIONS |= {"draws", "refunds"}
REVERSIBLE = {Kind.ACCUMULATION, Kind.REDEMPTION, Kind.CAPTURE, Kind.PAYMENT, Kind.CONVERSION}
REVERSIBLE |= {Kind.CASHBACK, Kind.DONATION}
STATE = ("customer_id", "asset", "balance", "held", "flags", "lots", "holds")
# What a second leg does not repeat:
TEXTS = ("bill_amount", "invoice_number", "invoice_scope", "details")
ASKED = ("transaction_id", "kind", "requested", "fingerprint", "occurred_at", "missing_fields")
ASKED += ("brand_id", "store_id", "reference", "by_id", "till", "cause")
NOBODYS = {"fingerprint": 0, "requested": 0, "brand_id": 0, "store_id": 0}
NOBODYS |= {"by_id": 0, "till": 0, "cause": 0}
NOBODYS |= dict.fromkeys(("reference", *TEXTS))
RESULTS = ("outcome", "refusal", "missing_fields", "amount", "balance", "held", "recorded_at")
RESULTS += ("earned_expires_day", "has_coins", "coins_amount", "coins_balance", "tries_left")
RESULTS += ("resends_left",)
