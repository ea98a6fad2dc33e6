"""Tries to sign in, counted in the database before they are evaluated (USR-1, USR-8).

However many guesses come at once, and to however many workers: the row of the brand and the user
name lets a few through, then one after each pause, and the pause doubles. During a pause the right
password is not looked at either, so the answers tell nothing of it. Users who do not exist have
their row too: neither the answer, nor its time, nor the pause says who does.

A stranger's try counts for the address it comes from and for the store too, so one password tried
on many users is slowed down like many on one. A user who fails several times counts once there: a
shop whose cashiers mistype is no attacker. A device that signed in before as that user at that
store has a row of its own and no other: strangers who fail pause only strangers. A new password by
the administrator ends the pause of a user.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b
from math import ceil
from time import monotonic

from engine.postgres.connections import Pool
from engine.postgres.sql import queries
from engine.settings import Settings

SQL = queries("sessions")
DIGEST_SIZE = 16
PAUSED_MAX = 10_000
"""Paused addresses and devices in memory."""


class SignInPaused(Exception):
    """There were too many wrong tries: the next one is looked at after `seconds`."""

    def __init__(self, seconds: int) -> None:
        super().__init__(self.__doc__)
        self.seconds = seconds


@dataclass(frozen=True, slots=True)
class Subject:
    """What a try counts for: a user on a known device, or a user and the places of a stranger."""

    user: bytes
    address: bytes | None = None
    store: bytes | None = None


class Tries:
    """Counts tries, and pauses users, addresses and stores that have had too many."""

    def __init__(self, pool: Pool, settings: Settings) -> None:
        self._pool = pool
        self._failures_max = settings.sign_in_failures_max
        self._pause_s_max = settings.sign_in_pause_s_max
        self._window_s = settings.sign_in_failures_window_s
        self._of_address_max = settings.sign_in_failures_of_address_max
        self._of_store_max = settings.sign_in_failures_of_store_max
        self._paused: dict[bytes, float] = {}

    def refuse_paused(self, subject: Subject) -> None:
        """Raise SignInPaused for an address or a device that is known to be paused, at no cost.

        Their pauses end by nothing but time, so a worker may remember them; that of a user ends by
        a new password too.
        """
        place = _lasting(subject)
        seconds = self._paused.get(place, 0.0) - monotonic()
        if seconds > 0:
            raise SignInPaused(ceil(seconds))
        self._paused.pop(place, None)

    async def count(self, subject: Subject) -> None:
        """Count a try as a failure, until `begin` of the session and `give_back` forgive it.

        Raises SignInPaused where it is not to be evaluated.
        """
        await self._pool.fetch(SQL["forget_tries"], self._window_s)  # network op
        if not await self._counted(subject):
            (row,) = await self._pool.fetch(  # network op
                SQL["pause"], subject.user, subject.address, subject.store
            )
            lasting = row["seconds"] if subject.address is None else row["of_address"]
            if lasting is not None and lasting > 0:
                self._remember_pause(_lasting(subject), lasting)
            raise SignInPaused(max(1, row["seconds"] or 1))

    async def give_back(self, subject: Subject) -> None:
        """Forgive at the places of a stranger what turned out to be no failure."""
        if subject.address is None:
            return
        for place, most in (
            (subject.address, self._of_address_max),
            (subject.store, self._of_store_max),
        ):
            await self._pool.fetch(SQL["give_back"], place, self._window_s / most)  # network op

    async def _counted(self, subject: Subject) -> bool:
        limits = (self._failures_max, self._pause_s_max)
        if subject.address is None:
            counted = await self._pool.fetchval(  # network op
                SQL["count_try"], subject.user, *limits
            )
            return counted is not None
        most = (self._of_address_max, self._of_store_max)
        whole: bool = await self._pool.fetchval(  # network op
            *(SQL["count_stranger"], subject.user, *limits, subject.address, subject.store),
            *(*most, *(self._window_s / one for one in most)),
        )
        return whole

    def _remember_pause(self, place: bytes, seconds: int) -> None:
        if len(self._paused) >= PAUSED_MAX:
            self._paused.clear()
        self._paused[place] = monotonic() + seconds


def _lasting(subject: Subject) -> bytes:
    """Return what of a subject has pauses that end by time alone."""
    return subject.user if subject.address is None else subject.address


def stranger(brand_id: int, user: str, address: str, store_id: int) -> Subject:
    """Return what a stranger's try counts for; hashed, for people type passwords anywhere."""
    return Subject(
        subject_of(brand_id, user), _digest(f"address {address}"), _digest(f"store {store_id}")
    )


def known_device(device_id: bytes, brand_id: int, user: str) -> Subject:
    """Return what a try on a known device counts for."""
    return Subject(_digest(f"device {device_id.hex()} {brand_id} {user.lower()}"))


def subject_of(brand_id: int, user: str) -> bytes:
    """Return the name of a row of tries by strangers."""
    return _digest(f"{brand_id} {user.lower()}")


def _digest(text: str) -> bytes:
    return blake2b(text.encode(), digest_size=DIGEST_SIZE).digest()
