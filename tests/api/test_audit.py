"""The audit by its command: it says that the books balance, or which row does not.

Each change is made by hand in the database, as somebody with its password could.
"""

from __future__ import annotations

import time
from dataclasses import replace
from uuid import UUID

import pytest
from harness import CHAIN_KEY, assert_balanced, audit, connection_to

from engine.ledger.core import Ledger
from engine.ledger.journal import Journal
from engine.ledger.operations import expiry
from engine.ledger.verdicts import Verdict
from engine.programme.calendar import UTC_OFFSETS
from tests.copy_format import COLUMNS, chained
from tests.history import posting_of

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
    "the till": f"update journal set till = till + 1 {OWN_ROW}",
    "who asked": f"update journal set by_id = by_id + 1 {OWN_ROW}",
    "the cause of a reversal": f"update journal set cause = 3 {OWN_ROW}",
    "the batch": f"update journal set batch_rows = batch_rows + 1 {OWN_ROW}",
    "what else names an invoice": f"update journal set invoice_scope = '2026-01-31' {OWN_ROW}",
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
        "insert into invoice_claim values (77, 'X1', $1, $1)",
        "has no posting that claims it",
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
OWN_BILL = "where store_id = 1 and invoice_key = 'AUDITED' || upper(left($1::text, 8))"
PAYMENTS = {
    "the key of a reference": (
        "update reference_claim set reference_key = 'OTHER' where customer_id = $1",
        "reference_claim (1, OTHER) is not the key of what its posting names",
    ),
    "the key of an order": (
        "update order_claim set order_key = order_key || '1' where customer_id = $1",
        "is not the key of what its posting names",
    ),
    "a larger amount of an invoice": (
        f"update invoice_payment set coins_max = 1000 {OWN_BILL}",
        "has 30 coins, 20 of them paid, of at most 1000, and the journal has 30, 20 and 500",
    ),
    "an amount of an invoice that nobody sent": (
        f"update invoice_payment set coins_max = 400 {OWN_BILL}",
        "has 30 coins, 20 of them paid, of at most 400, and the journal has 30, 20 and 500",
    ),
    "no amount of an invoice": (
        f"update invoice_payment set coins_max = null {OWN_BILL}",
        "of at most None, and the journal has 30, 20 and 500",
    ),
    "a coin less on an invoice": (
        f"update invoice_payment set coins = coins - 1 {OWN_BILL}",
        "has 29 coins, 20 of them paid, of at most 500, and the journal has 30, 20 and 500",
    ),
    "paid coins that count as held": (
        f"update invoice_payment set paid = 0 {OWN_BILL}",
        "has 30 coins, 0 of them paid, of at most 500, and the journal has 30, 20 and 500",
    ),
    "an invoice that is gone": (
        f"delete from invoice_payment {OWN_BILL}",
        "has 0 coins, 0 of them paid, of at most None, and the journal has 30, 20 and 500",
    ),
    "a void that no point of sale sent": (
        f"update invoice_payment set voided = true, paid = 0 {OWN_BILL}",
        "is voided without its rows in invoice_claim and invoice_payment, or these say so",
    ),
    "the store of a look-up whose QR paid": (
        "update qr_look_up set store_id = 2 where customer_id = $1",
        "is of store 2, and the QR paid at another one or is of the future",
    ),
    "a look-up of a QR that is not made yet": (
        "insert into qr_look_up select $1, extract(epoch from now())::bigint + 100, 1",
        "is of store 1, and the QR paid at another one or is of the future",
    ),
}
FUNDS = {
    "a coin that nobody deposited": (
        "update issuer_fund set coins = coins + 1",
        "the fund of brand 1 and its allotments have 1001 coins, and 1000 were deposited",
    ),
    "a deposit that is gone": (
        "delete from issuer_deposit",
        "the fund of brand 1 and its allotments have 1000 coins, and 0 were deposited",
    ),
    "a coin that was issued and not drawn": (
        "update issuer_allotment set drawn = drawn - 1",
        "has paid 539 coins, and the journal issued 540 from it",
    ),
    "an allotment that is gone": (
        "delete from issuer_allotment",
        "has paid 0 coins, and the journal issued 540 from it",
    ),
    "an allotment of another brand": (
        "update issuer_allotment set brand_id = 2",
        "has paid 540 coins, and the journal issued 0 from it",
    ),
    "an issuer that was prepaid before": (
        "update issuer_fund set prepaid_since = '2020-01-01'",
        "issued coins that no allotment paid for",
    ),
}


TWO_PROCESSES = ("--audit-processes-max", "2", "--audit-process-rows-min", "1")


@pytest.fixture(scope="module")
def engine_flags():
    """Return flags for an engine that folds nothing: what is changed here would be summed."""
    return ("--fold-interval-ms", "0")


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
    tables += ("issuer_fund", "issuer_deposit", "issuer_allotment", "reference_claim")
    tables += ("order_claim", "invoice_payment", "qr_look_up")
    async with connection_to(dsn) as connection:
        for table in tables:
            await connection.execute(f"create temp table kept_{table} as table {table}")
        await connection.execute(change, *[customer_id] * ("$1" in change))
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


@pytest.mark.parametrize("how", ["voided", "released", "guessed"])
@pytest.mark.parametrize("what", ["unit", "turn"])
async def test_what_a_payment_took_and_did_not_give_back_is_named(
    api, engine, customer_id, database, how, what
):
    """Its coins went back: a void, a release and the last wrong code each leave such a row."""
    await api.store.accumulate(customer_id, amount=5_400_000, currency="COP")
    body = {"name": "Termo", "coins": 10, "stock": 9, "customer_limit": 9}
    made = await api.brand.request("POST", "/v1/brands/1/promotions", body)
    number = made.json["promotion_id"]
    kept, lost = [(await api.store.pay(customer_id, promotion_id=number)).json for _ in range(2)]
    await assert_balanced(database)
    async with connection_to(database) as connection:
        query = f"select * from item_{what} where transaction_id = $1"
        taken = await connection.fetchrow(query, lost["payment_id"])
        if how == "voided":
            assert (await api.store.void(customer_id, lost["payment_id"])).status == 200
        elif how == "released":
            await end_by_time(database, customer_id, lost["payment_id"])
        else:
            wrong = "1111" if "2222" in engine.outbox()[-1]["text"] else "2222"
            for _ in range(3):
                reply = await api.store.confirm(customer_id, lost["payment_id"], wrong)
            assert (reply.code, reply.json["tries_left"]) == ("code_invalid", 0)
        assert await connection.fetchrow(query, lost["payment_id"]) is None
        await assert_balanced(database)
        places = ", ".join(f"${at}" for at in range(1, len(taken) + 1))
        await connection.execute(f"insert into item_{what} values ({places})", *taken)
        status, said = await audit(database)
        await connection.execute(
            f"delete from item_{what} where transaction_id = $1", lost["payment_id"]
        )
    assert (status, said.count(f"item_{what} (")) == (1, 1)
    assert f"{number}, {taken[what]})" in said
    assert (await api.store.void(customer_id, kept["payment_id"])).status == 200


async def end_by_time(dsn, customer_id, payment_id):
    """Let a payment's time be up: whoever looks does so a day later."""
    ledger = Ledger(UTC_OFFSETS["CO"], CHAIN_KEY)
    async with connection_to(dsn) as connection:
        journal = await Journal.open(connection, append_timeout_ms=4000)
        await journal.load(ledger, [UUID(customer_id).bytes])
        sweep = expiry(
            customer_id=UUID(customer_id).bytes,
            transaction_id=UUID(payment_id).bytes,
            utc_offset=0,
            occurred_at=0,
        )
        a_day_later = (time.time_ns() // 1000) + 86_400 * 1_000_000
        assert await journal.append(ledger.decide([sweep], a_day_later)) is Verdict.DURABLE


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


async def test_whoever_makes_new_hashes_without_the_key_is_found_out(sold, database):
    async with connection_to(database) as connection:
        query = f"select {', '.join(COLUMNS)} from journal {OWN_ROW}"
        row = posting_of(await connection.fetchrow(query, sold))
        before = await connection.fetchval(
            "select hash from journal where customer_id = $1 and asset = 1 and seq = 1", sold
        )
    keyless = chained(replace(row, till=7), before)
    status, said = await changed_and_back(
        database, f"update journal set till = 7, hash = '\\x{keyless.hash.hex()}' {OWN_ROW}", sold
    )
    assert status == 1
    assert "does not have the hash of its content" in said


async def test_without_its_key_the_audit_says_that_hashes_were_not_checked(
    sold, database, tmp_path, monkeypatch
):
    monkeypatch.delenv("LEAL_CHAIN_KEY")
    status, said = await audit(database, "--data-dir", str(tmp_path))
    assert status == 0
    assert "the hashes were not checked" in said


async def test_another_key_than_the_journals_is_refused(sold, database, tmp_path):
    status, said = await audit(database, "--chain-key", "another key than that of the journal")
    assert status == 1
    assert "not the one that the journal's hashes were made with" in said


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
    assert sold in said or "X1" in said or "item_unit" in said


@pytest.fixture
async def paid(api, people):
    """Give a customer who has converted, bought online, and paid one invoice held and present."""
    person = people.complete()
    customer_id = person["customer_id"]
    odd = f'"{customer_id[:8]}\\'
    await api.app.convert(customer_id, partner_points=100, reference=f"R-{odd}")
    await api.app.cash_back(customer_id, coins=100, order=f"O-{odd}")
    bill = {"invoice_number": f"audited {customer_id[:8]}"}
    held = await api.store.pay(customer_id, coins=10, amount=100_000, **bill)
    qr = (await api.app.qr(customer_id)).json["qr"]
    found = await api.store.lookup(qr=qr)
    present = found.json["presence"]["token"]
    at_once = await api.store.pay(customer_id, coins=20, amount=50_000, presence=present, **bill)
    assert (held.status, at_once.status) == (201, 201)
    return customer_id


async def test_payments_of_an_invoice_and_odd_references_balance(paid, database):
    await assert_balanced(database)


@pytest.mark.parametrize(("change", "fault"), PAYMENTS.values(), ids=PAYMENTS)
async def test_what_payments_and_claims_do_not_bear_out_is_named(paid, database, change, fault):
    status, said = await changed_and_back(database, change, paid)
    assert status == 1
    assert fault in said
    await assert_balanced(database)


@pytest.mark.parametrize(("change", "fault"), FUNDS.values(), ids=FUNDS)
async def test_coins_that_were_not_paid_for_are_named(api, sold, database, change, fault):
    if not (await api.network.fund()).json["deposited"]:
        await api.network.deposit(1000)
        await api.network.prepay()
        assert (await api.store.accumulate(sold, amount=5_400_000, currency="COP")).status == 201
        await api.network.prepay(False)
    status, said = await changed_and_back(database, change, sold)
    assert status == 1
    assert fault in said
