"""Clients that mean harm: each is answered or cut off in bounded time, and honest ones are served.

They take connections and say nothing, say a little at a time, say one thing to two readers, or
send what grows when it is read. Every test sells something meanwhile.
"""

from __future__ import annotations

import asyncio
import gzip
import re
import resource
import socket
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import pytest
from harness import Reply, clients_of, raw_request, until

SALE = {"amount": 100_000, "currency": "COP"}
BODY = b'{"amount": 100000, "currency": "COP"}'
HEAD_TIMEOUT_MS = 400
KEEPALIVE_TIMEOUT_S = 3
HEAD_BYTES_MAX = 16 * 1024
TOGETHER = 32
"""Honest sales at once: fewer than may wait for one customer."""
SLOW = 200
IDLE = 5000
IDLE_BYTES_MAX = 32 * 1024
"""Of memory, for each idle connection; 5 000 bytes were measured."""


@pytest.fixture(scope="module")
def engine_flags():
    return (
        *("--head-timeout-ms", str(HEAD_TIMEOUT_MS), "--body-timeout-ms", str(HEAD_TIMEOUT_MS)),
        *("--keepalive-timeout-s", str(KEEPALIVE_TIMEOUT_S)),
    )


@pytest.fixture(scope="module")
def honest_id(people):
    """Return the customer of the honest sales."""
    return people.complete()["customer_id"]


@pytest.fixture
def sold(engine, honest_id):
    """Give what sells a few times, over connections of its own, which must go well."""
    till = asyncio.Semaphore(TOGETHER)

    async def one(clients):
        async with till:
            return (await clients.store.accumulate(honest_id, **SALE)).status

    async def sell(times=10):
        async with clients_of(engine) as clients:
            assert set(await asyncio.gather(*(one(clients) for _ in range(times)))) == {201}

    return sell


@pytest.fixture
def sale(api, customer_id):
    """Give what spells a sale as it goes over the wire."""

    def spelled(key, *more, customer=customer_id, body=BODY, length=True):
        lines = [
            f"POST /v1/customers/{customer}/accumulations HTTP/1.1".encode(),
            b"Host: engine",
            b"Authorization: Bearer " + api.store.key.encode(),
            b"Idempotency-Key: " + key.encode(),
            *more,
        ]
        if length:
            lines.append(b"Content-Length: %d" % len(body))
        return b"\r\n".join(lines) + b"\r\n\r\n" + body

    return spelled


@asynccontextmanager
async def line_to(engine):
    """Give (a reader, a writer) of a connection."""
    host, _, port = engine.url.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        async with asyncio.timeout(20):
            yield reader, writer
    finally:
        writer.close()


async def status_of(reader):
    """Return the status of the next answer, which is read whole."""
    head = await reader.readuntil(b"\r\n\r\n")
    await reader.readexactly(int(re.search(rb"Content-Length: (\d+)", head)[1]))
    return int(head.split()[1])


async def end_of(reader):
    """Return the statuses of all answers until the connection ends."""
    told = b""
    try:
        while piece := await reader.read(65536):
            told += piece
    except ConnectionResetError:
        pass
    return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d+) ", told)]


async def drip(writer, data):
    """Send a byte at a time, for as long as there is somebody who takes it."""
    for at in range(len(data)):
        if writer.is_closing():
            return
        writer.write(data[at : at + 1])
        await asyncio.sleep(0.02)


async def counted(api, name):
    """Return a sample of the metrics."""
    text = (await api.anonymous.request("GET", "/metrics")).json.decode()
    return float(re.search(rf"^{re.escape(name)} (\S+)$", text, re.MULTILINE)[1])


def memory_of(engine):
    """Return the resident memory of an engine, in bytes."""
    pages = int(Path(f"/proc/{engine.pid}/statm").read_text().split()[1])
    return pages * resource.getpagesize()


# Slowness.


SLOW_HEADS = 'leal_http_connections_cut_total{reason="slow_head"}'


@pytest.mark.parametrize("before", ["nothing", "a sale", "a look-up"])
async def test_a_head_that_drips_is_cut_off(api, engine, sale, sold, before):
    cut = await counted(api, SLOW_HEADS)
    async with line_to(engine) as (reader, writer):
        if before != "nothing":
            look_up = b"GET /livez HTTP/1.1\r\nHost: engine\r\n\r\n"
            writer.write(sale("first") if before == "a sale" else look_up)
            assert await status_of(reader) in (200, 201)
        dripping = asyncio.create_task(drip(writer, sale("dripping")))
        await sold()
        assert await end_of(reader) == [408]
        dripping.cancel()
    assert await counted(api, SLOW_HEADS) == cut + 1


async def test_half_a_head_and_then_silence_is_cut_off(engine, sale):
    async with line_to(engine) as (reader, writer):
        writer.write(sale("half")[:70])
        assert await end_of(reader) == [408]


async def test_half_a_head_behind_a_request_is_cut_off(engine, sale, sold):
    async with line_to(engine) as (reader, writer):
        writer.write(sale("whole"))
        dripping = asyncio.create_task(drip(writer, sale("half")))
        await sold()
        assert await end_of(reader) == [201, 408]
        dripping.cancel()


async def test_a_head_in_pieces_is_taken_and_leaves_no_timer(engine, sale):
    async with line_to(engine) as (reader, writer):
        for number in range(3):
            data = sale(f"in-pieces-{number}")
            for piece in (data[:1], data[1:90], data[90:-20], data[-20:]):
                writer.write(piece)
                await asyncio.sleep(HEAD_TIMEOUT_MS / 1000 / 8)
            assert await status_of(reader) == 201
        await asyncio.sleep(1.5 * HEAD_TIMEOUT_MS / 1000)
        writer.write(sale("and-one-more"))
        assert await status_of(reader) == 201


async def test_an_empty_line_behind_a_body_begins_no_head(engine, sale):
    async with line_to(engine) as (reader, writer):
        writer.write(sale("with-a-line"))
        assert await status_of(reader) == 201
        writer.write(b"\r\n")
        await asyncio.sleep(1.5 * HEAD_TIMEOUT_MS / 1000)
        writer.write(sale("behind-it"))
        assert await status_of(reader) == 201


@pytest.mark.parametrize(("size", "status"), [(0.9, 201), (1.1, 431)])
async def test_a_head_in_pieces_has_a_size(engine, sale, size, status):
    padding = [b"X-%d: " % n + b"a" * 190 for n in range(int(size * HEAD_BYTES_MAX / 200))]
    data = sale(f"padded-{status}", *padding)
    if status == 431:
        data = data[: HEAD_BYTES_MAX + 1]
    async with line_to(engine) as (reader, writer):
        for at in range(0, len(data), 1000):
            writer.write(data[at : at + 1000])
            await asyncio.sleep(0.005)
        assert await status_of(reader) == status
        if status == 431:
            assert await end_of(reader) == []


@pytest.mark.parametrize("place", ["head", "body"])
async def test_hundreds_that_drip_keep_nobody_waiting(engine, sale, sold, place):
    async def attack(number):
        data = sale(f"drip-{number}", body=BODY + b" " * 200)
        head = 0 if place == "head" else data.index(b"\r\n\r\n") + 4
        async with line_to(engine) as (reader, writer):
            writer.write(data[:head])
            dripping = asyncio.create_task(drip(writer, data[head:]))
            told = await end_of(reader)
            dripping.cancel()
            return told

    attacks = asyncio.gather(*map(attack, range(SLOW)))
    await sold(100)
    assert [one for one in await attacks if one != [408]] == []


# Numbers of connections.


@contextmanager
def sockets_to(engine, number):
    """Give that many open connections, or as many as this system lets a process have."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = number + 500
    allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, allowed), hard))
    host, _, port = engine.url.removeprefix("http://").partition(":")
    opened = []
    try:
        for _ in range(min(number, allowed - 500)):
            opened.append(socket.create_connection((host, int(port)), timeout=20))
        if len(opened) < number:
            print(f"{len(opened)} connections, for the system allows {hard} descriptors")
        yield opened
    finally:
        for one in opened:
            one.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def test_thousands_of_idle_connections_cost_little_and_end(api, engine, sold):
    await sold(50)
    before = memory_of(engine)
    with sockets_to(engine, IDLE) as idle:
        await until(lambda: engine_has(api, 0.95 * len(idle)))
        await sold(200)
        grown = memory_of(engine) - before
        assert grown < len(idle) * IDLE_BYTES_MAX
        print(f"{grown / len(idle):.0f} bytes a connection")
        assert {await asyncio.to_thread(one.recv, 1) for one in idle} == {b""}
    await until(lambda: engine_is_left(api))
    assert engine.process.poll() is None


async def engine_has(api, connections):
    return await counted(api, "leal_http_connections_open") >= connections


async def engine_is_left(api):
    return await counted(api, "leal_http_connections_open") < 300


async def test_where_it_is_full_the_next_is_told_and_the_others_go_on(
    loaded_network, database, tmp_path
):
    engine = loaded_network.engine(database, tmp_path, "--connections-max", "20")
    try:
        await asyncio.to_thread(engine.start)
        async with clients_of(engine) as clients:
            customer_id = engine.demo["customers"][-1]["customer_id"]
            sales = [clients.store.accumulate(customer_id, **SALE) for _ in range(10)]
            assert {reply.status for reply in await asyncio.gather(*sales)} == {201}
            with sockets_to(engine, 40) as opened:
                told = [await asyncio.to_thread(told_at_once, one) for one in opened[20:]]
                assert all(b" 503 " in one and b'"overloaded"' in one for one in told)
                assert all(b"\r\nRetry-After: 1\r\n" in one for one in told)
                reply = await clients.store.accumulate(customer_id, **SALE)
                assert reply.status == 201
                assert await counted(clients, "leal_http_connections_max") == 20
                assert await counted(clients, "leal_http_connections_open") == 20
                full = await counted(clients, 'leal_http_connections_cut_total{reason="full"}')
                assert full >= 20
            await until(lambda: has_room(engine))
    finally:
        engine.stop()


def told_at_once(one):
    """Return all that a connection is told that asks for nothing."""
    told = b""
    while piece := one.recv(65536):
        told += piece
    return told


async def has_room(engine):
    async with clients_of(engine) as clients:
        return (await clients.anonymous.request("GET", "/livez")).status == 200


async def test_a_low_limit_of_descriptors_is_told_and_kept(loaded_network, database, tmp_path):
    limit = 300
    engine = loaded_network.engine(
        database, tmp_path, command=("-c", STARTED_WITH_FEW_DESCRIPTORS % limit)
    )
    try:
        await asyncio.to_thread(engine.start)
        (line,) = engine.events("too_few_file_descriptors")
        assert (line["allowed"], line["connections_max"]) == (limit, limit - limit // 4)
        async with clients_of(engine) as clients:
            assert await counted(clients, "leal_http_connections_max") == limit - limit // 4
    finally:
        engine.stop()


STARTED_WITH_FEW_DESCRIPTORS = """\
import resource
resource.setrlimit(resource.RLIMIT_NOFILE, (%d,) * 2)
from engine.cli import main
main()
"""


# One thing to two readers.


CHUNKED = b"Transfer-Encoding: chunked"
SMUGGLING = {
    "both lengths": ((b"Content-Length: 3", CHUNKED), b"0\r\n\r\n"),
    "both lengths, the other way round": ((CHUNKED, b"Content-Length: 3"), b"0\r\n\r\n"),
    "two lengths": ((b"Content-Length: 0", b"Content-Length: 5"), b""),
    "one length twice": ((b"Content-Length: 2", b"Content-Length: 2"), b"{}"),
    "a list of lengths": ((b"Content-Length: 2, 2",), b"{}"),
    "a length with a sign": ((b"Content-Length: +2",), b"{}"),
    "a length in hexadecimal": ((b"Content-Length: 0x2",), b"{}"),
    "a length of more than 64 bits": ((b"Content-Length: " + b"9" * 40,), b"{}"),
    "a blank before the colon": ((b"Content-Length : 2",), b"{}"),
    "a blank before the name": ((b" Content-Length: 2",), b"{}"),
    "chunked by another name": ((b"Transfer-Encoding: xchunked",), b"0\r\n\r\n"),
    "chunked, not at the end": ((b"Transfer-Encoding: chunked, identity",), b"0\r\n\r\n"),
    "chunked by a tab": ((b"Transfer-Encoding\t: chunked",), b"0\r\n\r\n"),
    "a folded header": ((b"Transfer-Encoding:\r\n chunked",), b"0\r\n\r\n"),
    "a NUL in a name": ((b"X\0: a", b"Content-Length: 0"), b""),
    "a NUL in a value": ((b"X: a\0b", b"Content-Length: 0"), b""),
    "a bare CR in a value": ((b"X: a\rContent-Length: 2", b"Content-Length: 0"), b""),
    "a bare LF behind a header": ((b"X: a\nContent-Length: 0",), b""),
    "a chunk of a negative size": ((CHUNKED,), b"-1\r\n{}\r\n0\r\n\r\n"),
    "a chunk of a size with 0x": ((CHUNKED,), b"0x2\r\n{}\r\n0\r\n\r\n"),
    "a chunk of more than 64 bits": ((CHUNKED,), b"f" * 17 + b"\r\n{}\r\n0\r\n\r\n"),
    "a chunk that ends with a bare LF": ((CHUNKED,), b"2\n{}\n0\n\n"),
    "a chunk that ends elsewhere": ((CHUNKED,), b"1\r\n{}\r\n0\r\n\r\n"),
    "an extension with a bare LF": ((CHUNKED,), b"2;a\nb\r\n{}\r\n0\r\n\r\n"),
}


@pytest.mark.parametrize("kind", SMUGGLING)
async def test_nothing_is_smuggled(api, engine, sale, people, kind):
    """Behind each of these is a sale for a victim, which no reader may take for a request."""
    more, body = SMUGGLING[kind]
    victim_id = people.complete()["customer_id"]
    attack = sale("attack", *more, body=body, length=False) + sale("victim", customer=victim_id)
    for by_the_express in (False, True):
        async with line_to(engine) as (reader, writer):
            if by_the_express:
                writer.write(sale(f"before-{kind.replace(', ', '-')}"))
                assert await status_of(reader) == 201
            writer.write(attack)
            assert set(await end_of(reader)) <= {400}
    assert await api.store.points(victim_id, 1) == 0


# What grows when it is read.


@pytest.mark.parametrize("frame", [b"Content-Encoding: gzip", b"Transfer-Encoding: gzip, chunked"])
async def test_a_bomb_is_not_unpacked(engine, sale, sold, frame):
    bomb = gzip.compress(b"0" * 15_000_000)
    assert len(bomb) < HEAD_BYTES_MAX
    before = memory_of(engine)
    if b"chunked" in frame:
        body = b"%x\r\n" % len(bomb) + bomb + b"\r\n0\r\n\r\n"
        data = sale("bomb", frame, body=body, length=False)
    else:
        data = sale("bomb", frame, body=bomb)
    for _ in range(5):
        reply = await raw_request(engine.url, data)
        assert reply.status in (400, 415)
    assert memory_of(engine) - before < 15_000_000
    await sold()


GROWING = {
    "1e999": b"1e999",
    "-1e999": b"-1e999",
    "10^4000": b"1" + b"0" * 4000,
    "a fraction of 10 000 digits": b"0." + b"3" * 10_000,
    "an exponent of 10 000 digits": b"1e" + b"9" * 10_000,
    "lists in lists": b"[" * 100_000 + b"]" * 100_000,
    "objects in objects": b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    "lists that do not end": b"[" * 1_000_000,
}


@pytest.mark.parametrize("value", GROWING.values(), ids=GROWING)
async def test_what_grows_is_refused_wherever_it_comes(api, engine, sale, sold, value):
    """By the fast path, by a handler, and as a line of an upload, which may have 4 MiB."""
    body = b'{"currency": "COP", "amount": %b}' % value
    for more in ((), (b"X-Not-Plain: a",)):
        reply = await raw_request(engine.url, sale("growing", *more, body=body))
        assert (reply.status, reply.code) in (
            *((400, "invalid_request"), (400, "malformed_json"), (413, "body_too_large")),
        )
    line = b'{"type": "accumulation", "currency": "COP", "amount": %b}' % value
    reply = await api.store.request("POST", "/v1/transactions", line)
    assert isinstance(reply, Reply)
    assert reply.status in (200, 207, 400), reply
    assert "recorded_at" not in str(reply.json)
    await sold(1)


async def test_nothing_of_all_this_was_an_error_of_ours(engine):
    """The last test of the module: what went before left no error in the log."""
    assert [line for line in engine.logs if line["level"] in ("error", "critical")] == []
    assert engine.process.poll() is None
