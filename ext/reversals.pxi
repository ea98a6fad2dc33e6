# Reversals: what a transaction did is undone by a row for each of its legs (PTS-8, RED-7), with the
# same counter-account, so that the sums of both sides undo themselves.


cdef int reverse(Ledger ledger, Batch batch, Customer customer, Operation operation,
                 int64_t now) except -1:
    """Undo a transaction whole. It is a correction: neither a block nor a profile is in its way."""
    cdef:
        Leg leg = operation.original[0]
        Wallet first = ledger.open(batch, customer, leg.asset,
                                   offset_of(ledger, operation, leg.asset), now)
        Wallet wallet
        list wallets = [first]
        int number
    if operation.barred:
        return refuse(batch, customer, first, operation, operation.barred)
    if batch.reverses_already(operation):
        return refuse(batch, customer, first, operation, ALREADY_REVERSED)
    for leg in operation.original:
        if not leg.reversible:
            return refuse(batch, customer, first, operation, NOT_REVERSIBLE)
    for leg in operation.original[1:]:
        wallets.append(ledger.open(batch, customer, leg.asset,
                                   offset_of(ledger, operation, leg.asset), now))
    for leg, wallet in zip(operation.original, wallets):
        if not has_room(wallet, -leg.total()):
            return refuse(batch, customer, first, operation, LIMIT_REACHED)

    # Nothing can fail from here but for want of memory.
    for number, wallet in enumerate(wallets):
        reverse_leg(ledger, batch, customer, wallet, operation, number)
    batch.reverse(operation)
    return 0


cdef int reverse_leg(Ledger ledger, Batch batch, Customer customer, Wallet wallet,
                     Operation operation, int number) except -1:
    cdef:
        Leg leg = operation.original[number]
        int64_t amount = -leg.total()
        Posting posting = posting_of(operation)
        int32_t at
    batch.moved.length = 0
    for at in range(leg.lots_moved.length):
        if leg.lots_moved.items[at].amount > 0:
            take_back(batch, wallet, leg.lots_moved.items[at].key, leg.lots_moved.items[at].amount)
        else:
            move(batch, wallet, leg.lots_moved.items[at].key, -leg.lots_moved.items[at].amount)
    wallet.planned.balance += amount
    posting.leg = number
    posting.requested = abs(amount)
    posting.amount = amount
    posting.counter = leg.counter
    posting.counter_party = leg.counter_party
    if number:
        posting.bill_amount = NO_VALUE
    batch.put(customer, wallet, &posting, operation.transaction_id, operation.reference,
              None if number else operation)
    batch.refund(leg.counter_party, leg.allotment_id, leg.total())
    batch.free(operation.customer_id, leg.item_id, leg.unit, leg.turn, leg.taker)
    if leg.claim is not None and operation.cause in (WRONG_CUSTOMER, MISTAKE):
        batch.claims_freed.append((*leg.claim, leg.taker))
    if leg.invoice is not None:
        batch.change_invoice(leg.invoice[0], leg.invoice[1], leg.total(), leg.total())
    if number == 0:
        operation.succeed(amount, wallet)
    else:
        operation.has_coins = True
        operation.coins_amount = amount
        operation.coins_balance = wallet.planned.balance
    return ledger.take_due(batch, customer, wallet, offset_of(ledger, operation, wallet.asset),
                           batch.now)


cdef int take_back(Batch batch, Wallet wallet, int64_t key, int64_t amount) except -1:
    """Take what was earned from its very lot; what is not open there any more becomes a debt."""
    cdef int64_t taken = min(amount, lots_amount(&wallet.planned.lots, key))
    move(batch, wallet, key, -taken)
    return move(batch, wallet, lot_key(DEBT_DAY, lot_issuer(key)), taken - amount)


cdef int move(Batch batch, Wallet wallet, int64_t key, int64_t amount) except -1:
    lots_add(&batch.moved, key, amount)
    return lots_add(&wallet.planned.lots, key, amount)


cdef inline int64_t offset_of(Ledger ledger, Operation operation, int32_t asset) noexcept:
    """Return by which calendar the lots of a wallet expire; see Ledger.coins_utc_offset."""
    return ledger.coins_utc_offset if asset == COINS else operation.utc_offset
