"""Identities of before CUS-10 get the key of the person; nobody loses the one that they had."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest

from engine.people.documents import document_identity
from engine.postgres.connections import Connection
from engine.postgres.migrations import MIGRATIONS, migrate

SINCE = datetime(2026, 1, 1, tzinfo=UTC)

# What was registered, oldest first: type, number, country, key of before, key by now.
PEOPLE = (
    ("CC", "20486994", "CO", "CC:20486994", "CC:20486994"),
    ("TI", "1106806717", "CO", "TI:1106806717", "CC:1106806717"),
    ("TI", "99051512345", "CO", "TI:99051512345", "CC:99051512345"),
    ("NIT", "1146614916", "CO", "NIT:CO:1146614916", "CC:1146614916"),
    ("NIT", "900123456", "CO", "NIT:CO:900123456", "NIT:CO:900123456"),
    ("NIT", "06140507071048", "SV", "NIT:SV:06140507071048", "NIT:SV:06140507071048"),
    ("NIT", "000162975", "SV", "DUI:000162975", "DUI:000162975"),
    ("RUC", "8-819-4087", "PA", "RUC:8-819-4087", "CED:8-819-4087"),
    ("RUC", "8-AV-457-7673", "PA", "RUC:8-AV-457-7673", "CED:8-AV-457-7673"),
    ("RUC", "155612345-2-2015", "PA", "RUC:155612345-2-2015", "RUC:155612345-2-2015"),
    ("PA", "AS123456", None, "PA:AS123456", "PA:AS123456"),
)
# One person, two customers: who came first has the key, and the other keeps the one of before.
TWICE = (
    ("TI", "1106800001", "CO", "TI:1106800001", "CC:1106800001"),
    ("NIT", "1106800001", "CO", "NIT:CO:1106800001", "NIT:CO:1106800001"),
    ("CC", "1106800002", "CO", "CC:1106800002", "CC:1106800002"),
    ("TI", "1106800002", "CO", "TI:1106800002", "TI:1106800002"),
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return the migrations of before."""
    for file in sorted(MIGRATIONS.glob("*.sql"))[:7]:
        shutil.copy(file, tmp_path)
    return tmp_path


async def test_each_identity_gets_the_key_of_the_person(
    connection: Connection, folder: Path
) -> None:
    await migrate(connection, folder)
    people = PEOPLE + TWICE
    for number, (document_type, document_number, country, key, _) in enumerate(people):
        customer_id = UUID(int=number + 1)
        await connection.execute(
            "insert into customer (customer_id, document_type, document_number, email, country,"
            " missing_fields, created_at) values ($1, $2, $3, $4, $5, 31, $6)",
            *(customer_id, document_type, document_number, f"{number}@example.com", country),
            SINCE + timedelta(days=number),
        )
        await connection.execute(
            "insert into identity values ('document', $1, $2)", key, customer_id
        )
    shutil.copy(MIGRATIONS / "0008_identities.sql", folder)
    assert await migrate(connection, folder) == ["0008_identities"]
    rows = await connection.fetch("select customer_id, value from identity")
    assert {row["customer_id"].int - 1: row["value"] for row in rows} == {
        number: by_now for number, (*_, by_now) in enumerate(people)
    }


@pytest.mark.parametrize("person", PEOPLE, ids=str)
async def test_the_key_of_the_migration_is_that_of_the_engine(person: tuple[str, ...]) -> None:
    document_type, number, country, _, key = person
    assert document_identity(document_type, number, country) == key


async def test_the_issuer_of_a_nit_is_kept(connection: Connection, folder: Path) -> None:
    await migrate(connection, folder)
    for number, (document_type, document_number, _, key, _) in enumerate(PEOPLE):
        await connection.execute(
            "insert into customer (customer_id, document_type, document_number, missing_fields,"
            " created_at) values ($1, $2, $3, 31, $4)",
            *(UUID(int=number), document_type, document_number, SINCE),
        )
        await connection.execute(
            "insert into identity values ('document', $1, $2)", key, UUID(int=number)
        )
    shutil.copy(MIGRATIONS / "0008_identities.sql", folder)
    await migrate(connection, folder)
    for number, (document_type, _, country, _, _) in enumerate(PEOPLE):
        kept = await connection.fetchval(
            "select document_country from customer where customer_id = $1", UUID(int=number)
        )
        assert kept == (country if document_type == "NIT" else None)
