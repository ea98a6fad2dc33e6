"""Sessions of cashiers: sign in at a store, see who one is, sign out (USR-1)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from aiohttp import web
from msgspec import structs

from engine.api.example_values import BRAND_ID, NOW, STORE_ID
from engine.api.pagination import LISTED, LISTED_MAX
from engine.api.resource import PAGE
from engine.commands.problem import Problem
from engine.commands.services import Services
from engine.errors import OutcomeUnknown
from engine.http.addresses import address_of
from engine.http.bodies import query_int, refuse_types_of_pages
from engine.http.dispatcher import Call, session_of
from engine.http.headers import query_text
from engine.http.operation import Unread, operation
from engine.people.keys import KEY_ID, Role, split_key
from engine.people.sessions import (
    PREFIX,
    Attempt,
    ListedSession,
    Session,
    SignInFailed,
    end_session,
    find_session,
)
from engine.people.tries import SignInPaused
from engine.postgres.connections import OUT_OF_REACH, Pool, PooledConnection
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
LISTED_SESSION = schemas.ListedSession(
    session_id="k7xq2m4v6z",
    cashier_id=1,
    brand_id=BRAND_ID,
    store_id=STORE_ID,
    user="lperez",
    name="Luisa Pérez",
    created_at=NOW,
    last_used_at=NOW,
    expires_at=NOW + timedelta(hours=12),
    current=False,
)


@operation(
    "signIn",
    summary="Sign a cashier in at a store (USR-1)",
    about="The body is sent with `Content-Type: application/json`. Wrong passwords count for"
    " the user, the address and the store, and pause those who sign in on a till that is not"
    " known. A till that sends `device` has a count of its own (USR-8). A session ends when it"
    " is not used for some hours, and the oldest ends where a cashier has too many.",
    body_example=schemas.SignIn(
        store_id=STORE_ID,
        user="lperez",
        password="tres-montes-azules",  # noqa: S106 - an example
    ),
    status=201,
    answer_example=schemas.SignedIn(
        token="ls_k7xq2m4v6z_…",  # noqa: S106 - an example
        device="ld_…",
        **structs.asdict(SESSION),
    ),
    problems=(
        "unsupported_media_type",
        "sign_in_failed",
        "too_many_attempts",
        "too_many_sign_ins",
    ),
)
async def sign_in(
    services: Services, request: web.BaseRequest, sent: Unread[schemas.SignIn]
) -> schemas.SignedIn:
    """`POST /v1/sessions`: no key is needed; every failure has the same answer."""
    refuse_types_of_pages(request)
    body = await sent.read()
    store = services.catalogue.now.stores.get(body.store_id)
    brand_id = None if store is None or store.retired else store.brand.brand_id
    attempt = Attempt(
        brand_id=brand_id,
        store_id=body.store_id,
        user=body.user.strip(),
        password=body.password,
        address=address_of(services.settings, request),
        device=body.device,
    )
    try:
        token, session, device = await services.sessions.sign_in(attempt)
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
    return schemas.SignedIn(token=token, device=device, **_facts(services, session))


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


@operation(
    "listSessions",
    summary="List the sessions that have not ended: of a brand's cashiers, or a cashier's own"
    " (USR-1)",
    answer_example=schemas.ListedSessions(sessions=[LISTED_SESSION], next_cursor=None),
    query=PAGE,
)
async def listed(services: Services, call: Call) -> schemas.ListedSessions:
    """`GET /v1/sessions`: those that go on; an administrator's cashiers', a cashier's own."""
    principal = call.principal
    limit = query_int(call.request, "limit", LISTED, LISTED_MAX)
    cursor = query_text(call.request, "cursor") or ""
    if cursor and KEY_ID.fullmatch(cursor) is None:
        raise Problem("invalid_request", "`cursor` must be a `next_cursor` that this list gave.")
    found = await services.sessions.listed(
        principal.brand_id, principal.cashier_id or None, cursor, limit + 1
    )
    page = found[:limit]
    sessions = [_listed(call, session) for session in page]
    next_cursor = page[-1].session_id if len(found) > limit else None
    return schemas.ListedSessions(sessions=sessions, next_cursor=next_cursor)


@operation(
    "endSession",
    summary="End a session, on every worker within seconds (USR-1)",
    answer_example=LISTED_SESSION,
)
async def end_one(services: Services, call: Call) -> schemas.ListedSession:
    """`DELETE /v1/sessions/{session_id}`: an administrator ends a cashier's, a cashier their own.

    One that is over stays as it is.
    """
    session_id = call.params["session_id"]
    if call.principal.role is Role.CASHIER:
        found = await _find(services.pool, session_id, call)
        await end_session(services.pool, session_id, datetime.now(UTC))
    else:
        async with services.administration.change(
            call.principal, "session ended", subject=session_id
        ) as change:
            found = await _find(change.connection, session_id, call)
            await end_session(change.connection, session_id, change.at)
    services.sessions.forget(session_id)
    return _listed(call, found)


async def _find(connection: PooledConnection | Pool, session_id: str, call: Call) -> ListedSession:
    """Return the session of the path; raises Problem where the principal may not end any such."""
    found = None
    if KEY_ID.fullmatch(session_id) is not None:
        found = await find_session(connection, session_id, call.principal)
    if found is None:
        raise Problem("session_not_found", "There is no such session.")
    return found


def _listed(call: Call, session: ListedSession) -> schemas.ListedSession:
    token = split_key(call.request.headers.get("Authorization", "").rpartition(" ")[2], PREFIX)
    return schemas.ListedSession(
        session_id=session.session_id,
        cashier_id=session.cashier_id,
        brand_id=session.brand_id,
        store_id=session.store_id,
        user=session.user_name,
        name=session.name,
        created_at=session.created_at,
        last_used_at=session.used_at,
        expires_at=session.expires_at,
        current=token is not None and token[0] == session.session_id,
    )


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
