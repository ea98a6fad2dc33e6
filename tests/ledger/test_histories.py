"""Long histories: after every batch the compiled core and the plain rules wrote the same bytes.

What they wrote is then audited from nothing but the rows: sequence, chain, lots, holds, balances,
and that the network's books sum to zero. The clock jumps by seconds and by months, sometimes
backwards; batches are discarded in between; wallets are forgotten and loaded again.
"""

from collections import Counter as Tally
from collections import defaultdict

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from engine.ledger.core import Auditor, Ledger, Operation
from engine.ledger.vocabulary import BALANCE_MAX, COINS, FLAG_BLOCKED, Counter, Kind, Refusal
from tests.copy_format import (
    Posting,
    chain_hash,
    chained,
    decode,
    encode,
    encode_journal,
    lots_of,
    negated,
    pack_holds,
    pack_lots,
)
from tests.reference import RESULTS, ReferenceLedger

pytestmark = pytest.mark.timeout(3600)  # the nightly profile takes its time

CUSTOMERS = [bytes([n]) * 16 for n in (1, 2, 3)]
STRANGER = bytes(16)
BRANDS = [7, 8]
OLD_BRAND = 6  # of which a customer has a wallet from before there were openings
COLOMBIA, GUATEMALA = -5 * 3600, -6 * 3600
START = 1_767_000_000_000_000
SECOND = 1_000_000
DAY = 86_400 * SECOND
JUMPS = [0, 1, SECOND, 20 * SECOND, 90 * SECOND, -5 * SECOND, 3600 * SECOND, DAY, 40 * DAY]
LIFETIMES = [0, 60 * SECOND, 300 * SECOND, DAY, 50 * DAY]
VERBS = [Kind.ACCUMULATION, Kind.ACCUMULATION, Kind.REDEMPTION, Kind.HOLD, Kind.HOLD]
VERBS += [Kind.CAPTURE, Kind.CAPTURE, Kind.VOID, Kind.RESEND, Kind.REDEMPTION]
VERBS += [Kind.BLOCK, Kind.UNBLOCK, Kind.UNBLOCK]
BARRED = [0] * 12 + [Refusal.INVOICE_ALREADY_CLAIMED, Refusal.NOT_AVAILABLE]

asks = st.fixed_dictionaries(
    {
        "kind": st.sampled_from(VERBS),
        "customer_id": st.sampled_from([*CUSTOMERS * 4, STRANGER]),
        "brand_id": st.sampled_from([*BRANDS * 3, OLD_BRAND]),
        "amount": st.sampled_from([0, 1, 2, 3, 5, 8, 10, 20, 50, 100] * 2 + [BALANCE_MAX]),
        "days": st.sampled_from([-1, 0, 1, 2, 30, 31, 60, 365]),
        "chances": st.integers(0, 2**24 - 1),
    }
)


class Chances:
    """A drawn number taken apart: each choice is independent of the others, and shrinks to 0."""

    def __init__(self, number):
        self.number = number

    def of(self, choices):
        self.number, choice = divmod(self.number, choices)
        return choice


def operation_from(ask, number, now, payments):
    """Return the keywords of an operation; a hold adds itself to the `payments` that are known."""
    kind, chances = ask["kind"], Chances(ask["chances"])
    today = (now // SECOND + COLOMBIA) // 86_400
    keywords = {
        "kind": kind,
        "customer_id": ask["customer_id"],
        "transaction_id": number.to_bytes(16, "big"),
        "fingerprint": -number,
        "brand_id": ask["brand_id"],
        "store_id": 10 * ask["brand_id"],
        "occurred_at": now - number * SECOND,
        "needs_profile": chances.of(2),
        "details": [None, b"{}"][chances.of(2)],
        "barred": BARRED[chances.of(len(BARRED))],
    }
    if kind in (Kind.ACCUMULATION, Kind.REDEMPTION):
        keywords |= {"asset": ask["brand_id"], "requested": ask["amount"]}
        keywords |= {"utc_offset": GUATEMALA if ask["brand_id"] == 8 else COLOMBIA}
    if kind == Kind.ACCUMULATION:
        keywords |= {"expires_day": today + ask["days"], "bill_amount": chances.of(3) - 1}
        keywords |= {"coins": min(chances.of(10) * ask["amount"], BALANCE_MAX)}
        keywords |= {"coins_expires_day": today + 2 * ask["days"]}
        keywords |= {"invoice_number": [None, b"F-%d" % (number % 3)][chances.of(2)]}
    if kind == Kind.REDEMPTION:
        keywords["item_id"] = chances.of(3)
        if keywords["item_id"]:  # few of each, so that they meet in a batch
            keywords |= {"unit": chances.of(3), "turn": chances.of(3)}
    if kind == Kind.HOLD:
        keywords |= {"requested": ask["amount"], "reference": keywords["transaction_id"]}
        keywords |= {"hold_expires_at": now + LIFETIMES[chances.of(len(LIFETIMES))]}
        keywords |= {"tries_max": 1 + chances.of(3), "resends_max": chances.of(3)}
        keywords |= {"code_mac": code(chances.of(2))}
        payments[ask["customer_id"]].append(keywords["transaction_id"])
    if kind in (Kind.CAPTURE, Kind.VOID, Kind.RESEND):
        known = payments[ask["customer_id"]][-3:] or [bytes(16)]
        keywords |= {"reference": known[-1 - chances.of(3) % len(known)]}
        keywords |= {"code_mac": code(chances.of(2))}
    return keywords


def code(number):
    return bytes([number]) * 16


def first_row(customer_id, flags):
    """Return the only row of a customer of an older journal: points, and no wallet of coins."""
    lots = {((START // SECOND + COLOMBIA) // 86_400 + 20, 0): 30}
    row = Posting(
        customer_id=customer_id,
        asset=OLD_BRAND,
        seq=1,
        transaction_id=b"f" * 16,
        kind=Kind.ACCUMULATION,
        requested=30,
        amount=30,
        balance=30,
        counter=Counter.POINTS_ISSUED,
        counter_party=OLD_BRAND,
        flags=flags,
        lots=lots,
        moved=lots,
        occurred_at=START,
        recorded_at=START,
    )
    return chained(row, bytes(16))


class History(RuleBasedStateMachine):
    @initialize(
        old=st.sampled_from([None] * 2 + CUSTOMERS),
        flags=st.sampled_from([0, FLAG_BLOCKED]),
        incomplete=st.sampled_from([None] * 3 + CUSTOMERS),
    )
    def begin(self, old, flags, incomplete):
        self.now = START
        self.number = 0
        self.ledgers = Ledger(COLOMBIA), ReferenceLedger(COLOMBIA)
        self.missing = {customer: 9 * (customer == incomplete) for customer in CUSTOMERS}
        self.payments = defaultdict(list)
        self.books = Books()
        for customer, missing_fields in self.missing.items():
            for ledger in self.ledgers:
                ledger.load_customer(customer, missing_fields)
        if old is not None:
            self.books.append([first_row(old, flags)])
            for ledger in self.ledgers:
                self.load_wallets(ledger, old)

    @rule(
        batch=st.lists(asks, min_size=1, max_size=8),
        jump=st.sampled_from(JUMPS),
        fate=st.sampled_from(["publish", "publish", "publish", "discard", "reload"]),
    )
    def decide(self, batch, jump, fate):
        self.now += jump
        compiled, reference = self.ledgers
        numbered = enumerate(batch, self.number + 1)
        keywords = [operation_from(ask, n, self.now, self.payments) for n, ask in numbered]
        ours, theirs = ([Operation(**each) for each in keywords] for _ in self.ledgers)
        written, expected = compiled.decide(ours, self.now), reference.decide(theirs, self.now)
        self.compare(written, expected, ours, theirs)
        if fate == "discard":
            compiled.discard(written)
            reference.discard(expected)
            again = compiled.decide(ours, self.now)
            self.compare(again, expected, ours, theirs)
            compiled.discard(again)
        else:
            compiled.publish(written)
            reference.publish(expected)
            self.number += len(batch)
            self.books.append(decode(written.journal))
        if fate == "reload":
            self.reload()
        self.compare_wallets()

    def teardown(self):
        auditor = Auditor()
        rows = sorted(self.books.rows, key=lambda row: (row.customer_id, row.asset, row.seq))
        assert auditor.feed(encode_journal(rows)) == []
        assert auditor.finish() == []

    def compare(self, written, expected, ours, theirs):
        assert decode(written.journal) == expected.rows
        assert written.journal == expected.journal
        assert written.postings == len(expected.rows)
        assert written.new_wallets == expected.new_wallets
        assert written.claims == expected.claims
        assert written.units == expected.units
        assert written.turns == expected.turns
        for one, other in zip(ours, theirs, strict=True):
            results = [(name, getattr(one, name), getattr(other, name)) for name in RESULTS]
            assert [r for r in results if r[1] != r[2]] == []

    def reload(self):
        """Forget a customer, and load it from its newest rows as another worker would."""
        compiled, _ = self.ledgers
        customer = CUSTOMERS[self.number % len(CUSTOMERS)]
        compiled.load_customer(customer, self.missing[customer])
        self.load_wallets(compiled, customer)

    def load_wallets(self, ledger, customer):
        for row in self.books.newest.values():
            if row.customer_id == customer:
                state = row.balance, row.held, row.flags, pack_lots(row.lots), pack_holds(row.holds)
                ledger.load_wallet(customer, row.asset, row.seq, *state, row.hash, row.recorded_at)

    def compare_wallets(self):
        compiled, reference = self.ledgers
        for customer in CUSTOMERS:
            for asset in (COINS, *BRANDS, OLD_BRAND):
                ours, theirs = compiled.wallet(customer, asset), reference.wallet(customer, asset)
                assert (ours is None) == (theirs is None)
                if ours is not None:
                    for name in ("seq", "balance", "held", "hash"):
                        assert getattr(ours, name) == getattr(theirs, name)
                    assert lots_of(ours.lots) == theirs.lots
                    assert [hold.coins for hold in ours.holds] == [h.coins for h in theirs.holds]


class Books:
    """An audit that knows no rule of a verb, only what every journal must fulfil."""

    def __init__(self):
        self.rows = []
        self.newest = {}
        self.open_lots = defaultdict(Tally)  # what the moves of a wallet add up to
        self.held_lots = defaultdict(Tally)
        self.counters = Tally()

    def append(self, rows):
        self.rows += rows
        for row in rows:
            wallet = row.customer_id, row.asset
            self.check_chain(row, self.newest.get(wallet))
            self.check_flags(row, self.newest.get(wallet))
            self.check_state(row)
            self.check_moves(row, self.open_lots[wallet], self.held_lots[wallet])
            self.counters[row.counter, row.counter_party] -= row.amount + row.held_amount
            self.newest[wallet] = row
        customers_side = sum(row.balance + row.held for row in self.newest.values())
        assert customers_side + sum(self.counters.values()) == 0
        for customer in {row.customer_id for row in rows}:
            newest = (row for row in self.newest.values() if row.customer_id == customer)
            assert len({row.flags for row in newest}) == 1

    def check_chain(self, row, before):
        assert row.seq == (before.seq + 1 if before else 1)
        assert row.hash == chain_hash(before.hash if before else bytes(16), encode(row)[:-20])
        assert row.balance == (before.balance if before else 0) + row.amount
        assert row.held == (before.held if before else 0) + row.held_amount
        assert row.recorded_at >= (before.recorded_at if before else 0)

    def check_flags(self, row, before):
        """A block and an unblock change the flag, and nothing else does."""
        if row.kind in (Kind.BLOCK, Kind.UNBLOCK):
            assert row.flags == FLAG_BLOCKED * (row.kind == Kind.BLOCK)
        elif before:
            assert row.flags == before.flags

    def check_state(self, row):
        assert row.balance == sum(row.lots.values())
        assert row.held == sum(hold.coins for hold in row.holds)
        assert row.balance + row.held <= BALANCE_MAX
        assert all(hold.coins == sum(hold.lots.values()) for hold in row.holds)
        assert list(row.lots) == sorted(row.lots)
        assert all(amount > 0 for amount in row.lots.values())
        assert not row.refusal or row.amount == 0 or row.refusal == Refusal.CODE_INVALID
        assert row.counter != Counter.NONE or row.amount + row.held_amount == 0

    def check_moves(self, row, open_lots, held_lots):
        """Lots leave the open ones or the held ones, and what is taken from one is in the other."""
        assert sum(row.moved.values()) == (row.amount or row.held_amount)
        if row.amount:
            open_lots.update(row.moved)
        if row.held_amount:
            held_lots.update(row.moved if row.amount == 0 else negated(row.moved))
        in_holds = Tally()
        for hold in row.holds:
            in_holds.update(hold.lots)
        assert {key: amount for key, amount in open_lots.items() if amount} == row.lots
        assert {key: amount for key, amount in held_lots.items() if amount} == in_holds


TestHistory = History.TestCase
