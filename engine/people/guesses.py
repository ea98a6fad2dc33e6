"""How often a principal may ask for people who are not there (CUS-2).

A look-up tells who is a customer, and so does a registration that meets somebody. One stolen key of
a till would be enough to go through every phone of a country. So each principal has a purse of
misses, which fills again over an hour: a look-up takes one before it is looked at, and gives it
back where it found somebody. Tills with customers before them seldom miss.

Purses are in the memory of each worker, so N workers let N times as many through; that is a bound
all the same. The network's own keys and the app's back end are not counted: they ask for everybody.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from math import ceil
from time import monotonic

from engine.errors import EngineError
from engine.people.keys import Principal, Role

HOUR_S = 3600.0
PRINCIPALS_MAX = 100_000
"""Purses in memory; the one that was not used for the longest time goes first, and goes full."""


class TooManyGuesses(EngineError):
    """Too many of this key's look-ups and registrations met nobody, or somebody else."""

    def __init__(self, seconds: int) -> None:
        super().__init__(f"{self.__doc__} Try again in {seconds} s.")
        self.seconds = seconds


class Guesses:
    """A purse of misses for each principal; `misses_max` says how many an hour by its role."""

    def __init__(
        self,
        misses_max: dict[Role, int],
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._misses_max = misses_max
        self._clock = clock
        self._purses: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, principal: Principal, number: int = 1) -> None:
        """Take misses before anything is looked up; raises TooManyGuesses where there is none left.

        A principal with one left may take as many as it asks for at once, and pays back by waiting.
        """
        most = self._misses_max.get(principal.role)
        if most is None:
            return
        now, owner = self._clock(), _owner(principal)
        left, since = self._purses.pop(owner, (float(most), now))
        left = min(float(most), left + (now - since) * most / HOUR_S)
        refused = left < 1
        self._purses[owner] = (left if refused else left - number, now)
        if len(self._purses) > PRINCIPALS_MAX:
            self._purses.popitem(last=False)
        if refused:
            raise TooManyGuesses(ceil((1 - left) * HOUR_S / most))

    def give_back(self, principal: Principal, number: int = 1) -> None:
        """Give back what was taken for what was no miss."""
        owner = _owner(principal)
        if (purse := self._purses.get(owner)) is not None:
            self._purses[owner] = (purse[0] + number, purse[1])


def _owner(principal: Principal) -> str:
    """Return whose purse it is: the cashiers of a store share one, for each can sign in anew."""
    cashier = principal.role is Role.CASHIER
    return f"store:{principal.store_id}" if cashier else principal.key_id
