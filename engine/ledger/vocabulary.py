"""Refusals in words: what a client reads of each, in two languages, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass

from engine.codes import Refusal


@dataclass(frozen=True, slots=True)
class RefusalText:
    """How a refusal is told: a title in two languages, and what to do about it."""

    title_en: str
    title_es: str
    advice: str


PAID_IN_FULL = "The invoice is paid in full: no more coins can be paid on it."
"""The detail of EXCEEDS_INVOICE where nothing is left to pay."""

HTTP_STATUS_REFUSED = 409
"""Every refusal of the ledger has this status, and is final for its idempotency key."""

REFUSALS: dict[Refusal, RefusalText] = {
    Refusal.CUSTOMER_BLOCKED: RefusalText(
        "The customer is blocked",
        "El cliente está bloqueado",
        "Nothing can be earned or spent until customer service unblocks this customer.",
    ),
    Refusal.PROFILE_INCOMPLETE: RefusalText(
        "The customer's profile is incomplete",
        "El perfil del cliente está incompleto",
        "Complete the fields in `missing_fields`, then try again with a new idempotency key.",
    ),
    Refusal.INSUFFICIENT_POINTS: RefusalText(
        "Not enough points",
        "Puntos insuficientes",
        "`available` says how many points there are, `required` how many it takes.",
    ),
    Refusal.INSUFFICIENT_COINS: RefusalText(
        "Not enough coins",
        "Fondos insuficientes",
        "`available` says how many coins there are; ask for that much or less.",
    ),
    Refusal.COINS_NOT_ACCEPTED: RefusalText(
        "This store does not accept coins",
        "Esta tienda no recibe coins",
        "Pay at a store of a receiver brand whose point of sale is enabled for coins.",
    ),
    Refusal.QR_INVALID: RefusalText(
        "The QR code is not valid",
        "El código QR no es válido",
        "Scan the code that the customer's app shows now; each works once, for a minute.",
    ),
    Refusal.INVOICE_ALREADY_CLAIMED: RefusalText(
        "This invoice has already earned",
        "Esta factura ya acumuló",
        "An invoice of a store earns once, for one customer. Where the receipt has no number of its"
        " own, leave `invoice_number` out.",
    ),
    Refusal.OUT_OF_STOCK: RefusalText(
        "The reward is out of stock",
        "El premio está agotado",
        "Choose another reward.",
    ),
    Refusal.LIMIT_REACHED: RefusalText(
        "The limit is reached",
        "Se alcanzó el límite",
        "The limit for this has been reached, so it cannot be done once more.",
    ),
    Refusal.NOT_AVAILABLE: RefusalText(
        "Not available to this customer now",
        "No disponible para este cliente en este momento",
        "List the customer's offers to see what can be taken now.",
    ),
    Refusal.CODE_INVALID: RefusalText(
        "The code is wrong",
        "El código no es correcto",
        "`tries_left` says how often it may be typed again; at 0 the coins go back to the wallet.",
    ),
    Refusal.CODE_EXHAUSTED: RefusalText(
        "The code was typed wrong too often",
        "El código se digitó mal demasiadas veces",
        "The coins are back in the wallet; start another payment.",
    ),
    Refusal.PAYMENT_EXPIRED: RefusalText(
        "The payment is no longer open",
        "El pago ya no está vigente",
        "It was voided or its time was up, and the coins went back to the wallet; start another"
        " payment.",
    ),
    Refusal.REFERENCE_ALREADY_USED: RefusalText(
        "This reference has already been used",
        "Esta referencia ya se usó",
        "A partner's reference converts once and an online order pays once, however it is spelled;"
        " use a new one for new points or another order.",
    ),
    Refusal.ALREADY_REVERSED: RefusalText(
        "This transaction has already been reversed",
        "Esta transacción ya fue reversada",
        "A transaction is reversed once and whole; there is nothing left to undo.",
    ),
    Refusal.NOT_REVERSIBLE: RefusalText(
        "This transaction cannot be reversed",
        "Esta transacción no se puede reversar",
        "What earned or spent can be reversed; a hold is voided, and a reversal is final.",
    ),
    Refusal.EXCEEDS_INVOICE: RefusalText(
        "The coins are more than is left of the invoice",
        "Los coins superan lo que falta por pagar de la factura",
        "`left` says how many coins the invoice can still be paid with; ask for that much or less.",
    ),
    Refusal.INVOICE_VOIDED: RefusalText(
        "This invoice has been voided",
        "Esta factura fue anulada",
        "The point of sale voided this sale, so it earns nothing and cannot be paid.",
    ),
}
"""The one table of refusals, in the order of their precedence."""
