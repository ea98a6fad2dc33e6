"""What an answer, or no answer, of PostgreSQL to an append means.

The one place where errors are classified. Ambiguous is not failed: whatever leaves it open whether
the batch was committed is AMBIGUOUS, and only appending the identical batch again settles it.
"""

from __future__ import annotations

import re
from enum import Enum

import asyncpg


class Verdict(Enum):
    """What became of an append."""

    DURABLE = "durable"
    """Committed."""
    STALE = "stale"
    """Not applied: another writer has moved a wallet on. Load, and decide again."""
    SEEN = "seen"
    """Not applied: what happens once has happened: a transaction, an invoice, a unit, a QR …; or
    an allotment does not have the coins that were to be drawn from it, or an invoice is paid with
    as many coins as it is worth or is voided."""
    RETRY = "retry"
    """Not applied, for a reason that passes: a deadlock, or a lock or statement too slow."""
    REFUSED = "refused"
    """Not applied, and never will be as it is: some operation in it is bad."""
    UNAVAILABLE = "unavailable"
    """Not applied: the server takes no appends now, whatever is in them (full disk, standby,
    read-only, starting up, a right or a table is missing)."""
    AMBIGUOUS = "ambiguous"
    """Unknown."""


_BY_CONSTRAINT = {
    "journal_pkey": Verdict.STALE,
    "wallet_pkey": Verdict.STALE,
    "journal_transaction_key": Verdict.SEEN,
    "invoice_claim_pkey": Verdict.SEEN,
    "reference_claim_pkey": Verdict.SEEN,
    "order_claim_pkey": Verdict.SEEN,
    "invoice_payment_coins": Verdict.SEEN,
    "invoice_payment_voided": Verdict.SEEN,
    "item_unit_pkey": Verdict.SEEN,
    "item_turn_pkey": Verdict.SEEN,
    "qr_use_pkey": Verdict.SEEN,
    "failed_code_pkey": Verdict.SEEN,
    "journal_reversal": Verdict.SEEN,
    "issuer_allotment_drawn": Verdict.SEEN,
}
_BY_SQLSTATE = {
    "40001": Verdict.RETRY,
    "40P01": Verdict.RETRY,
    "55P03": Verdict.RETRY,
    "57014": Verdict.RETRY,
    "57P03": Verdict.UNAVAILABLE,
}
# The classes of errors that say what is wrong with the database, its tables or the role's rights.
# A syntax error does not: it may come from what stands in one operation.
_UNAVAILABLE_CLASSES = ("0A", "25", "28", "3D", "3F", "42", "53")
_SYNTAX_ERROR = "42601"
# The classes of errors that a statement earns by itself, and would earn again.
_REFUSED_CLASSES = ("21", "22", "23", "44", "54", "P0", _SYNTAX_ERROR)

# Citus reports an error inside COPY as XX000 and keeps only the text, with the shard's number.
_DUPLICATE = re.compile(r'duplicate key value violates unique constraint "([a-z_]+?)(?:_\d+)?"')
_CITUS_TEXTS = {"deadlock detected": "40P01", "lock timeout": "55P03"}


def sqlstate_of(error: BaseException) -> str:
    """Return the SQLSTATE of an error, or the name of its class where it has none."""
    if isinstance(error, asyncpg.PostgresError) and error.sqlstate:
        return str(error.sqlstate)
    return type(error).__name__


def verdict_of(error: BaseException) -> Verdict:
    """Classify what an append raised."""
    if not isinstance(error, asyncpg.PostgresError):
        return Verdict.AMBIGUOUS
    sqlstate, message = error.sqlstate or "", str(error)
    constraint = error.constraint_name
    if sqlstate == "XX000" and (found := _DUPLICATE.match(message)):
        sqlstate, constraint = "23505", found[1]
    elif sqlstate == "XX000":
        sqlstate = next((s for text, s in _CITUS_TEXTS.items() if text in message), sqlstate)
    if sqlstate in ("23505", "23514"):
        return _BY_CONSTRAINT.get(constraint or "", Verdict.REFUSED)
    if sqlstate in _BY_SQLSTATE:
        return _BY_SQLSTATE[sqlstate]
    if sqlstate.startswith(_REFUSED_CLASSES):
        return Verdict.REFUSED
    if sqlstate.startswith(_UNAVAILABLE_CLASSES):
        return Verdict.UNAVAILABLE
    return Verdict.AMBIGUOUS
