"""The demo network on a database: load it once, keep a key for each role, and describe both."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson

from engine.demo import description
from engine.demo.load import is_empty, load
from engine.demo.network import Network, invent
from engine.people.keys import Role, make_key
from engine.postgres.connections import Connection
from engine.postgres.sql import queries

SEED = 2026
FILE = "demo.json"

CATALOGUE = queries("catalogue")
DEMO = queries("demo")


async def prepare(connection: Connection, data_dir: Path) -> bool:
    """Load the demo network where the database is empty; return whether the database has it.

    Where it has it but the data folder does not describe it, fresh keys are made.
    """
    network = invent(SEED)
    if await is_empty(connection):
        await load(connection, network)
    elif await connection.fetchval(DEMO["first_brand"]) != network.brands[0].name:  # network op
        return False
    path = data_dir / FILE
    if not path.exists():
        keys = await _make_keys(connection, network)
        description.write(path, description.describe(network, url="", keys=keys))
    return True


def tell_url(data_dir: Path, url: str) -> dict[str, Any]:
    """Write where the engine listens into `demo.json`, and return all that stands there."""
    path = data_dir / FILE
    described: dict[str, Any] = orjson.loads(path.read_bytes())
    described["url"] = url
    description.write(path, described)
    return described


async def _make_keys(connection: Connection, network: Network) -> dict[str, str]:
    """Make a key for each role, and return them by the names that `describe` wants."""
    facts = description.describe(network, url="", keys=dict.fromkeys(_ROLES, ""))["keys"]
    keys = {}
    async with connection.transaction():  # network op
        for name, role in _ROLES.items():
            new = make_key()
            await connection.execute(  # network op
                CATALOGUE["insert_key"],
                new.key_id,
                new.secret_hash,
                role.value,
                facts[name].get("brand_id"),
                facts[name].get("store_id"),
                f"demo {name}",
                datetime.now(UTC),
                None,
            )
            keys[name] = new.key
        await connection.execute(CATALOGUE["touch"])  # network op
    return keys


_ROLES = {
    "network": Role.NETWORK,
    "brand": Role.BRAND,
    "store": Role.STORE,
    "other_store": Role.STORE,
    "app": Role.APP,
}
