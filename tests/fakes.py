"""A journal in memory, with the verbs of the real one, that fails or hangs when it is told to."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from engine.codes import Claim, Kind, Refusal
from engine.ledger.claims import CLAIM_TABLES
from engine.ledger.core import Batch, Ledger, Operation
from engine.ledger.journal import Bar, Journal
from engine.ledger.receipts import Receipt
from engine.ledger.verdicts import Verdict
from tests.copy_format import Posting, decode, pack_holds, pack_lots


@dataclass(eq=False)
class Step:
    """What an append does instead of the plain thing.

    `lands`: whether the rows get into the journal. `verdict`: what is told of it, None for the
    truth. `until`: what it waits for first. `bad`: it is refused for as long as it holds one of
    these transactions.
    """

    verdict: Verdict | None = None
    lands: bool = False
    until: asyncio.Event | None = None
    started: asyncio.Event = field(default_factory=asyncio.Event)


class FakeDatabase:
    """What several journals share: the committed rows, and the script of what goes wrong."""

    def __init__(self, customers: Iterable[bytes], missing_fields: int = 0) -> None:
        self.customers = dict.fromkeys(customers, missing_fields)
        self.rows: list[Posting] = []
        self.claims: dict[tuple[int, int, bytes], bytes] = {}
        """Who claimed what, by (kind, owner, key)."""
        self.payments: dict[tuple[int, bytes], tuple[int, int]] = {}
        """How many coins can pay an invoice, and have paid it, by (store, key)."""
        self.taken: dict[tuple[Any, ...], bytes] = {}
        """Who took a unit, by (item, unit), or a turn, by (customer, item, turn)."""
        self.once: dict[tuple[Any, ...], bytes] = {}
        """Who used a QR, by (customer, second)."""
        self.allotments: dict[bytes, tuple[int, int]] = {}
        """The coins of an allotment, and those that were drawn from it."""
        self.script: deque[Step] = deque()
        self.bad: set[bytes] = set()
        """Transactions that the database refuses, whatever they come with."""
        self.conflicting: dict[bytes, Verdict] = {}
        """Transactions that always conflict, whatever they come with, and what is then said."""
        self.keys_first = False
        """Whether keys are checked before places, as after the primary key was built anew."""
        self.broken: set[bytes] = set()
        """Customers of whom a row contradicts itself."""
        self.unreachable = 0
        """How many more attempts to connect fail."""
        self.load_failures = 0
        self.find_failures = 0
        self.lock_failures = 0
        self.locked: dict[bytes, object] = {}
        """Whom a connection, or somebody else, has locked."""
        self.locks: list[set[bytes]] = []
        """Who was to be locked, by each request for it."""
        self.timeline = "1/00000001"
        self.opened = 0
        self.appends: list[list[bytes]] = []
        """The transactions of each append, in the order of the batch."""
        self.loads: list[list[bytes]] = []

    async def open(self) -> FakeJournal:
        """Connect."""
        if self.unreachable:
            self.unreachable -= 1
            raise ConnectionRefusedError
        self.opened += 1
        return FakeJournal(self)

    def next(self, step: Step) -> Step:
        """Let the next append do `step`."""
        self.script.append(step)
        return step

    def balance(self, customer_id: bytes, asset: int) -> int:
        """Return the balance of a wallet, as committed."""
        rows = [row for row in self.rows if (row.customer_id, row.asset) == (customer_id, asset)]
        return rows[-1].balance if rows else 0

    def apply(self, batch: Batch) -> Verdict:
        """Commit a batch, or say why that is not possible."""
        rows = decode(batch.journal)
        if any(row.transaction_id in self.bad for row in rows):
            return Verdict.REFUSED
        for row in rows:
            if row.transaction_id in self.conflicting:
                return self.conflicting[row.transaction_id]
        conflict = self.conflict(batch, rows)
        if conflict is None:
            self.commit(batch, rows)
        return conflict or Verdict.DURABLE

    def conflict(self, batch: Batch, rows: Sequence[Posting]) -> Verdict | None:
        """Return what the first constraint that a batch violates makes of it.

        The order is that of the statements of an append: companions come before the rows.
        """
        if any(drawn > coins for coins, drawn in self._allotments_after(batch).values()):
            return Verdict.SEEN
        places = {(row.customer_id, row.asset, row.seq) for row in self.rows}
        if any((*wallet, 1) in places for wallet in batch.new_wallets):
            return Verdict.STALE
        claims = [claim[:3] for claim in batch.claims]
        claimed = self.claims.items()
        kept = {claim for claim, tid in claimed if (*claim, tid) not in batch.freed_claims}
        taken = self.taken.keys() - self._freed(batch)
        if (
            len(set(claims)) < len(claims)
            or not kept.isdisjoint(claims)
            or any(0 <= most < paid for most, paid in self._payments_after(batch).values())
            or any(use[:2] in self.once for use in batch.qr_uses)
            or not taken.isdisjoint(self._taken_by(batch))
        ):
            return Verdict.SEEN
        keys, undone_already = {key_of(row) for row in self.rows}, self.reversed
        for row in rows:
            stale = (row.customer_id, row.asset, row.seq) in places
            seen = key_of(row) in keys or undone(row) in undone_already
            if stale or seen:
                return Verdict.SEEN if seen and (self.keys_first or not stale) else Verdict.STALE
        return None

    def commit(self, batch: Batch, rows: Sequence[Posting]) -> None:
        """Make a batch without conflicts part of the journal and its companions."""
        self.allotments = self._allotments_after(batch)
        self.payments = self._payments_after(batch)
        self.rows = [*self.rows, *rows]
        freed = {
            claim[:3] for claim in batch.freed_claims if self.claims.get(claim[:3]) == claim[3]
        }
        self.claims = {claim: tid for claim, tid in self.claims.items() if claim not in freed}
        self.claims |= {(kind, owner, key): tid for kind, owner, key, _, tid in batch.claims}
        gone = self._freed(batch)
        self.taken = {place: tid for place, tid in self.taken.items() if place not in gone}
        self.taken |= self._taken_by(batch)
        self.once = self.once | {use[:2]: use[2] for use in batch.qr_uses}

    def _freed(self, batch: Batch) -> set[tuple[Any, ...]]:
        freed = [*batch.freed_units, *batch.freed_turns]
        return {tuple(place) for *place, tid in freed if self.taken.get(tuple(place)) == tid}

    def _taken_by(self, batch: Batch) -> dict[tuple[Any, ...], bytes]:
        units = {(item_id, unit): tid for item_id, unit, _, tid in batch.units}
        return units | {tuple(turn): tid for *turn, tid in batch.turns}

    def _payments_after(self, batch: Batch) -> dict[tuple[int, bytes], tuple[int, int]]:
        payments = dict(self.payments)
        for store_id, key, coins_max, coins, _, printed in batch.invoice_payments:
            most, before = payments.get((store_id, key), (-1, 0))
            if printed or before == 0 or most == -1:
                most = coins_max
            elif coins_max != -1:
                most = min(most, coins_max)
            payments[store_id, key] = (most, before + coins)
        return payments

    def _allotments_after(self, batch: Batch) -> dict[bytes, tuple[int, int]]:
        return self.allotments | {
            id_: (coins - back, drawn + issued - back)
            for id_, issued, back in batch.draws
            for coins, drawn in [self.allotments.get(id_, (0, 0))]
        }

    @property
    def reversed(self) -> dict[tuple[bytes, bytes], bytes]:
        """What was reversed, by (customer, transaction), and by whom."""
        reversals = {undone(row): row.transaction_id for row in self.rows}
        return {place: tid for place, tid in reversals.items() if place is not None}


class FakeJournal:
    """One connection to it."""

    def __init__(self, database: FakeDatabase) -> None:
        self._database = database
        self.timeline = database.timeline
        self.is_closed = False
        self.last_sqlstate = ""

    def terminate(self) -> None:
        self.is_closed = True
        self._unlock()

    moved_on = Journal.moved_on

    async def lock(self, customer_ids: Iterable[bytes]) -> set[bytes]:
        wanted = set(customer_ids)
        self._database.locks.append(wanted)
        await asyncio.sleep(0)
        if self._database.lock_failures:
            self._database.lock_failures -= 1
            raise ConnectionResetError
        free = {id_ for id_ in wanted if self._database.locked.get(id_, self) is self}
        self._database.locked |= dict.fromkeys(free, self)
        return free

    async def unlock(self) -> None:
        await asyncio.sleep(0)
        self._unlock()

    def _unlock(self) -> None:
        for customer_id in [id_ for id_, who in self._database.locked.items() if who is self]:
            del self._database.locked[customer_id]

    async def load(self, ledger: Ledger, customer_ids: Iterable[bytes]) -> set[bytes]:
        wanted = list(customer_ids)
        self._database.loads.append(wanted)
        await asyncio.sleep(0)
        if self._database.load_failures:
            self._database.load_failures -= 1
            raise ConnectionResetError
        for customer_id in wanted:
            if customer_id not in self._database.customers or customer_id in self._database.broken:
                continue
            ledger.load_customer(customer_id, self._database.customers[customer_id])
            newest = {
                row.asset: row for row in self._database.rows if row.customer_id == customer_id
            }
            for row in newest.values():
                ledger.load_wallet(
                    *(customer_id, row.asset, row.seq, row.balance, row.held, row.flags),
                    *(pack_lots(row.lots), pack_holds(row.holds), row.hash, row.recorded_at),
                )
        return self._database.broken & set(wanted)

    async def append(self, batch: Batch) -> Verdict:
        assert not self.is_closed
        self._database.appends.append([op.transaction_id for op in batch.operations])
        step = self._database.script.popleft() if self._database.script else Step(lands=True)
        step.started.set()
        await asyncio.sleep(0)
        if step.until is not None:
            await step.until.wait()
        truth = self._database.apply(batch) if step.lands else None
        verdict = step.verdict or truth or Verdict.DURABLE
        self.last_sqlstate = verdict.value
        if verdict is Verdict.AMBIGUOUS:
            self.terminate()
        return verdict

    async def find(self, operations: Sequence[Operation]) -> dict[bytes, Receipt]:
        await asyncio.sleep(0)
        if self._database.find_failures:
            self._database.find_failures -= 1
            raise ConnectionResetError
        wanted = {(op.customer_id, op.transaction_id) for op in operations}
        found: dict[bytes, list[Posting]] = {}
        for row in self._database.rows:
            if (row.customer_id, row.transaction_id) in wanted:
                found.setdefault(row.transaction_id, []).append(row)
        return {key: receipt_of_postings(rows) for key, rows in found.items()}

    async def find_barred(self, operations: Sequence[Operation]) -> dict[bytes, Bar]:
        await asyncio.sleep(0)
        database, barred = self._database, {}
        for op in operations:
            claimed = database.claims.get((op.claim_kind, op.claim_owner, op.claim_key or b""))
            if claimed not in (None, op.transaction_id):
                barred[op.transaction_id] = Bar(CLAIM_TABLES[Claim(op.claim_kind)].refusal)
            for had, place, refusal in (
                (database.once, (op.customer_id, op.qr_issued_at), Refusal.QR_INVALID),
                (
                    database.reversed,
                    op.original and (op.customer_id, op.reference),
                    Refusal.ALREADY_REVERSED,
                ),
            ):
                if had.get(place, op.transaction_id) != op.transaction_id:
                    barred[op.transaction_id] = Bar(refusal)
            most, paid = database.payments.get((op.store_id, op.claim_key or b""), (-1, 0))
            if op.kind in (Kind.HOLD, Kind.PAYMENT) and 0 <= most < paid + op.requested:
                barred[op.transaction_id] = Bar(Refusal.EXCEEDS_INVOICE, b"{}")
        return barred

    async def find_taken(self, operations: Sequence[Operation]) -> set[bytes]:
        await asyncio.sleep(0)
        taken = self._database.taken
        draws: Counter[bytes | None] = Counter()
        for op in operations:
            draws[op.allotment_id] += op.coins_issued
        left = {id_: coins - drawn for id_, (coins, drawn) in self._database.allotments.items()}
        return {
            op.transaction_id
            for op in operations
            for wanted in ((op.item_id, op.unit), (op.customer_id, op.item_id, op.turn))
            if taken.get(wanted, op.transaction_id) != op.transaction_id
        } | {
            op.transaction_id
            for op in operations
            if op.allotment_id and draws[op.allotment_id] > left.get(op.allotment_id, 0)
        }


def key_of(row: Posting) -> tuple[bytes, bytes, int]:
    """Return what stands once in the journal, beside the place in a wallet."""
    return row.customer_id, row.transaction_id, row.leg


def undone(row: Posting) -> tuple[bytes, bytes] | None:
    """Return which transaction a row reverses, by its customer; None where it reverses none."""
    if row.kind != Kind.REVERSAL or row.leg or row.refusal or row.reference is None:
        return None
    return row.customer_id, row.reference


def receipt_of_postings(rows: list[Posting]) -> Receipt:
    """Return the receipt of a transaction of the fake; holds are not looked into."""
    first, *others = sorted(rows, key=lambda row: row.leg)
    coins = others[0] if others else None
    facts: dict[str, Any] = {
        name: getattr(first, name)
        for name in (
            *("kind", "customer_id", "transaction_id", "fingerprint", "brand_id", "store_id"),
            *("asset", "requested", "refusal", "missing_fields", "amount", "balance", "held"),
            *("recorded_at", "reference", "details", "hash"),
        )
    }
    earned = first.kind == Kind.ACCUMULATION and first.moved
    return Receipt(
        **facts,
        earned_expires_day=next(iter(first.moved))[0] if earned else 0,
        has_coins=coins is not None,
        coins_amount=0 if coins is None else coins.amount,
        coins_balance=0 if coins is None else coins.balance,
        coins_expires_day=0,
        tries_left=0,
        resends_left=0,
        hold_expires_at=0,
    )
