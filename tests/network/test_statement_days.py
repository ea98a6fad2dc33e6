"""A statement's balances and totals are what the journal's rows come to, of any days."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

from asyncpg.pgproto.pgproto import UUID
from recomputed import Recomputed

from engine.codes import COINS, DEBT_DAY, Kind
from engine.constants import EPOCH_DAY
from engine.ledger.statements import Page, Statements
from engine.postgres.connections import create_read_pool
from engine.programme.calendar import COINS_COUNTRY, UTC_OFFSETS

ROWS = (
    "select asset, seq, kind, amount, held_amount, balance, held, lots, recorded_at from journal"
    " where customer_id = $1 order by asset, seq"
)


def state(rows, today):
    """Return (what a wallet has in all after `rows`, what of it was gone on a day)."""
    if not rows:
        return 0, 0
    last = rows[-1]
    today_number = (today - EPOCH_DAY).days
    lots = zip(last["lots"][::2], last["lots"][1::2], strict=True)
    gone = sum(amount for key, amount in lots if DEBT_DAY < key >> 32 < today_number)
    return last["balance"] + last["held"] - gone, gone


async def test_a_statement_of_any_days_is_what_its_rows_come_to(
    database, open_traffic, connection, countries, dice
):
    traffic = await open_traffic()
    for _ in range(60):
        await traffic.append(50)
    pool = await create_read_pool(database, connections_max=1, statement_timeout_ms=30_000)
    statements, calendar = Statements(pool), Recomputed([], countries)

    def utc_offset(asset: int) -> int:
        return UTC_OFFSETS[countries.get(asset, COINS_COUNTRY)]

    seen = set()
    for customer_id in traffic.postings.customers:
        rows = await connection.fetch(ROWS, UUID(customer_id))
        days = sorted(dice.choice(rows)["recorded_at"].date() for _ in range(2))
        first, end = days[0], days[1] + timedelta(days=1)
        page = Page(asset=None, brand_id=None, before=None, limit=1000, days=(first, end))
        spans, lines, _ = await statements.statement(customer_id, page, utc_offset)
        for span in spans:
            own = [row for row in rows if row["asset"] == span.asset]
            day_of = {row["seq"]: calendar.day_of(row["recorded_at"], span.asset) for row in own}
            before = [row for row in own if day_of[row["seq"]] < first]
            within = [row for row in own if first <= day_of[row["seq"]] < end]
            opening, closing = state(before, first), state(before + within, end)
            # A hold whose time is up goes back to lots that may have expired: a little of it all.
            if not any(row["held"] for row in (before + within)[-1:] + before[-1:]):
                assert opening == (span.opening.balance + span.opening.held, span.opening.due)
                assert closing == (span.closing.balance + span.closing.held, span.closing.due)
            moved = sum(amount for kind, amount in span.moved.items() if kind != Kind.EXPIRY)
            assert (
                span.opening.balance + span.opening.held + moved - span.expired
                == span.closing.balance + span.closing.held
            )
            for kind, amount in span.moved.items():
                of_kind = [row for row in within if row["kind"] == kind]
                assert amount == sum(row["amount"] + row["held_amount"] for row in of_kind)
            seen |= {kind for kind, amount in span.moved.items() if amount}
        told = {(line["asset"], line["seq"]) for line in lines}
        moved_rows = {
            (row["asset"], row["seq"])
            for row in rows
            if (row["amount"] or row["held_amount"])
            and first <= calendar.day_of(row["recorded_at"], row["asset"]) < end
        }
        assert moved_rows <= told
        assert {asset for asset, _ in told} <= {COINS, *countries}
    pool.terminate()
    assert {Kind.ACCUMULATION, Kind.EXPIRY, Kind.CAPTURE, Kind.PAYMENT, Kind.REVERSAL} <= seen


async def test_the_closing_of_some_days_is_the_opening_of_the_next(
    database, open_traffic, countries
):
    traffic = await open_traffic()
    for _ in range(40):
        await traffic.append(50)
    pool = await create_read_pool(database, connections_max=1, statement_timeout_ms=30_000)
    statements = Statements(pool)

    async def spans(customer_id: bytes, first: date, end: date):
        page = Page(asset=None, brand_id=None, before=None, limit=1, days=(first, end))
        offset = lambda asset: UTC_OFFSETS[countries.get(asset, COINS_COUNTRY)]  # noqa: E731
        found, _, _ = await statements.statement(customer_id, page, offset)
        return found

    today = datetime.now(UTC).date()
    for customer_id in traffic.postings.customers[:4]:
        ends = [today - timedelta(days=days) for days in (90, 61, 60, 33, 10, 0)]
        chain = [await spans(customer_id, first, end) for first, end in pairwise(ends)]
        for earlier, later in pairwise(chain):
            assert [span.closing for span in earlier] == [span.opening for span in later]
    pool.terminate()
