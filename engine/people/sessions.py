"""Sessions of cashiers: a user and a password at a store give a token for some hours (USR-1).

A token is `ls_<session id>_<secret>`, of which only a hash is stored. A worker remembers the
sessions it has seen, and asks the database again after `session_recheck_ms`: so one that was ended
anywhere is refused everywhere soon after. When a session was used last is written once in a while,
so one that is idle ends up to a tenth of `session_idle_s` later, never earlier.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from time import monotonic
from typing import Any

from engine.people.devices import Devices, new_device
from engine.people.keys import Principal, Role, make_key, matches, principal_of, split_key
from engine.people.passwords import Passwords, is_outdated
from engine.people.tries import Subject, Tries, known_device, stranger
from engine.people.turns import Turns
from engine.postgres.connections import NOTHING_WRITTEN, OUT_OF_REACH, Pool, PooledConnection
from engine.postgres.sql import queries
from engine.settings import Settings

SQL = queries("sessions")
PREFIX = "ls"
NO_BRAND = 0
"""Where a store that does not exist belongs."""
KEPT_AFTER_END = timedelta(days=30)
USE_WRITTEN_S = 300.0
"""How often the last use of a session is written at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """What somebody signs in with: `brand_id` is the store's, None where there is no such store.

    `address` is where it comes from, `device` the token that the till got before.
    """

    brand_id: int | None
    store_id: int
    user: str
    password: str
    address: str
    device: str | None = None


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


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedSession:
    """A session as those see it who may end it."""

    session_id: str
    cashier_id: int
    brand_id: int
    store_id: int
    user_name: str
    name: str
    created_at: datetime
    used_at: datetime
    expires_at: datetime


@dataclass(slots=True)
class _Seen:
    """A session in memory, by the clock of this process."""

    session: Session
    looked_up_at: float
    use_due_at: float
    """When its use is to be written."""


class SignInFailed(Exception):
    """There is no such user with this password at this store, or they are disabled."""


class Sessions:
    """Begins sessions, knows them by their token, and ends them."""

    def __init__(self, pool: Pool, passwords: Passwords, settings: Settings, secret: bytes) -> None:
        self._pool = pool
        self._passwords = passwords
        self._turns = Turns(settings.passwords_hashing_max, settings.sign_ins_waiting_max)
        self._tries = Tries(pool, settings)
        self._devices = Devices(pool, secret)
        self._devices_max = settings.devices_of_cashier_max
        self._sessions_max = settings.sessions_of_cashier_max
        self._lifetime = timedelta(seconds=settings.session_lifetime_s)
        self._use_written_s = min(USE_WRITTEN_S, settings.session_idle_s / 10)
        self._idle_s = settings.session_idle_s + self._use_written_s
        self._recheck_s = settings.session_recheck_ms / 1000
        self._remembered_max = settings.sessions_cached_max
        self._remembered: dict[str, _Seen] = {}

    async def sign_in(self, attempt: Attempt) -> tuple[str, Session, str]:
        """Begin a session at a store; return its token, what it is, and the token of the device.

        Raises SignInFailed, SignInPaused, TooManySignIns. Whatever is wrong costs the same: a try,
        and a hash.
        """
        brand_id = NO_BRAND if attempt.brand_id is None else attempt.brand_id
        device_id = self._devices.read(attempt.device)
        subject = await self._subject(attempt, brand_id, device_id)
        self._tries.refuse_paused(subject)
        async with self._turns.turn(None if subject.address is None else attempt.address):
            await self._tries.count(subject)
            row = await self._pool.fetchrow(  # network op
                SQL["cashier"], brand_id, attempt.user.lower()
            )
            stored = None if row is None else row["password_hash"]
            matched = await self._passwords.matches(attempt.password, stored)
            if row is None or not matched:
                raise SignInFailed
            device_id = new_device() if device_id is None else device_id
            token, session = await self._begin(row, attempt.store_id, subject, device_id)
            await self._tries.give_back(subject)
            await self._pool.fetch(  # network op
                SQL["keep_newest"], session.cashier_id, self._sessions_max, self._devices_max
            )
            if is_outdated(row["password_hash"]):
                fresh = await self._passwords.hash(attempt.password)
                await self._pool.fetch(  # network op
                    SQL["rehash"], row["cashier_id"], row["password_hash"], fresh
                )
        return token, session, self._devices.token(device_id)

    async def of(self, authorization: str, *, used: bool = True) -> Session | None:
        """Return the session of the header `Bearer <token>`; None for one unknown or over.

        With `used` this is a use of it, which is written once in a while.
        """
        seen = self._lately_seen(authorization)
        if seen is None:
            self._remembered.pop(authorization, None)
            seen = await self._look_up(authorization)
            if seen is None:
                return None
            if len(self._remembered) >= self._remembered_max:
                self._remembered.clear()
            self._remembered[authorization] = seen
        if used and monotonic() >= seen.use_due_at:
            await self._write_use(seen)
        return seen.session if datetime.now(UTC) < seen.session.expires_at else None

    def remembered(self, authorization: str) -> Session | None:
        """Return what `of` would without a look-up; None where it would need one, or has none."""
        seen = self._lately_seen(authorization)
        if seen is None or monotonic() >= seen.use_due_at:
            return None
        return seen.session if datetime.now(UTC) < seen.session.expires_at else None

    async def end(self, authorization: str, session: Session) -> None:
        """End a session; ending it again changes nothing."""
        self._remembered.pop(authorization, None)
        await end_session(self._pool, session.session_id, datetime.now(UTC))

    def forget(self, session_id: str) -> None:
        """Remember nothing of a session: the next request of it asks the database."""
        for authorization, seen in list(self._remembered.items()):
            if seen.session.session_id == session_id:
                del self._remembered[authorization]

    async def listed(
        self, brand_id: int | None, cashier_id: int | None, after: str, number: int
    ) -> list[ListedSession]:
        """Return sessions that go on, by their ids after `after`; None stands for any."""
        rows = await self._pool.fetch(  # network op
            SQL["list"], brand_id, cashier_id, after, number, self._idle_s
        )
        return [ListedSession(**dict(row)) for row in rows]

    def _lately_seen(self, authorization: str) -> _Seen | None:
        seen = self._remembered.get(authorization)
        if seen is None or monotonic() - seen.looked_up_at >= self._recheck_s:
            return None
        return seen

    async def _subject(self, attempt: Attempt, brand_id: int, device_id: bytes | None) -> Subject:
        """Return what a try counts for."""
        user, store_id = attempt.user, attempt.store_id
        if device_id is not None and await self._devices.knows(device_id, store_id, brand_id, user):
            return known_device(device_id, brand_id, user)
        return stranger(brand_id, user, attempt.address, store_id)

    async def _begin(
        self, row: Any, store_id: int, subject: Subject, device_id: bytes
    ) -> tuple[str, Session]:
        token = make_key(PREFIX)
        now = datetime.now(UTC)
        session = _session(token.key_id, row, store_id, now + self._lifetime)
        begun = await self._pool.fetchval(  # network op
            *(SQL["begin"], token.key_id, token.secret_hash, session.cashier_id, store_id, now),
            *(session.expires_at, row["password_set_at"], now - KEPT_AFTER_END, subject.user),
            device_id,
        )
        if begun is None:
            raise SignInFailed
        return token.key, session

    async def _look_up(self, authorization: str) -> _Seen | None:
        scheme, _, token = authorization.partition(" ")
        parts = split_key(token, PREFIX) if scheme.lower() == "bearer" else None
        if parts is None:
            return None
        now = monotonic()
        row = await self._pool.fetchrow(SQL["session"], parts[0], self._idle_s)  # network op
        if row is None or not matches(parts[1], row["secret_hash"]):
            return None
        session = _session(parts[0], row, row["store_id"], row["expires_at"])
        return _Seen(session, now, now + self._use_written_s - row["unused_s"])

    async def _write_use(self, seen: _Seen) -> None:
        """Write that a session was used; where nothing can be written, it is used all the same."""
        seen.use_due_at = monotonic() + self._use_written_s
        with suppress(*NOTHING_WRITTEN, *OUT_OF_REACH):
            await self._pool.fetch(SQL["use"], seen.session.session_id)  # network op


async def find_session(
    connection: PooledConnection | Pool, session_id: str, principal: Principal
) -> ListedSession | None:
    """Return a session that a principal may end, over or not; None where there is none."""
    cashier_id = principal.cashier_id or None
    row = await connection.fetchrow(  # network op
        SQL["find"], session_id, principal.brand_id, cashier_id
    )
    return None if row is None else ListedSession(**dict(row))


async def end_session(connection: PooledConnection | Pool, session_id: str, at: datetime) -> None:
    """End a session; ending it again changes nothing."""
    await connection.fetch(SQL["end"], session_id, at)  # network op


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
