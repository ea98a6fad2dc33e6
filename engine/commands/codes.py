"""Codes of payments on their way to the customer: where they go, and what they say (COI-6)."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from functools import partial

import structlog

from engine.codes import SENDS_CODE
from engine.commands.services import Services
from engine.ledger.core import uuid_text
from engine.ledger.receipts import Answer, details_of
from engine.people.codes import CODE_DIGITS, Authorised, code_of
from engine.people.contacts import mask_email, mask_tail
from engine.people.customers import Customer
from engine.people.sender import Message
from engine.postgres.connections import OUT_OF_REACH

log = structlog.get_logger()


def masked(services: Services, customer: Customer) -> str:
    """Return where a code goes, as a cashier may read it."""
    channel, to = customer.code_contact(datetime.now(UTC), services.dispatch.channels)
    return mask_tail(to) if channel == "sms" else mask_email(to)


def authorised_by(hold: Answer) -> Authorised:
    """Return what the codes of a payment authorise; `hold` is what it began with."""
    return Authorised(
        payment_id=hold.transaction_id,
        customer_id=hold.customer_id,
        store_id=hold.store_id,
        coins=hold.requested,
    )


def digits_of(hold: Answer) -> int:
    """Return how many digits the codes of a payment have, whatever the settings say by now."""
    digits: int = details_of(hold).get("code_digits", CODE_DIGITS)
    return digits


async def send_code(
    services: Services, customer: Customer, hold: Answer, posting: Answer, *, replayed: bool
) -> None:
    """Send the code that `posting`, a hold or a resend, has set; what is not sent can be resent.

    A retry sends it as well, where it has not gone out and is the code that the payment waits for:
    the request that should have sent it was cut off, or is still sending.
    """
    message_id = uuid_text(posting.transaction_id)
    if replayed and not services.dispatch.has(message_id) and not await _is_owed(services, posting):
        return
    store = services.catalogue.now.stores.get(hold.store_id)
    place = f" en {store.name}" if store else ""
    authorised = authorised_by(hold)
    code = code_of(services.code_secret, authorised, posting.transaction_id, digits_of(hold))
    text = f"Leal: su código para pagar {hold.requested} coins{place} es {code}. No lo comparta."
    channel, to = customer.code_contact(datetime.now(UTC), services.dispatch.channels)
    await services.dispatch.send(
        Message(
            message_id=message_id,
            about="code",
            channel=channel,
            to=to,
            text=text,
            until=hold.hold_expires_at / 1_000_000,
        ),
        partial(_mark_sent, services, posting),
    )


async def _is_owed(services: Services, posting: Answer) -> bool:
    """Return whether a payment waits for the code of `posting`, and it has not gone out."""
    payment_id = posting.reference or posting.transaction_id
    postings = await services.statements.payment(posting.customer_id, payment_id)
    holds = [one for one in postings if one.kind in SENDS_CODE and not one.refusal]
    waits = postings[-1].hold_expires_at > time.time_ns() // 1000
    if not waits or holds[-1].transaction_id != posting.transaction_id:
        return False
    return not await services.sent_codes.has(posting.customer_id, posting.transaction_id)


async def _mark_sent(services: Services, posting: Answer) -> None:
    """Remember that a code went out; where that fails, a retry sends the same code again."""
    try:
        await services.sent_codes.mark(posting.customer_id, posting.transaction_id)
    except OUT_OF_REACH as error:
        log.warning("sent_code_not_marked", error=type(error).__name__)
