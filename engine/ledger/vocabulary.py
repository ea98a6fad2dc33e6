"""The numbers that stand in the journal, and the words they stand for.

The compiled core has the same numbers in C (`ext/core.pyx`); a test holds the two together. A
number once written into a journal is never given another meaning.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

COINS = 0
"""The asset of coins; any other asset is the id of the brand whose points it is (PTS-1, COI-1)."""

BALANCE_MAX = 2**53
"""No balance and no amount is larger: such integers are exact in every JSON reader."""

DEBT_DAY = 0
"""The day in the key of a debt: a lot below zero, of what was taken back and was not there (PTS-8).

A wallet has debts or lots, never both, and the sum of them is its balance."""

PARTNER_BIT = 2**31
"""Issuers of coins from this number on are partners: it is added to a partner's id (SYS-9)."""

FLAG_BLOCKED = 1
"""Bit of `flags`: the customer is blocked (CUS-9)."""


class Kind(IntEnum):
    """What a posting is; a caller asks for all but `RELEASE`, `OPENING` and `REPAYMENT`.

    Who asks for `EXPIRY` gets all that is due in a wallet written down.
    """

    ACCUMULATION = 1
    REDEMPTION = 2
    HOLD = 3  # coins of a payment are set aside
    CAPTURE = 4  # the right code: the held coins are paid
    VOID = 5  # the cashier gave the payment up
    RELEASE = 6  # the payment's time was up
    RESEND = 7  # another code for the same hold
    EXPIRY = 8  # lots past their last day: breakage
    BLOCK = 9  # nothing is earned or spent until an unblock
    UNBLOCK = 10
    OPENING = 11  # in the wallet of coins: the wallet of a brand is opened
    PAYMENT = 12  # coins paid at once, by the QR of the customer's app
    CONVERSION = 13  # a partner's points became coins
    CASHBACK = 14
    DONATION = 15
    REVERSAL = 16  # a transaction undone, each of its legs by a row
    REPAYMENT = 17  # lots repaid debts: the amount is 0, the lots moved say whose paid whose


ISSUING_KINDS = frozenset({Kind.ACCUMULATION, Kind.CASHBACK})
"""What a brand issues coins by; the reference of their row is the allotment that paid, if any."""


class Counter(IntEnum):
    """The account on the other side of a posting; `counter_party` says whose it is."""

    NONE = 0  # between available and held of the same wallet
    POINTS_ISSUED = 1
    POINTS_REDEEMED = 2
    POINTS_EXPIRED = 3
    COINS_ISSUED = 4
    COINS_SETTLED = 5  # to the receiver, from the issuers of the lots that moved
    COINS_EXPIRED = 6  # of the issuers of the lots that moved
    PARTNER_CLEARING = 7  # from the partner, who issues what it converts
    COINS_DONATED = 8  # to the organisation, from the issuers of the lots that moved


class Cause(IntEnum):
    """Why a transaction is reversed (INV-6); what is claimed once is free again but for returns."""

    NONE = 0
    RETURNED = 1
    WRONG_CUSTOMER = 2
    MISTAKE = 3


class Claim(IntEnum):
    """What a transaction claims, so that it happens once (PTS-7, SYS-9, INV-8)."""

    NONE = 0
    INVOICE = 1  # of a store
    REFERENCE = 2  # of a partner
    ORDER = 3  # of a brand's online shop


class Outcome(IntEnum):
    """What became of an operation; only `POSTED` left a row, and only that is final."""

    UNDECIDED = 0
    POSTED = 1
    UNKNOWN_CUSTOMER = 2
    UNKNOWN_PAYMENT = 3  # no open hold of that id
    TAKEN = 4  # another redemption or payment of its batch takes the unit or the turn
    WRITTEN_DOWN = 5  # what was due in a wallet stands in rows that are not the operation's own


class Refusal(IntEnum):
    """Why the ledger said no, in order of precedence: the first that applies is the answer."""

    CUSTOMER_BLOCKED = 1
    PROFILE_INCOMPLETE = 2
    INSUFFICIENT_POINTS = 3
    INSUFFICIENT_COINS = 4
    COINS_NOT_ACCEPTED = 5
    QR_INVALID = 6
    INVOICE_ALREADY_CLAIMED = 7
    OUT_OF_STOCK = 8
    LIMIT_REACHED = 9
    NOT_AVAILABLE = 10
    CODE_INVALID = 11
    CODE_EXHAUSTED = 12
    PAYMENT_EXPIRED = 13
    REFERENCE_ALREADY_USED = 14
    ALREADY_REVERSED = 15
    NOT_REVERSIBLE = 16
    EXCEEDS_INVOICE = 17
    INVOICE_VOIDED = 18

    @property
    def code(self) -> str:
        """The stable `code` of the problem that a client gets."""
        return self.name.lower()


@dataclass(frozen=True, slots=True)
class RefusalText:
    """How a refusal is told: a title in two languages, and what to do about it."""

    title_en: str
    title_es: str
    advice: str


PAID_IN_FULL = "The invoice is paid in full: no more coins can be paid on it."
"""What is said in the place of the advice of EXCEEDS_INVOICE where nothing is left."""

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
