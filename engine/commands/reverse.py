"""A transaction is undone once and whole, lot by lot (PTS-8, RED-7)."""

from __future__ import annotations

import time
from typing import Any

import orjson

from engine.codes import Cause, Kind
from engine.commands.decisions import Decided, accepted
from engine.commands.identity import fingerprint, transaction_id
from engine.commands.problem import Problem
from engine.commands.scope import sees_transaction
from engine.commands.services import Services
from engine.ledger.claims import claim_of, invoice_paid_by
from engine.ledger.core import uuid_bytes, uuid_text
from engine.ledger.operations import reversal
from engine.ledger.receipts import Once, Receipt, details_of, legs_of, receipt_of
from engine.people.keys import Principal
from engine.programme.items import ItemKind
from engine.schemas.transactions import Reversal


async def reverse(
    services: Services, principal: Principal, customer_id: bytes, key: str, body: Reversal
) -> Decided:
    """Undo a transaction; what was spent of it by then is owed. Raises Problem."""
    named = uuid_bytes(body.transaction_id)
    assert named is not None  # the schema says so
    rows = await _original(services, principal, customer_id, named)
    original = receipt_of(rows)
    brand = services.catalogue.now.brands.get(original.asset)
    operation = reversal(
        original,
        legs_of(rows, await _once(services, rows, original)),
        transaction_id=transaction_id(principal, customer_id, key),
        fingerprint=fingerprint("reversal", named + f"{body.cause}:{body.reason}".encode(), 0),
        utc_offset=0 if brand is None else brand.utc_offset,
        occurred_at=time.time_ns() // 1000,
        details=_details(original, body, principal),
        cause=Cause[body.cause.upper()],
    )
    return accepted(await services.committer.submit(operation))


async def _original(
    services: Services, principal: Principal, customer_id: bytes, named: bytes
) -> list[Any]:
    """Return the rows of what is to be reversed; a payment by a code is its capture.

    Raises Problem where there is none, or it happened at another brand or store.
    """
    rows = await services.statements.rows(customer_id, named)
    original = receipt_of(rows) if rows else None
    if original is None or not _is_theirs(principal, original):
        raise Problem("transaction_not_found", f"There is no transaction {uuid_text(named)}.")
    if original.kind == Kind.HOLD:
        for posting in await services.statements.payment(customer_id, named):
            if posting.kind == Kind.CAPTURE and not posting.refusal:
                return await services.statements.rows(customer_id, posting.transaction_id)
    return rows


def _is_theirs(principal: Principal, original: Receipt) -> bool:
    """Return whether it happened where the principal is (USR-2)."""
    here = principal.store_id in (None, original.store_id)
    return here and sees_transaction(principal, original)


async def _once(services: Services, rows: list[Any], original: Receipt) -> Once:
    """Return what a transaction took of an item, claimed or paid (RED-5, INV-6, INV-8)."""
    details = details_of(original)
    item = details.get("item")
    paying = rows[0]
    if original.kind == Kind.CAPTURE and original.reference is not None:
        paying = (await services.statements.rows(original.customer_id, original.reference))[0]
    return Once(
        item_id=0
        if item is None
        else next(item[kind.id_name] for kind in ItemKind if kind.id_name in item),
        unit=details.get("unit", 0),
        turn=details.get("turn", 0),
        claim=claim_of(rows[0], details),
        invoice=invoice_paid_by(paying),
    )


def _details(original: Receipt, body: Reversal, principal: Principal) -> bytes:
    """Return what stays in the books beside the amounts: what it was, why, and who did it."""
    kind = Kind.PAYMENT if original.kind == Kind.CAPTURE else Kind(original.kind)
    said = {"type": kind.name.lower(), "reason": body.reason, "cause": body.cause}
    return orjson.dumps(said | {"by": f"key:{principal.key_id}"})
