"""Start and stop, in surroundings that others made: each ends in service, or in a sentence."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from harness import ROOT, People, clients_of, connection_to, until
from pooler import Pooler

from engine.app import code_secret
from engine.settings import Settings

SECRET = "a secret of more than thirty-two characters"
SALE = {"amount": 5_400_000, "currency": "COP"}
WEBHOOK = ("--sms-webhook-url", "http://127.0.0.1:9/", "--sms-webhook-secret", "c2VjcmV0c2VjcmV0")
AS_ROOT = os.geteuid() == 0


def run(*arguments, environment=None, prefix=(), seconds_max=60):
    """Run a command of the engine to its end; return (exit status, what it said)."""
    done = subprocess.run(
        [*prefix, sys.executable, "-m", "engine", *arguments],
        cwd=ROOT,
        env=os.environ | (environment or {}),
        capture_output=True,
        text=True,
        timeout=seconds_max,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def warnings(engine):
    return [line for line in engine.other_lines if line.startswith("Warning:")]


async def sells(engine):
    async with clients_of(engine) as clients:
        reply = await clients.store.accumulate(
            People(engine.demo).complete()["customer_id"], **SALE
        )
        assert reply.status == 201
        ready = await clients.anonymous.request("GET", "/readyz")
        assert ready.status == 200


# Variables and parameters that others set.


async def test_variables_that_kubernetes_sets_do_no_harm(
    loaded_network, dsn, make_engine, monkeypatch
):
    for name, value in {
        "LEAL_LANES": "tcp://10.96.0.12:8080",
        "LEAL_SERVICE_HOST": "10.96.0.12",
        "LEAL_SERVICE_PORT": "8080",
        "LEAL_SERVICE_PORT_HTTP": "8080",
        "LEAL_PORT_8080_TCP": "tcp://10.96.0.12:8080",
        "LEAL_PORT_8080_TCP_ADDR": "10.96.0.12",
        "LEAL_DB_PORT": "tcp://10.96.0.13:5432",
        "LEAL_WORKER": "4",
    }.items():
        monkeypatch.setenv(name, value)
    engine = await asyncio.to_thread(make_engine(loaded_network, dsn).start)
    await sells(engine)
    told = warnings(engine)
    assert len(told) == 2
    assert "LEAL_LANES=tcp://10.96.0.12:8080 is ignored" in told[0]
    assert "LEAL_WORKER is no setting and is ignored. Did you mean LEAL_WORKERS?" in told[1]


def test_a_port_that_kubernetes_sets_is_not_taken_for_ours():
    status, said = run("demo", "--help", environment={"LEAL_PORT": "tcp://10.96.0.12:8080"})
    assert status == 0
    status, said = run("keys", "list", environment={"LEAL_PORT": "tcp://10.96.0.12:8080"})
    assert "LEAL_PORT=tcp://10.96.0.12:8080 is ignored" in said
    assert "not a valid integer" not in said


async def test_parameters_of_libpq_are_honoured_or_named(loaded_network, dsn, make_engine):
    told = "&channel_binding=require&connect_timeout=10&keepalives=1&keepalives_idle=30"
    told += "&gssencmode=prefer&application_name=mine&load_balance_hosts=random"
    engine = make_engine(loaded_network, dsn + told, "--workers", "2")
    await asyncio.to_thread(engine.start)
    await sells(engine)
    assert [line.split(",")[0] for line in warnings(engine)] == [
        "Warning: The database URL has channel_binding=require",
        "Warning: The database URL has application_name",
        "Warning: The database URL has load_balance_hosts=random",
    ]


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        ("&conect_timeout=5", "conect_timeout, which is neither .* Did you mean connect_timeout?"),
        ("&connect_timeout=soon", "connect_timeout=soon, which is not a whole number"),
        ("&gssencmode=require", "Use sslmode"),
        ("&replication=database", "leave replication out"),
        ("&target_session_attrs=standby", "None of the servers .* target_session_attrs"),
        ("&target_session_attrs=read-only", "None of the servers .* target_session_attrs"),
    ],
)
def test_a_url_that_cannot_be_used_is_told_in_a_sentence(dsn, tmp_path, more, sentence):
    status, said = run("serve", "--database-url", dsn + more, "--data-dir", str(tmp_path))
    assert status == 1
    assert "Traceback" not in said
    assert re.search(sentence, said), said


def test_a_server_that_does_not_listen_is_named_in_a_sentence(tmp_path):
    url = "postgresql://leal@127.0.0.1:1/leal"
    status, said = run("serve", "--database-url", url, "--data-dir", str(tmp_path))
    assert status == 1
    assert "Traceback" not in said
    assert "PostgreSQL is out of reach" in said, said


@pytest.mark.parametrize("encoding", ["LATIN1", "WIN1252", "SQL_ASCII"])
async def test_a_database_of_another_encoding_is_refused(loaded_network, tmp_path, encoding):
    name = f"encoded_{encoding.lower()}"
    other = loaded_network.server_dsn.replace("/leal?", "/postgres?")
    async with connection_to(other) as connection:
        await connection.execute(f"drop database if exists {name}")
        await connection.execute(
            f"create database {name} template template0 encoding '{encoding}' locale 'C'"
        )
    dsn = loaded_network.server_dsn.replace("/leal?", f"/{name}?")
    status, said = await asyncio.to_thread(
        run, "serve", "--database-url", dsn, "--data-dir", str(tmp_path)
    )
    assert status == 1
    assert f"encoded in {encoding}; the engine needs UTF8" in said


def test_variables_of_libpq_do_not_steer_the_embedded_server(tmp_path):
    foreign = {
        "PGSSLMODE": "verify-full",
        "PGTARGETSESSIONATTRS": "standby",
        "PGHOST": "nowhere.invalid",
        "PGPORT": "1",
        "PGSERVICE": "none",
        "PGOPTIONS": "-c search_path=none",
        "PGPASSFILE": "/nonexistent/pgpass",
        "PGDATABASE": "none",
        "PGUSER": "nobody",
    }
    status, said = run("migrate", "--data-dir", str(tmp_path), environment=foreign)
    assert status == 0, said
    assert "applied 0001_network" in said


# Who runs it, and where.


@pytest.mark.skipif(not AS_ROOT, reason="takes another user id")
def test_a_user_id_without_a_name_is_told_what_to_do(dsn, tmp_path):
    tmp_path.chmod(0o777)
    nameless = ("setpriv", "--reuid=54321", "--regid=54321", "--clear-groups")
    nobody = dict.fromkeys(("USER", "LOGNAME", "LNAME", "USERNAME", "PGUSER"), "")
    nobody["HOME"] = "/nonexistent"
    folder = ("--data-dir", str(tmp_path / "data"))
    for above in tmp_path.parents[:3]:
        above.chmod(above.stat().st_mode | 0o111)
    url = ("--database-url", dsn.replace("//leal@", "//"))
    status, said = run("serve", *folder, *url, environment=nobody, prefix=nameless)
    assert (status, "54321" in said, "postgresql://USER@" in said) == (1, True, True), said
    status, said = run("serve", *folder, environment=nobody, prefix=nameless)
    assert (status, "Traceback" in said) == (1, False)
    assert "does not run under the user id 54321" in said
    assert "--database-url" in said


@pytest.fixture
def read_only_folder(tmp_path):
    """Give a folder on a file system that takes no files."""
    folder = tmp_path / "read-only"
    folder.mkdir()
    mount = ("mount", "-t", "tmpfs", "-o", "ro", "none", str(folder))
    if not AS_ROOT or subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("may not mount a file system")
    yield folder
    subprocess.run(("umount", str(folder)), check=True)


@pytest.mark.parametrize("workers", [1, 2])
async def test_nothing_is_written_where_nothing_needs_it(
    loaded_network, dsn, tmp_path, read_only_folder, workers
):
    engine = loaded_network.engine(
        dsn, tmp_path / "engine", "--data-dir", str(read_only_folder / "data"), "--no-demo",
        *("--secret", SECRET, "--sender", "webhook", *WEBHOOK, "--workers", str(workers)),
    )  # fmt: skip
    try:
        await asyncio.to_thread(engine.start)
        await sells(engine)
        async with clients_of(engine) as clients:
            metrics = await clients.anonymous.request("GET", "/metrics")
            assert metrics.status == 200
            assert metrics.json.count(b'leal_worker_up{worker="') == (0 if workers == 1 else 2)
    finally:
        engine.stop()


def test_what_needs_a_folder_says_so_at_the_start(dsn, read_only_folder):
    url = ("--database-url", dsn, "--data-dir", str(read_only_folder / "data"))
    status, said = run("serve", *url, "--secret", SECRET, "--sender", "outbox")
    assert status == 1
    assert "is needed for the sender outbox" in said
    status, said = run("serve", *url, "--sender", "log")
    assert status == 1
    assert "is needed for the secret (or set LEAL_SECRET)" in said
    status, said = run("serve", "--data-dir", str(read_only_folder / "data"))
    assert status == 1
    assert "is needed for the embedded server" in said


@pytest.mark.parametrize("files_max", [256, 300])
async def test_few_descriptors_leave_room_for_tills_and_probes(
    loaded_network, dsn, make_engine, files_max
):
    limit = ("prlimit", f"--nofile={files_max}:{files_max}")
    if not shutil.which(limit[0]):
        pytest.skip("needs prlimit")
    engine = make_engine(loaded_network, dsn)
    engine._command[:0] = limit
    await asyncio.to_thread(engine.start)
    (told,) = engine.events("too_few_file_descriptors")
    assert told["connections_max"] >= files_max // 2
    host, port = engine.url.removeprefix("http://").split(":")
    tills = [await asyncio.open_connection(host, int(port)) for _ in range(100)]
    await sells(engine)
    for _, writer in tills:
        writer.close()


def test_next_to_no_descriptors_are_refused_in_a_sentence(dsn, tmp_path):
    if not shutil.which("prlimit"):
        pytest.skip("needs prlimit")
    status, said = run(
        *("serve", "--database-url", dsn, "--data-dir", str(tmp_path), "--port", "0"),
        "--allow-data-loss",
        prefix=("prlimit", "--nofile=80:80"),
    )
    assert status == 1
    assert "may have 80 open files" in said


# Signals.

AS_PROCESS_1 = ("unshare", "--pid", "--fork", "--mount-proc", "--kill-child")


def can_unshare():
    return AS_ROOT and not subprocess.run((*AS_PROCESS_1, "true"), check=False).returncode


@pytest.mark.parametrize("workers", ["1", "2"])
@pytest.mark.parametrize("after_s", [0.25, 0.5, 1.0])
def test_process_1_ends_when_it_is_told_to_also_before_it_serves(dsn, tmp_path, after_s, workers):
    if not can_unshare():
        pytest.skip("may not make a namespace of processes")
    with (tmp_path / "said").open("w") as said:
        process = subprocess.Popen(
            [
                *(*AS_PROCESS_1, sys.executable, "-m", "engine", "serve", "--port", "0"),
                *("--database-url", dsn, "--data-dir", str(tmp_path), "--workers", workers),
                "--allow-data-loss",
            ],
            cwd=ROOT,
            stdout=said,
            stderr=said,
        )
        try:
            time.sleep(after_s)
            children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
            os.kill(int(children.read_text().split()[0]), signal.SIGTERM)
            assert process.wait(10) == 0, (tmp_path / "said").read_text()
        finally:
            process.kill()
            process.wait()
    assert "Traceback" not in (tmp_path / "said").read_text()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_two_signals_in_one_moment_are_one_and_leave_no_server(tmp_path, number):
    process = subprocess.Popen(
        [sys.executable, "-m", "engine", "serve", "--data-dir", str(tmp_path), "--port", "0"],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    time.sleep(1.2)  # the embedded server is being made
    for _ in range(2):
        process.send_signal(number)
    _, said = process.communicate(timeout=30)
    assert process.returncode == 0, said
    assert "Traceback" not in said
    assert not (tmp_path / "postgres" / "postmaster.pid").exists()


# Addresses.


@pytest.mark.parametrize(
    ("host", "url"),
    [("::1", "http://[::1]:"), ("[::1]", "http://[::1]:"), ("::", "http://[::1]:"),
     ("", "http://127.0.0.1:"), ("0.0.0.0", "http://127.0.0.1:")],
)  # fmt: skip
async def test_the_printed_url_can_be_used(loaded_network, dsn, make_engine, host, url):
    engine = make_engine(loaded_network, dsn, f"--host={host}")
    await asyncio.to_thread(engine.start)
    await until(lambda: engine.demo["url"].startswith(url))
    port = engine.url.rpartition(":")[2]
    assert engine.demo["url"] == url + port
    engine.url = engine.demo["url"]
    await sells(engine)


def test_a_secret_with_a_newline_is_the_same_secret():
    assert code_secret(Settings(secret=SECRET + "\n")) == code_secret(Settings(secret=SECRET))


# Poolers.


async def test_an_engine_sells_through_a_pooler_that_lends_sessions_for_good(
    loaded_network, dsn, make_engine
):
    async with Pooler(dsn, "session") as pooler:
        engine = await asyncio.to_thread(make_engine(loaded_network, pooler.dsn).start)
        await sells(engine)
        assert await asyncio.to_thread(engine.terminate) == 0


async def test_an_engine_does_not_start_through_a_pooler_that_lends_them_for_a_transaction(
    dsn, tmp_path
):
    async with Pooler(dsn, "transaction") as pooler:
        status, said = await asyncio.to_thread(
            run, "serve", "--database-url", pooler.dsn, "--data-dir", str(tmp_path)
        )
    assert status == 1
    assert "pool_mode = session" in said
    assert "Traceback" not in said
