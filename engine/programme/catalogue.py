"""The catalogue: brands, programmes, stores, rewards and keys, held in memory as one snapshot.

A worker looks for a newer version every second and replaces the whole snapshot, so that a request
sees one state of it from beginning to end. `Catalogue` holds the newest; handlers take what they
need in one expression and keep no reference.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import structlog

from engine.people.keys import Principal, matches, principal_of, split_key
from engine.postgres.connections import Pool
from engine.postgres.sql import queries
from engine.programme.calendar import UTC_OFFSETS
from engine.programme.earning import Programme
from engine.programme.items import Item, ItemKind

log = structlog.get_logger()
SQL = queries("catalogue")
KEYS_REMEMBERED_MAX = 10_000


@dataclass(frozen=True, slots=True)
class Brand:
    """A brand; `programmes` are its versions, oldest first, and `starts` when each began."""

    brand_id: int
    name: str
    country: str
    currency: str
    utc_offset: int
    programmes: tuple[Programme, ...]
    starts: tuple[float, ...]

    def programme_at(self, moment_s: float) -> Programme | None:
        """Return the version in force at `moment_s` (seconds since 1970), None before the first."""
        at = bisect_right(self.starts, moment_s)
        return self.programmes[at - 1] if at else None


@dataclass(frozen=True, slots=True)
class Store:
    """A shop of a brand."""

    store_id: int
    brand: Brand
    name: str
    city: str
    accepts_coins: bool


@dataclass(slots=True)
class Snapshot:
    """One version of the catalogue."""

    version: int = 0
    brands: Mapping[int, Brand] = field(default_factory=dict)
    stores: Mapping[int, Store] = field(default_factory=dict)
    items: Mapping[int, Item] = field(default_factory=dict)
    keys: Mapping[str, tuple[bytes, Principal]] = field(default_factory=dict)
    remembered: dict[str, Principal] = field(default_factory=dict)
    """Headers whose key was verified against this snapshot, so that it is hashed once only."""

    def principal(self, authorization: str) -> Principal | None:
        """Return who sends the header `Bearer <key>`, None for a key unknown or revoked."""
        known = self.remembered.get(authorization)
        if known is not None:
            return known
        scheme, _, key = authorization.partition(" ")
        parts = split_key(key) if scheme.lower() == "bearer" else None
        if parts is None or parts[0] not in self.keys:
            return None
        secret_hash, principal = self.keys[parts[0]]
        if not matches(parts[1], secret_hash):
            return None
        if len(self.remembered) >= KEYS_REMEMBERED_MAX:
            self.remembered.clear()
        self.remembered[authorization] = principal
        return principal


class Catalogue:
    """The newest snapshot, and the loop that keeps it so."""

    def __init__(self, pool: Pool, refresh_ms: int) -> None:
        self._pool = pool
        self._refresh_s = refresh_ms / 1000
        self.now = Snapshot()

    async def load(self) -> None:
        """Read the whole catalogue in one transaction and replace the snapshot."""
        async with (
            self._pool.acquire() as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),  # network op
        ):
            rows = {name: await connection.fetch(SQL[name]) for name in TABLES}  # network op
        self.now = snapshot_of(rows)
        log.info("catalogue_loaded", version=self.now.version, brands=len(self.now.brands))

    async def watch(self) -> None:
        """Look for a newer version for ever; while the database is away the last one serves on."""
        while True:
            await asyncio.sleep(self._refresh_s)
            try:
                version = await self._pool.fetchval(SQL["version"])  # network op
                if version != self.now.version:
                    await self.load()
            except Exception as error:  # noqa: BLE001 - looked for again in a moment
                log.warning("catalogue_not_refreshed", error=type(error).__name__)


TABLES = ("version", "brands", "programmes", "stores", "items", "keys")


def snapshot_of(rows: Mapping[str, list[Any]]) -> Snapshot:
    """Return the snapshot that the rows of `TABLES` make."""
    programmes: dict[int, list[Programme]] = {}
    for row in rows["programmes"]:
        facts = dict(row) | {"effective_from": row["effective_from"].timestamp()}
        programmes.setdefault(row["brand_id"], []).append(Programme(**facts))
    brands = {}
    for row in rows["brands"]:
        versions = tuple(programmes.get(row["brand_id"], ()))
        brands[row["brand_id"]] = Brand(
            **dict(row),
            utc_offset=UTC_OFFSETS[row["country"]],
            programmes=versions,
            starts=tuple(version.effective_from for version in versions),
        )
    return Snapshot(
        version=rows["version"][0]["version"],
        brands=brands,
        stores={
            row["store_id"]: Store(
                row["store_id"],
                brands[row["brand_id"]],
                row["name"],
                row["city"],
                row["accepts_coins"],
            )
            for row in rows["stores"]
        },
        items={row["item_id"]: _item(row, brands) for row in rows["items"]},
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
            for row in rows["keys"]
        },
    )


def _item(row: Any, brands: Mapping[int, Brand]) -> Item:
    facts = dict(row)
    for name in ("starts_at", "ends_at"):
        facts[name] = None if row[name] is None else row[name].timestamp()
    del facts["brand_id"]
    facts["kind"] = ItemKind(row["kind"])
    return Item(brand=brands[row["brand_id"]], **facts)
