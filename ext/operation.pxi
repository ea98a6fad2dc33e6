# An operation: what a caller asks of the ledger, and after the decision what it got.

cdef enum:
    REFERENCE_SIZE_MAX = 64
    CLAIM_TEXT_SIZE_MAX = 128
    NO_MAX = -1


cdef bint is_reference(bytes text) noexcept:
    """Return whether a text is printable ASCII of a length that a partner's reference may have."""
    return (0 < PyBytes_GET_SIZE(text) <= REFERENCE_SIZE_MAX and text.isascii()
            and text.decode().isprintable())


cdef str name_of(tuple names, int number):
    """Return what a number is called, the number itself where it has no name."""
    return (names[number] if 0 <= number < len(names) else "") or str(number)


@cython.final
@cython.freelist(256)
cdef class Operation:
    cdef:
        # What is asked for.
        readonly int kind
        readonly bytes customer_id
        readonly bytes transaction_id
        readonly int64_t fingerprint
        readonly int32_t brand_id
        readonly int32_t store_id
        readonly int32_t asset
        readonly int64_t requested
        readonly int64_t expires_day
        readonly int64_t coins
        readonly int64_t coins_expires_day
        readonly int64_t utc_offset
        readonly int64_t occurred_at
        readonly int64_t bill_amount
        readonly bytes invoice_number
        readonly bytes invoice_scope
        readonly int64_t coins_max
        readonly bint printed
        readonly int claim_kind
        readonly int32_t claim_owner
        readonly bytes claim_key
        readonly int cause
        readonly int32_t by_id
        readonly int till
        readonly bytes details
        readonly bytes reference
        readonly bytes code_mac
        readonly int32_t cashier_id
        readonly int64_t hold_expires_at
        readonly int32_t tries_max
        readonly int32_t resends_max
        readonly bint needs_profile
        readonly int32_t item_id
        readonly int32_t unit
        readonly int32_t turn
        readonly int32_t party_id
        readonly bytes claim_reference
        readonly int64_t qr_issued_at
        readonly bytes allotment_id
        readonly list original
        readonly int barred
        # What came of it.
        public int outcome
        public int refusal
        public int32_t missing_fields
        public int64_t amount
        public int64_t balance
        public int64_t held
        public int64_t earned_expires_day
        public bint has_coins
        public int64_t coins_amount
        public int64_t coins_balance
        public int64_t recorded_at
        public int32_t tries_left
        public int32_t resends_left
        # The committer's own: who waits for it, since when, and how often it was tried.
        public object waiter
        public double waiting_since
        public int tries
        public bint replayed
        public object recorded

    def __init__(self, *, int kind, bytes customer_id not None, bytes transaction_id not None,
                 int64_t fingerprint=0, int32_t brand_id=0, int32_t store_id=0,
                 int32_t asset=COINS, int64_t requested=0, int64_t expires_day=0,
                 int64_t coins=0, int64_t coins_expires_day=0, int64_t utc_offset=0,
                 int64_t occurred_at=0, int64_t bill_amount=NO_VALUE, bytes invoice_number=None,
                 bytes invoice_scope=None, int64_t coins_max=NO_MAX, bint printed=False,
                 int cause=NO_CAUSE, int32_t by_id=0, int till=0,
                 bytes details=None, bytes reference=None, bytes code_mac=None,
                 int32_t cashier_id=0, int64_t hold_expires_at=0, int32_t tries_max=0,
                 int32_t resends_max=0, bint needs_profile=False, int32_t item_id=0,
                 int32_t unit=0, int32_t turn=0, int32_t party_id=0,
                 bytes claim_reference=None, int64_t qr_issued_at=0, bytes allotment_id=None,
                 list original=None, int barred=NOT_REFUSED):
        if PyBytes_GET_SIZE(customer_id) != 16 or PyBytes_GET_SIZE(transaction_id) != 16:
            raise ValueError("an id has 16 bytes")
        if reference is not None and PyBytes_GET_SIZE(reference) != 16:
            raise ValueError("a reference has 16 bytes")
        if code_mac is not None and PyBytes_GET_SIZE(code_mac) != 16:
            raise ValueError("a code's MAC has 16 bytes")
        if not (0 <= requested <= BALANCE_MAX and 0 <= coins <= BALANCE_MAX):
            raise ValueError("an amount is out of range")
        if not (0 <= expires_day <= EXPIRES_NEVER and 0 <= coins_expires_day <= EXPIRES_NEVER):
            raise ValueError("a last day is out of range")
        if asset < 0 or brand_id < 0:
            raise ValueError("a brand's id is below zero")
        if cashier_id < 0 or (cashier_id and kind != CAPTURE):
            raise ValueError("nothing but a typed code is of a cashier")
        if invoice_scope is not None and (invoice_number is None or not invoice_scope):
            raise ValueError("a scope is of an invoice number, and has a text")
        if coins_max < NO_MAX or (coins_max != NO_MAX and (invoice_number is None
                                                           or not begins_payment(kind))):
            raise ValueError("nothing but a payment of an invoice has as many coins at most")
        if printed and coins_max == NO_MAX:
            raise ValueError("what was printed has an amount")
        if by_id < 0 or not 0 <= till <= 0x7FFF:
            raise ValueError("a principal or a till is out of range")
        if not NO_CAUSE <= cause <= MISTAKE or (cause and kind != REVERSAL):
            raise ValueError("nothing but a reversal has a cause")
        if item_id < 0 or unit < 0 or turn < 0:
            raise ValueError("an item's id, unit or turn is below zero")
        if (unit or turn) and not item_id:
            raise ValueError("a unit and a turn need the item that they are of")
        if item_id and not takes_item(kind):
            raise ValueError("nothing but a redemption and a payment is of an item")
        if ((expires_day == DEBT_DAY and requested and earns(kind))
                or (coins_expires_day == DEBT_DAY and coins)):
            raise ValueError("the last day of what is earned is out of range")
        self.kind = kind
        self.customer_id = customer_id
        self.transaction_id = transaction_id
        self.fingerprint = fingerprint
        self.brand_id = brand_id
        self.store_id = store_id
        self.asset = asset
        self.requested = requested
        self.expires_day = expires_day
        self.coins = coins
        self.coins_expires_day = coins_expires_day
        self.utc_offset = utc_offset
        self.occurred_at = occurred_at
        self.bill_amount = bill_amount
        self.invoice_number = invoice_number
        self.invoice_scope = invoice_scope
        self.coins_max = coins_max
        self.printed = printed
        self.cause = cause
        self.by_id = by_id
        self.till = till
        self.details = details
        self.reference = reference
        self.code_mac = code_mac
        self.cashier_id = cashier_id
        self.hold_expires_at = hold_expires_at
        self.tries_max = tries_max
        self.resends_max = resends_max
        self.needs_profile = needs_profile
        self.item_id = item_id
        self.unit = unit
        self.turn = turn
        self.party_id = party_id
        self.claim_reference = claim_reference
        self.qr_issued_at = qr_issued_at
        self.allotment_id = allotment_id
        self.original = original
        self.barred = barred
        self.check_kind()
        self.check_party()
        self.set_claim()
        self.check_allotment()
        self.check_original()

    def __repr__(self):
        became = name_of(OUTCOME_NAMES, self.outcome)
        if self.refusal:
            became = f"refused, {name_of(REFUSAL_NAMES, self.refusal)}"
        return (f"<Operation {self.transaction_id.hex()}: {name_of(KIND_NAMES, self.kind)} of "
                f"{self.requested} for {self.customer_id.hex()}, {became}>")

    cdef int check_kind(self) except -1:
        if self.kind == ACCUMULATION or self.kind == REDEMPTION:
            if self.asset == COINS:
                raise ValueError("an accumulation and a redemption are of a brand's points")
        elif self.kind in (PAYMENT, CONVERSION, CASHBACK, DONATION):
            if self.asset != COINS:
                raise ValueError("coins are of no brand's kind of points")
        elif self.kind == HOLD:
            if (self.code_mac is None or not 0 < self.tries_max <= 0x7FFF
                    or not 0 <= self.resends_max <= 0x7FFF):
                raise ValueError("a hold needs a code, tries and resends")
        elif self.kind == RESEND:
            if self.code_mac is None:
                raise ValueError("a resend needs a code")
        elif not asked(self.kind):
            raise ValueError(f"no operation has the kind {self.kind}")
        return 0

    cdef int check_party(self) except -1:
        """Check who is on the other side of coins, and what may be claimed of them once."""
        if self.party_id < 0 or (self.party_id > 0) != has_party(self.kind):
            raise ValueError("a conversion or a donation needs its other party, others have none")
        if (self.claim_reference is not None) != (self.kind in (CONVERSION, CASHBACK)):
            raise ValueError("a conversion needs a reference, a cashback an order, others none")
        if self.claim_reference is not None and not is_reference(self.claim_reference):
            raise ValueError("a reference or an order has 1 to 64 printable ASCII characters")
        if self.qr_issued_at < 0 or (self.qr_issued_at and self.kind != PAYMENT):
            raise ValueError("nothing but a payment is by a QR")
        return 0

    cdef int set_claim(self) except -1:
        """Find out what happens once by this (PTS-7, SYS-9, INV-8), and by which key."""
        cdef bytes text = self.claim_reference
        if self.kind == ACCUMULATION:
            text = self.invoice_number
            if text is not None:
                self.claim_kind = INVOICE
                self.claim_owner = self.store_id
        elif self.kind == CONVERSION:
            self.claim_kind = REFERENCE
            self.claim_owner = self.party_id
        elif self.kind == CASHBACK:
            self.claim_kind = ORDER
            self.claim_owner = self.brand_id
        elif begins_payment(self.kind):
            text = self.invoice_number
        if text is None:
            return 0
        if PyBytes_GET_SIZE(text) > CLAIM_TEXT_SIZE_MAX:
            raise ValueError("what is claimed has a longer text than is allowed")
        self.claim_key = claim_key(text, self.invoice_scope)
        if (PyBytes_GET_SIZE(self.claim_key) == 0
                or PyBytes_AS_STRING(self.claim_key)[0] == SCOPE_SIGN):
            raise ValueError("what is claimed has a letter or a digit")
        return 0

    cdef int check_allotment(self) except -1:
        """Check what the coins are drawn from that a prepaid issuer gives."""
        if self.allotment_id is None:
            return 0
        if PyBytes_GET_SIZE(self.allotment_id) != 16:
            raise ValueError("an allotment's id has 16 bytes")
        if not self.coins_issued:
            raise ValueError("nothing but what issues coins draws from an allotment")
        return 0

    cdef int check_original(self) except -1:
        """Check what is reversed, and take over whose it is and how much."""
        cdef Leg leg
        if (self.original is not None) != (self.kind == REVERSAL):
            raise ValueError("a reversal needs the legs of its original, others have none")
        if self.original is None:
            return 0
        if self.reference is None or not self.original:
            raise ValueError("a reversal needs the transaction that it is of")
        if len({(<Leg?> each).asset for each in self.original}) != len(self.original):
            raise ValueError("two legs of one wallet are not reversed together")
        leg = self.original[0]
        self.asset = leg.asset
        self.requested = abs(leg.total())
        return 0

    def bar(self, int refusal, bytes details=None):
        """Refuse it for a reason that the wallets do not know; `details` replace those it has."""
        self.barred = refusal
        if details is not None:
            self.details = details

    @property
    def coins_issued(self):
        """How many coins a brand issues by this, where it is not refused (COI-2)."""
        if self.kind == CASHBACK:
            return self.requested
        return self.coins if self.kind == ACCUMULATION else 0

    cdef void forget(self) noexcept:
        """Start over: an operation may be decided again, on another state."""
        self.outcome = UNDECIDED
        self.refusal = NOT_REFUSED
        self.missing_fields = 0
        self.amount = 0
        self.balance = 0
        self.held = 0
        self.earned_expires_day = 0
        self.has_coins = False
        self.coins_amount = 0
        self.coins_balance = 0
        self.recorded_at = 0
        self.tries_left = 0
        self.resends_left = 0

    cdef void refuse(self, int code, Wallet wallet) noexcept:
        self.outcome = POSTED
        self.refusal = code
        self.amount = 0
        self.balance = wallet.planned.balance
        self.held = wallet.planned.held
        self.recorded_at = wallet.planned.recorded_at

    cdef void succeed(self, int64_t amount, Wallet wallet) noexcept:
        self.outcome = POSTED
        self.refusal = NOT_REFUSED
        self.amount = amount
        self.balance = wallet.planned.balance
        self.held = wallet.planned.held
        self.recorded_at = wallet.planned.recorded_at
