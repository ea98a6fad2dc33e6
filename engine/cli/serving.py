"""`leal-engine serve | demo | migrate`: the engine itself, and the database that it works on."""

from __future__ import annotations

import contextlib
import dataclasses
import os
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
from engine.postgres.pooler import refuse_transaction_pooling
from engine.settings import Settings
from engine.supervisor import Supervisor


@click.command("serve")
@settings_options
def serve_command(**options: Any) -> None:
    """Start the engine, and the embedded PostgreSQL unless --database-url names a server."""
    settings, announce = settings_from(options), None
    logs.configure()
    with explained():
        writable = folder_of(settings)
    with explained(), database(settings) as dsn:
        if settings.worker_slot:  # its supervisor has prepared all, and reads the port
            sys.exit(not run(serve(settings, dsn, announce=click.echo)))
        demo = run(_prepare(settings, dsn))
        if demo or (writable and (settings.data_dir / demo_network.FILE).exists()):
            announce = lambda port: _announce(settings, port)  # noqa: E731
        if settings.workers == 1:
            run(serve(settings, dsn, announce=announce))
        elif not run(Supervisor(settings, dsn, announce).run()):
            sys.exit(1)


@click.command("demo")
@settings_options
def demo_command(**options: Any) -> None:
    """Load the demo network into an empty database and write demo.json."""
    settings = dataclasses.replace(settings_from(options), demo=True)
    with explained(), database(settings, shared=True) as dsn:
        settings.data_dir.mkdir(parents=True, exist_ok=True)
        if not run(_prepare(settings, dsn)):
            raise ValueError("The database holds another network; the demo needs an empty one.")
        demo_network.tell_url(settings.data_dir, url_of(settings.host, settings.port))
        path = settings.data_dir / demo_network.FILE
        click.echo(f"The demo network is there; {path} has its keys. Now: leal-engine serve")


@click.command("migrate")
@settings_options
def migrate_command(**options: Any) -> None:
    """Migrate the database to this version."""
    settings = settings_from(options)
    with explained(), database(settings) as dsn:
        applied = run(with_connection(dsn, _migrate))
        click.echo("\n".join(f"applied {name}" for name in applied) or "nothing to apply")


def folder_of(settings: Settings) -> bool:
    """Make the data folder and return whether it takes files.

    Raises ValueError where it does not, and something needs it.
    """
    folder = settings.data_dir
    with contextlib.suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
    if os.access(folder, os.W_OK):
        return True
    needs = {
        "the embedded server (or name another one with --database-url)": not settings.database_url,
        "the demo network": settings.demo,
        "the secret (or set LEAL_SECRET)": not settings.secret and not (folder / "secret").exists(),
        "the sender outbox (or choose --sender smtp, webhook or log)": "outbox"
        in settings.sender.split(","),
    }
    if needed := [what for what, is_needed in needs.items() if is_needed]:
        raise ValueError(
            f"The data folder {folder} cannot be written to, and is needed for"
            f" {', '.join(needed)}. Give this user the right to it, or choose another --data-dir."
        )
    return False


def url_of(host: str, port: int) -> str:
    """Return where an engine that listens on `host` is reached from this machine."""
    if host in ("", "0.0.0.0"):  # noqa: S104 - every address of the machine
        host = "127.0.0.1"
    elif host.strip("[]") == "::":
        host = "::1"
    if ":" in host and not host.startswith("["):
        host = f"[{host.replace('%', '%25')}]"
    return f"http://{host}:{port}"


async def _migrate(connection: Connection) -> list[str]:
    """Apply what is missing, make a restored journal this server's, return what was applied."""
    applied = await migrate(connection)
    await adopt(connection)
    return applied


async def _prepare(settings: Settings, dsn: str) -> bool:
    """Migrate, and load the demo where it is wanted; return whether it is there."""

    async def steps(connection: Connection) -> bool:
        await _migrate(connection)
        return settings.demo and await demo_network.prepare(connection, settings.data_dir)

    await refuse_transaction_pooling(dsn)
    return bool(await with_connection(dsn, steps))


def _announce(settings: Settings, port: int) -> None:
    """Print what to try next."""
    url = url_of(settings.host, port)
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
