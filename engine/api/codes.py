"""Codes of payments on their way to the customer: where they go, and what they say (COI-6)."""

from __future__ import annotations

from datetime import UTC, datetime

import structlog

from engine.api.services import Services
from engine.people.contacts import mask_email, mask_tail
from engine.people.customers import Customer

log = structlog.get_logger()


def masked(customer: Customer) -> str:
    """Return where a code goes, as a cashier may read it."""
    channel, to = customer.code_contact(datetime.now(UTC))
    return mask_tail(to) if channel == "sms" else mask_email(to)


async def send_code(
    services: Services, customer: Customer, store_id: int, coins: int, code: str
) -> None:
    """Send a code to what is on file; where that fails, the cashier can send it again."""
    store = services.catalogue.now.stores.get(store_id)
    place = f" en {store.name}" if store else ""
    text = f"Leal: su código para pagar {coins} coins{place} es {code}. No lo comparta."
    channel, to = customer.code_contact(datetime.now(UTC))
    try:
        await services.sender.send(channel, to, text)
    except OSError as error:
        log.error("code_not_sent", channel=channel, error=type(error).__name__)
        services.metrics.codes_sent.labels("failed").inc()
    else:
        services.metrics.codes_sent.labels("sent").inc()
