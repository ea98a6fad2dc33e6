# cython: language_level=3, boundscheck=True, wraparound=False, overflowcheck=False
"""The compiled ledger: wallets, lots, holds, decisions, and the rows they become.

Pure: it never waits, and has no clock, no randomness and no I/O. Time, ids and codes are arguments,
so that the same operations on the same state always give the same rows, byte for byte.

One translation unit of several files, in the order in which they stand on each other:

    checked.pxi   arithmetic that raises instead of wrapping
    blake2b.pxi   the hash that chains rows
    buffer.pxi    big-endian bytes
    lots.pxi      what expires when, and who issued it
    holds.pxi     coins set aside for payments
    legs.pxi      the rows of a transaction that is to be reversed
    wallet.pxi    a wallet's state, committed and planned
    customers.pxi the customers that are loaded, by id
    ids.pxi       ids as text and as bytes, fingerprints
    operation.pxi what a caller asks for and what it got
    claims.pxi    what a batch claims: invoices, partners' references, online orders
    order.pxi     in which a batch is decided
    chains.pxi    rows get their hashes, four wallets at a time
    rows.pxi      postings become rows of COPY, in the order of the journal's key
    ledger.pxi    what is loaded, what is due, and the decision of a batch
    verbs.pxi     the rules: a ladder of refusals, then the change
    coins.pxi     the rules of coins that change hands at once
    reversals.pxi the rule of what is undone
    copies.pxi    rows of COPY read back
    rolls.pxi     a set of records as a number
    audit.pxi     the rows of the journal, each held against the one before
"""


cimport cython
from libc.stdint cimport INT64_MIN, int16_t, int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcmp, memmove

cdef extern from "<endian.h>" nogil:
    uint16_t htobe16(uint16_t value)
    uint32_t htobe32(uint32_t value)
    uint64_t htobe64(uint64_t value)
    uint32_t be32toh(uint32_t value)
    uint64_t be64toh(uint64_t value)

cdef enum Kind:
    ACCUMULATION = 1
    REDEMPTION = 2
    HOLD = 3
    CAPTURE = 4
    VOID = 5
    RELEASE = 6
    RESEND = 7
    EXPIRY = 8
    BLOCK = 9
    UNBLOCK = 10
    OPENING = 11
    PAYMENT = 12
    CONVERSION = 13
    CASHBACK = 14
    DONATION = 15
    REVERSAL = 16
    REPAYMENT = 17

cdef enum Refusal:
    NOT_REFUSED = 0
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

cdef enum Counter:
    NO_COUNTER = 0
    POINTS_ISSUED = 1
    POINTS_REDEEMED = 2
    POINTS_EXPIRED = 3
    COINS_ISSUED = 4
    COINS_SETTLED = 5
    COINS_EXPIRED = 6
    PARTNER_CLEARING = 7
    COINS_DONATED = 8

cdef enum Cause:
    NO_CAUSE = 0
    RETURNED = 1
    WRONG_CUSTOMER = 2
    MISTAKE = 3

cdef enum Claim:
    NO_CLAIM = 0
    INVOICE = 1
    REFERENCE = 2
    ORDER = 3

cdef enum Outcome:
    UNDECIDED = 0
    POSTED = 1
    UNKNOWN_CUSTOMER = 2
    UNKNOWN_PAYMENT = 3
    TAKEN = 4
    WRITTEN_DOWN = 5

cdef enum:
    COINS = 0
    FLAG_BLOCKED = 1
    NO_BILL = -1
    BALANCE_MAX = 9007199254740992          # 2^53: exact in every JSON reader
    MICROSECONDS = 1000000
    DAY_SECONDS = 86400

include "checked.pxi"
include "blake2b.pxi"
include "buffer.pxi"
include "lots.pxi"
include "holds.pxi"
include "legs.pxi"
include "wallet.pxi"
include "customers.pxi"
include "ids.pxi"
include "operation.pxi"
include "claims.pxi"
include "order.pxi"
include "chains.pxi"
include "rows.pxi"
include "ledger.pxi"
include "verbs.pxi"
include "coins.pxi"
include "reversals.pxi"
include "copies.pxi"
include "rolls.pxi"
include "audit.pxi"

# What the tests hold against engine.ledger.vocabulary: one number, one meaning, on both sides.
CODES = {
    "kind": {
        "ACCUMULATION": ACCUMULATION, "REDEMPTION": REDEMPTION, "HOLD": HOLD, "CAPTURE": CAPTURE,
        "VOID": VOID, "RELEASE": RELEASE, "RESEND": RESEND, "EXPIRY": EXPIRY, "BLOCK": BLOCK,
        "UNBLOCK": UNBLOCK, "OPENING": OPENING, "PAYMENT": PAYMENT, "CONVERSION": CONVERSION,
        "CASHBACK": CASHBACK, "DONATION": DONATION, "REVERSAL": REVERSAL, "REPAYMENT": REPAYMENT,
    },
    "refusal": {
        "CUSTOMER_BLOCKED": CUSTOMER_BLOCKED, "PROFILE_INCOMPLETE": PROFILE_INCOMPLETE,
        "INSUFFICIENT_POINTS": INSUFFICIENT_POINTS, "INSUFFICIENT_COINS": INSUFFICIENT_COINS,
        "COINS_NOT_ACCEPTED": COINS_NOT_ACCEPTED, "QR_INVALID": QR_INVALID,
        "INVOICE_ALREADY_CLAIMED": INVOICE_ALREADY_CLAIMED, "OUT_OF_STOCK": OUT_OF_STOCK,
        "LIMIT_REACHED": LIMIT_REACHED, "NOT_AVAILABLE": NOT_AVAILABLE,
        "CODE_INVALID": CODE_INVALID, "CODE_EXHAUSTED": CODE_EXHAUSTED,
        "PAYMENT_EXPIRED": PAYMENT_EXPIRED, "REFERENCE_ALREADY_USED": REFERENCE_ALREADY_USED,
        "ALREADY_REVERSED": ALREADY_REVERSED, "NOT_REVERSIBLE": NOT_REVERSIBLE,
        "EXCEEDS_INVOICE": EXCEEDS_INVOICE, "INVOICE_VOIDED": INVOICE_VOIDED,
    },
    "counter": {
        "NONE": NO_COUNTER, "POINTS_ISSUED": POINTS_ISSUED, "POINTS_REDEEMED": POINTS_REDEEMED,
        "POINTS_EXPIRED": POINTS_EXPIRED, "COINS_ISSUED": COINS_ISSUED,
        "COINS_SETTLED": COINS_SETTLED, "COINS_EXPIRED": COINS_EXPIRED,
        "PARTNER_CLEARING": PARTNER_CLEARING, "COINS_DONATED": COINS_DONATED,
    },
    "cause": {
        "NONE": NO_CAUSE, "RETURNED": RETURNED, "WRONG_CUSTOMER": WRONG_CUSTOMER,
        "MISTAKE": MISTAKE,
    },
    "claim": {
        "NONE": NO_CLAIM, "INVOICE": INVOICE, "REFERENCE": REFERENCE, "ORDER": ORDER,
    },
    "outcome": {
        "UNDECIDED": UNDECIDED, "POSTED": POSTED, "UNKNOWN_CUSTOMER": UNKNOWN_CUSTOMER,
        "UNKNOWN_PAYMENT": UNKNOWN_PAYMENT, "TAKEN": TAKEN, "WRITTEN_DOWN": WRITTEN_DOWN,
    },
}


def hash_row(bytes previous not None, bytes row not None, bytes chain_key not None=b""):
    """Return the 16-byte hash that chains `row` to the row whose hash is `previous`."""
    cdef:
        ChainStart start
        uint8_t digest[HASH_SIZE]
    if PyBytes_GET_SIZE(previous) != HASH_SIZE:
        raise ValueError("a hash has 16 bytes")
    take_chain_key(chain_key, &start)
    chain_hash(&start, <const uint8_t*> PyBytes_AS_STRING(previous),
               <const uint8_t*> PyBytes_AS_STRING(row), PyBytes_GET_SIZE(row), digest)
    return PyBytes_FromStringAndSize(<char*> digest, HASH_SIZE)
