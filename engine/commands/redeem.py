"""Points become a reward, a promotion or a gift, at once (RED-1…RED-3, RED-5)."""

from __future__ import annotations

import time
from collections.abc import Awaitable

import orjson

from engine.commands.choices import one_of
from engine.commands.customers import customer_of
from engine.commands.decisions import Decided, accepted, retried
from engine.commands.identity import fingerprint, fingerprint_fields, transaction_id
from engine.commands.problem import Problem
from engine.commands.purchases import refusal_of
from engine.commands.scope import item_of, store_of
from engine.commands.services import Services
from engine.ledger.operations import redemption
from engine.ledger.receipts import Answer
from engine.people.keys import Principal
from engine.programme.brands import Store
from engine.programme.catalogue import Snapshot
from engine.programme.items import Item, ItemKind
from engine.programme.stock import Pick
from engine.schemas.transactions import Redemption

VERB = "redemption"
"""What fingerprints of redemptions begin with."""
KINDS = {kind.id_name: kind for kind in ItemKind}


async def redeem(
    services: Services, principal: Principal, customer_id: bytes, key: str, body: Redemption
) -> Decided:
    """Take an item for points.

    Raises Problem for a refusal, for what is not the principal's and for what costs coins, and what
    `Committer.submit` raises but ItemTaken: then another unit or turn is picked.
    """
    kind = KINDS[one_of(body, *KINDS)]
    try:
        store, item = _wanted(services.catalogue.now, principal, kind, body)
    except Problem as problem:
        return await retried(services, principal, customer_id, key, VERB, body, problem)
    on_offer = item.on_offer(time.time()) and await _is_for(services, item, customer_id)

    def submit(pick: Pick) -> Awaitable[tuple[Answer, bool]]:
        barred = refusal_of(pick, on_offer=on_offer)
        operation = redemption(
            customer_id=customer_id,
            transaction_id=transaction_id(principal, customer_id, key),
            fingerprint=fingerprint(VERB, fingerprint_fields(body), store.store_id),
            brand_id=item.brand.brand_id,
            store_id=store.store_id,
            points=item.points,
            utc_offset=item.brand.utc_offset,
            occurred_at=time.time_ns() // 1000,
            details=_details(item, pick),
            item_id=item.item_id,
            unit=0 if barred else pick.unit,
            turn=0 if barred else pick.turn,
            barred=barred,
        )
        return services.committer.submit(operation)

    tries_max = services.settings.tries_max
    return accepted(await services.stock.take(item, customer_id, tries_max, submit))


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
    return item.is_for(await customer_of(services, customer_id), time.time())


def _details(item: Item, pick: Pick) -> bytes:
    """Return what was taken; a reversal frees the unit and the turn, which no answer shows."""
    taken = {item.kind.id_name: item.item_id, "name": item.name, "points": item.points}
    return orjson.dumps({"item": taken, "unit": pick.unit, "turn": pick.turn})
