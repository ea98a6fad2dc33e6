"""What the journal has of operations that come second: their receipts, and who has claimed.

The queries are those of `journal.sql`, read by the connection of a lane or by any other reader.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Protocol

from asyncpg.pgproto.pgproto import UUID

from engine.codes import Claim, Refusal
from engine.ledger.claims import CLAIM_TABLES, NOBODY, Bar
from engine.ledger.core import Operation
from engine.ledger.receipts import Receipt, receipt_of

Found = tuple[Mapping[bytes, Receipt], Mapping[bytes, Bar]]
"""Receipts of operations that the journal has, and why others are refused, by transaction id."""

LookUp = Callable[[Sequence[Operation]], Awaitable[Found]]


class Statement(Protocol):
    """A query that is ready to be run."""

    def fetch(self, *arguments: Any) -> Awaitable[Sequence[Any]]:
        """Return its rows."""


async def find_receipts(find: Statement, operations: Sequence[Operation]) -> dict[bytes, Receipt]:
    """Return by transaction id the receipts of those operations that the journal has.

    `find` is the query of that name.
    """
    rows = await find.fetch(  # network op
        [UUID(operation.customer_id) for operation in operations],
        [UUID(operation.transaction_id) for operation in operations],
    )
    found: dict[bytes, list[Any]] = {}
    for row in rows:
        found.setdefault(row["transaction_id"].bytes, []).append(row)
    return {transaction_id: receipt_of(legs) for transaction_id, legs in found.items()}


async def find_claimed(find_claims: Statement, operations: Sequence[Operation]) -> dict[bytes, Bar]:
    """Return the refusals of those that claim what another has (PTS-7, SYS-9, INV-8).

    `find_claims` is the query of that name.
    """
    claiming = {op.transaction_id: op for op in operations if op.claim_kind != Claim.NONE}
    if not claiming:
        return {}
    rows = await find_claims.fetch(  # network op
        [UUID(transaction_id) for transaction_id in claiming],
        [operation.claim_kind for operation in claiming.values()],
        [operation.claim_owner for operation in claiming.values()],
        [(operation.claim_key or b"").decode() for operation in claiming.values()],
    )
    barred = {}
    for row in rows:
        transaction_id = row["transaction_id"].bytes
        refusal = CLAIM_TABLES[Claim(claiming[transaction_id].claim_kind)].refusal
        if row["claimed_by"].bytes == NOBODY:
            refusal = Refusal.INVOICE_VOIDED
        barred[transaction_id] = Bar(refusal)
    return barred
