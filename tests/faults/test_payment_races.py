"""Payments whose confirmation, void, resend and time race at two engines: each ends once (COI-6).

`LEAL_TEST_PAYMENTS` says how many there are; nothing else depends on it.
"""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from uuid import UUID

import pytest
from harness import People
from traffic import NOT_ANSWERED, faults_of

from engine.codes import Kind, Refusal
from engine.people.codes import Authorised, code_of

PAYMENTS = int(os.environ.get("LEAL_TEST_PAYMENTS", "500"))
AT_ONCE = 48
CUSTOMERS = 120
CODE_LIFETIME_S = 2
COINS = 3
SECRET = "what both make the codes of payments with"
CAPS = ("cashier", "store", "brand")

pytestmark = pytest.mark.timeout(180 + PAYMENTS / 10)


@pytest.fixture(scope="module")
def engines(loaded_network, database, tmp_path_factory):
    """Give two engines whose codes live for two seconds, and that mind no wrong code."""
    flags = ["--secret", SECRET, "--code-lifetime-s", str(CODE_LIFETIME_S)]
    for cap in CAPS:
        flags += [f"--failed-codes-of-{cap}-max", "1000000"]
    engines = [
        loaded_network.engine(database, tmp_path_factory.mktemp("worker"), *flags) for _ in range(2)
    ]
    try:
        yield [engine.start() for engine in engines]
    finally:
        for engine in engines:
            engine.stop()


@dataclass(eq=False)
class Race:
    """A payment, and what was told of it."""

    customer_id: str
    number: int
    dice: random.Random
    payment_id: str = ""
    transaction_id: str = ""
    """Of the posting that set its newest code."""
    expires_at: datetime | None = None
    told: list[tuple[str, int, str | None, str | None]] = field(default_factory=list)
    """(verb, HTTP status, code of the problem, status of the payment)"""

    def code(self, of: str) -> str:
        """Return the code that a posting of it has set, as the engines make it."""
        authorised = Authorised(
            payment_id=UUID(self.payment_id).bytes,
            customer_id=UUID(self.customer_id).bytes,
            store_id=1,
            coins=COINS,
        )
        return code_of(sha256(SECRET.encode()).digest(), authorised, UUID(of).bytes, 4)

    async def ask(self, client, verb, code=None):
        """Send one request at an engine, and write down what it answered."""
        args = (self.customer_id, self.payment_id, *([] if code is None else [code]))
        try:
            reply = await getattr(client.store, verb)(*args)
        except NOT_ANSWERED:
            return None
        self.told.append((verb, reply.status, reply.code, reply.json.get("status")))
        return reply

    async def begin(self, clients):
        """Start it, at both engines at once now and then, until it is answered."""
        while True:
            some = self.dice.sample(clients, self.dice.choice((1, 1, 1, 2)))
            replies = await asyncio.gather(
                *(c.store.pay(self.customer_id, f"race {self.number}", coins=COINS) for c in some)
            )
            for reply in replies:
                assert reply.status in (201, 503, 504), reply
                if reply.status == 201:
                    self.payment_id = self.transaction_id = reply.json["payment_id"]
                    self.expires_at = datetime.fromisoformat(reply.json["expires_at"])
            if self.payment_id:
                return

    async def act(self, client, verb):
        """Do one thing to it, a moment from now; a late confirmation waits for its deadline."""
        if verb == "late":
            left_s = self.expires_at.timestamp() - time.time()
            await asyncio.sleep(max(0, left_s + self.dice.uniform(-0.01, 0.02)))
        else:
            await asyncio.sleep(self.dice.uniform(0, 0.02))
        if verb in ("void", "payment"):
            await self.ask(client, verb)
        elif verb == "resend":
            reply = await self.ask(client, verb)
            if reply is not None and reply.status == 200:
                self.transaction_id = reply.json["transaction_id"]
        else:
            code = self.code(self.transaction_id)
            if verb == "wrong":
                code = f"{(int(code) + self.dice.randrange(1, 9999)) % 10_000:04}"
            await self.ask(client, "confirm", code)

    async def run(self, clients):
        """Begin it, then let one to six things happen to it at once."""
        await self.begin(clients)
        verbs = self.dice.choices(
            ("confirm", "wrong", "void", "resend", "payment", "late"),
            (5, 5, 3, 3, 2, 1),
            k=self.dice.randrange(1, 7),
        )
        await asyncio.gather(*(self.act(self.dice.choice(clients), verb) for verb in verbs))


ALLOWED = {
    "confirm": {None, "code_invalid", "code_exhausted", "payment_expired", "payment_captured"},
    "void": {None, "payment_captured"},
    "resend": {None, "code_exhausted", "payment_expired", "payment_captured", "limit_reached"},
    "payment": {None},
}
PUT_OFF = {"overloaded", "unavailable", "outcome_unknown"}


async def end_of(connection, race):
    """Return how the hold of a payment ended, and see that it ended once."""
    rows = await connection.fetch(
        "select kind, refusal, held_amount, amount, recorded_at from journal"
        " where customer_id = $1 and reference = $2 order by seq",
        *(UUID(race.customer_id), UUID(race.payment_id)),
    )
    assert (rows[0]["kind"], rows[0]["held_amount"]) == (Kind.HOLD, COINS)
    ends = [row for row in rows if row["held_amount"] < 0]
    assert [row["held_amount"] for row in ends] == [-COINS], (race.payment_id, rows)
    end = ends[0]
    assert end is rows[-1], "nothing is posted of a payment after its end"
    wrong = [row for row in rows if row["refusal"] == Refusal.CODE_INVALID]
    assert len(wrong) <= 3
    if end["kind"] == Kind.CAPTURE and not end["refusal"]:
        assert end["amount"] == 0
        assert end["recorded_at"] < race.expires_at
        return "captured"
    assert end["amount"] == COINS
    if end["kind"] == Kind.CAPTURE:
        assert len(wrong) == 3
        return "exhausted"
    return {Kind.VOID: "voided", Kind.RELEASE: "released"}[end["kind"]]


def check_told(race, end):
    """See that nobody was told what is not so."""
    for verb, status, code, told in race.told:
        if status >= 500:
            assert code in PUT_OFF
            continue
        assert code in ALLOWED[verb], (verb, status, code)
        if told == "succeeded" or code == "payment_captured":
            assert end == "captured"
        if told == "voided":
            assert end == "voided"
        if code == "code_exhausted" or told == "failed":
            assert end == "exhausted"
        if code == "payment_expired":
            assert end in ("voided", "released")
        if told == "expired":
            assert end == "released"


async def test_every_hold_is_captured_or_released_once(two, engines, dice):
    one, other, connection = two
    customers = People(engines[0].demo).several(CUSTOMERS)
    sale = {"amount": COINS * PAYMENTS * 10_000, "currency": "COP"}
    for customer_id in customers:
        assert (await one.store.accumulate(customer_id, "coins", **sale)).status == 201
    races = [
        Race(dice.choice(customers), number, random.Random(dice.random()))
        for number in range(PAYMENTS)
    ]
    waiting = races[::-1]

    async def client():
        while waiting:
            await waiting.pop().run([one, other])

    started = time.monotonic()
    await asyncio.gather(*(client() for _ in range(AT_ONCE)))
    took_s = time.monotonic() - started
    # The next posting of a wallet releases what is due in it.
    await asyncio.sleep(CODE_LIFETIME_S)
    for n, customer_id in enumerate(customers):
        reply = await (one, other)[n % 2].store.accumulate(
            customer_id, "the end", amount=10_000, currency="COP"
        )
        assert reply.status == 201
    ends = Counter()
    captured = Counter()
    for race in races:
        end = await end_of(connection, race)
        check_told(race, end)
        ends[end] += 1
        captured[race.customer_id] += COINS * (end == "captured")
    assert ends.keys() == {"captured", "voided", "released", "exhausted"}
    newest = await connection.fetch(
        "select distinct on (customer_id) customer_id, balance, held from journal"
        " where asset = 0 and customer_id = any($1) order by customer_id, seq desc",
        [UUID(customer_id) for customer_id in customers],
    )
    assert {str(row["customer_id"]): (row["balance"], row["held"]) for row in newest} == {
        customer_id: (COINS * PAYMENTS + 1 - captured[customer_id], 0) for customer_id in customers
    }
    assert await faults_of(connection, []) == []
    told = Counter(
        (verb, status, code or "") for race in races for verb, status, code, _ in race.told
    )
    conflicts = [len(engine.events("ambiguous_batch")) for engine in engines]
    print(f"{PAYMENTS} payments in {took_s:.1f} s at two engines: {dict(ends)}")
    print(f"told: {dict(sorted(told.items()))}; ambiguous batches: {conflicts}")
