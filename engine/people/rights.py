"""What a person may ask of the network by law: a copy of what it holds of them, and erasure.

Ley 1581 of Colombia. The ledger is kept, for it is the books of the brands too; what it says of a
customer is an id, once the person behind it is erased.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

import orjson

from engine.errors import CustomerNotFound
from engine.people.profile import ALL_FIELDS, names_of
from engine.postgres.connections import Connection
from engine.postgres.sql import queries

SQL = queries("people")


class ErasedAlready(ValueError):
    """Nothing personal is left of this customer to erase."""

    def __init__(self, erased_at: datetime) -> None:
        super().__init__(
            f"This customer was erased on {erased_at:%Y-%m-%d}; nothing is left of it."
        )


async def export(connection: Connection, customer_id: UUID) -> dict[str, Any]:
    """Return everything that the network holds of a person, as one consistent whole.

    The `kind` and `refusal` of postings are the journal's numbers. Amounts are whole points or
    coins, bills are minor units of their currency. Raises CustomerNotFound.
    """
    async with connection.transaction(isolation="repeatable_read", readonly=True):  # network op
        customer = await connection.fetchrow(SQL["customer"], customer_id, None, None)  # network op
        if customer is None:
            raise CustomerNotFound
        identities = await connection.fetch(SQL["identities"], customer_id)  # network op
        gifts = await connection.fetch(SQL["gifts"], customer_id)  # network op
        postings = await connection.fetch(SQL["postings"], customer_id)  # network op
    profile = dict(customer) | {"missing_fields": names_of(customer["missing_fields"])}
    return {
        "customer": profile,
        "identities": [dict(row) for row in identities],
        "gifts": [dict(row) for row in gifts],
        "postings": [
            dict(row) | {"details": orjson.loads(row["details"] or "null")} for row in postings
        ],
    }


async def refuse_erased(connection: Connection, customer_id: UUID) -> None:
    """Raise CustomerNotFound or ErasedAlready where there is nobody to erase."""
    customer = await connection.fetchrow(SQL["customer"], customer_id, None, None)  # network op
    if customer is None:
        raise CustomerNotFound
    if customer["erased_at"] is not None:
        raise ErasedAlready(customer["erased_at"])


async def erase(connection: Connection, customer_id: UUID, moment: datetime) -> None:
    """Delete the identities, everything personal of the profile, and whose the gifts are.

    All of it or, where it raises, nothing. The profile lacks every field then, so nothing can be
    redeemed or paid (CUS-7); nobody finds the customer, and the document can be registered anew.
    What stays is the journal: amounts, stores, invoice numbers, the masked phone or e-mail in the
    details of payments with a code, and the reasons of blocks and reversals. What the sender has
    sent is not in the database. Raises CustomerNotFound, ErasedAlready.
    """
    async with connection.transaction():  # network op
        erased = await connection.fetchval(  # network op
            SQL["erase_customer"], customer_id, ALL_FIELDS, moment
        )
        if erased is None:
            await refuse_erased(connection, customer_id)
        await connection.execute(SQL["erase_identities"], customer_id)  # network op
        await connection.execute(SQL["erase_gifts"], customer_id)  # network op
