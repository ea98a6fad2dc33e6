"""Customers: register them, and find them by what they have with them (CUS-1…CUS-7)."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import orjson

from engine.api.door import Call, answer, read_body
from engine.api.identity import customer_id_of
from engine.api.problems import Problem
from engine.api.reply import Reply
from engine.api.services import Services
from engine.api.shapes.people import Lookup, Registration
from engine.api.wallets import wallets_of
from engine.api.wire import Wire, one_of
from engine.errors import CustomerNotFound, OutcomeUnknown
from engine.people.contacts import mask_tail, normalise_email, normalise_phone
from engine.people.customers import AlreadyRegistered, Customer, Profile
from engine.people.documents import document_identity
from engine.people.keys import Principal, Role
from engine.people.profile import names_of
from engine.postgres.connections import OUT_OF_REACH

REGISTRATION = Wire(Registration)
LOOKUP = Wire(Lookup)

SEES_DOCUMENTS = frozenset({Role.NETWORK, Role.APP})
DEFAULT_COUNTRY = "CO"


async def register(services: Services, call: Call) -> Reply:
    """`POST /v1/customers`: quick or full registration (CUS-3, CUS-4)."""
    body = REGISTRATION.decode(await read_body(services, call.request))
    country, city = _home(services, call.principal)
    profile = Profile(
        document_type=body.document.type,
        document_number=body.document.number,
        email=body.email,
        phone=body.phone,
        first_names=body.first_names,
        last_names=body.last_names,
        gender=body.gender,
        birth_date=body.birth_date,
        country=body.country or body.document.country or country,
        city=body.city or city,
    )
    try:
        customer = await services.customers.register(profile)
    except ValueError as error:
        raise Problem("invalid_request", str(error)) from None
    except OUT_OF_REACH:
        raise OutcomeUnknown("Whether this was done is not known: send it again.") from None
    except AlreadyRegistered as found:
        detail = f"Someone has this {found.kind} already; `customer_id` says who."
        raise Problem("customer_exists", detail, {"customer_id": str(found.customer_id)}) from None
    return answer(_json(customer_body(customer, call.principal)), 201)


async def lookup(services: Services, call: Call) -> Reply:
    """`POST /v1/customers/lookup`: in a body, so that personal data stays out of URLs and logs."""
    body = LOOKUP.decode(await read_body(services, call.request))
    kind = one_of(body, "document", "phone", "email", "qr")
    country, _ = _home(services, call.principal)
    try:
        value = _identity_value(kind, body, country)
    except ValueError as error:
        raise Problem("invalid_request", str(error)) from None
    found = None if value is None else await services.customers.find(kind, value)
    customer = None if found is None else await services.customers.get(found)
    if customer is None:
        raise CustomerNotFound
    wallets = await wallets_of(services, call.principal, customer.customer_id.bytes)
    body_out = {"customer": customer_body(customer, call.principal, blocked=wallets.blocked)}
    return answer(_json(body_out | {"wallets": wallets.listed}))


async def get(services: Services, call: Call) -> Reply:
    """`GET /v1/customers/{customer_id}`."""
    customer_id = customer_id_of(call.params)
    customer = await services.customers.get(UUID(bytes=customer_id))
    if customer is None:
        raise CustomerNotFound
    wallets = await wallets_of(services, call.principal, customer_id)
    return answer(_json(customer_body(customer, call.principal, blocked=wallets.blocked)))


def customer_body(
    customer: Customer, principal: Principal, *, blocked: bool = False
) -> dict[str, Any]:
    """Return a customer as the principal may see them."""
    number = customer.document_number
    return {
        "customer_id": str(customer.customer_id),
        "status": "blocked" if blocked else "active",
        "profile_complete": customer.missing_fields == 0,
        "missing_fields": names_of(customer.missing_fields),
        "document": {
            "type": customer.document_type,
            "number": number if principal.role in SEES_DOCUMENTS else mask_tail(number),
        },
        "email": customer.email,
        "phone": customer.phone,
        "first_names": customer.first_names,
        "last_names": customer.last_names,
        "gender": customer.gender,
        "birth_date": customer.birth_date,
        "country": customer.country,
        "city": customer.city,
        "created_at": customer.created_at,
    }


def _json(body: dict[str, Any]) -> bytes:
    """Return JSON with times in UTC and their Z, as everywhere in the contract."""
    return orjson.dumps(body, option=orjson.OPT_UTC_Z)


def _home(services: Services, principal: Principal) -> tuple[str, str | None]:
    """Return the country and city of the principal's store, or of its brand (CUS-3)."""
    snapshot = services.catalogue.now
    if principal.store_id is not None:
        store = snapshot.stores[principal.store_id]
        return store.brand.country, store.city
    if principal.brand_id is not None:
        return snapshot.brands[principal.brand_id].country, None
    return DEFAULT_COUNTRY, None


def _identity_value(kind: str, body: Lookup, country: str) -> str | None:
    """Return the normalised value to look up; None for what nobody can have."""
    if body.document is not None:
        issued_in = body.document.country or country
        return document_identity(body.document.type, body.document.number, issued_in)
    if body.phone is not None:
        return normalise_phone(body.phone, country)
    return normalise_email(body.email) if body.email is not None else None
