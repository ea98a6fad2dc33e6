"""Anchors say where each wallet ended; one worker at a time writes them, and posts them."""

from __future__ import annotations

import asyncio
import os
from base64 import b64decode
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from hashlib import sha256

import orjson
import pytest
from aiohttp import web
from anchored import Series, lines_of, uncommitted_row
from harness import connection_to, settings_for, until

from engine.errors import EngineError
from engine.network.anchoring import Anchoring, AnotherTurn, NotPosted
from engine.postgres.sql import queries


@pytest.fixture
def no_overlap(monkeypatch):
    monkeypatch.setattr("engine.ledger.anchors.OVERLAP", timedelta())


async def test_an_anchor_has_the_newest_row_of_every_wallet(series, moves):
    path = await series.write()
    heads, statement, signature = lines_of(path)
    assert heads == await moves.heads()
    said = orjson.loads(statement)
    lines = path.read_bytes().removesuffix(f"{statement}\n{signature}\n".encode())
    assert said["root"] == sha256(lines).hexdigest()
    assert (said["number"], said["wallets"], said["since"]) == (1, len(heads), None)
    series.public.verify(bytes.fromhex(signature), statement.encode())
    assert await series.faults() == []


async def test_the_files_are_for_their_owner_alone(series, moves):
    path = await series.write()
    private = series.settings.data_dir / "anchor.key"
    modes = [file.stat().st_mode & 0o777 for file in (path, private, series.folder)]
    assert modes == [0o600, 0o600, 0o700]
    assert {file.name for file in series.folder.iterdir()} == {path.name, "anchor.pub"}


async def test_the_next_anchor_has_what_moved_and_names_the_one_before(series, moves, no_overlap):
    first = await series.write()
    moved = await moves.make()
    heads, statement, _ = lines_of(await series.write())
    assert heads == moved
    assert len(moved) < len(await moves.heads())
    said, before = orjson.loads(statement), lines_of(first)[1]
    assert said["previous"] == sha256(before.encode()).hexdigest()
    assert said["since"] == orjson.loads(before)["at"]
    assert lines_of(await series.write())[0] == {}
    assert await series.faults() == []


async def test_a_row_that_is_committed_after_the_anchor_is_in_the_next_one(series, moves):
    async with uncommitted_row(series.dsn, timedelta(minutes=5)) as wallet:
        await series.write()
    await series.write()
    assert [lines_of(file)[0][wallet][0] for file in series.files] == [1, 2]
    assert await series.faults() == []


async def test_a_row_that_is_later_still_is_in_the_next_full_anchor(database, tmp_path, moves):
    series = Series(database, tmp_path, anchor_full_every=3)
    async with uncommitted_row(database, timedelta(hours=5)) as wallet:
        await series.write()
    for _ in range(3):
        await series.write()
    heads = [lines_of(file)[0].get(wallet, (None,))[0] for file in series.files]
    assert heads == [1, None, None, 2]


async def written_in_turn(series):
    """Write once the session of an earlier test has given up its lock."""
    while True:
        try:
            return await series.write()
        except AnotherTurn:
            await asyncio.sleep(0.05)


@pytest.mark.parametrize("text", ["", "a secret", "-----BEGIN PRIVATE KEY-----\nAAAA\n"])
async def test_a_file_without_a_key_is_refused(database, tmp_path, text):
    file = tmp_path / "key.pem"
    file.write_text(text)
    series = Series(database, tmp_path, anchor_key=str(file))
    with pytest.raises(EngineError, match="no private key of Ed25519"):
        await written_in_turn(series)


async def test_what_a_killed_process_has_left_is_removed(series, moves):
    await series.write()
    partial = series.folder / "00000002-17.partial"
    partial.write_bytes(b"half of a line")
    await series.write()
    assert not partial.exists()
    assert await series.faults() == []


async def test_an_anchor_that_cannot_be_written_leaves_nothing_and_counts(
    series, moves, monkeypatch
):
    await series.write()
    monkeypatch.setattr(os, "fsync", full_disk)
    with running(series):
        await until(lambda: series.value("leal_anchor_failures_total"))
    assert [one.suffix for one in series.folder.iterdir() if one.suffix != ".pub"] == [".anchor"]
    monkeypatch.undo()
    await series.write()
    assert await series.faults() == []


def full_disk(_descriptor):
    raise OSError(28, "No space left on device")


@contextmanager
def running(series):
    """Let it write an anchor each second."""
    settings = replace(series.settings, anchor_interval_s=1)
    task = asyncio.create_task(Anchoring(series.dsn, settings, series.metrics).run())
    try:
        yield
    finally:
        task.cancel()


async def test_an_anchor_is_written_at_each_interval_and_its_time_is_told(series, moves):
    with running(series):
        await until(lambda: len(series.files) == 2)
    first, second = (orjson.loads(lines_of(file)[1])["at"] for file in series.files)
    between = datetime.fromisoformat(second) - datetime.fromisoformat(first)
    assert between >= timedelta(seconds=1)
    told = series.value("leal_last_anchor_timestamp_seconds")
    assert told == pytest.approx(datetime.fromisoformat(second).timestamp())
    assert series.value("leal_anchor_failures_total") == 0


@pytest.mark.parametrize("off", [{"anchor": ""}, {"anchor_interval_s": 0}], ids=str)
async def test_none_is_written_where_none_is_wanted(database, tmp_path, off):
    series = Series(database, tmp_path, **off)
    async with asyncio.timeout(5):
        await series.anchoring.run()
    assert not series.folder.exists()


async def test_of_several_workers_one_writes(series, moves):
    others = [Anchoring(series.dsn, series.settings, series.metrics) for _ in range(4)]
    ended = await asyncio.gather(*(one.step(3600) for one in others), return_exceptions=True)
    assert {type(one) for one in ended} <= {type(None), AnotherTurn}
    assert len(series.files) == 1
    await series.anchoring.step(3600)
    assert len(series.files) == 1


async def test_who_has_not_the_turn_says_so(series, moves):
    async with connection_to(series.dsn) as connection:
        assert await connection.fetchval(queries("anchors")["take_turn"])
        with pytest.raises(AnotherTurn):
            await series.write()
    await until(lambda: turn_is_free(series.dsn))
    await series.write()


async def turn_is_free(dsn):
    async with connection_to(dsn) as connection:
        query = "select count(*) from pg_locks where locktype = 'advisory' and database = "
        query += "(select oid from pg_database where datname = current_database())"
        return await connection.fetchval(query) == 0


class Receiver:
    """A webhook that keeps what it receives, and answers with a given status."""

    def __init__(self):
        self.statuses = []
        self.taken = []
        self.url = ""

    async def take(self, request):
        self.taken.append((request.headers, await request.read()))
        status = self.statuses.pop(0) if self.statuses else 204
        return web.Response(status=status, headers={"Location": "/other"} if status == 302 else {})


@pytest.fixture
async def receiver():
    receiver = Receiver()
    app = web.Application()
    app.router.add_post("/anchors", receiver.take)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    receiver.url = f"http://127.0.0.1:{runner.addresses[0][1]}/anchors"
    yield receiver
    await runner.cleanup()


async def test_a_webhook_gets_the_statement_and_a_signature(database, tmp_path, moves, receiver):
    series = Series(database, tmp_path, anchor=receiver.url)
    path = await series.write()
    assert path.parent == series.folder
    ((headers, body),) = receiver.taken
    told, (_, statement, signature) = orjson.loads(body), lines_of(path)
    assert told == {
        "type": "anchor",
        "name": path.name,
        "root": orjson.loads(statement)["root"],
        "statement": statement,
        "signature": signature,
    }
    scheme, _, signed = headers["webhook-signature"].partition(",")
    content = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    series.public.verify(b64decode(signed), content)
    assert (scheme, headers["webhook-id"]) == ("v1a", path.name)


@pytest.mark.parametrize("status", [500, 404, 302])
async def test_what_the_webhook_did_not_accept_is_posted_again(
    database, tmp_path, moves, receiver, status
):
    series = Series(database, tmp_path, anchor=receiver.url)
    receiver.statuses = [status, status]
    with pytest.raises(NotPosted, match=f"status {status}"):
        await series.write()
    with pytest.raises(NotPosted):
        await series.write()
    await series.anchoring.step(3600)
    names = [headers["webhook-id"] for headers, _ in receiver.taken]
    first, second = [file.name for file in series.files]
    assert names == [first, first, first, second]
    await series.anchoring.step(3600)
    assert len(receiver.taken) == 4
    assert await series.faults() == []


async def test_a_failure_of_the_webhook_is_counted(database, tmp_path, moves):
    series = Series(database, tmp_path, anchor="http://127.0.0.1:9/nobody")
    with running(series):
        await until(lambda: series.value("leal_anchor_failures_total"))
    assert len(series.files) == 1


@pytest.mark.parametrize(
    ("target", "allowed"),
    [
        ("/var/anchors", True),
        ("https://anchors.example/leal", True),
        ("http://127.0.0.1:8000/", True),
        ("http://[::1]:8000/", True),
        ("http://localhost/", True),
        ("http://anchors.example/", False),
        ("http://10.0.0.7/", False),
        ("https://", False),
        ("s3://bucket/anchors", False),
    ],
)
def test_a_webhook_is_reached_by_tls_or_on_this_machine(tmp_path, target, allowed):
    if allowed:
        assert settings_for(tmp_path, anchor=target).anchor == target
    else:
        with pytest.raises(ValueError, match="anchor is a folder"):
            settings_for(tmp_path, anchor=target)
