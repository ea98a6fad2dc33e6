"""Customers: register them, find them by what they have with them, change them (CUS-1…CUS-7)."""

from __future__ import annotations

from typing import Any

import orjson

from engine.api.wallets import wallets_of
from engine.commands import customers
from engine.commands.presences import ShownPresence, new_qr
from engine.commands.services import Services
from engine.http.bodies import BodyDecoder
from engine.http.dispatcher import Call, answer, read_body
from engine.http.parameters import customer_id_of
from engine.http.response import Response
from engine.people.contacts import mask_email, mask_tail
from engine.people.customers import Customer
from engine.people.documents import country_of_type
from engine.people.keys import Principal, Role
from engine.people.profile import names_of
from engine.programme.calendar import iso_moment
from engine.schemas.people import Lookup, ProfileChange, Registration
from engine.schemas.transactions import Nothing

REGISTRATION = BodyDecoder(Registration)
CHANGE = BodyDecoder(ProfileChange)
LOOKUP = BodyDecoder(Lookup)
NOTHING = BodyDecoder(Nothing)

SEES_DOCUMENTS = frozenset({Role.NETWORK, Role.APP})


async def register(services: Services, call: Call) -> Response:
    """`POST /v1/customers`: quick or full registration (CUS-3, CUS-4)."""
    body = REGISTRATION.decode(await read_body(services, call.request))
    customer = await customers.register(services, call.principal, body)
    return answer(json_of(customer_body(customer, call.principal)), 201)


async def lookup(services: Services, call: Call) -> Response:
    """`POST /v1/customers/lookup`: in a body, so that personal data stays out of URLs and logs."""
    body = LOOKUP.decode(await read_body(services, call.request))
    found = await customers.look_up(services, call.principal, body)
    if len(found.customers) > 1:
        return answer(json_of({"matches": [_match(one) for one in found.customers]}))
    (customer,) = found.customers
    wallets = await wallets_of(services, call.principal, customer.customer_id.bytes)
    body_out = {"customer": customer_body(customer, call.principal, blocked=wallets.blocked)}
    body_out |= {} if found.presence is None else {"presence": _presence_body(found.presence)}
    return answer(json_of(body_out | {"wallets": wallets.listed}))


async def get(services: Services, call: Call) -> Response:
    """`GET /v1/customers/{customer_id}`."""
    customer = await customers.customer_of(services, customer_id_of(call.params))
    return await _answer_with(services, call, customer)


async def change(services: Services, call: Call) -> Response:
    """`PATCH /v1/customers/{customer_id}`: *Actualizar* (CUS-6).

    Who loses a phone or an e-mail is told at the old one. Where a till has changed it, codes go
    there for a while yet, so that nobody behind a counter gets the codes of somebody's coins.
    """
    customer_id = customer_id_of(call.params)
    body = CHANGE.decode(await read_body(services, call.request))
    customer = await customers.change(services, call.principal, customer_id, body)
    return await _answer_with(services, call, customer)


async def show(services: Services, call: Call) -> Response:
    """`POST /v1/customers/{customer_id}/qr`: what the customer's app shows now (COI-6)."""
    NOTHING.decode(await read_body(services, call.request))
    customer_id = customer_id_of(call.params)
    await customers.person_of(services, customer_id)
    qr = await new_qr(services, customer_id)
    return answer(orjson.dumps({"qr": qr.text, "expires_at": iso_moment(qr.expires_at)}))


async def _answer_with(services: Services, call: Call, customer: Customer) -> Response:
    """Return the answer that shows a customer, blocked or not."""
    wallets = await wallets_of(services, call.principal, customer.customer_id.bytes)
    return answer(json_of(customer_body(customer, call.principal, blocked=wallets.blocked)))


def _presence_body(presence: ShownPresence) -> dict[str, Any]:
    return {"token": presence.token, "expires_at": iso_moment(presence.expires_at)}


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


def json_of(body: dict[str, Any]) -> bytes:
    """Return JSON with times in UTC and their Z, as everywhere in the contract."""
    return orjson.dumps(body, option=orjson.OPT_UTC_Z)
