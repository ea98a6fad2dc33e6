"""Sets that are left some seconds after a mark: contended customers, watched owners of claims."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Generic, TypeVar

Marked = TypeVar("Marked")


class Recent(Generic[Marked]):
    """A bounded set whose members leave it some seconds after they were marked last."""

    def __init__(self, monotonic: Callable[[], float], seconds: float, members_max: int) -> None:
        self._monotonic = monotonic
        self._seconds = seconds
        self._members_max = members_max
        self._until: dict[Marked, float] = {}
        """Until when each is a member, those first that leave first."""

    def __bool__(self) -> bool:
        """Return whether there is any member now; those whose time is over leave."""
        now = self._monotonic()
        while self._until and self._until[first := next(iter(self._until))] < now:
            del self._until[first]
        return bool(self._until)

    def __contains__(self, member: Marked) -> bool:
        """Return whether this is a member now."""
        until = self._until.get(member)
        return until is not None and until >= self._monotonic()

    def mark(self, members: Iterable[Marked]) -> None:
        """Let these be members from now on; too many push out those that were marked first."""
        until = self._monotonic() + self._seconds
        for member in members:
            self._until.pop(member, None)
            self._until[member] = until
        while len(self._until) > self._members_max:
            del self._until[next(iter(self._until))]
