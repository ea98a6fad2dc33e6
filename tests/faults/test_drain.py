"""SIGTERM under load: no new work, every request in flight is answered, nothing is lost."""

from __future__ import annotations

import asyncio
import os
import signal

from harness import People, clients_of, connection_to, until
from traffic import faults_of, plan, send_all, settle


async def test_a_terminated_engine_answers_what_it_has_taken_and_ends(
    loaded_network, dsn, make_engine, dice
):
    engine = make_engine(loaded_network, dsn, "--drain-delay-ms", "400")
    await asyncio.to_thread(engine.start)
    customers = People(engine.demo).several(40)
    intents = plan(dice, customers, 600, "drain")
    probes = []

    async def probe(client):
        async def drains():
            reply = await client.request("GET", "/readyz")
            return reply if reply.status == 503 else None

        probes.append(await until(drains))

    async with clients_of(engine) as clients:
        tasks = []

        def terminate():
            os.kill(engine.pid, signal.SIGTERM)
            tasks.append(asyncio.create_task(probe(clients.anonymous)))

        in_flight = await send_all(intents, clients.store, after=150, then=terminate)
        assert in_flight, "the signal came when nothing was in flight"
        await asyncio.gather(*tasks)
    assert [(reply.status, reply.json["reason"]) for reply in probes] == [(503, "draining")]
    assert await asyncio.to_thread(engine.wait_for_end) == 0
    assert [line["complete"] for line in engine.events("drained")] == [True]
    assert all(intent.replies for intent in in_flight), "a request in flight got no answer"
    async with connection_to(dsn) as connection:
        assert await faults_of(connection, intents) == []
        await asyncio.to_thread(engine.restart)
        async with clients_of(engine) as clients:
            await settle(intents, clients)
        assert await faults_of(connection, intents) == []


async def test_an_idle_engine_ends_at_once_and_quietly(loaded_network, dsn, make_engine):
    engine = make_engine(loaded_network, dsn)
    await asyncio.to_thread(engine.start)
    assert await asyncio.to_thread(engine.terminate) == 0
    assert [line["event"] for line in engine.logs][-2:] == ["draining", "drained"]
    assert [line for line in engine.logs if line["level"] in ("error", "warning")] == []


async def test_an_interrupt_is_a_drain_too(loaded_network, dsn, make_engine):
    engine = make_engine(loaded_network, dsn)
    await asyncio.to_thread(engine.start)
    os.kill(engine.pid, signal.SIGINT)
    await asyncio.to_thread(engine.wait_for_end)
    assert engine.events("drained")
