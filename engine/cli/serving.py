"""`leal-engine serve | demo | migrate`: the engine itself, and the database that it works on."""

from __future__ import annotations

import dataclasses
import sys
from typing import Any

import click

from engine import logs
from engine.app import serve
from engine.cli.options import (
    database,
    explained,
    run,
    settings_from,
    settings_options,
    with_connection,
)
from engine.demo import prepare as demo_network
from engine.network.folding import adopt
from engine.postgres.connections import Connection
from engine.postgres.migrations import migrate
from engine.settings import Settings
from engine.supervisor import Supervisor


@click.command("serve")
@settings_options
def serve_command(**options: Any) -> None:
    """Start the engine, and PostgreSQL with it unless --database-url names another."""
    settings, announce = settings_from(options), None
    logs.configure()
    with explained(), database(settings) as dsn:
        settings.data_dir.mkdir(parents=True, exist_ok=True)
        if settings.worker_slot:  # its supervisor has prepared all, and reads the port
            sys.exit(not run(serve(settings, dsn, announce=click.echo)))
        demo = run(_prepare(settings, dsn))
        if demo or (settings.data_dir / demo_network.FILE).exists():
            announce = lambda port: _announce(settings, port)  # noqa: E731
        if settings.workers == 1:
            run(serve(settings, dsn, announce=announce))
        elif not run(Supervisor(settings, dsn, announce).run()):
            sys.exit(1)


@click.command("demo")
@settings_options
def demo_command(**options: Any) -> None:
    """Load the demo network into an empty database, and write demo.json."""
    settings = dataclasses.replace(settings_from(options), demo=True)
    with explained(), database(settings, shared=True) as dsn:
        settings.data_dir.mkdir(parents=True, exist_ok=True)
        if not run(_prepare(settings, dsn)):
            raise ValueError("The database holds another network; the demo needs an empty one.")
        demo_network.tell_url(settings.data_dir, f"http://{settings.host}:{settings.port}")
        path = settings.data_dir / demo_network.FILE
        click.echo(f"The demo network is there; {path} has its keys. Now: leal-engine serve")


@click.command("migrate")
@settings_options
def migrate_command(**options: Any) -> None:
    """Bring the database's tables up to this version."""
    settings = settings_from(options)
    with explained(), database(settings) as dsn:
        applied = run(with_connection(dsn, migrate))
        click.echo("\n".join(f"applied {name}" for name in applied) or "nothing to apply")


async def _prepare(settings: Settings, dsn: str) -> bool:
    """Migrate, and load the demo where it is wanted; return whether it is there."""

    async def steps(connection: Connection) -> bool:
        await migrate(connection)
        await adopt(connection)
        return settings.demo and await demo_network.prepare(connection, settings.data_dir)

    return bool(await with_connection(dsn, steps))


def _announce(settings: Settings, port: int) -> None:
    """Tell on standard output what to try."""
    url = f"http://{settings.host}:{port}"
    demo = demo_network.tell_url(settings.data_dir, url)
    keys = demo["keys"]
    customer = next(one for one in demo["customers"] if one["profile_complete"])
    post = f"curl -s -H 'Authorization: Bearer {keys['store']['key']}'"
    customer_url = f"{url}/v1/customers/{customer['customer_id']}"
    click.echo(f"\nThe engine listens on {url}; metrics are at {url}/metrics.")
    click.echo(f"Keys of the demo network ({settings.data_dir / 'demo.json'} has all of it):\n")
    for name, facts in keys.items():
        click.echo(f"  {name:12} {facts['key']}")
    click.echo("\nTry a sale: find the customer, accumulate, look at the wallets:\n")
    document = f'{{"document":{{"type":"{customer["document"]["type"]}",'
    document += f'"number":"{customer["document"]["number"]}"}}}}'
    click.echo(f"  {post} -d '{document}' {url}/v1/customers/lookup\n")
    click.echo(
        f'  {post} -H "Idempotency-Key: $(date +%s%N)" -d \'{{"amount":5400000,'
        f'"currency":"COP"}}\' {customer_url}/accumulations\n'
    )
    click.echo(f"  {post} {customer_url}/wallets\n")
