"""More than the engine takes on is refused at once, with nothing done; a retry is done once."""

from __future__ import annotations

import asyncio

from harness import People, clients_of, connection_to
from traffic import Intent, faults_of, settle

SALE = {"amount": 5_400_000, "currency": "COP"}


async def test_a_full_queue_refuses_at_once_and_a_retry_with_the_same_key_is_done_once(
    loaded_network, dsn, make_engine
):
    engine = make_engine(loaded_network, dsn, "--queue-operations-max", "3", "--lanes", "1")
    await asyncio.to_thread(engine.start)
    intents = [
        Intent("accumulate", customer, f"full-{number}", SALE)
        for number, customer in enumerate(People(engine.demo).several(120))
    ]
    async with clients_of(engine) as clients, connection_to(dsn) as connection:
        await asyncio.gather(*(intent.send(clients.store) for intent in intents))
        refused = [reply for one in intents for reply in one.replies if reply.status != 201]
        assert refused, "nothing was refused"
        for reply in refused:
            assert (reply.status, reply.code) == (503, "overloaded")
            assert int(reply.headers["Retry-After"]) >= 1
        metrics = (await clients.anonymous.request("GET", "/metrics")).json.decode()
        assert f'leal_http_shed_total{{reason="overloaded"}} {len(refused)}.0' in metrics
        # What was refused was not done, and what was not refused was.
        assert await faults_of(connection, intents) == []
        done = await connection.fetchval("select count(*) from journal where asset = 1")
        assert done == len(intents) - len(refused)
        await settle(intents, clients)
        assert await faults_of(connection, intents) == []
        assert {one.answer.json["points"]["balance"] for one in intents} == {54}


async def test_one_account_with_too_much_waiting_does_not_keep_others_out(
    loaded_network, dsn, make_engine
):
    engine = make_engine(loaded_network, dsn, "--account-operations-max", "1", "--lanes", "1")
    await asyncio.to_thread(engine.start)
    hot, *others = People(engine.demo).several(20)
    crowd = [Intent("accumulate", hot, f"hot-{number}", SALE) for number in range(150)]
    rest = [Intent("accumulate", one, "beside", SALE) for one in others]
    async with clients_of(engine) as clients, connection_to(dsn) as connection:
        await asyncio.gather(*(intent.send(clients.store) for intent in crowd + rest))
        assert {one.answer.status for one in rest if one.answer} == {201}
        assert all(one.answer is not None for one in rest)
        assert {reply.code for one in crowd for reply in one.replies} <= {None, "overloaded"}
        await settle(crowd, clients)
        assert await clients.store.points(hot, 1) == 54 * len(crowd)
        assert await faults_of(connection, crowd + rest) == []
