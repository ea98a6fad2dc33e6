"""The layout of a row of the journal and of a packed hold: which fields, in which order.

The columns are written and hashed in this order. `make codes` writes what the compiled core
includes of it, `ext/layout.pxi`, and the page `docs/reference/journal-row.md`. The migration that
creates the table says what each column means.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

Type = Literal[
    "uuid", "smallint", "integer", "bigint", "timestamptz", "bigint[]", "text", "holds", "bytea"
]
"""A type of PostgreSQL; `holds` is a bytea of packed holds."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the journal."""

    name: str
    type: Type
    nullable: bool = False


JOURNAL: Final = (
    Column("customer_id", "uuid"),
    Column("asset", "integer"),
    Column("by_id", "integer"),
    Column("seq", "bigint"),
    Column("transaction_id", "uuid"),
    Column("leg", "smallint"),
    Column("kind", "smallint"),
    Column("refusal", "smallint"),
    Column("part", "smallint"),
    Column("requested", "bigint"),
    Column("amount", "bigint"),
    Column("held_amount", "bigint"),
    Column("balance", "bigint"),
    Column("held", "bigint"),
    Column("counter", "smallint"),
    Column("cause", "smallint"),
    Column("counter_party", "integer"),
    Column("brand_id", "integer"),
    Column("store_id", "integer"),
    Column("flags", "smallint"),
    Column("missing_fields", "smallint"),
    Column("till", "smallint"),
    Column("batch_rows", "smallint"),
    Column("writer_id", "integer"),
    Column("batch", "integer"),
    Column("fingerprint", "bigint"),
    Column("occurred_at", "timestamptz"),
    Column("recorded_at", "timestamptz"),
    Column("bill_amount", "bigint", nullable=True),
    Column("counted_day", "integer", nullable=True),
    Column("counted_sales", "integer", nullable=True),
    Column("counted_points", "bigint", nullable=True),
    Column("reference", "uuid", nullable=True),
    Column("lots", "bigint[]"),
    Column("moved", "bigint[]"),
    Column("holds", "holds", nullable=True),
    Column("invoice_number", "text", nullable=True),
    Column("invoice_scope", "text", nullable=True),
    Column("details", "text", nullable=True),
    Column("hash", "bytea"),
)
"""The columns that an append writes; the last one chains the row to the one before it."""

COLUMNS: Final = [column.name for column in JOURNAL]


@dataclass(frozen=True, slots=True)
class HoldField:
    """A field of fixed size of a packed hold; `size` in bytes, of an integer a big-endian one."""

    name: str
    size: int
    about: str
    text: bool = False


HOLD: Final = (
    HoldField("payment_id", 16, "the payment", text=True),
    HoldField("coins", 8, "the coins that are set aside"),
    HoldField("expires_at", 8, "when they go back, in microseconds since 1970"),
    HoldField("code_mac", 16, "the MAC of the code that is expected", text=True),
    HoldField("brand_id", 4, "where the payment is made"),
    HoldField("store_id", 4, "the same"),
    HoldField("tries_left", 2, "how often a wrong code may still be typed"),
    HoldField("resends_left", 2, "how often a code may still be sent again"),
    HoldField("lots", 4, "the number of lots, and two bits above it"),
)
"""What every packed hold begins with."""

HOLD_ITEM: Final = (
    HoldField("item_id", 4, "the item that is paid for"),
    HoldField("unit", 4, "the unit of its stock, or 0"),
    HoldField("turn", 4, "how often the customer has taken it then, or 0"),
)
"""What follows where the bit `ITEM_BIT` is set."""

HOLD_LOT: Final = (
    HoldField("key", 8, "the last day << 32 | the issuer"),
    HoldField("amount", 8, "the coins of that lot"),
)
"""What each lot is, at the end of a hold."""

INVOICE_KEY_LENGTH_SIZE: Final = 2
"""The bytes of the length of an invoice's key, which follows where `INVOICE_BIT` is set."""

ITEM_BIT: Final = 1 << 31
INVOICE_BIT: Final = 1 << 30


def size_of(fields: tuple[HoldField, ...]) -> int:
    """Return how many bytes some fields have."""
    return sum(field.size for field in fields)
