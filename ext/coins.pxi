# Coins that change hands at once, without a hold: paid by the app's QR, donated, converted from a
# partner's points, given as cashback.


cdef int pay(Ledger ledger, Batch batch, Customer customer, Operation operation,
             int64_t now) except -1:
    """Pay a receiver at once (COI-6): the customer's QR stands for a code, and works once."""
    cdef:
        Wallet coins
        int refusal
    if batch.takes_already(operation):
        operation.outcome = TAKEN
        return 0
    coins = ledger.open(batch, customer, COINS, ledger.coins_utc_offset, now)
    refusal = refusal_to_spend(customer, coins, operation, INSUFFICIENT_COINS)
    if refusal:
        return refuse(batch, customer, coins, operation, refusal)
    if operation.qr_issued_at and batch.uses_already(operation):
        return refuse(batch, customer, coins, operation, QR_INVALID)

    # Nothing can fail from here but for want of memory.
    spend(batch, customer, coins, operation, COINS_SETTLED, operation.brand_id)
    batch.take(operation)
    batch.pay_invoice(operation, operation.requested)
    if operation.qr_issued_at:
        batch.use(operation)
    return 0


cdef int donate(Ledger ledger, Batch batch, Customer customer, Operation operation,
                int64_t now) except -1:
    """Give coins to a social organisation (COI-8)."""
    cdef:
        Wallet coins = ledger.open(batch, customer, COINS, ledger.coins_utc_offset, now)
        int refusal = refusal_to_spend(customer, coins, operation, INSUFFICIENT_COINS)
    if refusal:
        return refuse(batch, customer, coins, operation, refusal)
    return spend(batch, customer, coins, operation, COINS_DONATED, operation.party_id)


cdef int convert(Ledger ledger, Batch batch, Customer customer, Operation operation,
                 int64_t now) except -1:
    """Turn a partner's points into coins that the partner issues, once by its reference (SYS-9)."""
    return receive(ledger, batch, customer, operation, PARTNER_BIT | operation.party_id,
                   PARTNER_CLEARING, operation.party_id, now)


cdef int give_cashback(Ledger ledger, Batch batch, Customer customer, Operation operation,
                       int64_t now) except -1:
    """Give coins for an online order, once; its brand issues them (COI-2, INV-8)."""
    return receive(ledger, batch, customer, operation, operation.brand_id, COINS_ISSUED,
                   operation.brand_id, now)


cdef int receive(Ledger ledger, Batch batch, Customer customer, Operation operation,
                 int64_t issuer, int counter, int32_t party, int64_t now) except -1:
    """Post what was asked for as a lot of `issuer`, once for what it claims."""
    cdef:
        Wallet coins = ledger.open(batch, customer, COINS, ledger.coins_utc_offset, now)
        ClaimPlace* claim
        Posting posting = posting_of(operation)
    if customer.flags() & FLAG_BLOCKED:
        return refuse(batch, customer, coins, operation, CUSTOMER_BLOCKED)
    if operation.barred:
        return refuse(batch, customer, coins, operation, operation.barred)
    claim = batch.new_claims.find(operation)
    if claim.number:
        return refuse(batch, customer, coins, operation, REFERENCE_ALREADY_USED)
    if not has_room(coins, operation.requested):
        return refuse(batch, customer, coins, operation, LIMIT_REACHED)

    # Nothing can fail from here but for want of memory.
    credit(batch, coins, lot_key(operation.expires_day, issuer), operation.requested)
    posting.amount = operation.requested
    posting.counter = counter
    posting.counter_party = party
    batch.put(customer, coins, &posting, operation.transaction_id, payer_of_coins(operation),
              operation)
    operation.succeed(operation.requested, coins)
    operation.earned_expires_day = operation.expires_day if operation.requested else 0
    batch.new_claims.add(claim, operation)
    batch.draw(operation.allotment_id, operation.requested)
    if lots_are_mixed(&coins.planned.lots):
        ledger.take_due(batch, customer, coins, ledger.coins_utc_offset, batch.now)
    return 0
