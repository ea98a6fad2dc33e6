"""A store's stream tells each printed sale once, and goes on where it was broken off (INV-1)."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta

import aiohttp
import pytest
from harness import clients_of, connection_to, until

SALE = {"amount": 5_400_000, "currency": "COP"}
LISTENERS = """
select pid from pg_stat_activity
 where application_name = 'leal-listener' and datname = current_database()
"""
MANY_INVOICES = """
insert into invoice (store_id, invoice_key, invoice_number, amount, currency, issued_at,
                     received_at)
select $1, 'MANY' || n, 'many-' || n, 100, 'COP', now(), now() from generate_series(1, 60000) as n
"""


@pytest.fixture(scope="module")
def engine_flags():
    return ("--stream-heartbeat-s", "1", "--streams-max", "12", "--stream-events-waiting-max", "8")


def numbers(events):
    return [event.json["invoice_number"] for event in events]


async def test_a_printed_sale_is_told_to_everybody_who_follows_the_store(api):
    await api.cashier.invoices(1)  # signs in
    async with (
        api.store.follow(1) as pos,
        api.cashier.follow(1) as cashier,
        api.brand.follow(1) as brand,
        api.other_store.follow(2) as other,
    ):
        assert pos.headers["Content-Type"] == "text/event-stream"
        assert pos.headers["Cache-Control"] == "no-store"
        printed = await api.store.print(1, "A-1", **SALE)
        for stream in (pos, cashier, brand):
            event = await stream.next()
            assert (event.name, event.json) == ("invoice", printed.json)
            assert event.id.isdigit()
        await api.other_store.print(2, "A-2", **SALE)
        assert numbers([await other.next()]) == ["A-2"]


async def test_a_sale_is_told_once_however_often_it_is_sent(api):
    issued_at = datetime.now(UTC).isoformat()
    async with api.store.follow(1) as stream:
        for _ in range(3):
            await api.store.print(1, "B-1", issued_at=issued_at)
        await api.store.print(1, "B-1", issued_at=issued_at, amount=1)
        await api.store.print(1, "B-2")
        assert numbers(await stream.several(2)) == ["B-1", "B-2"]


async def test_what_a_customer_has_claimed_before_it_is_printed_is_not_told(api, customer_id):
    await api.store.accumulate(customer_id, **SALE, invoice_number="B-3")
    async with api.store.follow(1) as stream:
        await api.store.print(1, "B-3")
        await api.store.print(1, "B-4")
        assert numbers([await stream.next()]) == ["B-4"]


async def test_who_reconnects_gets_what_was_missed_and_unclaimed_first(api, customer_id):
    async with api.store.follow(1) as stream:
        await api.store.print(1, "D-1")
        last = (await stream.next()).id
    for n in range(2, 6):
        await api.store.print(1, f"D-{n}")
    await api.store.accumulate(customer_id, invoice_number="D-3")
    async with api.store.follow(1, last_event_id=last) as stream:
        missed = await stream.several(3)
        await api.store.print(1, "D-6")
        assert numbers([*missed, await stream.next()]) == ["D-2", "D-4", "D-5", "D-6"]
    ids = [int(event.id) for event in missed]
    assert ids == sorted(ids)


async def test_who_is_cut_off_before_the_first_event_misses_nothing_either(api):
    async with api.store.follow(1) as stream:
        with pytest.raises(TimeoutError):
            await stream.next(0.3)
        last = stream.last_event_id
    await api.store.print(1, "E-1")
    async with api.store.follow(1, last_event_id=last) as stream:
        assert numbers([await stream.next()]) == ["E-1"]


async def test_a_stream_since_a_moment_begins_with_what_was_issued_then(api):
    now = datetime.now(UTC)
    for n in (30, 20, 10):
        await api.network.print(3, f"F-{n}", issued_at=(now - timedelta(minutes=n)).isoformat())
    since = (now - timedelta(minutes=25)).isoformat()
    async with api.network.follow(3, since=since) as stream:
        assert numbers(await stream.several(2)) == ["F-20", "F-10"]


async def test_more_missed_sales_than_fit_on_a_page_all_come_once_in_order(api):
    async with api.store.follow(1) as stream:
        await api.store.print(1, "G")
        last = (await stream.next()).id
    wanted = {f"G-{n}" for n in range(450)}
    await asyncio.gather(*(api.store.print(1, number) for number in wanted))
    async with api.store.follow(1, last_event_id=last) as stream:
        printing = asyncio.gather(*(api.store.print(1, f"GG{n}") for n in range(50)))
        events = await stream.several(500)
        await printing
    assert set(numbers(events)) == wanted | {f"GG{n}" for n in range(50)}
    ids = [int(event.id) for event in events]
    assert ids == sorted(set(ids))


async def test_many_sales_at_once_all_come_once_in_order_to_a_follower(api):
    """More come at once than one stream keeps in memory; the table has them."""
    async with api.store.follow(1) as stream:
        wanted = {f"I-{n}" for n in range(300)}
        printing = asyncio.gather(*(api.store.print(1, number) for number in wanted))
        events = await stream.several(300)
        await printing
    assert set(numbers(events)) == wanted
    ids = [int(event.id) for event in events]
    assert ids == sorted(set(ids))


@pytest.mark.parametrize("sent", ["x", "-1", "9" * 19, "1 2"])
async def test_an_id_that_no_event_has_is_refused(api, sent):
    headers = {"Last-Event-ID": sent}
    reply = await api.store.request("GET", "/v1/stores/1/invoices/stream", headers=headers)
    assert (reply.status, reply.code) == (400, "invalid_request")
    reply = await api.store.request("GET", "/v1/stores/1/invoices/stream?since=x")
    assert (reply.status, reply.code) == (400, "invalid_request")


async def test_an_id_from_elsewhere_does_not_keep_new_sales_back(api):
    async with api.store.follow(1, last_event_id="9" * 18) as stream:
        await api.store.print(1, "J-1")
        assert numbers([await stream.next()]) == ["J-1"]


async def test_silence_has_signs_of_life(api):
    async with api.store.follow(1) as stream:
        with pytest.raises(TimeoutError):
            await stream.next(2.5)
        assert stream.signs_of_life >= 1


async def test_head_is_answered_without_a_stream(api):
    reply = await api.store.request("HEAD", "/v1/stores/1/invoices/stream")
    assert reply.status == 200
    assert reply.headers["Content-Type"] == "text/event-stream"


async def test_who_has_a_revoked_key_reads_no_more(slow_heart):
    clients = slow_heart
    body = {"role": "store", "store_id": 1, "name": "till"}
    made = (await clients.brand.request("POST", "/v1/keys", body)).json
    await clients.cashier.invoices(1)  # signs in
    async with (
        clients.with_key(made["key"]).follow(1) as by_key,
        clients.cashier.follow(1) as by_session,
        clients.store.follow(1) as other,
    ):
        await clients.store.print(1, "R-1")
        for stream in (by_key, by_session, other):
            assert numbers([await stream.next()]) == ["R-1"]
        await clients.cashier.request("DELETE", "/v1/sessions/current")
        assert await by_session.next() is None, "long before the next sign of life"
        await clients.brand.request("DELETE", f"/v1/keys/{made['key_id']}")
        await clients.store.print(1, "R-2")
        assert await by_key.next() is None, "not even what comes right after"
        assert numbers([await other.next()]) == ["R-2"]


async def test_a_store_has_so_many_streams_and_leaves_the_others_theirs(slow_heart):
    clients = slow_heart
    async with AsyncExitStack() as stack:
        for _ in range(3):
            await stack.enter_async_context(clients.store.follow(1))
        reply = await clients.store.request("GET", "/v1/stores/1/invoices/stream")
        assert (reply.status, reply.code) == (503, "overloaded")
        other = await stack.enter_async_context(clients.other_store.follow(2))
        await clients.other_store.print(2, "S-1")
        assert numbers([await other.next()]) == ["S-1"]


@pytest.fixture
async def slow_heart(loaded_network, other_database, tmp_path):
    """Give clients of an engine whose streams may be silent for long, and are three a store."""
    flags = ("--stream-heartbeat-s", "600", "--streams-of-store-max", "3")
    engine = loaded_network.engine(other_database, tmp_path / "slow", *flags)
    await asyncio.to_thread(engine.start)
    try:
        async with clients_of(engine) as clients:
            yield clients
    finally:
        engine.stop()


async def test_a_cashier_whose_session_ended_is_cut_off(api):
    await api.cashier.invoices(1)  # signs in
    async with api.cashier.follow(1) as stream:
        assert (await api.cashier.request("DELETE", "/v1/sessions/current")).status == 200
        assert await stream.next(15) is None


async def test_too_many_streams_are_refused_and_closed_ones_make_room(api):
    path = "/v1/stores/1/invoices/stream"
    opened = []
    headers = {"Authorization": f"Bearer {api.store.key}"}
    async with aiohttp.ClientSession() as session:
        refused = None
        for _ in range(13):
            response = await session.get(api.store.url + path, headers=headers)
            opened.append(response)
            if response.status == 503:
                refused = response
                break
        assert refused is not None
        assert (await refused.json())["code"] == "overloaded"
        assert int(refused.headers["Retry-After"]) >= 1
        for response in opened:
            response.close()

    async def there_is_room():
        async with (
            aiohttp.ClientSession() as session,
            session.get(api.store.url + path, headers=headers) as response,
        ):
            return response.status == 200

    await until(there_is_room)


async def test_a_stream_is_measured_until_it_began_and_not_for_hours(api):
    async with api.store.follow(1):
        await asyncio.sleep(1.2)
    await until(lambda: none_is_open(api))
    text = (await api.anonymous.request("GET", "/metrics")).json.decode()
    counts = {
        bound: float(line.rpartition(" ")[2])
        for line in text.splitlines()
        for bound in ("1.0", "+Inf")
        if line.startswith("leal_http_request_duration_seconds_bucket")
        and "/invoices/stream" in line
        and 'status="200"' in line
        and f'le="{bound}"' in line
    }
    assert counts["1.0"] == counts["+Inf"] >= 1


async def test_a_listening_connection_that_is_lost_is_opened_again_and_nothing_missed(
    api, database
):
    async with api.store.follow(1) as stream, connection_to(database) as connection:
        await api.store.print(1, "K-0")
        assert numbers([await stream.next()]) == ["K-0"]
        for n in range(1, 4):
            pids = await until(lambda: connection.fetch(LISTENERS))
            for row in pids:
                await connection.fetchval("select pg_terminate_backend($1)", row["pid"])
            await api.store.print(1, f"K-{n}")
            assert numbers([await stream.next()]) == [f"K-{n}"]


async def open_streams(api):
    text = (await api.anonymous.request("GET", "/metrics")).json.decode()
    return next(
        float(line.split()[1])
        for line in text.splitlines()
        if line.startswith("leal_streams_open ")
    )


async def none_is_open(api):
    return await open_streams(api) == 0


async def test_a_reader_that_does_not_read_is_cut_off_and_holds_nobody_up(api, engine, database):
    async with connection_to(database) as connection:
        await connection.execute(MANY_INVOICES, 4)
    assert await until(lambda: none_is_open(api))
    host, _, port = engine.url.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port), limit=1024)
    try:
        head = (
            "GET /v1/stores/4/invoices/stream?since=2026-01-01T00:00:00Z HTTP/1.1\r\nHost: x\r\n"
            f"Authorization: Bearer {api.network.key}\r\n\r\n"
        )
        writer.write(head.encode())
        assert (await reader.readline()).startswith(b"HTTP/1.1 200")
        assert await open_streams(api) == 1
        async with api.store.follow(1) as stream:
            await api.store.print(1, "M-1")
            assert numbers([await stream.next()]) == ["M-1"]
        assert await until(lambda: none_is_open(api))
        assert not writer.is_closing()  # it was the engine that hung up
    finally:
        writer.close()


@pytest.fixture
def other_database(loaded_network):
    return loaded_network.new_database()


async def test_streams_end_with_the_engine_and_do_not_hold_it_up(
    loaded_network, other_database, tmp_path
):
    engine = loaded_network.engine(other_database, tmp_path / "ends")
    await asyncio.to_thread(engine.start)
    try:
        async with clients_of(engine) as clients, clients.store.follow(1) as stream:
            await clients.store.print(1, "N-1")
            assert numbers([await stream.next()]) == ["N-1"]
            started = asyncio.get_running_loop().time()
            assert await asyncio.to_thread(engine.terminate) == 0
            assert await stream.next() is None
            assert asyncio.get_running_loop().time() - started < 15  # a drain may take 20 s
        assert [line for line in engine.logs if line["level"] in ("error", "warning")] == []
    finally:
        engine.stop()
