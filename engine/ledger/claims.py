"""Claims: what happens once, in which table, and what is said to who comes second.

Likewise the coins on an invoice: what adds to them, and what is said where they are too many.

An invoice earns once (PTS-7), a partner's reference converts once (SYS-9), an online order pays
once (INV-8). All follow one rule: the posting that claims inserts a row by the normal form of what
it claims, and a reversal of a mistake deletes it (INV-6).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from typing import Any, NamedTuple

import orjson

from engine.codes import BEGINS_PAYMENT, VERBS, Claim, Kind, Refusal
from engine.ledger.core import Batch, Operation, claim_key_of
from engine.ledger.receipts import details_of

PLACEHOLDERS = frozenset({b"NA", b"SN", b"NONE", b"NULL", b"NIL", b"UNDEFINED", b"SINNUMERO"})
"""What tills and shops send where there is no number, as normal forms: they name nothing."""
NOBODY = bytes(16)
"""The transaction by which an invoice is claimed that its point of sale has voided (INV-5)."""


class Bar(NamedTuple):
    """Why an operation is refused that comes second, and the details of its posting if others."""

    refusal: int
    details: bytes | None = None


@dataclass(frozen=True, slots=True)
class ClaimTable:
    """Where claims of a kind are kept, by whose they are and by their key."""

    name: str
    owner: str
    key: str
    refusal: Refusal
    """What another one who claims the same is refused by."""

    @property
    def columns(self) -> list[str]:
        """The columns, in the order in which an append writes them."""
        return [self.owner, self.key, "customer_id", "transaction_id"]


CLAIM_TABLES = {
    Claim.INVOICE: ClaimTable(
        "invoice_claim", "store_id", "invoice_key", Refusal.INVOICE_ALREADY_CLAIMED
    ),
    Claim.REFERENCE: ClaimTable(
        "reference_claim", "partner_id", "reference_key", Refusal.REFERENCE_ALREADY_USED
    ),
    Claim.ORDER: ClaimTable("order_claim", "brand_id", "order_key", Refusal.REFERENCE_ALREADY_USED),
}


def names_nothing(text: str) -> bool:
    """Return whether a number, a reference or an order is none: signs alone, N/A, null.

    If one of these were claimed, the next customer who has no number either would be refused.
    """
    key = claim_key_of(text.encode())
    return key == b"" or key in PLACEHOLDERS


def claim_of(row: Any, details: dict[str, Any]) -> tuple[int, int, bytes] | None:
    """Return (kind, owner, key) of what a posting claimed, None where it claimed nothing.

    `row` has the columns of the query `find`, `details` are what it says of its receipt.
    """
    claim, owner = VERBS[Kind(row["kind"])].claims, row["counter_party"]
    if claim is Claim.INVOICE and row["invoice_number"] is not None:
        return claim, row["store_id"], invoice_key_of(row)
    if claim is Claim.REFERENCE:
        return claim, owner, claim_key_of(details["reference"].encode())
    if claim is Claim.ORDER:
        return claim, owner, claim_key_of(details["order"].encode())
    return None


def invoice_paid_by(row: Any) -> tuple[int, bytes] | None:
    """Return (store_id, key) of the invoice that a hold or a payment at once pays, else None."""
    if row["kind"] not in BEGINS_PAYMENT or row["invoice_number"] is None:
        return None
    return row["store_id"], invoice_key_of(row)


def invoice_key_of(row: Any) -> bytes:
    """Return the key of the invoice that a posting names."""
    scope = row["invoice_scope"]
    return claim_key_of(row["invoice_number"].encode(), None if scope is None else scope.encode())


def claim_statements(batch: Batch) -> Iterator[str]:
    """Give the statements for what a batch frees, then for what it claims.

    What one batch frees another operation of it may claim. Keys have letters, digits, and the
    signs of a scope that the engine writes itself; see `literal`.
    """
    for kind, owner, key, transaction_id in batch.freed_claims:
        table = CLAIM_TABLES[Claim(kind)]
        yield (
            f"delete from {table.name} where {table.owner}={owner}"  # noqa: S608 - see literal
            f" and {table.key}={literal(key)} and transaction_id='{transaction_id.hex()}';"
        )
    for kind, claims in groupby(batch.claims, itemgetter(0)):
        rows = ",".join(
            [
                f"({owner},{literal(key)},'{customer_id.hex()}','{transaction_id.hex()}')"
                for _, owner, key, customer_id, transaction_id in claims
            ]
        )
        yield f"insert into {CLAIM_TABLES[Claim(kind)].name} values {rows};"  # noqa: S608 - see literal


def payment_statements(batch: Batch) -> Iterator[str]:
    """Give the statements for the coins that pay invoices, or are given back (INV-8)."""
    for store_id, key, coins_max, coins, paid, printed in batch.invoice_payments:
        more = (f",settled=>{paid}" if paid else "") + (",printed=>true" if printed else "")
        yield f"call pay_invoice({store_id},{literal(key)},{coins_max},{coins}{more});"


def bars_of_payments(paying: Sequence[Operation], rows: Sequence[Any]) -> dict[bytes, Bar]:
    """Return by transaction id why payments of invoices are refused, those that are (INV-8).

    `rows` are what the query `find_paid` gives of their invoices. Of several that pay one invoice
    the first that fit are let through, by the rule of the procedure `pay_invoice`.
    """
    kept: dict[tuple[int, bytes | None], tuple[int, int | None, bool]] = {
        (row["store_id"], row["invoice_key"].encode()): (
            row["coins"],
            row["coins_max"],
            row["voided"],
        )
        for row in rows
    }
    barred = {}
    for operation in paying:
        place = operation.store_id, operation.claim_key
        coins, coins_max, voided = kept.get(place, (0, None, False))
        own = None if operation.coins_max < 0 else operation.coins_max
        if operation.printed or coins == 0 or coins_max is None:
            coins_max = own
        elif own is not None:
            coins_max = min(coins_max, own)
        if voided:
            barred[operation.transaction_id] = Bar(Refusal.INVOICE_VOIDED)
        elif coins_max is None or coins + operation.requested <= coins_max:
            kept[place] = coins + operation.requested, coins_max, voided
        else:
            left = {"left": max(coins_max - coins, 0)}
            details = orjson.dumps(details_of(operation) | left)
            barred[operation.transaction_id] = Bar(Refusal.EXCEEDS_INVOICE, details)
    return barred


def literal(text: bytes) -> str:
    """Return printable ASCII as an SQL literal; the connection has standard_conforming_strings.

    Raises ValueError for any other text.
    """
    if not text.isascii() or not (said := text.decode()).isprintable():
        raise ValueError("what is claimed has printable ASCII characters only")
    return "'" + said.replace("'", "''") + "'"
