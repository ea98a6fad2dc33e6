"""The command line: `leal-engine serve | demo | migrate | audit | anchor | sweep | keys | …`."""

from __future__ import annotations

import click

from engine import __version__
from engine.cli.anchors import anchor_command
from engine.cli.books import audit_command, sweep_command
from engine.cli.customers import customers_group
from engine.cli.environment import heed
from engine.cli.keys import keys_group
from engine.cli.serving import demo_command, migrate_command, serve_command


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__)
def main() -> None:
    """The transaction engine of a coalition loyalty network."""
    for sentence in heed():
        click.echo(f"Warning: {sentence}", err=True)


for command in (
    serve_command,
    demo_command,
    migrate_command,
    audit_command,
    anchor_command,
    sweep_command,
    keys_group,
    customers_group,
):
    main.add_command(command)
