"""Customers: one registration for the whole network, found by any of their identities (CUS-1…6)."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from engine.errors import CustomerNotFound, Overloaded
from engine.people.contacts import normalise_email, read_phone
from engine.people.documents import (
    document_identity,
    is_placeholder,
    issuer_of,
    normalise,
    passport_of,
)
from engine.people.origins import dialled_in, origin_of
from engine.people.profile import check_birth_date, missing_fields, spell_name
from engine.people.sender import CHANNELS
from engine.postgres.connections import Pool, PooledConnection
from engine.postgres.sql import queries

SQL = queries("people")
IDENTITY_TRIES_MAX = 3
"""Times that an identity which was taken may be free again once it is asked whose it is."""


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
    document_country: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Customer(Profile):
    """A registered customer; `missing_fields` is a bit set of engine.people.profile.

    Until `code_until` codes go to `code_to`, whatever the profile says by then: who changes a
    contact at a till would else get the codes of somebody else's coins. Of somebody erased nothing
    is left: document and e-mail are empty texts.
    """

    customer_id: UUID
    missing_fields: int
    created_at: datetime
    erased_at: datetime | None = None
    code_channel: str | None = None
    code_to: str | None = None
    code_until: datetime | None = None

    def code_contact(self, now: datetime, channels: Container[str] = CHANNELS) -> tuple[str, str]:
        """Return where a code goes at `now`, as ('sms' or 'email', the phone or address).

        `channels` are those that there is a sender for; e-mail has to do where SMS is not.
        """
        if self.code_until is not None and now < self.code_until:
            return str(self.code_channel), str(self.code_to)
        by_sms = self.phone is not None and "sms" in channels
        return ("sms", str(self.phone)) if by_sms else ("email", self.email)


PROFILE_FIELDS = tuple(field.name for field in fields(Profile))
"""The names of what a change of a profile may change."""

Identities = set[tuple[str, str]]
"""What a customer is found by, as (kind, normalised value)."""


class AlreadyRegistered(Exception):
    """Someone has that document, e-mail or phone already."""

    def __init__(self, customer_id: UUID, kind: str) -> None:
        super().__init__(self.__doc__)
        self.customer_id = customer_id
        self.kind = kind


class _Taken(Exception):
    """One of these identities was another's."""

    def __init__(self, identities: Identities) -> None:
        super().__init__(self.__doc__)
        self.identities = identities


class Customers:
    """Registers, finds and changes customers."""

    def __init__(self, pool: Pool, channels: Container[str] = CHANNELS) -> None:
        self._pool = pool
        self._channels = channels

    async def register(
        self, profile: Profile, home: str | None = None, *, seen: bool = False
    ) -> Customer:
        """Register a customer; the identities make it happen once, whoever else tries (CUS-1).

        `home` is the store's country; the document's and the phone's count before it. `seen` says
        that the document was looked at, whatever number it has. Raises ValueError with a sentence
        for what cannot be, AlreadyRegistered, Overloaded (nothing was done).
        """
        origin = origin_of(
            profile.document_type, profile.document_country, profile.country, profile.phone, home
        )
        profile = replace(profile, country=origin.country, document_country=origin.issuer)
        kept, identities = _spelled(asdict(profile), origin.dialled, seen=seen)
        customer = Customer(
            **kept,
            customer_id=uuid4(),
            missing_fields=_missing(kept),
            created_at=datetime.now(UTC),
        )
        for _ in range(IDENTITY_TRIES_MAX):
            try:
                await self._insert(customer, identities)
            except _Taken as taken:
                await self._raise_whose(taken.identities, customer.customer_id)
            else:
                return customer
        raise Overloaded

    async def find(self, kind: str, value: str) -> Customer | None:
        """Return whose identity this normalised value is, None where it is nobody's (CUS-2).

        A passport is found without its issuer too. Raises ValueError with a sentence where several
        have that number and the issuer was not told.
        """
        passport = passport_of(value) if kind == "document" else None
        if passport is None:
            return await self._one(None, kind, value)
        issuer, number = passport
        keys = [(kind, value), (kind, document_identity("PA", number, None))]
        found = await self.fitting(keys, number if issuer is None else None, 2)
        if len(found) > 1 and issuer is None:
            raise ValueError(
                "Several passports have this number: send the `country` of the issuer."
            )
        return found[0] if found else None

    async def fitting(
        self, identities: Sequence[tuple[str, str]], passport: str | None, customers_max: int
    ) -> list[Customer]:
        """Return whose any of these normalised identities is, in their order, in one statement.

        After them come those who have a `passport` of this number, of any country.
        """
        kinds, values = zip(*identities, strict=True) if identities else ((), ())
        rows = await self._pool.fetch(  # network op
            SQL["fitting"], kinds, values, passport, customers_max
        )
        return [Customer(**dict(row)) for row in rows]

    async def find_many(self, identities: Identities) -> dict[tuple[str, str], UUID]:
        """Return whose these normalised identities are, those that are anybody's (CUS-2)."""
        if not identities:
            return {}
        rows = await self._pool.fetch(SQL["owners"], *_columns(identities))  # network op
        found = {(row["kind"], row["value"]): row["customer_id"] for row in rows}
        return found | await self._passport_owners(identities - found.keys())

    async def _passport_owners(self, identities: Identities) -> dict[tuple[str, str], UUID]:
        """Return whose these passports are by their number, where one customer alone fits."""
        wanted = {
            value: passport
            for kind, value in identities
            if kind == "document" and (passport := passport_of(value)) is not None
        }
        if not wanted:
            return {}
        rows = await self._pool.fetch(  # network op
            SQL["passports"], [number for _, number in wanted.values()]
        )
        found = {}
        for value, (issuer, number) in wanted.items():
            fitting = [
                row["customer_id"]
                for row in rows
                if row["document_number"] == number
                and (issuer is None or row["document_country"] is None)
            ]
            if len(fitting) == 1:
                found["document", value] = fitting[0]
        return found

    async def get(self, customer_id: UUID) -> Customer | None:
        """Return a customer, None where there is none."""
        return await self._one(customer_id, None, None)

    async def _one(self, *by: Any) -> Customer | None:
        row = await self._pool.fetchrow(SQL["customer"], *by)  # network op
        return None if row is None else Customer(**dict(row))

    async def change(
        self,
        customer_id: UUID,
        change: Mapping[str, Any],
        home: str | None,
        issued_in: str | None = None,
        settles_s: int = 0,
        *,
        seen: bool = False,
    ) -> tuple[Customer, Customer]:
        """Change fields of a profile, the identities with them; return it before and after (CUS-6).

        `change` has some of PROFILE_FIELDS as they were typed; `issued_in` is the country that was
        sent with its document. Without a country of their own, a document and a phone are read as
        the customer's, or as `home`'s. For `settles_s` seconds codes go where they went before; 0
        says that it is the customer who asks for the change. `seen` is that of `register`. Raises
        CustomerNotFound, for somebody erased too, and what `register` raises.
        """
        for _ in range(IDENTITY_TRIES_MAX):
            try:
                return await self._change(customer_id, change, home, issued_in, settles_s, seen)
            except _Taken as taken:
                await self._raise_whose(taken.identities, customer_id)
        raise Overloaded

    async def _change(
        self,
        customer_id: UUID,
        change: Mapping[str, Any],
        home: str | None,
        issued_in: str | None,
        settles_s: int,
        seen: bool,
    ) -> tuple[Customer, Customer]:
        async with self._pool.acquire() as connection, connection.transaction():  # network op
            row = await connection.fetchrow(SQL["lock_customer"], customer_id)  # network op
            if row is None:
                raise CustomerNotFound
            before = Customer(**dict(row))
            country = change.get("country", before.country)
            typed = dict(change)
            if "document_type" in typed:
                typed["document_country"] = issuer_of(
                    typed["document_type"], issued_in, country or home
                )
            dialled = dialled_in(before.document_type, before.document_country, country, home)
            kept, identities = _spelled(typed, dialled, seen=seen)
            after = replace(before, **kept)
            after = replace(after, missing_fields=_missing(asdict(after)))
            after = _settling(before, after, settles_s, self._channels)
            rows = await connection.fetch(SQL["identities"], customer_id)  # network op
            changed = {"document" if name == "document_number" else name for name in kept}
            old = {(row["kind"], row["value"]) for row in rows if row["kind"] in changed}
            await _refuse_rival_passports(connection, identities, customer_id)
            # What is given up goes last: whoever waits for a value holds nothing that others want.
            await _insert_identities(connection, identities - old, customer_id)
            await connection.execute(  # network op
                SQL["delete_identities"], *_columns(old - identities), customer_id
            )
            await connection.execute(  # network op
                SQL["update_customer"],
                *(customer_id, *_values(after), after.missing_fields),
                *(after.code_channel, after.code_to, after.code_until),
            )
        return before, after

    async def _insert(self, customer: Customer, identities: Identities) -> None:
        async with self._pool.acquire() as connection, connection.transaction():  # network op
            await _refuse_rival_passports(connection, identities, customer.customer_id)
            await _insert_identities(connection, identities, customer.customer_id)
            await connection.execute(  # network op
                SQL["insert_customer"],
                customer.customer_id,
                *_values(customer),
                customer.missing_fields,
                customer.created_at,
            )

    async def _raise_whose(self, identities: Identities, customer_id: UUID) -> None:
        """Raise AlreadyRegistered, unless nobody but `customer_id` has any of these by now."""
        found = await self._pool.fetchrow(  # network op
            SQL["first_identity"], *_columns(identities), customer_id
        )
        if found is not None:
            raise AlreadyRegistered(found["customer_id"], found["kind"])


async def _insert_identities(
    connection: PooledConnection, identities: Identities, customer_id: UUID
) -> None:
    """Insert identities, or raise `_Taken` where one is another's: the transaction is over then."""
    rows = await connection.fetch(  # network op
        SQL["insert_identities"], *_columns(identities), customer_id
    )
    if len(rows) < len(identities):
        raise _Taken(identities)


async def _refuse_rival_passports(
    connection: PooledConnection, identities: Identities, customer_id: UUID
) -> None:
    """Raise AlreadyRegistered where a passport may be another's (CUS-10).

    With and without its issuer a number is two keys, and could be one passport. Who writes either
    waits for who writes the other one.
    """
    for kind, value in identities:
        passport = passport_of(value) if kind == "document" else None
        if passport is not None:
            issuer, number = passport
            await connection.execute(SQL["lock_passport"], number)  # network op
            rival = await connection.fetchval(  # network op
                SQL["rival_passport"], number, issuer, customer_id
            )
            if rival is not None:
                raise AlreadyRegistered(rival, kind)


def _spelled(
    typed: Mapping[str, Any], dialled: Sequence[str], *, seen: bool
) -> tuple[dict[str, Any], Identities]:
    """Return fields of a profile as they are kept, and the identities that they make.

    A national phone is read as one of the countries in `dialled`. A number that is typed where
    there is no document is one where the document was `seen`. Raises ValueError with a sentence
    that does not repeat what was typed.
    """
    kept = dict(typed)
    identities: Identities = set()
    if "document_number" in kept:
        document = (kept["document_type"], kept["document_number"], kept["document_country"])
        kept["document_number"] = normalise(*document)
        identity = document_identity(*document)
        if is_placeholder(identity) and not seen:
            raise ValueError(
                "This number is typed where there is no document: ask for the document and type its"
                " number. Customer service registers who really has this one."
            )
        identities.add(("document", identity))
    if "email" in kept:
        kept["email"] = normalise_email(kept["email"])
        identities.add(("email", kept["email"]))
    if kept.get("phone") is not None:
        kept["phone"] = read_phone(kept["phone"], dialled)
        identities.add(("phone", kept["phone"]))
    for name in ("first_names", "last_names", "city"):
        if kept.get(name) is not None:
            kept[name] = spell_name(name, kept[name])
    if kept.get("birth_date") is not None:
        check_birth_date(kept["birth_date"], datetime.now(UTC).date())
    return kept, identities


def _settling(
    before: Customer, after: Customer, settles_s: int, channels: Container[str]
) -> Customer:
    """Return `after` with codes going where they went `before`, for as long as that takes."""
    now = datetime.now(UTC)
    channel, to = before.code_contact(now, channels)
    after = replace(after, code_channel=None, code_to=None, code_until=None)
    if settles_s == 0 or after.code_contact(now, channels) == (channel, to):
        return after
    until = now + timedelta(seconds=settles_s)
    return replace(after, code_channel=channel, code_to=to, code_until=until)


def _missing(kept: Mapping[str, Any]) -> int:
    return missing_fields(
        phone=kept["phone"],
        first_names=kept["first_names"],
        last_names=kept["last_names"],
        gender=kept["gender"],
        birth_date=kept["birth_date"],
    )


def _values(customer: Customer) -> list[Any]:
    """Return the fields of the profile in the order of the statements that write them."""
    return [getattr(customer, name) for name in PROFILE_FIELDS]


def _columns(identities: Identities) -> tuple[list[str], list[str]]:
    """Return the kinds and the values of identities, each as one array, in their order."""
    ordered = sorted(identities)
    return [kind for kind, _ in ordered], [value for _, value in ordered]
