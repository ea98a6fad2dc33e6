"""Sessions of cashiers: sign in at a store, see who one is, sign out (USR-1)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from aiohttp import web
from msgspec import structs

from engine.api.example_values import BRAND_ID, NOW, STORE_ID
from engine.commands.problem import Problem
from engine.commands.services import Services
from engine.errors import OutcomeUnknown
from engine.http.dispatcher import Call, session_of
from engine.http.operation import operation
from engine.people.sessions import Session, SignInFailed
from engine.people.tries import SignInPaused
from engine.postgres.connections import OUT_OF_REACH
from engine.schemas import principals as schemas

SESSION = schemas.Session(
    expires_at=NOW + timedelta(hours=12),
    cashier_id=1,
    name="Luisa Pérez",
    user="lperez",
    store_id=STORE_ID,
    brand_id=BRAND_ID,
    store_name="Café Andino Chapinero",
    currency="COP",
)


@operation(
    "signIn",
    summary="Sign a cashier in at a store (USR-1)",
    body_example=schemas.SignIn(
        store_id=STORE_ID,
        user="lperez",
        password="tres-montes-azules",  # noqa: S106 - an example
    ),
    status=201,
    answer_example=schemas.SignedIn(token="lt_…", **structs.asdict(SESSION)),  # noqa: S106
    problems=("sign_in_failed", "too_many_attempts", "too_many_sign_ins"),
)
async def sign_in(
    services: Services, _request: web.BaseRequest, body: schemas.SignIn
) -> schemas.SignedIn:
    """`POST /v1/sessions`: no key is needed; whatever is wrong is told in the same words."""
    store = services.catalogue.now.stores.get(body.store_id)
    brand_id = None if store is None or store.retired else store.brand.brand_id
    try:
        token, session = await services.sessions.sign_in(
            brand_id, body.store_id, body.user.strip(), body.password
        )
    except SignInFailed:
        raise Problem(
            "sign_in_failed",
            "No user has this password at this store. The brand's administrator can reset it.",
        ) from None
    except SignInPaused as pause:
        raise Problem(
            "too_many_attempts",
            f"There were too many wrong passwords. Try again in {pause.seconds} s.",
            retry_after_s=pause.seconds,
        ) from None
    return schemas.SignedIn(token=token, **_facts(services, session))


@operation(
    "readSession",
    summary="Read who is signed in, and where (USR-1)",
    answer_example=SESSION,
)
async def get(services: Services, call: Call) -> schemas.Session:
    """`GET /v1/sessions/current`: who is signed in, and where."""
    session = await session_of(services, call.request)
    return schemas.Session(**_facts(services, session))


@operation(
    "signOut",
    summary="Sign out, on every worker within seconds (USR-1)",
    answer_example=SESSION,
)
async def end(services: Services, call: Call) -> schemas.Session:
    """`DELETE /v1/sessions/current`: sign out, on every worker within seconds."""
    session = await session_of(services, call.request)
    try:
        await services.sessions.end(call.request.headers["Authorization"], session)
    except OUT_OF_REACH:
        raise OutcomeUnknown("Whether this was done is not known: send it again.") from None
    return schemas.Session(**_facts(services, session))


def _facts(services: Services, session: Session) -> dict[str, Any]:
    store = services.catalogue.now.stores[session.store_id]
    return {
        "expires_at": session.expires_at,
        "cashier_id": session.cashier_id,
        "name": session.name,
        "user": session.user,
        "store_id": store.store_id,
        "brand_id": store.brand.brand_id,
        "store_name": store.name,
        "currency": store.brand.currency,
    }
