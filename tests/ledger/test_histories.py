"""Long histories: after every batch the compiled core and the plain rules wrote the same bytes.

What they wrote is then audited from nothing but the rows: sequence, chain, lots, holds, balances,
and that the network's books sum to zero. So is what is taken of items: whatever is redeemed, paid
for or held has its unit and its turn, and nothing else has. The clock jumps by seconds and by
months, sometimes backwards; batches are discarded in between; wallets are forgotten and loaded
again.
"""

from collections import Counter as Tally
from collections import defaultdict

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from engine import codes
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
)
from engine.ledger.audit import unbalanced
from engine.ledger.core import Auditor, Ledger, Leg, Operation
from tests.copy_format import (
    Posting,
    chained,
    decode,
    encode_journal,
    leg_of,
    lots_of,
    negated,
    pack_holds,
    pack_lots,
)
from tests.reference import COMPANIONS, RESULTS, REVERSIBLE, ReferenceLedger, key_of

pytestmark = pytest.mark.timeout(3600)  # the nightly profile takes its time

CUSTOMERS = [bytes([n]) * 16 for n in (1, 2, 3)]
STRANGER = bytes(16)
BRANDS = [7, 8]
OLD_BRAND = 6  # of which a customer has a wallet from before there were openings
COLOMBIA, GUATEMALA = -5 * 3600, -6 * 3600
START = 1_767_000_000_000_000
SECOND = 1_000_000
DAY = 86_400 * SECOND
JUMPS = [0, 1, SECOND, SECOND, 20 * SECOND, 20 * SECOND, 90 * SECOND, -5 * SECOND]
JUMPS += [3600 * SECOND, DAY, 40 * DAY]
LIFETIMES = [0, 60 * SECOND, 300 * SECOND, DAY, 50 * DAY, 50 * DAY]
VERBS = [Kind.ACCUMULATION] * 5 + [Kind.REDEMPTION] * 2 + [Kind.HOLD] * 5
VERBS += [Kind.CAPTURE] * 5 + [Kind.VOID] * 2 + [Kind.RESEND] * 3
VERBS += [Kind.BLOCK, Kind.UNBLOCK, Kind.UNBLOCK, Kind.UNBLOCK]
VERBS += [Kind.PAYMENT, Kind.PAYMENT, Kind.CONVERSION, Kind.CASHBACK, Kind.DONATION]
VERBS += [Kind.REVERSAL] * 6 + [Kind.EXPIRY] * 2
EARLIER = 8  # how many transactions back a customer's reversal may reach
BARRED = {kind: [0] * 12 + [*verb.refusals][-2:] for kind, verb in codes.VERBS.items()}
"""Refusals that a caller may know beforehand are the last of each verb."""

ASKED = {
    "kind": VERBS,
    "customer_id": [*CUSTOMERS * 4, STRANGER],
    "brand_id": [*BRANDS * 3, OLD_BRAND],
    "amount": [0, 1, 2, 3, 5, 8, 10, 20, 50, 100] * 2 + [BALANCE_MAX],
    "days": [-1, 0, 1, 2, 30, 31, 60, 365],
}
# Numbers up to 2^24 are drawn evenly, larger ones are mostly small; and drawing takes most time.
asks = st.tuples(st.integers(0, 2**24 - 1), st.integers(0, 2**24 - 1))


TOLD = Tally()
"""How long the histories were, and what happened in them."""


@pytest.fixture(scope="module", autouse=True)
def told(histories):
    """Tell it at the end of the run."""
    yield
    histories.update(TOLD)


class Chances:
    """A drawn number taken apart: each choice is independent of the others, and shrinks to 0."""

    def __init__(self, number):
        self.number = number

    def of(self, choices):
        self.number, choice = divmod(self.number, choices)
        return choice


def operation_from(drawn, number, now, payments, books):
    """Return the keywords of an operation; a hold adds itself to the `payments` that are known.

    What happens once and has happened is barred, as a lane does it that was told by the journal,
    and what another has of an item is not taken.
    """
    asked, chances = map(Chances, drawn)
    ask = {name: choices[asked.of(len(choices))] for name, choices in ASKED.items()}
    kind = ask["kind"]
    today = (now // SECOND + COLOMBIA) // 86_400
    keywords = {
        "kind": kind,
        "customer_id": ask["customer_id"],
        "transaction_id": number.to_bytes(16, "big"),
        "fingerprint": -number,
        "brand_id": ask["brand_id"],
        "store_id": 10 * ask["brand_id"],
        "occurred_at": now - number * SECOND,
        "needs_profile": chances.of(2) and kind != Kind.DONATION,  # CUS-7
        "details": [None, b"{}"][chances.of(2)],
        "barred": BARRED[kind][chances.of(len(BARRED[kind]))],
    }
    if kind in (Kind.ACCUMULATION, Kind.REDEMPTION):
        keywords |= {"asset": ask["brand_id"], "requested": ask["amount"]}
        keywords |= {"utc_offset": GUATEMALA if ask["brand_id"] == 8 else COLOMBIA}
    if kind == Kind.ACCUMULATION:
        keywords |= {"expires_day": today + ask["days"], "bill_amount": chances.of(3) - 1}
        keywords |= {"coins": min(chances.of(10) * ask["amount"], BALANCE_MAX)}
        keywords |= {"coins_expires_day": today + 2 * ask["days"]}
        keywords |= invoice_from(number, chances)
    if kind == Kind.EXPIRY:
        keywords |= {"asset": ask["brand_id"] * chances.of(2), "utc_offset": GUATEMALA}
        keywords |= {} if ask["brand_id"] == 8 else {"utc_offset": COLOMBIA}
    if kind in (Kind.REDEMPTION, Kind.HOLD, Kind.PAYMENT):
        keywords["item_id"] = chances.of(3)
        if keywords["item_id"]:  # few of each, so that they meet in a batch
            keywords |= {"unit": chances.of(3), "turn": chances.of(3)}
            keywords |= {name: 0 for name, at in places(**keywords).items() if at in books.taken}
    if kind in (Kind.HOLD, Kind.PAYMENT):
        keywords |= invoice_from(number, chances)
        if keywords.get("invoice_number") is not None:
            keywords |= {"coins_max": [-1, 5, 100][chances.of(3)]}
            keywords |= {"printed": keywords["coins_max"] > 0 and chances.of(2)}
    if kind == Kind.HOLD:
        keywords |= {"requested": ask["amount"], "reference": keywords["transaction_id"]}
        keywords |= {"hold_expires_at": now + LIFETIMES[chances.of(len(LIFETIMES))]}
        keywords |= {"tries_max": 1 + chances.of(3), "resends_max": chances.of(3)}
        keywords |= {"code_mac": code(chances.of(4) == 3)}
        payments[ask["customer_id"]].append(keywords["transaction_id"])
    if kind in (Kind.CAPTURE, Kind.VOID, Kind.RESEND):
        keywords |= follow_up_from(ask["customer_id"], chances, payments, books)
    if kind in (Kind.PAYMENT, Kind.DONATION, Kind.CONVERSION, Kind.CASHBACK):
        keywords |= {"requested": ask["amount"], "expires_day": today + 2 * ask["days"]}
    if keywords.get("coins") or (kind == Kind.CASHBACK and ask["amount"]):
        keywords["allotment_id"] = [None, b"a" * 16, b"b" * 16][chances.of(3)]
    if kind == Kind.PAYMENT:
        keywords |= {"qr_issued_at": chances.of(3) and number // 3}
    if kind in (Kind.DONATION, Kind.CONVERSION):
        keywords |= {"party_id": 1 + chances.of(2)}
    if kind == Kind.CONVERSION:
        keywords |= {"claim_reference": b"R-%d" % (number // 4)}
    if kind == Kind.CASHBACK:
        keywords |= {"claim_reference": b"o %d" % (number // 4)}
    if kind == Kind.REVERSAL:
        any_of_them = chances.of(8) == 0
        keywords |= reversal_from(books.earlier(ask["customer_id"], any_of_them), chances, books)
        keywords |= {"cause": chances.of(4), "till": chances.of(3), "by_id": chances.of(9)}
    if once(keywords) & books.once:
        keywords["barred"] = codes.VERBS[kind].refusals[-1]
    return keywords


def follow_up_from(customer_id, chances, payments, books):
    """Return which payment is followed up, and the code that is typed."""
    known = payments[customer_id][-3:] or [bytes(16)]
    if chances.of(4):  # mostly one that is open, or was placed in this very batch
        known = books.open_payments(customer_id) + known[-1:]
    reference = known[-1 - chances.of(3) % len(known)]
    return {"reference": reference, "code_mac": code(chances.of(4) == 3)}


def invoice_from(number, chances):
    """Return an invoice, mostly one that others name too, or none."""
    if chances.of(2) == 0:
        return {}
    text = [b"F-%d", b" f%d.", b"F/%d"][chances.of(3)] % (number % 3)
    return {"invoice_number": text, "invoice_scope": [None, None, b"2026-01-31"][chances.of(3)]}


def reversal_from(earlier, chances, books):
    """Return what a reversal of one of the `earlier` transactions knows of it."""
    if not earlier:
        nothing = Leg(asset=COINS, kind=Kind.HOLD, moved=[])
        return {"reference": bytes(16), "original": [nothing]}
    rows = earlier[-1 - chances.of(len(earlier))]
    items = books.items.get((rows[0].customer_id, taker_of(rows[0])), {})
    items |= {"claim": books.claims.get(rows[0].transaction_id)}
    items |= {"invoice": books.invoices.get(taker_of(rows[0]))}
    offset = GUATEMALA if rows[0].asset == 8 else COLOMBIA
    legs = [leg_of(row, **{} if row.leg else items) for row in rows]
    return {"reference": rows[0].transaction_id, "original": legs, "utc_offset": offset}


def once(keywords):
    """Return what of an operation may happen once."""
    customer_id, found = keywords["customer_id"], set()
    if keywords.get("qr_issued_at"):
        found.add(("QR", customer_id, keywords["qr_issued_at"]))
    if keywords.get("claim_reference"):
        owner = keywords["party_id" if keywords["kind"] == Kind.CONVERSION else "brand_id"]
        found.add(("claim", keywords["kind"], owner, keywords["claim_reference"]))
    if keywords["kind"] == Kind.REVERSAL:
        found.add(("reversal", customer_id, keywords["reference"]))
    return found


def places(customer_id, item_id, unit, turn, **_others):
    """Return where a unit and a turn stand among those that are taken once (RED-5)."""
    return {"unit": (item_id, unit), "turn": (customer_id, item_id, turn)}


def taker_of(row):
    """Return the transaction that took an item: a capture is of what its payment took."""
    return row.reference if row.kind == Kind.CAPTURE else row.transaction_id


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
    return chained(row, bytes(16), b"key")


class History(RuleBasedStateMachine):
    @initialize(
        old=st.sampled_from([None] * 2 + CUSTOMERS),
        flags=st.sampled_from([0, FLAG_BLOCKED]),
        incomplete=st.sampled_from([None] * 3 + CUSTOMERS),
    )
    def begin(self, old, flags, incomplete):
        self.now = START
        self.number = 0
        self.ledgers = Ledger(COLOMBIA, b"key"), ReferenceLedger(COLOMBIA, b"key")
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
        TOLD["steps"] += 1
        TOLD["operations"] += len(batch)
        compiled, reference = self.ledgers
        numbered = enumerate(batch, self.number + 1)
        known = self.now, self.payments, self.books
        keywords = [operation_from(ask, n, *known) for n, ask in numbered]
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
            for each, operation in zip(keywords, ours, strict=True):
                if operation.outcome == Outcome.POSTED and not operation.refusal:
                    assert not once(each) & self.books.once
                    if operation.cause in (Cause.WRONG_CUSTOMER, Cause.MISTAKE):
                        self.books.free(operation)
                    self.books.once |= once(each)
                    self.books.keep_item(operation)
            self.books.take(written)
            self.books.append(expected.rows)
        if fate == "reload":
            self.reload()
        self.compare_wallets()

    def teardown(self):
        auditor = Auditor(chain_key=b"key")
        rows = sorted(self.books.rows, key=lambda row: (row.customer_id, row.asset, row.seq))
        assert auditor.feed(encode_journal(rows)) == []
        assert auditor.finish() == []
        assert unbalanced(auditor.totals) == []

    def compare(self, written, expected, ours, theirs):
        if written.journal != expected.journal:  # says which row it is, and which column
            assert decode(written.journal) == expected.rows
        assert written.journal == expected.journal
        assert written.postings == len(expected.rows)
        assert written.new_wallets == expected.new_wallets
        for companions in COMPANIONS:
            assert getattr(written, companions) == getattr(expected, companions), companions
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
        self.compare_what_is_available()
        for customer in CUSTOMERS:
            for asset in (COINS, *BRANDS, OLD_BRAND):
                ours, theirs = compiled.wallet(customer, asset), reference.wallet(customer, asset)
                assert (ours is None) == (theirs is None)
                if ours is not None:
                    for name in ("seq", "balance", "held", "hash"):
                        assert getattr(ours, name) == getattr(theirs, name)
                    assert lots_of(ours.lots) == theirs.lots
                    assert [hold.coins for hold in ours.holds] == [h.coins for h in theirs.holds]

    def compare_what_is_available(self):
        """What a wallet says without a posting is what the next posting finds; one customer's."""
        compiled, _ = self.ledgers
        customer = CUSTOMERS[self.number % len(CUSTOMERS)]
        rows = [row for row in self.books.newest.values() if row.customer_id == customer]
        looks = [looks_at(row.customer_id, row.asset) for row in rows]
        found = compiled.decide(looks, self.now)
        left = {(row.customer_id, row.asset): row for row in decode(found.journal)}
        compiled.discard(found)
        for row in rows:
            last = left[row.customer_id, row.asset]
            offset = GUATEMALA if row.asset == 8 else COLOMBIA
            wallet = compiled.wallet(row.customer_id, row.asset)
            available, held, lots = wallet.available(self.now, offset)
            assert (available, held, lots_of(lots)) == (last.balance, last.held, last.lots)


def looks_at(customer_id, asset):
    """Return an operation that changes nothing in a wallet but for what is due."""
    facts = {"kind": Kind.REDEMPTION if asset else Kind.CASHBACK, "asset": asset}
    facts |= {} if asset else {"claim_reference": b"look"}
    facts |= {"utc_offset": GUATEMALA if asset == 8 else COLOMBIA}
    return Operation(customer_id=customer_id, transaction_id=b"?" * 16, **facts)


class Books:
    """An audit that knows no rule of a verb, only what every journal must fulfil."""

    def __init__(self):
        self.rows = []
        self.newest = {}
        self.open_lots = defaultdict(Tally)  # what the moves of a wallet add up to
        self.held_lots = defaultdict(Tally)
        self.counters = Tally()
        self.transactions = defaultdict(list)
        self.once = set()
        self.items = {}  # what a transaction took, by its customer and its id
        self.claims = {}  # what a transaction claimed: (kind, owner, key)
        self.invoices = {}  # the invoice that a payment pays: (store, key)
        self.taken = {}  # the companions item_unit and item_turn: who took each
        self.takers = set()  # who took something and has it still, by the rows

    def earlier(self, customer_id, any_of_them):
        """Return the rows of the customer's last transactions that can be undone, or of any."""
        known = [rows for (owner, _), rows in self.transactions.items() if owner == customer_id]
        if not any_of_them:
            known = [of for of in known if of[0].kind in REVERSIBLE and not of[0].refusal]
        return [sorted(rows, key=lambda row: row.leg) for rows in known[-EARLIER:]]

    def open_payments(self, customer_id):
        """Return the payments that are held for a customer, as committed."""
        coins = self.newest.get((customer_id, COINS))
        return [] if coins is None else [hold.payment_id for hold in coins.holds]

    def keep_item(self, operation):
        """Remember what an operation took of an item, for its reversal."""
        if operation.claim_kind:
            claim = operation.claim_kind, operation.claim_owner, operation.claim_key
            self.claims[operation.transaction_id] = claim
        elif operation.claim_key is not None:
            self.invoices[operation.transaction_id] = operation.store_id, operation.claim_key
        item = {name: getattr(operation, name) for name in ("item_id", "unit", "turn")}
        if item["unit"] or item["turn"]:
            self.items[operation.customer_id, operation.transaction_id] = item
            self.takers.add((operation.customer_id, operation.transaction_id))

    def free(self, reversal):
        """Forget that what a reversal of a mistake frees has happened (INV-6)."""
        claim = self.claims.get(reversal.reference)
        if claim is not None:
            TOLD["claims freed"] += 1
            kind = {Claim.REFERENCE: Kind.CONVERSION, Claim.ORDER: Kind.CASHBACK}.get(claim[0])
            self.once = {
                each
                for each in self.once
                if each[:3] != ("claim", kind, claim[1]) or key_of(each[3], None) != claim[2]
            }

    def take(self, batch):
        """Delete what comes back and insert what is taken, as an append does it."""
        TOLD["units and turns freed"] += len(batch.freed_units) + len(batch.freed_turns)
        for *place, taker in (*batch.freed_units, *batch.freed_turns):
            assert self.taken.pop(tuple(place)) == taker
        taken = [((item_id, unit), taker) for item_id, unit, _, taker in batch.units]
        taken += [(tuple(place), taker) for *place, taker in batch.turns]
        for place, taker in taken:
            assert place not in self.taken
            self.taken[place] = taker

    def append(self, rows):
        self.rows += rows
        for row in rows:
            TOLD[f"{Kind(row.kind).name.lower()}{' refused' * bool(row.refusal)}"] += 1
            assert row.refusal == 0 or row.refusal in codes.VERBS[Kind(row.kind)].refusals
            assert row.counter == 0 or row.counter in codes.VERBS[Kind(row.kind)].counters
            wallet = row.customer_id, row.asset
            self.check_chain(row, self.newest.get(wallet))
            self.check_flags(row, self.newest.get(wallet))
            self.check_state(row)
            self.check_moves(row, self.open_lots[wallet], self.held_lots[wallet])
            self.counters[row.counter, row.counter_party] -= row.amount + row.held_amount
            self.takers.discard((row.customer_id, self.given_back_by(row)))
            self.newest[wallet] = row
            self.transactions[row.customer_id, row.transaction_id].append(row)
        for row in self.newest.values():  # debts or lots, never both
            assert len({amount > 0 for amount in row.lots.values()}) <= 1
        self.check_taken()
        customers_side = sum(row.balance + row.held for row in self.newest.values())
        assert customers_side + sum(self.counters.values()) == 0
        for customer in {row.customer_id for row in rows}:
            newest = (row for row in self.newest.values() if row.customer_id == customer)
            assert len({row.flags for row in newest}) == 1

    def check_taken(self):
        """What is taken is what was redeemed, paid or is held, and not given back since."""
        expected = {}
        for customer_id, taker in self.takers:
            item = self.items[customer_id, taker]
            wanted = places(customer_id, **item)
            expected |= {at: taker for name, at in wanted.items() if item[name]}
        assert self.taken == expected

    def given_back_by(self, row):
        """Return whose unit and turn a row gives back, None where it gives back nobody's."""
        if row.kind == Kind.REVERSAL and not (row.leg or row.refusal):
            [original, *_] = self.transactions[row.customer_id, row.reference]
            return taker_of(original)
        open_payments = {hold.payment_id for hold in row.holds}
        ends = row.kind in (Kind.VOID, Kind.RELEASE) or (row.kind == Kind.CAPTURE and row.refusal)
        return row.reference if ends and row.reference not in open_payments else None

    def check_chain(self, row, before):
        assert row.seq == (before.seq + 1 if before else 1)
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
        assert -BALANCE_MAX <= row.balance <= BALANCE_MAX - row.held
        assert all(hold.coins == sum(hold.lots.values()) for hold in row.holds)
        assert list(row.lots) == sorted(row.lots)
        assert all(amount for amount in row.lots.values())
        assert all((amount < 0) == (day == DEBT_DAY) for (day, _), amount in row.lots.items())
        assert not row.refusal or row.amount == 0 or row.kind == Kind.CAPTURE
        assert row.counter != Counter.NONE or row.amount + row.held_amount == 0

    def check_moves(self, row, open_lots, held_lots):
        """Lots leave the open ones or the held ones, and what is taken from one is in the other."""
        assert sum(row.moved.values()) == (row.amount or row.held_amount)
        if row.amount or row.kind == Kind.REPAYMENT:
            open_lots.update(row.moved)
        if row.held_amount:
            held_lots.update(row.moved if row.amount == 0 else negated(row.moved))
        in_holds = Tally()
        for hold in row.holds:
            in_holds.update(hold.lots)
        assert {key: amount for key, amount in open_lots.items() if amount} == row.lots
        assert {key: amount for key, amount in held_lots.items() if amount} == in_holds


TestHistory = History.TestCase
