"""The judge of a run: the journal at the end agrees with what the clients were answered.

The order and the contents of the rows are judged by the history checker, which asks the reference
ledger for the same requests.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator

from engine.codes import Cause, Kind, Refusal
from engine.ledger.core import Operation
from tests.copy_format import Posting
from tests.history import UNASKED, order_faults, replay
from tests.simulation.database import SimulatedDatabase
from tests.simulation.workers import COLOMBIA
from tests.simulation.workload import CAFE, Intent

SECOND = {
    Refusal.INVOICE_ALREADY_CLAIMED,
    Refusal.REFERENCE_ALREADY_USED,
    Refusal.QR_INVALID,
    Refusal.ALREADY_REVERSED,
}
"""What is refused to those that come second: it is the tables that decide it, no wallet."""
ABSENT = {"nothing", "not found", "taken"}


def verdict(database: SimulatedDatabase, intents: list[Intent]) -> Iterator[str]:
    """Give what is wrong with the journal, and with what clients were answered."""
    by_key = {(one.transaction_id, one.facts["fingerprint"]): one for one in intents}
    yield from answer_faults(database, intents)
    yield from row_faults(database, by_key)
    yield from claim_faults(database, intents)
    yield from history_faults(database, by_key)
    yield from order_of_answers(database, by_key)


def answer_faults(database: SimulatedDatabase, intents: list[Intent]) -> Iterator[str]:
    """Nothing that was answered is lost, and nothing is done of what was said not to be."""
    of_intent: dict[bytes, list[Posting]] = defaultdict(list)
    for row in database.rows:
        of_intent[row.transaction_id].append(row)
    for intent in intents:
        rows = of_intent[intent.transaction_id]
        own = [row for row in rows if row.fingerprint == intent.facts["fingerprint"]]
        if intent.outcome == "posted" and not own and intent.transaction_id not in database.lost:
            yield f"{intent.name} was answered, and is lost"
        # What a failover lost may be done once more by an attempt that was under way.
        again = intent.facts.get("reference") in database.lost
        certain = intent.outcome in ABSENT and not (intent.uncertain and intent.outcome == "taken")
        if (certain or intent.outcome == "reused") and own and not (intent.patient or again):
            yield f"{intent.name} was answered {intent.outcome!r}, and is done"
        if intent.outcome == "Quarantined" and intent.transaction_id not in database.bad:
            yield f"{intent.name} is given up, and nothing is wrong with it"
        if intent.outcome not in ABSENT | {"posted", "reused", "written down", "Quarantined"}:
            yield f"{intent.name} was answered {intent.outcome!r}"


def row_faults(
    database: SimulatedDatabase, by_key: dict[tuple[bytes, int], Intent]
) -> Iterator[str]:
    """Every row was asked for, and no key is done twice."""
    legs = Counter((row.customer_id, row.transaction_id, row.leg) for row in database.rows)
    for (_, transaction_id, leg), count in legs.items():
        if count > 1:
            yield f"leg {leg} of {int.from_bytes(transaction_id)} stands {count} times"
    for row in database.rows:
        asked = row.kind not in UNASKED and not (
            row.kind in (Kind.BLOCK, Kind.UNBLOCK) and row.asset
        )
        if asked and (row.transaction_id, row.fingerprint) not in by_key:
            yield f"no request asked for {row}"


def claim_faults(database: SimulatedDatabase, intents: list[Intent]) -> Iterator[str]:
    """What happens once has happened once, and is refused to others only where it has."""
    posted = {row.transaction_id: row for row in database.rows if row.leg == 0}
    freed = {
        intent.facts["reference"]
        for intent in intents
        if intent.facts.get("cause") == Cause.MISTAKE
        and intent.transaction_id in posted
        and not posted[intent.transaction_id].refusal
    }
    claimed: Counter[tuple[object, ...]] = Counter()
    ever = set()
    for intent in intents:
        row = posted.get(intent.transaction_id)
        if intent.claim is None:
            continue
        if row is None and intent.transaction_id in database.lost:
            ever.add(intent.claim)
        if row is not None and not row.refusal:
            ever.add(intent.claim)
            claimed[intent.claim] += intent.transaction_id not in freed
    yield from (f"{claim} happened {n} times" for claim, n in claimed.items() if n > 1)
    for intent in intents:
        row = posted.get(intent.transaction_id)
        if row is not None and row.refusal in SECOND and intent.claim not in ever:
            yield f"{intent.name} is refused as second, and there is no first"


def history_faults(
    database: SimulatedDatabase, by_key: dict[tuple[bytes, int], Intent]
) -> Iterator[str]:
    """The reference ledger makes the same rows of the same requests, in the same order."""
    offsets = {0: COLOMBIA, CAFE: COLOMBIA}

    def request_of(legs: list[Posting]) -> Operation:
        first = legs[0]
        intent = by_key.get((first.transaction_id, first.fingerprint))
        if intent is None:  # a block's row in another wallet than that of coins
            return Operation(
                kind=first.kind, customer_id=first.customer_id, transaction_id=bytes(16)
            )
        operation = intent.operation()
        if first.refusal in SECOND:
            operation.bar(first.refusal)
        return operation

    of_customer: dict[bytes, list[Posting]] = defaultdict(list)
    for row in sorted(database.rows, key=lambda row: (row.customer_id, row.asset, row.seq)):
        of_customer[row.customer_id].append(row)
    for rows in of_customer.values():
        yield from replay(rows, offsets, request_of=request_of, moments=database.moments)


def order_of_answers(
    database: SimulatedDatabase, by_key: dict[tuple[bytes, int], Intent]
) -> Iterator[str]:
    """A request that was answered before another was made stands before it, in each wallet."""
    wallets: dict[tuple[bytes, int], list[tuple[int, float, float, str]]] = defaultdict(list)
    for row in database.rows:
        intent = by_key.get((row.transaction_id, row.fingerprint))
        again = row.transaction_id in database.lost  # it may have landed once more
        if intent is not None and intent.outcome == "posted" and not again:
            place = (row.seq, intent.asked_at, intent.answered_at, intent.name)
            wallets[row.customer_id, row.asset].append(place)
    for places in wallets.values():
        yield from order_faults(places)
