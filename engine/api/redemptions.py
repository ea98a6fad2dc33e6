"""Redemptions: points become a reward, a promotion or a gift, at once (RED-1…RED-3, RED-5)."""

from __future__ import annotations

import time
from collections.abc import Awaitable
from uuid import UUID

import orjson

from engine.api.answers import redemption_answer
from engine.api.replays import recorded_of
from engine.codes import Kind
from engine.commands.choices import one_of
from engine.commands.identity import fingerprint, fingerprint_fields, transaction_id
from engine.commands.problem import Problem
from engine.commands.purchases import refusal_of
from engine.commands.refusals import raise_refusal
from engine.commands.scope import item_of, store_of
from engine.commands.services import Services
from engine.errors import CustomerNotFound
from engine.http.bodies import BodyDecoder
from engine.http.dispatcher import Call, answer, read_body
from engine.http.parameters import customer_id_of, idempotency_key_of
from engine.http.response import Response
from engine.ledger.core import Operation
from engine.ledger.receipts import Answer
from engine.people.keys import Principal
from engine.programme.brands import Store
from engine.programme.catalogue import Snapshot
from engine.programme.items import Item, ItemKind
from engine.programme.stock import Pick
from engine.schemas.transactions import Redemption

WIRE = BodyDecoder(Redemption)

KINDS = {kind.id_name: kind for kind in ItemKind}


async def redeem(services: Services, call: Call) -> Response:
    """`POST /v1/customers/{customer_id}/redemptions`."""
    customer_id = customer_id_of(call.params)
    key = idempotency_key_of(call.request)
    body = WIRE.decode(await read_body(services, call.request))
    decided, replayed = await take(services, call.principal, customer_id, str(key), body)
    raise_refusal(decided, replayed=replayed)
    return answer(redemption_answer(decided), 201, replayed=replayed)


async def take(
    services: Services, principal: Principal, customer_id: bytes, key: str, body: Redemption
) -> tuple[Answer, bool]:
    """Return (what the ledger says of a redemption, whether it had said so before).

    Raises Problem for what is not the principal's or costs coins, and what `Committer.submit`
    raises but ItemTaken: then another unit or turn is picked.
    """
    kind = KINDS[one_of(body, *KINDS)]
    snapshot = services.catalogue.now
    try:
        store, item = _wanted(snapshot, principal, kind, body)
    except Problem as problem:
        recorded = await recorded_of(
            services, principal, customer_id, key, "redemption", body, problem
        )
        return recorded, True
    on_offer = item.on_offer(time.time()) and await _is_for(services, item, customer_id)

    def submit(pick: Pick) -> Awaitable[tuple[Answer, bool]]:
        barred = refusal_of(pick, on_offer=on_offer)
        operation = Operation(
            kind=Kind.REDEMPTION,
            customer_id=customer_id,
            transaction_id=transaction_id(principal, customer_id, key),
            fingerprint=fingerprint("redemption", fingerprint_fields(body), store.store_id),
            brand_id=item.brand.brand_id,
            store_id=store.store_id,
            asset=item.brand.brand_id,
            requested=item.points,
            utc_offset=item.brand.utc_offset,
            occurred_at=time.time_ns() // 1000,
            details=_details(item, pick),
            needs_profile=True,
            item_id=item.item_id,
            unit=0 if barred else pick.unit,
            turn=0 if barred else pick.turn,
            barred=barred,
        )
        return services.committer.submit(operation)

    return await services.stock.take(item, customer_id, services.settings.tries_max, submit)


def _wanted(
    snapshot: Snapshot, principal: Principal, kind: ItemKind, body: Redemption
) -> tuple[Store, Item]:
    """Return the store and the item; raises Problem where they are not the principal's."""
    item_id = getattr(body, kind.id_name)
    item = item_of(snapshot, principal, kind, item_id)
    store = store_of(snapshot, principal, body.store_id)
    if store.brand.brand_id != item.brand.brand_id:
        raise Problem(f"{kind}_not_found", f"There is no {kind} {item_id} of this store.")
    if item.coins:
        raise Problem(
            "promotion_costs_coins",
            "This promotion costs coins: pay for it with `promotion_id` in a payment.",
        )
    return store, item


async def _is_for(services: Services, item: Item, customer_id: bytes) -> bool:
    """Return whether the customer is in the item's segment; only then it takes a look at them."""
    if item.segment is None:
        return True
    customer = await services.customers.get(UUID(bytes=customer_id))
    if customer is None:
        raise CustomerNotFound
    return item.is_for(customer, time.time())


def _details(item: Item, pick: Pick) -> bytes:
    """Return what was taken; a reversal frees the unit and the turn, which nobody is told."""
    told = {item.kind.id_name: item.item_id, "name": item.name, "points": item.points}
    return orjson.dumps({"item": told, "unit": pick.unit, "turn": pick.turn})
