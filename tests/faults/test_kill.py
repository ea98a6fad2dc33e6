"""kill -9 under load: nothing acknowledged is lost, nothing is done twice (rules 1, 2 and 4)."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path
from time import monotonic

import pytest
from harness import Network, People, clients_of, connection_to
from torture import progress, record, size
from traffic import faults_of, plan, send_all, settle

from engine.postgres.embedded import EmbeddedPostgres

KILLS = size(10, 200)
MISSES_MAX = KILLS // 10
"""Kills that hit no request, since a whole batch had been answered; they do not count."""
CHECKED_EVERY = 10
"""The whole journal is checked after so many kills, for it grows with each."""
LAUNCHER = str(Path(__file__).parent / "early_answers.py")


@pytest.fixture(scope="module")
def durable(tmp_path_factory):
    """Give a network on a server that keeps what it has confirmed."""
    folder = tmp_path_factory.mktemp("durable")
    with EmbeddedPostgres(folder) as server:
        yield asyncio.run(Network(server.start(), folder).load())


@pytest.fixture
def stage(durable, tmp_path):
    """Return (the DSN of a fresh database, what makes an engine on it)."""
    dsn = durable.new_database()
    engines = []

    def make(*command):
        engine = durable.engine(dsn, tmp_path / "data", command=command or ("-m", "engine"))
        engines.append(engine)
        return engine

    yield dsn, make
    for engine in engines:
        engine.stop()


async def test_a_killed_worker_loses_nothing_it_acknowledged_and_doubles_nothing(stage, dice):
    dsn, make = stage
    engine = make()
    await asyncio.to_thread(engine.start)
    customers = People(engine.demo).several(40)
    everything, hit, replayed, missed, recovery = [], 0, 0, 0, []
    while len(recovery) < KILLS:
        assert missed <= MISSES_MAX, "the kills hit no requests"
        round_number = len(recovery) + missed
        intents = plan(dice, customers, 160, f"round-{round_number}")
        everything += intents
        async with clients_of(engine) as clients:
            in_flight = await send_all(
                intents,
                clients.store,
                after=dice.randrange(20, 100),
                then=lambda: os.kill(engine.pid, signal.SIGKILL),
            )
        lost_answers = [intent for intent in in_flight if intent.answer is None]
        hit += len(lost_answers)
        assert engine.kill() == -signal.SIGKILL
        if round_number % CHECKED_EVERY == 0 or round_number < CHECKED_EVERY // 2:
            async with connection_to(dsn) as connection:
                # What was acknowledged is there before anybody retries anything.
                assert await faults_of(connection, everything) == []
        killed = monotonic()
        await asyncio.to_thread(engine.restart)
        async with clients_of(engine) as clients:
            if lost_answers:
                await settle(lost_answers[:1], clients)
                recovery.append(round(monotonic() - killed, 3))
            else:
                missed += 1
            await settle(intents, clients)
            progress("workers killed", len(recovery), KILLS)
            replayed += sum(intent.answer.replayed for intent in lost_answers)
    assert all(intent.answer is not None for intent in everything)
    async with connection_to(dsn) as connection:
        assert await faults_of(connection, everything) == []
    record(
        "workers killed",
        faults=KILLS,
        wrong=0,
        requests=len(everything),
        in_flight=hit,
        missed=missed,
        committed_unanswered=replayed,
        recovery_s=recovery,
    )


async def test_the_checker_sees_an_engine_that_answers_before_it_commits(stage, dice):
    dsn, make = stage
    engine = make(LAUNCHER)
    await asyncio.to_thread(engine.start)
    customers = People(engine.demo).several(40)
    intents = plan(dice, customers, 400, "early")
    async with clients_of(engine) as clients:
        await send_all(
            intents,
            clients.store,
            after=100,
            then=lambda: os.kill(engine.pid, signal.SIGKILL),
        )
    engine.kill()
    async with connection_to(dsn) as connection:
        faults = await faults_of(connection, intents)
    assert [fault for fault in faults if "not in the journal" in fault]


async def test_the_checker_sees_what_was_done_twice_or_changed(stage, dice):
    dsn, make = stage
    engine = make()
    await asyncio.to_thread(engine.start)
    customers = People(engine.demo).several(5)
    intents = plan(dice, customers, 60, "seen")
    async with clients_of(engine) as clients:
        await settle(intents, clients)
        async with connection_to(dsn) as connection:
            assert await faults_of(connection, intents) == []
            # Done twice: the same request under another key.
            first = next(intent for intent in intents if intent.verb == "accumulate")
            await clients.store.accumulate(first.customer_id, "doubled", amount=100_000)
            faults = await faults_of(connection, intents)
            assert [fault for fault in faults if "nobody asked" in fault]
            # A number changed behind the engine's back.
            changed = first.transaction_id
            await connection.execute(
                "update journal set amount = amount + 1 where transaction_id = $1 and leg = 0",
                changed,
            )
            faults = await faults_of(connection, intents)
            assert [fault for fault in faults if first.key in fault or "sum" in fault]
