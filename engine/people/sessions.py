"""Sessions of cashiers: a user and a password at a store give a token for some hours (USR-1).

A token is `ls_<session id>_<secret>`, of which only a hash is stored. A worker remembers the
sessions it has seen, and asks the database again after `session_recheck_ms`: so one that was ended
anywhere is refused everywhere soon after.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from time import monotonic
from typing import Any

from engine.people.keys import Principal, Role, make_key, matches, principal_of, split_key
from engine.people.passwords import Passwords, is_outdated
from engine.people.tries import Tries, subject_of
from engine.postgres.connections import Pool
from engine.postgres.sql import queries
from engine.settings import Settings

SQL = queries("sessions")
PREFIX = "ls"
NO_BRAND = 0
"""Where a store that does not exist belongs."""
KEPT_AFTER_END = timedelta(days=30)


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A session that holds until `expires_at`, unless it is ended before."""

    session_id: str
    principal: Principal
    cashier_id: int
    store_id: int
    user: str
    name: str
    expires_at: datetime


class SignInFailed(Exception):
    """There is no such user with this password at this store, or they are disabled."""


class Sessions:
    """Begins sessions, knows them by their token, and ends them."""

    def __init__(self, pool: Pool, passwords: Passwords, settings: Settings) -> None:
        self._pool = pool
        self._passwords = passwords
        self._tries = Tries(pool, settings.sign_in_failures_max, settings.sign_in_pause_s_max)
        self._lifetime = timedelta(seconds=settings.session_lifetime_s)
        self._recheck_s = settings.session_recheck_ms / 1000
        self._remembered_max = settings.sessions_cached_max
        self._remembered: dict[str, tuple[Session, float]] = {}

    async def sign_in(
        self, brand_id: int | None, store_id: int, user: str, password: str
    ) -> tuple[str, Session]:
        """Begin a session at a store; return its token and what it is.

        `brand_id` is the store's, None where there is no such store. Raises SignInFailed,
        SignInPaused, TooManySignIns. Whatever is wrong costs the same: a try, and a hash.
        """
        brand_id = NO_BRAND if brand_id is None else brand_id
        subject = subject_of(brand_id, user)
        with self._passwords.place():
            await self._tries.count(subject)
            row = await self._pool.fetchrow(SQL["cashier"], brand_id, user.lower())  # network op
            stored = None if row is None else row["password_hash"]
            matched = await self._passwords.matches(password, stored)
            if row is None or not matched:
                raise SignInFailed
            signed_in = await self._begin(row, store_id, subject)
            if is_outdated(row["password_hash"]):
                fresh = await self._passwords.hash(password)
                await self._pool.fetch(  # network op
                    SQL["rehash"], row["cashier_id"], row["password_hash"], fresh
                )
        return signed_in

    async def of(self, authorization: str) -> Session | None:
        """Return the session of the header `Bearer <token>`; None for one unknown or over."""
        session = self._lately_seen(authorization)
        if session is None:
            self._remembered.pop(authorization, None)
            now = monotonic()
            session = await self._look_up(authorization)
            if session is None:
                return None
            if len(self._remembered) >= self._remembered_max:
                self._remembered.clear()
            self._remembered[authorization] = (session, now)
        return session if datetime.now(UTC) < session.expires_at else None

    def remembered(self, authorization: str) -> Session | None:
        """Return what `of` would without a look-up; None where it would need one, or has none."""
        session = self._lately_seen(authorization)
        return session if session is not None and datetime.now(UTC) < session.expires_at else None

    async def end(self, authorization: str, session: Session) -> None:
        """End a session; ending it again changes nothing."""
        self._remembered.pop(authorization, None)
        await self._pool.fetch(SQL["end"], session.session_id, datetime.now(UTC))  # network op

    def _lately_seen(self, authorization: str) -> Session | None:
        remembered = self._remembered.get(authorization)
        if remembered is None or monotonic() - remembered[1] >= self._recheck_s:
            return None
        return remembered[0]

    async def _begin(self, row: Any, store_id: int, subject: bytes) -> tuple[str, Session]:
        token = make_key(PREFIX)
        now = datetime.now(UTC)
        session = _session(token.key_id, row, store_id, now + self._lifetime)
        begun = await self._pool.fetchval(  # network op
            *(SQL["begin"], token.key_id, token.secret_hash, session.cashier_id, store_id, now),
            *(session.expires_at, row["password_set_at"], now - KEPT_AFTER_END, subject),
        )
        if begun is None:
            raise SignInFailed
        return token.key, session

    async def _look_up(self, authorization: str) -> Session | None:
        scheme, _, token = authorization.partition(" ")
        parts = split_key(token, PREFIX) if scheme.lower() == "bearer" else None
        if parts is None:
            return None
        row = await self._pool.fetchrow(SQL["session"], parts[0])  # network op
        if row is None or not matches(parts[1], row["secret_hash"]):
            return None
        return _session(parts[0], row, row["store_id"], row["expires_at"])


def _session(session_id: str, row: Any, store_id: int, expires_at: datetime) -> Session:
    cashier_id = row["cashier_id"]
    label = f"cashier:{cashier_id}"
    return Session(
        session_id=session_id,
        principal=principal_of(label, Role.CASHIER, row["brand_id"], store_id, label),
        cashier_id=cashier_id,
        store_id=store_id,
        user=row["user_name"],
        name=row["name"],
        expires_at=expires_at,
    )
