"""Stores: where customers earn and spend, and what a point is worth there (PTS-2, COI-3)."""

from __future__ import annotations

import time
from typing import Annotated

from msgspec import UNSET, Meta

from engine.api.example_values import BRAND_ID, STORE_ID
from engine.api.pagination import page_of
from engine.api.programmes import PROGRAMME, current_of
from engine.api.resource import Resource
from engine.commands.problem import Problem
from engine.commands.scope import brand_of, number_of, refuse_retired, sees
from engine.commands.services import Services
from engine.constants import ID_MAX
from engine.http.bodies import query_int
from engine.http.dispatcher import Call
from engine.people.keys import Principal
from engine.programme import brands
from engine.schemas.administration import NewStore, Store, StoreChange, Stores
from engine.schemas.scalars import Id

STORE = Store(
    store_id=STORE_ID,
    brand_id=BRAND_ID,
    brand_name="Café Andino",
    name="Café Andino Chapinero",
    city="Bogotá",
    country="CO",
    currency="COP",
    accepts_coins=True,
    invoice_scope="forever",
    coins_accepted=True,
    retired=False,
    programme=PROGRAMME,
)
STORES = Resource(noun="store", rules="PTS-2, COI-3", example=STORE)


@STORES.listing(
    Stores(stores=[STORE], next_cursor=None),
    query={"brand_id": Annotated[Id, Meta(description="Only of this brand.")]},
)
async def listed(services: Services, call: Call) -> Stores:
    """`GET /v1/stores`: those that the principal sees, of one brand with `?brand_id=`."""
    snapshot = services.catalogue.now
    brand_id = query_int(call.request, "brand_id", 0, ID_MAX)
    if brand_id:
        brand_of(snapshot, call.principal, brand_id)
    seen = (
        store
        for store in snapshot.stores.values()
        if _sees(call.principal, store) and brand_id in (0, store.brand.brand_id)
    )
    page, next_cursor = page_of(call.request, seen, lambda store: store.store_id)
    return Stores(stores=[_shown(store) for store in page], next_cursor=next_cursor)


@STORES.adding(
    NewStore(name="Café Andino Chapinero", city="Bogotá", accepts_coins=True),
    problems=("brand_not_found", "retired"),
)
async def create(services: Services, call: Call, body: NewStore) -> Store:
    """`POST /v1/stores`: a store of the brand that is named, or that the key belongs to."""
    brand_id = call.principal.brand_id if body.brand_id is None else body.brand_id
    if brand_id is None:
        raise Problem("invalid_request", "This key has no brand of its own; send `brand_id`.")
    brand = brand_of(services.catalogue.now, call.principal, brand_id, to_change=True)
    async with services.administration.change(
        call.principal, "store created", content=body
    ) as change:
        change.subject = await brands.insert_store(
            change.connection,
            brand.brand_id,
            name=body.name,
            city=body.city,
            accepts_coins=body.accepts_coins,
            invoice_scope=body.invoice_scope,
        )
    return _now(services, change.subject)


@STORES.reading()
async def get(services: Services, call: Call) -> Store:
    """`GET /v1/stores/{store_id}`."""
    return _shown(_store(services, call))


@STORES.changing(StoreChange(accepts_coins=False))
async def change(services: Services, call: Call, body: StoreChange) -> Store:
    """`PATCH /v1/stores/{store_id}`: what is left out stays as it is."""
    store = _store(services, call)
    refuse_retired(store)
    async with services.administration.change(
        call.principal, "store changed", subject=store.store_id, content=body
    ) as change:
        await brands.update_store(
            change.connection,
            store.store_id,
            change.at,
            name=None if body.name is UNSET else body.name,
            city=None if body.city is UNSET else body.city,
            accepts_coins=None if body.accepts_coins is UNSET else body.accepts_coins,
            invoice_scope=None if body.invoice_scope is UNSET else body.invoice_scope,
        )
    return _now(services, store.store_id)


@STORES.ending()
async def retire(services: Services, call: Call) -> Store:
    """`DELETE /v1/stores/{store_id}`: nothing is earned or spent there any more."""
    store = _store(services, call)
    if not store.retired:
        async with services.administration.change(
            call.principal, "store retired", subject=store.store_id
        ) as change:
            await brands.retire_store(change.connection, store.store_id, change.at)
    return _now(services, store.store_id)


def _store(services: Services, call: Call) -> brands.Store:
    """Return the store of the path, retired or not; raises Problem where it is not theirs."""
    store = services.catalogue.now.stores.get(number_of(call.params["store_id"]))
    if store is None or not _sees(call.principal, store):
        raise Problem("store_not_found", "There is no such store for this key.")
    return store


def _sees(principal: Principal, store: brands.Store) -> bool:
    """Return whether it is theirs to read: who works at one store reads that one (USR-2)."""
    own = principal.store_id in (None, store.store_id)
    return own and sees(principal, store.brand.brand_id, retired=store.retired)


def _now(services: Services, store_id: int) -> Store:
    """Return a store as this worker's catalogue has it after a change."""
    return _shown(services.catalogue.now.stores[store_id])


def _shown(store: brands.Store) -> Store:
    return Store(
        store_id=store.store_id,
        brand_id=store.brand.brand_id,
        brand_name=store.brand.name,
        name=store.name,
        city=store.city,
        country=store.brand.country,
        currency=store.brand.currency,
        accepts_coins=store.accepts_coins,
        invoice_scope=store.invoice_scope,
        coins_accepted=store.takes_coins(time.time()),
        retired=store.retired,
        programme=current_of(store.brand),
    )
