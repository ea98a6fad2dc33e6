"""Standing: a customer is blocked, and unblocked again, with a reason (CUS-9, FRD-2)."""

from __future__ import annotations

import time
from uuid import UUID

import orjson
from uuid_utils import uuid7

from engine.api.customers import customer_body, json_of
from engine.codes import Kind
from engine.commands.identity import fingerprint, transaction_id
from engine.commands.services import Services
from engine.errors import CustomerNotFound
from engine.http.bodies import BodyDecoder
from engine.http.dispatcher import Call, answer, read_body
from engine.http.parameters import customer_id_of, idempotency_key_of
from engine.http.response import Response
from engine.ledger.core import Operation
from engine.people.customers import Customer
from engine.schemas.people import Standing

STANDING = BodyDecoder(Standing)


async def block(services: Services, call: Call) -> Response:
    """`POST /v1/customers/{customer_id}/block`: from its answer on nothing is earned or spent."""
    return await _post(services, call, Kind.BLOCK)


async def unblock(services: Services, call: Call) -> Response:
    """`POST /v1/customers/{customer_id}/unblock`."""
    return await _post(services, call, Kind.UNBLOCK)


async def _post(services: Services, call: Call, kind: Kind) -> Response:
    """Post a block or an unblock; its key is optional, for doing it twice changes nothing.

    Somebody erased stays blocked, as if there were nobody.
    """
    customer_id = customer_id_of(call.params)
    key = idempotency_key_of(call.request, required=False)
    body = STANDING.decode(await read_body(services, call.request))
    await _person(services, customer_id)
    verb = kind.name.lower()
    own_id = (
        uuid7().bytes
        if key is None
        else transaction_id(call.principal, customer_id, f"{verb}\0{key}")
    )
    operation = Operation(
        kind=kind,
        customer_id=customer_id,
        transaction_id=own_id,
        fingerprint=fingerprint(verb, body.reason.encode(), 0),
        occurred_at=time.time_ns() // 1000,
        details=orjson.dumps({"reason": body.reason, "by": f"key:{call.principal.key_id}"}),
    )
    _, replayed = await services.committer.submit(operation)
    customer = await _person(services, customer_id)
    blocked = kind is Kind.BLOCK
    return answer(
        json_of(customer_body(customer, call.principal, blocked=blocked)), replayed=replayed
    )


async def _person(services: Services, customer_id: bytes) -> Customer:
    """Return the customer; raises CustomerNotFound where there is none, or none any more."""
    customer = await services.customers.get(UUID(bytes=customer_id))
    if customer is None or customer.erased_at is not None:
        raise CustomerNotFound
    return customer
