"""FastAPI with SQLAlchemy's asyncio: what most would write today, written well.

uvicorn on uvloop and httptools without an access log, pydantic models in and out, the asyncpg
dialect, a session and a transaction for each request, balances locked by SELECT … FOR UPDATE.
SQLAlchemy caches the compiled statements, asyncpg the prepared ones; no ping before a connection is
used, no expiry at commit, both rows of a sale flushed together, programmes and stores in memory.

Its tables are those of the textbook service, in a database of its own.
"""

import argparse
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime, timedelta
from hashlib import blake2b
from pathlib import Path
from typing import Annotated, Any, Final
from uuid import UUID

import uvicorn
from fastapi import Depends, FastAPI, Header, HTTPException, Request, Response
from fastapi.responses import PlainTextResponse
from pydantic import BaseModel
from sqlalchemy import select
from sqlalchemy.dialects import postgresql
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from uuid_utils import uuid7

from bench.contestants.shape import ROUTE
from bench.workload import demo_of, keys_of

COINS: Final = 0
COINS_DAYS: Final = 730
TABLES: Final = Path(__file__).with_name("textbook.sql")


class Base(DeclarativeBase):
    pass


class Idempotency(Base):
    __tablename__ = "idempotency"
    customer_id: Mapped[UUID] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    fingerprint: Mapped[bytes]
    transaction_id: Mapped[UUID]


class Invoice(Base):
    __tablename__ = "invoice"
    store_id: Mapped[int] = mapped_column(primary_key=True)
    number: Mapped[str] = mapped_column(primary_key=True)
    transaction_id: Mapped[UUID]


class Balance(Base):
    __tablename__ = "balance"
    customer_id: Mapped[UUID] = mapped_column(primary_key=True)
    asset: Mapped[int] = mapped_column(primary_key=True)
    amount: Mapped[int] = mapped_column(postgresql.BIGINT)


class Posting(Base):
    __tablename__ = "posting"
    transaction_id: Mapped[UUID] = mapped_column(primary_key=True)
    asset: Mapped[int] = mapped_column(primary_key=True)
    customer_id: Mapped[UUID]
    brand_id: Mapped[int]
    store_id: Mapped[int]
    amount: Mapped[int] = mapped_column(postgresql.BIGINT)
    balance: Mapped[int] = mapped_column(postgresql.BIGINT)
    expires_on: Mapped[date]
    bill_amount: Mapped[int] = mapped_column(postgresql.BIGINT)
    recorded_at: Mapped[datetime] = mapped_column(postgresql.TIMESTAMP(timezone=True))


class Sale(BaseModel):
    """What a point of sale sends."""

    amount: int
    currency: str
    store_id: int
    invoice_number: str | None = None


class Earned(BaseModel):
    """What one wallet got."""

    earned: int
    balance: int
    expires_on: date


class Accumulated(BaseModel):
    """The answer."""

    transaction_id: UUID
    customer_id: UUID
    store_id: int
    brand_id: int
    points: Earned
    coins: Earned | None
    recorded_at: datetime


def application(options: argparse.Namespace) -> FastAPI:
    """Return the service; its tables are made at its start."""
    demo = demo_of(options.demo)
    keys = set(keys_of(demo).values())
    stores = {store["store_id"]: store for store in demo["stores"]}
    brands = {brand["brand_id"]: brand for brand in demo["brands"]}
    # Its user and host are in the query, as asyncpg takes them.
    engine = create_async_engine(
        options.database_url.replace("postgresql://", "postgresql+asyncpg://"),
        pool_size=options.pool,
        max_overflow=0,
        connect_args={"server_settings": {"jit": "off", "application_name": "fastapi"}},
    )
    sessions = async_sessionmaker(engine, expire_on_commit=False)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with engine.begin() as connection:
            for statement in TABLES.read_text().split(";"):
                if statement.strip():
                    await connection.exec_driver_sql(statement)
        yield
        await engine.dispose()

    async def session() -> AsyncIterator[AsyncSession]:
        async with sessions() as one, one.begin():
            yield one

    async def principal(authorization: Annotated[str, Header()]) -> str:
        if authorization[7:] not in keys:
            raise HTTPException(401)
        return authorization[7:]

    app = FastAPI(lifespan=lifespan)

    @app.get("/readyz")
    async def ready() -> PlainTextResponse:
        return PlainTextResponse("ready")

    @app.post(ROUTE, status_code=201, dependencies=[Depends(principal)])
    async def accumulate(
        customer_id: UUID,
        sale: Sale,
        idempotency_key: Annotated[str, Header()],
        request: Request,
        response: Response,
        # The transaction ends before the answer goes out.
        db: Annotated[AsyncSession, Depends(session, scope="function")],
    ) -> Accumulated:
        store = stores[sale.store_id]
        brand = brands[store["brand_id"]]
        if sale.currency != brand["currency"]:
            raise HTTPException(400)
        fingerprint = blake2b(await request.body(), digest_size=8).digest()
        transaction_id, now = UUID(bytes=uuid7().bytes), datetime.now(UTC)
        kept = await db.execute(
            postgresql.insert(Idempotency)
            .values(
                customer_id=customer_id,
                key=idempotency_key,
                fingerprint=fingerprint,
                transaction_id=transaction_id,
            )
            .on_conflict_do_nothing()
        )
        if kept.rowcount == 0:
            return await _replay(db, customer_id, idempotency_key, fingerprint, response)
        if sale.invoice_number is not None:
            claimed = await db.execute(
                postgresql.insert(Invoice)
                .values(
                    store_id=sale.store_id,
                    number=sale.invoice_number,
                    transaction_id=transaction_id,
                )
                .on_conflict_do_nothing()
            )
            if claimed.rowcount == 0:
                raise HTTPException(409)
        postings = [
            Posting(
                transaction_id=transaction_id,
                asset=asset,
                customer_id=customer_id,
                brand_id=brand["brand_id"],
                store_id=sale.store_id,
                amount=amount,
                expires_on=expires_on,
                bill_amount=sale.amount,
                recorded_at=now,
            )
            for asset, amount, expires_on in _earnings(brand, sale.amount, now.date())
        ]
        await _post(db, customer_id, postings)
        return _answer(postings)

    return app


async def _post(db: AsyncSession, customer_id: UUID, postings: list[Posting]) -> None:
    """Lock the balances and move them; add the postings with the balances after them."""
    assets = sorted(posting.asset for posting in postings)
    lock = (
        select(Balance)
        .where(Balance.customer_id == customer_id, Balance.asset.in_(assets))
        .order_by(Balance.asset)
        .with_for_update()
    )
    held = {balance.asset: balance for balance in await db.scalars(lock)}
    if len(held) < len(assets):
        opened = [{"customer_id": customer_id, "asset": asset, "amount": 0} for asset in assets]
        await db.execute(postgresql.insert(Balance).values(opened).on_conflict_do_nothing())
        held = {balance.asset: balance for balance in await db.scalars(lock)}
    for posting in postings:
        balance = held[posting.asset]
        balance.amount += posting.amount
        posting.balance = balance.amount
    db.add_all(postings)


async def _replay(
    db: AsyncSession, customer_id: UUID, key: str, fingerprint: bytes, response: Response
) -> Accumulated:
    """Answer a retry from what was recorded."""
    kept = await db.get_one(Idempotency, (customer_id, key))
    if kept.fingerprint != fingerprint:
        raise HTTPException(422)
    found = select(Posting).where(Posting.transaction_id == kept.transaction_id)
    postings = await db.scalars(found.order_by(Posting.asset.desc()))
    response.headers["Idempotent-Replayed"] = "true"
    return _answer(list(postings))


def _earnings(brand: dict[str, Any], bill: int, today: date) -> list[tuple[int, int, date]]:
    """Return (asset, amount, last day) of what a bill earns by the brand's programme."""
    points = bill * brand["points"] // brand["points_amount"]
    earned = [
        (brand["brand_id"], points, today + timedelta(days=brand["points_validity_days"])),
    ]
    if brand["issuer"]:
        coins = bill * brand["coins"] // brand["coins_amount"]
        earned.append((COINS, coins, today + timedelta(days=COINS_DAYS)))
    return earned


def _answer(postings: list[Posting]) -> Accumulated:
    first = postings[0]
    earned = [
        Earned(earned=one.amount, balance=one.balance, expires_on=one.expires_on)
        for one in postings
    ]
    return Accumulated(
        transaction_id=first.transaction_id,
        customer_id=first.customer_id,
        store_id=first.store_id,
        brand_id=first.brand_id,
        points=earned[0],
        coins=earned[1] if len(earned) > 1 else None,
        recorded_at=first.recorded_at,
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--database-url", required=True)
    parser.add_argument("--demo", type=Path, required=True)
    parser.add_argument("--pool", type=int, default=16)
    options = parser.parse_args()
    uvicorn.run(
        application(options),
        host="127.0.0.1",
        port=options.port,
        loop="uvloop",
        http="httptools",
        backlog=1024,
        access_log=False,
        log_level="warning",
    )
