"""The folder of an embedded cluster: its making, its settings, its pid file. Starts no server."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from engine.postgres.programs import Account, PostgresStartError, command_line, program

# The log names errors without their details and statements: those hold the data of customers.
SETTINGS: Final = """\
# The engine rewrites this file at every start. Your own settings belong in postgresql.conf,
# below the line that includes this file.
listen_addresses = ''
unix_socket_directories = '{sockets}'
unix_socket_permissions = 0700
port = 5432
max_connections = 100
shared_buffers = {buffers}MB
fsync = {durable}
full_page_writes = {durable}
synchronous_commit = {durable}
wal_level = replica
min_wal_size = 512MB
max_wal_size = 4GB
checkpoint_timeout = 15min
checkpoint_completion_target = 0.9
autovacuum = on
jit = off
timezone = 'UTC'
log_timezone = 'UTC'
log_destination = stderr
logging_collector = off
log_error_verbosity = terse
log_min_error_statement = panic
"""
BUFFERS_MB_MAX: Final = 2048
"""Of memory for pages, a quarter of what there is: what indexes of ten million rows need."""
LIMITS: Final = ("memory.max", "memory/memory.limit_in_bytes")
"""Where Linux tells a container how much memory it may have, by the version of cgroups."""
SETTINGS_SINCE_18: Final = """\
io_method = worker
io_workers = 2
"""


@dataclass(frozen=True, slots=True)
class Cluster:
    """A cluster in `folder`, whose server listens in the folder `sockets`."""

    folder: Path
    sockets: Path
    fsync: bool

    @property
    def account(self) -> Account:
        """Who runs the server; asked each time, as making the cluster can change it."""
        return Account.of(self.folder)

    def create(self) -> None:
        """Build the cluster beside its place and rename it, so a half-made one is never used."""
        data_dir = self.folder.parent
        for leftover in data_dir.glob("postgres.new-*"):
            shutil.rmtree(leftover, ignore_errors=True)
        fresh = Path(tempfile.mkdtemp(prefix="postgres.new-", dir=data_dir))
        self.account.give(fresh)
        self._run("initdb", "--username=leal", "--auth=trust", "--encoding=UTF8",
                  "--locale=C.UTF-8", "--data-checksums", "--no-sync",
                  "-D", str(fresh))  # fmt: skip
        with (fresh / "postgresql.conf").open("a") as conf:
            conf.write("\ninclude = 'leal.conf'\n")
        self._write_settings(fresh)
        self._run("postgres", "--single", "-c", "exit_on_error=on", "-D", str(fresh), "postgres",
                  stdin=b"create database leal\n")  # fmt: skip
        if self.fsync:
            self._run("initdb", "--sync-only", "-D", str(fresh))
        fresh.rename(self.folder)
        _sync_folder(data_dir)

    def has_other_settings(self) -> bool:
        """Whether the settings its server started with differ from those wanted now."""
        conf = self.folder / "leal.conf"
        return not conf.exists() or conf.read_text() != self._settings(self.folder)

    def write_settings(self) -> None:
        """Only while no server runs, so the file always says what the server started with."""
        conf = self.folder / "leal.conf"
        if self.fsync and conf.exists() and "fsync = off" in conf.read_text():
            # What was written without fsync must reach the disk before fsync promises anything.
            self._run("initdb", "--sync-only", "-D", str(self.folder))
        self._write_settings(self.folder)

    def running_pid(self) -> int | None:
        """The pid of the cluster's server, if it runs."""
        pid = _recorded_pid(self._pid_file)
        return pid if pid is not None and self.is_served_by(pid) else None

    def is_served_by(self, pid: int) -> bool:
        """Whether the process is this cluster's server; a recorded pid may be anyone's by now."""
        return command_line(pid).endswith(f" -D {self.folder}")

    def discard_stale_lock_files(self) -> None:
        """PostgreSQL respects them while their pid lives, if only as a zombie or another program.

        Those of a dead pid are left to it. Backends of ours that live on are still noticed, for
        they hold the shared memory that is named after the folder.
        """
        for file in (self._pid_file, self.sockets / ".s.PGSQL.5432.lock"):
            pid = _recorded_pid(file)
            if pid is not None and not self.is_served_by(pid):
                with suppress(OSError):
                    os.kill(pid, 0)
                    file.unlink()

    @property
    def _pid_file(self) -> Path:
        return self.folder / "postmaster.pid"

    def _settings(self, folder: Path) -> str:
        settings = SETTINGS.format(
            sockets=self.sockets, durable="on" if self.fsync else "off", buffers=_buffers_mb()
        )
        major = int((folder / "PG_VERSION").read_text())
        return settings + SETTINGS_SINCE_18 if major >= 18 else settings

    def _write_settings(self, folder: Path) -> None:
        # Written outside and moved in: root must not write through a link that the server's user
        # could have put there.
        conf = folder.parent / "leal.conf.new"
        conf.write_text(self._settings(folder))
        self.account.give(conf)
        conf.replace(folder / "leal.conf")

    def _run(self, name: str, *arguments: str, stdin: bytes = b"") -> None:
        command = [program(name), *arguments]
        process = self.account.spawn(
            command, self.folder.parent, stdin=subprocess.PIPE, output=subprocess.PIPE
        )
        try:
            output, _ = process.communicate(stdin)
        except BaseException:
            process.kill()
            process.wait()
            raise
        if process.returncode != 0:
            raise PostgresStartError(
                f"{name} failed in {self.folder.parent} and said:\n{os.fsdecode(output)}"
            )


def _buffers_mb() -> int:
    """Return how much memory the server keeps pages in; it takes of it what its pages need."""
    found = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    for name in LIMITS:
        with suppress(OSError, ValueError):  # "max" is no limit
            found = min(found, int(Path("/sys/fs/cgroup", name).read_text()))
    return min(BUFFERS_MB_MAX, max(128, found // 4 // 2**20))


def _recorded_pid(file: Path) -> int | None:
    with suppress(OSError, ValueError):
        return int(file.read_text().partition("\n")[0])
    return None


def _sync_folder(folder: Path) -> None:
    """Make a rename in the folder survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
