"""What the commands share: options, errors in a sentence, and a database to work on."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, get_type_hints

import click
import uvloop

from engine.errors import EngineError
from engine.postgres.connections import (
    OUT_OF_REACH,
    Connection,
    NoSuchServer,
    PermissionDenied,
    PostgresError,
    UnsafeServer,
    connect,
    refuse_old_server,
)
from engine.postgres.dsn import target_of, unknown_parameter
from engine.postgres.embedded import EmbeddedPostgres, PostgresInUse, PostgresStartError
from engine.postgres.migrations import MigrationError
from engine.postgres.programs import forget_libpq_variables
from engine.settings import Settings

CLUSTER = "postgres"
"""Where EmbeddedPostgres has its cluster, in the data folder."""
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


def settings_from(options: dict[str, Any]) -> Settings:
    """Return the settings that a command was given; raises UsageError for what cannot work."""
    try:
        return Settings(**options)
    except ValueError as error:
        raise click.UsageError(str(error)) from None


@contextlib.contextmanager
def explained() -> Iterator[None]:
    """Report an expected error as one sentence, without a traceback."""
    try:
        yield
    except ConnectionError as error:
        said = error.strerror or type(error).__name__
        raise click.ClickException(
            f"PostgreSQL is out of reach: {said}. Does it run, and is its address right?"
        ) from error
    except EXPLAINED as error:
        raise click.ClickException(str(error)) from error
    except NoSuchServer as error:
        raise click.ClickException(
            "None of the servers of the database URL is what its target_session_attrs asks for. A"
            " failover may be under way: try again, or name the other servers too."
        ) from error
    except PostgresError as error:
        raise click.ClickException(_said_by_server(error)) from error
    except OUT_OF_REACH as error:
        told = str(error) or type(error).__name__
        raise click.ClickException(f"PostgreSQL is out of reach: {told}.") from error


def _said_by_server(error: Exception) -> str:
    """Return what the server says, and what to do about it."""
    message = str(error)
    if told := unknown_parameter(message):
        return told
    if isinstance(error, PermissionDenied):
        advice = "SECURITY.md has the rights that the role of an engine needs."
        if "pg_control_system" in message:
            advice = "Let a superuser run: grant execute on function pg_control_system() to ROLE;"
    else:
        advice = "Is it the right database, and migrated?"
    return f"PostgreSQL says: {message}. {advice}"


@contextlib.contextmanager
def data(settings: Settings) -> Iterator[str]:
    """Give the DSN of a database that is there, an engine's that is running or not.

    Raises ValueError where there is none, and makes nothing.
    """
    if not settings.database_url and not (settings.data_dir / CLUSTER).exists():
        raise ValueError(
            f"There is no data in {settings.data_dir}: "
            "name the --data-dir or --database-url of the engine."
        )
    with database(settings, shared=True) as dsn:
        yield dsn


@contextlib.contextmanager
def database(settings: Settings, *, shared: bool = False) -> Iterator[str]:
    """Give the DSN of the database, starting the embedded server where no other is named.

    With `shared` the server of an engine that is running does too.
    """
    if settings.database_url:
        for sentence in target_of(settings.database_url).warnings:
            if not settings.worker_slot:
                click.echo(f"Warning: {sentence}", err=True)
        yield settings.database_url
        return
    forget_libpq_variables()  # they are about another server
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


async def with_connection(dsn: str, work: Callable[[Connection], Any]) -> Any:
    """Return what `work` returns for a connection whose statements may take long; close it."""
    connection = await connect(
        dsn,
        statement_timeout_ms=ADMIN_STATEMENT_TIMEOUT_MS,
        lock_timeout_ms=ADMIN_STATEMENT_TIMEOUT_MS,
        application_name="leal-admin",
        command_timeout_seconds=ADMIN_STATEMENT_TIMEOUT_MS / 1000,
    )
    try:
        refuse_old_server(connection)
        return await work(connection)
    finally:
        await connection.close()


def run(work: Any) -> Any:
    """Return what a coroutine returns, on an event loop of its own."""
    return uvloop.run(work)
