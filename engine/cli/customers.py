"""`leal-engine customers`: export or erase the personal data of a customer."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import click
import orjson
from uuid_utils import uuid7

from engine import logs
from engine.app import committer_of
from engine.cli.options import (
    data,
    explained,
    run,
    settings_from,
    settings_options,
    with_connection,
)
from engine.codes import Kind, Refusal
from engine.ledger.operations import standing
from engine.metrics import Metrics
from engine.people import rights
from engine.settings import Settings


@click.group("customers")
def customers_group() -> None:
    """Export or erase the personal data of a customer (Ley 1581)."""


@customers_group.command("export")
@click.argument("customer_id", type=click.UUID)
@settings_options
def export_customer(customer_id: UUID, **options: Any) -> None:
    """Print all personal data of a customer as JSON."""
    settings = settings_from(options)
    with explained(), data(settings) as dsn:
        held = run(with_connection(dsn, lambda connection: rights.export(connection, customer_id)))
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
    """Erase all personal data of a customer; this cannot be undone.

    Document, e-mail, phone, names, gender, birth date, country, city and gifts go, and the customer
    is blocked. The journal stays: amounts, stores, invoice numbers, masked phones and e-mails in
    the details of payments, and the reasons of blocks and reversals.
    """
    if not yes:
        click.confirm(f"Erase all personal data of customer {customer_id}?", abort=True)
    settings = settings_from(options)
    logs.configure()
    with explained(), data(settings) as dsn:
        run(_erase(settings, dsn, customer_id))
    click.echo(f"erased {customer_id}")


async def _erase(settings: Settings, dsn: str, customer_id: UUID) -> None:
    """Block the customer, which every worker notices, then erase the person."""
    await with_connection(dsn, lambda connection: rights.refuse_erased(connection, customer_id))
    order = standing(
        blocked=True,
        customer_id=customer_id.bytes,
        transaction_id=uuid7().bytes,
        occurred_at=time.time_ns() // 1000,
        details=orjson.dumps({"reason": "erased (Ley 1581)", "by": "command line"}),
    )
    async with committer_of(settings, dsn, Metrics()) as committer:
        await committer.submit(order)
    await with_connection(
        dsn, lambda connection: rights.erase(connection, customer_id, datetime.now(UTC))
    )
