"""A pooler is seen for what it is before anything is written through it, also while it is idle."""

from __future__ import annotations

import asyncio
import os
import pwd
import shutil
import socket
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import asyncpg
import pytest
from pooler import Pooler

from engine.postgres.connections import UnsafeServer, connect, create_read_pool
from engine.postgres.pooler import refuse_transaction_pooling

PGBOUNCER = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin")


async def test_a_server_without_a_pooler_is_taken(dsn: str) -> None:
    await refuse_transaction_pooling(dsn)


@pytest.mark.parametrize("round_robin", [False, True])
@pytest.mark.parametrize("idle_sessions", [0, 1, 3])
async def test_a_pooler_that_lends_sessions_for_a_transaction_is_refused(
    dsn: str, round_robin: bool, idle_sessions: int
) -> None:
    async with Pooler(dsn, "transaction", round_robin=round_robin) as pooler:
        others = [
            await asyncpg.connect(pooler.dsn, statement_cache_size=0) for _ in range(idle_sessions)
        ]
        for one in others:
            await one.execute("begin")  # so that each has a session of its own, which it leaves
        for one in others:
            await one.execute("commit")
        with pytest.raises(UnsafeServer, match=r"pool_mode = session\.$"):
            await refuse_transaction_pooling(pooler.dsn)
        for one in others:
            one.terminate()


async def test_a_pooler_that_lends_sessions_for_good_is_taken_and_keeps_the_deadlines(
    dsn: str,
) -> None:
    async with Pooler(dsn, "session") as pooler:
        await refuse_transaction_pooling(pooler.dsn)
        connection = await connect(
            pooler.dsn, statement_timeout_ms=1500, lock_timeout_ms=700, application_name="leal-x"
        )
        assert await connection.fetchval("show statement_timeout") == "1500ms"
        assert await connection.fetchval("show lock_timeout") == "700ms"
        await connection.close()
        pool = await create_read_pool(pooler.dsn, connections_max=2, statement_timeout_ms=900)
        assert await pool.fetchval("show statement_timeout") == "900ms"
        pool.terminate()


@asynccontextmanager
async def pgbouncer(dsn: str, mode: str, folder: Path) -> AsyncIterator[str]:
    """Give the DSN of a PgBouncer in `mode` before the server of `dsn`."""
    parts = urlsplit(dsn)
    query = parse_qs(parts.query)
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
    database = parts.path.lstrip("/")
    (folder / "users").write_text('"leal" ""\n')
    (folder / "pgbouncer.ini").write_text(
        f"[databases]\n{database} = host={query['host'][0]} port={query['port'][0]}\n"
        f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n"
        f"auth_type = trust\nauth_file = {folder / 'users'}\npool_mode = {mode}\n"
    )
    user: dict[str, Any] = {}
    if os.geteuid() == 0:  # it refuses to run as root; the socket's folder is its owner's alone
        owner = Path(query["host"][0]).stat()
        user = {"user": owner.st_uid, "group": owner.st_gid, "extra_groups": []}
        for file in (folder, *folder.iterdir()):
            os.chown(file, owner.st_uid, owner.st_gid)
        assert pwd.getpwuid(owner.st_uid)
        for above in folder.parents[:3]:
            above.chmod(above.stat().st_mode | 0o111)
    assert PGBOUNCER is not None
    process = subprocess.Popen(
        [PGBOUNCER, "-q", str(folder / "pgbouncer.ini")],
        stderr=subprocess.PIPE,
        **user,
    )
    try:
        for _ in range(200):
            with socket.socket() as one:
                if one.connect_ex(("127.0.0.1", port)) == 0:
                    break
            assert process.poll() is None, process.stderr and process.stderr.read()
            await asyncio.sleep(0.02)
        yield f"postgresql://leal@127.0.0.1:{port}/{database}?sslmode=disable"
    finally:
        process.terminate()
        process.communicate()


@pytest.mark.skipif(PGBOUNCER is None, reason="needs PgBouncer")
@pytest.mark.parametrize("mode", ["transaction", "statement"])
async def test_pgbouncer_is_refused_where_it_lends_for_less_than_a_session(
    dsn: str, mode: str, tmp_path: Path
) -> None:
    async with pgbouncer(dsn, mode, tmp_path) as pooled:
        with pytest.raises(UnsafeServer, match=r"pool_mode = session\.$"):
            await refuse_transaction_pooling(pooled)


@pytest.mark.skipif(PGBOUNCER is None, reason="needs PgBouncer")
async def test_pgbouncer_is_taken_where_it_lends_for_a_session(dsn: str, tmp_path: Path) -> None:
    async with pgbouncer(dsn, "session", tmp_path) as pooled:
        await refuse_transaction_pooling(pooled)
        connection = await connect(
            pooled, statement_timeout_ms=1500, lock_timeout_ms=700, application_name="leal-x"
        )
        assert await connection.fetchval("show statement_timeout") == "1500ms"
        await connection.close()
