"""The sums have every row once, whatever befalls those who fold; reports agree at every moment."""

from __future__ import annotations

import asyncio
import re
import sys
from asyncio.subprocess import PIPE
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest
from harness import connection_to, until
from recomputed import ROWS, Recomputed, before, nonzero

from bench.sales import CHAIN_SECRET
from engine.codes import COINS, PARTNER_BIT, Counter, Kind
from engine.constants import EPOCH_DAY
from engine.ledger.journal import COPY_ROWS
from engine.metrics import Metrics
from engine.network.folding import Folder, SumsOfAnotherServer, adopt
from engine.network.reports import NOW, Cut
from engine.network.sums_audit import audit_sums
from engine.postgres.sql import queries
from engine.programme.calendar import UTC_OFFSETS, local_day

EVERYTHING = 10**9
TODAY = datetime.now(UTC).date()
OF_CUSTOMER_SERVICE = {Kind.BLOCK, Kind.UNBLOCK, Kind.RESEND}
"""They move nothing."""
SINCE_EVER = Cut(day=datetime(1970, 1, 1, tzinfo=UTC).date())


async def sums(connection, countries):
    """Return the sums as they are folded, and what the rows that they have come to."""
    reach = await connection.fetchval("select xid from fold")
    rows = [row for row in await connection.fetch(ROWS) if row["xid"] < reach]
    expected = Recomputed(rows, countries)
    accounts = await connection.fetch("select * from sum_of_accounts")
    lots = await connection.fetch("select * from sum_of_lots")
    coins = await connection.fetch("select * from sum_of_coins")
    folded = (
        {tuple(row)[:4]: row["available"] for row in accounts},
        {tuple(row)[:4]: row["held"] for row in accounts},
        {tuple(row)[:4]: row["amount"] for row in lots},
        {tuple(row)[:4]: row["coins"] for row in coins},
    )
    of_rows = (expected.accounts, expected.held, expected.lots, expected.coins)
    return [nonzero(one) for one in folded], [nonzero(one) for one in of_rows]


async def assert_sums(connection, countries):
    folded, of_rows = await sums(connection, countries)
    assert folded == of_rows
    assert await audit_sums(connection) == []


async def assert_reports(reports, connection, countries, cut):
    """Every report at a cut is what the rows before it come to, folded or not."""
    everything = Recomputed([], countries)
    rows = await connection.fetch(ROWS)
    counts = before(cut, everything.day_of)
    expected = Recomputed([row for row in rows if counts(row)], countries)
    books, _ = await reports.trial_balance(cut)
    assert all(one.difference == 0 for one in books)
    assert expected.balances() == nonzero(
        {
            (one.asset, account.counter, account.party): account.balance
            for one in books
            for account in one.accounts
        }
    )
    await assert_settlement(reports, expected, SINCE_EVER, cut)
    places = [(COINS, 1), (COINS, PARTNER_BIT | 1), *((brand, 0) for brand in countries)]
    found, reach = await reports.outstanding(cut, places)
    assert found == [expected.outstanding(*place) for place in places]
    assert reach.rows_added == sum(row["xid"] >= reach.xid for row in rows)


async def assert_settlement(reports, expected, start, end):
    settled = await reports.settlement(start, end)
    assert expected.settlement() == {
        (flow.issuer, flow.receiver, flow.reason): flow.coins for flow in settled.flows
    }
    issued = expected.of_issuers({Counter.COINS_ISSUED, Counter.PARTNER_CLEARING}, -1)
    assert issued == nonzero({one.party: one.issued for one in settled.positions})
    expired = expected.of_issuers({Counter.COINS_EXPIRED}, 1)
    assert expired == nonzero({one.party: one.expired for one in settled.positions})
    assert sum(one.net for one in settled.positions) == 0


async def fold_all(folder, connection):
    while await folder.step(connection):
        pass


async def test_random_traffic_is_summed_as_plain_python_sums_it(
    open_traffic, open_folder, folder, reports, connection, countries, dice
):
    traffic = await open_traffic()
    started = datetime.now(UTC) - timedelta(days=100)
    one, other = await open_folder(), await open_folder()
    for turn in range(25):
        for _ in range(dice.randint(1, 6)):
            await traffic.append(dice.randint(1, 60))
        folders = [folder(dice.choice((1, 20, 150, 1000))) for _ in range(2)]
        if dice.random() < 0.8:  # two at once
            await asyncio.gather(folders[0].step(one), folders[1].step(other))
        await assert_sums(connection, countries)
        if turn % 5 == 4:
            moment = started + dice.random() * (datetime.now(UTC) - started)
            cuts = [NOW, Cut(moment=moment), Cut(day=moment.date())]
            for cut in cuts:
                await assert_reports(reports, connection, countries, cut)
    kinds = await connection.fetch("select distinct kind from journal where refusal = 0")
    assert {row["kind"] for row in kinds} >= set(Kind) - OF_CUSTOMER_SERVICE
    await fold_all(folders[0], one)
    assert not (await reports.trial_balance(NOW))[1].rows_added
    await assert_sums(connection, countries)
    await assert_reports(reports, connection, countries, NOW)


async def test_a_settlement_of_any_period_is_that_of_its_rows(
    open_traffic, open_folder, folder, reports, connection, countries, dice
):
    traffic = await open_traffic()
    for _ in range(30):
        await traffic.append(60)
    own = await open_folder()
    await folder(300).step(own)
    rows = await connection.fetch(ROWS)
    moments = [row["recorded_at"] for row in rows]
    ends = [dice.choice(moments) for _ in range(6)]
    ends += [ends[0] + timedelta(hours=dice.random() * 10), max(moments), min(moments)]
    everything = Recomputed([], countries)
    for _ in range(25):
        first, last = sorted(dice.choice(ends) for _ in range(2))
        start, end = Cut(moment=first), Cut(moment=last)
        if dice.random() < 0.3:
            start = Cut(day=everything.day_of(first, COINS))
        if dice.random() < 0.3:
            end = Cut(day=everything.day_of(last, COINS) + timedelta(days=1))
        counts, begun = before(end, everything.day_of), before(start, everything.day_of)
        within = [row for row in rows if counts(row) and not begun(row)]
        await assert_settlement(reports, Recomputed(within, countries), start, end)
        await folder(dice.choice((1, 100))).step(own)


async def test_a_slow_transaction_is_not_passed_over(
    database, open_traffic, open_folder, folder, reports, connection, countries
):
    slow, quick = await open_traffic(), await open_traffic()
    own = await open_folder()
    await fold_all(folder(EVERYTHING), own)
    reach = await connection.fetchval("select xid from fold")
    async with connection_to(database) as slow_one:
        async with slow_one.transaction():
            rows = memoryview(slow.batch(40).journal)
            await slow_one._copy_in(COPY_ROWS, rows, None)
            await quick.append(40)  # a later transaction, which ends first
            assert await folder(EVERYTHING).step(own) == 0
            assert await connection.fetchval("select xid from fold") <= reach + 1
            await assert_reports(reports, connection, countries, NOW)
            late = await connection.fetchval("select max(xid) from journal")
        of_slow = await slow_one.fetchval("select max(xid) from journal where xid < $1", late)
        assert of_slow >= reach
    await fold_all(folder(EVERYTHING), own)
    assert await connection.fetchval("select xid from fold") > late
    await assert_sums(connection, countries)


async def test_a_step_that_is_killed_was_none(
    database, open_traffic, open_folder, folder, connection, countries
):
    traffic = await open_traffic()
    for _ in range(5):
        await traffic.append(50)
    own = await open_folder()
    async with connection_to(database) as other, other.transaction():
        # In the way of the third of the sums: two are written by then.
        await other.execute("lock table sum_of_coins in exclusive mode")
        step = asyncio.create_task(folder(EVERYTHING).step(own))
        pid = own.get_server_pid()
        waits = "select wait_event_type = 'Lock' from pg_stat_activity where pid = $1"
        await until(lambda: connection.fetchval(waits, pid))
        # Meanwhile another folder goes on without the turn.
        assert await folder(EVERYTHING).step(await open_folder()) == 0
        await connection.execute("select pg_terminate_backend($1)", pid)
        with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError, OSError)):
            await step
    await assert_sums(connection, countries)
    await fold_all(folder(EVERYTHING), await open_folder())
    await assert_sums(connection, countries)


async def test_a_transaction_of_more_rows_than_a_step_is_folded_whole(
    open_traffic, open_folder, folder, connection, countries
):
    own = await open_folder()
    await fold_all(folder(EVERYTHING), own)
    traffic = await open_traffic()
    for size in (1, 120, 1):
        await traffic.append(size)
    counts = "select count(*) from journal where xid >= (select xid from fold) group by xid"
    rows = [row["count"] for row in await connection.fetch(counts + " order by xid")]
    # An operation on a payment that is over leaves no row, so there may be fewer transactions.
    assert [await folder(10).step(own) for _ in rows] == rows
    assert await folder(10).step(own) == 0
    await assert_sums(connection, countries)


async def test_a_folder_folds_by_itself_and_again_after_a_lost_connection(
    open_traffic, open_folder, connection, countries
):
    opened, metrics = [], Metrics()

    async def open_one():
        opened.append(await open_folder())
        return opened[-1]

    async def all_folded():
        last = await connection.fetchval("select max(xid) from journal")
        return await connection.fetchval("select xid from fold") > last

    traffic = await open_traffic()
    work = asyncio.create_task(Folder(open_one, metrics, interval_ms=5, rows_max=40).run())
    try:
        for _ in range(2):
            for _ in range(5):
                await traffic.append(30)
            await until(all_folded)
            await connection.execute("select pg_terminate_backend($1)", opened[-1].get_server_pid())
            await until(lambda: metrics.registry.get_sample_value("leal_fold_failures_total"))
    finally:
        work.cancel()
        with suppress(asyncio.CancelledError):
            await work
    assert metrics.registry.get_sample_value("leal_fold_rows_total") > 0
    await assert_sums(connection, countries)


async def test_a_journal_that_was_restored_into_another_server_is_summed_anew(
    open_traffic, open_folder, folder, reports, connection, countries
):
    traffic = await open_traffic()
    for _ in range(5):
        await traffic.append(40)
    own = await open_folder()
    await folder(100).step(own)
    # What a dump brings: another server's numbers, higher than those that this one counts.
    await connection.execute("update journal set xid = xid + 1000000000")
    await connection.execute("update fold set xid = xid + 1000000000, server = server - 1")
    with pytest.raises(SumsOfAnotherServer):
        await folder(100).step(own)
    with pytest.raises(SumsOfAnotherServer):
        await reports.trial_balance(NOW)
    assert await adopt(connection)
    assert not await adopt(connection)
    await assert_reports(reports, connection, countries, NOW)
    await traffic.append(40)
    assert await folder(100).step(own) <= 150  # still bounded
    await fold_all(folder(EVERYTHING), own)
    assert not (await reports.trial_balance(NOW))[1].rows_added
    await assert_sums(connection, countries)


async def test_a_server_that_was_upgraded_keeps_its_sums(
    open_traffic, open_folder, folder, connection, countries
):
    own = await open_folder()
    await (await open_traffic()).append(40)
    await fold_all(folder(EVERYTHING), own)
    reach = await connection.fetchval("select xid from fold")
    await connection.execute("update fold set server = server - 1")
    assert await adopt(connection)
    assert await connection.fetchval("select xid from fold") == reach
    await assert_sums(connection, countries)


TAMPERED = {
    "accounts": (
        "update sum_of_accounts set available = available + 1 where (day, asset, counter, party) ="
        " (select day, asset, counter, party from sum_of_accounts order by 1, 2, 3, 4 limit 1)",
        "sum_of_accounts (day ",
    ),
    "lots": (
        "update sum_of_lots set amount = amount - 1 where (asset, issuer, day, expires_day) ="
        " (select asset, issuer, day, expires_day from sum_of_lots order by 1, 2, 3, 4 limit 1)",
        "sum_of_lots (day ",
    ),
    "a sum that is gone": (
        "delete from sum_of_coins where (day, issuer, counter, party) = (select day, issuer,"
        " counter, party from sum_of_coins where coins <> 0 order by 1, 2, 3, 4 limit 1)",
        "sum_of_coins (day ",
    ),
    "a sum of nothing": (
        "insert into sum_of_coins values ('2001-01-01', 1, 5, 2, 7)",
        "sum_of_coins (day 2001-01-01, issuer 1, counter 5, party 2) says 7; the journal gives 0",
    ),
    "an hour": ("delete from hour_folded", "hour_folded ("),
}


@pytest.mark.parametrize(("change", "fault"), TAMPERED.values(), ids=TAMPERED)
async def test_a_sum_that_was_tampered_with_is_named(
    open_traffic, open_folder, folder, connection, change, fault
):
    await (await open_traffic()).append(120)
    await fold_all(folder(EVERYTHING), await open_folder())
    assert await audit_sums(connection) == []
    # The audit's own transaction becomes a part of this one, which is undone.
    transaction = connection.transaction(isolation="repeatable_read")
    await transaction.start()
    try:
        await connection.execute(change)
        found = await audit_sums(connection)
    finally:
        await transaction.rollback()
    assert found
    assert all(one.startswith(fault) for one in found)


@pytest.mark.parametrize("country", UTC_OFFSETS)
async def test_days_are_those_of_the_calendar(connection, country, dice):
    for _ in range(50):
        second = dice.randrange(0, 4_000_000_000)
        day = EPOCH_DAY + timedelta(days=local_day(second, UTC_OFFSETS[country]))
        moment = datetime.fromtimestamp(second, UTC)
        assert await connection.fetchval("select local_day($1, $2)", moment, country) == day


async def test_the_command_audits_the_sums_too(
    database, open_traffic, open_folder, folder, connection
):
    await (await open_traffic()).append(60)
    await fold_all(folder(EVERYTHING), await open_folder())
    invented = "insert into sum_of_coins values ('2001-01-01', 1, 5, 2, 7)"
    await connection.execute(invented)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "engine", "audit", "--database-url", database),
        *("--chain-key", CHAIN_SECRET),
        stdout=PIPE,
        stderr=PIPE,
    )
    said = b"".join(await process.communicate()).decode()
    await connection.execute("delete from sum_of_coins where day = '2001-01-01'")
    assert process.returncode == 1
    assert "sum_of_coins (day 2001-01-01, issuer 1, counter 5, party 2) says 7" in said


READ_OF_THE_JOURNAL = {
    "waiting": (1, 2, 3),
    "fold_accounts": (1, 2),
    "fold_lots": (1, 2),
    "fold_coins": (1, 2),
    "tail": (1,),
    "settlement": (1, TODAY, None, TODAY, None, 1, 0, 1, 0, None),
    "outstanding": (1, TODAY, None, 1, 0, 0, 1),
    "accounts": (1, TODAY, None, 1, 0),
    "lots_in_all": (1, TODAY, None, 1, 0),
}


@pytest.mark.parametrize(("name", "arguments"), READ_OF_THE_JOURNAL.items())
async def test_rows_are_found_by_the_transactions_that_wrote_them(
    open_traffic, open_folder, name, arguments
):
    await (await open_traffic()).append(200)
    own = await open_folder()
    plan = "\n".join(
        row[0] for row in await own.fetch(f"explain {queries('sums')[name]}", *arguments)
    )
    indexes = set(re.findall(r"(?:Index Scan(?: using| on)|Index Only Scan using) (\w+)", plan))
    assert {one for one in indexes if one.startswith("journal")} == {"journal_xid"}
    assert "Seq Scan on journal" not in plan
