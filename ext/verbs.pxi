# The verbs. Each is one function of three parts: a ladder of refusals in the order of their codes,
# a line that says nothing can fail from here, and the change.
#
# A refusal is a posting of amount 0 under the same compare-and-set, so that a refused key stays
# refused.


cdef int accumulate(Ledger ledger, Batch batch, Customer customer, Operation operation,
                    int64_t now) except -1:
    cdef:
        Wallet points = ledger.open(batch, customer, operation.asset, operation.utc_offset, now)
        Wallet coins = None
        ClaimPlace* claim = NULL
        Posting posting = posting_of(operation)
    if customer.flags() & FLAG_BLOCKED:
        return refuse(batch, customer, points, operation, CUSTOMER_BLOCKED)
    if operation.barred:
        return refuse(batch, customer, points, operation, operation.barred)
    if operation.claim_kind:
        claim = batch.new_claims.find(operation)
        if claim.number:
            return refuse(batch, customer, points, operation, INVOICE_ALREADY_CLAIMED)
    if not has_room(points, operation.requested):
        return refuse(batch, customer, points, operation, LIMIT_REACHED)
    if operation.coins:
        # A wallet made here always has room, so none is left without a row.
        coins = ledger.open(batch, customer, COINS, ledger.coins_utc_offset, now)
        if not has_room(coins, operation.coins):
            return refuse(batch, customer, points, operation, LIMIT_REACHED)

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
    if lots_are_mixed(&points.planned.lots):
        ledger.take_due(batch, customer, points, operation.utc_offset, now)
    if coins is not None:
        credit(batch, coins, lot_key(operation.coins_expires_day, operation.brand_id),
               operation.coins)
        posting.leg = 1
        posting.requested = operation.coins
        posting.amount = operation.coins
        posting.counter = COINS_ISSUED
        posting.counter_party = operation.brand_id
        posting.bill_amount = NO_VALUE
        batch.put(customer, coins, &posting, operation.transaction_id, payer_of_coins(operation),
                  None)
        batch.draw(operation.allotment_id, operation.coins)
        operation.coins_amount = operation.coins
        operation.coins_balance = coins.planned.balance
        if lots_are_mixed(&coins.planned.lots):
            ledger.take_due(batch, customer, coins, ledger.coins_utc_offset, now)
    if claim != NULL:
        batch.new_claims.add(claim, operation)
    return 0


cdef int redeem(Ledger ledger, Batch batch, Customer customer, Operation operation,
                int64_t now) except -1:
    cdef:
        Wallet points
        int refusal
    if batch.takes_already(operation):
        # No refusal, for a refusal is final: with another unit or turn it may be done.
        operation.outcome = TAKEN
        return 0
    points = ledger.open(batch, customer, operation.asset, operation.utc_offset, now)
    refusal = refusal_to_spend(customer, points, operation, INSUFFICIENT_POINTS)
    if refusal:
        return refuse(batch, customer, points, operation, refusal)

    # Nothing can fail from here but for want of memory.
    spend(batch, customer, points, operation, POINTS_REDEEMED, operation.asset)
    batch.take(operation)
    return 0


cdef int hold(Ledger ledger, Batch batch, Customer customer, Operation operation,
              int64_t now) except -1:
    cdef:
        Wallet coins
        int refusal
        Posting posting = posting_of(operation)
        Hold held
    if batch.takes_already(operation):
        operation.outcome = TAKEN
        return 0
    coins = ledger.open(batch, customer, COINS, ledger.coins_utc_offset, now)
    refusal = refusal_to_spend(customer, coins, operation, INSUFFICIENT_COINS)
    if refusal:
        return refuse(batch, customer, coins, operation, refusal)

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
    held.item_id = operation.item_id
    held.unit = operation.unit
    held.turn = operation.turn
    held.invoice_key = operation.claim_key
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
    batch.take(operation)
    batch.pay_invoice(operation, 0)
    operation.succeed(-operation.requested, coins)
    operation.tries_left = operation.tries_max
    operation.resends_left = operation.resends_max
    return 0


cdef int capture(Ledger ledger, Batch batch, Customer customer, Operation operation,
                 int64_t now) except -1:
    """Judge a typed code: the hold becomes a payment, or one of its tries is gone."""
    cdef:
        Wallet coins = ledger.open_existing(batch, customer, now)
        Posting posting = posting_of(operation)
        Hold held = find_planned_hold(coins, operation.reference)
    if held is None:
        operation.outcome = UNKNOWN_PAYMENT
        return 0
    if customer.flags() & FLAG_BLOCKED:
        return refuse(batch, customer, coins, operation, CUSTOMER_BLOCKED)
    posting.brand_id = held.brand_id
    posting.store_id = held.store_id
    posting.requested = held.coins
    if held.code_mac != operation.code_mac:
        return count_wrong_code(ledger, batch, customer, coins, operation, held, &posting)
    if operation.barred:
        return refuse_hold(ledger, batch, customer, coins, operation, held, &posting)

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
    batch.change_invoice(held.store_id, held.invoice_key, 0, held.coins)
    operation.succeed(-held.coins, coins)
    return 0


cdef int refuse_hold(Ledger ledger, Batch batch, Customer customer, Wallet coins,
                     Operation operation, Hold held, Posting* posting) except -1:
    """Refuse the right code of a hold that can never be paid, and give its coins back (INV-5)."""
    posting.refusal = operation.barred
    give_back(batch, customer, coins, held, posting)
    batch.put(customer, coins, posting, operation.transaction_id, operation.reference,
              operation)
    operation.refuse(operation.barred, coins)
    return ledger.take_due(batch, customer, coins, ledger.coins_utc_offset, batch.now)


cdef int count_wrong_code(Ledger ledger, Batch batch, Customer customer, Wallet coins,
                          Operation operation, Hold held, Posting* posting) except -1:
    """Write down a wrong code and who typed it; with the last try the coins go back at once."""
    posting.refusal = CODE_INVALID
    batch.moved.length = 0
    if held.tries_left > 1:
        replace_hold(coins, held, hold_with(held, held.code_mac, held.tries_left - 1,
                                            held.resends_left))
        operation.resends_left = held.resends_left
    else:
        give_back(batch, customer, coins, held, posting)
    batch.put(customer, coins, posting, operation.transaction_id, operation.reference,
              operation)
    operation.refuse(CODE_INVALID, coins)
    operation.tries_left = held.tries_left - 1
    batch.failed_codes.append((held.brand_id, held.store_id, operation.cashier_id,
                               operation.transaction_id))
    return ledger.take_due(batch, customer, coins, ledger.coins_utc_offset, batch.now)


cdef int void(Ledger ledger, Batch batch, Customer customer, Operation operation,
              int64_t now) except -1:
    cdef:
        Wallet coins = ledger.open_existing(batch, customer, now)
        Posting posting = posting_of(operation)
        Hold held = find_planned_hold(coins, operation.reference)
    if held is None:
        operation.outcome = UNKNOWN_PAYMENT
        return 0

    # Nothing can fail from here but for want of memory.
    posting.brand_id = held.brand_id
    posting.store_id = held.store_id
    posting.requested = held.coins
    give_back(batch, customer, coins, held, &posting)
    batch.put(customer, coins, &posting, operation.transaction_id, operation.reference,
              operation)
    operation.succeed(held.coins, coins)
    return ledger.take_due(batch, customer, coins, ledger.coins_utc_offset, now)


cdef int resend(Ledger ledger, Batch batch, Customer customer, Operation operation,
                int64_t now) except -1:
    """Replace the code of a hold; the tries that are gone stay gone."""
    cdef:
        Wallet coins = ledger.open_existing(batch, customer, now)
        Posting posting = posting_of(operation)
        Hold held = find_planned_hold(coins, operation.reference)
    if held is None:
        operation.outcome = UNKNOWN_PAYMENT
        return 0
    if held.resends_left == 0:
        return refuse(batch, customer, coins, operation, LIMIT_REACHED)

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
    operation.resends_left = held.resends_left - 1
    return 0


cdef int sweep(Ledger ledger, Batch batch, Customer customer, Operation operation,
               int64_t now) except -1:
    """Write down what is due in a wallet, where there is one; the operation has no row of its own.

    Nothing waits for it (PTS-5): it keeps the books, which the next operation would do as well. Its
    amount is what expired, for a release or a repayment changes nothing in the sum of a wallet.
    """
    cdef:
        Wallet wallet = customer.find(operation.asset)
        int64_t before
    if wallet is not None:
        ledger.plan(batch, wallet)
        before = wallet.planned.balance + wallet.planned.held
        ledger.open(batch, customer, operation.asset,
                    offset_of(ledger, operation, operation.asset), now)
        operation.succeed(wallet.planned.balance + wallet.planned.held - before, wallet)
    operation.outcome = WRITTEN_DOWN
    return 0


cdef int block(Ledger ledger, Batch batch, Customer customer, Operation operation,
               int64_t now) except -1:
    """Set or clear the block (CUS-9) by a row in every wallet, so that no stale state is left."""
    cdef:
        Wallet coins = ledger.open(batch, customer, COINS, ledger.coins_utc_offset, now)
        Wallet wallet
        Posting posting = posting_of(operation)
        Posting automatic = automatic_posting(operation.kind, now)

    # Nothing can fail from here but for want of memory.
    batch.moved.length = 0
    for wallet in customer.wallets:
        # What is due in the wallet of a brand stays: the brand's calendar is not known here.
        ledger.plan(batch, wallet)
        if operation.kind == BLOCK:
            wallet.planned.flags |= FLAG_BLOCKED
        else:
            wallet.planned.flags &= ~FLAG_BLOCKED
        if wallet is coins:
            batch.put(customer, wallet, &posting, operation.transaction_id, operation.reference,
                      operation)
        else:
            batch.put(customer, wallet, &automatic, derived_id(customer, wallet),
                      operation.transaction_id, None)
    operation.succeed(0, coins)
    return 0


cdef int refusal_to_spend(Customer customer, Wallet wallet, Operation operation,
                          int insufficient) noexcept:
    """Return the first reason not to spend what is asked for, NOT_REFUSED where there is none."""
    if customer.flags() & FLAG_BLOCKED:
        return CUSTOMER_BLOCKED
    if operation.needs_profile and customer.missing_fields:
        return PROFILE_INCOMPLETE
    if wallet.planned.balance < operation.requested:
        return insufficient
    return operation.barred


cdef inline bint has_room(Wallet wallet, int64_t amount) noexcept:
    """Return whether a balance stays within its limits; what is held counts, it may come back."""
    if amount < 0:
        return wallet.planned.balance + amount >= BALANCE_MIN
    return wallet.planned.balance + wallet.planned.held <= BALANCE_MAX - amount


cdef int refuse(Batch batch, Customer customer, Wallet wallet, Operation operation,
                int code) except -1:
    cdef Posting posting = posting_of(operation)
    posting.refusal = code
    batch.moved.length = 0
    batch.put(customer, wallet, &posting, operation.transaction_id, operation.reference,
              operation)
    operation.refuse(code, wallet)
    return 0


cdef int spend(Batch batch, Customer customer, Wallet wallet, Operation operation, int counter,
               int32_t party) except -1:
    """Post what was asked for, from the earliest lots; nothing can fail but for want of memory."""
    cdef Posting posting = posting_of(operation)
    lots_spend(&wallet.planned.lots, operation.requested, &batch.moved)
    wallet.planned.balance -= operation.requested
    posting.amount = -operation.requested
    posting.moved_sign = -1
    posting.counter = counter
    posting.counter_party = party
    batch.put(customer, wallet, &posting, operation.transaction_id, operation.reference, operation)
    operation.succeed(-operation.requested, wallet)
    return 0


cdef inline bytes payer_of_coins(Operation operation):
    """Return the reference of a row that issues coins: the allotment, if one pays for them."""
    return operation.reference if operation.allotment_id is None else operation.allotment_id


cdef int credit(Batch batch, Wallet wallet, int64_t key, int64_t amount) except -1:
    batch.moved.length = 0
    lots_add(&batch.moved, key, amount)
    lots_add(&wallet.planned.lots, key, amount)
    wallet.planned.balance = add_checked(wallet.planned.balance, amount)
    return 0


cdef int give_back(Batch batch, Customer customer, Wallet wallet, Hold hold,
                   Posting* posting) except -1:
    """Return the lots of `hold` to its wallet, with the expiry they had, and its item's unit."""
    cdef int32_t at
    lots_copy(&batch.moved, &hold.lots_taken)
    for at in range(hold.lots_taken.length):
        lots_add(&wallet.planned.lots, hold.lots_taken.items[at].key,
                 hold.lots_taken.items[at].amount)
    wallet.planned.balance = add_checked(wallet.planned.balance, hold.coins)
    wallet.planned.held = subtract_checked(wallet.planned.held, hold.coins)
    replace_hold(wallet, hold, None)
    batch.free(customer.customer_id, hold.item_id, hold.unit, hold.turn, hold.payment_id)
    batch.change_invoice(hold.store_id, hold.invoice_key, -hold.coins, 0)
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
