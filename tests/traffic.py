"""Load for the tests of faults: intents that are sent until they are answered, and a checker.

An intent is what a point of sale wants done, once: it keeps its idempotency key for every try. The
checker compares what clients were told with what the journal says, and trusts neither.
"""

from __future__ import annotations

import asyncio
import random
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from time import monotonic
from typing import Any
from uuid import UUID

import aiohttp
import asyncpg
from harness import CHAIN_KEY, Api, Clients, Reply, until
from history import history_faults, order_faults

from engine.codes import Kind
from engine.commands.identity import transaction_id
from engine.ledger.audit import audit_journal
from engine.ledger.core import claim_key_of
from engine.ledger.vocabulary import REFUSALS
from engine.people.keys import principal_of

REFUSAL_CODES = {refusal.value: refusal.code for refusal in REFUSALS}
KINDS = {"accumulate": Kind.ACCUMULATION, "redeem": Kind.REDEMPTION, "pay": Kind.HOLD}
NOT_ANSWERED = (aiohttp.ClientError, ConnectionError, TimeoutError)
STORE_1 = principal_of("", "store", 1, 1, "")


@dataclass(eq=False)
class Intent:
    """What is wanted once, and what came of it."""

    verb: str
    customer_id: str
    key: str
    body: dict[str, Any]
    answer: Reply | None = None
    tries: int = 0
    in_flight: bool = False
    asked_at: float = 0.0
    """When the first try was sent, in seconds of the clock of this process."""
    answered_at: float = 0.0
    replies: list[Reply] = field(default_factory=list)

    @property
    def transaction_id(self) -> UUID:
        """The id that the journal knows the intent by."""
        return UUID(bytes=transaction_id(STORE_1, UUID(self.customer_id).bytes, self.key))

    async def send(self, api: Api) -> None:
        """Try once. 503 and 504 are answers, but none to the question."""
        self.tries += 1
        self.in_flight = True
        self.asked_at = self.asked_at or monotonic()
        try:
            reply = await getattr(api, self.verb)(self.customer_id, self.key, **self.body)
        except NOT_ANSWERED:
            return
        finally:
            self.in_flight = False
        self.replies.append(reply)
        if reply.status not in (503, 504):
            self.answer = reply
            self.answered_at = monotonic()


def plan(dice: random.Random, customers: list[str], number: int, name: str) -> list[Intent]:
    """Return mixed intents: sales, half of their invoices sent twice, redemptions, payments."""
    intents = []
    for n in range(number):
        verb = dice.choices(("accumulate", "redeem", "pay"), (8, 1, 1))[0]
        body: dict[str, Any] = {"reward_id": 1} if verb == "redeem" else {"coins": 3}
        if verb == "accumulate":
            body = {"amount": dice.randrange(1, 60) * 100_000, "currency": "COP"}
            if dice.random() < 0.4:
                body["invoice_number"] = f"{name}-{dice.randrange(number // 4 + 1)}"
        intents.append(Intent(verb, dice.choice(customers), f"{name}-{n}", body))
    return intents


async def send_all(
    intents: Iterable[Intent],
    api: Api,
    *,
    at_once: int = 48,
    after: int = 0,
    then: Callable[[], Any] = lambda: None,
) -> list[Intent]:
    """Try every intent once, so many at once; `then` is called after so many answers.

    Returns the intents that were in flight when `then` was called.
    """
    waiting = list(intents)[::-1]
    answered = 0
    hit: list[Intent] = []

    async def client() -> None:
        nonlocal answered
        while waiting:
            intent = waiting.pop()
            await intent.send(api)
            answered += intent.answer is not None
            if answered == after and not hit:
                hit.extend(one for one in everything if one.in_flight)
                then()

    everything = list(waiting)
    await asyncio.gather(*(client() for _ in range(at_once)))
    return hit


async def settle(intents: Iterable[Intent], clients: Clients, seconds_max: float = 60.0) -> None:
    """Retry every intent, with its key, until it is answered."""

    async def settled(intent: Intent) -> None:
        async def answered() -> bool:
            await intent.send(clients.store)
            return intent.answer is not None

        await until(answered, seconds_max)

    await asyncio.gather(*(settled(intent) for intent in intents if intent.answer is None))


async def faults_of(connection: asyncpg.Connection, intents: list[Intent]) -> list[str]:
    """Return what is wrong between the answers and the books; an empty list for nothing.

    All is read in one snapshot, for a batch whose outcome was unknown may land meanwhile.
    """
    async with connection.transaction(isolation="repeatable_read"):
        return await _faults_of(connection, intents)


async def _faults_of(connection: asyncpg.Connection, intents: list[Intent]) -> list[str]:
    faults: list[str] = []
    customers = {UUID(intent.customer_id) for intent in intents}
    rows = await connection.fetch(
        "select customer_id, asset, seq, transaction_id, leg, kind, refusal, amount, held_amount,"
        " balance, held, lots, brand_id, store_id, invoice_number from journal"
        " where customer_id = any($1) order by customer_id, asset, seq",
        customers,
    )
    operations = {
        (row["customer_id"], row["transaction_id"]): row for row in rows if row["leg"] == 0
    }
    asked = {}
    for intent in intents:
        place = (UUID(intent.customer_id), intent.transaction_id)
        asked[place] = intent
        row = operations.get(place)
        if intent.answer is None:
            continue
        if row is None:
            faults.append(
                f"acknowledged with {intent.answer.status} and not in the journal: {place}"
            )
        else:
            faults += _differences(intent, row)
    verbs = set(KINDS.values())
    for place, row in operations.items():
        if row["kind"] in verbs and place not in asked:
            faults.append(f"in the journal, and nobody asked for it: {place}")
    faults += _wallet_faults(rows)
    faults += _order_faults(asked, rows)
    faults += await history_faults(connection, customers, CHAIN_KEY)
    faults += await _claim_faults(connection, rows, customers)
    report = await audit_journal(connection, chain_key=CHAIN_KEY)
    return faults + [str(fault) for fault in report.faults]


def _order_faults(asked: dict[Any, Intent], rows: list[Any]) -> list[str]:
    """Hold the order of each wallet against the clock of the clients."""
    of_wallet = defaultdict(list)
    for row in rows:
        intent = asked.get((row["customer_id"], row["transaction_id"]))
        if intent is not None and intent.answer is not None:
            times = intent.asked_at, intent.answered_at
            of_wallet[row["customer_id"], row["asset"]].append((row["seq"], *times, intent.key))
    return [fault for wallet in of_wallet.values() for fault in order_faults(wallet)]


def _differences(intent: Intent, row: Any) -> list[str]:
    answer = intent.answer
    assert answer is not None
    if row["kind"] != KINDS[intent.verb]:
        return [f"{intent.key} is another verb in the journal"]
    if answer.status == 409:
        same = REFUSAL_CODES.get(row["refusal"]) == answer.code
        return (
            []
            if same
            else [f"{intent.key} was told {answer.code}, the journal has {row['refusal']}"]
        )
    if answer.status != 201:
        return [f"{intent.key} was answered with {answer.status}: {answer.json}"]
    told = answer.json
    amount, balance = {
        "accumulate": lambda: (told["points"]["earned"], told["points"]["balance"]),
        "redeem": lambda: (-told["points"]["spent"], told["points"]["balance"]),
        "pay": lambda: (-told["coins"], told["balance"]),
    }[intent.verb]()
    same = (row["refusal"], row["amount"], row["balance"]) == (0, amount, balance)
    return [] if same else [f"{intent.key} was told {told}, the journal has {dict(row)}"]


def _wallet_faults(rows: list[Any]) -> list[str]:
    """Follow each wallet from its first posting: no gap, and every balance is the sum so far."""
    faults = []
    place: Any = None
    seq = balance = held = 0
    for row in rows:
        if (row["customer_id"], row["asset"]) != place:
            place = (row["customer_id"], row["asset"])
            seq = balance = held = 0
        seq, balance, held = seq + 1, balance + row["amount"], held + row["held_amount"]
        if (row["seq"], row["balance"], row["held"]) != (seq, balance, held):
            faults.append(f"{place} at {row['seq']}: balance {row['balance']}, sum {balance}")
        if balance < 0 or held < 0 or sum(row["lots"][1::2]) != balance:
            faults.append(f"{place} at {row['seq']}: lots {row['lots']}, balance {balance}")
    return faults


def key_of(invoice_number: str) -> str:
    """Return the normal form by which an invoice is claimed (INV-4)."""
    return claim_key_of(invoice_number.encode()).decode()


async def _claim_faults(
    connection: asyncpg.Connection, rows: list[Any], customers: set[UUID]
) -> list[str]:
    """An invoice has one posting that earned, and that one has the claim."""
    claims = await connection.fetch(
        "select store_id, invoice_key, transaction_id from invoice_claim"
        " where customer_id = any($1)",
        customers,
    )
    earned = [
        (
            row["store_id"],
            claim_key_of(row["invoice_number"].encode()).decode(),
            row["transaction_id"],
        )
        for row in rows
        if row["kind"] == Kind.ACCUMULATION
        and row["refusal"] == 0
        and row["leg"] == 0
        and row["invoice_number"] is not None
    ]
    faults = []
    if len({(store, number) for store, number, _ in earned}) != len(earned):
        faults.append("an invoice earned more than once")
    if set(earned) != {tuple(claim) for claim in claims}:
        faults.append("the claims are not those of the invoices that earned")
    return faults
