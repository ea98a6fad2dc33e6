"""What is true of the compiled core alone: its hash, its numbers, its columns and its memory.

Memory is measured from outside, as the growth of the resident set of a process of its own.
"""

import subprocess
import sys
from hashlib import blake2b
from pathlib import Path
from random import Random
from re import MULTILINE, findall, search

import pytest

from engine.ledger import core, layout
from tests.copy_format import COLUMNS, HEADER, TRAILER, chain_hash

MIGRATION = Path(layout.__file__).parents[1] / "postgres/sql/migrations/0003_journal.sql"
EDGES = [0, 1, 111, 112, 113, 127, 128, 129, 239, 240, 241, 255, 256, 1000, 100_000]


@pytest.mark.parametrize("length", EDGES)
def test_the_hash_of_a_row_is_blake2b_whatever_its_length(length):
    random = Random(length)
    previous, row = random.randbytes(16), random.randbytes(length)
    assert core.hash_row(previous, row) == chain_hash(previous, row)
    assert core.hash_row(previous, row) == blake2b(previous + row, digest_size=16).digest()


def test_rows_of_all_short_lengths_hash_alike():
    for length in range(600):
        row = bytes(range(256)) * 3
        assert core.hash_row(bytes(16), row[:length]) == chain_hash(bytes(16), row[:length])


def test_a_hash_follows_one_of_16_bytes():
    with pytest.raises(ValueError, match="16 bytes"):
        core.hash_row(bytes(15), b"")


@pytest.mark.parametrize("size", [1, 16, 32, 63, 64])
@pytest.mark.parametrize("length", [0, 1, 111, 112, 113, 500])
def test_the_hash_of_a_row_has_the_key_of_the_chain(size, length):
    previous, row, key = bytes(range(16)), bytes(length), bytes(range(1, size + 1))
    expected = blake2b(previous + row, key=key, digest_size=16).digest()
    assert core.hash_row(previous, row, key) == expected


def test_the_key_of_a_chain_has_at_most_64_bytes():
    with pytest.raises(ValueError, match="at most 64 bytes"):
        core.hash_row(bytes(16), b"", bytes(65))


def test_the_first_row_follows_a_hash_of_zeros():
    assert bytes(16) == core.ZERO_HASH


def test_the_frame_of_a_copy_is_postgresqls():
    assert (core.COPY_HEADER, core.COPY_TRAILER) == (HEADER, TRAILER)


def test_a_posting_has_the_columns_of_the_journal_in_their_order():
    table = search(r"create table journal \((.*?)^\);", MIGRATION.read_text(), 16 | MULTILINE)[1]
    columns = findall(r"^    (\w+) +(\w+(?:\[\])?)( not null)?", table, MULTILINE)
    names = [*COLUMNS, "xid", "constraint", "constraint"]
    assert [name for name, _, _ in columns] == names
    for column, (_, type_, filled) in zip(layout.JOURNAL, columns, strict=False):
        assert type_ == ("bytea" if column.type == "holds" else column.type), column
        assert bool(filled) != column.nullable, column


# Memory.

PRELUDE = """
import gc
from engine.ledger.core import Leg, Ledger, Operation
from tests.copy_format import pack_lots

def resident():
    gc.collect()
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * 4096

ANA = bytes(16)
ledger = Ledger(0)
numbers = iter(range(10**9))

def operations(k):
    ids = [next(numbers).to_bytes(16, "big") for _ in range(7)]
    earned = dict(kind=1, asset=7, brand_id=7, requested=3, expires_day=99 + k % 40)
    coins = dict(coins=9, coins_expires_day=99 + k % 40, invoice_number=b"F-%d" % k)
    payment = dict(kind=3, requested=4, code_mac=ANA, tries_max=1, hold_expires_at=1 << 50)
    ask = dict(customer_id=ANA)
    bonus = dict(kind=14, requested=6, expires_day=99 + k % 40, brand_id=9)
    bonus |= dict(claim_reference=b"%d" % k)
    leg = Leg(asset=0, kind=14, amount=6, moved=[((99 + k % 40) << 32 | 9, 6)])
    undo = dict(kind=16, reference=ids[4], original=[leg])
    return [
        Operation(transaction_id=ids[0], details=b"{}", **earned, **coins, **ask),
        Operation(transaction_id=ids[1], kind=2, asset=7, requested=3, **ask),
        Operation(transaction_id=ids[2], **payment, **ask),
        Operation(transaction_id=ids[3], kind=4 + k % 2, reference=ids[2], code_mac=ANA, **ask),
        Operation(transaction_id=ids[4 + k % 2], **(undo if k % 2 else bonus), **ask),
        Operation(transaction_id=ids[5 - k % 2], **(bonus if k % 2 else undo), **ask),
        Operation(transaction_id=ids[6], kind=12, requested=10**9, qr_issued_at=1 + k, **ask),
    ]
"""
KEPT = """
from random import Random
random = Random(7)
wallets = 100_000
lots = pack_lots({(20_000 + n, 7): 5 for n in range(10)})
before = resident()
for customer in range(wallets // EACH):
    customer_id = random.randbytes(16)
    ledger.load_customer(customer_id, 0)
    for asset in range(EACH):
        ledger.load_wallet(customer_id, asset, 9, 50, 0, 0, lots, None, bytes(16), 1)
print((resident() - before) // wallets)
"""
CYCLES = """
def cycles(count):
    for k in range(count):
        batch = ledger.decide(operations(k), 1)
        ledger.SETTLE(batch)

ledger.load_customer(ANA, 0)
cycles(2_000)
before = resident()
cycles(100_000)
print(resident() - before)
"""
FAILURES = """
def failures(count):
    for k in range(count):
        ledger.load_customer(ANA, 0)
        ledger.load_wallet(ANA, 7, 9, 50, 0, 0, pack_lots({(99, 7): 50}), None, bytes(16), 1)
        for lots in (b"x" * 44, pack_lots({(99, 7): 51})):
            try:
                ledger.load_wallet(ANA, 0, 9, 50, 0, 0, lots, bytes(63), bytes(16), 1)
            except ValueError:
                pass
        try:
            Leg(asset=0, kind=14, amount=6, moved=[(99 << 32, 7)])
        except ValueError:
            pass
        ledger.wallet(ANA, 7).available(1 << 60, 0)
        ledger.decide(operations(k), 1)

failures(1_000)
before = resident()
failures(40_000)
print(resident() - before)
"""


def measured(program):
    """Return what `program` prints, run in a process of its own."""
    run = subprocess.run(
        [sys.executable, "-c", PRELUDE + program], capture_output=True, check=True, text=True
    )
    return int(run.stdout)


@pytest.mark.parametrize(("each", "bytes_max"), [(100, 400), (1, 700)])
def test_a_cached_wallet_of_10_lots_is_small(each, bytes_max):
    """Of 100 wallets the customer's own price is not felt, of one the wallet bears all of it."""
    assert measured(KEPT.replace("EACH", str(each))) <= bytes_max


@pytest.mark.parametrize("settle", ["publish", "discard"])
def test_700_000_operations_leave_no_memory_behind(settle):
    assert measured(CYCLES.replace("SETTLE", settle)) < 1_000_000


def test_what_fails_and_what_is_dropped_leaves_no_memory_behind():
    assert measured(FAILURES) < 1_000_000
