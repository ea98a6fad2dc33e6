"""One run of the simulation: a seed is all that it depends on."""

from __future__ import annotations

import asyncio
import gc
from collections import Counter
from dataclasses import dataclass, field
from hashlib import blake2b
from random import Random

from structlog.testing import capture_logs

from tests.simulation.clients import Clients
from tests.simulation.database import CALM, SimulatedDatabase, Weather
from tests.simulation.judge import verdict
from tests.simulation.loop import VirtualLoop
from tests.simulation.workers import TRIES_MIN, SilentMetrics, Worker, settings_drawn
from tests.simulation.workload import CUSTOMERS, Workload

WORKERS = 3
CLIENTS = 7
STEPS = 5
STORM_S = 2.5
ENDS_WITHIN_S = 120.0
"""Once the storm is over, every client knows what came of what it wants by then."""
MUST_NOT_HAPPEN = {"commit_broke", "decide_failed", "wallet_contradicts_itself"}
METRICS = SilentMetrics()


@dataclass(slots=True)
class Report:
    """What a run came to."""

    seed: int
    workers: int
    faults: list[str] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    lasted_s: float = 0.0
    digest: str = ""
    """Of all rows, by which two runs of a seed are compared."""

    def __str__(self) -> str:
        lines = [f"seed {self.seed}: {len(self.faults)} faults", *self.faults[:10]]
        again = f"python -m tests.simulation --seed {self.seed} --workers {self.workers}"
        return "\n  ".join([*lines, f"again: {again}"])


def simulate(seed: int, workers: int = WORKERS) -> Report:
    """Run a seed and judge it."""
    report = Report(seed, workers)
    gc.disable()  # the cycles of one run are few, and to look for them takes a tenth of the time
    with capture_logs() as logs, asyncio.Runner(loop_factory=VirtualLoop) as runner:
        try:
            runner.run(Run(report).all())
        except Exception as error:  # noqa: BLE001 - a seed that breaks the run is one that fails
            report.faults.append(f"the run broke: {error!r}")
        finally:
            gc.enable()
    for entry in logs:
        report.counts[entry["event"]] += 1
        if entry["event"] in MUST_NOT_HAPPEN:
            report.faults.append(f"{entry['event']}: {entry.get('exc_info', entry)}")
    return report


class Run:
    """The parts of one run, in the running loop."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self._dice = Random(report.seed)

    async def all(self) -> None:
        """Let the clients work while the storm lasts, then judge what is there."""
        dice, report = self._dice, self._report
        self._database = database = SimulatedDatabase(CUSTOMERS, dice, Weather.drawn(dice))
        settings = settings_drawn(dice)
        # A try more is needed then, for what is stale looks like what was seen.
        database.keys_first = settings.tries_max > TRIES_MIN and dice.random() < 0.3
        self._workers = [Worker(database, settings, METRICS, dice) for _ in range(report.workers)]
        for worker in self._workers:
            worker.start()
        workload = Workload(dice)
        database.bad = workload.bad
        clients = Clients(database, self._workers, workload, dice)
        storm = asyncio.create_task(self._storm())
        tasks = [asyncio.create_task(clients.run_one(n, STEPS)) for n in range(CLIENTS)]
        done, stuck = await asyncio.wait(tasks, timeout=STORM_S + ENDS_WITHIN_S)
        for task in stuck:
            task.cancel()
        report.faults += clients.faults
        report.faults += [f"{one.name} is stuck" for one in workload.intents if not one.outcome]
        await storm
        errors = [error for task in done if (error := task.exception()) is not None]
        report.faults += [f"a client broke: {error!r}" for error in errors]
        for worker in self._workers:
            report.faults += await worker.stop()
        await asyncio.sleep(1)
        if database.locked:
            report.faults.append("customers stay locked by connections that are gone")
        report.faults += verdict(database, workload.intents)
        report.lasted_s = database.loop.time()
        digest = blake2b(b"".join(row.hash for row in database.rows), digest_size=8)
        digest.update(repr([(one.outcome, one.answered_at) for one in workload.intents]).encode())
        report.digest = digest.hexdigest()
        report.counts |= Counter(one.outcome for one in workload.intents)
        report.counts["rows"] = len(database.rows)

    async def _storm(self) -> None:
        """Let faults happen for some time, of the kinds that the seed has; then all is well."""
        dice, loop = self._dice, self._database.loop
        kinds = [self._fail_over, self._lose_commits, self._cut, self._kill, self._restart]
        kinds += [self._forbid_writes, self._be_down, self._step_a_clock, self._doubt]
        kinds = [kind for kind in kinds if dice.random() < 0.4]
        pause_s = dice.choice((0.1, 0.3, 1.0))
        while loop.time() < STORM_S:
            await asyncio.sleep(dice.uniform(0, 2 * pause_s))
            if kinds:
                kind = dice.choice(kinds)
                self._report.counts[kind.__name__] += 1
                await kind()
        self._database.weather = CALM

    async def _fail_over(self) -> None:
        self._database.fail_over()

    async def _lose_commits(self) -> None:
        self._database.fail_over(commits_lost=self._dice.randint(1, 3))

    async def _cut(self) -> None:
        self._database.cut()

    async def _kill(self) -> None:
        worker = self._dice.choice(self._workers)
        await worker.kill()
        await asyncio.sleep(self._dice.uniform(0, 0.3))
        worker.start()

    async def _restart(self) -> None:
        worker = self._dice.choice(self._workers)
        await worker.stop(self._dice.uniform(0, 2))  # what it has not done by then it never does
        worker.start()

    async def _forbid_writes(self) -> None:
        self._database.read_only_until = self._database.loop.time() + self._dice.uniform(0, 0.5)

    async def _be_down(self) -> None:
        self._database.down_until = self._database.loop.time() + self._dice.uniform(0, 0.5)

    async def _step_a_clock(self) -> None:
        self._dice.choice(self._workers).clock_ahead_s += self._dice.uniform(-90, 90)

    async def _doubt(self) -> None:
        self._dice.choice(self._workers).doubt()
