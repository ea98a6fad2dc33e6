"""Backup, restore to a point in time, and failover: what is lost, what is not, and who is told.

The figures of README's "Backup and failover" are printed by these tests.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest
from harness import Network, People, clients_of, connection_to, until
from traffic import faults_of, plan, send_all, settle

from engine.postgres.embedded import EmbeddedPostgres
from engine.postgres.programs import Account, program

ARCHIVE = """
archive_mode = on
archive_command = 'cp %p {archive}/%f'
"""
RECOVERY = """
archive_mode = off
restore_command = 'cp {archive}/%f %p'
recovery_target_name = 'before_the_mistake'
recovery_target_action = 'promote'
"""
HAS_KEY = "select count(*) from journal where transaction_id = any($1::uuid[]) and leg = 0"
RECEIVES = "select count(*) from pg_stat_wal_receiver"
CAUGHT_UP = (
    "select count(*) from pg_stat_replication where replay_lsn >= pg_current_wal_flush_lsn()"
)


def run(folder: Path, name: str, *arguments: str) -> None:
    """Run a program of PostgreSQL as the owner of the cluster in `folder`."""
    account = Account.of(folder / "postgres")
    process = account.spawn(
        [program(name), *arguments], folder, stdin=subprocess.DEVNULL, output=subprocess.PIPE
    )
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 0, output


def back_up(server: EmbeddedPostgres, folder: Path, target: Path, *options: str) -> None:
    """Make a base backup of the cluster in `folder`, while it works."""
    target.mkdir(mode=0o700)
    Account.of(folder / "postgres").give(target)
    sockets = server.dsn.partition("host=")[2].partition("&")[0]
    options = ("-D", str(target), "-h", sockets, "-U", "leal", "--checkpoint=fast", *options)
    run(folder, "pg_basebackup", *options)


def add_settings(cluster: Path, text: str) -> None:
    with (cluster / "postgresql.conf").open("a") as conf:
        conf.write(text)


async def test_a_backup_is_restored_to_a_point_in_time_while_the_engine_runs(
    make_engine, dice, tmp_path
):
    folder, archive = tmp_path / "server", tmp_path / "archive"
    server = EmbeddedPostgres(folder)
    try:
        network = await Network(await asyncio.to_thread(server.start), folder).load()
        await asyncio.to_thread(server.stop)
        archive.mkdir()
        Account.of(folder / "postgres").give(archive)
        add_settings(folder / "postgres", ARCHIVE.format(archive=archive))
        await asyncio.to_thread(server.start)
        engine = make_engine(network, network.server_dsn)
        await asyncio.to_thread(engine.start)
        customers = People(engine.demo).several(20)
        before, since, mistaken = (plan(dice, customers, 60, name) for name in ("a", "b", "c"))
        async with clients_of(engine) as clients:
            await settle(before, clients)
            back_up(server, folder, tmp_path / "backup", "-X", "none")
            await settle(since, clients)
            async with connection_to(network.server_dsn) as connection:
                await connection.execute("select pg_create_restore_point('before_the_mistake')")
                await settle(mistaken, clients)
                last = await connection.fetchval("select pg_walfile_name(pg_switch_wal())")
            await until(lambda: (archive / last).exists())

            stopped = time.monotonic()
            await asyncio.to_thread(server.stop)
            shutil.move(folder / "postgres", tmp_path / "gone")
            shutil.move(tmp_path / "backup", folder / "postgres")
            add_settings(folder / "postgres", RECOVERY.format(archive=archive))
            (folder / "postgres" / "recovery.signal").touch()
            await asyncio.to_thread(server.start)

            lost = [intent for intent in mistaken if intent.answer.status == 201]
            answers = {intent.key: intent.answer for intent in lost}
            assert lost
            async with connection_to(network.server_dsn) as connection:
                assert await faults_of(connection, before + since) == []
                ids = [answer.json["transaction_id"] for answer in answers.values()]
                assert await connection.fetchval(HAS_KEY, ids) == 0

            for intent in mistaken:
                intent.answer = None
            await settle(mistaken, clients)
            recovered = time.monotonic() - stopped
        # The same requests, done once more: on books that had forgotten them.
        assert not any(intent.answer.replayed for intent in lost)
        async with connection_to(network.server_dsn) as connection:
            assert await faults_of(connection, before + since + mistaken) == []
        (told,) = engine.events("timeline_changed")
        assert told["answered_lost"] is True
        print(f"restored to a point in time; everything answered again after {recovered:.1f} s")
    finally:
        await asyncio.to_thread(server.stop)


@pytest.fixture
def pair(tmp_path):
    """Give (primary, standby), each with its folder; the primary holds the network."""
    folders = tmp_path / "primary", tmp_path / "standby"
    primary, standby = (EmbeddedPostgres(folder) for folder in folders)
    try:
        network = asyncio.run(Network(primary.start(), folders[0]).load())
        folders[1].mkdir()
        back_up(primary, folders[0], folders[1] / "postgres", "-R")
        standby.start()
        yield network, (primary, folders[0]), (standby, folders[1])
    finally:
        standby.stop()
        primary.stop()


def either(primary: str, standby: str) -> str:
    """Return a DSN that finds whichever of two servers is the primary."""
    hosts = ",".join(dsn.partition("host=")[2].partition("&")[0] for dsn in (primary, standby))
    return f"postgresql://leal@/leal?host={hosts}&port=5432,5432&target_session_attrs=primary"


@pytest.mark.parametrize("kind", ["asynchronous", "synchronous"])
async def test_a_standby_takes_over(pair, make_engine, dice, kind):
    network, (primary, folder), (standby, _) = pair
    engine = make_engine(network, either(primary.dsn, standby.dsn), "--lanes", "1")
    await asyncio.to_thread(engine.start)
    customers = People(engine.demo).several(20)
    kept, last = plan(dice, customers, 60, "kept"), plan(dice, customers, 60, "last")
    async with clients_of(engine) as clients, connection_to(primary.dsn) as connection:
        await settle(kept, clients)
        await until(lambda: connection.fetchval(CAUGHT_UP))
        if kind == "synchronous":
            await connection.execute("alter system set synchronous_standby_names = '*'")
            await connection.execute("select pg_reload_conf()")
        else:
            # The standby falls behind, and nobody waits for it.
            async with connection_to(standby.dsn) as behind:
                await behind.execute("alter system set primary_conninfo = ''")
                await behind.execute("select pg_reload_conf()")
                await until(lambda: _is_zero(behind))
        hit = await send_all(
            last, clients.store, at_once=16, after=30, then=lambda: kill_postmaster(folder)
        )
        killed = time.monotonic()
        answered = [intent for intent in last if intent.answer is not None]
        assert len(answered) >= 30
        assert hit
        async with connection_to(standby.dsn) as connection:
            assert await connection.fetchval("select pg_promote(wait => true)")
            lost = await faults_of(connection, kept + last)
            if kind == "synchronous":
                assert lost == []
            else:
                assert len(lost) == len(answered)
                assert all("not in the journal" in fault for fault in lost)
                for intent in answered:
                    intent.answer = None
            await settle(last[:1], clients)
            taken_over = time.monotonic() - killed
            await settle(last, clients)
            assert await faults_of(connection, kept + last) == []
    (told,) = engine.events("timeline_changed")
    assert told["answered_lost"] is (kind == "asynchronous")
    print(
        f"{kind} standby: {len(answered)} answered, {len(lost)} of them lost;"
        f" first answer {taken_over:.1f} s after the kill"
    )


def kill_postmaster(folder: Path) -> None:
    pid = int((folder / "postgres" / "postmaster.pid").read_text().split("\n")[0])
    os.kill(pid, signal.SIGKILL)


async def _is_zero(behind) -> bool:
    return await behind.fetchval(RECEIVES) == 0
