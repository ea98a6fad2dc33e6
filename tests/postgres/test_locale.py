"""A database of another language: case is not mapped by its locale.

The wheel's server is built without ICU, so the locale is one of the C library, compiled here.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import asyncpg
import pytest
from harness import EngineProcess, assert_balanced, clients_of

from engine.postgres.embedded import EmbeddedPostgres

TURKISH = "create database turkish template template0 encoding 'UTF8' "
PROVIDERS = (
    "locale 'C' locale_provider icu icu_locale 'tr-TR'",
    "locale_provider libc locale 'tr_TR.UTF-8'",
)
SOURCES = Path("/usr/share/i18n/locales/tr_TR")


async def create_turkish(dsn):
    connection = await asyncpg.connect(dsn.replace("/leal?", "/postgres?"))
    try:
        for provider in PROVIDERS:
            try:
                await connection.execute(TURKISH + provider)
            except asyncpg.FeatureNotSupportedError:
                continue
            return
        pytest.fail("no provider has a Turkish locale")
    finally:
        await connection.close()


@pytest.fixture
def turkish(tmp_path, monkeypatch):
    """Give a running engine with the demo network on a database with a Turkish locale."""
    if not shutil.which("localedef") or not SOURCES.exists():
        pytest.skip("needs localedef and the sources of locales")
    locales = tmp_path / "locales"
    locales.mkdir()
    compiled = locales / "tr_TR.UTF-8"
    subprocess.run(["localedef", "-i", "tr_TR", "-f", "UTF-8", compiled], check=True)
    for above in (locales, *locales.parents[:4]):
        above.chmod(above.stat().st_mode | 0o111)  # the server may run as another user
    monkeypatch.setitem(os.environ, "LOCPATH", str(locales))
    with EmbeddedPostgres(tmp_path / "server", fsync=False) as server:
        asyncio.run(create_turkish(server.dsn))
        dsn = server.dsn.replace("/leal?", "/turkish?")
        engine = EngineProcess(dsn, tmp_path / "engine", "--allow-data-loss")
        try:
            yield engine.start(), dsn
        finally:
            engine.stop()


async def test_an_invoice_is_claimed_whatever_the_locale_makes_of_its_letters(turkish):
    engine, dsn = turkish
    connection = await asyncpg.connect(dsn)
    assert await connection.fetchval("select upper('i')") == "İ", "no Turkish database"
    await connection.close()
    async with clients_of(engine) as clients:
        store_id = engine.demo["keys"]["store"]["store_id"]
        customer = next(one for one in engine.demo["customers"] if one["profile_complete"])
        number = "factura-i12"
        issued_at = datetime.now(UTC).isoformat()
        assert (await clients.store.print(store_id, number, issued_at=issued_at)).status == 201
        sale = await clients.store.accumulate(customer["customer_id"], invoice_number=number)
        assert sale.status == 201
        second = await clients.store.accumulate(customer["customer_id"], invoice_number=number)
        assert (second.status, second.code) == (409, "invoice_already_claimed")
        listed = await clients.store.invoices(store_id, status="unclaimed")
        assert [one["invoice_number"] for one in listed.json["invoices"]] == []
        again = await clients.store.print(store_id, number, issued_at=issued_at)
        assert again.json["status"] == "claimed"
    await assert_balanced(dsn)
