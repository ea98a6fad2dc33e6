"""Where a request happens: the brand or store that it names or that its key is tied to (USR-2)."""

from __future__ import annotations

from engine.codes import INTERNAL, STANDING
from engine.commands.problem import Problem
from engine.constants import ID_MAX
from engine.ledger.receipts import Receipt
from engine.people.keys import Principal, Role
from engine.programme.brands import Brand, Store
from engine.programme.catalogue import Snapshot
from engine.programme.items import Item, ItemKind
from engine.programme.parties import Party


def store_of(
    snapshot: Snapshot, principal: Principal, store_id: int | None, *, with_retired: bool = False
) -> Store:
    """Return the store; raises Problem where there is none, or it is not the principal's.

    A store of another brand is answered like one that does not exist, as is a retired one unless
    `with_retired`.
    """
    if store_id is None:
        store_id = principal.store_id
    if store_id is None:
        raise Problem("store_required", "This key has no store of its own; send `store_id`.")
    store = snapshot.stores.get(store_id)
    foreign = principal.store_id is not None and principal.store_id != store_id
    if (
        store is None
        or foreign
        or (store.retired and not with_retired)
        or not principal.sees_brand(store.brand.brand_id)
    ):
        raise Problem("store_not_found", f"This key has no store {store_id}.")
    return store


def brand_of(
    snapshot: Snapshot, principal: Principal, brand_id: int | str, *, to_change: bool = False
) -> Brand:
    """Return the brand of an id or of a path's segment, retired or not (USR-2).

    Raises Problem where there is none, or it is not the principal's; and `to_change`, where it is
    retired.
    """
    brand = snapshot.brands.get(number_of(brand_id))
    if brand is None or not sees(principal, brand.brand_id, retired=brand.retired):
        raise Problem("brand_not_found", "There is no such brand for this key.")
    if to_change:
        refuse_retired(brand)
    return brand


def sees(principal: Principal, brand_id: int, *, retired: bool) -> bool:
    """Return whether what a brand has is theirs to read: what is retired, the app reads no more."""
    return principal.sees_brand(brand_id) and not (retired and principal.role is Role.APP)


def number_of(segment: int | str) -> int:
    """Return the number that a segment of a path is; 0, which is nobody's id, for another text."""
    if isinstance(segment, int):
        return segment
    if not segment.isascii() or not segment.isdigit() or len(segment) > len(str(ID_MAX)):
        return 0
    number = int(segment)
    return number if number <= ID_MAX else 0


def refuse_retired(thing: Brand | Store | Party | Item) -> None:
    """Raise Problem for a change of what is retired."""
    if thing.retired:
        raise Problem("retired", "What has been retired can be read, and cannot be changed.")


def item_of(snapshot: Snapshot, principal: Principal, kind: ItemKind, item_id: int) -> Item:
    """Return the item; raises Problem where there is none, or it is another brand's (RED-1)."""
    item = snapshot.items.get(item_id)
    if item is None or item.kind is not kind or not principal.sees_brand(item.brand.brand_id):
        raise Problem(f"{kind}_not_found", f"There is no {kind} {item_id} of this brand.")
    return item


def sees_transaction(principal: Principal, receipt: Receipt) -> bool:
    """Return whether a transaction is one that somebody asked for, and the principal's to see."""
    if receipt.kind in INTERNAL:
        return False
    if receipt.kind in STANDING:  # the rows in the other wallets have no details
        return principal.role is Role.NETWORK and receipt.details is not None
    return principal.sees_brand(receipt.brand_id)
