"""Every seed passes; a run depends on its seed alone, and the judge finds what it is for."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from tests.simulation.database import SimulatedDatabase
from tests.simulation.loop import VirtualLoop
from tests.simulation.run import simulate

SEEDS = int(os.environ.get("LEAL_SIMULATION_SEEDS", "1000"))
FIRST = int(os.environ.get("LEAL_SIMULATION_FIRST", "1"))
TOGETHER = 50
"""Seeds of one test, so that a failure comes soon and is one among few."""
ROOT = Path(__file__).parent.parent.parent


@pytest.mark.parametrize("first", range(FIRST, FIRST + SEEDS, TOGETHER))
def test_what_clients_were_answered_is_what_the_journal_has(first):
    seeds = range(first, min(first + TOGETHER, FIRST + SEEDS))
    failed = [report for report in map(simulate, seeds) if report.faults]
    assert not failed, "\n".join(map(str, failed))


def test_a_run_depends_on_its_seed_alone():
    digests = (
        "from tests.simulation.run import simulate; print([simulate(n).digest for n in (1, 2)])"
    )
    printed = {
        subprocess.run(
            [sys.executable, "-c", digests],
            cwd=ROOT,
            env=os.environ | {"PYTHONHASHSEED": hash_seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for hash_seed in ("1", "2", "3")
    }
    assert len(printed) == 1
    assert simulate(1).digest in printed.pop()
    assert simulate(1).digest != simulate(2).digest


def lost(database, batch, rows):
    """Say that a batch is committed, and keep nothing of it."""


def doubled(database, batch, rows):
    """Commit a batch with its last row twice."""
    commit(database, batch, [*rows, rows[-1]])


def richer(database, batch, rows):
    """Commit a batch with another balance than was decided."""
    commit(database, batch, [*rows[:-1], replace(rows[-1], balance=rows[-1].balance + 1)])


def forgetful(database, batch, rows):
    """Commit a batch, and forget what it claims."""
    commit(database, batch, rows)
    database.claims = {}


commit = SimulatedDatabase.commit


@pytest.mark.parametrize(
    ("sabotage", "fault"),
    [
        (lost, "is answered and not in the journal"),
        (doubled, "stands 2 times"),
        (richer, "has other columns"),
        (forgetful, "happened 2 times"),
    ],
)
def test_a_database_that_does_wrong_is_noticed(monkeypatch, sabotage, fault):
    monkeypatch.setattr(SimulatedDatabase, "commit", sabotage)
    faults = [each for seed in range(1, 9) for each in simulate(seed).faults]
    assert any(fault in each for each in faults)


def test_virtual_time_jumps_to_the_next_timer_in_order():
    seen = []

    async def wait(seconds):
        await asyncio.sleep(seconds)
        seen.append((seconds, asyncio.get_running_loop().time()))

    async def all_of_them():
        await asyncio.gather(*(wait(seconds) for seconds in (3600.0, 1.0, 60.0)))

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(all_of_them())
    assert [seconds for seconds, _ in seen] == [1.0, 60.0, 3600.0]
    assert [at for _, at in seen] == pytest.approx([1.0, 60.0, 3600.0])


async def turn_for_ever():
    while True:
        await asyncio.sleep(0)


async def wait_for_nothing():
    await asyncio.get_running_loop().create_future()


@pytest.mark.parametrize(
    ("stuck", "words"),
    [(wait_for_nothing, "nothing is scheduled"), (turn_for_ever, "turns without")],
)
def test_a_loop_that_gets_nowhere_says_so(stuck, words):
    loop = VirtualLoop()
    task = loop.create_task(stuck())
    with pytest.raises(RuntimeError, match=words):
        loop.run_until_complete(task)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        loop.run_until_complete(task)
    loop.close()
