"""The numbers that stand in the journal, and one table of what is true of each verb.

Everything that needs a kind, a refusal or a set of kinds takes it from here: the engine by import,
SQL by names such as `{kind:reversal}` and `{kinds:earns}` (`engine/postgres/sql/__init__.py`), the
compiled core by `ext/codes.pxi`, which `python -m tools.generate --write` makes of this file.

A number once written into a journal is never given another meaning. This file is data: it imports
nothing of the engine.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from types import MappingProxyType
from typing import Final, Literal

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
    """What a posting is; `VERBS` says what is true of each."""

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


class Refusal(IntEnum):
    """Why the ledger said no, in order of precedence: the first that applies is the answer.

    0 in a posting is none.
    """

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


KIND_WORDS: Final = MappingProxyType({kind.value: kind.name.lower() for kind in Kind})
REFUSAL_WORDS: Final = MappingProxyType(
    {0: "none"} | {refusal.value: refusal.name.lower() for refusal in Refusal}
)
"""Kinds and refusals as the labels of metrics have them."""


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Verb:
    """What is true of a kind of posting.

    `asked` is whether a caller asks for it; the others the ledger writes by itself. Who asks for an
    expiry gets all that is due in a wallet written down. `assets` is whose wallets its own row is
    in, `counters` are the accounts on the other side of what it moves. `refusals` are those that it
    is answered with: the ledger's own, and those that are known beforehand, among them what has
    become of the payment that it is of.
    """

    asked: bool = True
    assets: Literal["points", "coins", "both"] = "coins"
    counters: tuple[Counter, ...] = ()
    refusals: tuple[Refusal, ...] = ()
    claims: Claim = Claim.NONE
    """What it claims, if that is named."""

    earns: bool = False
    """A lot comes into a wallet; a reversal takes it back."""
    spends: bool = False
    """Lots leave a wallet for good; a reversal gives them back."""
    issues: bool = False
    """A brand issues coins by it; the reference of their row is the allotment that paid, if any."""
    has_party: bool = False
    """It names the partner or the organisation on the other side."""
    takes_item: bool = False
    """It may take a unit and a turn of an item (RED-5)."""
    begins_payment: bool = False
    """A payment begins with it: its invoice, if any, is paid (INV-8)."""
    needs_hold: bool = False
    """It is of a payment whose coins are held."""
    sends_code: bool = False
    """It sets a code, which is sent to the customer."""
    gives_back: bool = False
    """It may give held coins back to the wallet."""
    fresh: bool = False
    """It is decided on state that was loaded in the same attempt; the core says why."""
    urgent: bool = False
    """Somebody stands and waits for it, so that a busy engine takes it before sales."""
    standing: bool = False
    """It changes whether a customer is blocked, which is for the network's eyes alone."""
    exchanges: bool = False
    """It moves coins at once, and its details say for what."""
    shown_empty: bool = False
    """The history lists it also where it moved nothing."""
    internal: bool = False
    """Bookkeeping that no client reads as a transaction."""

    statement: str = ""
    """The line of a statement that its amounts are summed in."""
    payment: str = ""
    """How a payment stands after it."""

    @property
    def reversible(self) -> bool:
        """Whether a reversal undoes it: it earned or spent."""
        return self.earns or self.spends


SPENT_REFUSALS: Final = (Refusal.CUSTOMER_BLOCKED, Refusal.PROFILE_INCOMPLETE)
ITEM_REFUSALS: Final = (Refusal.OUT_OF_STOCK, Refusal.LIMIT_REACHED, Refusal.NOT_AVAILABLE)
INVOICE_REFUSALS: Final = (Refusal.EXCEEDS_INVOICE, Refusal.INVOICE_VOIDED)

VERBS: Final[Mapping[Kind, Verb]] = MappingProxyType(
    {
        Kind.ACCUMULATION: Verb(
            assets="points",
            counters=(Counter.POINTS_ISSUED, Counter.COINS_ISSUED),
            refusals=(
                Refusal.CUSTOMER_BLOCKED,
                Refusal.INVOICE_ALREADY_CLAIMED,
                Refusal.LIMIT_REACHED,
                Refusal.INVOICE_VOIDED,
            ),
            claims=Claim.INVOICE,
            earns=True,
            issues=True,
            shown_empty=True,
            statement="earned",
        ),
        Kind.REDEMPTION: Verb(
            assets="points",
            counters=(Counter.POINTS_REDEEMED,),
            refusals=(*SPENT_REFUSALS, Refusal.INSUFFICIENT_POINTS, *ITEM_REFUSALS),
            spends=True,
            takes_item=True,
            shown_empty=True,
            statement="spent",
        ),
        Kind.HOLD: Verb(
            refusals=(
                *SPENT_REFUSALS,
                Refusal.INSUFFICIENT_COINS,
                Refusal.COINS_NOT_ACCEPTED,
                *ITEM_REFUSALS,
                *INVOICE_REFUSALS,
            ),
            takes_item=True,
            begins_payment=True,
            sends_code=True,
            urgent=True,
            payment="requires_code",
        ),
        Kind.CAPTURE: Verb(
            counters=(Counter.COINS_SETTLED,),
            refusals=(
                Refusal.CUSTOMER_BLOCKED,
                Refusal.CODE_INVALID,
                Refusal.CODE_EXHAUSTED,
                Refusal.PAYMENT_EXPIRED,
                Refusal.INVOICE_VOIDED,
            ),
            spends=True,
            needs_hold=True,
            gives_back=True,
            urgent=True,
            statement="paid",
            payment="succeeded",
        ),
        Kind.VOID: Verb(needs_hold=True, gives_back=True, urgent=True, payment="voided"),
        Kind.RELEASE: Verb(asked=False, gives_back=True, payment="expired"),
        Kind.RESEND: Verb(
            refusals=(
                Refusal.LIMIT_REACHED,
                Refusal.CODE_EXHAUSTED,
                Refusal.PAYMENT_EXPIRED,
                Refusal.INVOICE_VOIDED,
            ),
            needs_hold=True,
            sends_code=True,
            urgent=True,
            payment="requires_code",
        ),
        Kind.EXPIRY: Verb(
            assets="both",
            counters=(Counter.POINTS_EXPIRED, Counter.COINS_EXPIRED),
            fresh=True,
            internal=True,
            statement="expired",
        ),
        Kind.BLOCK: Verb(assets="both", fresh=True, urgent=True, standing=True),
        Kind.UNBLOCK: Verb(assets="both", fresh=True, urgent=True, standing=True),
        Kind.OPENING: Verb(asked=False, internal=True),
        Kind.PAYMENT: Verb(
            counters=(Counter.COINS_SETTLED,),
            refusals=(
                *SPENT_REFUSALS,
                Refusal.INSUFFICIENT_COINS,
                Refusal.COINS_NOT_ACCEPTED,
                Refusal.QR_INVALID,
                *ITEM_REFUSALS,
                *INVOICE_REFUSALS,
            ),
            spends=True,
            takes_item=True,
            begins_payment=True,
            urgent=True,
            statement="paid",
            payment="succeeded",
        ),
        Kind.CONVERSION: Verb(
            counters=(Counter.PARTNER_CLEARING,),
            refusals=(
                Refusal.CUSTOMER_BLOCKED,
                Refusal.LIMIT_REACHED,
                Refusal.REFERENCE_ALREADY_USED,
            ),
            claims=Claim.REFERENCE,
            earns=True,
            has_party=True,
            exchanges=True,
            statement="converted",
        ),
        Kind.CASHBACK: Verb(
            counters=(Counter.COINS_ISSUED,),
            refusals=(
                Refusal.CUSTOMER_BLOCKED,
                Refusal.LIMIT_REACHED,
                Refusal.NOT_AVAILABLE,
                Refusal.REFERENCE_ALREADY_USED,
            ),
            claims=Claim.ORDER,
            earns=True,
            issues=True,
            exchanges=True,
            statement="earned",
        ),
        Kind.DONATION: Verb(
            counters=(Counter.COINS_DONATED,),
            refusals=(Refusal.CUSTOMER_BLOCKED, Refusal.INSUFFICIENT_COINS),
            spends=True,
            has_party=True,
            exchanges=True,
            statement="donated",
        ),
        Kind.REVERSAL: Verb(
            assets="both",
            counters=tuple(Counter),
            refusals=(Refusal.LIMIT_REACHED, Refusal.ALREADY_REVERSED, Refusal.NOT_REVERSIBLE),
            urgent=True,
            shown_empty=True,
            statement="reversed",
        ),
        Kind.REPAYMENT: Verb(asked=False, assets="both", internal=True),
    }
)
"""The one table of verbs."""


def _kinds(fact: str) -> frozenset[int]:
    return frozenset(int(kind) for kind, verb in VERBS.items() if getattr(verb, fact))


EARNS: Final = _kinds("earns")
SPENDS: Final = _kinds("spends")
REVERSIBLE: Final = _kinds("reversible")
ISSUES: Final = _kinds("issues")
TAKES_ITEM: Final = _kinds("takes_item")
BEGINS_PAYMENT: Final = _kinds("begins_payment")
SENDS_CODE: Final = _kinds("sends_code")
URGENT: Final = _kinds("urgent")
STANDING: Final = _kinds("standing")
EXCHANGES: Final = _kinds("exchanges")
INTERNAL: Final = _kinds("internal")

PAYMENT_STATUS: Final[Mapping[int, str]] = MappingProxyType(
    {int(kind): verb.payment for kind, verb in VERBS.items() if verb.payment}
)
"""How a payment stands after a posting of it that was not refused."""

FACTS: Final = (
    *("asked", "earns", "spends", "reversible", "issues", "has_party", "takes_item"),
    *("begins_payment", "needs_hold", "sends_code", "gives_back", "fresh", "urgent", "standing"),
    *("exchanges", "shown_empty", "internal"),
)
"""The facts that make a set of kinds, by which SQL and the core name it."""

NUMBERS: Final[Mapping[str, Mapping[str, int]]] = MappingProxyType(
    {
        "kind": {kind.name.lower(): int(kind) for kind in Kind},
        "refusal": {"none": 0} | {refusal.code: int(refusal) for refusal in Refusal},
        "counter": {counter.name.lower(): int(counter) for counter in Counter},
        "cause": {cause.name.lower(): int(cause) for cause in Cause},
        "claim": {claim.name.lower(): int(claim) for claim in Claim},
    }
)
"""The number of each name, as SQL spells it: `{refusal:qr_invalid}`, `{claim:invoice}`."""

SETS: Final[Mapping[str, frozenset[int]]] = MappingProxyType({fact: _kinds(fact) for fact in FACTS})
"""The kinds of each fact, as SQL spells it: `{kinds:earns}`."""
