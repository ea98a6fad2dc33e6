# Made by `python -m tools.generate --write`; not to be edited.
# The numbers of the journal and the facts of the verbs, from engine/codes.py.

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
    DEBT_DAY = 0
    BALANCE_MAX = 9007199254740992
    BALANCE_MIN = -9007199254740992      # so that C takes these for signed

cdef int64_t PARTNER_BIT = 2147483648

cdef tuple KIND_NAMES = ("", "accumulation", "redemption", "hold", "capture", "void", "release",
                         "resend", "expiry", "block", "unblock", "opening", "payment", "conversion",
                         "cashback", "donation", "reversal", "repayment")
cdef tuple REFUSAL_NAMES = ("", "customer_blocked", "profile_incomplete", "insufficient_points",
                            "insufficient_coins", "coins_not_accepted", "qr_invalid",
                            "invoice_already_claimed", "out_of_stock", "limit_reached",
                            "not_available", "code_invalid", "code_exhausted", "payment_expired",
                            "reference_already_used", "already_reversed", "not_reversible",
                            "exceeds_invoice", "invoice_voided")
cdef tuple OUTCOME_NAMES = ("undecided", "posted", "unknown_customer", "unknown_payment", "taken",
                            "written_down")


cdef inline bint asked(int kind) noexcept nogil:
    return kind in (ACCUMULATION, REDEMPTION, HOLD, CAPTURE, VOID, RESEND, EXPIRY, BLOCK, UNBLOCK,
                    PAYMENT, CONVERSION, CASHBACK, DONATION, REVERSAL)


cdef inline bint earns(int kind) noexcept nogil:
    return kind in (ACCUMULATION, CONVERSION, CASHBACK)


cdef inline bint spends(int kind) noexcept nogil:
    return kind in (REDEMPTION, CAPTURE, PAYMENT, DONATION)


cdef inline bint reversible(int kind) noexcept nogil:
    return kind in (ACCUMULATION, REDEMPTION, CAPTURE, PAYMENT, CONVERSION, CASHBACK, DONATION)


cdef inline bint issues(int kind) noexcept nogil:
    return kind in (ACCUMULATION, CASHBACK)


cdef inline bint has_party(int kind) noexcept nogil:
    return kind in (CONVERSION, DONATION)


cdef inline bint takes_item(int kind) noexcept nogil:
    return kind in (REDEMPTION, HOLD, PAYMENT)


cdef inline bint begins_payment(int kind) noexcept nogil:
    return kind in (HOLD, PAYMENT)


cdef inline bint needs_hold(int kind) noexcept nogil:
    return kind in (CAPTURE, VOID, RESEND)


cdef inline bint sends_code(int kind) noexcept nogil:
    return kind in (HOLD, RESEND)


cdef inline bint gives_back(int kind) noexcept nogil:
    return kind in (CAPTURE, VOID, RELEASE)


cdef inline bint fresh(int kind) noexcept nogil:
    return kind in (EXPIRY, BLOCK, UNBLOCK)


cdef inline bint urgent(int kind) noexcept nogil:
    return kind in (HOLD, CAPTURE, VOID, RESEND, BLOCK, UNBLOCK, PAYMENT, REVERSAL)


cdef inline bint standing(int kind) noexcept nogil:
    return kind in (BLOCK, UNBLOCK)


cdef inline bint exchanges(int kind) noexcept nogil:
    return kind in (CONVERSION, CASHBACK, DONATION)


cdef inline bint shown_empty(int kind) noexcept nogil:
    return kind in (ACCUMULATION, REDEMPTION, REVERSAL)


cdef inline bint internal(int kind) noexcept nogil:
    return kind in (EXPIRY, OPENING, REPAYMENT)


cdef inline bint may_refuse(int kind, int refusal) noexcept nogil:
    """Return whether a verb is ever answered with that refusal."""
    if kind == ACCUMULATION:
        return refusal in (CUSTOMER_BLOCKED, INVOICE_ALREADY_CLAIMED, LIMIT_REACHED, INVOICE_VOIDED)
    if kind == REDEMPTION:
        return refusal in (CUSTOMER_BLOCKED, PROFILE_INCOMPLETE, INSUFFICIENT_POINTS, OUT_OF_STOCK,
                           LIMIT_REACHED, NOT_AVAILABLE)
    if kind == HOLD:
        return refusal in (CUSTOMER_BLOCKED, PROFILE_INCOMPLETE, INSUFFICIENT_COINS,
                           COINS_NOT_ACCEPTED, OUT_OF_STOCK, LIMIT_REACHED, NOT_AVAILABLE,
                           EXCEEDS_INVOICE, INVOICE_VOIDED)
    if kind == CAPTURE:
        return refusal in (CUSTOMER_BLOCKED, CODE_INVALID, CODE_EXHAUSTED, PAYMENT_EXPIRED,
                           INVOICE_VOIDED)
    if kind == RESEND:
        return refusal in (LIMIT_REACHED, CODE_EXHAUSTED, PAYMENT_EXPIRED, INVOICE_VOIDED)
    if kind == PAYMENT:
        return refusal in (CUSTOMER_BLOCKED, PROFILE_INCOMPLETE, INSUFFICIENT_COINS,
                           COINS_NOT_ACCEPTED, QR_INVALID, OUT_OF_STOCK, LIMIT_REACHED,
                           NOT_AVAILABLE, EXCEEDS_INVOICE, INVOICE_VOIDED)
    if kind == CONVERSION:
        return refusal in (CUSTOMER_BLOCKED, LIMIT_REACHED, REFERENCE_ALREADY_USED)
    if kind == CASHBACK:
        return refusal in (CUSTOMER_BLOCKED, LIMIT_REACHED, NOT_AVAILABLE, REFERENCE_ALREADY_USED)
    if kind == DONATION:
        return refusal in (CUSTOMER_BLOCKED, INSUFFICIENT_COINS)
    if kind == REVERSAL:
        return refusal in (LIMIT_REACHED, ALREADY_REVERSED, NOT_REVERSIBLE)
    return False
