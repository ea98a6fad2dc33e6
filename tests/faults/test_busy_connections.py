"""A sale that waits for the database keeps its connection: nothing overtakes it or cuts it off.

The journal is locked meanwhile, so that the request stays under way for as long as a test likes.
With the fast path or without it a connection behaves the same.
"""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import asynccontextmanager

import pytest
from harness import People, clients_of, connection_to, until

LOCK = "lock table journal in exclusive mode"


@pytest.fixture(params=["--fast-path", "--no-fast-path"])
async def engine(request, loaded_network, dsn, make_engine):
    engine = make_engine(loaded_network, dsn, request.param, "--keepalive-timeout-s", "1")
    await asyncio.to_thread(engine.start)
    return engine


@asynccontextmanager
async def locked(dsn):
    async with connection_to(dsn) as connection, connection.transaction():
        await connection.execute(LOCK)
        yield


async def connect(engine):
    host, _, port = engine.url.removeprefix("http://").partition(":")
    return await asyncio.open_connection(host, int(port))


def sale_of(engine, customer, key):
    body = b'{"amount":100000,"currency":"COP"}'
    head = (
        f"POST /v1/customers/{customer}/accumulations HTTP/1.1\r\nHost: engine\r\n"
        f"Authorization: Bearer {engine.demo['keys']['store']['key']}\r\n"
        f"Idempotency-Key: {key}\r\nX-Request-Id: {key}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


async def answer_of(reader):
    """Return (the status line, the headers)."""
    async with asyncio.timeout(20):
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = dict(line.split(": ", 1) for line in head[1:] if line)
        await reader.readexactly(int(headers["Content-Length"]))
    return head[0], headers


async def test_what_is_sent_behind_a_sale_is_answered_behind_it(engine, dsn):
    customer = People(engine.demo).complete()["customer_id"]
    reader, writer = await connect(engine)
    keys = [f"behind-{number}" for number in range(5)]
    async with locked(dsn):
        for key in keys:
            writer.write(sale_of(engine, customer, key))
            await asyncio.sleep(0.05)
    answers = [await answer_of(reader) for _ in keys]
    assert [headers["X-Request-Id"] for _, headers in answers] == keys
    assert {status for status, _ in answers} == {"HTTP/1.1 201 Created"}
    writer.close()


async def test_a_connection_is_not_idle_while_its_sale_waits(engine, dsn):
    customer = People(engine.demo).complete()["customer_id"]
    reader, writer = await connect(engine)
    async with locked(dsn):
        writer.write(sale_of(engine, customer, "long"))
        await asyncio.sleep(1.3)  # longer than an idle connection is kept
    assert (await answer_of(reader))[0] == "HTTP/1.1 201 Created"
    writer.write(sale_of(engine, customer, "next"))
    assert (await answer_of(reader))[0] == "HTTP/1.1 201 Created"
    async with asyncio.timeout(20):
        assert await reader.read() == b"", "an idle connection is closed in the end"
    writer.close()


async def test_a_client_that_has_gone_has_its_effect_all_the_same(engine, dsn):
    customer = People(engine.demo).complete()["customer_id"]
    _, writer = await connect(engine)
    async with locked(dsn):
        writer.write(sale_of(engine, customer, "gone"))
        await asyncio.sleep(0.1)
        writer.transport.abort()
        await asyncio.sleep(0.1)
    async with clients_of(engine) as clients, connection_to(dsn) as connection:

        async def done():
            return await connection.fetchval("select count(*) from journal where asset = 1")

        await until(done)
        reply = await clients.store.accumulate(customer, "gone", amount=100_000, currency="COP")
        assert (reply.status, reply.replayed, reply.json["points"]["balance"]) == (201, True, 1)
    assert engine.events("request_failed") == []


async def test_the_outcome_is_told_as_unknown_in_time(engine, dsn):
    customer = People(engine.demo).complete()["customer_id"]
    reader, writer = await connect(engine)
    async with locked(dsn):
        writer.write(sale_of(engine, customer, "late"))
        status, headers = await answer_of(reader)
    assert status.split()[1] in ("503", "504")
    assert headers["Retry-After"] == "1"
    assert headers["X-Request-Id"] == "late"
    writer.write(sale_of(engine, customer, "late"))
    assert (await answer_of(reader))[0] == "HTTP/1.1 201 Created"
    writer.close()


async def test_an_engine_that_ends_answers_first_and_says_that_it_closes(engine, dsn):
    customer = People(engine.demo).complete()["customer_id"]
    reader, writer = await connect(engine)
    async with locked(dsn):
        writer.write(sale_of(engine, customer, "last"))
        await asyncio.sleep(0.1)
        os.kill(engine.pid, signal.SIGTERM)
        await asyncio.to_thread(engine.wait_for_log, "draining")
        await asyncio.sleep(0.2)
    status, headers = await answer_of(reader)
    assert (status, headers["Connection"]) == ("HTTP/1.1 201 Created", "close")
    assert await reader.read() == b""
    assert await asyncio.to_thread(engine.wait_for_end) == 0
    assert [line["complete"] for line in engine.events("drained")] == [True]
    writer.close()
