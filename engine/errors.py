"""Errors that cross the engine's layers. The docstring of a class is its message."""

from __future__ import annotations


class EngineError(Exception):
    """The engine failed."""

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or self.__doc__)


class Overloaded(EngineError):
    """The engine is overloaded; nothing was done. Try again in a moment."""


class Unavailable(EngineError):
    """The database is out of reach; nothing was done. Try again with the same idempotency key."""


class NotDurable(Unavailable):
    """The database could lose what it confirms; nothing was done."""

    def __init__(self, settings: str) -> None:
        """`settings` are those that are to blame, like `fsync = off`."""
        super().__init__(
            f"The database runs with {settings} and could lose what it confirms, so nothing was"
            " done. Try again with the same idempotency key once this is corrected."
        )
        self.settings = settings


class ReadOnly(Unavailable):
    """The database is read-only; nothing was done. Try again later with the same key."""


class OutcomeUnknown(EngineError):
    """Whether this was done is not known yet. Retry with the same idempotency key to find out."""


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
    """The database refused this operation, so it was not done. The rest of its batch was."""


class Unaudited(EngineError):
    """The audit did not complete, so it says nothing of the books. Run it again."""

    @classmethod
    def by(cls, error: BaseException) -> Unaudited:
        """Return the error of a database that is out of reach, with its message."""
        return cls(
            f"PostgreSQL is out of reach ({str(error) or type(error).__name__}), so the audit did"
            " not complete and says nothing of the books. Run it again once the server is back."
        )
