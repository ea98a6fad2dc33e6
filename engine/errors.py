"""Errors that cross the engine's layers. The docstring of a class is its message."""

from __future__ import annotations


class EngineError(Exception):
    """Something went wrong in the engine."""

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or self.__doc__)


class Overloaded(EngineError):
    """The engine has more work than it takes on; nothing was done. Try again in a moment."""


class Unavailable(EngineError):
    """The database is out of reach; nothing was done. Try again with the same idempotency key."""


class NotDurable(Unavailable):
    """The database could lose what it confirms; nothing was done."""

    def __init__(self, settings: str) -> None:
        """`settings` are those that are to blame, like `fsync = off`."""
        super().__init__(
            f"The database runs with {settings} and could lose what it confirms, so nothing was"
            " done. Try again with the same idempotency key once that is put right."
        )
        self.settings = settings


class ReadOnly(Unavailable):
    """The database is read-only; nothing was done. Try again later with the same key."""


class OutcomeUnknown(EngineError):
    """It is not known yet whether this was done; retry with the same idempotency key to learn."""


class KeyReused(EngineError):
    """This idempotency key was used for another request. Use a new key for a new intent."""


class CustomerNotFound(EngineError):
    """There is no such customer. Look the customer up, or register them."""


class PaymentNotFound(EngineError):
    """There is no such payment of this customer at this store."""


class ItemTaken(EngineError):
    """Another redemption took this unit or turn; nothing was done: pick again."""


class AllotmentClosed(EngineError):
    """The allotment that pays for the coins is closed; nothing was done: take another."""


class InvoicePaid(EngineError):
    """Coins are paid on this sale. Reverse the payment first, then void the sale."""


class FundBusy(EngineError):
    """Others have the coins of this fund and may be about to issue them; nothing was done."""


class Quarantined(EngineError):
    """The database refused this operation; it was taken out of its batch and not done."""


class Unaudited(EngineError):
    """The audit was broken off, so nothing is known of the books. Run it again."""

    @classmethod
    def by(cls, error: BaseException) -> Unaudited:
        """Say that the database was out of reach, and in whose words."""
        return cls(
            f"PostgreSQL is out of reach ({str(error) or type(error).__name__}), so the audit was"
            " broken off and nothing is known of the books. Run it again once the server is back."
        )
