"""What an answer of PostgreSQL to an append means: a real server's errors where they exist."""

from __future__ import annotations

import asyncio
from uuid import uuid4

import asyncpg
import pytest
from harness import connection_to

from engine.ledger.verdicts import Verdict, sqlstate_of, verdict_of

CUSTOMER = uuid4()
CLAIM = "insert into invoice_claim values (1, $1, $2, $3)"
POSTING = """
insert into journal (customer_id, asset, seq, transaction_id, leg, kind, refusal, requested, amount,
  held_amount, balance, held, counter, counter_party, brand_id, store_id, flags, missing_fields,
  by_id, part, cause, till, batch_rows, writer_id, batch,
  lots, moved, fingerprint, occurred_at, recorded_at, hash)
values ($1, $2, $3, $4, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
  0, 0, 0, 0, 0, 0, 0, '{}', '{}', 0, now(), now(), '')
"""
REVERSAL = POSTING.replace("0, 1, 0,", "0, 16, 0,", 1).replace("lots,", "reference, lots,")
REVERSAL = REVERSAL.replace("'{}', '{}'", "$5, '{}', '{}'")


async def error_of(awaitable):
    """Return what it raises."""
    with pytest.raises(asyncpg.PostgresError) as caught:
        await awaitable
    return caught.value


@pytest.fixture
async def connection(database):
    async with connection_to(database) as connection:
        yield connection


@pytest.fixture
async def other(database):
    async with connection_to(database) as connection:
        yield connection


async def test_a_place_that_is_taken_is_stale(connection):
    await connection.execute(POSTING, CUSTOMER, 1, 1, uuid4())
    error = await error_of(connection.execute(POSTING, CUSTOMER, 1, 1, uuid4()))
    assert error.constraint_name == "journal_pkey"
    assert verdict_of(error) is Verdict.STALE


async def test_a_wallet_that_is_there_is_stale(connection):
    insert = "insert into wallet values ($1, 1)"
    await connection.execute(insert, CUSTOMER)
    assert verdict_of(await error_of(connection.execute(insert, CUSTOMER))) is Verdict.STALE


async def test_a_key_that_is_there_is_seen(connection):
    key = uuid4()
    await connection.execute(POSTING, CUSTOMER, 2, 1, key)
    error = await error_of(connection.execute(POSTING, CUSTOMER, 2, 2, key))
    assert error.constraint_name == "journal_transaction_key"
    assert verdict_of(error) is Verdict.SEEN


async def test_an_invoice_that_is_claimed_is_seen(connection):
    await connection.execute(CLAIM, "F-1", CUSTOMER, uuid4())
    error = await error_of(connection.execute(CLAIM, "F-1", CUSTOMER, uuid4()))
    assert error.constraint_name == "invoice_claim_pkey"
    assert verdict_of(error) is Verdict.SEEN


@pytest.mark.parametrize(
    ("taking", "constraint"),
    [
        ("insert into item_unit values (1, 1, $1, $2)", "item_unit_pkey"),
        ("insert into item_turn values ($1, 1, 1, $2)", "item_turn_pkey"),
        ("insert into qr_use values ($1, 1, $2)", "qr_use_pkey"),
        (
            "insert into failed_code select 1, 1, 1, $1::uuid, now() where $2::uuid <> $1",
            "failed_code_pkey",
        ),
        ("insert into reference_claim values (1, 'R-1', $1, $2)", "reference_claim_pkey"),
    ],
)
async def test_what_is_taken_and_can_be_taken_once_is_seen(connection, taking, constraint):
    await connection.execute(taking, CUSTOMER, uuid4())
    error = await error_of(connection.execute(taking, CUSTOMER, uuid4()))
    assert error.constraint_name == constraint
    assert verdict_of(error) is Verdict.SEEN


async def test_a_transaction_that_is_reversed_is_seen(connection):
    original = uuid4()
    await connection.execute(REVERSAL, CUSTOMER, 3, 1, uuid4(), original)
    error = await error_of(connection.execute(REVERSAL, CUSTOMER, 3, 2, uuid4(), original))
    assert error.constraint_name == "journal_reversal"
    assert verdict_of(error) is Verdict.SEEN


@pytest.mark.parametrize("drawn", [6, -1])
async def test_an_allotment_that_has_not_so_many_coins_is_seen(connection, drawn):
    allotment = uuid4()
    opened = "insert into issuer_allotment values ($1, 1, 5, 0, now())"
    await connection.execute(opened, allotment)
    for of in (allotment, uuid4()):
        error = await error_of(connection.execute("call draw_coins($1, $2, 0)", of, drawn))
        assert error.constraint_name == "issuer_allotment_drawn"
        assert (verdict_of(error), sqlstate_of(error)) == (Verdict.SEEN, "23514")


async def test_another_unique_key_is_refused(connection):
    await connection.execute("create temporary table numbers (n int constraint other_key unique)")
    await connection.execute("insert into numbers values (1)")
    error = await error_of(connection.execute("insert into numbers values (1)"))
    assert (verdict_of(error), sqlstate_of(error)) == (Verdict.REFUSED, "23505")


@pytest.mark.parametrize(
    ("statement", "sqlstate"),
    [
        ("insert into programme values (1, now() + '1 s', 9, -1, 1, 1, 0, 1, true, true)", "23514"),
        ("insert into wallet values (null, 1)", "23502"),
        ("select 9223372036854775807::bigint + 1", "22003"),
        ("select 1 / 0", "22012"),
        ("select 'x'::uuid", "22P02"),
        ("select convert_from('\\x00', 'UTF8')", "22021"),
        ("selec", "42601"),
        ("do $$ begin raise exception 'no'; end $$", "P0001"),
    ],
)
async def test_what_is_bad_and_stays_bad_is_refused(connection, statement, sqlstate):
    error = await error_of(connection.execute(statement))
    assert (sqlstate_of(error), verdict_of(error)) == (sqlstate, Verdict.REFUSED)


@pytest.mark.parametrize(
    ("statement", "sqlstate"),
    [
        ("select nothing from nowhere", "42P01"),
        ("select nothing from wallet", "42703"),
        ("call draw_coin()", "42883"),
        ("select 1 from nowhere.wallet", "42P01"),
        ("set role nobody_much; insert into wallet values (null, 1)", "42501"),
        ("create role other_one; create role other_one", "42710"),
        ("select 1 from wallet, wallet", "42712"),
        ("select sum(asset) from wallet for update", "0A000"),
    ],
)
async def test_what_the_database_lacks_is_no_fault_of_an_operation(connection, statement, sqlstate):
    async with connection.transaction():
        await connection.execute("create role nobody_much")
        error = await error_of(connection.execute(statement))
    assert (sqlstate_of(error), verdict_of(error)) == (sqlstate, Verdict.UNAVAILABLE)


async def test_a_statement_that_takes_too_long_may_be_tried_again(connection):
    await connection.execute("set statement_timeout = '10ms'")
    error = await error_of(connection.execute("select pg_sleep(10)"))
    assert (sqlstate_of(error), verdict_of(error)) == ("57014", Verdict.RETRY)


async def test_a_lock_that_is_waited_for_too_long_may_be_tried_again(connection, other):
    await connection.execute("set lock_timeout = '10ms'")
    async with other.transaction():
        await other.execute("lock table wallet in exclusive mode")
        error = await error_of(connection.execute("insert into wallet values ($1, 9)", CUSTOMER))
    assert (sqlstate_of(error), verdict_of(error)) == ("55P03", Verdict.RETRY)


async def test_a_deadlock_may_be_tried_again(connection, other):
    await connection.execute("create table if not exists pair (n integer primary key)")
    await connection.execute("insert into pair values (1), (2) on conflict do nothing")
    lock = "select from pair where n = $1 for update"
    for one in (connection, other):
        await one.execute("set deadlock_timeout = '20ms'")
        await one.execute("begin")
    await connection.execute(lock, 1)
    await other.execute(lock, 2)
    first = asyncio.ensure_future(connection.execute(lock, 2))
    second = asyncio.ensure_future(other.execute(lock, 1))
    errors = [
        one
        for one in await asyncio.gather(first, second, return_exceptions=True)
        if isinstance(one, Exception)
    ]
    assert [sqlstate_of(error) for error in errors] == ["40P01"]
    assert verdict_of(errors[0]) is Verdict.RETRY


async def test_a_serialization_failure_may_be_tried_again(connection, other):
    await connection.execute("create table if not exists one_row (n integer)")
    await connection.execute("insert into one_row values (1)")
    update = "update one_row set n = n + 1"
    await connection.execute("begin isolation level repeatable read")
    await connection.fetchval("select n from one_row")
    await other.execute(update)
    error = await error_of(connection.execute(update))
    assert (sqlstate_of(error), verdict_of(error)) == ("40001", Verdict.RETRY)


async def test_a_server_that_only_reads_is_unavailable(connection):
    await connection.execute("set default_transaction_read_only = on")
    error = await error_of(connection.execute("insert into wallet values ($1, 8)", CUSTOMER))
    assert (sqlstate_of(error), verdict_of(error)) == ("25006", Verdict.UNAVAILABLE)


async def test_too_many_connections_is_unavailable(connection, database):
    await connection.execute("create role guest login connection limit 0")
    error = await error_of(asyncpg.connect(database.replace("//leal@", "//guest@")))
    assert (sqlstate_of(error), verdict_of(error)) == ("53300", Verdict.UNAVAILABLE)


async def test_a_backend_that_was_ended_leaves_it_open(connection, other):
    sleeping = asyncio.ensure_future(connection.execute("select pg_sleep(60)"))
    await asyncio.sleep(0)
    pid = connection.get_server_pid()
    assert await other.fetchval("select pg_terminate_backend($1)", pid)
    with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError, OSError)) as caught:
        await sleeping
    assert verdict_of(caught.value) is Verdict.AMBIGUOUS


async def test_a_connection_that_is_gone_leaves_it_open(connection):
    connection.terminate()
    with pytest.raises(asyncpg.InterfaceError) as caught:
        await connection.execute("select 1")
    assert verdict_of(caught.value) is Verdict.AMBIGUOUS
    assert sqlstate_of(caught.value) == "InterfaceError"


async def test_an_idle_transaction_that_was_ended_leaves_it_open(connection):
    await connection.execute("set idle_in_transaction_session_timeout = '20ms'")
    await connection.execute("begin")
    async with asyncio.timeout(20):
        while not connection.is_closed():
            await asyncio.sleep(0.005)
    with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError)) as caught:
        await connection.execute("commit")
    assert verdict_of(caught.value) is Verdict.AMBIGUOUS


# What a server at hand does not say.


def made(sqlstate, message="", constraint=None):
    """Return an error as asyncpg makes it of a server's message."""
    fields = {"C": sqlstate, "M": message, "S": "ERROR", "V": "ERROR"}
    if constraint is not None:
        fields["n"] = constraint
    return asyncpg.PostgresError.new(fields)


@pytest.mark.parametrize(
    ("sqlstate", "verdict"),
    [
        ("53100", Verdict.UNAVAILABLE),  # disk full
        ("53200", Verdict.UNAVAILABLE),  # out of memory
        ("57P03", Verdict.UNAVAILABLE),  # starting up
        ("57P01", Verdict.AMBIGUOUS),  # shutting down
        ("57P02", Verdict.AMBIGUOUS),  # a crash of another backend
        ("08006", Verdict.AMBIGUOUS),
        ("08007", Verdict.AMBIGUOUS),  # transaction resolution unknown
        ("40003", Verdict.AMBIGUOUS),  # statement completion unknown
        ("58030", Verdict.AMBIGUOUS),  # input or output failed
        ("XX000", Verdict.AMBIGUOUS),
        ("XX001", Verdict.AMBIGUOUS),  # a damaged page
        ("99999", Verdict.AMBIGUOUS),
    ],
)
def test_what_else_a_server_may_say(sqlstate, verdict):
    assert verdict_of(made(sqlstate)) is verdict


@pytest.mark.parametrize(
    ("message", "verdict"),
    [
        ('duplicate key value violates unique constraint "journal_pkey_102008"', Verdict.STALE),
        ('duplicate key value violates unique constraint "wallet_pkey_102010"', Verdict.STALE),
        (
            'duplicate key value violates unique constraint "journal_transaction_key_102009"',
            Verdict.SEEN,
        ),
        (
            'duplicate key value violates unique constraint "invoice_claim_pkey_102011"',
            Verdict.SEEN,
        ),
        ('duplicate key value violates unique constraint "item_unit_pkey_102012"', Verdict.SEEN),
        ('duplicate key value violates unique constraint "item_turn_pkey_102013"', Verdict.SEEN),
        ('duplicate key value violates unique constraint "qr_use_pkey_102014"', Verdict.SEEN),
        (
            'duplicate key value violates unique constraint "reference_claim_pkey_102015"',
            Verdict.SEEN,
        ),
        ('duplicate key value violates unique constraint "journal_reversal_102016"', Verdict.SEEN),
        ('duplicate key value violates unique constraint "other_key_1"', Verdict.REFUSED),
        ("deadlock detected", Verdict.RETRY),
        ("canceling statement due to lock timeout", Verdict.RETRY),
        ("connection to the remote node failed", Verdict.AMBIGUOUS),
    ],
)
def test_a_distributed_server_tells_the_same_by_its_text(message, verdict):
    assert verdict_of(made("XX000", message)) is verdict


@pytest.mark.parametrize(
    "error",
    [
        TimeoutError(),
        OSError(),
        ConnectionResetError(),
        asyncpg.ConnectionDoesNotExistError("gone"),
        asyncpg.InterfaceError("closed"),
        asyncpg.InternalClientError("state"),
        asyncio.CancelledError(),
        ValueError(),
    ],
    ids=lambda error: type(error).__name__,
)
def test_an_error_without_a_word_of_the_server_leaves_it_open(error):
    assert verdict_of(error) is Verdict.AMBIGUOUS


def test_a_name_stands_where_there_is_no_sqlstate():
    assert sqlstate_of(TimeoutError()) == "TimeoutError"
    assert sqlstate_of(made("23505")) == "23505"
