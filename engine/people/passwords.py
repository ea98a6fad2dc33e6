"""Passwords of cashiers: argon2id, hashed in threads of their own (USR-1).

The parameters are those of RFC 9106 for little memory: 3 passes over 64 MiB in 4 lanes, which take
about 145 ms on two cores. Whoever signs in waits for that; nobody else does: the threads leave the
event loop alone, give way to all other work where the system lets them, and only so many may wait.
"""

from __future__ import annotations

import asyncio
import os
import sys
import threading
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from argon2.profiles import RFC_9106_LOW_MEMORY

from engine.errors import EngineError
from engine.people.strength import refuse_weak

HASHER = PasswordHasher.from_parameters(RFC_9106_LOW_MEMORY)
NICENESS = 10

Result = TypeVar("Result")


class TooManySignIns(EngineError):
    """So many passwords wait to be hashed that no other is taken on: try again in a moment."""


class Passwords:
    """Hashes and checks passwords beside the event loop, a few at a time."""

    def __init__(self, hashing_max: int, waiting_max: int) -> None:
        self._threads = ThreadPoolExecutor(hashing_max, "passwords", initializer=_give_way)
        self._places = hashing_max + waiting_max

    @contextmanager
    def place(self) -> Iterator[None]:
        """Hold one of the places there are for passwords in hand; raises TooManySignIns."""
        if self._places <= 0:
            raise TooManySignIns
        self._places -= 1
        try:
            yield
        finally:
            self._places += 1

    async def hash(self, password: str) -> str:
        """Return what is stored of a password; the caller has a place."""
        return await self._in_thread(lambda: hash_password(password))

    async def hash_new(self, password: str, names: Iterable[str]) -> str:
        """Return what is stored of a new password; the caller has a place.

        Raises WeakPassword for one that is guessed first; `names` are what others know of the user.
        """

        def judged_and_hashed() -> str:
            refuse_weak(password, names)
            return hash_password(password)

        return await self._in_thread(judged_and_hashed)

    async def matches(self, password: str, stored: str | None) -> bool:
        """Return whether it is the password that was stored; the caller has a place.

        Where none was stored it never is, which takes as long to say.
        """
        return await self._in_thread(lambda: _matches(password, stored))

    def close(self) -> None:
        """Take no more on."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _in_thread(self, work: Callable[[], Result]) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)


def hash_password(password: str) -> str:
    """Return what is stored of a password. Takes a while: not for the event loop."""
    return HASHER.hash(_bytes(password))


def is_outdated(stored: str) -> bool:
    """Return whether a hash was made with parameters of the past."""
    return HASHER.check_needs_rehash(stored)


def _matches(password: str, stored: str | None) -> bool:
    if stored is None:
        hash_password(password)
        return False
    try:
        return HASHER.verify(stored, _bytes(password))
    except (VerificationError, InvalidHashError):
        return False


def _bytes(password: str) -> bytes:
    """Return the same bytes for the same text, whatever keyboard composed its accents."""
    return unicodedata.normalize("NFC", password).encode()


def _give_way() -> None:
    if sys.platform == "linux":  # elsewhere it would slow down the whole process
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)
