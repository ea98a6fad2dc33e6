"""Migrations: the files `sql/migrations/NNNN_name.sql`, applied in order and each exactly once.

Forward only. What was applied is recorded with its checksum in the table `schema_migration`, so an
edited file or a database newer than the code is refused instead of guessed about.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Final

import asyncpg

from engine.postgres.connections import Connection
from engine.postgres.sql import FOLDER, with_numbers

MIGRATIONS: Final = FOLDER / "migrations"
FILE_NAME: Final = re.compile(r"(\d{4})_([a-z0-9_]+)\.sql")
# Any number serves, as long as nothing else locks it: the bytes of "leal".
ADVISORY_LOCK: Final = 0x6C65616C
MIGRATION_SECONDS_MAX: Final = 3600.0

FIRST_OF_DEVELOPMENT: Final = "0001_initial"
"""The migration by which a database is known that was made before the journal's final format."""

CREATE_TABLE: Final = """
create table if not exists schema_migration (
    version    int primary key,
    name       text not null,
    checksum   text not null,
    applied_at timestamptz not null default now()
)
"""


class MigrationError(Exception):
    """The files and the database disagree, or a file cannot be applied."""


@dataclass(frozen=True, slots=True)
class Migration:
    """One file: what it does, with the numbers of its names, and the checksum of it as it lies."""

    version: int
    name: str
    sql: str
    checksum: str


async def migrate(connection: Connection, folder: Path = MIGRATIONS) -> list[str]:
    """Apply what is missing and return its names. Several processes may do so at once.

    Where nothing is missing the role needs no more than to read `schema_migration`. Raises
    MigrationError.
    """
    missing = await pending(connection, folder)
    if not missing:
        return []
    migrations = _read(folder)
    applied: list[str] = []
    try:
        while (name := await _apply_next(connection, migrations)) is not None:
            applied.append(name)
    except (asyncpg.InsufficientPrivilegeError, asyncpg.ReadOnlySQLTransactionError) as error:
        raise MigrationError(
            f"The database lacks the migrations {', '.join(missing)}, which this role cannot apply:"
            f" {error}. Run `leal-engine migrate` as the owner of the tables."
        ) from error
    return applied


async def pending(connection: Connection, folder: Path = MIGRATIONS) -> list[str]:
    """The names of what `migrate` would apply. Changes nothing."""
    migrations = _read(folder)
    if await connection.fetchval("select to_regclass('schema_migration')") is None:  # network op
        return [migration.name for migration in migrations]
    return [migration.name for migration in await _missing(connection, migrations)]


async def _apply_next(connection: Connection, migrations: list[Migration]) -> str | None:
    """One transaction, one migration. Its lock waits for a process that is applying the same."""
    async with connection.transaction(isolation="read_committed"):  # network op
        await connection.execute(  # network op
            "set local lock_timeout = 0; set local statement_timeout = 0;"
            f"select pg_advisory_xact_lock({ADVISORY_LOCK})",
            timeout=MIGRATION_SECONDS_MAX,
        )
        await connection.execute(CREATE_TABLE)  # network op
        missing = await _missing(connection, migrations)
        if not missing:
            return None
        migration = missing[0]
        try:
            await connection.execute(migration.sql, timeout=MIGRATION_SECONDS_MAX)  # network op
        except asyncpg.PostgresError as error:
            advice = ""
            if "pg_control_system" in str(error):
                advice = ". Let a superuser grant execute on function pg_control_system() to it"
            raise MigrationError(
                f"The migration {migration.name} failed and changed nothing: {error}{advice}"
            ) from error
        await connection.execute(  # network op
            "insert into schema_migration (version, name, checksum) values ($1, $2, $3)",
            migration.version,
            migration.name,
            migration.checksum,
        )
        return migration.name


async def _missing(connection: Connection, migrations: list[Migration]) -> list[Migration]:
    """What is not applied yet, after checking that all that is applied is as the files say."""
    applied = await connection.fetch(  # network op
        "select version, name, checksum from schema_migration order by version"
    )
    if any(name == FIRST_OF_DEVELOPMENT for _, name, _ in applied):
        raise MigrationError(
            "This database was made by a development version of the engine, in a format that is"
            " not kept. Start with an empty database, or with an empty --data-dir."
        )
    known = {migration.version: migration for migration in migrations}
    for version, name, checksum in applied:
        if version not in known:
            raise MigrationError(
                f"The database has the migration {name}, which this engine does not know: the "
                "database is newer. Start the engine that migrated it, or a later one."
            )
        if known[version].checksum != checksum:
            raise MigrationError(
                f"The file of the migration {known[version].name} changed after it was applied "
                f"(then named {name}). Restore the file, and put the change into a new migration."
            )
    return migrations[len(applied) :]


def _read(folder: Path) -> list[Migration]:
    """All files in order, numbered from 0001 without a gap, so that no branch's file is skipped."""
    migrations = []
    for expected, file in enumerate(sorted(folder.glob("*.sql")), start=1):
        match = FILE_NAME.fullmatch(file.name)
        if match is None or int(match[1]) != expected:
            raise MigrationError(
                f"The migration file {file.name} should be named {expected:04}_what_it_does.sql."
            )
        sql = file.read_text(encoding="utf-8")
        checksum = sha256(sql.encode()).hexdigest()
        migrations.append(Migration(expected, file.stem, with_numbers(sql), checksum))
    return migrations
