"""The command line: `leal-engine serve | demo | migrate | audit | keys | customers`."""

from __future__ import annotations

import contextlib
import dataclasses
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, get_type_hints
from uuid import UUID

import click
import orjson
import uvloop
from rich.console import Console
from rich.progress import Progress, TextColumn
from uuid_utils import uuid7

from engine import __version__, logs
from engine.app import committer_of, serve, sweeper_of
from engine.demo import prepare as demo_network
from engine.errors import EngineError
from engine.ledger.audit import Report, Shared, audit_journal
from engine.ledger.core import Operation
from engine.ledger.vocabulary import Kind, Refusal
from engine.metrics import Metrics
from engine.network.folding import adopt
from engine.network.sums_audit import audit_sums
from engine.people import keys, rights
from engine.people.keys import Key, Role
from engine.postgres.connections import Connection, PostgresError, UnsafeServer, connect
from engine.postgres.embedded import EmbeddedPostgres, PostgresInUse, PostgresStartError
from engine.postgres.migrations import MigrationError, migrate
from engine.postgres.sql import queries
from engine.settings import Settings
from engine.supervisor import Supervisor

ADMINISTRATION = queries("administration")
CLUSTER = "postgres"
"""Where EmbeddedPostgres has its cluster, in the data folder."""
ID = click.IntRange(1, 2**31 - 1)
KEY_ROLES = tuple(role.value for role in Role if role is not Role.CASHIER)
"""Those that have keys; a cashier signs in."""
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
        settings.data_dir.mkdir(parents=True, exist_ok=True)
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
        settings.data_dir.mkdir(parents=True, exist_ok=True)
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
    """Recompute every balance, lot, hash and sum from the journal alone; exit 1 naming faults."""
    settings = _settings(options)
    with _explained(), _data(settings) as dsn:
        shared = Shared(dsn, settings.audit_processes_max, settings.audit_process_rows_min)
        report = _run(_with_connection(dsn, lambda conn: _audit_with_progress(conn, shared)))
        report.add(_run(_with_connection(dsn, audit_sums)))
    for fault in report.faults:
        click.echo(fault, err=True)
    click.echo(report.summary)
    if report.faults_found:
        sys.exit(1)


@main.command("sweep")
@settings_options
def sweep_command(**options: Any) -> None:
    """Write down what is due in all wallets, beside a working engine or without one.

    It goes on where a sweep was left off; the engine sweeps by itself in the background.
    """
    settings = _settings(options)
    logs.configure()
    with _explained(), _data(settings) as dsn:
        click.echo(f"{_run(_sweep(settings, dsn))} wallets looked at")


@main.group("keys")
def keys_group() -> None:
    """Make, rotate, list and revoke API keys; workers follow within seconds."""


@keys_group.command("create")
@click.option("--role", type=click.Choice(KEY_ROLES), required=True)
@click.option("--brand-id", type=ID, help="The brand of a brand key; a store key's is its store's.")
@click.option("--store-id", type=ID, help="The store of a store key.")
@click.option("--name", default="", help="What the key is for.")
@settings_options
def create_key(
    role: str, brand_id: int | None, store_id: int | None, name: str, **options: Any
) -> None:
    """Make a key and show it: it is shown this once."""
    if role == "brand" and brand_id is None:
        raise click.UsageError("A key of a brand needs --brand-id.")
    if role not in ("brand", "store") and brand_id is not None:
        raise click.UsageError("--brand-id goes with the roles brand and store, and with no other.")
    if (role == "store") != (store_id is not None):
        raise click.UsageError("--store-id goes with the role store, and with no other.")

    async def create(connection: Connection, at: datetime) -> tuple[str, Key]:
        of_brand = await keys.brand_of_key(connection, brand_id, store_id)
        new, key = await keys.insert_key(
            connection, role=Role(role), brand_id=of_brand, store_id=store_id, name=name, at=at
        )
        return new.key, key

    click.echo(_change_keys(options, "key created", create))


@keys_group.command("rotate")
@click.argument("key_id")
@settings_options
def rotate_key(key_id: str, **options: Any) -> None:
    """Make another key for whoever has this one, and show it: it is shown this once.

    The old one is valid until it is revoked.
    """

    async def rotate(connection: Connection, at: datetime) -> tuple[str, Key]:
        old = await keys.find_key(connection, key_id)
        if old is None:
            raise ValueError(f"There is no key {key_id}.")
        new, key = await keys.rotate_key(connection, old, at)
        return new.key, key

    click.echo(_change_keys(options, "key rotated", rotate))


@keys_group.command("revoke")
@click.argument("key_id")
@settings_options
def revoke_key(key_id: str, **options: Any) -> None:
    """Revoke the key with this id."""

    async def revoke(connection: Connection, at: datetime) -> tuple[str, Key]:
        key = await keys.revoke_key(connection, key_id, at)
        if key is None:
            raise ValueError(f"There is no key {key_id} that is not revoked.")
        return f"revoked {key_id}", key

    click.echo(_change_keys(options, "key revoked", revoke))


@keys_group.command("list")
@settings_options
def list_keys(**options: Any) -> None:
    """List the keys, without their secrets."""
    settings = _settings(options)
    with _explained(), _data(settings) as dsn:
        found = _run(_with_connection(dsn, keys.list_keys))
    rows = [("KEY ID", "OF", "ROLE", "BRAND", "STORE", "CREATED", "REVOKED", "NAME")]
    for key in found:
        days = (at and at.date() for at in (key.created_at, key.revoked_at))
        facts = (key.key_id, key.principal_id, key.role, key.brand_id, key.store_id, *days)
        rows.append((*("-" if one is None else str(one) for one in facts), key.name))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        click.echo("  ".join(cells).rstrip())


@main.group("customers")
def customers_group() -> None:
    """Tell what the network holds of a person, or erase it (Ley 1581)."""


@customers_group.command("export")
@click.argument("customer_id", type=click.UUID)
@settings_options
def export_customer(customer_id: UUID, **options: Any) -> None:
    """Write everything personal that the network holds of a customer, as JSON."""
    settings = _settings(options)
    with _explained(), _data(settings) as dsn:
        held = _run(
            _with_connection(dsn, lambda connection: rights.export(connection, customer_id))
        )
    for posting in held["postings"]:
        posting["kind"] = Kind(posting["kind"]).name.lower()
        posting["refusal"] = Refusal(posting["refusal"]).code if posting["refusal"] else None
    style = orjson.OPT_INDENT_2 | orjson.OPT_UTC_Z | orjson.OPT_APPEND_NEWLINE
    click.echo(orjson.dumps(held, default=str, option=style), nl=False)


@customers_group.command("erase")
@click.argument("customer_id", type=click.UUID)
@click.option("--yes", is_flag=True, help="Do not ask.")
@settings_options
def erase_customer(customer_id: UUID, yes: bool, **options: Any) -> None:
    """Erase everything personal of a customer; it cannot be undone.

    Document, e-mail, phone, names, gender, birth date, country, city and gifts go, and the customer
    is blocked. The journal stays: amounts, stores, invoice numbers, masked phones and e-mails in
    the details of payments, and the reasons of blocks and reversals.
    """
    if not yes:
        click.confirm(f"Erase everything personal of customer {customer_id}?", abort=True)
    settings = _settings(options)
    logs.configure()
    with _explained(), _data(settings) as dsn:
        _run(_erase(settings, dsn, customer_id))
    click.echo(f"erased {customer_id}")


def _change_keys(
    options: dict[str, Any],
    action: str,
    work: Callable[[Connection, datetime], Awaitable[tuple[str, Key]]],
) -> str:
    """Change a key in a transaction that is recorded; return what `work` has to tell."""

    async def change(connection: Connection) -> str:
        at = datetime.now(UTC)
        async with connection.transaction():  # network op
            await connection.execute(ADMINISTRATION["touch"])  # network op
            told, key = await work(connection, at)
            await connection.execute(  # network op
                ADMINISTRATION["insert_change"], at, "command line", action, key.key_id, None
            )
        return told

    settings = _settings(options)
    with _explained(), _data(settings) as dsn:
        return str(_run(_with_connection(dsn, change)))


def _settings(options: dict[str, Any]) -> Settings:
    try:
        return Settings(**options)
    except ValueError as error:
        raise click.UsageError(str(error)) from None


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
def _data(settings: Settings) -> Iterator[str]:
    """Give the DSN of a database that is there, an engine's that is running or not.

    Raises ValueError where there is none, and makes nothing.
    """
    if not settings.database_url and not (settings.data_dir / CLUSTER).exists():
        raise ValueError(
            f"There is no data in {settings.data_dir}: "
            "name the --data-dir or --database-url of the engine."
        )
    with _database(settings, shared=True) as dsn:
        yield dsn


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


async def _erase(settings: Settings, dsn: str, customer_id: UUID) -> None:
    """Block the customer, which every worker notices, then erase the person."""
    await _with_connection(dsn, lambda connection: rights.refuse_erased(connection, customer_id))
    block = Operation(
        kind=Kind.BLOCK,
        customer_id=customer_id.bytes,
        transaction_id=uuid7().bytes,
        occurred_at=time.time_ns() // 1000,
        details=orjson.dumps({"reason": "erased (Ley 1581)", "by": "command line"}),
    )
    async with committer_of(settings, dsn, Metrics()) as committer:
        await committer.submit(block)
    await _with_connection(
        dsn, lambda connection: rights.erase(connection, customer_id, datetime.now(UTC))
    )


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


async def _audit_with_progress(connection: Connection, shared: Shared) -> Report:
    """Audit with a bar on standard error, where a person looks at it."""
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

        return await audit_journal(connection, progress, shared)


async def _prepare(settings: Settings, dsn: str) -> bool:
    """Migrate, and load the demo where it is wanted; return whether it is there."""

    async def steps(connection: Connection) -> bool:
        await migrate(connection)
        await adopt(connection)
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
