"""Stores: where customers earn and spend, and what a point is worth there (PTS-2, COI-3)."""

from __future__ import annotations

import time

import msgspec
from msgspec import UNSET

from engine.api.pagination import page_of
from engine.api.programmes import current_of
from engine.commands.problem import Problem
from engine.commands.scope import brand_of, number_of, refuse_retired, sees
from engine.commands.services import Services
from engine.constants import ID_MAX
from engine.http.bodies import BodyDecoder, query_int
from engine.http.dispatcher import Call, answer, read_body
from engine.http.response import Response
from engine.people.keys import Principal
from engine.programme.administration import SQL
from engine.programme.brands import Store
from engine.schemas import administration as schemas

NEW = BodyDecoder(schemas.NewStore)
CHANGE = BodyDecoder(schemas.StoreChange)


async def listed(services: Services, call: Call) -> Response:
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
    stores = [_body(store) for store in page]
    return answer(msgspec.json.encode(schemas.Stores(stores=stores, next_cursor=next_cursor)))


async def create(services: Services, call: Call) -> Response:
    """`POST /v1/stores`: a store of the brand that is named, or that the key belongs to."""
    body: schemas.NewStore = NEW.decode(await read_body(services, call.request))
    brand_id = call.principal.brand_id if body.brand_id is None else body.brand_id
    if brand_id is None:
        raise Problem("invalid_request", "This key has no brand of its own; send `brand_id`.")
    brand = brand_of(services.catalogue.now, call.principal, brand_id, to_change=True)
    async with services.administration.change(
        call.principal, "store created", content=body
    ) as change:
        change.subject = await change.connection.fetchval(  # network op
            SQL["insert_store"],
            brand.brand_id,
            body.name,
            body.city,
            body.accepts_coins,
            body.invoice_scope,
        )
    return _told(services, change.subject, 201)


async def get(services: Services, call: Call) -> Response:
    """`GET /v1/stores/{store_id}`."""
    return answer(msgspec.json.encode(_body(_store(services, call))))


async def change(services: Services, call: Call) -> Response:
    """`PATCH /v1/stores/{store_id}`: what is left out stays as it is."""
    body: schemas.StoreChange = CHANGE.decode(await read_body(services, call.request))
    store = _store(services, call)
    refuse_retired(store)
    async with services.administration.change(
        call.principal, "store changed", subject=store.store_id, content=body
    ) as change:
        columns = (body.name, body.city, body.accepts_coins, body.invoice_scope)
        await change.connection.execute(  # network op
            SQL["update_store"],
            store.store_id,
            *(None if column is UNSET else column for column in columns),
            change.at,
        )
    return _told(services, store.store_id)


async def retire(services: Services, call: Call) -> Response:
    """`DELETE /v1/stores/{store_id}`: nothing is earned or spent there any more."""
    store = _store(services, call)
    if not store.retired:
        async with services.administration.change(
            call.principal, "store retired", subject=store.store_id
        ) as change:
            await change.connection.execute(  # network op
                SQL["retire_store"], store.store_id, change.at
            )
    return _told(services, store.store_id)


def _store(services: Services, call: Call) -> Store:
    """Return the store of the path, retired or not; raises Problem where it is not theirs."""
    store = services.catalogue.now.stores.get(number_of(call.params["store_id"]))
    if store is None or not _sees(call.principal, store):
        raise Problem("store_not_found", "There is no such store for this key.")
    return store


def _sees(principal: Principal, store: Store) -> bool:
    """Return whether it is theirs to read: who works at one store reads that one (USR-2)."""
    own = principal.store_id in (None, store.store_id)
    return own and sees(principal, store.brand.brand_id, retired=store.retired)


def _told(services: Services, store_id: int, status: int = 200) -> Response:
    return answer(msgspec.json.encode(_body(services.catalogue.now.stores[store_id])), status)


def _body(store: Store) -> schemas.Store:
    return schemas.Store(
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
