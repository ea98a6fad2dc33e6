"""Decisions: what the ledger says of a command, now or when it was asked before.

A retry of what cannot be done any more is answered from the books all the same: a store may be
retired since, an item gone, or a sale too old by now. Nothing is looked up unless a request is
about to be refused with such a problem.
"""

from __future__ import annotations

from dataclasses import dataclass

from engine.commands.identity import fingerprint, fingerprint_fields, transaction_id
from engine.commands.problem import Problem
from engine.commands.refusals import raise_refusal
from engine.commands.services import Services
from engine.errors import EngineError
from engine.ledger.receipts import Answer, Receipt
from engine.people.keys import Principal
from engine.schemas.transactions import Accumulation, Payment, Redemption


@dataclass(frozen=True, slots=True)
class Decided:
    """What the ledger did; `replayed` is whether an earlier request had it done."""

    answer: Answer
    replayed: bool


def accepted(outcome: tuple[Answer, bool]) -> Decided:
    """Return what `Committer.submit` returned; raises the Problem of a refusal."""
    answer, replayed = outcome
    raise_refusal(answer, replayed=replayed)
    return Decided(answer, replayed)


async def retried(
    services: Services,
    principal: Principal,
    customer_id: bytes,
    key: str,
    verb: str,
    body: Accumulation | Redemption | Payment,
    error: Problem | EngineError,
) -> Decided:
    """Return what was decided of the same request; raises Problem, or `error` where it is no retry.

    `verb` and `body` are what the fingerprint was made of.
    """
    recorded = await recorded_of(services, principal, customer_id, key, verb, body, error)
    return accepted((recorded, True))


async def recorded_of(
    services: Services,
    principal: Principal,
    customer_id: bytes,
    key: str,
    verb: str,
    body: Accumulation | Redemption | Payment,
    error: Problem | EngineError,
) -> Receipt:
    """Return what the books have of the same request; raises `error` where they have nothing."""
    place = principal.store_id if body.store_id is None else body.store_id
    if place is None or principal.store_id not in (None, place):
        raise error
    transaction = transaction_id(principal, customer_id, key)
    wanted = fingerprint(verb, fingerprint_fields(body), place)
    return await recorded_under(services, customer_id, transaction, wanted, error)


async def recorded_under(
    services: Services,
    customer_id: bytes,
    transaction: bytes,
    wanted: int,
    error: Problem | EngineError,
) -> Receipt:
    """Return what the books have of a transaction's id and its fingerprint, or raise `error`."""
    recorded = await services.statements.receipt(customer_id, transaction)
    if recorded is None or recorded.fingerprint != wanted:
        raise error
    return recorded
