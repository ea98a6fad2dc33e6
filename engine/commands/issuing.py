"""What brands issue coins by: accumulations and cashbacks (COI-2). All of them go through here.

The coins of a prepaid issuer are reserved before an operation is submitted, and those that were not
issued are given back. Where its fund has fewer left, a sale earns its points and no coins, and a
cashback is not available.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass
from time import monotonic
from typing import Protocol

from engine.codes import Refusal
from engine.commands.services import Services
from engine.errors import (
    AllotmentClosed,
    EngineError,
    FundBusy,
    OutcomeUnknown,
    Overloaded,
    Unavailable,
)
from engine.ledger.core import Operation
from engine.ledger.receipts import Answer
from engine.programme.brands import Brand
from engine.programme.funds import Allotment

Outcome = tuple[Answer, bool] | EngineError
"""What `Committer.submit` returns or raises."""

PAUSE_S_MAX = 0.1
"""How long to leave it to others to issue the coins that they have, before they are asked again."""


class Issue(Protocol):
    """What a brand issues coins by. It may take several tries, each an operation of its own."""

    @property
    def brand(self) -> Brand:
        """The brand that issues the coins."""

    @property
    def customer_id(self) -> bytes:
        """Who gets them."""

    def operation(self, allotment_id: bytes | None = None) -> Operation:
        """Return a new operation whose coins are drawn from an allotment, None for no fund."""

    def unfunded(self) -> Operation:
        """Return a new operation for coins that nobody has paid for: it issues none."""


@dataclass(frozen=True, slots=True)
class Funded:
    """An operation of a prepaid issuer, what pays for its coins, and those that nobody does."""

    operation: Operation
    allotment: Allotment | None = None
    missing: int = 0


async def issue(services: Services, wanted: Issue) -> tuple[Answer, bool]:
    """Return and raise what `Committer.submit` does for what a brand issues coins by.

    Raises nothing of allotments: another one is drawn from then.
    """
    operation = wanted.operation()
    if not needs_funds(wanted.brand, operation):
        return await services.committer.submit(operation)
    (outcome,) = await issue_many(services, [wanted])
    if isinstance(outcome, EngineError):
        raise outcome
    return outcome


async def issue_many(services: Services, wanted: Sequence[Issue]) -> list[Outcome]:
    """Return for each, in their order, what `issue` returns or raises.

    Those whose coins are not to be had yet wait, and with them what follows of their customer; the
    others are made durable meanwhile, for they hold coins that somebody else may be waiting for.
    """
    results: dict[int, Outcome] = {}
    left = dict(enumerate(wanted))
    deadline = monotonic() + services.settings.answer_timeout_ms / 1000
    while left and monotonic() < deadline:
        late: set[bytes] = set()
        asked: dict[int, Operation] = {}
        funded: dict[int, Funded] = {}
        for place, each in left.items():
            if each.customer_id in late:
                continue
            operation = each.operation()
            if needs_funds(each.brand, operation):
                try:
                    funded[place] = await _funded(services, each, operation.coins_issued)
                except FundBusy:
                    late.add(each.customer_id)
                    continue
                except Unavailable as error:
                    results[place] = error
                    continue
                operation = funded[place].operation
            asked[place] = operation
        outcomes = await services.committer.submit_many(list(asked.values()))
        for place, outcome in zip(asked, outcomes, strict=True):
            if place in funded:
                _settle(services, funded[place], outcome)
            if not isinstance(outcome, AllotmentClosed):
                results[place] = outcome
        left = {place: each for place, each in left.items() if place not in results}
        if left:
            await asyncio.sleep(random.uniform(0, PAUSE_S_MAX))  # noqa: S311
    return [results.get(place) or Overloaded() for place in range(len(wanted))]


def needs_funds(brand: Brand, operation: Operation) -> bool:
    """Return whether an operation issues coins that its brand has to have paid for."""
    return brand.prepaid and operation.coins_issued > 0 and not operation.barred


async def _funded(services: Services, wanted: Issue, coins: int) -> Funded:
    """Return an operation whose coins are reserved; raises FundBusy and Unavailable."""
    lane = services.committer.lane_of(wanted.customer_id)
    allotment = await services.funds.reserve(wanted.brand, lane, coins)
    if allotment is None:
        return Funded(wanted.unfunded(), missing=coins)
    return Funded(wanted.operation(allotment.allotment_id), allotment)


def _settle(services: Services, funded: Funded, outcome: Outcome) -> None:
    """Give back what was reserved and is not issued for certain; count what nobody paid for.

    What may still be issued stays reserved; if it is not, it comes back when the allotment is
    closed.
    """
    replayed = not isinstance(outcome, EngineError) and outcome[1]
    refusal = None if isinstance(outcome, EngineError) else outcome[0].refusal
    if funded.allotment is None:
        if funded.missing and not replayed and refusal in (0, Refusal.NOT_AVAILABLE):
            services.metrics.coins_not_issued.inc(funded.missing)
    elif isinstance(outcome, AllotmentClosed):
        services.funds.forget({funded.allotment.allotment_id})
    elif not isinstance(outcome, OutcomeUnknown) and (replayed or refusal != 0):
        services.funds.give_back(funded.allotment, funded.operation.coins_issued)
