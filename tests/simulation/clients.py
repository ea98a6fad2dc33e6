"""Clients of the simulation: each repeats a request until its outcome is known.

Each answer is compared with the database at once: what is answered as done is there.
"""

from __future__ import annotations

import asyncio
from random import Random
from typing import Any

from engine.codes import Kind, Outcome
from engine.errors import (
    EngineError,
    ItemTaken,
    KeyReused,
    OutcomeUnknown,
    Overloaded,
    PaymentNotFound,
    Unavailable,
)
from tests.simulation.database import SimulatedDatabase
from tests.simulation.workers import Gone, Worker
from tests.simulation.workload import Intent, Workload

GIVES_UP = 0.15
"""How many do not try again once nothing was done; then nothing may ever be done."""
PAUSE_S_MAX = 0.3


class Clients:
    """All clients of a run, and the faults that they saw."""

    def __init__(
        self, database: SimulatedDatabase, workers: list[Worker], workload: Workload, dice: Random
    ) -> None:
        self._database = database
        self._workers = workers
        self._workload = workload
        self._dice = dice
        self._patience_s = dice.choice((0.05, 1.0, 10.0))
        self.faults: list[str] = []

    async def run_one(self, number: int, steps: int) -> None:
        """Be one client, which makes its requests one after the other."""
        dice, home = self._dice, self._workers[number % len(self._workers)]
        for _ in range(steps):
            await asyncio.sleep(dice.uniform(0, 0.2))
            drawn = dice.random()
            if drawn < 0.15:
                await self._pay_with_a_code(home)
            elif drawn < 0.25:
                await self._upload(home)
            elif drawn < 0.33:
                await self._sell_and_reverse(home)
            elif drawn < 0.38:
                await self._ask_twice(home)
            elif drawn < 0.43:
                await self._use_one_key_for_two(home)
            elif drawn < 0.45:
                await self._block_and_unblock(home)
            else:
                await self.settle(self._workload.any(), home)

    async def settle(self, intent: Intent, home: Worker) -> None:
        """Ask until the outcome of an intent is known."""
        while not intent.outcome:
            self._asks(intent)
            try:
                result = await home.submit(intent.operation(), self._patience_s)
            except (EngineError, Gone) as error:
                result = error
            home = await self._learn(intent, result, home)

    async def _settle_many(self, intents: list[Intent], home: Worker) -> None:
        """Do the same for an upload, which is sent again with what is not known yet."""
        while open_ := [intent for intent in intents if not intent.outcome]:
            for intent in open_:
                self._asks(intent)
            asked = [intent.operation() for intent in open_]
            try:
                results = await home.submit_many(asked, self._patience_s)
            except Gone as error:
                results = [error] * len(asked)
            for intent, result in zip(open_, results, strict=True):
                home = await self._learn(intent, result, home)

    def _asks(self, intent: Intent) -> None:
        if intent.asked_at < 0:
            intent.asked_at = self._database.loop.time()

    async def _learn(self, intent: Intent, result: Any, home: Worker) -> Worker:
        """Take what came of one attempt; return the worker that is asked next."""
        dice = self._dice
        if isinstance(result, Overloaded | Unavailable):
            if not (intent.uncertain or intent.patient) and dice.random() < GIVES_UP:
                return self._end(intent, "nothing", home)
        elif isinstance(result, OutcomeUnknown | Gone):
            intent.uncertain = True
        elif isinstance(result, ItemTaken):
            if not intent.units:
                return self._end(intent, "taken", home)
            intent.facts["unit"] = intent.units.pop()
        elif isinstance(result, PaymentNotFound):
            # The payment is over; by this very intent maybe, as its rows say then.
            rows = self._database.rows_of(intent.transaction_id)
            intent.refusal = rows[0].refusal if rows else 0
            return self._end(intent, "posted" if rows else "not found", home)
        elif isinstance(result, KeyReused):
            return self._end(intent, "reused", home)
        elif isinstance(result, BaseException):
            return self._end(intent, type(result).__name__, home)
        elif result[0].kind == Kind.EXPIRY:
            if result[0].outcome != Outcome.WRITTEN_DOWN:
                self.faults.append(f"{intent.name} has the outcome {result[0].outcome}")
            return self._end(intent, "written down", home)
        else:
            self._compare(intent, result[0])
            return self._end(intent, "posted", home)
        await asyncio.sleep(dice.uniform(0, PAUSE_S_MAX))
        return dice.choice(self._workers) if dice.random() < 0.5 else home

    def _end(self, intent: Intent, outcome: str, home: Worker) -> Worker:
        if intent.outcome != "posted":  # it may be asked twice
            intent.outcome, intent.answered_at = outcome, self._database.loop.time()
        return home

    def _compare(self, intent: Intent, answer: Any) -> None:
        """Hold an answer against the rows that are durable now."""
        intent.refusal = answer.refusal
        rows = self._database.rows_of(intent.transaction_id)
        if not rows:
            if intent.transaction_id not in self._database.lost:
                self.faults.append(f"{intent.name} is answered and not in the journal")
            return
        for name in ("kind", "refusal", "amount", "balance", "fingerprint"):
            answered, row = getattr(answer, name), getattr(rows[0], name)
            if answered != row and not (name == "amount" and rows[0].held_amount):
                self.faults.append(f"{intent.name} has {name} {row}, and was answered {answered}")

    # What they do.

    async def _pay_with_a_code(self, home: Worker) -> None:
        hold = self._workload.hold(self._database.loop.time())
        await self.settle(hold, home)
        if hold.outcome != "posted":
            return
        for _ in range(self._dice.randint(0, 3)):
            await asyncio.sleep(self._dice.uniform(0, 0.3))
            await self.settle(self._workload.follow_up(hold), home)
        if self._dice.random() < 0.3:
            await self.settle(self._workload.sweep(hold.facts["customer_id"]), home)

    async def _upload(self, home: Worker) -> None:
        items = [self._workload.any() for _ in range(self._dice.randint(2, 12))]
        await self._settle_many(items, home)

    async def _sell_and_reverse(self, home: Worker) -> None:
        sale = self._dice.choice((self._workload.earn, self._workload.earn_by_invoice))()
        await self.settle(sale, home)
        rows = self._database.rows_of(sale.transaction_id)
        if sale.outcome == "posted" and rows:
            for _ in range(self._dice.randint(1, 2)):
                await self.settle(self._workload.reverse(sale, rows), home)

    async def _ask_twice(self, home: Worker) -> None:
        intent = self._workload.any()
        intent.patient, other = True, self._dice.choice(self._workers)
        await asyncio.gather(self.settle(intent, home), self.settle(intent, other))

    async def _use_one_key_for_two(self, home: Worker) -> None:
        first = self._workload.earn()
        second = self._workload.earn_for_another(first)
        first.patient = second.patient = True
        other = self._dice.choice(self._workers)
        await asyncio.gather(self.settle(first, home), self.settle(second, other))

    async def _block_and_unblock(self, home: Worker) -> None:
        customer_id = self._workload.customer()
        for kind in (Kind.BLOCK, Kind.UNBLOCK):
            intent = self._workload.block(customer_id, kind)
            intent.patient = True
            await self.settle(intent, home)
