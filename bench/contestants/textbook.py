"""The textbook service: aiohttp, an asyncpg pool, and one transaction for each request.

In the transaction: the idempotency key is inserted, the invoice is claimed, the balance rows are
locked by SELECT … FOR UPDATE and updated, the postings are inserted; then COMMIT, then the answer.
It is built as well as that design allows: prepared statements, both rows of a sale in one
statement, no reset query when a connection goes back to the pool, programmes and stores in memory.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from hashlib import blake2b
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import asyncpg
import orjson
import uvloop
from aiohttp import web
from uuid_utils import uuid7

from bench.contestants.shape import HEADERS, ROUTE, earned, serve
from bench.workload import demo_of, keys_of

COINS: Final = 0
COINS_DAYS: Final = 730

KEEP_KEY = """
insert into idempotency (customer_id, key, fingerprint, transaction_id) values ($1, $2, $3, $4)
on conflict do nothing returning true"""
CLAIM_INVOICE = """
insert into invoice (store_id, number, transaction_id) values ($1, $2, $3)
on conflict do nothing returning true"""
LOCK = """
select asset, amount from balance where customer_id = $1 and asset = any($2)
 order by asset for update"""
OPEN = """
insert into balance (customer_id, asset, amount) select $1, unnest($2::int[]), 0
on conflict do nothing"""
UPDATE = """
update balance b set amount = n.amount from unnest($2::int[], $3::bigint[]) as n (asset, amount)
 where b.customer_id = $1 and b.asset = n.asset"""
POST = """
insert into posting (transaction_id, asset, customer_id, brand_id, store_id, amount, balance,
                     expires_on, bill_amount, recorded_at)
select $1, n.asset, $2, $3, $4, n.amount, n.balance, n.expires_on, $5, $6
  from unnest($7::int[], $8::bigint[], $9::bigint[], $10::date[])
       as n (asset, amount, balance, expires_on)"""
RECORDED = """
select i.fingerprint, p.* from idempotency i join posting p using (transaction_id)
 where i.customer_id = $1 and i.key = $2 order by p.asset desc"""


@dataclass(frozen=True, slots=True)
class Sale:
    """What a request asks for, and what it earns by the brand's programme."""

    customer_id: UUID
    key: str
    fingerprint: bytes
    store_id: int
    brand_id: int
    bill: int
    invoice_number: str | None
    assets: list[int]
    amounts: list[int]
    expire: list[date]


class Textbook:
    """The service."""

    def __init__(self, demo: dict[str, Any], pool: asyncpg.Pool) -> None:
        self._pool = pool
        self._keys = set(keys_of(demo).values())
        self._stores = {store["store_id"]: store for store in demo["stores"]}
        self._brands = {brand["brand_id"]: brand for brand in demo["brands"]}

    async def accumulate(self, request: web.Request) -> web.Response:
        """`POST /v1/customers/{customer_id}/accumulations`."""
        if request.headers.get("Authorization", "")[7:] not in self._keys:
            raise web.HTTPUnauthorized
        sale = self._read(request, await request.read())
        transaction_id, now = UUID(bytes=uuid7().bytes), datetime.now(UTC)
        async with self._pool.acquire() as connection, connection.transaction():
            if not await connection.fetchval(
                KEEP_KEY, sale.customer_id, sale.key, sale.fingerprint, transaction_id
            ):
                return await self._replay(connection, sale)
            if sale.invoice_number is not None and not await connection.fetchval(
                CLAIM_INVOICE, sale.store_id, sale.invoice_number, transaction_id
            ):
                raise web.HTTPConflict
            balances = await self._post(connection, sale, transaction_id, now)
        return _answer(sale, transaction_id, sale.amounts, balances, now)

    async def _post(
        self, connection: Any, sale: Sale, transaction_id: UUID, now: datetime
    ) -> list[int]:
        """Lock the balances, move them, and write the postings; return the balances after it."""
        rows = await connection.fetch(LOCK, sale.customer_id, sale.assets)
        if len(rows) < len(sale.assets):
            await connection.execute(OPEN, sale.customer_id, sorted(sale.assets))
            rows = await connection.fetch(LOCK, sale.customer_id, sale.assets)
        held = {row["asset"]: row["amount"] for row in rows}
        balances = [held[a] + n for a, n in zip(sale.assets, sale.amounts, strict=True)]
        await connection.execute(UPDATE, sale.customer_id, sale.assets, balances)
        await connection.execute(
            *(POST, transaction_id, sale.customer_id, sale.brand_id, sale.store_id, sale.bill, now),
            *(sale.assets, sale.amounts, balances, sale.expire),
        )
        return balances

    async def _replay(self, connection: Any, sale: Sale) -> web.Response:
        """Answer a retry from what was recorded."""
        rows = await connection.fetch(RECORDED, sale.customer_id, sale.key)
        if rows[0]["fingerprint"] != sale.fingerprint:
            raise web.HTTPUnprocessableEntity
        amounts, balances = [r["amount"] for r in rows], [r["balance"] for r in rows]
        first = rows[0]
        answer = _answer(sale, first["transaction_id"], amounts, balances, first["recorded_at"])
        answer.headers["Idempotent-Replayed"] = "true"
        return answer

    def _read(self, request: web.Request, raw: bytes) -> Sale:
        """Decode a request, and let the programme of its brand say what it earns."""
        body = orjson.loads(raw)
        store = self._stores[body["store_id"]]
        brand = self._brands[store["brand_id"]]
        if body["currency"] != brand["currency"]:
            raise web.HTTPBadRequest
        bill = body["amount"]
        today = datetime.now(UTC).date()
        assets = [brand["brand_id"]]
        amounts = [bill * brand["points"] // brand["points_amount"]]
        expire = [today + timedelta(days=brand["points_validity_days"])]
        if brand["issuer"]:
            assets.append(COINS)
            amounts.append(bill * brand["coins"] // brand["coins_amount"])
            expire.append(today + timedelta(days=COINS_DAYS))
        return Sale(
            UUID(request.match_info["customer_id"]),
            request.headers["Idempotency-Key"],
            blake2b(raw, digest_size=8).digest(),
            store["store_id"],
            brand["brand_id"],
            bill,
            body.get("invoice_number"),
            assets,
            amounts,
            expire,
        )


def _answer(
    sale: Sale, transaction_id: UUID, amounts: list[int], balances: list[int], at: datetime
) -> web.Response:
    wallets = [
        earned(amount, balance, expires_on.isoformat())
        for amount, balance, expires_on in zip(amounts, balances, sale.expire, strict=True)
    ]
    body = {
        "transaction_id": str(transaction_id),
        "customer_id": str(sale.customer_id),
        "store_id": sale.store_id,
        "brand_id": sale.brand_id,
        "points": wallets[0],
        "coins": wallets[1] if len(wallets) > 1 else None,
        "recorded_at": at.isoformat(),
    }
    return web.Response(body=orjson.dumps(body), status=201, headers=HEADERS)


async def _as_it_is(_: Any) -> None:
    """In the place of asyncpg's reset, which would be a round trip at every release."""


async def main(options: argparse.Namespace) -> None:
    """Create the tables where they are missing, and serve."""
    pool = await asyncpg.create_pool(
        options.database_url,
        min_size=options.pool,
        max_size=options.pool,
        max_inactive_connection_lifetime=0,
        max_cached_statement_lifetime=0,
        reset=_as_it_is,
        server_settings={"jit": "off", "application_name": "textbook"},
    )
    await pool.execute(Path(__file__).with_suffix(".sql").read_text())
    app = web.Application()
    app.router.add_post(ROUTE, Textbook(demo_of(options.demo), pool).accumulate)
    await serve(app, options.port)
    await pool.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--database-url", required=True)
    parser.add_argument("--demo", type=Path, required=True)
    parser.add_argument("--pool", type=int, default=16)
    uvloop.run(main(parser.parse_args()))
