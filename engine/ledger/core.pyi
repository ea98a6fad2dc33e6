"""Types of the compiled ledger (`ext/core.pyx`).

Ids are 16 raw bytes. Times are microseconds since 1970-01-01 UTC, days are days since 1970-01-01,
offsets are seconds east of UTC. Amounts are whole points or coins.
"""

from collections.abc import Container, Iterable
from typing import Any, final

COPY_HEADER: bytes
COPY_TRAILER: bytes
ZERO_HASH: bytes

def hash_row(previous: bytes, row: bytes, chain_key: bytes = b"") -> bytes:
    """Return keyed BLAKE2b-128 of `previous` ‖ `row`; `row` is a COPY row without its last field.

    Raises ValueError for a key of more than 64 bytes.
    """

def hash_one_by_one(wanted: bool) -> None:
    """Hash the rows of batches one by one, as on a processor without AVX2, or as this one can."""

def uuid_bytes(text: str) -> bytes | None:
    """Return the 16 bytes of a UUID's text, None for other text."""

def uuid_text(raw: bytes) -> str:
    """Return the text of a UUID's 16 bytes; raises ValueError for another number of them."""

def transaction_id_of(scope: bytes, customer_id: bytes, key: bytes) -> bytes:
    """Return the UUIDv8 of an idempotency key in its scope (16 bytes) for a customer."""

def fingerprint_of(meaning: bytes) -> int:
    """Return 64 bits of BLAKE2b of what a request means."""

def claim_key_of(text: bytes, scope: bytes | None = None) -> bytes:
    """Return the normal form of an invoice number, a reference or an order (INV-4, INV-8).

    Letters and digits count, in capitals. It is empty where there are none, but for the `scope`.
    """

@final
class Hold:
    """Coins set aside for a payment, with the very lots that they were taken from."""

    payment_id: bytes
    code_mac: bytes
    coins: int
    expires_at: int
    brand_id: int
    store_id: int
    tries_left: int
    resends_left: int
    item_id: int
    unit: int
    turn: int
    invoice_key: bytes | None
    @property
    def lots(self) -> list[tuple[int, int]]: ...

def hold_of(packed: bytes | None, payment_id: bytes) -> Hold | None:
    """Return the hold of a payment in the column `holds`, None where it is not held.

    Raises ValueError where the column is cut short.
    """

@final
class Wallet:
    """A customer's account of one asset, as committed."""

    asset: int
    @property
    def seq(self) -> int: ...
    @property
    def balance(self) -> int: ...
    @property
    def held(self) -> int: ...
    @property
    def lots(self) -> list[tuple[int, int]]: ...
    @property
    def holds(self) -> list[Hold]: ...
    @property
    def hash(self) -> bytes: ...
    def available(self, now: int, utc_offset: int) -> tuple[int, int, list[tuple[int, int]]]:
        """Return (available, held, lots) at `now`, as the next posting would find them."""

@final
class Leg:
    """A row of the transaction that is to be reversed, and what happened once by it.

    `unit` and `turn` were taken of an item; `taker` is the transaction that took them: of a capture
    that is its payment. `claim` is (kind, owner, key) of what it claimed, `invoice` (store_id, key)
    of the invoice that its coins paid. `allotment_id` is what paid for the coins that a prepaid
    issuer gave. `moved` are (lot key, amount) as the row has them. Raises ValueError where it
    earned or spent and its lots are not what its amounts say.
    """

    asset: int
    kind: int
    refusal: int
    amount: int
    held_amount: int
    counter: int
    counter_party: int
    item_id: int
    unit: int
    turn: int
    taker: bytes | None
    allotment_id: bytes | None
    claim: tuple[int, int, bytes] | None
    invoice: tuple[int, bytes] | None
    @property
    def moved(self) -> list[tuple[int, int]]: ...
    @property
    def reversible(self) -> bool:
        """Whether a reversal undoes it: it earned or spent, and was not refused."""
    def __init__(
        self,
        *,
        asset: int,
        kind: int,
        moved: Iterable[tuple[int, int]],
        refusal: int = 0,
        amount: int = 0,
        held_amount: int = 0,
        counter: int = 0,
        counter_party: int = 0,
        item_id: int = 0,
        unit: int = 0,
        turn: int = 0,
        taker: bytes | None = None,
        allotment_id: bytes | None = None,
        claim: tuple[int, int, bytes] | None = None,
        invoice: tuple[int, bytes] | None = None,
    ) -> None: ...

@final
class Operation:
    """What a caller asks of the ledger, and after `Ledger.decide` what it got.

    `requested` are the points to earn, the price of a reward, or the coins to hold, pay, convert or
    give; `expires_day` is the last day of what is earned. `coins` are what an accumulation earns on
    top. `reference` is the payment that a hold, capture, void or resend belongs to, or what a
    reversal undoes. `barred` is a refusal that the state of the wallet has no say in. Of a
    redemption, a hold or a payment, `unit` is the piece of the stock of `item_id` that it takes and
    `turn` how often the customer has taken the item then, both numbered from 1; 0 where there is no
    limit (RED-5). An EXPIRY writes down what is due in a wallet, and leaves no row of its
    own: its outcome is WRITTEN_DOWN and its `amount` what expired, below zero.

    `invoice_scope` is what names an invoice beside its number (INV-4), `coins_max` how many coins
    can pay it in all (INV-8), -1 where its amount is not known, and `printed` whether that is the
    amount that its point of sale printed. `claim_kind`, `claim_owner` and `claim_key` are what
    happens once by the operation: an invoice, a partner's reference, an online order; of a payment
    with an invoice `claim_key` alone is set. `claim_reference` is the reference or the order.
    `cause` is why a transaction is reversed, `by_id` the principal that asks and `till` where in
    the store, 0 for none.

    `cashier_id` is who typed the code of a capture, 0 where it was no cashier's session.

    `qr_issued_at` (seconds) is the QR that a payment uses up, 0 where it uses none. `party_id` is
    the partner of a conversion or the organisation of a donation. `allotment_id` is what a prepaid
    issuer's coins are drawn from, None where they are not paid for beforehand. `original` are all
    the legs of what a reversal undoes, leg 0 first: `asset` and `requested` are those of leg 0.

    Raises ValueError for an id of another length, an amount out of 0 … 2^53, a unit or a turn of no
    item, and what another kind of operation has or what this kind lacks.
    """

    kind: int
    customer_id: bytes
    transaction_id: bytes
    fingerprint: int
    brand_id: int
    store_id: int
    asset: int
    requested: int
    expires_day: int
    coins: int
    coins_expires_day: int
    utc_offset: int
    occurred_at: int
    bill_amount: int
    invoice_number: bytes | None
    invoice_scope: bytes | None
    coins_max: int
    printed: bool
    claim_kind: int
    claim_owner: int
    claim_key: bytes | None
    cause: int
    by_id: int
    till: int
    details: bytes | None
    reference: bytes | None
    code_mac: bytes | None
    cashier_id: int
    hold_expires_at: int
    tries_max: int
    resends_max: int
    needs_profile: bool
    item_id: int
    unit: int
    turn: int
    party_id: int
    claim_reference: bytes | None
    qr_issued_at: int
    allotment_id: bytes | None
    original: list[Leg] | None
    barred: int

    outcome: int
    refusal: int
    missing_fields: int
    amount: int
    balance: int
    held: int
    earned_expires_day: int
    has_coins: bool
    coins_amount: int
    coins_balance: int
    recorded_at: int
    tries_left: int
    resends_left: int

    @property
    def coins_issued(self) -> int:
        """How many coins a brand issues by this, where it is not refused (COI-2)."""

    def bar(self, refusal: int, details: bytes | None = None) -> None:
        """Set `barred`, and `details` where they are given."""

    waiter: Any
    waiting_since: float
    tries: int
    replayed: bool
    recorded: Any

    def __init__(
        self,
        *,
        kind: int,
        customer_id: bytes,
        transaction_id: bytes,
        fingerprint: int = 0,
        brand_id: int = 0,
        store_id: int = 0,
        asset: int = 0,
        requested: int = 0,
        expires_day: int = 0,
        coins: int = 0,
        coins_expires_day: int = 0,
        utc_offset: int = 0,
        occurred_at: int = 0,
        bill_amount: int = -1,
        invoice_number: bytes | None = None,
        invoice_scope: bytes | None = None,
        coins_max: int = -1,
        printed: bool = False,
        cause: int = 0,
        by_id: int = 0,
        till: int = 0,
        details: bytes | None = None,
        reference: bytes | None = None,
        code_mac: bytes | None = None,
        cashier_id: int = 0,
        hold_expires_at: int = 0,
        tries_max: int = 0,
        resends_max: int = 0,
        needs_profile: bool = False,
        item_id: int = 0,
        unit: int = 0,
        turn: int = 0,
        party_id: int = 0,
        claim_reference: bytes | None = None,
        qr_issued_at: int = 0,
        allotment_id: bytes | None = None,
        original: list[Leg] | None = None,
        barred: int = 0,
    ) -> None: ...

@final
class Batch:
    """The rows that a decision appends, and where they come from."""

    operations: list[Operation]
    journal: bytes
    """Binary COPY of the table `journal`, in the order of its primary key."""
    new_wallets: list[tuple[bytes, int]]
    """(customer_id, asset) of wallets that get their first posting, sorted."""
    failed_codes: list[tuple[int, int, int, bytes]]
    """(brand_id, store_id, cashier_id, transaction_id) of the wrong codes, sorted."""
    @property
    def predecessors(self) -> list[tuple[bytes, int, int, bytes]]:
        """(customer_id, asset, seq, hash) of the rows that this goes on from; seq 0 is none."""
    @property
    def claims(self) -> list[tuple[int, int, bytes, bytes, bytes]]:
        """(kind, owner, key, customer_id, transaction_id) of what is claimed, sorted."""
    @property
    def freed_claims(self) -> list[tuple[int, int, bytes, bytes]]:
        """(kind, owner, key, transaction that claimed it) of what may be claimed again, sorted."""
    @property
    def invoice_payments(self) -> list[tuple[int, bytes, int, int, int, bool]]:
        """(store_id, key, coins_max or -1, coins, paid, printed) of each change of an invoice.

        `coins` are held or paid, `paid` of them paid; below zero they are given back. Sorted by
        invoice, those of one in the order of the decisions.
        """
    @property
    def units(self) -> list[tuple[int, int, bytes, bytes]]:
        """(item_id, unit, customer_id, transaction_id) of the units that are taken, sorted."""
    @property
    def turns(self) -> list[tuple[bytes, int, int, bytes]]:
        """(customer_id, item_id, turn, transaction_id) of the turns that are taken, sorted."""
    @property
    def qr_uses(self) -> list[tuple[bytes, int, bytes]]:
        """(customer_id, issued_at, transaction_id) of the QR codes that are used up, sorted."""
    @property
    def draws(self) -> list[tuple[bytes, int, int]]:
        """(allotment_id, coins issued, coins given back) of prepaid issuers' allotments, sorted."""
    @property
    def refunds(self) -> list[tuple[int, int]]:
        """(brand_id, coins) that reversals give back to the funds of prepaid issuers, sorted."""
    @property
    def freed_units(self) -> list[tuple[int, int, bytes]]:
        """(item_id, unit, transaction that took it) of the units that reversals free, sorted."""
    @property
    def freed_turns(self) -> list[tuple[bytes, int, int, bytes]]:
        """(customer_id, item_id, turn, its transaction) of the turns that are freed, sorted."""
    postings: int

@final
class Ledger:
    """The wallets of the customers that a lane has loaded, and the decisions on them."""

    coins_utc_offset: int
    wallets: int
    def __init__(self, coins_utc_offset: int, chain_key: bytes = b"") -> None: ...
    @property
    def customers(self) -> int: ...
    def needs_load(self, operation: Operation) -> bool:
        """Return whether `operation` may only be decided on freshly loaded state."""
    def load_customer(self, customer_id: bytes, missing_fields: int) -> None:
        """Start a customer anew, without wallets; `missing_fields` is a bit set of CUS-4."""
    def load_wallet(
        self,
        customer_id: bytes,
        asset: int,
        seq: int,
        balance: int,
        held: int,
        flags: int,
        lots: bytes,
        holds: bytes | None,
        hash: bytes,  # noqa: A002
        recorded_at: int,
    ) -> None:
        """Add a wallet as its newest row says; raises ValueError where it contradicts itself."""
    def drop(self, customer_id: bytes) -> None:
        """Forget a customer, so that the next operation loads it."""
    def clear(self) -> None:
        """Forget everybody: a cache lives only as long as the connection that read it."""
    def trim(self, wallets_max: int, locked: Container[bytes]) -> None:
        """Forget the least used customers but those in `locked`, down to `wallets_max` wallets."""
    def wallet(self, customer_id: bytes, asset: int) -> Wallet | None:
        """Return a committed wallet for reading, or None."""
    def decide(self, operations: list[Operation], now: int) -> Batch:
        """Decide operations in order, plan their effects, and return the rows to append."""
    def publish(self, batch: Batch) -> None:
        """Make what `batch` planned the committed state: its rows are durable."""
    def discard(self, batch: Batch) -> None:
        """Forget what `batch` planned: its rows are not in the journal and never will be."""

@final
class Auditor:
    """Holds every row of the journal against the row before it in its wallet.

    `totals` is by asset: [what the newest rows of its wallets hold, what the counter-accounts got
    of all rows]; over the whole journal the two cancel out. `key` is that of the rolls, `chain_key`
    that of the rows' hashes: with None they are not checked.
    """

    rows: int
    wallets: int
    totals: dict[int, list[int]]
    @property
    def rolls(self) -> dict[str, tuple[int, int, int]]:
        """What the rows read call for in the journal's companions, by table."""
    def __init__(self, key: bytes = ..., chain_key: bytes | None = b"") -> None: ...
    def feed(self, piece: bytes | bytearray) -> list[str]:
        """Check a piece of binary COPY, cut anywhere, and return the faults found in it.

        Rows come in the order of (customer_id, asset, seq), with all columns. Raises ValueError
        where the stream is no COPY of the journal.
        """
    def finish(self) -> list[str]:
        """Close the last wallet and return the faults of the end."""

@final
class RollReader:
    """Reads a companion of the journal, as binary COPY of so many columns, into its roll.

    A roll is (records, sum, sum): of two sets, whatever their order, it is the same where they are,
    and only there. `key` are 16 random bytes. Raises ValueError for another number of them.
    """

    def __init__(self, columns: int, key: bytes) -> None: ...
    def feed(self, piece: bytes | bytearray) -> None:
        """Take a piece, cut anywhere; raises ValueError where it is no COPY of such rows."""
    @property
    def roll(self) -> tuple[int, int, int]:
        """The roll, at the end of the stream; raises ValueError before it."""
