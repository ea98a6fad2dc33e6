"""The demo network into an empty database: one transaction, one COPY for each table.

The values have the fields that their tables have as columns, so there is nothing to translate.
"""

from __future__ import annotations

from dataclasses import fields
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final

from engine.demo import network as values
from engine.people.documents import document_identity
from engine.postgres.sql import queries

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from uuid import UUID

    from engine.demo.network import Customer, Network
    from engine.postgres.connections import Connection

SQL: Final = queries("demo")


async def is_empty(connection: Connection) -> bool:
    """Whether there is no network yet: not a single brand."""
    return bool(await connection.fetchval(SQL["is_empty"]))  # network op


async def load(connection: Connection, network: Network) -> None:
    """Load all of `network` or nothing of it; the database must be empty."""
    async with connection.transaction():  # network op
        for table, of, rows in (
            ("brand", values.Brand, network.brands),
            ("programme", values.Programme, network.programmes),
            ("store", values.Store, network.stores),
            ("partner", values.Partner, network.partners),
            ("organisation", values.Organisation, network.organisations),
            ("customer", values.Customer, network.customers),
            ("item", values.Item, network.items),
            ("gift_customer", values.GiftCustomer, network.gift_customers),
        ):
            await _copy(connection, table, [field.name for field in fields(of)], rows)
        await connection.copy_records_to_table(  # network op
            "identity",
            records=_identities(network.customers),
            columns=["kind", "value", "customer_id"],
        )
        await connection.execute(  # network op
            SQL["insert_rewards"],
            [reward.reward_id for reward in network.rewards],
            [reward.brand_id for reward in network.rewards],
            [reward.name for reward in network.rewards],
            [reward.points for reward in network.rewards],
        )
        await connection.execute(  # network op
            SQL["insert_partner_rates"], values.IN_FORCE_FROM
        )
        await connection.execute(SQL["move_catalogue"])  # network op


async def _copy(
    connection: Connection, table: str, columns: list[str], rows: Iterable[Any]
) -> None:
    """Rows into the table whose columns are named as their fields."""
    records = map(attrgetter(*columns), rows)
    await connection.copy_records_to_table(table, records=records, columns=columns)  # network op


def _identities(customers: Iterable[Customer]) -> Iterator[tuple[str, str, UUID]]:
    """What each customer can be found by (CUS-2)."""
    for customer in customers:
        # Passports of the demo are of an unknown issuer: demo.json tells no country of theirs.
        document = document_identity(customer.document_type, customer.document_number, None)
        yield "document", document, customer.customer_id
        yield "email", customer.email, customer.customer_id
        if customer.phone is not None:
            yield "phone", customer.phone, customer.customer_id
