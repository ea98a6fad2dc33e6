"""Engines for faults: their deadlines are short, so that a fault is noticed soon."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from harness import HASTE, EngineProcess, Network, People, clients_of, connection_to, running
from proxy import Proxy

DEADLOCKS = "select deadlocks from pg_stat_database where datname = current_database()"


@pytest.fixture
def make_engine(tmp_path: Path) -> Iterator[Callable[..., EngineProcess]]:
    """Give what makes an engine on a database, not yet started; all of them end with the test."""
    engines: list[EngineProcess] = []

    def make(network: Network, dsn: str, *flags: str, **more: tuple[str, ...]) -> EngineProcess:
        folder = tmp_path / f"engine-{len(engines)}"
        engines.append(network.engine(dsn, folder, *HASTE, *flags, **more))
        return engines[-1]

    yield make
    for engine in engines:
        engine.stop()


@pytest.fixture
def dsn(loaded_network: Network) -> str:
    """Return the DSN of a database of the test's own."""
    return loaded_network.new_database()


@pytest.fixture(scope="module")
def engines(
    loaded_network: Network, database: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[list[EngineProcess]]:
    """Give two running engines on one database, whose codes of payments have the same secret."""
    engines = [
        loaded_network.engine(
            *(database, tmp_path_factory.mktemp("worker"), *HASTE),
            *("--secret", "what both make the codes of payments with"),
            *("--tries-max", "20"),  # so that a lock is waited for until the answer is due
        )
        for _ in range(2)
    ]
    with running(engines):
        yield engines


@pytest.fixture
async def two(engines: list[EngineProcess], database: str) -> AsyncIterator[tuple[Any, ...]]:
    """Give clients of two engines and a connection; at the end there was no deadlock."""
    async with AsyncExitStack() as stack:
        one, other = [await stack.enter_async_context(clients_of(engine)) for engine in engines]
        connection = await stack.enter_async_context(connection_to(database))
        yield one, other, connection
        assert await connection.fetchval(DEADLOCKS) == 0


@pytest.fixture
async def broken(
    loaded_network: Network, dsn: str, make_engine: Callable[..., EngineProcess]
) -> AsyncIterator[tuple[Any, ...]]:
    """Give (a proxy that breaks, clients of an engine behind it, a direct connection, people)."""
    async with Proxy(dsn) as proxy:
        engine = make_engine(loaded_network, proxy.dsn, "--lanes", "1")
        await asyncio.to_thread(engine.start)
        async with clients_of(engine) as clients, connection_to(dsn) as connection:
            yield proxy, clients, connection, People(engine.demo)
        proxy.silent = False
        proxy.cut_all()
