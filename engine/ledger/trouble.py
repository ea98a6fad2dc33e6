"""Trouble: why a lane cannot make a sale durable, from its last failure until its next success.

What passes by itself, such as a lock, is trouble only once it has lasted for longer than a
statement may take.
"""

from __future__ import annotations

from collections.abc import Callable

from engine.errors import EngineError, NotDurable, ReadOnly, Unavailable
from engine.ledger.clock import Clock
from engine.ledger.verdicts import Verdict, sqlstate_of

OUT_OF_REACH = "database out of reach"
PASSING = ("55P03", "57014")
DISK_FULL = "53100"
WORDS = {
    "25006": "database is read-only",
    "42501": "the role has no right to append",
    "53100": "the disk of the database is full",
    "53200": "the database is out of memory",
    "53300": "the database has no connection left",
    "55P03": "a table is locked",
    "57014": "statements take too long",
    "57P03": "the database is starting up or going down",
}
PAUSE_S_MIN = 0.05
PAUSE_S_MAX = 0.5
DOUBLINGS_MAX = 5
SETTLES_S = 2.0
"""How long after a refused append a look that finds nothing wrong is believed."""


def words_of(error: BaseException) -> str:
    """Return in a few words why the database cannot be used; nothing of it is personal."""
    if isinstance(error, NotDurable):
        return f"commits are not durable: {error.settings}"
    if isinstance(error, ReadOnly):
        return WORDS["25006"]
    if isinstance(error, EngineError):
        return str(error)
    return words_of_sqlstate(sqlstate_of(error))


def words_of_sqlstate(sqlstate: str) -> str:
    """Return what a SQLSTATE, or the name of an error without one, means for a sale."""
    if sqlstate in WORDS:
        return f"{WORDS[sqlstate]} ({sqlstate})"
    if len(sqlstate) == 5 and not sqlstate.startswith("08"):
        return f"the database refuses appends ({sqlstate})"
    return OUT_OF_REACH


def unavailable(sqlstate: str) -> Unavailable:
    """Return the error of operations that were not done because of this SQLSTATE."""
    return ReadOnly() if sqlstate == "25006" else Unavailable()


def pause_after(tries: int, uniform: Callable[[float, float], float]) -> float:
    """Return how many seconds to wait after failed tries: longer with each, up to half a second."""
    longest_s = min(PAUSE_S_MIN * 2.0 ** min(tries, DOUBLINGS_MAX), PAUSE_S_MAX)
    return uniform(0.5, 1) * longest_s


class Trouble:
    """The trouble of one lane, and how long it waits before it tries again."""

    def __init__(self, patience_ms: int, clock: Clock) -> None:
        self._clock = clock
        self._patience_s = patience_ms / 1000
        self._tries = 0
        self._sqlstate = ""
        self._words = ""
        self._since = 0.0
        self._last = 0.0
        self.in_opening = False
        """Whether it is that no connection can be opened, or not be used."""

    @property
    def reason(self) -> str | None:
        """Why no sale can be made durable, or None."""
        if not self._words or (
            self._sqlstate in PASSING and self._last - self._since < self._patience_s
        ):
            return None
        return self._words

    @property
    def any(self) -> bool:
        """Whether something failed since the last success."""
        return bool(self._words)

    @property
    def disk_full(self) -> bool:
        """Whether it is that the server has no room for what it writes."""
        return self._sqlstate == DISK_FULL

    def met(self, error: BaseException, *, in_opening: bool = True) -> None:
        """Remember what opening the journal, or reading from it, raised."""
        self._remember(sqlstate_of(error), words_of(error))
        self.in_opening = in_opening

    def judged(self, verdict: Verdict, sqlstate: str) -> None:
        """Learn what became of an append."""
        if verdict in (Verdict.DURABLE, Verdict.STALE, Verdict.SEEN):
            self.over()
        elif verdict is Verdict.UNAVAILABLE or sqlstate in PASSING:
            self._remember(sqlstate, words_of_sqlstate(sqlstate))
            self.in_opening = False

    def over(self) -> None:
        """Forget it."""
        self._sqlstate = self._words = ""
        self._tries = 0

    def over_unless_new(self, looked_at: float) -> None:
        """Forget it, for a look that began at `looked_at` (monotonic) found nothing wrong."""
        if self._last < looked_at - (0.0 if self.in_opening else SETTLES_S):
            self.over()

    def pause_s(self) -> float:
        """Return how long to wait before the next try: longer with each, up to half a second."""
        self._tries += 1
        return pause_after(self._tries, self._clock.uniform)

    def _remember(self, sqlstate: str, words: str) -> None:
        self._last = self._clock.monotonic()
        if not self._words:
            self._since = self._last
        self._sqlstate, self._words = sqlstate, words
