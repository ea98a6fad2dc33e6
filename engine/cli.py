"""The command line: `leal-engine serve | demo | migrate | audit | keys`."""

from __future__ import annotations

import contextlib
import dataclasses
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, get_type_hints

import click
import uvloop
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from engine import __version__, logs
from engine.app import serve
from engine.demo import prepare as demo_network
from engine.errors import EngineError
from engine.ledger.audit import Report, audit_journal
from engine.people.keys import Role, make_key
from engine.postgres.connections import Connection, PostgresError, UnsafeServer, connect
from engine.postgres.embedded import EmbeddedPostgres, PostgresInUse, PostgresStartError
from engine.postgres.migrations import MigrationError, migrate
from engine.postgres.sql import queries
from engine.settings import Settings
from engine.supervisor import Supervisor

CATALOGUE = queries("catalogue")
EXPLAINED = (EngineError, PostgresStartError, UnsafeServer, MigrationError, ValueError, OSError)
ADMIN_STATEMENT_TIMEOUT_MS = 600_000


def settings_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command one option, and one variable LEAL_…, for each setting."""
    hints = get_type_hints(Settings, include_extras=True)
    for field in reversed(dataclasses.fields(Settings)):
        kind = hints[field.name].__origin__
        about, *hidden = hints[field.name].__metadata__
        flag = "--" + field.name.replace("_", "-")
        command = click.option(
            f"{flag}/--no-{flag[2:]}" if kind is bool else flag,
            field.name,
            type=click.Path(path_type=Path) if kind is Path else kind,
            default=field.default,
            envvar=None if hidden else f"LEAL_{field.name.upper()}",
            hidden=bool(hidden),
            show_envvar=True,
            show_default=True,
            help=about[:1].upper() + about[1:] + ".",
        )(command)
    return command


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__)
def main() -> None:
    """The transaction engine of a coalition loyalty network."""


@main.command("serve")
@settings_options
def serve_command(**options: Any) -> None:
    """Start the engine, and PostgreSQL with it unless --database-url names another."""
    settings, announce = _settings(options), None
    logs.configure()
    with _explained(), _database(settings) as dsn:
        if settings.worker_slot:  # its supervisor has prepared all, and reads the port
            sys.exit(not _run(serve(settings, dsn, announce=click.echo)))
        demo = _run(_prepare(settings, dsn))
        if demo or (settings.data_dir / demo_network.FILE).exists():
            announce = lambda port: _announce(settings, port)  # noqa: E731
        if settings.workers == 1:
            _run(serve(settings, dsn, announce=announce))
        elif not _run(Supervisor(settings, dsn, announce).run()):
            sys.exit(1)


@main.command("demo")
@settings_options
def demo_command(**options: Any) -> None:
    """Load the demo network into an empty database, and write demo.json."""
    settings = dataclasses.replace(_settings(options), demo=True)
    with _explained(), _database(settings, shared=True) as dsn:
        if not _run(_prepare(settings, dsn)):
            raise ValueError("The database holds another network; the demo needs an empty one.")
        demo_network.tell_url(settings.data_dir, f"http://{settings.host}:{settings.port}")
        path = settings.data_dir / demo_network.FILE
        click.echo(f"The demo network is there; {path} has its keys. Now: leal-engine serve")


@main.command("migrate")
@settings_options
def migrate_command(**options: Any) -> None:
    """Bring the database's tables up to this version."""
    settings = _settings(options)
    with _explained(), _database(settings) as dsn:
        applied = _run(_with_connection(dsn, migrate))
        click.echo("\n".join(f"applied {name}" for name in applied) or "nothing to apply")


@main.command("audit")
@settings_options
def audit_command(**options: Any) -> None:
    """Recompute every balance, lot and hash from the journal alone; exit 1 naming what is wrong."""
    settings = _settings(options)
    with _explained(), _database(settings, shared=True) as dsn:
        report = _run(_with_connection(dsn, _audit_with_progress))
    for fault in report.faults:
        click.echo(fault, err=True)
    click.echo(report.summary)
    if report.faults_found:
        sys.exit(1)


@main.group("keys")
def keys_group() -> None:
    """Make, list and revoke API keys; workers follow within seconds."""


@keys_group.command("create")
@click.option("--role", type=click.Choice([role.value for role in Role]), required=True)
@click.option("--brand-id", type=int, help="The brand of a brand or store key.")
@click.option("--store-id", type=int, help="The store of a store key.")
@click.option("--name", default="", help="What the key is for.")
@settings_options
def create_key(
    role: str, brand_id: int | None, store_id: int | None, name: str, **options: Any
) -> None:
    """Make a key and show it: it is shown this once."""
    if (role in ("brand", "store")) != (brand_id is not None):
        raise click.UsageError("--brand-id goes with the roles brand and store, and with no other.")
    if (role == "store") != (store_id is not None):
        raise click.UsageError("--store-id goes with the role store, and with no other.")
    new = make_key()

    async def insert(connection: Connection) -> None:
        async with connection.transaction():  # network op
            await connection.execute(  # network op
                *(CATALOGUE["insert_key"], new.key_id, new.secret_hash, role, brand_id, store_id),
                *(name, datetime.now(UTC), None),
            )
            await connection.execute(CATALOGUE["touch"])  # network op

    settings = _settings(options)
    with _explained(), _database(settings, shared=True) as dsn:
        _run(_with_connection(dsn, insert))
    click.echo(new.key)


@keys_group.command("revoke")
@click.argument("key_id")
@settings_options
def revoke_key(key_id: str, **options: Any) -> None:
    """Revoke the key with this id."""

    async def revoke(connection: Connection) -> str | None:
        async with connection.transaction():  # network op
            revoked: str | None = await connection.fetchval(  # network op
                CATALOGUE["revoke_key"], key_id, datetime.now(UTC)
            )
            await connection.execute(CATALOGUE["touch"])  # network op
        return revoked

    settings = _settings(options)
    with _explained(), _database(settings, shared=True) as dsn:
        if _run(_with_connection(dsn, revoke)) is None:
            raise ValueError(f"There is no key {key_id} that is not revoked.")
    click.echo(f"revoked {key_id}")


@keys_group.command("list")
@settings_options
def list_keys(**options: Any) -> None:
    """List the keys, without their secrets."""

    async def fetch(connection: Connection) -> list[Any]:
        rows: list[Any] = await connection.fetch(CATALOGUE["list_keys"])  # network op
        return rows

    settings = _settings(options)
    with _explained(), _database(settings, shared=True) as dsn:
        rows = _run(_with_connection(dsn, fetch))
    table = Table("key id", "role", "brand", "store", "name", "created", "revoked")
    for row in rows:
        table.add_row(*("" if value is None else str(value) for value in row.values()))
    Console().print(table)


def _settings(options: dict[str, Any]) -> Settings:
    try:
        settings = Settings(**options)
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    return settings


@contextlib.contextmanager
def _explained() -> Iterator[None]:
    """Tell an expected error as one sentence instead of a traceback."""
    try:
        yield
    except EXPLAINED as error:
        raise click.ClickException(str(error)) from error
    except PostgresError as error:
        advice = "Is it the right database, and migrated?"
        raise click.ClickException(f"PostgreSQL says: {error}. {advice}") from error


@contextlib.contextmanager
def _database(settings: Settings, *, shared: bool = False) -> Iterator[str]:
    """Give the DSN of the database, starting the embedded server where no other is named.

    With `shared` the server of an engine that is running does too.
    """
    if settings.database_url:
        yield settings.database_url
        return
    server = EmbeddedPostgres(
        settings.data_dir.resolve(),
        fsync=not settings.allow_data_loss,
        log=lambda line: click.echo(line, err=True),
    )
    try:
        dsn = server.start()
    except PostgresInUse:
        if not shared:
            raise
        dsn = server.dsn
    try:
        yield dsn
    finally:
        server.stop()


async def _audit_with_progress(connection: Connection) -> Report:
    """Audit with a bar on standard error, where a person looks at it."""
    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("audit", total=None)
        return await audit_journal(
            connection, lambda done, rows: bar.update(task, completed=done, total=max(done, rows))
        )


async def _prepare(settings: Settings, dsn: str) -> bool:
    """Migrate, and load the demo where it is wanted; return whether it is there."""

    async def steps(connection: Connection) -> bool:
        await migrate(connection)
        return settings.demo and await demo_network.prepare(connection, settings.data_dir)

    return bool(await _with_connection(dsn, steps))


async def _with_connection(dsn: str, work: Callable[[Connection], Any]) -> Any:
    connection = await connect(
        dsn,
        statement_timeout_ms=ADMIN_STATEMENT_TIMEOUT_MS,
        lock_timeout_ms=ADMIN_STATEMENT_TIMEOUT_MS,
        application_name="leal-admin",
        command_timeout_seconds=ADMIN_STATEMENT_TIMEOUT_MS / 1000,
    )
    try:
        return await work(connection)
    finally:
        await connection.close()


def _run(work: Any) -> Any:
    return uvloop.run(work)


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
