"""The audit by its command: it says that the books balance, or which row does not.

Each change is made by hand in the database, as somebody with its password could.
"""

from __future__ import annotations

import asyncio
import sys
from asyncio.subprocess import PIPE

import pytest
from harness import connection_to

OWN_ROW = "where customer_id = $1 and asset = 1 and seq = 2"
CHANGES = {
    "one digit of an amount": f"update journal set amount = amount + 1 {OWN_ROW}",
    "one digit of a balance": f"update journal set balance = balance + 10 {OWN_ROW}",
    "one digit of what is held": f"update journal set held = held + 1 {OWN_ROW}",
    "one digit of a lot": f"update journal set lots[2] = lots[2] + 1 {OWN_ROW}",
    "the expiry of a lot": f"update journal set lots[1] = lots[1] + (1::bigint << 32) {OWN_ROW}",
    "one digit of a moved lot": f"update journal set moved[2] = moved[2] + 1 {OWN_ROW}",
    "the store": f"update journal set store_id = store_id + 1 {OWN_ROW}",
    "the counter-account": f"update journal set counter = 2 {OWN_ROW}",
    "the time": f"update journal set recorded_at = recorded_at - interval '1 day' {OWN_ROW}",
    "a bill": f"update journal set bill_amount = bill_amount + 100 {OWN_ROW}",
    "a hash": f"update journal set hash = set_byte(hash, 3, get_byte(hash, 3) # 1) {OWN_ROW}",
}
COMPANIONS = {
    "a row that is gone": (
        f"delete from journal {OWN_ROW}",
        "comes after seq 1; a row is missing",
    ),
    "a wallet that is gone": ("delete from wallet where customer_id = $1", "no row in wallet"),
    "a wallet of nothing": (
        "insert into wallet values ($1, 99)",
        "has no first posting",
    ),
    "a claim that is gone": (
        "delete from invoice_claim where customer_id = $1",
        "has no invoice_claim",
    ),
    "a claim of nothing": (
        "insert into invoice_claim values (77, 'X-1', $1, $1)",
        "has no posting that earned",
    ),
    "a unit of nothing": (
        "insert into item_unit values (1, 1, $1, $1)",
        "item_unit (1, 1) was taken by no redemption",
    ),
    "a turn of nothing": (
        "insert into item_turn values ($1, 1, 1, $1)",
        "was taken by no redemption",
    ),
}


TWO_PROCESSES = ("--audit-processes-max", "2", "--audit-process-rows-min", "1")


async def audit(dsn: str, *flags: str) -> tuple[int, str]:
    """Run the command; return its exit status and what it said."""
    command = (sys.executable, "-m", "engine", "audit", "--database-url", dsn, *flags)
    process = await asyncio.create_subprocess_exec(*command, stdout=PIPE, stderr=PIPE)
    out, err = await process.communicate()
    return int(process.returncode or 0), (out + err).decode()


@pytest.fixture
async def sold(api, customer_id):
    """Give a customer with three sales, one of them by its invoice."""
    for invoice in ({}, {"invoice_number": f"A-{customer_id[:8]}"}, {}):
        reply = await api.store.accumulate(customer_id, amount=5_400_000, currency="COP", **invoice)
        assert reply.status == 201
    return customer_id


async def changed_and_back(dsn, change, customer_id, *flags):
    """Make a change and audit; whatever it says, put the rows back as they were."""
    tables = ("journal", "wallet", "invoice_claim", "item_unit", "item_turn")
    async with connection_to(dsn) as connection:
        for table in tables:
            await connection.execute(f"create temp table kept_{table} as table {table}")
        await connection.execute(change, customer_id)
        said = await audit(dsn, *flags)
        async with connection.transaction():
            for table in tables:
                await connection.execute(f"delete from {table}")
                await connection.execute(f"insert into {table} table kept_{table}")
    return said


@pytest.mark.parametrize("flags", [(), TWO_PROCESSES], ids=["alone", "two processes"])
async def test_the_books_of_a_working_engine_balance(api, sold, database, flags):
    status, said = await audit(database, *flags)
    assert status == 0
    assert "the books balance" in said
    assert "trial balance 0" in said


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
async def test_a_changed_row_is_named(sold, database, change):
    status, said = await changed_and_back(database, change, sold)
    assert status == 1
    assert f"journal row (customer_id {sold}, asset 1, seq 2)" in said


async def test_two_processes_name_the_changed_row_as_one_does(sold, database):
    async with connection_to(database) as connection:
        await connection.execute("analyze journal")
    change = CHANGES["one digit of an amount"]
    answers = [
        await changed_and_back(database, change, sold, *flags) for flags in ((), TWO_PROCESSES)
    ]
    assert [status for status, _ in answers] == [1, 1]
    (summary, *alone), (_, *shared) = (said.splitlines() for _, said in answers)
    assert summary.startswith("4 faults: ")
    assert alone == shared
    assert alone[0].startswith(f"journal row (customer_id {sold}, asset 1, seq 2)")


async def test_a_server_that_does_not_answer_is_told_in_a_sentence(tmp_path):
    status, said = await audit(f"postgresql://leal@/leal?host={tmp_path}")
    assert status == 1
    assert said.startswith("Error: ")
    assert "Traceback" not in said


@pytest.mark.parametrize(("change", "fault"), COMPANIONS.values(), ids=COMPANIONS)
async def test_what_does_not_agree_with_the_journal_is_named(sold, database, change, fault):
    status, said = await changed_and_back(database, change, sold)
    assert status == 1
    assert fault in said
    assert sold in said or "X-1" in said or "item_unit" in said
