"""`leal-engine anchor`, and what `leal-engine audit` does with anchors."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import Progress

from engine import logs
from engine.cli.options import (
    data,
    explained,
    run,
    settings_from,
    settings_options,
    with_connection,
)
from engine.errors import EngineError
from engine.keyfiles import anchor_key_file
from engine.ledger.anchor_audit import AnchorReport, audit_anchors
from engine.ledger.anchors import PUBLIC_KEY_FILE, SQL, public_key_of
from engine.metrics import Metrics
from engine.network.anchoring import Anchoring, folder_of
from engine.settings import Settings


@click.command("anchor")
@settings_options
def anchor_command(**options: Any) -> None:
    """Write the newest row of each wallet, signed, to a place outside the database.

    `leal-engine audit --anchors` compares the journal with these files, and names wallets whose
    newest rows were deleted. A running engine writes them by itself at each interval.
    """
    settings = settings_from(options)
    if not settings.anchor:
        raise click.UsageError("Name the folder, or the https:// URL, with --anchor.")
    logs.configure()
    with explained(), data(settings) as dsn:
        wallets = run(with_connection(dsn, lambda conn: conn.fetchval(SQL["wallets"])))
        with _bar("anchor") as (bar, task):
            bar.update(task, total=wallets)
            anchoring = Anchoring(dsn, settings, Metrics())
            anchor = run(anchoring.write(lambda done: bar.update(task, completed=done)))
    click.echo(f"{anchor.path}: {anchor.statement.wallets} wallets")
    click.echo((anchor.path.parent / PUBLIC_KEY_FILE).read_text(), nl=False)


def audit_anchors_of(settings: Settings, dsn: str, folder: Path | None) -> AnchorReport | None:
    """Audit the anchors in `folder`, else those of the settings; None where there are none.

    Raises EngineError where no key is at hand, and OSError.
    """
    if folder is None:
        folder = folder_of(settings)
        if not settings.anchor or not folder.is_dir():
            return None
    path = anchor_key_file(settings)
    if not settings.anchor_key and not path.exists():
        path = folder / PUBLIC_KEY_FILE
    if not path.exists():
        raise EngineError(f"{path} does not exist. Name the key of the anchors with --anchor-key.")
    key = public_key_of(path.read_bytes(), path)
    with _bar("anchors") as (bar, task):

        async def work(connection: Any) -> AnchorReport:
            return await audit_anchors(
                connection,
                folder,
                key,
                lambda done, heads: bar.update(task, completed=done, total=heads),
            )

        report: AnchorReport = run(with_connection(dsn, work))
    return report


@contextmanager
def _bar(name: str) -> Iterator[tuple[Progress, Any]]:
    """Give a bar on standard error, which shows where a person looks at it."""
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        yield bar, bar.add_task(name, total=None)
