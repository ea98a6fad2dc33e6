"""Customers: register them, find them by what they have with them, change them (CUS-1…CUS-7)."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from uuid import UUID

from msgspec import UNSET
from uuid_utils import uuid7

from engine.codes import Refusal
from engine.commands.choices import one_of
from engine.commands.presences import ShownPresence, found_by_qr
from engine.commands.problem import Problem, refusal_problem
from engine.commands.services import Services
from engine.errors import CustomerNotFound, OutcomeUnknown
from engine.people.contacts import mask_email, mask_tail, normalise_email, read_phone
from engine.people.customers import PROFILE_FIELDS, AlreadyRegistered, Customer, Profile
from engine.people.documents import document_identity, issuer_of
from engine.people.keys import Principal, Role
from engine.people.qr import looks_like_qr
from engine.people.sender import Message
from engine.people.texts import read_text
from engine.postgres.connections import OUT_OF_REACH
from engine.schemas.people import Document, Lookup, ProfileChange, Registration

SPEAKS_FOR_CUSTOMERS = frozenset({Role.NETWORK, Role.APP})
"""The app has its customer signed in, and customer service asks who is calling."""
NOTICE_LIFETIME_S = 3600
"""How long a notice to an old contact is tried to be sent."""


@dataclass(frozen=True, slots=True)
class Found:
    """Whom a look-up names: one, or by a text several (CUS-15).

    `presence` is that of a customer who has shown a QR to a store (COI-10).
    """

    customers: list[Customer]
    presence: ShownPresence | None = None


async def register(services: Services, principal: Principal, body: Registration) -> Customer:
    """Register a customer, quickly or with a full profile (CUS-3, CUS-4).

    Raises Problem, TooManyGuesses and OutcomeUnknown.
    """
    home, city = _home(services, principal)
    profile = Profile(
        document_type=body.document.type,
        document_number=body.document.number,
        email=body.email,
        phone=body.phone,
        first_names=body.first_names,
        last_names=body.last_names,
        gender=body.gender,
        birth_date=body.birth_date,
        country=body.country,
        city=city if body.city is None else body.city,
        document_country=body.document.country,
    )
    with _counted(services, principal), _as_problems():
        return await services.customers.register(profile, home, seen=principal.role is Role.NETWORK)


async def look_up(services: Services, principal: Principal, body: Lookup) -> Found:
    """Return whom a look-up names.

    Raises CustomerNotFound, TooManyGuesses and Problem, which is `qr_invalid` for a QR of nobody.
    """
    kind = one_of(body, "document", "phone", "email", "qr", "text")
    if body.text is not None and looks_like_qr(body.text):
        kind, body = "qr", Lookup(qr=body.text)
    try:
        with _counted(services, principal):
            found = await _find(services, principal, kind, body)
            if not found.customers or found.customers[0].erased_at is not None:
                raise CustomerNotFound
    except CustomerNotFound:
        if body.qr is None:
            raise
        raise refusal_problem(Refusal.QR_INVALID) from None
    return found


async def change(
    services: Services, principal: Principal, customer_id: bytes, body: ProfileChange
) -> Customer:
    """Change a profile (*Actualizar*, CUS-6); return it as it is then.

    The holder of a phone or an e-mail that is replaced is notified there; where a till has replaced
    it, codes go there for a while yet.
    Raises Problem, CustomerNotFound, TooManyGuesses and OutcomeUnknown.
    """
    sent = {name: getattr(body, name, UNSET) for name in PROFILE_FIELDS}
    fields = {name: value for name, value in sent.items() if value is not UNSET}
    issued_in = None
    if body.document is not UNSET:
        issued_in = body.document.country
        fields |= {"document_type": body.document.type, "document_number": body.document.number}
    home, _ = _home(services, principal)
    at_once = principal.role in SPEAKS_FOR_CUSTOMERS
    settles_s = 0 if at_once else services.settings.contact_settles_s
    with _counted(services, principal), _as_problems():
        before, after = await services.customers.change(
            UUID(bytes=customer_id),
            fields,
            home,
            issued_in,
            settles_s,
            seen=principal.role is Role.NETWORK,
        )
    await _notify(services, before, after)
    return after


async def customer_of(services: Services, customer_id: bytes) -> Customer:
    """Return the customer, erased or not; raises CustomerNotFound where there is none."""
    customer = await services.customers.get(UUID(bytes=customer_id))
    if customer is None:
        raise CustomerNotFound
    return customer


async def person_of(services: Services, customer_id: bytes) -> Customer:
    """Return the customer; raises CustomerNotFound where there is none, or none any more."""
    customer = await customer_of(services, customer_id)
    if customer.erased_at is not None:
        raise CustomerNotFound
    return customer


def identity_of(
    country: str | None,
    *,
    document: Document | None = None,
    phone: str | None = None,
    email: str | None = None,
) -> str:
    """Return the normalised identity that names a customer, the first that is there (CUS-2, CUS-5).

    Without a country of their own a NIT and a phone are read as `country`'s. Raises ValueError with
    a sentence.
    """
    if document is not None:
        issuer = issuer_of(document.type, document.country, country)
        return document_identity(document.type, document.number, issuer)
    if phone is not None:
        return read_phone(phone, () if country is None else (country,))
    return normalise_email(str(email))


@contextmanager
def _counted(services: Services, principal: Principal) -> Iterator[None]:
    """Count what met nobody, or somebody else, against those who guess; raises TooManyGuesses."""
    services.guesses.take(principal)
    try:
        yield
    except CustomerNotFound:
        raise
    except BaseException as error:
        if not (isinstance(error, Problem) and error.code == "customer_exists"):
            services.guesses.give_back(principal)
        raise
    services.guesses.give_back(principal)


@contextmanager
def _as_problems() -> Iterator[None]:
    """Raise what is wrong with a registration or a change of a profile as problems."""
    try:
        yield
    except ValueError as error:
        raise Problem("invalid_request", str(error)) from None
    except OUT_OF_REACH:
        raise OutcomeUnknown("Whether this was done is not known: send it again.") from None
    except AlreadyRegistered as found:
        detail = f"Someone has this {found.kind} already; `customer_id` says who."
        raise Problem("customer_exists", detail, {"customer_id": str(found.customer_id)}) from None


async def _notify(services: Services, before: Customer, after: Customer) -> None:
    """Notify the holder of a phone or an e-mail that it is not the customer's any more."""
    for channel, what, old, new, masked in (
        ("sms", "celular", before.phone, after.phone, mask_tail),
        ("email", "correo", before.email, after.email, mask_email),
    ):
        if old is None or old == new:
            continue
        happened = "ya no está en su cuenta" if new is None else f"cambió a {masked(new)}"
        text = f"Leal: su {what} {happened}. Si no lo pidió usted, avise a servicio al cliente."
        if channel in services.dispatch.channels:
            await services.dispatch.send(
                Message(
                    message_id=str(uuid7()),
                    about="notice",
                    channel=channel,
                    to=old,
                    text=text,
                    until=time.time() + NOTICE_LIFETIME_S,
                )
            )


def _home(services: Services, principal: Principal) -> tuple[str | None, str | None]:
    """Return the country and city of the principal's store, or of its brand (CUS-3).

    The network's and the app's keys have none: no country is assumed for their customers.
    """
    snapshot = services.catalogue.now
    if principal.store_id is not None:
        store = snapshot.stores[principal.store_id]
        return store.brand.country, store.city
    if principal.brand_id is not None:
        return snapshot.brands[principal.brand_id].country, None
    return None, None


async def _find(services: Services, principal: Principal, kind: str, body: Lookup) -> Found:
    """Return whom a look-up names, nobody too; raises Problem."""
    if body.qr is not None:
        customer, presence = await found_by_qr(services, principal, body.qr)
        return Found([] if customer is None else [customer], presence)
    home, _ = _home(services, principal)
    try:
        if body.text is not None:
            reading = read_text(body.text, home)
            matches_max = services.settings.lookup_matches_max
            fitting = await services.customers.fitting(
                reading.identities, reading.passport, matches_max
            )
            return Found(fitting)
        value = identity_of(home, document=body.document, phone=body.phone, email=body.email)
        customer = await services.customers.find(kind, value)
    except ValueError as error:
        raise Problem("invalid_request", str(error)) from None
    return Found([] if customer is None else [customer])
