"""The contract of cashiers, their sessions, and keys: who may ask, and how they prove it."""

from __future__ import annotations

from dataclasses import replace as altered
from datetime import timedelta

from engine.api.contract.invented import BRAND_ID, NOW, REGISTERED, STORE_ID
from engine.api.contract.resource import PAGE, Resource
from engine.api.contract.row import Row, Rows
from engine.schemas.principals import (
    Cashier,
    CashierChange,
    Cashiers,
    EndedSessions,
    Key,
    Keys,
    ListedSession,
    ListedSessions,
    MadeKey,
    NewCashier,
    NewKey,
    PasswordReset,
    Session,
    SignedIn,
    SignIn,
)

SESSIONS = "/v1/sessions"
KEYS = "/v1/keys"
KEY = KEYS + "/{key_id}"

SESSION = Session(
    expires_at=NOW + timedelta(hours=12),
    cashier_id=1,
    name="Luisa Pérez",
    user="lperez",
    store_id=STORE_ID,
    brand_id=BRAND_ID,
    store_name="Café Andino Chapinero",
    currency="COP",
)
SIGNED_IN = SignedIn(
    token="ls_k7xq2m4v6z_…",  # noqa: S106 - an example
    device="ld_…",
    expires_at=NOW + timedelta(hours=12),
    cashier_id=1,
    name="Luisa Pérez",
    user="lperez",
    store_id=STORE_ID,
    brand_id=BRAND_ID,
    store_name="Café Andino Chapinero",
    currency="COP",
)
LISTED_SESSION = ListedSession(
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
CASHIER = Cashier(
    cashier_id=1,
    brand_id=BRAND_ID,
    store_id=STORE_ID,
    user="lperez",
    name="Luisa Pérez",
    disabled=False,
    password_set_at=REGISTERED,
    created_at=REGISTERED,
)
API_KEY = Key(
    key_id="k7xq2m4v6z",
    role="store",
    brand_id=BRAND_ID,
    store_id=STORE_ID,
    name="Caja 1",
    created_at=REGISTERED,
    revoked_at=None,
)
MADE_KEY = MadeKey(
    key_id="k7xq2m4v6z",
    role="store",
    brand_id=BRAND_ID,
    store_id=STORE_ID,
    name="Caja 1",
    created_at=REGISTERED,
    revoked_at=None,
    key="lk_k7xq2m4v6z_…",
)

CASHIERS = Resource(
    path="/v1/brands/{brand_id}/cashiers",
    id_name="cashier_id",
    noun="cashier",
    rules="USR-1",
    one=CASHIER,
    page=Cashiers(cashiers=[CASHIER], next_cursor=None),
    new=NewCashier(
        user="lperez",
        password="tres-montes-azules",  # noqa: S106 - an example
        name="Luisa Pérez",
        store_id=STORE_ID,
    ),
    change=CashierChange(store_id=None),
    problems=("store_not_found", "retired"),
    problems_added=("cashier_exists", "too_many_sign_ins"),
    end="disable",
).rows()
CASHIERS_PATH = "/v1/brands/{brand_id}/cashiers"
CASHIER_PATH = CASHIERS_PATH + "/{cashier_id}"

ROWS: Rows = {
    ("POST", SESSIONS): Row(
        operation="signIn",
        body=SignIn(store_id=STORE_ID, user="lperez", password="tres-montes-azules"),  # noqa: S106
        answers={201: SIGNED_IN},
        problems=(
            "unsupported_media_type",
            "sign_in_failed",
            "too_many_attempts",
            "too_many_sign_ins",
        ),
        summary="Sign a cashier in at a store (USR-1)",
        about="The body is sent with `Content-Type: application/json`. Wrong passwords count for"
        " the user, the address and the store, and pause those who sign in on a till that is not"
        " known. A till that sends `device` has a count of its own (USR-8). A session ends when it"
        " is not used for some hours, and the oldest ends where a cashier has too many.",
    ),
    ("GET", SESSIONS): Row(
        operation="listSessions",
        answers={200: ListedSessions(sessions=[LISTED_SESSION], next_cursor=None)},
        query=PAGE,
        summary="List the sessions that have not ended: of a brand's cashiers, or a cashier's own"
        " (USR-1)",
    ),
    ("DELETE", SESSIONS + "/{session_id}"): Row(
        operation="endSession",
        answers={200: LISTED_SESSION},
        summary="End a session, on every worker within seconds (USR-1)",
    ),
    ("GET", SESSIONS + "/current"): Row(
        operation="readSession",
        answers={200: SESSION},
        summary="Read who is signed in, and where (USR-1)",
    ),
    ("DELETE", SESSIONS + "/current"): Row(
        operation="signOut",
        answers={200: SESSION},
        summary="Sign out, on every worker within seconds (USR-1)",
    ),
    **CASHIERS,
    ("DELETE", CASHIER_PATH): altered(CASHIERS["DELETE", CASHIER_PATH], problems=("retired",)),
    ("POST", CASHIER_PATH + "/password"): Row(
        operation="resetPassword",
        body=PasswordReset(password="cuatro-rios-verdes"),  # noqa: S106 - an example
        answers={200: CASHIER},
        problems=("retired", "too_many_sign_ins"),
        summary="Reset a cashier's password; their sessions end (USR-1)",
        about="Their tills are not known any more until they sign in again (USR-8).",
    ),
    ("DELETE", CASHIER_PATH + "/sessions"): Row(
        operation="endSessions",
        answers={200: EndedSessions(ended=2)},
        summary="End all sessions of a cashier, on every worker within seconds (USR-1)",
    ),
    ("GET", KEYS): Row(
        operation="listKeys",
        answers={200: Keys(keys=[API_KEY], next_cursor=None)},
        query=PAGE,
        summary="List API keys without their secrets (USR-3)",
    ),
    ("POST", KEYS): Row(
        operation="makeKey",
        body=NewKey(role="store", name="Caja 1", store_id=STORE_ID),
        answers={201: MADE_KEY},
        problems=("brand_not_found", "store_not_found", "retired"),
        summary="Make an API key; it is told this once (USR-3)",
    ),
    ("GET", KEY): Row(
        operation="readKey",
        answers={200: API_KEY},
        summary="Read what an API key is for, without its secret (USR-3)",
    ),
    ("POST", KEY + "/rotate"): Row(
        operation="rotateKey",
        answers={201: MADE_KEY},
        problems=("key_revoked", "key_limit_reached"),
        summary="Make another key of the same principal; the old one is valid until it is revoked"
        " (USR-3)",
    ),
    ("DELETE", KEY): Row(
        operation="revokeKey",
        answers={200: API_KEY},
        problems=("last_network_key",),
        summary="Revoke an API key, on every worker within five seconds (USR-3)",
    ),
}
