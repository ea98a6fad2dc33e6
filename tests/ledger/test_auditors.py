"""The audit's own workings: streams cut anywhere, ranges, processes, and what it says of them.

That each kind of change is found by the command is tested in tests/api/test_audit.py, what verbs
leave to be found in the tests of the verbs.
"""

import asyncio
import contextlib
import os
import signal
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from struct import pack
from uuid import UUID

import pytest
from harness import connection_to, until
from verbs import ANA, BEA, NOW, capture, cash_back, convert, earn, hold, post, redeem

from bench.books import Shape, fill
from engine.codes import Claim
from engine.errors import Unaudited
from engine.ledger.audit import (
    FIRST_ID,
    LAST_ID,
    Range,
    Shared,
    audit_journal,
    ranges_of,
    unbalanced,
)
from engine.ledger.claims import CLAIM_TABLES
from engine.ledger.core import Auditor, RollReader
from tests.copy_format import (
    CODECS,
    COLUMNS,
    HEADER,
    TRAILER,
    decode,
    encode,
    encode_journal,
    encode_row,
    pack_holds,
)

KEY = b"k" * 16


@pytest.fixture
def rows(compiled):
    """Rows of two customers, of several wallets each, in the order of the primary key."""
    compiled.load_customer(BEA, 0)
    operations = [earn(60, coins=40, invoice_number=b"fe - 1"), redeem(10), cash_back(9)]
    operations += [payment := hold(20), capture(payment), convert(5), earn(3, customer_id=BEA)]
    written = post(compiled, *operations)
    return sorted(written, key=lambda row: (row.customer_id, row.asset, row.seq))


def told_of(*pieces):
    """Return what an audit says of a stream that comes in these pieces."""
    auditor = Auditor(KEY)
    told = [fault for piece in pieces for fault in auditor.feed(piece)]
    return [*told, *auditor.finish(), *unbalanced(auditor.totals)], auditor


# Streams.


def test_a_stream_may_be_cut_at_any_byte(rows):
    rows[2] = replace(rows[2], store_id=rows[2].store_id + 1)
    stream = encode_journal(rows)
    expected, whole = told_of(stream)
    assert [fault.partition(") ")[2][:22] for fault in expected] == ["does not have the hash"]
    for at in range(len(stream) + 1):
        told, auditor = told_of(stream[:at], bytearray(stream[at:]))
        assert told == expected, at
        assert (auditor.rows, auditor.wallets) == (len(rows), whole.wallets), at
        assert (auditor.totals, auditor.rolls) == (whole.totals, whole.rolls), at
    assert told_of(*(stream[at : at + 1] for at in range(len(stream))))[0] == expected


def test_a_stream_that_ends_early_is_noticed(rows):
    stream = encode_journal(rows)
    for end in (0, 5, 19, len(stream) - 300, len(stream) - 1):
        assert "the stream of rows ended inside a row" in told_of(stream[:end])[0]
    assert told_of(stream)[0] == []
    assert told_of(encode_journal([]))[0] == []


@pytest.mark.parametrize("piece", [b"PGCOPX\n\xff\r\n\0" + bytes(8), bytes(100)])
def test_what_is_no_copy_is_refused(piece):
    with pytest.raises(ValueError, match="no binary COPY"):
        Auditor().feed(piece)


def test_rows_of_another_table_are_refused(rows):
    with pytest.raises(ValueError, match="a row has not 40 columns"):
        Auditor().feed(encode_journal([])[:-2] + encode_row([b"a", b"b"]))


def test_lots_holds_and_hashes_that_cannot_be_read_are_named(rows):
    [place] = [at for at, row in enumerate(rows) if row.holds]
    held = pack_holds(rows[place].holds)
    spoiled = {
        "has holds that are cut short or below zero": [
            {"holds": held[:63]},
            {"holds": held[:-1]},
            {"holds": held[:16] + pack(">q", -20) + held[24:]},
            {"holds": held[:60] + pack(">i", -1)},
        ],
        "has lots that are not pairs of a key and an amount": [
            {"lots": pack(">iiiiiiq", 1, 0, 20, 1, 1, 8, 5)},
            {"moved": b""},
        ],
        "does not have the hash of its content and the row before; it was changed": [
            {"hash": b"short"},
            {"hash": b""},
        ],
    }
    name = f"journal row (customer_id {UUID(bytes=ANA)}, asset 0, seq {rows[place].seq})"
    for sentence, changes in spoiled.items():
        for change in changes:
            packed = [encode(row) for row in rows]
            packed[place] = encode_with(rows[place], **change)
            told, auditor = told_of(HEADER + b"".join(packed) + TRAILER)
            assert f"{name} {sentence}" in told
            assert auditor.rows == len(rows)


def encode_with(row, **packed):
    """Return a row in which some fields are these very bytes."""
    values = [packed.get(name, CODECS[name][0](getattr(row, name))) for name in COLUMNS]
    return encode_row(values)


# Rolls.


def test_a_roll_is_that_of_a_set():
    records = [encode_row([bytes([at]), None, b"x" * at]) for at in range(40)]
    stream = HEADER + b"".join(records) + TRAILER
    roll = roll_of(stream)
    assert roll[0] == 40
    assert roll_of(HEADER + b"".join(reversed(records)) + TRAILER) == roll
    assert roll_of(HEADER + b"".join(records[:-1]) + TRAILER) != roll
    assert roll_of(HEADER + b"".join([*records[:-1], records[0]]) + TRAILER) != roll
    assert roll_of(stream, key=b"j" * 16) != roll
    assert roll_of(HEADER + TRAILER) == (0, 0, 0)
    for at in range(len(stream) + 1):
        assert roll_of(stream[:at], bytearray(stream[at:])) == roll, at


def roll_of(*pieces, key=KEY):
    reader = RollReader(3, key)
    for piece in pieces:
        reader.feed(piece)
    return reader.roll


def test_a_roll_of_half_a_stream_is_none():
    reader = RollReader(3, KEY)
    reader.feed(HEADER + encode_row([b"a", b"b", b"c"]))
    with pytest.raises(ValueError, match="ended inside a record"):
        _ = reader.roll
    with pytest.raises(ValueError, match="a row has not 3 columns"):
        reader.feed(encode_row([b"a"]))


@pytest.mark.parametrize(("columns", "key"), [(0, KEY), (49, KEY), (3, b"short")])
def test_a_roll_needs_columns_and_a_key(columns, key):
    with pytest.raises(ValueError, match=r"columns|16 bytes"):
        RollReader(columns, key)


def test_the_rows_call_for_what_the_batches_wrote(compiled):
    compiled.load_customer(BEA, 0)
    asked = [earn(60, coins=40, invoice_number=b"fe - 1"), earn(1, invoice_number=b"FE-1")]
    asked += [convert(5), convert(6, b"R-2", customer_id=BEA), earn(2, customer_id=BEA)]
    asked += [cash_back(3), earn(1, invoice_number=b"FE-1", invoice_scope=b"2026-01-31")]
    batch = compiled.decide(asked, NOW)
    auditor = Auditor(KEY)
    auditor.feed(encode_journal(sorted(decode(batch.journal), key=place_of)))
    wallets = [[id_, pack(">i", asset)] for id_, asset in batch.new_wallets]
    expected = {"wallet": wallets, "invoice_claim": [], "reference_claim": [], "order_claim": []}
    for kind, owner, key, *ids in batch.claims:
        named = [key] if kind == Claim.INVOICE else []
        expected[CLAIM_TABLES[kind].name].append([pack(">i", owner), *named, *ids])
    assert [len(records) for records in expected.values()] == [4, 2, 2, 1]
    for table, records in expected.items():
        reader = RollReader(len(records[0]), KEY)
        reader.feed(HEADER + b"".join(map(encode_row, records)) + TRAILER)
        assert auditor.rolls[table] == reader.roll, table


def place_of(row):
    return row.customer_id, row.asset, row.seq


# Ranges and processes, on a real journal.

ROWS = 4_000
CHANGES = {
    "amount = amount + 1": "has balance",
    "balance = balance + 10": "has balance",
    "held = held + 1": "held",
    "lots[2] = lots[2] + 1": "has lots of",
    "lots[1] = lots[1] + (1::bigint << 32)": "has lots that the row before",
    "moved[2] = moved[2] + 1": "has lots that the row before",
    "seq = seq + 100": "a row is missing",
    "counter = 0": "with the counter-account 0",
    "flags = flags # 1": "has flags",
    "recorded_at = recorded_at - interval '90 days'": "was recorded before the row before it",
    "hash = set_byte(hash, 3, get_byte(hash, 3) # 1)": "does not have the hash",
    "lots = lots[1:1]": "has lots that are not pairs",
}
COMPANIONS = {
    "delete from wallet where customer_id = $1": "journal rows of ({}, ",
    "insert into wallet values ($1, 99)": "wallet ({}, 99) has no first posting",
    "delete from invoice_claim where customer_id = $1": "journal row ({}, ",
    "insert into invoice_claim values (77, 'X1', $1, $1)": "invoice_claim (77, X1) has no",
    "update invoice_claim set transaction_id = $1 where customer_id = $1": "has no invoice_claim",
    "insert into item_unit values (1, 1, $1, $1)": "item_unit (1, 1) was taken by no redemption",
    "insert into item_turn values ($1, 1, 1, $1)": "item_turn ({}, 1, 1) was taken by no",
    "insert into qr_use values ($1, 5, $1)": "qr_use ({}, 5) has paid nothing",
    "insert into reference_claim values (9, 'R', $1, $1)": "(9, R) has no posting that claims",
    "insert into order_claim values (9, 'O', $1, $1)": "order_claim (9, O) has no posting",
    "insert into invoice_payment select 9, 'F', 5, 5"
    " where $1::uuid is not null": "(9, F) has 5 coins",
    "insert into invoice_claim select 77, 'X2', id, id"
    " from cast('00000000-0000-0000-0000-000000000000' as uuid) as id"
    " where $1::uuid is not null": "invoice (77, X2) is voided without",
}


@pytest.fixture
def books(loaded_network):
    """The DSN of a database whose books balance, of customers with several wallets each."""
    dsn = loaded_network.new_database()

    async def write():
        async with connection_to(dsn) as connection:
            assert await fill(connection, Shape(rows=ROWS, customers=240)) >= ROWS
            await connection.execute("analyze journal")

    asyncio.run(write())
    return dsn


async def audit(dsn, processes):
    """Audit in so many processes, or in this one where that is 0."""
    async with connection_to(dsn) as connection:
        seen = []
        shared = Shared(dsn, processes, 1)
        report = await audit_journal(connection, lambda done, _: seen.append(done), shared)
    assert seen == sorted(seen)
    assert seen[-1:] == [report.rows][: len(seen)]
    return report


def results_of(report):
    """Return all of a report but the time it took, and the rolls, whose key is never the same."""
    counted = report.rows, report.wallets, report.faults_found, report.trial_balance
    return *counted, report.faults, report.totals


async def test_processes_find_in_sound_books_what_one_does(books):
    reports = [await audit(books, processes) for processes in (0, 1, 3)]
    assert [report.faults for report in reports] == [[], [], []]
    assert reports[0].rows >= ROWS
    assert results_of(reports[0]) == results_of(reports[1]) == results_of(reports[2])


async def test_processes_find_at_the_borders_of_ranges_what_one_does(books):
    async with connection_to(books) as connection:
        ranges = await ranges_of(connection, ROWS, 3)
        assert len(ranges) == 24
        victims = [id_ for one in ranges for id_ in await at_the_borders(connection, one)]
        changes = zip(victims, [*CHANGES, *COMPANIONS], strict=False)
        expected = [await spoil(connection, victim, change) for victim, change in changes]
    reports = [await audit(books, processes) for processes in (0, 1, 3)]
    assert results_of(reports[0]) == results_of(reports[1]) == results_of(reports[2])
    assert len(expected) == len(CHANGES) + len(COMPANIONS)
    for name, sentence in expected:
        assert any(name in told and sentence in told for told in reports[0].faults), (
            name,
            sentence,
            reports[0].faults,
        )


async def at_the_borders(connection, ids):
    """Return the first and the last customer of a range."""
    rows = await connection.fetch(
        "select distinct customer_id from journal where customer_id between $1 and $2 order by 1",
        *ids,
    )
    return rows[0]["customer_id"], rows[-1]["customer_id"]


async def spoil(connection, victim, change):
    """Make a change; return what the audit shall name, and in which words."""
    if change in COMPANIONS:
        await connection.execute(change, victim)
        return "", COMPANIONS[change].format(victim)
    asset, seq = await connection.fetchrow(
        f"update journal set {change} where (customer_id, asset, seq) = (select customer_id, asset,"
        " seq from journal where customer_id = $1 and asset > 0 and kind = 1 and seq > 1"
        " order by asset, seq limit 1) returning asset, seq",
        victim,
    )
    return f"journal row (customer_id {victim}, asset {asset}, seq {seq})", CHANGES[change]


async def test_ranges_hold_every_customer_once(books):
    async with connection_to(books) as connection:
        for rows_in_all, processes in ((ROWS, 3), (ROWS, 0), (0, 0), (60_000_000, 1)):
            ranges = await ranges_of(connection, rows_in_all, processes)
            assert ranges[0].first == FIRST_ID
            assert ranges[-1].last == LAST_ID
            for one, other in pairwise(ranges):
                assert one.first.int <= one.last.int == other.first.int - 1
        await connection.execute("delete from journal")
        assert await ranges_of(connection, 0, 2) == [Range(FIRST_ID, LAST_ID)]


async def test_an_empty_journal_balances(books):
    async with connection_to(books) as connection:
        await connection.execute("truncate journal, wallet, invoice_claim")
        summary = (await audit_journal(connection)).summary
    assert summary.startswith("the books balance: 0 rows of 0 wallets, trial balance 0, ")


async def test_books_that_were_there_once_are_missed_by_every_process(books):
    """Rows that are estimated and not there: the processes have nothing but ranges to read."""
    async with connection_to(books) as connection:
        await connection.execute("delete from journal")
    report = await audit(books, 2)
    assert report.rows == 0
    assert report.faults_found == 200
    assert report.faults[0].startswith("invoice_claim (") or report.faults[0].startswith("wallet (")


# The server or a process goes away.


@pytest.fixture
async def stuck(books):
    """Return what starts an audit that waits for a lock; its task, and a connection beside it."""
    async with (
        connection_to(books) as own,
        connection_to(books) as other,
        connection_to(books) as holder,
        holder.transaction(),
    ):
        await holder.execute("lock table item_unit in access exclusive mode")
        started = []

        async def start(processes):
            shared = Shared(books, processes, 1)
            started.append(asyncio.create_task(audit_journal(own, shared=shared)))
            await until(lambda: waiting(other))
            return started[0], other

        yield start
        for task in started:
            task.cancel()
        await asyncio.gather(*started, return_exceptions=True)


def children():
    """Return the processes of the audit."""
    found = []
    for status in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            parent = int(status.with_name("stat").read_text().rpartition(")")[2].split()[1])
            if parent == os.getpid() and b"auditors" in status.read_bytes():
                found.append(int(status.parent.name))
    return found


async def waiting(connection):
    """Return whether an audit waits for a lock in this database."""
    return await connection.fetchval(
        "select count(*) from pg_stat_activity"
        " where wait_event_type = 'Lock' and datname = current_database()"
    )


@pytest.mark.parametrize("processes", [0, 2])
async def test_a_server_that_goes_away_is_told_in_a_sentence(stuck, processes):
    audit_, connection = await stuck(processes)
    while not audit_.done():  # one that asks for its lock a moment later is stuck as well
        await connection.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity"
            " where wait_event_type = 'Lock' and datname = current_database()"
        )
        await asyncio.sleep(0.05)
    with pytest.raises(Unaudited, match=r"PostgreSQL is out of reach .* says nothing of the books"):
        await audit_
    assert children() == []


async def test_a_process_that_is_ended_is_told_in_a_sentence(stuck):
    audit_, _ = await stuck(2)
    os.kill(children()[0], signal.SIGKILL)
    with pytest.raises(Unaudited, match="ended from outside"):
        await audit_
    assert children() == []


async def test_an_audit_that_is_given_up_leaves_no_process(stuck):
    audit_, _ = await stuck(2)
    assert len(children()) == 2
    audit_.cancel()
    with pytest.raises(asyncio.CancelledError):
        await audit_
    assert children() == []
