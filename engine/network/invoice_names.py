"""What names an invoice: its number, however it is typed, and where numbers restart also the day.

One paper is one invoice (INV-4): case, blanks and separators do not count. At a store whose numbers
restart every day, the business day belongs to the name; where each till has its own, the till too.
A paper keeps the name by which it was first printed, claimed or paid, whatever the store's scope
becomes.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from engine.constants import DAY_SECONDS, EPOCH_DAY
from engine.ledger.core import claim_key_of
from engine.programme.brands import Store
from engine.programme.calendar import iso_day, local_day

TILL_NEEDED = "Send `till`: each till of this store numbers its own receipts."


@dataclass(frozen=True, slots=True)
class InvoiceName:
    """An invoice of a store: its number as it was typed, and what else names it, if anything."""

    number: str
    scope: bytes | None

    @property
    def key(self) -> str:
        """The normal form, which is what is looked up and claimed."""
        return claim_key_of(self.number.encode(), self.scope).decode()


@dataclass(frozen=True, slots=True)
class EarlierName:
    """A name that a sale may stand by since before its store changed the scope of its numbers.

    The key is one from `low` to `high`. An invoice of that key is the same sale if it was issued
    from `since` to before `until`, and at the till of `till_key` as far as both tills are known.
    `paid` is whether coins that have paid it, of which no date is kept, have paid this sale.
    """

    low: str
    high: str
    since: datetime
    until: datetime
    till_key: str | None
    paid: bool


def name_of(store: Store, number: str, sold_at_s: float, till: str | None) -> InvoiceName:
    """Return what names an invoice of a sale at a moment (seconds since 1970) and a till.

    Raises ValueError where the till belongs to the name and is not given.
    """
    if store.invoice_scope == "forever":
        return InvoiceName(number, None)
    scope = iso_day(local_day(sold_at_s, store.brand.utc_offset)).encode()
    if store.invoice_scope == "till_day":
        key = till_key_of(till)
        if key is None:
            raise ValueError(TILL_NEEDED)
        scope += b"/" + key.encode()
    return InvoiceName(number, scope)


def needs_till(store: Store, till: str | None) -> bool:
    """Return whether a till belongs to the numbers of a store now, and is not given."""
    return store.invoice_scope == "till_day" and till_key_of(till) is None


def earlier_names(
    store: Store, number: str, sold_at_s: float, till: str | None
) -> list[EarlierName]:
    """Return the names that a sale may have by the scopes that its store had before."""
    offset, plain = store.brand.utc_offset, InvoiceName(number, None).key
    day = local_day(sold_at_s, offset)
    since, until = moments_of(EPOCH_DAY + timedelta(days=day), offset)
    of_day, till_key = f"{plain}@{iso_day(day)}", till_key_of(till)
    names = []
    for earlier in store.earlier_scopes:
        if earlier.scope == store.invoice_scope:
            continue
        low = high = plain
        if earlier.scope == "day":
            low = high = of_day
        elif earlier.scope == "till_day" and till_key is not None:
            low = high = f"{of_day}/{till_key}"
        elif earlier.scope == "till_day":
            low, high = f"{of_day}/", f"{of_day}/~"  # of any till: its key has letters and digits
        # A number that named one invoice for ever may have been paid long ago. On the day of the
        # change, it is taken for the sale of that day.
        paid = earlier.scope != "forever" or local_day(earlier.until, offset) == day
        names.append(EarlierName(low, high, since, until, till_key, paid))
    return names


def moments_of(day: date, utc_offset: int) -> tuple[datetime, datetime]:
    """Return the first moment of a day where the offset is, and the first one after it."""
    start = (day - EPOCH_DAY).days * DAY_SECONDS - utc_offset
    return datetime.fromtimestamp(start, UTC), datetime.fromtimestamp(start + DAY_SECONDS, UTC)


def till_key_of(till: str | None) -> str | None:
    """Return the normal form of a till's name, None where it has no letter and no digit."""
    key = b"" if till is None else claim_key_of(till.encode())
    return key.decode() if key != b"" else None


def scope_of(key: str) -> bytes | None:
    """Return what names an invoice beside its number, by its key."""
    _, sign, scope = key.partition("@")
    return scope.encode() if sign == "@" else None


def has_till(key: str) -> bool:
    """Return whether a till belongs to the name of an invoice, by its key."""
    return "/" in key
