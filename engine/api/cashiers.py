"""Cashiers: their brand's administrator makes them, resets passwords, disables them (USR-1)."""

from __future__ import annotations

from dataclasses import replace

import msgspec
from msgspec import UNSET

from engine.api.example_values import BRAND_ID, REGISTERED, STORE_ID
from engine.api.pagination import page_of
from engine.api.resource import Resource
from engine.commands.problem import Problem
from engine.commands.scope import brand_of, number_of, store_of
from engine.commands.services import Services
from engine.http.dispatcher import Call
from engine.http.operation import operation
from engine.people.cashiers import (
    Cashier,
    end_sessions,
    find_cashier,
    insert_cashier,
    list_cashiers,
    save_cashier,
    set_password,
)
from engine.people.strength import WeakPassword
from engine.postgres.connections import Pool, PooledConnection, UniqueViolation
from engine.programme.brands import Brand
from engine.schemas import principals as schemas

CASHIER = schemas.Cashier(
    cashier_id=1,
    brand_id=BRAND_ID,
    store_id=STORE_ID,
    user="lperez",
    name="Luisa Pérez",
    disabled=False,
    password_set_at=REGISTERED,
    created_at=REGISTERED,
)
CASHIERS = Resource(
    noun="cashier", rules="USR-1", example=CASHIER, problems=("store_not_found", "retired")
)


@CASHIERS.listing(schemas.Cashiers(cashiers=[CASHIER], next_cursor=None))
async def listed(services: Services, call: Call) -> schemas.Cashiers:
    """`GET /v1/brands/{brand_id}/cashiers`: the disabled too."""
    brand = _brand(services, call)
    found = await list_cashiers(services.pool, brand.brand_id)
    page, next_cursor = page_of(call.request, found, lambda cashier: cashier.cashier_id)
    cashiers = [_shown(cashier) for cashier in page]
    return schemas.Cashiers(cashiers=cashiers, next_cursor=next_cursor)


@CASHIERS.adding(
    schemas.NewCashier(
        user="lperez",
        password="tres-montes-azules",  # noqa: S106 - an example
        name="Luisa Pérez",
        store_id=STORE_ID,
    ),
    problems=("cashier_exists", "too_many_sign_ins"),
)
async def create(services: Services, call: Call, body: schemas.NewCashier) -> schemas.Cashier:
    """`POST /v1/brands/{brand_id}/cashiers`."""
    brand = _brand(services, call, to_change=True)
    if body.store_id is not None:
        _check_store(services, call, brand, body.store_id)
    password_hash = await _hash(services, brand, body.password, body.user, body.name)
    content = {"brand_id": brand.brand_id, "store_id": body.store_id}
    try:
        async with services.administration.change(
            call.principal, "cashier created", content=content
        ) as change:
            cashier = await insert_cashier(
                change.connection,
                brand_id=brand.brand_id,
                store_id=body.store_id,
                user=body.user,
                name=body.name,
                password_hash=password_hash,
                at=change.at,
            )
            change.subject = cashier.cashier_id
    except UniqueViolation:
        detail = "This brand has a cashier with that user name already; choose another."
        raise Problem("cashier_exists", detail) from None
    return _shown(cashier)


@CASHIERS.reading()
async def get(services: Services, call: Call) -> schemas.Cashier:
    """`GET /v1/brands/{brand_id}/cashiers/{cashier_id}`."""
    return _shown(await _find(services.pool, _brand(services, call), call))


@CASHIERS.changing(schemas.CashierChange(store_id=None))
async def change(services: Services, call: Call, body: schemas.CashierChange) -> schemas.Cashier:
    """`PATCH /v1/brands/{brand_id}/cashiers/{cashier_id}`: what is left out stays as it is."""
    return await _change(services, call, body, "cashier changed")


@CASHIERS.ending("disable", problems=("retired",))
async def disable(services: Services, call: Call) -> schemas.Cashier:
    """`DELETE /v1/brands/{brand_id}/cashiers/{cashier_id}`: they sign in no more."""
    return await _change(services, call, schemas.CashierChange(disabled=True), "cashier disabled")


@operation(
    "resetPassword",
    summary="Reset a cashier's password; their sessions end (USR-1)",
    body_example=schemas.PasswordReset(password="cuatro-rios-verdes"),  # noqa: S106 - an example
    answer_example=CASHIER,
    problems=("retired", "too_many_sign_ins"),
    about="Their tills are not known any more until they sign in again (USR-8).",
)
async def reset_password(
    services: Services, call: Call, body: schemas.PasswordReset
) -> schemas.Cashier:
    """`POST …/{cashier_id}/password`: their sessions end, and they need not wait any more."""
    brand = _brand(services, call, to_change=True)
    cashier = await _find(services.pool, brand, call)
    names = (cashier.user_name, cashier.name)
    password_hash = await _hash(services, brand, body.password, *names)
    async with services.administration.change(
        call.principal, "password reset", subject=cashier.cashier_id
    ) as change:
        cashier = await set_password(change.connection, cashier, password_hash, change.at)
    return _shown(cashier)


@operation(
    "endSessions",
    summary="End all sessions of a cashier, on every worker within seconds (USR-1)",
    answer_example=schemas.EndedSessions(ended=2),
)
async def end_all_sessions(services: Services, call: Call) -> schemas.EndedSessions:
    """`DELETE …/{cashier_id}/sessions`: they sign in again, with the same password."""
    brand = _brand(services, call)
    subject = number_of(call.params["cashier_id"])
    async with services.administration.change(
        call.principal, "sessions ended", subject=subject
    ) as change:
        cashier = await _find(change.connection, brand, call)
        ended = await end_sessions(change.connection, cashier, change.at)
    return schemas.EndedSessions(ended=ended)


async def _change(
    services: Services, call: Call, body: schemas.CashierChange, action: str
) -> schemas.Cashier:
    brand = _brand(services, call, to_change=True)
    if body.store_id is not UNSET and body.store_id is not None:
        _check_store(services, call, brand, body.store_id)
    content = msgspec.structs.replace(body, name=UNSET)  # a name is personal
    subject = number_of(call.params["cashier_id"])
    async with services.administration.change(
        call.principal, action, subject=subject, content=content
    ) as change:
        cashier = await _find(change.connection, brand, call)
        if body.name is not UNSET:
            cashier = replace(cashier, name=body.name)
        if body.store_id is not UNSET:
            cashier = replace(cashier, store_id=body.store_id)
        if body.disabled is not UNSET:
            since = change.at if cashier.disabled_at is None else cashier.disabled_at
            cashier = replace(cashier, disabled_at=since if body.disabled else None)
        await save_cashier(change.connection, cashier, change.at)
    return _shown(cashier)


async def _hash(services: Services, brand: Brand, password: str, *names: str) -> str:
    """Return what is stored of a new password; raises Problem for one that is guessed first."""
    known = [*names, brand.name]
    for store in services.catalogue.now.stores.values():
        if store.brand.brand_id == brand.brand_id:
            known += (store.name, store.city)
    with services.passwords.place():
        try:
            return await services.passwords.hash_new(password, known)
        except WeakPassword as weak:
            raise Problem("invalid_request", str(weak), spanish=weak.spanish) from None


async def _find(connection: PooledConnection | Pool, brand: Brand, call: Call) -> Cashier:
    """Return the cashier of the path; raises Problem where the brand has none."""
    cashier = await find_cashier(connection, brand.brand_id, number_of(call.params["cashier_id"]))
    if cashier is None:
        raise Problem("cashier_not_found", "There is no such cashier of this brand.")
    return cashier


def _brand(services: Services, call: Call, *, to_change: bool = False) -> Brand:
    snapshot = services.catalogue.now
    return brand_of(snapshot, call.principal, call.params["brand_id"], to_change=to_change)


def _check_store(services: Services, call: Call, brand: Brand, store_id: int) -> None:
    """Raise Problem for a store that is not the brand's."""
    if store_of(services.catalogue.now, call.principal, store_id).brand is not brand:
        raise Problem("store_not_found", f"This brand has no store {store_id}.")


def _shown(cashier: Cashier) -> schemas.Cashier:
    return schemas.Cashier(
        cashier_id=cashier.cashier_id,
        brand_id=cashier.brand_id,
        store_id=cashier.store_id,
        user=cashier.user_name,
        name=cashier.name,
        disabled=cashier.disabled_at is not None,
        password_set_at=cashier.password_set_at,
        created_at=cashier.created_at,
    )
