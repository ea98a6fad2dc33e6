"""Anchors by the commands and by a running engine: what the audit alone cannot see has a name."""

from __future__ import annotations

import asyncio
import sys
from asyncio.subprocess import PIPE

import pytest
from harness import ROOT, assert_balanced, audit, clients_of, connection_to, running, until

SALE = {"amount": 5_400_000, "currency": "COP"}
ROLLUPS = "select tablename from pg_tables where tablename like 'sum\\_of\\_%' order by 1"


async def command(*words):
    """Run a command; return its exit status and what it said."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "engine", *words), cwd=ROOT, stdout=PIPE, stderr=PIPE
    )
    out, err = await process.communicate()
    return int(process.returncode or 0), (out + err).decode()


@pytest.fixture
async def anchored(database, engine, tmp_path):
    """Return the folder of an anchor, and the flags of an audit with it."""
    folder = tmp_path / "anchors"

    async def write():
        status, said = await command(
            "anchor", "--database-url", database, "--data-dir", engine.folder, "--anchor", folder
        )
        assert status == 0, said
        return said

    return folder, write, ("--anchors", str(folder), "--data-dir", str(engine.folder))


async def folded(database):
    """Return once the rollups have every row."""

    async def done():
        async with connection_to(database) as connection:
            rows = await connection.fetchval("select count(*) from journal where amount <> 0")
            sums = await connection.fetchval("select sum(held + available) from sum_of_accounts")
            total = await connection.fetchval("select sum(amount + held_amount) from journal")
            return rows and sums == total

    await until(done)


async def test_an_anchor_is_written_by_the_command_and_the_audit_takes_it(
    api, customer_id, database, anchored
):
    folder, write, flags = anchored
    assert (await api.store.accumulate(customer_id, **SALE)).status == 201
    said = await write()
    (file,) = folder.glob("*.anchor")
    assert f"{file}: " in said
    assert (folder / "anchor.pub").read_text() in said
    assert f"{customer_id} 1 " in file.read_text()
    for more in (flags, (*flags, "--anchor-key", str(folder / "anchor.pub"))):
        status, said = await audit(database, *more)
        assert status == 0, said
        assert f"anchors: 1 with {len(file.read_text().splitlines()) - 2} heads" in said
        assert f"the newest is {file.name}" in said


async def test_a_payment_that_was_deleted_with_all_that_belongs_to_it_is_named(
    api, customer_id, database, anchored
):
    """Without anchors the books balance; with them the wallet is named."""
    _, write, flags = anchored
    await api.app.convert(customer_id, partner_points=100, reference=f"R-{customer_id}")
    await folded(database)
    async with connection_to(database) as connection:
        rollups = [row["tablename"] for row in await connection.fetch(ROLLUPS)]
        for table in rollups:
            await connection.execute(f"create temp table kept_{table} as table {table}")
        qr = (await api.app.qr(customer_id)).json["qr"]
        presence = (await api.store.lookup(qr=qr)).json["presence"]["token"]
        paid = await api.store.pay(customer_id, coins=20, presence=presence)
        assert paid.status == 201
        await folded(database)
        await write()
        await connection.execute("delete from qr_use where customer_id = $1", customer_id)
        seq = await connection.fetchval(
            "delete from journal where customer_id = $1 and asset = 0 and transaction_id = $2"
            " returning seq",
            *(customer_id, paid.json["transaction_id"]),
        )
        assert seq is not None
        for table in rollups:
            await connection.execute(f"delete from {table}")
            await connection.execute(f"insert into {table} table kept_{table}")
    assert rollups
    await assert_balanced(database)
    status, said = await audit(database, *flags)
    assert status == 1
    assert said.splitlines()[-1].startswith(
        f"wallet ({customer_id}, 0) ends with seq {seq - 1}, and had seq {seq} in anchor 00000001-"
    )
    assert "1 faults" in said


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("anchor",), "Name the folder, or the https:// URL, with --anchor."),
        (("anchor", "--anchor", "http://anchors.example"), "anchor is a folder, an https:// URL"),
        (("audit", "--anchors", "/nowhere/at/all"), "/nowhere/at/all/anchor.pub does not exist"),
    ],
)
async def test_what_cannot_be_done_is_said_in_a_sentence(database, tmp_path, words, sentence):
    status, said = await command(
        *words, "--database-url", database, "--data-dir", str(tmp_path / "none")
    )
    assert status != 0
    assert sentence in " ".join(said.split())
    assert "Traceback" not in said


async def test_workers_write_one_series_and_the_audit_finds_the_folder_by_itself(
    loaded_network, tmp_path
):
    database = await loaded_network._new_database()
    folder = tmp_path / "anchors"
    flags = ("--anchor", str(folder), "--anchor-interval-s", "1")
    engine = loaded_network.engine(database, tmp_path / "engine", "--workers", "2", *flags)
    with running([engine]):
        async with clients_of(engine) as clients:
            customer = next(one for one in engine.demo["customers"] if one["profile_complete"])
            reply = await clients.store.accumulate(customer["customer_id"], **SALE)
            assert reply.status == 201
            await until(lambda: len(list(folder.glob("*.anchor"))) >= 4)
            metrics = (await clients.anonymous.request("GET", "/metrics")).json.decode()
    assert "leal_last_anchor_timestamp_seconds" in metrics
    numbers = [int(file.name[:8]) for file in sorted(folder.glob("*.anchor"))]
    assert numbers == list(range(1, len(numbers) + 1))
    written = engine.events("anchor_written")
    assert [line["name"][:8] for line in written] == [f"{number:08}" for number in numbers]
    assert written[0]["full"]
    assert engine.events("anchor_failed") == []
    assert any(customer["customer_id"] in file.read_text() for file in folder.glob("*.anchor"))
    status, said = await audit(
        database, "--anchor", str(folder), "--data-dir", str(tmp_path / "engine")
    )
    assert status == 0, said
    assert f"anchors: {len(numbers)} with" in said
