"""An outage under load leaves few lines in the log, and is over soon after it ends."""

from __future__ import annotations

import asyncio
import time
from collections import Counter

from harness import Network, People, clients_of, until

from engine.postgres.embedded import EmbeddedPostgres

SALE = {"amount": 5_400_000, "currency": "COP"}
OUTAGE_SECONDS = 8.0
LINES_OF_AN_EVENT_MAX = 10 + int(OUTAGE_SECONDS) + 6
TROUBLE = ("warning", "error")


async def test_an_outage_under_load_leaves_few_lines(make_engine, tmp_path):
    folder = tmp_path / "server"
    server = EmbeddedPostgres(folder, fsync=False)
    try:
        network = await Network(await asyncio.to_thread(server.start), folder).load()
        engine = make_engine(network, network.server_dsn, "--lanes", "2")
        await asyncio.to_thread(engine.start)
        customers = People(engine.demo).several(60)
        async with clients_of(engine) as clients:
            end = asyncio.Event()

            async def till(customer_id):
                while not end.is_set():
                    await clients.store.accumulate(customer_id, **SALE)
                    await asyncio.sleep(0.05)

            tills = [asyncio.create_task(till(one)) for one in customers]
            await asyncio.sleep(0.5)
            await asyncio.to_thread(server.stop)
            await asyncio.sleep(OUTAGE_SECONDS)
            await asyncio.to_thread(server.start)
            back = time.monotonic()

            async def ready():
                return (await clients.anonymous.request("GET", "/readyz")).status == 200

            await until(ready)
            assert time.monotonic() - back < 5.0
            end.set()
            await asyncio.gather(*tills)
            assert (await clients.store.accumulate(customers[0], **SALE)).status == 201
        counts = Counter(
            line["event"]
            for line in engine.logs
            if line["level"] in TROUBLE or line.get("status", 0) >= 500
        )
        assert counts["journal_unreachable"] > 0
        counts.pop("lines_suppressed", None)
        assert max(counts.values()) <= LINES_OF_AN_EVENT_MAX, counts
    finally:
        await asyncio.to_thread(server.stop)
