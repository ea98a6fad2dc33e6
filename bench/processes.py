"""CPU time of processes by /proc, and servers started as processes of their own."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO

TICKS = os.sysconf("SC_CLK_TCK")
START_SECONDS_MAX = 60.0
STOP_SECONDS_MAX = 30.0


def cpu_seconds(pid: int) -> float:
    """Return the CPU time of a process, of its threads and of its children, living and gone."""
    total = sum(_stat(pid)[11:15])
    for child in children(pid):
        with contextlib.suppress(OSError):
            total += sum(_stat(child)[11:15])
    return total / TICKS


def children(pid: int) -> list[int]:
    """Return the children of a process that live."""
    with contextlib.suppress(OSError):  # not every kernel keeps this list, and threads end
        tasks = Path(f"/proc/{pid}/task").iterdir()
        return [int(one) for task in tasks for one in (task / "children").read_text().split()]
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                if _stat(int(entry.name))[1] == pid:
                    found.append(int(entry.name))
    return found


def set_apart(pid: int, others: Sequence[int]) -> None:
    """Give a process a core of its own, and others, what they start and this one the rest."""
    core, *rest = sorted(os.sched_getaffinity(0))
    if rest:
        os.sched_setaffinity(pid, {core})
        for other in (0, *others, *(child for one in others for child in children(one))):
            os.sched_setaffinity(other, rest)


def _stat(pid: int) -> list[int]:
    """The fields of /proc/<pid>/stat from the state on, which counts as 0; [1] is the parent."""
    text = Path(f"/proc/{pid}/stat").read_text()
    return [0, *map(int, text[text.rindex(")") + 4 :].split())]


def free_port() -> int:
    """Return a port of the loopback that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


@contextlib.contextmanager
def server(command: Sequence[str], url: str, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run a server until the block ends: started when `url` answers, ended by SIGTERM."""
    with log.open("ab") as output:
        process = _spawn(command, output)
    try:
        _wait_for(url, process, log)
        yield process
    finally:
        stop(process)


def stop(process: subprocess.Popen[bytes]) -> int:
    """End a process of ours by SIGTERM, by SIGKILL where that takes too long; return its status."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOP_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            process.kill()
    return process.wait()


def fetch(url: str) -> str:
    """Return what `url` answers; raises OSError."""
    with urllib.request.urlopen(url, timeout=5) as answer:
        text: str = answer.read().decode()
        return text


def _spawn(command: Sequence[str], output: IO[bytes]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output)


def _wait_for(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS_MAX
    while process.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(OSError, urllib.error.URLError):
            fetch(url)
            return
        time.sleep(0.05)
    raise RuntimeError(f"{url} does not answer; the end of its log:\n{log.read_text()[-2000:]}")
