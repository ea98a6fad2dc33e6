"""The history checker: what the journal holds is what the specification makes of the same requests.

Nothing is searched. The journal gives the order: each wallet's rows are numbered. So the requests
are read back from their rows, asked of the reference ledger in that order and at that time, and
what it writes must be what stands in the journal, byte for byte with the hash; postings that nobody
asked for (breakage, releases, openings, repayments) must come by themselves where they stand, with
a request or, as the sweep writes them, when they were due.

Clients give the rest: who was answered before another asked must stand before the other.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import chain, islice
from typing import Any
from uuid import UUID

import asyncpg

from engine.codes import Kind, Refusal
from engine.ledger.core import Operation
from engine.ledger.journal import COLUMNS
from engine.ledger.operations import expiry
from engine.ledger.receipts import microseconds
from engine.programme.calendar import COINS_COUNTRY, UTC_OFFSETS
from tests.copy_format import Hold, Posting, unpack_holds
from tests.reference import ReferenceLedger

RequestOf = Callable[[list[Posting]], Operation]
NO_MOMENTS: Mapping[bytes, int] = {}
WRITTEN_DOWN = {Kind.EXPIRY, Kind.RELEASE, Kind.REPAYMENT}
"""What is due, written by the next request or by the sweep, whichever comes first."""
UNASKED = WRITTEN_DOWN | {Kind.OPENING}
OUTSIDE = {
    Refusal.COINS_NOT_ACCEPTED,
    Refusal.QR_INVALID,
    Refusal.INVOICE_ALREADY_CLAIMED,
    Refusal.OUT_OF_STOCK,
    Refusal.LIMIT_REACHED,
    Refusal.NOT_AVAILABLE,
    Refusal.EXCEEDS_INVOICE,
    Refusal.INVOICE_VOIDED,
}
"""Refusals that no wallet's state decides: the shell brings them along."""
ROWS = f"""select {", ".join(COLUMNS["journal"])} from journal where customer_id = any($1)
 order by customer_id, asset, seq"""
OFFSETS = "select b.brand_id, b.country from brand b"


async def history_faults(
    connection: asyncpg.Connection, customers: Iterable[UUID], chain_key: bytes
) -> list[str]:
    """Return where the journal of these customers is not what the reference ledger writes."""
    records = await connection.fetch(ROWS, list(customers))
    countries = {row["brand_id"]: row["country"] for row in await connection.fetch(OFFSETS)}
    offsets = {brand: UTC_OFFSETS[country] for brand, country in countries.items()}
    of_customer: dict[bytes, list[Posting]] = defaultdict(list)
    for record in records:
        posting = posting_of(record)
        of_customer[posting.customer_id].append(posting)
    return [fault for rows in of_customer.values() for fault in replay(rows, offsets, chain_key)]


def replay(
    rows: Sequence[Posting],
    offsets: dict[int, int],
    chain_key: bytes = b"",
    *,
    request_of: RequestOf | None = None,
    moments: Mapping[bytes, int] = NO_MOMENTS,
) -> list[str]:
    """Ask the reference ledger for what one customer's rows were asked for; return what differs.

    Who knows the requests gives them by their rows, as `request_of`, and where clocks differ the
    `moments` of the decisions, by transaction; without these all is read from the rows.
    """
    ledger = ReferenceLedger(UTC_OFFSETS[COINS_COUNTRY], chain_key)
    customer_id = rows[0].customer_id
    request_of = request_of or partial(operation_of, offsets=offsets)
    left: dict[int, deque[Posting]] = defaultdict(deque)
    for row in rows:
        left[row.asset].append(row)
    while any(left.values()):
        faults = []
        for operation, first in chain(next_requests(left, request_of), next_sweeps(left, offsets)):
            ledger.load_customer_again(customer_id, first.missing_fields)
            now = moments.get(first.transaction_id, first.recorded_at)
            batch = ledger.decide([operation], now)
            fault = take(batch.rows, left) if batch.rows else "nothing was due"
            if fault is None:
                ledger.publish(batch)
                break
            ledger.discard(batch)
            faults.append(f"{UUID(bytes=customer_id)}: {fault}")
        else:
            return faults or [f"{UUID(bytes=customer_id)}: its wallets contradict each other"]
    return []


def take(written: Sequence[Posting], left: dict[int, deque[Posting]]) -> str | None:
    """Take the rows that were written from what is left of the journal; return what differs."""
    at: dict[int, int] = defaultdict(int)
    for row in written:
        found = next(islice(left[row.asset], at[row.asset], None), None)
        at[row.asset] += 1
        if found != row:
            return difference(found, row)
    for asset, number in at.items():
        for _ in range(number):
            left[asset].popleft()
    return None


def difference(found: Posting | None, wanted: Posting) -> str:
    """Return what is wrong with the row that the journal has in the place of another."""
    place = f"asset {wanted.asset}, seq {wanted.seq}"
    if found is None:
        return f"{place} is missing, a {Kind(wanted.kind).name}"
    columns = {
        column: (getattr(found, column), getattr(wanted, column)) for column in COLUMNS["journal"]
    }
    told = {column: pair for column, pair in columns.items() if pair[0] != pair[1]}
    return f"{place} has other columns (journal, rules): {told}"


def next_requests(
    left: dict[int, deque[Posting]], request_of: RequestOf
) -> Iterator[tuple[Operation, Posting]]:
    """Give each request that may be next, with the row that was written first of it."""
    for asked in next_asked(left):
        yield request_of(asked), min(asked, key=lambda leg: leg.recorded_at)


def next_sweeps(
    left: dict[int, deque[Posting]], offsets: dict[int, int]
) -> Iterator[tuple[Operation, Posting]]:
    """Give a sweep for each wallet whose next row nobody asked for, with that row."""
    for asset, rows in left.items():
        if rows and rows[0].kind in WRITTEN_DOWN:
            sweep = expiry(
                customer_id=rows[0].customer_id,
                transaction_id=bytes(16),
                asset=asset,
                utc_offset=offsets.get(asset, 0),
                occurred_at=rows[0].recorded_at,
            )
            yield sweep, rows[0]


def next_asked(left: dict[int, deque[Posting]]) -> Iterator[list[Posting]]:
    """Give the rows of each request that may be next: of each of its wallets it is the next one.

    Where there are several, the rows that nobody asked for tell which of them was first.
    """
    heads = {
        asset: next((row for row in rows if row.kind not in UNASKED), None)
        for asset, rows in left.items()
    }
    for row in filter(None, heads.values()):
        legs = [r for rows in left.values() for r in rows if r.transaction_id == row.transaction_id]
        if row.leg == 0 and all(heads[leg.asset] is leg for leg in legs):
            yield sorted(legs, key=lambda leg: leg.leg)


def operation_of(legs: list[Posting], offsets: dict[int, int]) -> Operation:
    """Return the request that left these rows, leg 0 first."""
    first = legs[0]
    facts: dict[str, Any] = {
        name: getattr(first, name)
        for name in ("customer_id", "transaction_id", "fingerprint", "brand_id", "store_id")
    }
    facts |= {name: getattr(first, name) for name in ("invoice_scope", "by_id", "till")}
    facts |= {"kind": first.kind, "occurred_at": first.occurred_at, "details": first.details}
    facts |= {"bill_amount": -1 if first.bill_amount is None else first.bill_amount}
    facts |= {"invoice_number": first.invoice_number, "reference": first.reference}
    facts |= {"barred": first.refusal if first.refusal in OUTSIDE else 0}
    facts |= {"asset": first.asset, "utc_offset": offsets.get(first.asset, 0)}
    if first.kind not in (Kind.CAPTURE, Kind.VOID, Kind.RESEND):
        facts |= {"requested": first.requested}
    facts |= {"needs_profile": first.kind in (Kind.REDEMPTION, Kind.HOLD, Kind.PAYMENT)}
    if first.kind == Kind.ACCUMULATION:
        facts |= {"expires_day": last_day(first)}
        if len(legs) > 1:
            facts |= {"coins": legs[1].requested, "coins_expires_day": last_day(legs[1])}
    if first.kind == Kind.HOLD:
        facts |= terms_of(
            next((h for h in first.holds if h.payment_id == first.transaction_id), None)
        )
    return Operation(**facts)


def last_day(row: Posting) -> int:
    """Return the last day of what a row earned; where it earned nothing, any will do."""
    return next((day for (day, _), amount in row.moved.items() if amount > 0), 1)


def terms_of(hold: Hold | None) -> dict[str, Any]:
    """Return the terms of a hold as they were asked for; a refused one has left none."""
    if hold is None:
        return {"code_mac": bytes(16), "tries_max": 1}
    return {
        "code_mac": hold.code_mac,
        "hold_expires_at": hold.expires_at,
        "tries_max": hold.tries_left,
        "resends_max": hold.resends_left,
        "item_id": hold.item_id,
        "unit": hold.unit,
        "turn": hold.turn,
    }


def posting_of(record: Any) -> Posting:
    """Return a row of the journal as it comes out of PostgreSQL."""
    row = dict(record)
    for name in ("customer_id", "transaction_id", "reference"):
        row[name] = None if row[name] is None else row[name].bytes
    for name in ("occurred_at", "recorded_at"):
        row[name] = microseconds(row[name])
    for name in ("lots", "moved"):
        pairs = zip(row[name][::2], row[name][1::2], strict=True)
        row[name] = {(key >> 32, key & 0xFFFFFFFF): amount for key, amount in pairs}
    for name in ("invoice_number", "invoice_scope", "details"):
        row[name] = None if row[name] is None else row[name].encode()
    row["holds"] = unpack_holds(row["holds"])
    return Posting(**row)


def order_faults(rows: Sequence[tuple[int, float, float, str]]) -> list[str]:
    """Return who stands before somebody that had been answered before they asked.

    Each row is (seq, asked at, answered at, name) of one wallet, times in seconds of one clock.
    """
    faults = []
    latest, who = float("-inf"), ""
    for _, asked_at, answered_at, name in sorted(rows):
        if answered_at < latest:
            faults.append(f"{who} stands before {name}, which was answered before it was asked")
        if asked_at > latest:
            latest, who = asked_at, name
    return faults
