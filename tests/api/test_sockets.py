"""How connections are used: kept, closed, pipelined, and asked whether a body is welcome."""

from __future__ import annotations

import asyncio
import json

import pytest
from harness import Reply


def request_of(api, customer_id, key, amount, *more, version="1.1"):
    body = json.dumps({"amount": amount, "currency": "COP"}).encode()
    lines = [
        f"POST /v1/customers/{customer_id}/accumulations HTTP/{version}",
        "Host: engine",
        f"Authorization: Bearer {api.store.key}",
        f"Idempotency-Key: {key}",
        f"X-Request-Id: {key}",
        f"Content-Length: {len(body)}",
        *more,
    ]
    return "\r\n".join(lines).encode() + b"\r\n\r\n", body


async def read_reply(reader):
    head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    headers = dict(line.split(": ", 1) for line in head[1:] if line)
    body = await reader.readexactly(int(headers.get("Content-Length", 0)))
    return Reply(int(head[0].split()[1]), headers, json.loads(body) if body else None)


@pytest.fixture
async def line(engine):
    """Give (a reader, a writer) of a plain connection to the engine."""
    host, _, port = engine.url.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    async with asyncio.timeout(20):
        yield reader, writer
    writer.close()


async def test_requests_sent_without_waiting_are_answered_in_their_order(api, customer_id, line):
    reader, writer = line
    keys = [f"pipelined-{number}" for number in range(20)]
    writer.write(b"".join(b"".join(request_of(api, customer_id, key, 100_000)) for key in keys))
    replies = [await read_reply(reader) for _ in keys]
    assert [reply.headers["X-Request-Id"] for reply in replies] == keys
    assert [reply.status for reply in replies] == [201] * 20
    balances = [reply.json["points"]["balance"] for reply in replies]
    assert balances == list(range(1, 21))


async def test_a_connection_is_kept_for_the_next_request(api, customer_id, line):
    reader, writer = line
    for number in range(3):
        writer.write(b"".join(request_of(api, customer_id, f"kept-{number}", 100_000)))
        assert (await read_reply(reader)).status == 201


async def test_a_connection_is_closed_where_that_is_asked_for(api, customer_id, line):
    reader, writer = line
    writer.write(b"".join(request_of(api, customer_id, "last", 100_000, "Connection: close")))
    assert (await read_reply(reader)).status == 201
    assert await reader.read() == b""


async def test_an_old_client_gets_its_answer_and_the_end_of_it(api, customer_id, line):
    reader, writer = line
    writer.write(b"".join(request_of(api, customer_id, "old", 100_000, version="1.0")))
    assert (await read_reply(reader)).status == 201
    assert await reader.read() == b""


async def test_who_asks_before_sending_the_body_is_told_to_go_on(api, customer_id, line):
    """Some libraries ask at every POST, and wait a good part of a second where nobody answers."""
    reader, writer = line
    head, body = request_of(api, customer_id, "asked", 100_000, "Expect: 100-continue")
    writer.write(head)
    assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
    writer.write(body)
    assert (await read_reply(reader)).status == 201


async def test_who_asks_and_may_not_is_told_at_once(api, customer_id, line):
    reader, writer = line
    head, _ = request_of(api, customer_id, "asked", 100_000, "Expect: 100-continue")
    writer.write(head.replace(api.store.key.encode(), b"nonsense"))
    assert (await read_reply(reader)).status == 401


async def test_a_client_that_does_not_wait_for_its_answer_has_its_effect_once(
    api, customer_id, engine
):
    host, _, port = engine.url.removeprefix("http://").partition(":")
    for _ in range(10):
        _, writer = await asyncio.open_connection(host, int(port))
        writer.write(b"".join(request_of(api, customer_id, "impatient", 100_000)))
        await writer.drain()
        writer.transport.abort()
    reply = await api.store.accumulate(customer_id, "impatient", amount=100_000, currency="COP")
    assert (reply.status, reply.json["points"]["balance"]) == (201, 1)
    assert await api.store.points(customer_id, 1) == 1
