"""The chain of the journal's hashes: whether the key at hand is the one that they were made with.

The key is not in the database, only a fingerprint of it: who writes to the database cannot make
the hashes of rows that were changed.
"""

from __future__ import annotations

from hashlib import blake2b

from engine.errors import EngineError
from engine.ledger.journal import SQL
from engine.postgres.connections import Connection

FINGERPRINT_SIZE = 16


def fingerprint_of_key(key: bytes) -> bytes:
    """Return the 16 bytes that a key is known by in the database."""
    return blake2b(key, digest_size=FINGERPRINT_SIZE, person=b"leal-chain-key").digest()


async def adopt_chain_key(connection: Connection, key: bytes) -> None:
    """Let the journal be chained by `key`; raises EngineError where it is chained by another."""
    fingerprint = fingerprint_of_key(key)
    if await connection.fetchval(SQL["chain_key"]) is None:  # network op
        await connection.execute(SQL["adopt_chain_key"], fingerprint)  # network op
    if await connection.fetchval(SQL["chain_key"]) != fingerprint:  # network op
        raise EngineError(
            "Another key has made the hashes of this database's journal. Start with the `chain.key`"
            " of the data folder of the engine that made them, or with its LEAL_CHAIN_KEY or"
            " LEAL_SECRET."
        )


async def is_chain_key(connection: Connection, key: bytes) -> bool:
    """Return whether the journal is chained by `key`, or not chained yet."""
    kept = await connection.fetchval(SQL["chain_key"])  # network op
    return kept is None or kept == fingerprint_of_key(key)
