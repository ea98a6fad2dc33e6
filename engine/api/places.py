"""Where a request happens: the store that it names or that its key is tied to (USR-2, USR-3)."""

from __future__ import annotations

from engine.api.problems import Problem
from engine.people.keys import Principal
from engine.programme.catalogue import Snapshot, Store
from engine.programme.items import Item, ItemKind


def store_of(snapshot: Snapshot, principal: Principal, store_id: int | None) -> Store:
    """Return the store; raises Problem where there is none, or it is not the principal's.

    Someone else's store is told like one that does not exist.
    """
    if store_id is None:
        store_id = principal.store_id
    if store_id is None:
        raise Problem("store_required", "This key has no store of its own; send `store_id`.")
    store = snapshot.stores.get(store_id)
    foreign = principal.store_id is not None and principal.store_id != store_id
    if store is None or foreign or not principal.sees_brand(store.brand.brand_id):
        raise Problem("store_not_found", f"This key has no store {store_id}.")
    return store


def item_of(snapshot: Snapshot, principal: Principal, kind: ItemKind, item_id: int) -> Item:
    """Return the item; raises Problem where there is none, or it is another brand's (RED-1)."""
    item = snapshot.items.get(item_id)
    if item is None or item.kind is not kind or not principal.sees_brand(item.brand.brand_id):
        raise Problem(f"{kind}_not_found", f"There is no {kind} {item_id} of this brand.")
    return item
