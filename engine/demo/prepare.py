"""The demo network on a database: load it once, keep a key for each role, and describe both."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson

from engine.demo import description
from engine.demo.load import is_empty, load
from engine.demo.network import Network, invent
from engine.people.keys import Role, insert_key
from engine.people.passwords import hash_password
from engine.postgres.connections import Connection
from engine.postgres.sql import queries

SEED = 2026
CUSTOMERS = 5000
FILE = "demo.json"
PASSWORD_BYTES = 9

CATALOGUE = queries("catalogue")
DEMO = queries("demo")


async def prepare(connection: Connection, data_dir: Path, *, customers: int = CUSTOMERS) -> bool:
    """Load the demo network where the database is empty; return whether the database has it.

    Where it has it but the data folder does not describe it, keys and a password are made afresh.
    """
    network = invent(SEED, customers=customers)
    if await is_empty(connection):
        await load(connection, network)
    elif await connection.fetchval(DEMO["first_brand"]) != network.brands[0].name:  # network op
        return False
    path = data_dir / FILE
    if not path.exists():
        keys, password = await _make_principals(connection, network)
        described = description.describe(network, url="", keys=keys, password=password)
        description.write(path, described)
    return True


def tell_url(data_dir: Path, url: str) -> dict[str, Any]:
    """Write where the engine listens into `demo.json`, and return all that stands there."""
    path = data_dir / FILE
    described: dict[str, Any] = orjson.loads(path.read_bytes())
    described["url"] = url
    description.write(path, described)
    return described


async def _make_principals(connection: Connection, network: Network) -> tuple[dict[str, str], str]:
    """Make a key for each role, by the names that `describe` wants, and a cashier's password."""
    nobody = dict.fromkeys(_ROLES, "")
    described = description.describe(network, url="", keys=nobody, password="")
    facts, cashier = described["keys"], described["cashier"]
    password = secrets.token_urlsafe(PASSWORD_BYTES)
    keys = {}
    now = datetime.now(UTC)
    async with connection.transaction():  # network op
        for name, role in _ROLES.items():
            new, _ = await insert_key(
                connection,
                role=role,
                brand_id=facts[name].get("brand_id"),
                store_id=facts[name].get("store_id"),
                name=f"demo {name}",
                at=now,
            )
            keys[name] = new.key
        await connection.execute(  # network op
            *(DEMO["insert_cashier"], facts["store"]["brand_id"], cashier["store_id"]),
            *(cashier["user"], description.CASHIER_NAME, hash_password(password), now),
        )
        await connection.execute(CATALOGUE["touch"])  # network op
    return keys, password


_ROLES = {
    "network": Role.NETWORK,
    "brand": Role.BRAND,
    "store": Role.STORE,
    "other_store": Role.STORE,
    "app": Role.APP,
}
