# cython: language_level=3, boundscheck=True, wraparound=False, overflowcheck=False
"""The compiled ledger: wallets, lots, holds, decisions, and the rows they become.

Pure: it never waits, and has no clock, no randomness and no I/O. Time, ids and codes are arguments,
so that the same operations on the same state always give the same rows, byte for byte.

One translation unit of several files, in the order in which they stand on each other:

    prelude.pxi   what is taken from C
    codes.pxi     the numbers of the journal, and the facts of the verbs (generated)
    checked.pxi   arithmetic that raises instead of wrapping
    blake2b.pxi   the hash that chains rows
    buffer.pxi    big-endian bytes
    lots.pxi      what expires when, and who issued it
    layout.pxi    where the fields of a row and of a packed hold stand (generated)
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
    soundness.pxi what holds of a wallet after each verb, for debug builds
    ledger.pxi    what is loaded, what is due, and the decision of a batch
    verbs.pxi     the rules: a ladder of refusals, then the change
    coins.pxi     the rules of coins that change hands at once
    reversals.pxi the rule of what is undone
    copies.pxi    rows of COPY read back
    rolls.pxi     a set of records as a number
    audit.pxi     the rows of the journal, each held against the one before
"""

include "prelude.pxi"
include "codes.pxi"

cdef enum:
    MICROSECONDS = 1000000
    DAY_SECONDS = 86400

include "checked.pxi"
include "blake2b.pxi"
include "buffer.pxi"
include "lots.pxi"
include "layout.pxi"
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
include "soundness.pxi"
include "ledger.pxi"
include "verbs.pxi"
include "coins.pxi"
include "reversals.pxi"
include "copies.pxi"
include "rolls.pxi"
include "audit.pxi"


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
