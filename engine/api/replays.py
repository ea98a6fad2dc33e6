"""Retries of what could not be done any more: they are answered from the books all the same.

A store may be retired since, an item gone, or a sale too old by now. Nothing is looked up unless a
request is about to be told of such a problem.
"""

from __future__ import annotations

from engine.api.answers import recorded_answer
from engine.commands.identity import fingerprint, fingerprint_fields, transaction_id
from engine.commands.problem import Problem
from engine.commands.refusals import raise_refusal
from engine.commands.services import Services
from engine.http.dispatcher import answer
from engine.http.response import Response
from engine.ledger.receipts import Receipt
from engine.people.keys import Principal
from engine.schemas.transactions import Accumulation, Payment, Redemption


async def retried(
    services: Services,
    principal: Principal,
    customer_id: bytes,
    key: str,
    verb: str,
    body: Accumulation | Redemption | Payment,
    problem: Problem,
) -> Response:
    """Return the recorded answer to the same request, success or refusal.

    `verb` and `body` are what the fingerprint was made of. Raises `problem` where it is no retry.
    """
    recorded = await recorded_of(services, principal, customer_id, key, verb, body, problem)
    raise_refusal(recorded, replayed=True)
    return answer(recorded_answer(recorded), 201, replayed=True)


async def recorded_of(
    services: Services,
    principal: Principal,
    customer_id: bytes,
    key: str,
    verb: str,
    body: Accumulation | Redemption | Payment,
    problem: Problem,
) -> Receipt:
    """Return what the books have of the same request; raises `problem` where they have nothing."""
    place = principal.store_id if body.store_id is None else body.store_id
    if place is None or principal.store_id not in (None, place):
        raise problem
    transaction = transaction_id(principal, customer_id, key)
    wanted = fingerprint(verb, fingerprint_fields(body), place)
    return await recorded_under(services, customer_id, transaction, wanted, problem)


async def recorded_under(
    services: Services, customer_id: bytes, transaction: bytes, wanted: int, problem: Problem
) -> Receipt:
    """Return what the books have of a transaction's id and its fingerprint, or raise `problem`."""
    recorded = await services.statements.receipt(customer_id, transaction)
    if recorded is None or recorded.fingerprint != wanted:
        raise problem
    return recorded
