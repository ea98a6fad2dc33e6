"""What is published, word by word: a change of it is seen as a diff of `tests/golden/`.

`make golden` writes the files anew; a reviewer reads the diff.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import click
import orjson
import pytest
from click.testing import CliRunner

from engine.cli import main
from engine.postgres.connections import connect
from engine.postgres.embedded import EmbeddedPostgres
from engine.postgres.migrations import migrate
from engine.postgres.programs import program

GOLDEN = Path(__file__).parent / "golden"
WRITE = os.environ.get("GOLDEN") == "write"


def assert_golden(name: str, text: str) -> None:
    """Compare a text with the file of that name, or write it where that is asked for."""
    file = GOLDEN / name
    if WRITE:
        GOLDEN.mkdir(exist_ok=True)
        file.write_text(text)
    assert file.read_text() == text, f"run `make golden`, and read the diff of {file.name}"


def commands(command: click.Command, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Give the paths of all commands."""
    yield path
    if isinstance(command, click.Group):
        for name, child in sorted(command.commands.items()):
            yield from commands(child, (*path, name))


def test_the_help_of_every_command():
    pages = []
    for path in commands(main):
        page = CliRunner().invoke(
            main, [*path, "--help"], prog_name="leal-engine", terminal_width=100
        )
        assert page.exit_code == 0
        pages.append(f"$ {' '.join(['leal-engine', *path, '--help'])}\n{page.output}")
    text = re.sub(r"(AUDIT_PROCESSES_MAX; default:) \d+", r"\1 CORES", "\n".join(pages))
    assert_golden("help.txt", text)


async def test_the_contract(api):
    document = (await api.anonymous.request("GET", "/openapi.json")).json
    text = orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS)
    assert_golden("openapi.json", text.decode() + "\n")


async def test_the_metrics(api):
    text = (await api.anonymous.request("GET", "/metrics")).json.decode()
    lines = re.findall(r"^# (?:HELP|TYPE) .*$", text, re.MULTILINE)
    ours = sorted(line for line in lines if line.split()[2].startswith("leal_"))
    assert_golden("metrics.txt", "\n".join(ours) + "\n")


@pytest.fixture
async def migrated(tmp_path):
    """Give the address of a database with the tables of this version."""
    server = EmbeddedPostgres(tmp_path, fsync=False)
    try:
        dsn = server.start()
        connection = await connect(
            dsn, statement_timeout_ms=20_000, lock_timeout_ms=1000, application_name="golden"
        )
        await migrate(connection)
        await connection.close()
        yield dsn
    finally:
        server.stop()


async def test_the_tables(migrated):
    command = [program("pg_dump"), "--schema-only", "--no-owner", "--no-privileges", migrated]
    dump = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    lines = [
        line
        for line in dump.splitlines()
        if not line.startswith(("--", "SET ", "SELECT pg_catalog.set_config", "\\"))
    ]
    assert_golden("schema.sql", re.sub(r"\n{2,}", "\n\n", "\n".join(lines)).strip() + "\n")
