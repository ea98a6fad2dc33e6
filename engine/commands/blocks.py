"""A customer is blocked, and unblocked again, with a reason (CUS-9, FRD-2)."""

from __future__ import annotations

import time
from dataclasses import dataclass

import orjson
from uuid_utils import uuid7

from engine.commands.customers import person_of
from engine.commands.identity import fingerprint, transaction_id
from engine.commands.services import Services
from engine.ledger import operations
from engine.people.customers import Customer
from engine.people.keys import Principal
from engine.schemas.people import Standing


@dataclass(frozen=True, slots=True)
class Stands:
    """A customer after a block or an unblock; `replayed` is whether it had been done before."""

    customer: Customer
    blocked: bool
    replayed: bool


async def block(
    services: Services, principal: Principal, customer_id: bytes, key: str | None, body: Standing
) -> Stands:
    """Block a customer: once this returns they neither earn nor spend. Raises CustomerNotFound.

    Here and in `unblock` the key is optional, for doing it twice changes nothing. Somebody erased
    stays blocked, as if there were nobody.
    """
    return await _post(services, principal, customer_id, key, body, blocked=True)


async def unblock(
    services: Services, principal: Principal, customer_id: bytes, key: str | None, body: Standing
) -> Stands:
    """End a block; raises CustomerNotFound."""
    return await _post(services, principal, customer_id, key, body, blocked=False)


async def _post(
    services: Services,
    principal: Principal,
    customer_id: bytes,
    key: str | None,
    body: Standing,
    *,
    blocked: bool,
) -> Stands:
    await person_of(services, customer_id)
    verb = "block" if blocked else "unblock"
    own_id = (
        uuid7().bytes if key is None else transaction_id(principal, customer_id, f"{verb}\0{key}")
    )
    operation = operations.standing(
        blocked=blocked,
        customer_id=customer_id,
        transaction_id=own_id,
        fingerprint=fingerprint(verb, body.reason.encode(), 0),
        occurred_at=time.time_ns() // 1000,
        details=orjson.dumps({"reason": body.reason, "by": f"key:{principal.key_id}"}),
    )
    _, replayed = await services.committer.submit(operation)
    return Stands(await person_of(services, customer_id), blocked, replayed)
