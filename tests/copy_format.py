"""The journal's rows as binary COPY carries them, packed and unpacked with nothing but `struct`.

A row is a count of fields, then each field as its length and its value; a NULL is the length -1.
The last field chains the row: BLAKE2b-128 of the hash before it and of all its other bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, fields, replace
from hashlib import blake2b
from struct import Struct, calcsize, pack, unpack_from
from typing import Any

from engine.codes import ISSUES, Counter, Kind
from engine.ledger import layout
from engine.ledger.core import Leg

HEADER = b"PGCOPY\n\xff\r\n\0" + pack(">ii", 0, 0)
TRAILER = pack(">h", -1)
NULL = pack(">i", -1)
BIGINT_OID = 20
POSTGRES_EPOCH = 946_684_800_000_000  # 2000-01-01 in microseconds since 1970

Lots = dict[tuple[int, int], int]
"""Amounts by (expires_day, issuer)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """Coins set aside for a payment, with the lots they were taken from."""

    payment_id: bytes
    coins: int
    expires_at: int
    code_mac: bytes
    brand_id: int
    store_id: int
    tries_left: int
    resends_left: int
    item_id: int = 0
    unit: int = 0
    turn: int = 0
    invoice_key: bytes | None = None
    lots: Lots


@dataclass(frozen=True, slots=True, kw_only=True)
class Posting:
    """A row of the journal, one attribute a column, in the order of the columns."""

    customer_id: bytes
    asset: int
    by_id: int = 0
    seq: int
    transaction_id: bytes
    leg: int = 0
    kind: int
    refusal: int = 0
    part: int = 0
    requested: int = 0
    amount: int = 0
    held_amount: int = 0
    balance: int = 0
    held: int = 0
    counter: int = 0
    cause: int = 0
    counter_party: int = 0
    brand_id: int = 0
    store_id: int = 0
    flags: int = 0
    missing_fields: int = 0
    till: int = 0
    batch_rows: int = 0
    writer_id: int = 0
    batch: int = 0
    fingerprint: int = 0
    occurred_at: int
    recorded_at: int
    bill_amount: int | None = None
    counted_day: int | None = None
    counted_sales: int | None = None
    counted_points: int | None = None
    reference: bytes | None = None
    lots: Lots = field(default_factory=dict)
    moved: Lots = field(default_factory=dict)
    holds: tuple[Hold, ...] = ()
    invoice_number: bytes | None = None
    invoice_scope: bytes | None = None
    details: bytes | None = None
    hash: bytes = b""


def encode(posting: Posting) -> bytes:
    """Return the row of `posting`."""
    return encode_row(CODECS[column][0](getattr(posting, column)) for column in COLUMNS)


def encode_row(values: Iterable[bytes | None]) -> bytes:
    """Return a row of fields that are packed already."""
    fields_ = [NULL if value is None else pack(">i", len(value)) + value for value in values]
    return pack(">h", len(fields_)) + b"".join(fields_)


def chained(posting: Posting, previous: bytes, key: bytes = b"") -> Posting:
    """Return `posting` with the hash that chains it to the row whose hash is `previous`."""
    return replace(posting, hash=chain_hash(previous, encode(posting)[: -len(pack(">i", 0))], key))


def chain_hash(previous: bytes, row: bytes, key: bytes = b"") -> bytes:
    """Return the hash of `row`, which is without its last field, after `previous`."""
    return blake2b(previous + row, key=key, digest_size=16).digest()


def derived_id(customer_id: bytes, asset: int, seq: int) -> bytes:
    """Return the transaction id of a posting nobody asked for: a UUID made from its place."""
    digest = bytearray(chain_hash(customer_id, pack(">iq", asset, seq)))
    digest[6] = digest[6] & 0x0F | 0x80  # version 8
    digest[8] = digest[8] & 0x3F | 0x80
    return bytes(digest)


def leg_of(posting: Posting, **item: int) -> Leg:
    """Return what a reversal needs to know of a row, and of the item that it took."""
    names = ("asset", "kind", "refusal", "amount", "held_amount", "counter", "counter_party")
    taker = posting.reference if posting.kind == Kind.CAPTURE else posting.transaction_id
    issues = posting.kind in ISSUES and posting.counter == Counter.COINS_ISSUED
    facts = {name: getattr(posting, name) for name in names} | {"taker": taker}
    facts |= {"allotment_id": posting.reference if issues else None}
    facts |= {"moved": [(day << 32 | issuer, n) for (day, issuer), n in posting.moved.items()]}
    return Leg(**facts, **item)


def encode_journal(postings: Iterable[Posting]) -> bytes:
    """Return a whole COPY of `postings`."""
    return HEADER + b"".join(map(encode, postings)) + TRAILER


def decode(journal: bytes) -> list[Posting]:
    """Return the postings of a whole COPY; raises AssertionError where it is not one."""
    postings = []
    for values in decode_rows(journal):
        packed = zip(COLUMNS, values, strict=True)
        postings.append(Posting(**{column: CODECS[column][1](value) for column, value in packed}))
    return postings


def decode_rows(copy: bytes) -> Iterator[list[bytes | None]]:
    """Return the fields of the rows of a whole COPY, as they are packed."""
    assert copy.startswith(HEADER)
    assert copy.endswith(TRAILER)
    at = len(HEADER)
    while at < len(copy) - len(TRAILER):
        (count,) = unpack_from(">h", copy, at)
        at += 2
        values = []
        for _ in range(count):
            (length,) = unpack_from(">i", copy, at)
            at += 4
            values.append(None if length == -1 else copy[at : at + length])
            at += max(length, 0)
        yield values


def pack_lots(lots: Lots) -> bytes:
    """Return lots as the value of a bigint[] of key, amount, key, amount …"""
    if not lots:
        return pack(">iii", 0, 0, BIGINT_OID)
    numbers = [n for (day, issuer), amount in lots.items() for n in (day << 32 | issuer, amount)]
    array = pack(">iiiii", 1, 0, BIGINT_OID, len(numbers), 1)
    return array + b"".join(pack(">iq", 8, number) for number in numbers)


def unpack_lots(array: bytes) -> Lots:
    """Return the lots of a bigint[], as array_send gives it."""
    if array == pack_lots({}):
        return {}
    dimensions, nulls, oid, count, lower = unpack_from(">iiiii", array)
    assert (dimensions, nulls, oid, lower) == (1, 0, BIGINT_OID, 1)
    pairs = [unpack_from(">iq", array, 20 + 12 * at) for at in range(count)]
    assert len(array) == 20 + 12 * count
    assert all(length == 8 for length, _ in pairs)
    numbers = [number for _, number in pairs]
    return lots_of(zip(numbers[::2], numbers[1::2], strict=True))


def negated(lots: Lots) -> Lots:
    """Return `lots` as lots that leave."""
    return {key: -amount for key, amount in lots.items()}


def lots_of(pairs: Iterable[tuple[int, int]]) -> Lots:
    """Return lots by (expires_day, issuer) from pairs of a lot key and its amount."""
    return {(key >> 32, key & 0xFFFFFFFF): amount for key, amount in pairs}


def _struct(fields_: tuple[layout.HoldField, ...]) -> Struct:
    """Return how the fields of a hold are packed; the number of lots has a bit where signs are."""
    integers = {2: "h", 4: "i", 8: "q"}
    kinds = [f"{field.size}s" if field.text else integers[field.size] for field in fields_]
    return Struct(">" + "".join(kinds))


HOLD, HOLD_ITEM, HOLD_LOT = map(_struct, (layout.HOLD, layout.HOLD_ITEM, layout.HOLD_LOT))
ITEM_BIT, INVOICE_BIT = layout.ITEM_BIT, layout.INVOICE_BIT
HOLD_FIELDS = tuple(field.name for field in layout.HOLD[:-1])
HOLD_ITEM_FIELDS = tuple(field.name for field in layout.HOLD_ITEM)


def pack_holds(holds: Iterable[Hold]) -> bytes | None:
    """Return the column `holds`: NULL where there are none."""
    packed = b""
    for hold in holds:
        of_item = hold.item_id != 0
        values = [getattr(hold, name) for name in HOLD_FIELDS]
        bits = ITEM_BIT * of_item | INVOICE_BIT * (hold.invoice_key is not None)
        count = len(hold.lots) | bits
        packed += HOLD.pack(*values, count - (1 << 32) if count & ITEM_BIT else count)
        if of_item:
            packed += HOLD_ITEM.pack(hold.item_id, hold.unit, hold.turn)
        if hold.invoice_key is not None:
            packed += pack(">h", len(hold.invoice_key)) + hold.invoice_key
        for (day, issuer), amount in hold.lots.items():
            packed += HOLD_LOT.pack(day << 32 | issuer, amount)
    return packed or None


def unpack_holds(packed: bytes | None) -> tuple[Hold, ...]:
    """Return the holds of the column `holds`."""
    return tuple(_each_hold(packed or b""))


def _each_hold(packed: bytes) -> Iterator[Hold]:
    at = 0
    while at < len(packed):
        *values, count = HOLD.unpack_from(packed, at)
        count &= 0xFFFFFFFF
        at += HOLD.size
        item = (0, 0, 0)
        if count & ITEM_BIT:
            item, count = HOLD_ITEM.unpack_from(packed, at), count & ~ITEM_BIT
            at += HOLD_ITEM.size
        invoice_key = None
        if count & INVOICE_BIT:
            (size,) = unpack_from(">h", packed, at)
            invoice_key, count = packed[at + 2 : at + 2 + size], count & ~INVOICE_BIT
            at += 2 + size
        pairs = [HOLD_LOT.unpack_from(packed, at + HOLD_LOT.size * lot) for lot in range(count)]
        at += HOLD_LOT.size * count
        known = dict(zip(HOLD_FIELDS + HOLD_ITEM_FIELDS, (*values, *item), strict=True))
        yield Hold(**known, invoice_key=invoice_key, lots=lots_of(pairs))


Codec = tuple[Callable[[Any], bytes | None], Callable[[Any], Any]]


def _integer(code: str, epoch: int = 0) -> Codec:
    def unpack(value: bytes | None) -> int | None:
        assert value is None or len(value) == calcsize(code)
        return None if value is None else unpack_from(code, value)[0] + epoch

    return lambda n: None if n is None else pack(code, n - epoch), unpack


_INT16, _INT32, _INT64 = _integer(">h"), _integer(">i"), _integer(">q")
_TIME = _integer(">q", POSTGRES_EPOCH)
_BYTES: Codec = (lambda value: value, lambda value: value)
_LOTS: Codec = (pack_lots, unpack_lots)
_HOLDS: Codec = (pack_holds, unpack_holds)

COLUMNS = [f.name for f in fields(Posting)]
CODEC_OF: dict[str, Codec] = {
    **dict.fromkeys(("uuid", "bytea", "text"), _BYTES),
    "smallint": _INT16,
    "integer": _INT32,
    "bigint": _INT64,
    "timestamptz": _TIME,
    "bigint[]": _LOTS,
    "holds": _HOLDS,
}
CODECS = {column.name: CODEC_OF[column.type] for column in layout.JOURNAL}
assert list(CODECS) == COLUMNS, "a Posting has the columns of engine/ledger/layout.py, in its order"
