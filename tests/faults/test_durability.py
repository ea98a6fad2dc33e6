"""What a sale's answer promises is looked at wherever it can change, and `/readyz` says so."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import pytest
from harness import Network, People, clients_of, connection_to, until

from engine.postgres.embedded import EmbeddedPostgres

SALE = {"amount": 5_400_000, "currency": "COP"}
NOTICED_SECONDS_MAX = 10.0
END_SESSIONS = (
    "select count(pg_terminate_backend(pid, 5000)) from pg_stat_activity"
    " where datname = current_database() and application_name like 'leal-%'"
)
RELOAD = "select pg_reload_conf()"
SETTINGS = ("fsync", "full_page_writes", "synchronous_commit")


@pytest.fixture(scope="module")
def durable(tmp_path_factory):
    """Give (a server that keeps what it confirms, its folder, a network on it)."""
    folder = tmp_path_factory.mktemp("durable")
    server = EmbeddedPostgres(folder)
    try:
        yield server, folder, asyncio.run(Network(server.start(), folder).load())
    finally:
        server.stop()


@pytest.fixture
def durable_dsn(durable):
    """Return the DSN of a database of the test's own on that server."""
    return durable[2].new_database()


@asynccontextmanager
async def serving(make_engine, durable, dsn, *flags):
    """Give (clients, a connection, people) of an engine that allows no loss."""
    engine = make_engine(durable[2], dsn, "--no-allow-data-loss", *flags)
    await asyncio.to_thread(engine.start)
    async with clients_of(engine) as clients, connection_to(dsn) as connection:
        yield clients, connection, People(engine.demo)
    engine.stop()


async def who_bought(clients, people):
    """Return the id of a customer whose first sale was taken."""
    customer_id = people.complete()["customer_id"]
    assert (await clients.store.accumulate(customer_id, **SALE)).status == 201
    return customer_id


async def readiness(clients):
    reply = await clients.anonymous.request("GET", "/readyz")
    return reply.status, reply.json["reason"]


async def refused(clients, customer_id, code, named):
    """Return once a sale is refused with `code`, and readiness says why, naming `named`."""

    async def once():
        reply = await clients.store.accumulate(customer_id, **SALE)
        assert reply.status in (201, 503)
        status, reason = await readiness(clients)
        return reply if reply.code == code and status == 503 and named in reason else None

    reply = await until(once, NOTICED_SECONDS_MAX)
    assert reply.headers["Retry-After"]
    return reply


async def goes_on(clients, customer_id):
    """Return once readiness is back without any request, and see that a sale is taken then."""

    async def ready():
        return (await readiness(clients))[0] == 200

    await until(ready, NOTICED_SECONDS_MAX)
    assert (await clients.store.accumulate(customer_id, **SALE)).status == 201


@pytest.mark.parametrize("of", ["database {0}", "role leal in database {0}"])
async def test_no_new_session_without_durable_commits_takes_a_sale(
    durable, durable_dsn, make_engine, of
):
    async with serving(make_engine, durable, durable_dsn) as (clients, connection, people):
        customer_id = await who_bought(clients, people)
        alter = f"alter {of.format(await connection.fetchval('select current_database()'))}"
        before = await clients.store.points(customer_id, 1)
        await connection.execute(f"{alter} set synchronous_commit = off")
        await connection.execute(END_SESSIONS)
        reply = await refused(clients, customer_id, "unavailable", "synchronous_commit = off")
        assert "synchronous_commit = off" in reply.json["detail"]
        assert await clients.store.points(customer_id, 1) == before

        await connection.execute(f"{alter} reset synchronous_commit")
        await goes_on(clients, customer_id)


async def test_writers_alone_that_come_back_without_durable_commits_take_no_sale(
    durable, durable_dsn, make_engine
):
    async with serving(make_engine, durable, durable_dsn) as (clients, connection, people):
        customer_id = await who_bought(clients, people)
        database = await connection.fetchval("select current_database()")
        await connection.execute(f"alter database {database} set synchronous_commit = off")
        await connection.execute(END_SESSIONS.replace("leal-%", "leal-writer%"))
        await refused(clients, customer_id, "unavailable", "synchronous_commit = off")
        await connection.execute(f"alter database {database} reset synchronous_commit")
        await goes_on(clients, customer_id)


@pytest.mark.parametrize("name", SETTINGS)
async def test_a_reload_without_durable_commits_is_noticed_by_open_sessions(
    durable, durable_dsn, make_engine, name
):
    """The embedded server's own settings stand in a file that `alter system` overrides."""
    async with serving(make_engine, durable, durable_dsn) as (clients, connection, people):
        customer_id = await who_bought(clients, people)
        try:
            await connection.execute(f"alter system set {name} = off")
            await connection.execute(RELOAD)
            await refused(clients, customer_id, "unavailable", f"{name} = off")
            # Other writes are refused as well, and reading goes on.
            registered = await clients.store.register(
                document={"type": "CC", "number": "600000001"}, email="new@example.com"
            )
            assert registered.status == 503
            printed = await clients.store.print(1, "F-1")
            assert printed.status == 503
            assert (await clients.store.wallets(customer_id)).status == 200
        finally:
            await connection.execute(f"alter system reset {name}")
            await connection.execute(RELOAD)
        await goes_on(clients, customer_id)
        assert (await clients.store.print(1, "F-1")).status == 201


async def test_a_server_that_comes_back_without_fsync_takes_no_sale(make_engine, tmp_path):
    folder = tmp_path / "server"
    server = EmbeddedPostgres(folder)
    network = await Network(await asyncio.to_thread(server.start), folder).load()
    try:
        dsn = network.server_dsn
        async with serving(make_engine, (server, folder, network), dsn) as (clients, _, people):
            customer_id = await who_bought(clients, people)
            conf = folder / "postgres" / "postgresql.conf"
            as_it_was = conf.read_text()
            for text in (as_it_was + "\nfsync = off\nfull_page_writes = off\n", as_it_was):
                await asyncio.to_thread(server.stop)
                conf.write_text(text)
                await asyncio.to_thread(server.start)
                if text is as_it_was:
                    await goes_on(clients, customer_id)
                else:
                    named = "fsync = off and full_page_writes = off"
                    await refused(clients, customer_id, "unavailable", named)
    finally:
        await asyncio.to_thread(server.stop)


@pytest.mark.parametrize("how", ["new sessions", "reload"])
async def test_the_brake_of_a_provider_holds_for_every_connection(
    durable, durable_dsn, make_engine, how
):
    async with serving(make_engine, durable, durable_dsn) as (clients, connection, people):
        customer_id = await who_bought(clients, people)
        database = await connection.fetchval("select current_database()")
        reloads = how == "reload"
        alter = "alter system" if reloads else f"alter database {database}"
        then = RELOAD if reloads else END_SESSIONS
        await connection.execute("set default_transaction_read_only = off")
        try:
            await connection.execute(f"{alter} set default_transaction_read_only = on")
            await connection.execute(then)
            await refused(clients, customer_id, "read_only", "read-only")
            at = datetime.now(UTC).isoformat()
            writes = (
                clients.store.register(
                    document={"type": "CC", "number": "600000002"}, email="two@example.com"
                ),
                clients.store.print(1, "F-2", issued_at=at),
                clients.brand.request("POST", "/v1/brands/1/rewards", {"name": "T", "points": 1}),
                clients.cashier.wallets(customer_id),  # signs in first
            )
            for write in writes[:3]:
                reply = await write
                assert (reply.status, reply.code) == (503, "read_only")
            with pytest.raises(AssertionError, match="read_only"):
                await writes[3]
            assert (await clients.store.wallets(customer_id)).status == 200
            rows = "select (select count(*) from invoice) + (select count(*) from session)"
            assert await connection.fetchval(rows) == 0
        finally:
            await connection.execute(f"{alter} reset default_transaction_read_only")
            await connection.execute(then)
        await goes_on(clients, customer_id)
        assert (await clients.store.print(1, "F-2", issued_at=at)).status == 201


async def test_readiness_is_lost_while_a_table_is_locked_for_longer_than_a_statement_may_take(
    durable, durable_dsn, make_engine
):
    async with serving(make_engine, durable, durable_dsn) as (clients, connection, people):
        customer_id = await who_bought(clients, people)
        async with connection.transaction():
            await connection.execute("lock table journal in share mode")

            async def unready():
                status, reason = await readiness(clients)
                return status == 503 and reason

            reason = await until(unready, NOTICED_SECONDS_MAX)  # without any sale
            assert 'locked (could not obtain lock on relation "journal")' in reason
            assert (await clients.store.accumulate(customer_id, **SALE)).status in (503, 504)
        await goes_on(clients, customer_id)


async def test_a_lock_that_passes_soon_does_not_end_readiness(durable, durable_dsn, make_engine):
    flags = ("--statement-timeout-ms", "3000", "--append-timeout-ms", "4000")
    flags += ("--answer-timeout-ms", "5000", "--database-look-ms", "100")
    async with serving(make_engine, durable, durable_dsn, *flags) as (clients, connection, people):
        customer_id = people.complete()["customer_id"]
        async with connection.transaction():
            await connection.execute("lock table journal in share mode")
            for _ in range(10):
                assert await readiness(clients) == (200, None)
                await asyncio.sleep(0.1)
        assert (await clients.store.accumulate(customer_id, **SALE)).status == 201


FULL = """
create function full_disk() returns trigger language plpgsql as
$$ begin raise exception 'could not extend file' using errcode = '53100'; end $$;
create trigger full_disk before insert on journal execute function full_disk()
"""


async def test_a_disk_that_a_lane_found_full_ends_readiness_until_it_is_not(
    durable, durable_dsn, make_engine
):
    """A trigger raises what a full disk does: a real one may end the whole server."""
    async with serving(make_engine, durable, durable_dsn) as (clients, connection, people):
        customer_id = await who_bought(clients, people)
        await connection.execute(FULL)
        await refused(clients, customer_id, "unavailable", "53100")
        await connection.execute("drop trigger full_disk on journal")
        await goes_on(clients, customer_id)
