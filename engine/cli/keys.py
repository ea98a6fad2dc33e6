"""`leal-engine keys`: create, rotate, list and revoke API keys."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import click

from engine.cli.options import (
    data,
    explained,
    run,
    settings_from,
    settings_options,
    with_connection,
)
from engine.constants import ID_MAX
from engine.people import keys
from engine.people.keys import Key, Role
from engine.postgres.connections import Connection
from engine.postgres.sql import queries

ADMINISTRATION = queries("administration")
ID = click.IntRange(1, ID_MAX)
KEY_ROLES = tuple(role.value for role in Role if role is not Role.CASHIER)
"""Those that have keys; a cashier signs in."""


@click.group("keys")
def keys_group() -> None:
    """Create, rotate, list and revoke API keys; workers follow within seconds."""


@keys_group.command("create")
@click.option("--role", type=click.Choice(KEY_ROLES), required=True)
@click.option("--brand-id", type=ID, help="The brand of a brand key; a store key's is its store's.")
@click.option("--store-id", type=ID, help="The store of a store key.")
@click.option("--name", default="", help="What the key is for.")
@settings_options
def create_key(
    role: str, brand_id: int | None, store_id: int | None, name: str, **options: Any
) -> None:
    """Create a key and print it; it cannot be shown again."""
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
    """Create a second key for the holder of this one and print it; it cannot be shown again.

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
    settings = settings_from(options)
    with explained(), data(settings) as dsn:
        found = run(with_connection(dsn, keys.list_keys))
    rows = [("KEY ID", "OF", "ROLE", "BRAND", "STORE", "CREATED", "REVOKED", "NAME")]
    for key in found:
        days = (at and at.date() for at in (key.created_at, key.revoked_at))
        facts = (key.key_id, key.principal_id, key.role, key.brand_id, key.store_id, *days)
        rows.append((*("-" if one is None else str(one) for one in facts), key.name))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        click.echo("  ".join(cells).rstrip())


def _change_keys(
    options: dict[str, Any],
    action: str,
    work: Callable[[Connection, datetime], Awaitable[tuple[str, Key]]],
) -> str:
    """Change a key in a recorded transaction; return what `work` returns."""

    async def change(connection: Connection) -> str:
        at = datetime.now(UTC)
        async with connection.transaction():  # network op
            await connection.execute(ADMINISTRATION["touch"])  # network op
            told, key = await work(connection, at)
            await connection.execute(  # network op
                ADMINISTRATION["insert_change"], at, "command line", action, key.key_id, None
            )
        return told

    settings = settings_from(options)
    with explained(), data(settings) as dsn:
        return str(run(with_connection(dsn, change)))
