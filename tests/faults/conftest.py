"""Engines for faults: their deadlines are short, so that a fault is noticed soon."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from harness import HASTE, EngineProcess, Network


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
