"""What names an invoice: its number, however it is typed, and where numbers restart also the day.

One paper is one invoice (INV-4): case, blanks and separators do not count. At a store whose numbers
restart every day, the business day belongs to the name; where each till has its own, the till too.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from engine.ledger.core import claim_key_of
from engine.programme.brands import Store
from engine.programme.calendar import EPOCH, local_day


@dataclass(frozen=True, slots=True)
class InvoiceName:
    """An invoice of a store: its number as it was typed, and what else names it, if anything."""

    number: str
    scope: bytes | None

    @property
    def key(self) -> str:
        """The normal form, which is what is looked up and claimed."""
        return claim_key_of(self.number.encode(), self.scope).decode()


def name_of(store: Store, number: str, sold_at_s: float, till: str | None) -> InvoiceName:
    """Return what names an invoice of a sale at a moment (seconds since 1970) and a till.

    Raises ValueError where the till belongs to the name and is not given.
    """
    if store.invoice_scope == "forever":
        return InvoiceName(number, None)
    day = EPOCH + timedelta(days=local_day(sold_at_s, store.brand.utc_offset))
    scope = day.isoformat().encode()
    if store.invoice_scope == "till_day":
        key = till_key_of(till)
        if key is None:
            raise ValueError("Send `till`: each till of this store numbers its own receipts.")
        scope += b"/" + key.encode()
    return InvoiceName(number, scope)


def till_key_of(till: str | None) -> str | None:
    """Return the normal form of a till's name, None where it has no letter and no digit."""
    key = b"" if till is None else claim_key_of(till.encode())
    return key.decode() if key != b"" else None


def scope_of(key: str) -> bytes | None:
    """Return what names an invoice beside its number, by its key."""
    _, sign, scope = key.partition("@")
    return scope.encode() if sign == "@" else None
