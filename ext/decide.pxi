# The rules. Each verb is one function of three parts: a ladder of refusals in the order of their
# codes, a line that says nothing can fail from here, and the change.
#
# Before a verb looks at a wallet, what is due in it is written down: holds whose time is up go
# back, then lots whose last day is over leave as breakage (PTS-5, COI-4). A refusal is a posting of
# amount 0 under the same compare-and-set, so that a refused key stays refused.

cdef enum:
    TRIM_STEP = 256


cdef bytes derived_id(Customer customer, Wallet wallet):
    """Return the transaction id of a posting that nobody asked for: a hash of its primary key."""
    cdef:
        uint8_t place[12]
        uint8_t digest[HASH_SIZE]
        uint32_t asset = htobe32(<uint32_t> wallet.asset)
        uint64_t seq = htobe64(<uint64_t> (wallet.planned.seq + 1))
    memcpy(place, &asset, 4)
    memcpy(&place[4], &seq, 8)
    chain_hash(<const uint8_t*> PyBytes_AS_STRING(customer.customer_id), place, 12, digest)
    digest[6] = (digest[6] & 0x0F) | 0x80               # UUID version 8: made by our own rule
    digest[8] = (digest[8] & 0x3F) | 0x80
    return PyBytes_FromStringAndSize(<char*> digest, HASH_SIZE)


cdef inline Posting posting_of(Operation operation) noexcept:
    return Posting(leg=0, kind=operation.kind, refusal=NOT_REFUSED,
                   requested=operation.requested, amount=0, held_amount=0,
                   counter=NO_COUNTER, counter_party=0, brand_id=operation.brand_id,
                   store_id=operation.store_id, moved_sign=1, fingerprint=operation.fingerprint,
                   occurred_at=operation.occurred_at, bill_amount=operation.bill_amount)


cdef inline Posting automatic_posting(int kind, int64_t now) noexcept:
    return Posting(leg=0, kind=kind, refusal=NOT_REFUSED, requested=0, amount=0, held_amount=0,
                   counter=NO_COUNTER, counter_party=0, brand_id=0, store_id=0, moved_sign=1,
                   fingerprint=0, occurred_at=now, bill_amount=NO_BILL)


@cython.final
cdef class Ledger:
    """The wallets of the customers that a lane has loaded, and the decisions on them.

    `coins_utc_offset` is the offset in seconds of the country whose calendar coins expire by
    (COI-1: coins exist in Colombia only).
    """

    cdef:
        dict known
        readonly int64_t coins_utc_offset
        readonly int64_t wallets

    def __cinit__(self, int64_t coins_utc_offset):
        self.known = {}
        self.coins_utc_offset = coins_utc_offset

    # What the lane loads and forgets.

    @property
    def customers(self):
        return len(self.known)

    def needs_load(self, Operation operation not None):
        """Return whether `operation` may only be decided on freshly loaded state.

        A posting is checked by the compare-and-set, so it may be decided on what is cached. What
        is not checked by it must be fresh: that a profile is incomplete, that a hold is not there.
        """
        cdef Customer customer = self.known.get(operation.customer_id)
        if customer is None:
            return True
        customer.used = True
        if operation.needs_profile and customer.missing_fields:
            return True
        return (operation.reference is not None and operation.kind != HOLD
                and find_hold(customer.find(COINS), operation.reference) is None)

    def load_customer(self, bytes customer_id not None, int32_t missing_fields):
        """Start `customer_id` anew, without wallets; `missing_fields` is a bit set of CUS-4."""
        self.drop(customer_id)
        self.known[customer_id] = Customer(customer_id, missing_fields)

    def load_wallet(self, bytes customer_id not None, int32_t asset, int64_t seq, int64_t balance,
                    int64_t held, int32_t flags, bytes lots not None, bytes holds,
                    bytes hash not None, int64_t recorded_at):
        """Add a wallet as its newest row says; `lots` as array_send(lots) gives it.

        Raises ValueError where the row contradicts itself: such a wallet must not be traded on.
        """
        cdef:
            Customer customer = self.known[customer_id]
            Wallet wallet = Wallet(asset)
            State* state = &wallet.committed
            int64_t in_holds = 0
            bint sound
            Hold hold
        take_lots(&state.lots, <const uint8_t*> PyBytes_AS_STRING(lots), PyBytes_GET_SIZE(lots))
        if holds is not None:               # nearly every wallet shares the one empty list
            wallet.committed_holds = take_holds(holds)
        sound = lots_are_sound(&state.lots) and lots_total(&state.lots) == max(balance, 0)
        for hold in wallet.committed_holds:
            in_holds += hold.coins
            sound = (sound and lots_are_sound(&hold.lots_taken)
                     and lots_total(&hold.lots_taken) == hold.coins)
        if not sound or in_holds != held or len(hash) != HASH_SIZE:
            raise ValueError(f"wallet {customer_id.hex()}/{asset} contradicts itself at seq {seq}; "
                             "run `leal-engine audit`")
        state.seq = seq
        state.balance = balance
        state.held = held
        state.flags = flags
        state.recorded_at = recorded_at
        memcpy(state.hash, PyBytes_AS_STRING(hash), HASH_SIZE)
        wallet.stored = True
        customer.wallets.append(wallet)
        self.wallets += 1

    def drop(self, bytes customer_id not None):
        """Forget a customer, so that the next operation loads it."""
        cdef Customer customer = self.known.pop(customer_id, None)
        if customer is not None:
            self.wallets -= len(customer.wallets)

    def clear(self):
        """Forget everybody: a cache lives only as long as the connection that read it."""
        self.known.clear()
        self.wallets = 0

    def trim(self, int64_t wallets_max, locked):
        """Forget customers that were not used lately until at most `wallets_max` wallets are kept.

        The clock algorithm: whoever was used since the hand last passed gets another round.
        Customers in `locked` stay: their state is part of a batch in flight.
        """
        cdef:
            Customer customer
            Py_ssize_t rounds = 2 * len(self.known)
        while self.known and rounds > 0:
            # Several at a time: finding the first key of a dict walks over all that were popped.
            for customer_id in list(islice(self.known, TRIM_STEP)):
                if self.wallets <= wallets_max:
                    return
                rounds -= 1
                customer = self.known.pop(customer_id)
                if customer.used or customer_id in locked:
                    customer.used = False
                    self.known[customer_id] = customer
                else:
                    self.wallets -= len(customer.wallets)

    def wallet(self, bytes customer_id not None, int32_t asset):
        """Return the committed wallet, or None; for reading only."""
        cdef Customer customer = self.known.get(customer_id)
        return None if customer is None else customer.find(asset)

    # Deciding.

    def decide(self, list operations not None, int64_t now):
        """Decide `operations` at `now` (microseconds since 1970, UTC) and return their Batch.

        Operations of one customer are decided in the order in which they stand; the result of each
        is written into it. Nothing committed changes before publish(). A customer that is not
        loaded does not exist, and no customer may be in two batches that are not yet published
        or discarded.
        """
        cdef:
            Batch batch = Batch(sorted(operations, key=CUSTOMER_ID))
            Operation operation
            Customer customer = None
            bytes last_id = None
        batch.now = now
        try:
            for operation in batch.operations:
                operation.forget()
                if operation.customer_id != last_id:
                    last_id = operation.customer_id
                    customer = self.known.get(last_id)
                    batch.customers.append(customer)
                if customer is None:
                    operation.outcome = UNKNOWN_CUSTOMER
                else:
                    operation.missing_fields = customer.missing_fields
                    self.decide_one(batch, customer, operation, now)
            batch.finish()
        except BaseException:
            self.discard(batch)
            raise
        return batch

    def publish(self, Batch batch not None):
        """Make the planned state of `batch` the committed one: its rows are durable."""
        cdef Wallet wallet
        for wallet in batch.touched:
            wallet.publish()
        batch.touched.clear()               # a batch is settled once
        batch.customers.clear()

    def discard(self, Batch batch not None):
        """Forget what `batch` planned: its rows are not in the journal and never will be."""
        cdef:
            Wallet wallet
            Customer customer
        for wallet in batch.touched:
            wallet.discard()
        for customer in batch.customers:
            # A customer that was dropped meanwhile is no longer counted.
            if customer is not None and self.known.get(customer.customer_id) is customer:
                kept = [wallet for wallet in customer.wallets if wallet.stored]
                self.wallets -= len(customer.wallets) - len(kept)
                customer.wallets = kept
        batch.touched.clear()               # a batch is settled once
        batch.customers.clear()

    cdef int decide_one(self, Batch batch, Customer customer, Operation operation,
                        int64_t now) except -1:
        if operation.kind == ACCUMULATION:
            self.accumulate(batch, customer, operation, now)
        elif operation.kind == REDEMPTION:
            self.redeem(batch, customer, operation, now)
        elif operation.kind == HOLD:
            self.hold(batch, customer, operation, now)
        elif operation.kind == CAPTURE:
            self.capture(batch, customer, operation, now)
        elif operation.kind == VOID:
            self.void(batch, customer, operation, now)
        elif operation.kind == RESEND:
            self.resend(batch, customer, operation, now)
        else:
            raise ValueError(f"no operation has the kind {operation.kind}")
        return 0

    cdef int accumulate(self, Batch batch, Customer customer, Operation operation,
                        int64_t now) except -1:
        cdef:
            Wallet points = self.open(batch, customer, operation.asset, operation.utc_offset, now)
            Wallet coins = None
            Posting posting = posting_of(operation)
        if customer.flags() & FLAG_BLOCKED:
            return self.refuse(batch, customer, points, operation, CUSTOMER_BLOCKED)
        if operation.barred:
            return self.refuse(batch, customer, points, operation, operation.barred)
        if operation.invoice_number is not None and batch.claims_already(operation):
            return self.refuse(batch, customer, points, operation, INVOICE_ALREADY_CLAIMED)
        if points.planned.balance > BALANCE_MAX - operation.requested:
            return self.refuse(batch, customer, points, operation, LIMIT_REACHED)
        if operation.coins:
            # What is held counts, for it may come back. A wallet made here always has room, so
            # none is left without a row.
            coins = self.open(batch, customer, COINS, self.coins_utc_offset, now)
            if coins.planned.balance + coins.planned.held > BALANCE_MAX - operation.coins:
                return self.refuse(batch, customer, points, operation, LIMIT_REACHED)

        # Nothing can fail from here but for want of memory.
        credit(batch, points, lot_key(operation.expires_day, 0), operation.requested)
        posting.amount = operation.requested
        posting.counter = POINTS_ISSUED
        posting.counter_party = operation.asset
        batch.put(customer, points, &posting, operation.transaction_id, operation.reference,
                  operation)
        operation.succeed(operation.requested, points)
        operation.earned_expires_day = operation.expires_day if operation.requested else 0
        operation.has_coins = coins is not None
        if coins is not None:
            credit(batch, coins, lot_key(operation.coins_expires_day, operation.brand_id),
                   operation.coins)
            posting.leg = 1
            posting.requested = operation.coins
            posting.amount = operation.coins
            posting.counter = COINS_ISSUED
            posting.counter_party = operation.brand_id
            posting.bill_amount = NO_BILL
            batch.put(customer, coins, &posting, operation.transaction_id, operation.reference,
                      None)
            operation.coins_amount = operation.coins
            operation.coins_balance = coins.planned.balance
        if operation.invoice_number is not None:
            batch.claim(operation)
        return 0

    cdef int redeem(self, Batch batch, Customer customer, Operation operation,
                    int64_t now) except -1:
        cdef:
            Wallet points = self.open(batch, customer, operation.asset, operation.utc_offset, now)
            Posting posting = posting_of(operation)
        if customer.flags() & FLAG_BLOCKED:
            return self.refuse(batch, customer, points, operation, CUSTOMER_BLOCKED)
        if operation.needs_profile and customer.missing_fields:
            return self.refuse(batch, customer, points, operation, PROFILE_INCOMPLETE)
        if points.planned.balance < operation.requested:
            return self.refuse(batch, customer, points, operation, INSUFFICIENT_POINTS)
        if operation.barred:
            return self.refuse(batch, customer, points, operation, operation.barred)

        # Nothing can fail from here but for want of memory.
        lots_spend(&points.planned.lots, operation.requested, &batch.moved)
        points.planned.balance -= operation.requested
        posting.amount = -operation.requested
        posting.moved_sign = -1
        posting.counter = POINTS_REDEEMED
        posting.counter_party = operation.asset
        batch.put(customer, points, &posting, operation.transaction_id, operation.reference,
                  operation)
        operation.succeed(-operation.requested, points)
        return 0

    cdef int hold(self, Batch batch, Customer customer, Operation operation,
                  int64_t now) except -1:
        cdef:
            Wallet coins = self.open(batch, customer, COINS, self.coins_utc_offset, now)
            Posting posting = posting_of(operation)
            Hold held
        if customer.flags() & FLAG_BLOCKED:
            return self.refuse(batch, customer, coins, operation, CUSTOMER_BLOCKED)
        if operation.needs_profile and customer.missing_fields:
            return self.refuse(batch, customer, coins, operation, PROFILE_INCOMPLETE)
        if coins.planned.balance < operation.requested:
            return self.refuse(batch, customer, coins, operation, INSUFFICIENT_COINS)
        if operation.barred:
            return self.refuse(batch, customer, coins, operation, operation.barred)

        # Nothing can fail from here but for want of memory.
        held = Hold.__new__(Hold)
        held.payment_id = operation.transaction_id
        held.code_mac = operation.code_mac
        held.coins = operation.requested
        held.expires_at = operation.hold_expires_at
        held.brand_id = operation.brand_id
        held.store_id = operation.store_id
        held.tries_left = operation.tries_max
        held.resends_left = operation.resends_max
        lots_spend(&coins.planned.lots, operation.requested, &held.lots_taken)
        lots_copy(&batch.moved, &held.lots_taken)
        coins.planned.balance -= operation.requested
        coins.planned.held += operation.requested
        coins.planned_holds = coins.planned_holds + [held]
        posting.amount = -operation.requested
        posting.held_amount = operation.requested
        posting.moved_sign = -1
        batch.put(customer, coins, &posting, operation.transaction_id, operation.reference,
                  operation)
        operation.succeed(-operation.requested, coins)
        operation.tries_left = operation.tries_max
        return 0

    cdef int capture(self, Batch batch, Customer customer, Operation operation,
                     int64_t now) except -1:
        """Judge a typed code: the hold becomes a payment, or one of its tries is gone."""
        cdef:
            Wallet coins = self.open_existing(batch, customer, now)
            Posting posting = posting_of(operation)
            Hold held = find_planned_hold(coins, operation.reference)
        if held is None:
            operation.outcome = UNKNOWN_PAYMENT
            return 0
        if customer.flags() & FLAG_BLOCKED:
            return self.refuse(batch, customer, coins, operation, CUSTOMER_BLOCKED)
        posting.brand_id = held.brand_id
        posting.store_id = held.store_id
        posting.requested = held.coins
        if held.code_mac != operation.code_mac:
            return self.count_wrong_code(batch, customer, coins, operation, held, &posting)

        # Nothing can fail from here but for want of memory.
        replace_hold(coins, held, None)
        coins.planned.held -= held.coins
        lots_copy(&batch.moved, &held.lots_taken)
        posting.held_amount = -held.coins
        posting.moved_sign = -1
        posting.counter = COINS_SETTLED
        posting.counter_party = held.brand_id
        batch.put(customer, coins, &posting, operation.transaction_id, operation.reference,
                  operation)
        operation.succeed(-held.coins, coins)
        return 0

    cdef int count_wrong_code(self, Batch batch, Customer customer, Wallet coins,
                              Operation operation, Hold held, Posting* posting) except -1:
        """Write down a wrong code; with the last try the coins go back at once."""
        posting.refusal = CODE_INVALID
        batch.moved.length = 0
        if held.tries_left > 1:
            replace_hold(coins, held, hold_with(held, held.code_mac, held.tries_left - 1,
                                                held.resends_left))
        else:
            give_back(batch, coins, held, posting)
        batch.put(customer, coins, posting, operation.transaction_id, operation.reference,
                  operation)
        self.expire_due(batch, customer, coins, self.coins_utc_offset, batch.now)
        operation.refuse(CODE_INVALID, coins)
        operation.tries_left = held.tries_left - 1
        return 0

    cdef int void(self, Batch batch, Customer customer, Operation operation,
                  int64_t now) except -1:
        cdef:
            Wallet coins = self.open_existing(batch, customer, now)
            Posting posting = posting_of(operation)
            Hold held = find_planned_hold(coins, operation.reference)
        if held is None:
            operation.outcome = UNKNOWN_PAYMENT
            return 0

        # Nothing can fail from here but for want of memory.
        posting.brand_id = held.brand_id
        posting.store_id = held.store_id
        posting.requested = held.coins
        give_back(batch, coins, held, &posting)
        batch.put(customer, coins, &posting, operation.transaction_id, operation.reference,
                  operation)
        self.expire_due(batch, customer, coins, self.coins_utc_offset, now)
        operation.succeed(held.coins, coins)
        return 0

    cdef int resend(self, Batch batch, Customer customer, Operation operation,
                    int64_t now) except -1:
        """Replace the code of a hold; the tries that are gone stay gone."""
        cdef:
            Wallet coins = self.open_existing(batch, customer, now)
            Posting posting = posting_of(operation)
            Hold held = find_planned_hold(coins, operation.reference)
        if held is None:
            operation.outcome = UNKNOWN_PAYMENT
            return 0
        if held.resends_left == 0:
            return self.refuse(batch, customer, coins, operation, LIMIT_REACHED)

        # Nothing can fail from here but for want of memory.
        posting.brand_id = held.brand_id
        posting.store_id = held.store_id
        posting.requested = held.coins
        batch.moved.length = 0
        replace_hold(coins, held, hold_with(held, operation.code_mac, held.tries_left,
                                            held.resends_left - 1))
        batch.put(customer, coins, &posting, operation.transaction_id, operation.reference,
                  operation)
        operation.succeed(0, coins)
        operation.tries_left = held.tries_left
        return 0

    # What the verbs share.

    cdef Wallet open(self, Batch batch, Customer customer, int32_t asset, int64_t utc_offset,
                     int64_t now):
        """Return the wallet ready for a change: planned, and with what is due written down."""
        cdef Wallet wallet = customer.find(asset)
        if wallet is None:
            wallet = Wallet(asset)
            wallet.committed.flags = customer.flags()
            customer.wallets.append(wallet)
            self.wallets += 1
            batch.new_wallets.append((customer.customer_id, asset))
        if not wallet.planning:
            wallet.plan()
            batch.touched.append(wallet)
        if wallet.planned_holds:
            self.release_due(batch, customer, wallet, now)
        if wallet.planned.lots.length:
            self.expire_due(batch, customer, wallet, utc_offset, now)
        return wallet

    cdef Wallet open_existing(self, Batch batch, Customer customer, int64_t now):
        """Return the wallet of coins ready for a change, or None: a row must make a wallet."""
        if customer.find(COINS) is None:
            return None
        return self.open(batch, customer, COINS, self.coins_utc_offset, now)

    cdef int release_due(self, Batch batch, Customer customer, Wallet wallet,
                         int64_t now) except -1:
        cdef:
            Posting posting
            Hold hold
        for hold in wallet.planned_holds:
            if hold.expires_at > now:
                continue
            posting = automatic_posting(RELEASE, now)
            posting.brand_id = hold.brand_id
            posting.store_id = hold.store_id
            posting.requested = hold.coins
            give_back(batch, wallet, hold, &posting)
            batch.put(customer, wallet, &posting, derived_id(customer, wallet), hold.payment_id,
                      None)
        return 0

    cdef int expire_due(self, Batch batch, Customer customer, Wallet wallet, int64_t utc_offset,
                        int64_t now) except -1:
        cdef:
            Posting posting
            int64_t today = local_day(now, utc_offset)
            int64_t expired
        if not wallet.planned.lots.length:
            return 0
        if lot_expires_day(wallet.planned.lots.items[0].key) >= today:
            return 0
        expired = lots_expire(&wallet.planned.lots, today, &batch.moved)
        wallet.planned.balance -= expired
        posting = automatic_posting(EXPIRY, now)
        posting.requested = expired
        posting.amount = -expired
        posting.moved_sign = -1
        posting.counter = COINS_EXPIRED if wallet.asset == COINS else POINTS_EXPIRED
        posting.counter_party = wallet.asset
        posting.brand_id = wallet.asset
        batch.put(customer, wallet, &posting, derived_id(customer, wallet), None, None)
        return 0

    cdef int refuse(self, Batch batch, Customer customer, Wallet wallet, Operation operation,
                    int code) except -1:
        cdef Posting posting = posting_of(operation)
        posting.refusal = code
        batch.moved.length = 0
        batch.put(customer, wallet, &posting, operation.transaction_id, operation.reference,
                  operation)
        operation.refuse(code, wallet)
        return 0


cdef int credit(Batch batch, Wallet wallet, int64_t key, int64_t amount) except -1:
    batch.moved.length = 0
    lots_add(&batch.moved, key, amount)
    lots_add(&wallet.planned.lots, key, amount)
    wallet.planned.balance = add_checked(wallet.planned.balance, amount)
    return 0


cdef int give_back(Batch batch, Wallet wallet, Hold hold, Posting* posting) except -1:
    """Return the lots of `hold` to its wallet, with the expiry they had."""
    cdef int32_t at
    lots_copy(&batch.moved, &hold.lots_taken)
    for at in range(hold.lots_taken.length):
        lots_add(&wallet.planned.lots, hold.lots_taken.items[at].key,
                 hold.lots_taken.items[at].amount)
    wallet.planned.balance = add_checked(wallet.planned.balance, hold.coins)
    wallet.planned.held = subtract_checked(wallet.planned.held, hold.coins)
    replace_hold(wallet, hold, None)
    posting.amount = hold.coins
    posting.held_amount = -hold.coins
    posting.moved_sign = 1
    return 0


cdef int replace_hold(Wallet wallet, Hold hold, Hold successor) except -1:
    """Put `successor` in the place of `hold`, or nothing where it is None."""
    cdef list holds = []
    for other in wallet.planned_holds:
        if other is not hold:
            holds.append(other)
        elif successor is not None:
            holds.append(successor)
    wallet.planned_holds = holds
    return 0


cdef Hold find_hold(Wallet wallet, bytes payment_id):
    cdef Hold hold
    if wallet is not None:
        for hold in wallet.committed_holds:
            if hold.payment_id == payment_id:
                return hold
    return None


cdef Hold find_planned_hold(Wallet wallet, bytes payment_id):
    cdef Hold hold
    if wallet is not None:
        for hold in wallet.planned_holds:
            if hold.payment_id == payment_id:
                return hold
    return None


cdef object CUSTOMER_ID = attrgetter("customer_id")
