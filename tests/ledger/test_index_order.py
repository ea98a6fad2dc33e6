"""An index that was built anew is checked after the others, and names another constraint."""

from __future__ import annotations

from contextlib import asynccontextmanager

from harness import connection_to
from verbs import CAFE, FUEL, TODAY, earn

from engine.ledger.committer import Committer
from engine.metrics import Metrics
from engine.settings import Settings

COLOMBIA = -5 * 3600
BAKERY = 11


@asynccontextmanager
async def worker(open_journal):
    committer = Committer(
        open_journal, Settings(lanes=1, tries_max=3), Metrics(), coins_utc_offset=COLOMBIA
    )
    committer.start()
    try:
        yield committer
    finally:
        await committer.close()


async def test_who_opens_a_wallet_on_a_stale_state_is_done_after_the_primary_key_was_built_anew(
    database, open_journal, customers
):
    async with connection_to(database) as connection:
        await connection.execute("reindex index concurrently journal_pkey")
    ana = next(customers)

    def sale(brand_id):
        asked = {"asset": brand_id, "brand_id": brand_id, "customer_id": ana}
        return earn(10, last_day=TODAY + 36_500, **asked)

    async with worker(open_journal) as one, worker(open_journal) as other:
        await one.submit(sale(CAFE))
        await other.submit(sale(CAFE))
        await one.submit(sale(FUEL))
        answer, _ = await other.submit(sale(BAKERY))
    assert (answer.balance, answer.refusal) == (10, 0)
