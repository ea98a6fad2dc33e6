# The ledger: the wallets of the customers that a lane has loaded, and the decision of a batch.
#
# Before a verb looks at a wallet, what is due in it is written down: holds whose time is up go
# back, then lots whose last day is over leave as breakage (PTS-5, COI-4), and then debts are repaid
# from what is left: expired coins repay nothing. After a verb that gave something to a wallet the
# last two are due again, so that no wallet is left with debts beside lots.


cdef bytes derived_id(Customer customer, Wallet wallet):
    """Return the transaction id of a posting that nobody asked for: a hash of its primary key."""
    cdef:
        uint8_t place[12]
        uint8_t digest[HASH_SIZE]
        uint32_t asset = htobe32(<uint32_t> wallet.asset)
        uint64_t seq = htobe64(<uint64_t> (wallet.planned.seq + 1))
    memcpy(place, &asset, 4)
    memcpy(&place[4], &seq, 8)
    chain_hash(&KEYLESS, customer.id, place, 12, digest)
    return uuid_of(digest)


cdef inline Posting posting_of(Operation operation) noexcept:
    return Posting(leg=0, kind=operation.kind, refusal=NOT_REFUSED, cause=operation.cause,
                   requested=operation.requested, amount=0, held_amount=0,
                   counter=NO_COUNTER, counter_party=0, brand_id=operation.brand_id,
                   store_id=operation.store_id, by_id=operation.by_id, till=operation.till,
                   moved_sign=1, fingerprint=operation.fingerprint,
                   occurred_at=operation.occurred_at, bill_amount=operation.bill_amount)


cdef inline Posting automatic_posting(int kind, int64_t now) noexcept:
    return Posting(leg=0, kind=kind, refusal=NOT_REFUSED, cause=NO_CAUSE, requested=0, amount=0,
                   held_amount=0, counter=NO_COUNTER, counter_party=0, brand_id=0, store_id=0,
                   by_id=0, till=0, moved_sign=1, fingerprint=0, occurred_at=now,
                   bill_amount=NO_VALUE)


@cython.final
cdef class Ledger:
    """The wallets of the customers that a lane has loaded, and the decisions on them.

    `coins_utc_offset` is the offset in seconds of the country whose calendar coins expire by
    (COI-1: coins exist in Colombia only). `chain_key` is the key of the rows' hashes.
    """

    cdef:
        Customers known
        ChainStart chain
        readonly int64_t coins_utc_offset
        readonly int64_t wallets

    def __cinit__(self, int64_t coins_utc_offset, bytes chain_key not None=b""):
        self.known = Customers()
        self.coins_utc_offset = coins_utc_offset
        take_chain_key(chain_key, &self.chain)

    # What the lane loads and forgets.

    @property
    def customers(self):
        return self.known.count

    def needs_load(self, Operation operation not None):
        """Return whether `operation` may only be decided on freshly loaded state.

        A posting is checked by the compare-and-set, so it may be decided on what is cached. What
        is not checked by it must be fresh: that a profile is incomplete, that a hold is not there,
        that nothing is due, and for a block, which writes in every wallet, that there are no
        others.
        """
        cdef Customer customer = self.known.find(id_of(operation.customer_id))
        if customer is None:
            return True
        customer.used = True
        if fresh(operation.kind):
            return True
        if operation.needs_profile and customer.missing_fields:
            return True
        return (needs_hold(operation.kind)
                and find_hold(customer.find(COINS), operation.reference) is None)

    def load_customer(self, bytes customer_id not None, int32_t missing_fields):
        """Start `customer_id` anew, without wallets; `missing_fields` is a bit set of CUS-4."""
        self.drop(customer_id)
        self.known.add(Customer(customer_id, missing_fields))

    def load_wallet(self, bytes customer_id not None, int32_t asset, int64_t seq, int64_t balance,
                    int64_t held, int32_t flags, bytes lots not None, bytes holds,
                    bytes hash not None, int64_t recorded_at):
        """Add a wallet as its newest row says; `lots` as array_send(lots) gives it.

        Raises ValueError where the row contradicts itself: such a wallet must not be traded on.
        """
        cdef:
            Customer customer = self.known.find(id_of(customer_id))
            Wallet wallet = Wallet(asset)
            State* state = &wallet.committed
            int64_t in_holds = 0
            bint sound
            Hold hold
        if customer is None:
            raise KeyError(customer_id)
        take_lots(&state.lots, <const uint8_t*> PyBytes_AS_STRING(lots), PyBytes_GET_SIZE(lots))
        if holds is not None:               # nearly every wallet shares the one empty list
            wallet.committed_holds = take_holds(holds)
        sound = (lots_are_sound(&state.lots) and not lots_are_mixed(&state.lots)
                 and lots_total(&state.lots) == balance)
        for hold in wallet.committed_holds:
            in_holds += hold.coins
            sound = (sound and lots_are_sound(&hold.lots_taken) and not lots_debts(&hold.lots_taken)
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
        customer.add(wallet)
        self.wallets += 1

    def drop(self, bytes customer_id not None):
        """Forget a customer, so that the next operation loads it."""
        cdef Customer customer = self.known.remove(id_of(customer_id))
        if customer is not None:
            self.wallets -= customer.count()

    def clear(self):
        """Forget everybody: a cache lives only as long as the connection that read it."""
        self.known.clear()
        self.wallets = 0

    def trim(self, int64_t wallets_max, locked):
        """Forget customers that were not used lately until at most `wallets_max` wallets are kept.

        And no more customers, for some have no wallet. The clock algorithm: whoever was used since
        the hand last passed gets another round. Customers in `locked` stay: their state is part of
        a batch in flight.
        """
        cdef:
            Customer customer
            Py_ssize_t rounds = 2 * self.known.count
        while rounds > 0 and max(self.wallets, self.known.count) > wallets_max:
            rounds -= 1
            customer = self.known.remove_oldest()
            if customer.used or customer.customer_id in locked:
                customer.used = False
                self.known.add(customer)
            else:
                self.wallets -= customer.count()

    def wallet(self, bytes customer_id not None, int32_t asset):
        """Return the committed wallet, or None; for reading only."""
        cdef Customer customer = self.known.find(id_of(customer_id))
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
            Batch batch = Batch(by_customer(operations))
            Operation operation
            Customer customer = None
            bytes last_id = None
        batch.now = now
        batch.chain = self.chain
        try:
            for operation in batch.operations:
                operation.forget()
                if operation.customer_id != last_id:
                    last_id = operation.customer_id
                    customer = self.known.find(id_of(last_id))
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
            wallet_publish(wallet)
        batch.touched.clear()               # a batch is settled once
        batch.customers.clear()

    def discard(self, Batch batch not None):
        """Forget what `batch` planned: its rows are not in the journal and never will be."""
        cdef:
            Wallet wallet
            Customer customer
        for wallet in batch.touched:
            wallet_discard(wallet)
        for customer in batch.customers if batch.new_wallets else ():
            # A customer that was dropped meanwhile is no longer counted.
            if customer is not None and self.known.find(customer.id) is customer:
                self.wallets -= customer.count()
                customer.forget_uncommitted()
                self.wallets += customer.count()
        batch.touched.clear()               # a batch is settled once
        batch.customers.clear()

    cdef int decide_one(self, Batch batch, Customer customer, Operation operation,
                        int64_t now) except -1:
        if operation.kind == ACCUMULATION:
            accumulate(self, batch, customer, operation, now)
        elif operation.kind == REDEMPTION:
            redeem(self, batch, customer, operation, now)
        elif operation.kind == HOLD:
            hold(self, batch, customer, operation, now)
        elif operation.kind == CAPTURE:
            capture(self, batch, customer, operation, now)
        elif operation.kind == VOID:
            void(self, batch, customer, operation, now)
        elif operation.kind == RESEND:
            resend(self, batch, customer, operation, now)
        elif operation.kind == EXPIRY:
            sweep(self, batch, customer, operation, now)
        elif standing(operation.kind):
            block(self, batch, customer, operation, now)
        elif operation.kind == PAYMENT:
            pay(self, batch, customer, operation, now)
        elif operation.kind == CONVERSION:
            convert(self, batch, customer, operation, now)
        elif operation.kind == CASHBACK:
            give_cashback(self, batch, customer, operation, now)
        elif operation.kind == DONATION:
            donate(self, batch, customer, operation, now)
        elif operation.kind == REVERSAL:
            reverse(self, batch, customer, operation, now)
        else:
            raise ValueError(f"no operation has the kind {operation.kind}")
        if CHECKED:
            assert_decided(customer, operation)
        return 0

    # What the verbs share.

    cdef Wallet open(self, Batch batch, Customer customer, int32_t asset, int64_t utc_offset,
                     int64_t now):
        """Return the wallet ready for a change: planned, and with what is due written down."""
        cdef Wallet wallet = customer.find(asset)
        if wallet is None:
            wallet = Wallet(asset)
            wallet.committed.flags = customer.flags()
            customer.add(wallet)
            self.wallets += 1
            batch.new_wallets.append((customer.customer_id, asset))
            if asset != COINS:
                self.write_opening(batch, customer, asset, now)
        self.plan(batch, wallet)
        if wallet.planned_holds:
            self.release_due(batch, customer, wallet, now)
        if wallet.planned.lots.length:
            self.take_due(batch, customer, wallet, utc_offset, now)
        return wallet

    cdef Wallet open_existing(self, Batch batch, Customer customer, int64_t now):
        """Return the wallet of coins ready for a change, or None: a row must make a wallet."""
        if customer.find(COINS) is None:
            return None
        return self.open(batch, customer, COINS, self.coins_utc_offset, now)

    cdef int plan(self, Batch batch, Wallet wallet) except -1:
        if wallet.planned == NULL:
            wallet_plan(wallet)
            batch.touched.append(wallet)
        return 0

    cdef int write_opening(self, Batch batch, Customer customer, int32_t asset,
                           int64_t now) except -1:
        """Write in the wallet of coins that the wallet of a brand is opened.

        Every customer's first posting makes a wallet of coins, and opening another wallet is
        written there; so a block, which writes in every wallet, always collides with an opening.
        """
        cdef:
            Wallet coins = self.open(batch, customer, COINS, self.coins_utc_offset, now)
            Posting posting = automatic_posting(OPENING, now)
        posting.brand_id = asset
        batch.moved.length = 0
        batch.put(customer, coins, &posting, derived_id(customer, coins), None, None)
        return 0

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
            give_back(batch, customer, wallet, hold, &posting)
            batch.put(customer, wallet, &posting, derived_id(customer, wallet), hold.payment_id,
                      None)
        return 0

    cdef int take_due(self, Batch batch, Customer customer, Wallet wallet, int64_t utc_offset,
                      int64_t now) except -1:
        """Write down what has expired, and what the lots that are left repay."""
        self.expire_due(batch, customer, wallet, utc_offset, now)
        if lots_are_mixed(&wallet.planned.lots):
            self.repay(batch, customer, wallet, now)
        return 0

    cdef int expire_due(self, Batch batch, Customer customer, Wallet wallet, int64_t utc_offset,
                        int64_t now) except -1:
        cdef:
            Posting posting
            int64_t today = local_day(now, utc_offset)
            int64_t expired
        expired = lots_expire(&wallet.planned.lots, today, &batch.moved)
        if expired == 0:
            return 0
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

    cdef int repay(self, Batch batch, Customer customer, Wallet wallet, int64_t now) except -1:
        """Repay debts from lots: a row of amount 0, which says whose coins paid whose debts."""
        cdef Posting posting = automatic_posting(REPAYMENT, now)
        posting.requested = lots_repay(&wallet.planned.lots, &batch.moved)
        posting.brand_id = wallet.asset
        batch.put(customer, wallet, &posting, derived_id(customer, wallet), None, None)
        return 0
