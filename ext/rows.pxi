# Postings become rows of binary COPY, each chained by its hash to the row before it in its wallet.
#
# Rows are written in the order of the decisions, and leave in the order of the journal's primary
# key, so that two writers with common wallets always take their locks in one order.

cdef enum:
    ROW_SIZE_MAX = 512                              # without lots, holds and texts, hashes …

COPY_HEADER = b"PGCOPY\n\xff\r\n\x00" + bytes(8)
COPY_TRAILER = b"\xff\xff"


cdef struct Posting:
    int leg
    int kind
    int refusal
    int cause
    int64_t requested
    int64_t amount
    int64_t held_amount
    int counter
    int32_t counter_party
    int32_t brand_id
    int32_t store_id
    int32_t by_id
    int till
    int moved_sign
    int64_t fingerprint
    int64_t occurred_at
    int64_t bill_amount


@cython.final
cdef class Batch:
    """What one decision of many operations appends: rows, and the wallets that they change."""

    cdef:
        readonly list operations
        readonly bytes journal          # binary COPY of the table journal
        readonly list new_wallets       # (customer_id, asset), sorted
        readonly list failed_codes      # (brand_id, store_id, cashier_id, transaction_id), sorted
        readonly int32_t postings
        int64_t now                     # microseconds since 1970, UTC
        ChainStart chain
        list touched
        list customers
        Claims new_claims
        dict new_units                  # (item_id, unit): the operation that took it
        dict new_turns                  # (customer_id, item_id, turn): the operation that took it
        dict new_qr_uses                # (customer_id, issued_at): the operation paid by it
        dict new_reversals              # (customer_id, transaction_id): what reversed it
        dict new_draws                  # allotment_id: (coins issued from it, coins given back)
        dict new_refunds                # brand_id: coins given back to its fund
        list invoice_coins              # see invoice_payments, in the order of the decisions
        list freed                      # (customer_id, item_id, unit, turn, transaction_id)
        list claims_freed               # (kind, owner, key, transaction_id)
        Buffer buffer
        Lots moved
        Row* rows
        Py_ssize_t rows_capacity

    def __cinit__(self, list operations not None):
        self.operations = operations
        self.new_wallets = []
        self.failed_codes = []
        self.new_claims = Claims(len(operations))
        self.new_units = {}
        self.new_turns = {}
        self.new_qr_uses = {}
        self.new_reversals = {}
        self.new_draws = {}
        self.new_refunds = {}
        self.invoice_coins = []
        self.freed = []
        self.claims_freed = []
        self.touched = []
        self.customers = []
        reserve(&self.buffer, ROW_SIZE_MAX * len(operations))

    def __dealloc__(self):
        free(self.buffer.data)
        PyMem_Free(self.moved.items)
        PyMem_Free(self.rows)

    def __repr__(self):
        size = 0 if self.journal is None else len(self.journal)
        return (f"<Batch of {len(self.operations)} operations: {self.postings} rows, "
                f"{size} bytes, {len(self.new_wallets)} new wallets>")

    cdef int add_row(self, int32_t asset, State* state, Py_ssize_t start,
                     Py_ssize_t length) except -1:
        cdef:
            Row* rows
            Row row
            Py_ssize_t at
        if self.postings == self.rows_capacity:
            self.rows_capacity = max(64, 2 * self.rows_capacity)
            rows = <Row*> PyMem_Realloc(self.rows, self.rows_capacity * sizeof(Row))
            if rows == NULL:
                raise MemoryError("no memory for a batch of postings")
            self.rows = rows
        row.customer = <int32_t> len(self.customers)
        row.asset = asset
        row.state = state
        row.start = start
        row.length = length
        # A wallet's rows come in the order of seq; only a customer's assets may need sorting.
        at = self.postings
        while (at > 0 and self.rows[at - 1].customer == row.customer
               and self.rows[at - 1].asset > asset):
            self.rows[at] = self.rows[at - 1]
            at -= 1
        self.rows[at] = row
        self.postings += 1
        return 0

    cdef int finish(self) except -1:
        """Chain the rows, and put them in order between COPY's header and trailer."""
        cdef:
            Py_ssize_t size = self.postings * HASH_FIELD_SIZE
            Py_ssize_t at
            uint8_t* target
        chain_rows(&self.chain, self.buffer.data, self.rows, self.postings)
        for at in range(self.postings):
            size += self.rows[at].length
        self.journal = PyBytes_FromStringAndSize(
            NULL, PyBytes_GET_SIZE(COPY_HEADER) + size + PyBytes_GET_SIZE(COPY_TRAILER))
        target = <uint8_t*> PyBytes_AS_STRING(self.journal)
        target = put_bytes(target, PyBytes_AS_STRING(COPY_HEADER), PyBytes_GET_SIZE(COPY_HEADER))
        for at in range(self.postings):
            target = put_bytes(target, &self.buffer.data[self.rows[at].start],
                               self.rows[at].length + HASH_FIELD_SIZE)
        put_bytes(target, PyBytes_AS_STRING(COPY_TRAILER), PyBytes_GET_SIZE(COPY_TRAILER))
        self.new_wallets.sort()
        self.failed_codes.sort()
        return 0

    @property
    def claims(self):
        """What is claimed in this batch: (kind, owner, key, customer_id, transaction_id)."""
        return self.new_claims.rows()

    @property
    def freed_claims(self):
        """What may be claimed again: (kind, owner, key, transaction that had claimed it)."""
        return sorted(self.claims_freed)

    @property
    def invoice_payments(self):
        """How the coins of invoices change: (store_id, key, coins_max, coins, paid, printed).

        `coins` are held or paid by it, `paid` of them paid; below zero they are given back.
        `coins_max` is -1 where it is not known, and `printed` where it is the printed amount.
        Those of one invoice are in the order of the decisions.
        """
        return sorted(self.invoice_coins, key=lambda payment: payment[:2])

    @property
    def units(self):
        """The units taken in this batch: (item_id, unit, customer_id, transaction_id)."""
        cdef Operation operation
        units = []
        for (item_id, unit), operation in sorted(self.new_units.items()):
            units.append((item_id, unit, operation.customer_id, operation.transaction_id))
        return units

    @property
    def turns(self):
        """The turns taken in this batch: (customer_id, item_id, turn, transaction_id)."""
        cdef Operation operation
        turns = []
        for (customer_id, item_id, turn), operation in sorted(self.new_turns.items()):
            turns.append((customer_id, item_id, turn, operation.transaction_id))
        return turns

    @property
    def qr_uses(self):
        """The QR codes that are used up: (customer_id, issued_at, transaction_id)."""
        cdef Operation operation
        uses = []
        for (customer_id, issued_at), operation in sorted(self.new_qr_uses.items()):
            uses.append((customer_id, issued_at, operation.transaction_id))
        return uses

    @property
    def freed_units(self):
        """The units that are given back: (item_id, unit, transaction that had taken it)."""
        return sorted([(item_id, unit, taker) for _, item_id, unit, _, taker in self.freed if unit])

    @property
    def freed_turns(self):
        """The turns that are given back: (customer_id, item_id, turn, its transaction)."""
        return sorted([(customer_id, item_id, turn, taker)
                       for customer_id, item_id, _, turn, taker in self.freed if turn])

    @property
    def draws(self):
        """What allotments pay in this batch: (allotment_id, coins issued, coins given back)."""
        return [(allotment_id, *coins) for allotment_id, coins in sorted(self.new_draws.items())]

    @property
    def refunds(self):
        """The coins that reversals give back to the funds of their issuers: (brand_id, coins)."""
        return sorted(self.new_refunds.items())

    @property
    def predecessors(self):
        """The rows that this batch goes on from: (customer_id, asset, seq, hash); seq 0 is none."""
        cdef Customer customer
        cdef Wallet wallet
        return [(customer.customer_id, wallet.asset, wallet.seq, wallet.hash)
                for customer in self.customers if customer is not None
                for wallet in customer.wallets if wallet.planned != NULL]

    cdef bint takes_already(self, Operation operation) except -1:
        """Return whether an operation before this one takes its unit or its turn (RED-5)."""
        if operation.unit and (operation.item_id, operation.unit) in self.new_units:
            return True
        return operation.turn and (operation.customer_id, operation.item_id,
                                   operation.turn) in self.new_turns

    cdef int take(self, Operation operation) except -1:
        if operation.unit:
            self.new_units[operation.item_id, operation.unit] = operation
        if operation.turn:
            self.new_turns[operation.customer_id, operation.item_id, operation.turn] = operation
        return 0

    cdef int free(self, bytes customer_id, int32_t item_id, int32_t unit, int32_t turn,
                  bytes taker) except -1:
        """Give back what the transaction `taker` took of an item; it may be of this very batch."""
        if unit and self.forget_taking(self.new_units, (item_id, unit), taker):
            unit = 0
        if turn and self.forget_taking(self.new_turns, (customer_id, item_id, turn), taker):
            turn = 0
        if unit or turn:
            self.freed.append((customer_id, item_id, unit, turn, taker))
        return 0

    cdef bint forget_taking(self, dict taken, tuple place, bytes taker) except -1:
        cdef Operation operation = taken.get(place)
        if operation is None or operation.transaction_id != taker:
            return False
        del taken[place]
        return True

    cdef int draw(self, bytes allotment_id, int64_t coins) except -1:
        """Let an allotment pay for coins that are issued, where their issuer is prepaid."""
        if allotment_id is not None:
            issued, returned = self.new_draws.get(allotment_id, (0, 0))
            self.new_draws[allotment_id] = (issued + coins, returned)
        return 0

    cdef int refund(self, int32_t brand_id, bytes allotment_id, int64_t coins) except -1:
        """Give the coins of an issuer that was prepaid back to its fund."""
        if allotment_id is not None:
            issued, returned = self.new_draws.get(allotment_id, (0, 0))
            self.new_draws[allotment_id] = (issued, returned + coins)
            self.new_refunds[brand_id] = self.new_refunds.get(brand_id, 0) + coins
        return 0

    cdef int pay_invoice(self, Operation operation, int64_t paid) except -1:
        """Count what a hold or a payment adds to the coins of its invoice, if it has one (INV-8).

        Of the coins that are asked for, `paid` are paid at once.
        """
        if operation.claim_key is not None and operation.requested:
            self.invoice_coins.append((operation.store_id, operation.claim_key,
                                       operation.coins_max, operation.requested, paid,
                                       operation.printed))
        return 0

    cdef int change_invoice(self, int32_t store_id, bytes key, int64_t coins,
                            int64_t paid) except -1:
        """Count what became of coins that pay an invoice: they went back, or were held and paid."""
        if key is not None and (coins or paid):
            self.invoice_coins.append((store_id, key, NO_MAX, coins, paid, False))
        return 0

    cdef bint uses_already(self, Operation operation) except -1:
        """Return whether an operation before this one was paid by its QR (COI-6)."""
        return (operation.customer_id, operation.qr_issued_at) in self.new_qr_uses

    cdef int use(self, Operation operation) except -1:
        self.new_qr_uses[operation.customer_id, operation.qr_issued_at] = operation
        return 0

    cdef bint reverses_already(self, Operation operation) except -1:
        """Return whether an operation before this one reverses what it reverses (PTS-8)."""
        return (operation.customer_id, operation.reference) in self.new_reversals

    cdef int reverse(self, Operation operation) except -1:
        self.new_reversals[operation.customer_id, operation.reference] = operation
        return 0

    cdef int put(self, Customer customer, Wallet wallet, const Posting* posting,
                 bytes transaction_id, bytes reference, Operation operation) except -1:
        """Append the row of `posting`; the wallet's planned state is already the one after it.

        `operation` gives the texts; it is None for a second leg and where nobody asked.
        """
        cdef:
            State* state = wallet.planned
            Buffer* buffer = &self.buffer
            Py_ssize_t start = buffer.length + HASH_SIZE        # see chains.pxi
            Py_ssize_t length
            uint8_t* at
            Columns columns
            bytes invoice_number = None
            bytes invoice_scope = None
            bytes details = None
        if CHECKED:
            assert_row(wallet, posting)
        if operation is not None:
            invoice_number = operation.invoice_number
            invoice_scope = operation.invoice_scope
            details = operation.details
        reserve(buffer, ROW_SIZE_MAX + 24 * (state.lots.length + self.moved.length)
                + holds_size(wallet.planned_holds)
                + (0 if invoice_number is None else PyBytes_GET_SIZE(invoice_number))
                + (0 if invoice_scope is None else PyBytes_GET_SIZE(invoice_scope))
                + (0 if details is None else PyBytes_GET_SIZE(details)))
        state.seq += 1
        state.recorded_at = max(self.now, state.recorded_at)
        columns = Columns(
            customer_id=&customer.id[0], asset=wallet.asset, by_id=posting.by_id, seq=state.seq,
            transaction_id=<const uint8_t*> PyBytes_AS_STRING(transaction_id), leg=posting.leg,
            kind=posting.kind, refusal=posting.refusal, part=0, requested=posting.requested,
            amount=posting.amount, held_amount=posting.held_amount, balance=state.balance,
            held=state.held, counter=posting.counter, cause=posting.cause,
            counter_party=posting.counter_party, brand_id=posting.brand_id,
            store_id=posting.store_id, flags=state.flags, missing_fields=customer.missing_fields,
            till=posting.till, batch_rows=0, writer_id=0, batch=0,
            fingerprint=posting.fingerprint, occurred_at=posting.occurred_at,
            recorded_at=state.recorded_at, bill_amount=posting.bill_amount, counted_day=NO_VALUE,
            counted_sales=NO_VALUE, counted_points=NO_VALUE, lots=&state.lots, lots_sign=1,
            moved=&self.moved, moved_sign=posting.moved_sign)
        at = put_int16(&buffer.data[start], JOURNAL_FIELDS)
        at = put_columns(at, &columns, reference, wallet.planned_holds, invoice_number,
                         invoice_scope, details)
        memset(at, 0, BLOCK_SIZE)
        length = at - &buffer.data[start]
        buffer.length = start + length + max(HASH_FIELD_SIZE, -(HASH_SIZE + length) % BLOCK_SIZE)
        return self.add_row(wallet.asset, state, start, length)
