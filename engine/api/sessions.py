"""Sessions of cashiers: sign in at a store, see who one is, sign out (USR-1)."""

from __future__ import annotations

from typing import Any

import msgspec
from aiohttp import web

from engine.commands.problem import Problem
from engine.commands.services import Services
from engine.errors import OutcomeUnknown
from engine.http.bodies import BodyDecoder
from engine.http.dispatcher import Call, answer, read_body, session_of
from engine.http.response import Response
from engine.people.sessions import Session, SignInFailed
from engine.people.tries import SignInPaused
from engine.postgres.connections import OUT_OF_REACH
from engine.schemas import principals as schemas

SIGN_IN = BodyDecoder(schemas.SignIn)


async def sign_in(services: Services, request: web.BaseRequest) -> Response:
    """`POST /v1/sessions`: no key is needed; whatever is wrong is told in the same words."""
    body: schemas.SignIn = SIGN_IN.decode(await read_body(services, request))
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
    told = schemas.SignedIn(token=token, **_facts(services, session))
    return answer(msgspec.json.encode(told), 201)


async def get(services: Services, call: Call) -> Response:
    """`GET /v1/sessions/current`: who is signed in, and where."""
    session = await session_of(services, call.request)
    return answer(msgspec.json.encode(schemas.Session(**_facts(services, session))))


async def end(services: Services, call: Call) -> Response:
    """`DELETE /v1/sessions/current`: sign out, on every worker within seconds."""
    session = await session_of(services, call.request)
    try:
        await services.sessions.end(call.request.headers["Authorization"], session)
    except OUT_OF_REACH:
        raise OutcomeUnknown("Whether this was done is not known: send it again.") from None
    return answer(msgspec.json.encode(schemas.Session(**_facts(services, session))))


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
