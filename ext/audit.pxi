# The audit: every row of the journal is held against the row before it in its wallet.
#
# It reads the very bytes that the ledger wrote: PostgreSQL's COPY gives them back as they were, so
# hashing them again needs no second encoder. They are read where they lie, and a sound row makes no
# Python object. What a row calls for in the journal's companions is entered in their rolls.

cdef enum:
    COUNTERS = 16
    RECORD_SIZE_MAX = 128           # of a companion, without the invoice number


@cython.final
cdef class Auditor(CopyReader):
    """Checks rows in the order of (customer_id, asset, seq), as binary COPY of all columns.

    `rows` and `wallets` count what was read. `totals` is by asset: [what the newest rows of its
    wallets hold, what the counter-accounts got of all rows]; over the whole journal the two
    cancel out. `key` is that of the rolls, `chain_key` that of the rows' hashes; without it, None,
    hashes are not checked.
    """

    cdef:
        readonly int64_t rows
        readonly int64_t wallets
        readonly dict totals
        list faults
        bint within
        uint8_t customer_id[16]
        int32_t asset
        State before
        Lots moved
        Lots lots
        int64_t counters[COUNTERS]
        uint8_t key[HASH_SIZE]
        ChainStart chain
        bint has_key
        Buffer record
        Roll wallet_roll
        Roll claim_roll
        Roll reference_roll
        Roll order_roll

    def __init__(self, bytes key not None=ZERO_HASH, bytes chain_key=b""):
        self.columns = JOURNAL_FIELDS
        self.has_key = chain_key is not None
        take_chain_key(chain_key if self.has_key else b"", &self.chain)
        self.totals = {}
        self.faults = []
        take_roll_key(key, self.key)

    def __dealloc__(self):
        PyMem_Free(self.before.lots.items)
        PyMem_Free(self.moved.items)
        PyMem_Free(self.lots.items)
        free(self.record.data)

    def feed(self, piece not None):
        """Check the rows in `piece`, and return the faults found: sentences that name their row.

        Raises ValueError where the stream is no COPY of the journal.
        """
        self.read(piece)
        faults, self.faults = self.faults, []
        return faults

    def finish(self):
        """Close the last wallet and return the faults of the end."""
        self.close_wallet()
        faults, self.faults = self.faults, []
        if not self.is_whole():
            faults.append("the stream of rows ended inside a row")
        return faults

    @property
    def rolls(self):
        """What the rows call for in the journal's companions, by table: (records, sum, sum)."""
        return {"wallet": roll_tuple(&self.wallet_roll),
                "invoice_claim": roll_tuple(&self.claim_roll),
                "reference_claim": roll_tuple(&self.reference_roll),
                "order_claim": roll_tuple(&self.order_roll)}

    cdef int64_t number(self, int field) noexcept:
        if self.lengths[field] == 8:
            return take_int64(self.fields[field])
        if self.lengths[field] == 4:
            return take_int32(self.fields[field])
        return <int16_t> take_int16(self.fields[field])

    cdef int take_row(self, const uint8_t* row, Py_ssize_t length) except -1:
        cdef:
            Py_ssize_t hashed = self.fields[FIELD_HASH] - 4 - row
            uint8_t digest[HASH_SIZE]
            int64_t amount = self.number(FIELD_AMOUNT)
            int64_t held_amount = self.number(FIELD_HELD_AMOUNT)
            int64_t balance = self.number(FIELD_BALANCE)
            int64_t held = self.number(FIELD_HELD)
            int64_t seq = self.number(FIELD_SEQ)
            int64_t recorded_at = self.number(FIELD_RECORDED_AT)
            int64_t in_holds = self.in_holds()
            int32_t counter = <int32_t> self.number(FIELD_COUNTER)
        if (not self.within or self.asset != self.number(FIELD_ASSET)
                or memcmp(self.customer_id, self.fields[FIELD_CUSTOMER_ID], 16)):
            self.close_wallet()
            self.open_wallet()
        self.rows += 1
        self.take_lots(FIELD_LOTS, &self.lots)
        self.take_lots(FIELD_MOVED, &self.moved)
        if seq != self.before.seq + 1:
            self.fault(f"comes after seq {self.before.seq}; a row is missing")
        if self.has_key:
            chain_hash(&self.chain, self.before.hash, row, hashed, digest)
        if (self.lengths[FIELD_HASH] != HASH_SIZE or (
                self.has_key and memcmp(digest, self.fields[FIELD_HASH], HASH_SIZE))):
            self.fault("does not have the hash of its content and the row before; it was changed")
        if balance != self.before.balance + amount:
            self.fault(f"has balance {balance}; the row before and its amount give "
                       f"{self.before.balance + amount}")
        if held != self.before.held + held_amount:
            self.fault(f"has {held} held; the row before and its held amount give "
                       f"{self.before.held + held_amount}")
        if lots_total(&self.lots) != balance:
            self.fault(f"has lots of {lots_total(&self.lots)} for a balance of {balance}")
        if not lots_are_sound(&self.lots):
            self.fault("has lots out of order, empty, or with the sign of a debt where none is")
        if not self.lots_follow(amount, held_amount):
            self.fault("has lots that the row before and the lots it moved do not give")
        if in_holds < 0:
            self.fault("has holds that are cut short or below zero")
        elif in_holds != held:
            self.fault(f"has holds of {in_holds} for {held} held")
        if (counter == NO_COUNTER) != (amount + held_amount == 0) and not self.may_be_empty():
            self.fault(f"moves {amount + held_amount} with the counter-account {counter}")
        self.check_repayment()
        self.check_flags()
        if recorded_at < self.before.recorded_at:
            self.fault("was recorded before the row before it")
        self.enrol(seq)
        if 0 <= counter < COUNTERS:
            self.counters[counter] -= amount + held_amount
        self.before.seq = seq
        self.before.balance = balance
        self.before.held = held
        self.before.recorded_at = recorded_at
        lots_copy(&self.before.lots, &self.lots)
        if self.lengths[FIELD_HASH] == HASH_SIZE:
            memcpy(self.before.hash, self.fields[FIELD_HASH], HASH_SIZE)
        return 0

    cdef int enrol(self, int64_t seq) except -1:
        """Enter what the row calls for in the journal's companions."""
        cdef int64_t kind = self.number(FIELD_KIND)
        if seq == 1:
            self.start_record(2)
            self.put(FIELD_CUSTOMER_ID)
            self.put(FIELD_ASSET)
            roll_add(&self.wallet_roll, self.key, self.record.data, self.record.length)
        if self.number(FIELD_REFUSAL):
            return 0
        if (kind == ACCUMULATION and self.number(FIELD_LEG) == 0
                and self.lengths[FIELD_INVOICE_NUMBER] >= 0):
            self.start_record(4)
            self.put(FIELD_STORE_ID)
            self.put_invoice_key()
            self.put(FIELD_CUSTOMER_ID)
            self.put(FIELD_TRANSACTION_ID)
            roll_add(&self.claim_roll, self.key, self.record.data, self.record.length)
        elif kind == CONVERSION or kind == CASHBACK:
            # The owner of what is claimed is the account on the other side: a partner or a brand.
            self.start_record(3)
            self.put(FIELD_COUNTER_PARTY)
            self.put(FIELD_CUSTOMER_ID)
            self.put(FIELD_TRANSACTION_ID)
            roll_add(&self.reference_roll if kind == CONVERSION else &self.order_roll, self.key,
                     self.record.data, self.record.length)
        return 0

    cdef int start_record(self, int columns) except -1:
        self.record.length = 0
        reserve(&self.record, RECORD_SIZE_MAX + max(self.lengths[FIELD_INVOICE_NUMBER], 0)
                + max(self.lengths[FIELD_INVOICE_SCOPE], 0))
        self.record_until(put_int16(self.record.data, columns))
        return 0

    cdef void record_until(self, const uint8_t* end) noexcept:
        self.record.length = end - self.record.data

    cdef void put(self, int field) noexcept:
        self.record_until(put_field(&self.record.data[self.record.length], self.fields[field],
                                    self.lengths[field]))

    cdef void put_invoice_key(self) noexcept:
        cdef:
            uint8_t* at = &self.record.data[self.record.length]
            Py_ssize_t length = put_claim_key(
                &at[4], self.fields[FIELD_INVOICE_NUMBER], self.lengths[FIELD_INVOICE_NUMBER],
                self.fields[FIELD_INVOICE_SCOPE], self.lengths[FIELD_INVOICE_SCOPE])
        self.record_until(&put_int32(at, length)[length])

    cdef int take_lots(self, int field, Lots* lots) except -1:
        try:
            take_lots(lots, self.fields[field], self.lengths[field])
        except ValueError:
            self.fault("has lots that are not pairs of a key and an amount")
        return 0

    cdef int check_flags(self) except -1:
        """Only a block and an unblock change the flags, and after them the block is as they say."""
        cdef:
            int64_t kind = self.number(FIELD_KIND)
            int32_t flags = <int32_t> self.number(FIELD_FLAGS)
        if kind == BLOCK and not flags & FLAG_BLOCKED:
            self.fault("is a block, and does not have the flag of one")
        elif kind == UNBLOCK and flags & FLAG_BLOCKED:
            self.fault("is an unblock, and has the flag of a block")
        elif (not standing(<int> kind) and self.before.seq
                and flags != self.before.flags):
            self.fault(f"has flags {flags} after {self.before.flags}; only a block or an unblock "
                       "changes them")
        self.before.flags = flags
        return 0

    cdef int check_repayment(self) except -1:
        """A repayment adds to debts and takes from lots, until one of both is gone."""
        cdef int32_t at
        if self.number(FIELD_KIND) != REPAYMENT:
            return 0
        for at in range(self.moved.length):
            if ((self.moved.items[at].amount > 0)
                    != (lot_expires_day(self.moved.items[at].key) == DEBT_DAY)):
                self.fault("is a repayment that takes from debts or adds to lots")
        if lots_are_mixed(&self.lots) or self.moved.length == 0:
            self.fault("is a repayment that does not repay all that it can")
        return 0

    cdef bint may_be_empty(self) noexcept:
        """Say whether a row that moves nothing may name its counter-account.

        A bill may be too small to earn, a gift costs nothing, a payment may be of no coins, and all
        of it may be reversed.
        """
        cdef int kind = <int> self.number(FIELD_KIND)
        return ((reversible(kind) or kind == REVERSAL)
                and self.number(FIELD_AMOUNT) == 0 and self.number(FIELD_HELD_AMOUNT) == 0)

    cdef bint lots_follow(self, int64_t amount, int64_t held_amount) noexcept:
        """Say whether the lots are those of the row before plus what was moved."""
        cdef:
            int32_t old = 0
            int32_t moved = 0
            int32_t new = 0
            int64_t key, expected
        if amount == 0 and held_amount != 0:
            # A capture moves lots that were held, not open ones.
            return lots_total(&self.moved) == held_amount and self.same_lots()
        if lots_total(&self.moved) != amount:
            return False
        while old < self.before.lots.length or moved < self.moved.length:
            if moved == self.moved.length or (
                    old < self.before.lots.length
                    and self.before.lots.items[old].key < self.moved.items[moved].key):
                key = self.before.lots.items[old].key
                expected = self.before.lots.items[old].amount
                old += 1
            else:
                key = self.moved.items[moved].key
                expected = self.moved.items[moved].amount
                moved += 1
                if old < self.before.lots.length and self.before.lots.items[old].key == key:
                    expected += self.before.lots.items[old].amount
                    old += 1
            if expected == 0:
                continue
            if (new == self.lots.length or self.lots.items[new].key != key
                    or self.lots.items[new].amount != expected):
                return False
            new += 1
        return new == self.lots.length

    cdef bint same_lots(self) noexcept:
        return (self.lots.length == self.before.lots.length
                and (self.lots.length == 0
                     or memcmp(self.lots.items, self.before.lots.items,
                               self.lots.length * sizeof(Lot)) == 0))

    cdef int64_t in_holds(self) noexcept:
        """Return how many coins the row's holds keep, -1 where one is cut short or below zero."""
        cdef:
            const uint8_t* holds = self.fields[FIELD_HOLDS]
            Py_ssize_t left = self.lengths[FIELD_HOLDS]
            Py_ssize_t size
            int64_t total = 0
        while left > 0:
            size = hold_size(holds, left)
            if size < 0 or take_int64(&holds[HOLD_COINS]) < 0:
                return -1
            total += take_int64(&holds[HOLD_COINS])
            holds += size
            left -= size
        return total

    cdef int open_wallet(self) except -1:
        cdef Lots lots = self.before.lots
        lots.length = 0
        memcpy(self.customer_id, self.fields[FIELD_CUSTOMER_ID], 16)
        self.asset = <int32_t> self.number(FIELD_ASSET)
        memset(&self.before, 0, sizeof(State))
        self.before.lots = lots
        self.before.recorded_at = INT64_MIN
        memset(self.counters, 0, sizeof(self.counters))
        self.within = True
        return 0

    cdef int close_wallet(self) except -1:
        cdef int64_t countered = 0
        if not self.within:
            return 0
        if lots_are_mixed(&self.before.lots):
            self.faults.append(f"{self.name()}, seq {self.before.seq}) is the last of its wallet, "
                               "and leaves debts beside lots that could repay them")
        for counter in range(COUNTERS):
            countered += self.counters[counter]
        total = self.totals.setdefault(self.asset, [0, 0])
        total[0] += self.before.balance + self.before.held
        total[1] += countered
        self.wallets += 1
        self.within = False
        return 0

    cdef str name(self):
        """Return how the name of a row begins: with its wallet."""
        customer = PyBytes_FromStringAndSize(<char*> self.customer_id, 16)
        return f"journal row (customer_id {uuid_text(customer)}, asset {self.asset}"

    cdef int fault(self, str what) except -1:
        self.faults.append(f"{self.name()}, seq {self.number(FIELD_SEQ)}) {what}")
        return 0
