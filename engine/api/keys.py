"""API keys: make, list, rotate and revoke them; every worker follows within seconds (USR-3).

A brand's administrator has the keys of its stores in hand, and its own: new ones of stores only.
"""

from __future__ import annotations

from operator import itemgetter
from typing import Any

from msgspec import structs

from engine.api.example_values import BRAND_ID, REGISTERED, STORE_ID
from engine.api.pagination import page_of
from engine.api.resource import PAGE
from engine.commands.problem import Problem
from engine.commands.scope import brand_of, store_of
from engine.commands.services import Services
from engine.http.dispatcher import Call
from engine.http.operation import operation
from engine.people.keys import (
    Key,
    Principal,
    Role,
    find_key,
    insert_key,
    list_keys,
    revoke_key,
    rotate_key,
)
from engine.schemas import principals as schemas

OF_BRANDS = frozenset({Role.BRAND, Role.STORE})
API_KEY = schemas.Key(
    key_id="k7xq2m4v6z",
    role="store",
    brand_id=BRAND_ID,
    store_id=STORE_ID,
    name="Caja 1",
    created_at=REGISTERED,
    revoked_at=None,
)
MADE_KEY = schemas.MadeKey(**structs.asdict(API_KEY), key="lk_k7xq2m4v6z_…")


@operation(
    "listKeys",
    summary="List API keys without their secrets (USR-3)",
    query=PAGE,
    answer_example=schemas.Keys(keys=[API_KEY], next_cursor=None),
)
async def listed(services: Services, call: Call) -> schemas.Keys:
    """`GET /v1/keys`: without their secrets, the revoked ones too."""
    found = await list_keys(services.pool)
    # Keys are never deleted, so a key's place among all is as good as a number of its own.
    seen = [(at, key) for at, key in enumerate(found, 1) if _sees(call.principal, key)]
    page, next_cursor = page_of(call.request, seen, itemgetter(0))
    keys = [schemas.Key(**_facts(key)) for _, key in page]
    return schemas.Keys(keys=keys, next_cursor=next_cursor)


@operation(
    "makeKey",
    summary="Make an API key; it is shown this once (USR-3)",
    body_example=schemas.NewKey(role="store", name="Caja 1", store_id=STORE_ID),
    status=201,
    answer_example=MADE_KEY,
    problems=("brand_not_found", "store_not_found", "retired"),
)
async def create(services: Services, call: Call, body: schemas.NewKey) -> schemas.MadeKey:
    """`POST /v1/keys`: the key is shown this once."""
    role = Role(body.role)
    if call.principal.role is Role.BRAND and role is not Role.STORE:
        raise Problem("forbidden", "A brand's key makes keys of its stores only.")
    brand_id, store_id = _place(services, call.principal, body)
    async with services.administration.change(
        call.principal, "key created", content=body
    ) as change:
        new, key = await insert_key(
            change.connection,
            role=role,
            brand_id=brand_id,
            store_id=store_id,
            name=body.name,
            at=change.at,
        )
        change.subject = key.key_id
    return schemas.MadeKey(key=new.key, **_facts(key))


@operation(
    "readKey",
    summary="Read what an API key is for, without its secret (USR-3)",
    answer_example=API_KEY,
)
async def get(services: Services, call: Call) -> schemas.Key:
    """`GET /v1/keys/{key_id}`."""
    return schemas.Key(**_facts(await _find(services, call)))


@operation(
    "rotateKey",
    summary="Make another key of the same principal; the old one is valid until it is revoked"
    " (USR-3)",
    status=201,
    answer_example=MADE_KEY,
    problems=("key_revoked", "key_limit_reached"),
)
async def rotate(services: Services, call: Call) -> schemas.MadeKey:
    """`POST /v1/keys/{key_id}/rotate`: another key of the same principal, shown this once.

    Idempotency keys stay what they were. The old key is valid until it is revoked.
    """
    old = await _find(services, call)
    async with services.administration.change(
        call.principal, "key rotated", content={"key_id": old.key_id}
    ) as change:
        new, key = await rotate_key(change.connection, old, change.at)
        change.subject = key.key_id
    return schemas.MadeKey(key=new.key, **_facts(key))


@operation(
    "revokeKey",
    summary="Revoke an API key, on every worker within five seconds (USR-3)",
    answer_example=API_KEY,
    problems=("last_network_key",),
)
async def revoke(services: Services, call: Call) -> schemas.Key:
    """`DELETE /v1/keys/{key_id}`: one that is revoked already stays as it is."""
    key = await _find(services, call)
    if key.revoked_at is None:
        async with services.administration.change(
            call.principal, "key revoked", subject=key.key_id
        ) as change:
            await revoke_key(change.connection, key.key_id, change.at, spare_last=True)
        key = await _find(services, call)
    return schemas.Key(**_facts(key))


def _place(
    services: Services, principal: Principal, body: schemas.NewKey
) -> tuple[int | None, int | None]:
    """Return the brand and the store of a new key; raises Problem where its role has others."""
    snapshot = services.catalogue.now
    if body.role == "store" and body.store_id is not None:
        store = store_of(snapshot, principal, body.store_id)
        if body.brand_id not in (None, store.brand.brand_id):
            raise Problem("invalid_request", "The store is not one of the brand `brand_id`.")
        return store.brand.brand_id, store.store_id
    if body.role == "brand" and body.brand_id is not None and body.store_id is None:
        return brand_of(snapshot, principal, body.brand_id, to_change=True).brand_id, None
    if body.role in ("network", "app") and body.brand_id is None and body.store_id is None:
        return None, None
    raise Problem(
        "invalid_request",
        "Send `store_id` for a key of a store, `brand_id` for one of a brand, else neither.",
    )


async def _find(services: Services, call: Call) -> Key:
    """Return the key of the path; raises Problem where it is none that the principal sees."""
    key = await find_key(services.pool, call.params["key_id"])
    if key is None or not _sees(call.principal, key):
        raise Problem("key_not_found", "There is no such key for this one to see.")
    return key


def _sees(principal: Principal, key: Key) -> bool:
    """Return whether a key is theirs to see (USR-2)."""
    own = key.role in OF_BRANDS and key.brand_id == principal.brand_id
    return principal.role is Role.NETWORK or own


def _facts(key: Key) -> dict[str, Any]:
    return {
        "key_id": key.key_id,
        "role": key.role.value,
        "brand_id": key.brand_id,
        "store_id": key.store_id,
        "name": key.name,
        "created_at": key.created_at,
        "revoked_at": key.revoked_at,
    }
