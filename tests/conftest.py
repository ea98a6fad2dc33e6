"""One throwaway server for the whole run, and a network on it of which every module has a copy."""

from __future__ import annotations

import asyncio
import os
import random
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from harness import Clients, EngineProcess, Network, People, clients_of

from engine.postgres.embedded import EmbeddedPostgres

SEED = int(os.environ.get("LEAL_TEST_SEED", "0")) or random.SystemRandom().randrange(1, 2**32)


def pytest_report_header() -> str:
    """Say how to draw the same numbers again."""
    return f"seed: LEAL_TEST_SEED={SEED}"


HISTORIES = pytest.StashKey[Counter[str]]()
"""What random histories did, to be told at the end of a run."""


@pytest.fixture(scope="session")
def histories(pytestconfig: pytest.Config) -> Counter[str]:
    """Return the counts of what random histories did."""
    return pytestconfig.stash.setdefault(HISTORIES, Counter())


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Give the counts to the process that tells of all, where this is one of several."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["histories"] = dict(session.config.stash.get(HISTORIES, {}))


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Add up the counts of the processes that ran the tests."""
    counts = node.config.stash.setdefault(HISTORIES, Counter())
    counts.update(getattr(node, "workeroutput", {}).get("histories", {}))


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Tell how long the random histories were, and what happened in them."""
    counts = config.stash.get(HISTORIES, {})
    if counts:
        terminalreporter.section("random histories")
        told = (f"{what} {count}" for what, count in sorted(counts.items()))
        terminalreporter.write_line(", ".join(told))


@pytest.fixture
def dice(request: pytest.FixtureRequest) -> random.Random:
    """Return numbers that are the same for the same seed and test."""
    return random.Random(f"{SEED} {request.node.nodeid}")


@pytest.fixture(scope="session")
def loaded_network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Network]:
    """Give a server with the demo network; it loses data in a power cut, for speed."""
    folder = tmp_path_factory.mktemp("network")
    with EmbeddedPostgres(folder, fsync=False) as server:
        yield asyncio.run(Network(server.start(), folder).load())


@pytest.fixture(scope="module")
def database(loaded_network: Network) -> str:
    """Return the DSN of the module's own copy of the network."""
    return loaded_network.new_database()


@pytest.fixture(scope="module")
def engine_flags() -> tuple[str, ...]:
    """Return flags for the module's engine; a module may have a fixture of this name."""
    return ()


@pytest.fixture(scope="module")
def engine(
    loaded_network: Network,
    database: str,
    engine_flags: tuple[str, ...],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[EngineProcess]:
    """Give a running engine on the module's database."""
    engine = loaded_network.engine(database, tmp_path_factory.mktemp("engine"), *engine_flags)
    try:
        yield engine.start()
    finally:
        engine.stop()


@pytest.fixture
def secret(engine: EngineProcess) -> bytes:
    """Return the secret of the module's engine, by which it makes codes, QRs and presences."""
    return (engine.folder / "secret").read_bytes()


@pytest.fixture(scope="module")
def demo(engine: EngineProcess) -> dict[str, Any]:
    """Return what demo.json says of the network."""
    return engine.demo


@pytest.fixture(scope="module")
def people(demo: dict[str, Any]) -> People:
    """Return the customers that nobody has used yet."""
    return People(demo)


@pytest.fixture
def customer_id(people: People) -> str:
    """Return a customer of the test's own, whose profile is complete."""
    return people.complete()["customer_id"]


@pytest.fixture
async def api(engine: EngineProcess) -> AsyncIterator[Clients]:
    """Give a client for each role."""
    async with clients_of(engine) as clients:
        yield clients
