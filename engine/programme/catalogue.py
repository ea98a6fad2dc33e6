"""The catalogue: brands, programmes, stores, items, parties and keys, in memory as one snapshot.

A worker replaces the whole snapshot when it is told of a change, so that a request sees one state
of it from beginning to end. PostgreSQL tells those that listen as a change commits; besides, each
worker looks for itself every second, so that a notice which never comes costs no more than that.
`Catalogue` holds the newest; handlers take what they need in one expression and keep no reference.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from time import monotonic, time
from typing import Any

import structlog

from engine.constants import DAY_SECONDS
from engine.people.keys import Principal, matches, principal_of, split_key
from engine.postgres.connections import Pool
from engine.postgres.listener import Connect, listen
from engine.postgres.sql import queries
from engine.programme.brands import Brand, EarlierScope, Store
from engine.programme.calendar import COINS_COUNTRY, UTC_OFFSETS
from engine.programme.earning import Programme
from engine.programme.items import Item, item_from
from engine.programme.parties import Partner, Party, Rate

log = structlog.get_logger()
SQL = queries("catalogue")
CHANNEL = "leal_catalogue"
KEYS_REMEMBERED_MAX = 10_000
ROWS_A_TURN = 250


@dataclass(slots=True)
class Snapshot:
    """One version of the catalogue."""

    version: int = 0
    brands: Mapping[int, Brand] = field(default_factory=dict)
    stores: Mapping[int, Store] = field(default_factory=dict)
    items: Mapping[int, Item] = field(default_factory=dict)
    partners: Mapping[int, Partner] = field(default_factory=dict)
    organisations: Mapping[int, Party] = field(default_factory=dict)
    keys: Mapping[str, tuple[bytes, Principal]] = field(default_factory=dict)
    remembered: dict[str, Principal] = field(default_factory=dict)
    """Headers whose key was verified against this snapshot, so that it is hashed once only."""

    def principal(self, authorization: str) -> Principal | None:
        """Return who sends the header `Bearer <key>`, None for a key unknown or revoked.

        A key of a retired store or brand is nobody's any more.
        """
        known = self.remembered.get(authorization)
        if known is not None:
            return known
        scheme, _, key = authorization.partition(" ")
        parts = split_key(key) if scheme.lower() == "bearer" else None
        if parts is None or parts[0] not in self.keys:
            return None
        secret_hash, principal = self.keys[parts[0]]
        if not matches(parts[1], secret_hash) or self._is_retired(principal):
            return None
        if len(self.remembered) >= KEYS_REMEMBERED_MAX:
            self.remembered.clear()
        self.remembered[authorization] = principal
        return principal

    def utc_offset(self, asset: int) -> int:
        """Return the seconds east of UTC by whose calendar an asset expires (PTS-4, COI-1).

        That is the calendar of a brand for its points, and Colombia's for coins, which are no
        brand's.
        """
        brand = self.brands.get(asset)
        return UTC_OFFSETS[COINS_COUNTRY] if brand is None else brand.utc_offset

    def _is_retired(self, principal: Principal) -> bool:
        store = None if principal.store_id is None else self.stores.get(principal.store_id)
        brand = None if principal.brand_id is None else self.brands.get(principal.brand_id)
        return (store is not None and store.retired) or (brand is not None and brand.retired)


class Catalogue:
    """The newest snapshot, and the loops that keep it so."""

    def __init__(self, pool: Pool, refresh_ms: int, occurred_days_max: int) -> None:
        self._pool = pool
        self._refresh_s = refresh_ms / 1000
        # A day more, for the first sale of that time may be of any hour of its day.
        self._scopes_kept_s = (occurred_days_max + 1) * DAY_SECONDS
        self._loading = asyncio.Lock()
        self._told = asyncio.Event()
        self.now = Snapshot()

    async def load(self) -> None:
        """Read the whole catalogue in one transaction and replace the snapshot.

        Raises what a database out of reach raises, and KeyError or ValueError for a row that is
        not sound; the last snapshot stays then.
        """
        async with self._loading:
            await self._load()

    async def catch_up(self, version: int) -> None:
        """Return once the snapshot is of `version` or newer; those who wait share one reading."""
        async with self._loading:
            if self.now.version < version:
                await self._load()

    async def watch(self) -> None:
        """Look for another version for ever; while the database is away the last one serves on.

        A stream of changes takes half of the time at most: as long as one reading took, the next
        one waits.
        """
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._refresh_s):
                    await self._told.wait()
            self._told.clear()
            started = monotonic()
            try:
                async with self._loading:
                    version = await self._pool.fetchval(SQL["version"])  # network op
                    if version != self.now.version:
                        await self._load()
            except Exception as error:  # noqa: BLE001 - looked for again in a moment
                log.warning("catalogue_not_refreshed", error=type(error).__name__)
            await asyncio.sleep(min(monotonic() - started, self._refresh_s))

    async def listen(self, connect: Connect) -> None:
        """Wake `watch` when a change is told of, or may have been, for ever."""
        await listen(connect, CHANNEL, lambda _: self._told.set(), self._told.set)

    async def _load(self) -> None:
        async with (
            self._pool.acquire() as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),  # network op
        ):
            rows = {name: await connection.fetch(SQL[name]) for name in TABLES}  # network op
        self.now = await snapshot_of(rows, scopes_since=time() - self._scopes_kept_s)
        log.info("catalogue_loaded", version=self.now.version, brands=len(self.now.brands))


TABLES = (
    "version",
    "brands",
    "programmes",
    "stores",
    "earlier_scopes",
    "items",
    "partners",
    "rates",
    "organisations",
    "keys",
)


async def snapshot_of(rows: Mapping[str, list[Any]], *, scopes_since: float) -> Snapshot:
    """Return the snapshot that the rows of `TABLES` make; the event loop turns meanwhile.

    Of the earlier scopes of stores it has those in force at `scopes_since` (seconds since 1970) or
    later.
    """
    programmes: dict[int, list[Programme]] = {}
    async for row in _in_turns(rows["programmes"]):
        facts = dict(row) | {"effective_from": row["effective_from"].timestamp()}
        programmes.setdefault(row["brand_id"], []).append(Programme(**facts))
    brands = {}
    async for row in _in_turns(rows["brands"]):
        versions = tuple(programmes.get(row["brand_id"], ()))
        brands[row["brand_id"]] = Brand(
            **dict(row),
            utc_offset=UTC_OFFSETS[row["country"]],
            programmes=versions,
            starts=tuple(version.effective_from for version in versions),
        )
    scopes: dict[int, list[EarlierScope]] = {}
    for row in rows["earlier_scopes"]:
        if (until := row["until"].timestamp()) >= scopes_since:
            scopes.setdefault(row["store_id"], []).append(EarlierScope(row["scope"], until))
    stores = {}
    async for row in _in_turns(rows["stores"]):
        stores[row["store_id"]] = Store(
            row["store_id"],
            brands[row["brand_id"]],
            row["name"],
            row["city"],
            row["accepts_coins"],
            row["invoice_scope"],
            row["retired"],
            tuple(scopes.get(row["store_id"], ())),
        )
    rates: dict[int, list[Rate]] = {}
    for row in rows["rates"]:
        facts = dict(row) | {"effective_from": row["effective_from"].timestamp()}
        rates.setdefault(row["partner_id"], []).append(Rate(**facts))
    return Snapshot(
        version=rows["version"][0]["version"],
        brands=brands,
        stores=stores,
        items={
            row["item_id"]: item_from(row, brands[row["brand_id"]])
            async for row in _in_turns(rows["items"])
        },
        partners={
            row["party_id"]: Partner(**row, rates=tuple(rates.get(row["party_id"], ())))
            for row in rows["partners"]
        },
        organisations={row["party_id"]: Party(**row) for row in rows["organisations"]},
        keys={
            row["key_id"]: (
                row["secret_hash"],
                principal_of(
                    row["key_id"],
                    row["role"],
                    row["brand_id"],
                    row["store_id"],
                    row["principal_id"],
                ),
            )
            async for row in _in_turns(rows["keys"])
        },
    )


async def _in_turns(rows: list[Any]) -> AsyncIterator[Any]:
    """Give the rows, and the event loop a turn after each `ROWS_A_TURN` of them."""
    for number, row in enumerate(rows, 1):
        yield row
        if number % ROWS_A_TURN == 0:
            await asyncio.sleep(0)
