"""For those who run the engine: probes and metrics. No key is needed, nothing personal is shown."""

from __future__ import annotations

import asyncio
import hashlib
import os
from pathlib import Path
from typing import Any

from aiohttp import ClientError, ClientSession, UnixConnector, web
from prometheus_client.aiohttp import make_aiohttp_handler
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from engine.commands.services import Services
from engine.http.operation import Answered, Declares, Text, operation
from engine.metrics import merged
from engine.schemas.probes import Probe

DATABASE_PROBE_S_MAX = 1.0
WORKER_TELLS_S_MAX = 1.0
SOCKET_PATH_BYTES_MAX = 107
RUNTIME_FOLDERS = ("/tmp", "/dev/shm", "/run")  # noqa: S108 - the owner of what is in it is checked
"""Where the sockets of workers go whose data folder is read-only, or has too long a name."""

OK = Probe(status="ok", reason=None)
SAMPLE = "leal_postings_total 1042.0\n"


def _declared(name: str, reason: str) -> Declares:
    """Declare a probe that may fail, for a reason like this one."""
    failed = Probe(status="unavailable", reason=reason)
    return operation(name, answer_example=OK, other_answers={503: failed})


@operation("probeLiveness", answer_example=OK)
async def livez(_services: Services, _request: web.BaseRequest) -> Probe:
    """The event loop turns. Never touches the database."""
    return OK


@_declared("probeReadiness", "draining")
async def readyz(services: Services, _request: web.BaseRequest) -> Answered[Probe]:
    """A sale can be made durable here: started, not draining, and the database takes appends."""
    reason = services.health.not_ready
    if reason is None:
        try:
            async with asyncio.timeout(DATABASE_PROBE_S_MAX):
                await services.pool.ping()
        except Exception:  # noqa: BLE001 - whatever it is, the database cannot be used
            reason = "database out of reach"
        reason = reason or services.readiness.reason
    return _probed(reason)


@_declared("probeStart", "starting")
async def startupz(services: Services, _request: web.BaseRequest) -> Answered[Probe]:
    """Migrations are done and the catalogue is loaded."""
    return _probed(None if services.health.started else "starting")


@operation(
    "readMetrics",
    answer_example=(
        Text("text/plain", SAMPLE),
        Text("application/openmetrics-text", f"{SAMPLE}# EOF\n"),
    ),
)
async def metrics(services: Services, request: web.BaseRequest) -> Any:
    """Everything that is counted: of the one process, or of all the workers that share a port."""
    settings = services.settings
    if not settings.worker_slot:
        return await own_metrics(services, request)
    slots = range(1, settings.workers + 1)
    told = await asyncio.gather(
        *(_told_by(worker_socket(settings.data_dir, slot)) for slot in slots)
    )
    response = web.Response(
        body=merged(dict(zip(slots, told, strict=True))).encode(),
        headers={"Content-Type": CONTENT_TYPE_PLAIN_0_0_4},
    )
    response.enable_compression()
    return response


async def own_metrics(services: Services, request: web.BaseRequest) -> Any:
    """Everything that this process counted, as Prometheus or OpenMetrics text."""
    return await make_aiohttp_handler(services.metrics.registry)(request)  # type: ignore[arg-type]


def worker_socket(data_dir: Path, slot: int) -> Path:
    """Return the address of the metrics of one worker alone."""
    path = data_dir.resolve() / f"worker-{slot}.sock"
    if len(os.fsencode(path)) <= SOCKET_PATH_BYTES_MAX and os.access(path.parent, os.W_OK):
        return path
    name = hashlib.sha256(os.fsencode(path.parent)).hexdigest()[:16]
    folder = next((one for one in RUNTIME_FOLDERS if os.access(one, os.W_OK)), RUNTIME_FOLDERS[0])
    return Path(folder) / f"leal-workers-{name}" / path.name


async def _told_by(socket: Path) -> str | None:
    """Return the metrics of the worker that listens there, or None where it does not answer."""
    try:
        async with (
            asyncio.timeout(WORKER_TELLS_S_MAX),
            ClientSession(connector=UnixConnector(str(socket))) as session,
            session.get("http://worker/metrics", headers={"Accept-Encoding": ""}) as response,
        ):
            return await response.text() if response.status == 200 else None
    except (ClientError, OSError, TimeoutError):
        return None


def _probed(reason: str | None) -> Answered[Probe]:
    """Return the answer of a probe that fails for a reason, if there is one."""
    if reason is None:
        return Answered(OK)
    return Answered(Probe(status="unavailable", reason=reason), 503)
