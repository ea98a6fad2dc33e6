"""The engine as a role that has no more than its tables, as SECURITY.md grants them."""

from __future__ import annotations

import asyncio
import re
from itertools import count

import asyncpg
import pytest
from harness import ROOT, People, assert_balanced, clients_of, connection_to, until

from engine.postgres.connections import connect
from engine.postgres.migrations import MigrationError, migrate

SALE = {"amount": 5_400_000, "currency": "COP"}
ROLES = """
do $$ begin
    create role leal_owner login;
    create role leal_app login;
exception when duplicate_object then null;
end $$
"""
numbers = count(1)


def grants() -> str:
    """Return the statements that SECURITY.md shows."""
    found = re.search(r"```sql\n(grant .*?)```", (ROOT / "SECURITY.md").read_text(), re.DOTALL)
    assert found is not None
    return found[1]


def as_role(dsn: str, role: str) -> str:
    return dsn.replace("//leal@", f"//{role}@")


@pytest.fixture
async def owned(loaded_network):
    """Return the DSN of an empty database that belongs to an owner who is no superuser."""
    name = f"owned_{next(numbers)}"
    other = loaded_network.server_dsn.replace("/leal?", "/postgres?")
    async with connection_to(other) as connection:
        await connection.execute(ROLES)
        await connection.execute(f"create database {name} owner leal_owner")
    return loaded_network.server_dsn.replace("/leal?", f"/{name}?")


async def migrated(owned):
    """Migrate as the owner does, and grant what SECURITY.md says."""
    connection = await connect(
        as_role(owned, "leal_owner"),
        statement_timeout_ms=60_000,
        lock_timeout_ms=60_000,
        application_name="test",
    )
    await migrate(connection)
    await connection.execute(grants())
    await connection.close()


@pytest.fixture
async def engine(owned, loaded_network, make_engine):
    """Return a running engine that has the tables alone; it loads the demo network by itself."""
    await migrated(owned)
    engine = make_engine(loaded_network, as_role(owned, "leal_app"))
    (engine.folder / "demo.json").unlink()
    return await asyncio.to_thread(engine.start)


async def test_all_that_a_shop_does_needs_no_more_than_the_tables(engine, owned):
    customers = People(engine.demo)
    customer_id, store = customers.complete()["customer_id"], engine.demo["keys"]["store"]
    async with clients_of(engine) as clients:
        assert (await clients.store.print(store["store_id"], "A-1")).status == 201
        sale = await clients.store.accumulate(customer_id, invoice_number="A-1")
        assert sale.status == 201
        held = await clients.store.pay(customer_id, coins=10)
        assert held.status == 201
        code = re.search(r"\d{4}", engine.outbox()[-1]["text"])[0]
        paid = await clients.store.confirm(customer_id, held.json["payment_id"], code, "c-1")
        assert paid.status == 200, paid
        undone = await clients.store.reverse(customer_id, sale.json["transaction_id"])
        assert undone.status in (201, 409)
        assert (await clients.cashier.wallets(customer_id)).status == 200
        reward = await clients.brand.request(
            "POST", "/v1/brands/1/rewards", {"name": "Termo", "points": 1, "stock": 5}
        )
        assert reward.status == 201
        assert (await clients.network.prepay()).status == 200
        assert (await clients.brand.request("GET", "/v1/brands/1/liability")).status == 200
        ready = await clients.anonymous.request("GET", "/readyz")
        assert (ready.status, ready.json["reason"]) == (200, None)

        async def folded():
            async with connection_to(owned) as connection:
                return await connection.fetchval("select count(*) from sum_of_accounts") > 0

        await until(folded)
    assert not [line for line in engine.logs if line["level"] in ("warning", "error")]
    await assert_balanced(as_role(owned, "leal_app"))


async def test_the_role_changes_no_row_of_the_journal(engine, owned):
    async with connection_to(as_role(owned, "leal_app")) as connection:
        for statement in (
            "update journal set amount = 0",
            "delete from journal",
            "truncate journal",
            "drop table journal",
            "create table more (id int)",
            "delete from schema_migration",
        ):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute(statement)


async def test_what_is_missing_is_applied_by_the_owner_alone(owned):
    async with connection_to(owned) as connection:
        await connection.execute("grant usage on schema public to leal_app")
    connection = await connect(
        as_role(owned, "leal_app"),
        statement_timeout_ms=2000,
        lock_timeout_ms=2000,
        application_name="test",
    )
    with pytest.raises(MigrationError, match=r"lacks the migrations 0001_.*as the owner"):
        await migrate(connection)
    await connection.close()
    await migrated(owned)


@pytest.mark.parametrize("table", ["journal", "wallet"])
async def test_a_right_that_is_taken_away_is_no_fault_of_a_sale(engine, owned, table):
    customer = People(engine.demo)
    customer_id = customer.complete()["customer_id"]
    async with clients_of(engine) as clients, connection_to(owned) as connection:
        await connection.execute(f"revoke insert on {table} from leal_app")
        reply = await clients.store.accumulate(customer_id, **SALE)
        assert (reply.status, reply.code) == (503, "unavailable")
        ready = await clients.anonymous.request("GET", "/readyz")
        assert ready.status == 503
        assert "42501" in ready.json["reason"]

        async def named():
            ready = await clients.anonymous.request("GET", "/readyz")
            return table in (ready.json["reason"] or "")

        await until(named)
        await connection.execute(f"grant insert on {table} to leal_app")

        async def ready_again():
            return (await clients.anonymous.request("GET", "/readyz")).status == 200

        await until(ready_again)
        assert (await clients.store.accumulate(customer_id, **SALE)).status == 201
    assert not engine.events("operation_quarantined")
