"""The supervisor: keeps several workers going on one port, and ends with them.

It serves nothing itself. It holds the port without listening, so that all workers may listen on
it, and the write end of a pipe on which each worker hears, as the end of its standard input, that
the supervisor is gone. A worker writes its port to its standard output when it serves.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from time import monotonic

import structlog

from engine.keyfiles import chain_key, code_secret
from engine.settings import Settings
from engine.signals import STOP_SIGNALS

log = structlog.get_logger()

PAUSE_S_MIN = 0.1
PAUSE_S_MAX = 5.0
LIFE_S_GOOD = 30.0
"""A worker that lived for so long is started again without a longer pause than the shortest."""
END_S_MARGIN = 5.0

Launch = Callable[[int], Awaitable[Process]]


class Supervisor:
    """Starts one worker in each slot, starts another where one dies, and takes them down."""

    def __init__(
        self, settings: Settings, dsn: str, announce: Callable[[int], None] | None
    ) -> None:
        self._settings = settings
        self._dsn = dsn
        self._announce = announce
        self._processes: dict[int, Process] = {}
        self._not_served_yet = set(range(1, settings.workers + 1))
        self._stop = asyncio.Event()
        self._stopping = False

    async def run(self) -> bool:
        """Keep the workers going until a signal; return whether all of them drained in time.

        A second signal ends them at once. Where a worker cannot even be started the first time,
        all of them end. Raises OSError where the port is taken.
        """
        settings = self._settings
        loop = asyncio.get_running_loop()
        for number in STOP_SIGNALS:
            loop.add_signal_handler(number, self._stop_or_kill)
        # Keys are made here once: workers would meet while making them.
        code_secret(settings)
        chain_key(settings)
        with _held_port(settings.host, settings.port) as port, _lifeline() as lifeline:
            log.info("supervising", workers=settings.workers, port=port, pid=os.getpid())
            launch = self._launch_on(port, lifeline)
            keepers = [
                asyncio.create_task(self._keep(slot, launch))
                for slot in range(1, settings.workers + 1)
            ]
            for keeper in keepers:
                keeper.add_done_callback(lambda _: self._stop.set())
            await self._stop.wait()
            self._stopping = True
            self._signal(signal.SIGTERM)
            time_s = settings.drain_delay_ms / 1000 + settings.drain_timeout_s + END_S_MARGIN
            _, late = await asyncio.wait(keepers, timeout=time_s)
            if late:
                log.error("workers_killed", workers=sorted(self._processes), after_s=time_s)
                self._signal(signal.SIGKILL)
            clean = all(await asyncio.gather(*keepers))
            log.info("all_workers_ended", clean=clean)
            return clean

    async def _keep(self, slot: int, launch: Launch) -> bool:
        """Run worker after worker in a slot; return whether the last one ended as it should."""
        pause_s = PAUSE_S_MIN
        while not self._stop.is_set():
            started = monotonic()
            clean = await self._live(slot, launch)
            if self._stop.is_set():
                return clean
            if self._not_served_yet:
                log.error("start_given_up", worker=slot)
                return False
            if monotonic() - started > LIFE_S_GOOD:
                pause_s = PAUSE_S_MIN
            log.info("worker_starts_again", worker=slot, pause_s=pause_s)
            with suppress(TimeoutError):
                async with asyncio.timeout(pause_s):
                    await self._stop.wait()
            pause_s = min(2 * pause_s, PAUSE_S_MAX)
        return True

    async def _live(self, slot: int, launch: Launch) -> bool:
        """Run one worker from its start to its end; return whether it left nothing undone."""
        try:
            process = await launch(slot)
        except OSError as error:  # the machine has no memory or no processes left
            log.error("worker_not_started", worker=slot, error=str(error))
            return False
        self._processes[slot] = process
        log.info("worker_started", worker=slot, pid=process.pid)
        if self._stop.is_set():  # the signal came while this one was on its way
            process.terminate()
        assert process.stdout is not None
        served = await process.stdout.readline()
        if served:
            self._tell_served(slot, int(served))
        status = await process.wait()
        del self._processes[slot]
        tell = log.info if self._stop.is_set() and not status else log.warning
        tell("worker_ended", worker=slot, pid=process.pid, exit_status=status)
        return status == 0 or not served

    def _tell_served(self, slot: int, port: int) -> None:
        """Announce the engine when every slot has served for the first time."""
        if self._not_served_yet:
            self._not_served_yet.discard(slot)
            if not self._not_served_yet:
                log.info("all_workers_serve", port=port, workers=self._settings.workers)
                if self._announce is not None:
                    self._announce(port)

    def _launch_on(self, port: int, lifeline: int) -> Launch:
        """Return what starts the worker of a slot.

        The settings go through the environment, which unlike a command line is not shown to all
        users of the machine, and where they replace what the supervisor inherited itself.
        """
        told = replace(self._settings, port=port, database_url=self._dsn, demo=False)
        environment = os.environ | told.environment()

        async def launch(slot: int) -> Process:
            return await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "engine", "serve", "--worker-slot", str(slot)),
                stdin=lifeline,
                stdout=PIPE,
                env=environment,
            )

        return launch

    def _stop_or_kill(self) -> None:
        if self._stopping:
            log.warning("ended_by_second_signal")
            self._signal(signal.SIGKILL)
        self._stop.set()

    def _signal(self, number: int) -> None:
        """Send a signal to every worker there is."""
        for process in self._processes.values():
            with suppress(ProcessLookupError):
                process.send_signal(number)


@contextmanager
def _held_port(host: str, port: int) -> Iterator[int]:
    """Hold a port that sockets of this user may share; raises OSError where one listens already.

    The first socket does not share: a port shared with a stranger would send it half of the sales.
    """
    family, kind, _, _, address = socket.getaddrinfo(
        host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    with socket.socket(family, kind) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(address)
        address = probe.getsockname()
    with socket.socket(family, kind) as held:
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        held.bind(address)
        yield int(held.getsockname()[1])


@contextmanager
def _lifeline() -> Iterator[int]:
    """Give the read end of a pipe that ends with this process: no other has its write end."""
    read_end, write_end = os.pipe()
    try:
        yield read_end
    finally:
        os.close(read_end)
        os.close(write_end)
