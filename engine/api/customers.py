"""Customers: register them, find them by what they have with them, change them (CUS-1…CUS-7)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

import orjson
from msgspec import UNSET
from uuid_utils import uuid7

from engine.api.wallets import wallets_of
from engine.codes import Refusal
from engine.commands.choices import one_of
from engine.commands.presences import found_by_qr
from engine.commands.problem import Problem, refusal_problem
from engine.commands.services import Services
from engine.errors import CustomerNotFound, OutcomeUnknown
from engine.http.bodies import BodyDecoder
from engine.http.dispatcher import Call, answer, read_body
from engine.http.parameters import customer_id_of
from engine.http.response import Response
from engine.people.contacts import mask_email, mask_tail, normalise_email, read_phone
from engine.people.customers import PROFILE_FIELDS, AlreadyRegistered, Customer, Profile
from engine.people.documents import country_of_type, document_identity, issuer_of
from engine.people.keys import Principal, Role
from engine.people.profile import names_of
from engine.people.qr import LIFETIME_S, looks_like_qr, make_qr
from engine.people.sender import Message
from engine.people.texts import read_text
from engine.postgres.connections import OUT_OF_REACH
from engine.programme.calendar import iso_moment
from engine.schemas.people import Document, Lookup, ProfileChange, Registration
from engine.schemas.transactions import Nothing

REGISTRATION = BodyDecoder(Registration)
CHANGE = BodyDecoder(ProfileChange)
LOOKUP = BodyDecoder(Lookup)
NOTHING = BodyDecoder(Nothing)

SEES_DOCUMENTS = frozenset({Role.NETWORK, Role.APP})
SPEAKS_FOR_CUSTOMERS = frozenset({Role.NETWORK, Role.APP})
"""The app has its customer signed in, and customer service asks who is calling."""
QR_SECONDS_WAITED_MAX = 2
NOTICE_LIFETIME_S = 3600
"""How long it is tried to tell the holder of an old contact."""


async def register(services: Services, call: Call) -> Response:
    """`POST /v1/customers`: quick or full registration (CUS-3, CUS-4)."""
    body = REGISTRATION.decode(await read_body(services, call.request))
    home, city = _home(services, call.principal)
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
    with _counted(services, call.principal), _registration_told():
        customer = await services.customers.register(
            profile, home, seen=call.principal.role is Role.NETWORK
        )
    return answer(json_of(customer_body(customer, call.principal)), 201)


async def lookup(services: Services, call: Call) -> Response:
    """`POST /v1/customers/lookup`: in a body, so that personal data stays out of URLs and logs."""
    body = LOOKUP.decode(await read_body(services, call.request))
    kind = one_of(body, "document", "phone", "email", "qr", "text")
    if body.text is not None and looks_like_qr(body.text):
        kind, body = "qr", Lookup(qr=body.text)
    try:
        with _counted(services, call.principal):
            found, presence = await _find(services, call.principal, kind, body)
            if not found or found[0].erased_at is not None:
                raise CustomerNotFound
    except CustomerNotFound:
        if body.qr is None:
            raise
        raise refusal_problem(Refusal.QR_INVALID) from None
    if len(found) > 1:
        return answer(json_of({"matches": [_match(one) for one in found]}))
    customer = found[0]
    wallets = await wallets_of(services, call.principal, customer.customer_id.bytes)
    body_out = {"customer": customer_body(customer, call.principal, blocked=wallets.blocked)}
    body_out |= {} if presence is None else {"presence": presence}
    return answer(json_of(body_out | {"wallets": wallets.listed}))


async def get(services: Services, call: Call) -> Response:
    """`GET /v1/customers/{customer_id}`."""
    customer_id = customer_id_of(call.params)
    customer = await services.customers.get(UUID(bytes=customer_id))
    if customer is None:
        raise CustomerNotFound
    wallets = await wallets_of(services, call.principal, customer_id)
    return answer(json_of(customer_body(customer, call.principal, blocked=wallets.blocked)))


async def change(services: Services, call: Call) -> Response:
    """`PATCH /v1/customers/{customer_id}`: *Actualizar* (CUS-6).

    Who loses a phone or an e-mail is told at the old one. Where a till has changed it, codes go
    there for a while yet, so that nobody behind a counter gets the codes of somebody's coins.
    """
    customer_id = customer_id_of(call.params)
    body = CHANGE.decode(await read_body(services, call.request))
    sent = {name: getattr(body, name, UNSET) for name in PROFILE_FIELDS}
    fields = {name: value for name, value in sent.items() if value is not UNSET}
    issued_in = None
    if body.document is not UNSET:
        issued_in = body.document.country
        fields |= {"document_type": body.document.type, "document_number": body.document.number}
    home, _ = _home(services, call.principal)
    at_once = call.principal.role in SPEAKS_FOR_CUSTOMERS
    settles_s = 0 if at_once else services.settings.contact_settles_s
    with _counted(services, call.principal), _registration_told():
        before, after = await services.customers.change(
            UUID(bytes=customer_id),
            fields,
            home,
            issued_in,
            settles_s,
            seen=call.principal.role is Role.NETWORK,
        )
    await _notify(services, before, after)
    wallets = await wallets_of(services, call.principal, customer_id)
    return answer(json_of(customer_body(after, call.principal, blocked=wallets.blocked)))


async def show(services: Services, call: Call) -> Response:
    """`POST /v1/customers/{customer_id}/qr`: what the customer's app shows now (COI-6)."""
    NOTHING.decode(await read_body(services, call.request))
    customer_id = customer_id_of(call.params)
    customer = await services.customers.get(UUID(bytes=customer_id))
    if customer is None or customer.erased_at is not None:
        raise CustomerNotFound
    second = await _second_of_qr(services, customer_id)
    qr = make_qr(services.code_secret, customer_id, second)
    expires_at = iso_moment((second + LIFETIME_S) * 1_000_000)
    return answer(orjson.dumps({"qr": qr, "expires_at": expires_at}))


async def _second_of_qr(services: Services, customer_id: bytes) -> int:
    """Return the second of a QR that has neither paid nor been looked up; raises Problem.

    Where many were used within seconds, the next second is waited for.
    """
    for _ in range(QR_SECONDS_WAITED_MAX + 1):
        now = time.time()
        second = await services.presences.free_second(customer_id, int(now))
        if second is not None:
            return second
        await asyncio.sleep(1 - now % 1)
    raise Problem(
        "overloaded",
        "This customer's QRs are used as fast as they are made. Try again in a moment.",
    )


def customer_body(
    customer: Customer, principal: Principal, *, blocked: bool = False
) -> dict[str, Any]:
    """Return a customer as the principal may see them."""
    return {
        "customer_id": str(customer.customer_id),
        "status": "blocked" if blocked else "active",
        "profile_complete": customer.missing_fields == 0,
        "missing_fields": names_of(customer.missing_fields),
        "document": None
        if customer.erased_at is not None
        else _shown_document(customer, masked=principal.role not in SEES_DOCUMENTS),
        "email": customer.email or None,
        "phone": customer.phone,
        "first_names": customer.first_names,
        "last_names": customer.last_names,
        "gender": customer.gender,
        "birth_date": customer.birth_date,
        "country": customer.country,
        "city": customer.city,
        "created_at": customer.created_at,
    }


def _shown_document(customer: Customer, *, masked: bool) -> dict[str, str]:
    """Return a document as it is shown: its country only where the type does not tell it."""
    number = customer.document_number
    shown = {"type": customer.document_type, "number": mask_tail(number) if masked else number}
    country = customer.document_country
    if country is not None and country_of_type(customer.document_type) is None:
        shown["country"] = country
    return shown


def _match(customer: Customer) -> dict[str, Any]:
    """Return what tells a customer from the others whom a text fits (CUS-15)."""
    return {
        "customer_id": str(customer.customer_id),
        "document": _shown_document(customer, masked=True),
        "email": mask_email(customer.email),
        "phone": None if customer.phone is None else mask_tail(customer.phone),
        "first_names": customer.first_names,
        "last_names": customer.last_names,
    }


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


def json_of(body: dict[str, Any]) -> bytes:
    """Return JSON with times in UTC and their Z, as everywhere in the contract."""
    return orjson.dumps(body, option=orjson.OPT_UTC_Z)


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
def _registration_told() -> Iterator[None]:
    """Tell what a registration or a change of a profile raises as problems."""
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
    """Tell the holder of a phone or an e-mail that it is not the customer's any more."""
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


async def _find(
    services: Services, principal: Principal, kind: str, body: Lookup
) -> tuple[list[Customer], dict[str, Any] | None]:
    """Return whom a look-up names, nobody or several too, and their presence; raises Problem."""
    if body.qr is not None:
        customer, presence = await found_by_qr(services, principal, body.qr)
        return [] if customer is None else [customer], presence
    home, _ = _home(services, principal)
    try:
        if body.text is not None:
            reading = read_text(body.text, home)
            matches_max = services.settings.lookup_matches_max
            return await services.customers.fitting(
                reading.identities, reading.passport, matches_max
            ), None
        value = identity_of(home, document=body.document, phone=body.phone, email=body.email)
        customer = await services.customers.find(kind, value)
    except ValueError as error:
        raise Problem("invalid_request", str(error)) from None
    return [] if customer is None else [customer], None
