"""Customers: one registration for the whole network, found by any of their identities (CUS-1…3)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from uuid import UUID, uuid4

import asyncpg

from engine.people.contacts import normalise_email, normalise_phone
from engine.people.documents import document_identity, normalise
from engine.people.profile import missing_fields
from engine.postgres.connections import Pool
from engine.postgres.sql import queries

SQL = queries("people")


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """What is registered of a customer, as it was typed (CUS-4)."""

    document_type: str
    document_number: str
    email: str
    phone: str | None = None
    first_names: str | None = None
    last_names: str | None = None
    gender: str | None = None
    birth_date: date | None = None
    country: str | None = None
    city: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Customer(Profile):
    """A registered customer; `missing_fields` is a bit set of engine.people.profile."""

    customer_id: UUID
    missing_fields: int
    created_at: datetime


class AlreadyRegistered(Exception):
    """Someone has that document, e-mail or phone already."""

    def __init__(self, customer_id: UUID, kind: str) -> None:
        super().__init__(self.__doc__)
        self.customer_id = customer_id
        self.kind = kind


class Customers:
    """Registers and finds customers."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def register(self, profile: Profile) -> Customer:
        """Register a customer; the identities make it happen once, whoever else tries (CUS-1).

        Raises ValueError for a document, e-mail or phone that cannot be one, AlreadyRegistered.
        """
        phone = profile.phone and normalise_phone(profile.phone, profile.country)
        email = normalise_email(profile.email)
        identity = document_identity(
            profile.document_type, profile.document_number, profile.country
        )
        identities = [("document", identity), ("email", email)]
        if phone:
            identities.append(("phone", phone))
        customer = Customer(
            customer_id=uuid4(),
            document_type=profile.document_type,
            document_number=normalise(profile.document_type, profile.document_number),
            email=email,
            phone=phone,
            first_names=profile.first_names,
            last_names=profile.last_names,
            gender=profile.gender,
            birth_date=profile.birth_date,
            country=profile.country,
            city=profile.city,
            missing_fields=missing_fields(
                phone=phone,
                first_names=profile.first_names,
                last_names=profile.last_names,
                gender=profile.gender,
                birth_date=profile.birth_date,
            ),
            created_at=datetime.now(UTC),
        )
        try:
            await self._insert(customer, sorted(identities))
        except asyncpg.UniqueViolationError:
            found = await self._pool.fetchrow(  # network op
                SQL["first_identity"], *_columns(identities)
            )
            if found is None:
                raise
            raise AlreadyRegistered(found["customer_id"], found["kind"]) from None
        return customer

    async def find(self, kind: str, value: str) -> UUID | None:
        """Return whose identity this normalised value is, None where it is nobody's (CUS-2)."""
        found: UUID | None = await self._pool.fetchval(SQL["identity"], kind, value)  # network op
        return found

    async def get(self, customer_id: UUID) -> Customer | None:
        """Return a customer, None where there is none."""
        row = await self._pool.fetchrow(SQL["customer"], customer_id)  # network op
        return None if row is None else Customer(**dict(row))

    async def _insert(self, customer: Customer, identities: Sequence[tuple[str, str]]) -> None:
        async with self._pool.acquire() as connection, connection.transaction():  # network op
            await connection.execute(  # network op
                SQL["insert_identities"], *_columns(identities), customer.customer_id
            )
            await connection.execute(  # network op
                SQL["insert_customer"],
                customer.customer_id,
                customer.document_type,
                customer.document_number,
                customer.email,
                customer.phone,
                customer.first_names,
                customer.last_names,
                customer.gender,
                customer.birth_date,
                customer.country,
                customer.city,
                customer.missing_fields,
                customer.created_at,
            )


def _columns(identities: Sequence[tuple[str, str]]) -> tuple[list[str], list[str]]:
    """Return the kinds and the values of identities, each as one array."""
    return [kind for kind, _ in identities], [value for _, value in identities]
