"""Tries to sign in, counted in the database before they are evaluated (USR-1).

However many guesses come at once, and to however many workers: the row of the brand and the user
name lets a few through, then one after each pause, and the pause doubles. During a pause the right
password is not looked at either, so the answers tell nothing of it. Users who do not exist have
their row too: neither the answer, nor its time, nor the pause says who does. Whoever knows a user
name can make that cashier wait; a new password by the administrator ends the wait.
"""

from __future__ import annotations

from hashlib import blake2b

from engine.postgres.connections import Pool
from engine.postgres.sql import queries

SQL = queries("sessions")
DIGEST_SIZE = 16


class SignInPaused(Exception):
    """There were too many wrong tries: the next one is looked at after `seconds`."""

    def __init__(self, seconds: int) -> None:
        super().__init__(self.__doc__)
        self.seconds = seconds


class Tries:
    """Counts tries, and holds up whoever has had too many."""

    def __init__(self, pool: Pool, failures_max: int, pause_s_max: int) -> None:
        self._pool = pool
        self._failures_max = failures_max
        self._pause_s_max = pause_s_max

    async def count(self, subject: bytes) -> None:
        """Count a try as a failure, until `begin` of the session forgives it.

        Raises SignInPaused where it is not to be evaluated.
        """
        await self._pool.fetch(SQL["forget_tries"])  # network op
        counted = await self._pool.fetchval(  # network op
            SQL["count_try"], subject, self._failures_max, self._pause_s_max
        )
        if counted is None:
            seconds = await self._pool.fetchval(SQL["pause"], subject)  # network op
            raise SignInPaused(max(1, seconds or 1))


def subject_of(brand_id: int, user: str) -> bytes:
    """Return the name of a row of tries; hashed, for people type passwords where users belong."""
    return blake2b(f"{brand_id} {user.lower()}".encode(), digest_size=DIGEST_SIZE).digest()
