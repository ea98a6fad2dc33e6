"""Several workers on one port: each answers, a dead one is replaced, none outlives its parent."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import time
from collections import Counter
from contextlib import suppress

import aiohttp
import pytest
from harness import People, clients_of, connection_to, raw_request, until
from prometheus_client.parser import text_string_to_metric_families
from traffic import faults_of, plan, send_all, settle

from engine.api.operations import worker_socket

TWO = ("--workers", "2")
REQUESTS = "leal_http_request_duration_seconds_count"
GONE_SECONDS_MAX = 10.0


async def started(make_engine, network, dsn, *flags):
    """Return an engine of two workers, both of which serve."""
    engine = make_engine(network, dsn, *TWO, *flags)
    await asyncio.to_thread(engine.start)
    await asyncio.to_thread(engine.wait_for_log, "all_workers_serve")
    return engine


async def scrape(engine):
    """Return the text of the metrics, told by whichever worker takes the connection."""
    reply = await raw_request(
        engine.url, b"GET /metrics HTTP/1.1\r\nHost: engine\r\nConnection: close\r\n\r\n"
    )
    assert reply.status == 200
    assert reply.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    return reply.json.decode()


async def by_worker(engine, name):
    """Return the sum of a metric's samples for each worker."""
    sums = Counter()
    for family in text_string_to_metric_families(await scrape(engine)):
        for sample in family.samples:
            if sample.name == name:
                sums[sample.labels["worker"]] += sample.value
    return dict(sums)


async def all_up(engine):
    return await by_worker(engine, "leal_worker_up") == {"1": 1, "2": 1}


def pid_of(engine, slot):
    """Return the pid of the newest worker in a slot."""
    return [line["pid"] for line in engine.events("worker_started") if line["worker"] == slot][-1]


async def test_a_sale_through_either_worker_is_durable_and_both_are_in_the_metrics(
    loaded_network, dsn, make_engine, dice
):
    engine = await started(make_engine, loaded_network, dsn)
    intents = plan(dice, People(engine.demo).several(20), 200, "both")
    async with clients_of(engine) as clients:
        await send_all(intents, clients.store)
    answered = await by_worker(engine, REQUESTS)
    assert set(answered) == {"1", "2"}
    assert sum(answered.values()) == sum(len(intent.replies) for intent in intents)
    async with connection_to(dsn) as connection:
        assert await faults_of(connection, intents) == []
    assert await all_up(engine)
    families = list(text_string_to_metric_families(await scrape(engine)))
    assert len({family.name for family in families}) == len(families)
    assert all("worker" in sample.labels for family in families for sample in family.samples)
    assert {family.documentation for family in families} >= {"Operations that wait for a batch."}


async def test_a_worker_tells_of_itself_alone_to_its_owner_alone(loaded_network, dsn, make_engine):
    engine = await started(make_engine, loaded_network, dsn)
    for slot in (1, 2):
        path = engine.folder / f"worker-{slot}.sock"
        assert path.stat().st_mode & 0o777 == 0o600
        connector = aiohttp.UnixConnector(str(path))
        async with aiohttp.ClientSession(connector=connector) as session:
            async with session.get("http://worker/readyz") as reply:
                assert reply.status == 200
            async with session.get("http://worker/metrics") as reply:
                text = await reply.text()
                assert "leal_event_loop_lag_seconds" in text
                assert "worker=" not in text
            async with session.post("http://worker/v1/customers") as reply:
                assert reply.status == 404


async def test_a_killed_worker_is_replaced_and_the_other_goes_on(
    loaded_network, dsn, make_engine, dice
):
    engine = await started(make_engine, loaded_network, dsn)
    customers = People(engine.demo).several(20)
    everything = []
    for round_number in (0, 1):
        intents = plan(dice, customers, 200, f"round-{round_number}")
        everything += intents
        before = len(engine.logs)
        async with clients_of(engine) as clients:
            await send_all(
                intents,
                clients.store,
                after=60,
                then=lambda: os.kill(pid_of(engine, 2), signal.SIGKILL),
            )
        ended = await asyncio.to_thread(engine.wait_for_log, "worker_ended", since=before)
        assert (ended["worker"], ended["exit_status"]) == (2, -signal.SIGKILL)
        async with clients_of(engine) as clients:
            await settle(intents, clients)
        await until(lambda: all_up(engine))
    assert all(intent.answer.status != 500 for intent in everything)
    pauses = [line["pause_s"] for line in engine.events("worker_starts_again")]
    assert pauses == [0.1, 0.2]
    assert {line["worker"] for line in engine.events("worker_ended")} == {2}
    async with connection_to(dsn) as connection:
        assert await faults_of(connection, everything) == []


async def test_a_worker_that_does_not_answer_is_told_by_the_others(
    loaded_network, dsn, make_engine
):
    engine = await started(make_engine, loaded_network, dsn)
    stopped = pid_of(engine, 1)
    os.kill(stopped, signal.SIGSTOP)

    async def one_is_down():
        # The stopped worker still gets its part of the connections, and answers none of them.
        with suppress(TimeoutError):
            async with asyncio.timeout(1.5):
                return await by_worker(engine, "leal_worker_up") == {"1": 0, "2": 1}

    try:
        assert await until(one_is_down)
    finally:
        os.kill(stopped, signal.SIGCONT)
    assert await until(lambda: all_up(engine))


async def test_no_worker_outlives_a_killed_supervisor_and_its_port_is_free(
    loaded_network, dsn, make_engine, dice
):
    engine = await started(make_engine, loaded_network, dsn)
    port = engine.url.rpartition(":")[2]
    intents = plan(dice, People(engine.demo).several(20), 300, "orphans")
    async with clients_of(engine) as clients:
        await send_all(
            intents, clients.store, after=100, then=lambda: os.kill(engine.pid, signal.SIGKILL)
        )
    killed = time.monotonic()
    assert await asyncio.to_thread(engine.wait_for_end) == -signal.SIGKILL
    # Whoever writes the log is gone when the log ends.
    assert time.monotonic() - killed < GONE_SECONDS_MAX
    assert [line["complete"] for line in engine.events("drained")] == [True, True]
    async with connection_to(dsn) as connection:
        assert await faults_of(connection, intents) == []
        again = await started(make_engine, loaded_network, dsn, "--port", port)
        assert again.url == engine.url
        async with clients_of(again) as clients:
            await settle(intents, clients)
        assert await faults_of(connection, intents) == []
    stranger = make_engine(loaded_network, dsn, *TWO, "--port", port)
    with pytest.raises(AssertionError, match="in use"):
        await asyncio.to_thread(stranger.start)


async def test_a_terminated_engine_drains_all_its_workers(loaded_network, dsn, make_engine, dice):
    engine = await started(make_engine, loaded_network, dsn, "--drain-delay-ms", "400")
    intents = plan(dice, People(engine.demo).several(40), 600, "drain")
    async with clients_of(engine) as clients:
        in_flight = await send_all(
            intents, clients.store, after=150, then=lambda: os.kill(engine.pid, signal.SIGTERM)
        )
    assert in_flight, "the signal came when nothing was in flight"
    assert all(intent.replies for intent in in_flight), "a request in flight got no answer"
    assert await asyncio.to_thread(engine.wait_for_end) == 0
    assert [line["complete"] for line in engine.events("drained")] == [True, True]
    assert [line for line in engine.logs if line["level"] in ("error", "warning")] == []
    async with connection_to(dsn) as connection:
        assert await faults_of(connection, intents) == []


async def test_an_interrupt_that_all_get_drains_and_a_folder_may_have_a_long_name(
    loaded_network, dsn, make_engine, tmp_path
):
    folder = tmp_path / ("long" * 30)
    engine = await started(make_engine, loaded_network, dsn, "--data-dir", str(folder))
    sockets = worker_socket(folder, 1).parent
    try:
        assert sockets.parent != folder
        assert sockets.stat().st_mode & 0o777 == 0o700
        assert await all_up(engine)
        # A terminal sends it to the whole group; the supervisor hands it on besides.
        for pid in (pid_of(engine, 1), pid_of(engine, 2), engine.pid):
            os.kill(pid, signal.SIGINT)
        assert await asyncio.to_thread(engine.wait_for_end) == 0
        assert len(engine.events("drained")) == 2
    finally:
        shutil.rmtree(sockets)


async def test_a_second_signal_ends_all_at_once(loaded_network, dsn, make_engine):
    engine = await started(make_engine, loaded_network, dsn, "--drain-delay-ms", "60000")
    os.kill(engine.pid, signal.SIGTERM)
    await asyncio.to_thread(engine.wait_for_log, "draining")
    assert await asyncio.to_thread(engine.terminate) == 1
    assert [line["exit_status"] for line in engine.events("worker_ended")] == [-signal.SIGKILL] * 2


async def test_a_start_that_cannot_succeed_is_given_up(loaded_network, dsn, make_engine):
    engine = make_engine(loaded_network, dsn, *TWO, "--no-allow-data-loss")
    with pytest.raises(AssertionError, match="fsync"):
        await asyncio.to_thread(engine.start)
    assert engine.events("start_given_up")
    assert not engine.events("worker_starts_again")
