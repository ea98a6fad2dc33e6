"""`leal-engine audit | sweep`: verify the books, and post what has expired."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import Progress, TextColumn

from engine import logs
from engine.app import sweeper_of
from engine.cli.anchors import audit_anchors_of
from engine.cli.options import (
    data,
    explained,
    run,
    settings_from,
    settings_options,
    with_connection,
)
from engine.errors import EngineError
from engine.keyfiles import known_chain_key
from engine.ledger.audit import Report, Shared, audit_journal
from engine.ledger.chain import is_chain_key
from engine.network.sums_audit import audit_sums
from engine.postgres.connections import Connection
from engine.settings import Settings


@click.command("audit")
@click.option(
    "--anchors",
    "folder",
    type=click.Path(path_type=Path),
    help="Folder of anchors to compare the journal with; by default that of --anchor.",
)
@settings_options
def audit_command(folder: Path | None, **options: Any) -> None:
    """Recompute every balance, lot, hash and sum from the journal alone; exit 1 naming faults."""
    settings = settings_from(options)
    with explained(), data(settings) as dsn:
        shared = Shared(dsn, settings.audit_processes_max, settings.audit_process_rows_min)
        key = known_chain_key(settings)
        report = run(with_connection(dsn, lambda conn: _audit_with_progress(conn, shared, key)))
        report.add(run(with_connection(dsn, audit_sums)))
        anchors = audit_anchors_of(settings, dsn, folder)
    if anchors is not None:
        report.add(anchors.faults)
    for fault in report.faults:
        click.echo(fault, err=True)
    if key is None:
        click.echo(
            "The key of the hashes is not at hand, so the hashes were not checked: name the"
            " --data-dir with chain.key, or LEAL_CHAIN_KEY.",
            err=True,
        )
    if anchors is not None:
        click.echo(anchors.summary)
    click.echo(report.summary)
    if report.faults_found:
        sys.exit(1)


@click.command("sweep")
@settings_options
def sweep_command(**options: Any) -> None:
    """Post expired lots and release expired holds, with or without a running engine.

    It goes on where a sweep was left off; the engine sweeps by itself in the background.
    """
    settings = settings_from(options)
    logs.configure()
    with explained(), data(settings) as dsn:
        click.echo(f"{run(_sweep(settings, dsn))} wallets looked at")


async def _audit_with_progress(connection: Connection, shared: Shared, key: bytes | None) -> Report:
    """Audit with a bar on standard error, where a person looks at it; raises EngineError."""
    if key is not None and not await is_chain_key(connection, key):
        raise EngineError("The key at hand is not the one that the journal's hashes were made with")
    columns = (*Progress.get_default_columns(), TextColumn("{task.fields[rate]:,.0f} rows/s"))
    console = Console(stderr=True)
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as bar:
        task = bar.add_task("audit", total=None, rate=0)
        started = time.perf_counter()

        def progress(done: int, rows: int) -> None:
            rate = done / (time.perf_counter() - started)
            bar.update(task, completed=done, total=max(done, rows), rate=rate)

        return await audit_journal(connection, progress, shared, key)


async def _sweep(settings: Settings, dsn: str) -> int:
    """Sweep to the end of the round, with a bar on standard error; return how many wallets."""
    looked = 0
    async with sweeper_of(settings, dsn) as sweeper:
        await sweeper.begin()
        with Progress(console=Console(stderr=True), transient=True) as bar:
            task = bar.add_task("sweep", total=await sweeper.count())
            while number := await sweeper.step():
                looked += number
                bar.advance(task, number)
    return looked
