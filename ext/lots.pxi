# Lots: what a wallet holds, kept apart by the day it expires and by who issued it.
#
# A lot's key is `expires_day << 32 | issuer`, so the order of keys is the order of spending: the
# earliest expiry first (PTS-4), then the lowest issuer. Lots with one key merge. A vector is always
# sorted by key and holds no empty lot. An issuer is a brand, or a partner from PARTNER_BIT on.
#
# What a customer owes is a lot below zero of the day DEBT_DAY: a debt to the issuer of what was
# taken back and not there any more (PTS-8). It never expires and stands before all lots, and the
# sum of both is the balance. Between two operations a wallet has debts or lots, never both.
#
# They are in Python's memory, which is made for many small pieces.

cdef enum:
    LOT_WIRE_SIZE = 24              # two bigints of an array, each with its length
    ARRAY_HEADER_SIZE = 20
    BIGINT_OID = 20
    EXPIRES_NEVER = 0x7FFFFFFF


cdef struct Lot:
    int64_t key
    int64_t amount


cdef struct Lots:
    Lot* items
    int32_t length
    int32_t capacity


cdef inline int64_t lot_key(int64_t expires_day, int64_t issuer) noexcept nogil:
    return (expires_day << 32) | issuer


cdef inline int64_t lot_expires_day(int64_t key) noexcept nogil:
    return key >> 32


cdef inline int64_t lot_issuer(int64_t key) noexcept nogil:
    return <uint32_t> key


cdef int lots_reserve(Lots* lots, Py_ssize_t capacity) except -1:
    cdef Lot* items
    if capacity <= lots.capacity:
        return 0
    items = <Lot*> PyMem_Realloc(lots.items, capacity * sizeof(Lot))
    if items == NULL:
        raise MemoryError("no memory for a wallet's lots")
    lots.items = items
    lots.capacity = <int32_t> capacity
    return 0


cdef void lots_fit(Lots* lots) noexcept:
    """Give back the memory that no lot uses; where that fails nothing is lost."""
    cdef Lot* items
    if lots.length == lots.capacity or lots.length == 0:
        return
    items = <Lot*> PyMem_Realloc(lots.items, lots.length * sizeof(Lot))
    if items != NULL:
        lots.items = items
        lots.capacity = lots.length


cdef int lots_copy(Lots* target, const Lots* source) except -1:
    lots_reserve(target, source.length)
    if source.length:
        memcpy(target.items, source.items, source.length * sizeof(Lot))
    target.length = source.length
    return 0


cdef void lots_drop(Lots* lots, int32_t first, int32_t count) noexcept nogil:
    if count:
        memmove(&lots.items[first], &lots.items[first + count],
                (lots.length - first - count) * sizeof(Lot))
        lots.length -= count


cdef int lots_add(Lots* lots, int64_t key, int64_t amount) except -1:
    """Merge `amount` into the lot `key`, which is gone at 0; raises OverflowError, MemoryError."""
    cdef int32_t at = lots.length
    if amount == 0:
        return 0
    while at > 0 and lots.items[at - 1].key > key:
        at -= 1
    if at > 0 and lots.items[at - 1].key == key:
        lots.items[at - 1].amount = add_checked(lots.items[at - 1].amount, amount)
        if lots.items[at - 1].amount == 0:
            lots_drop(lots, at - 1, 1)
        return 0
    if lots.length == lots.capacity:
        lots_reserve(lots, max(2, lots.capacity + lots.capacity // 2))
    memmove(&lots.items[at + 1], &lots.items[at], (lots.length - at) * sizeof(Lot))
    lots.items[at].key = key
    lots.items[at].amount = amount
    lots.length += 1
    return 0


cdef int lots_spend(Lots* lots, int64_t amount, Lots* moved) except -1:
    """Take `amount`, which must be there, from the earliest lots on; `moved` gets what left."""
    cdef:
        int32_t emptied = 0
        int64_t taken
    moved.length = 0
    while amount > 0:
        assert emptied < lots.length, "the lots hold less than the balance says"
        taken = min(amount, lots.items[emptied].amount)
        lots_add(moved, lots.items[emptied].key, taken)
        lots.items[emptied].amount -= taken
        amount -= taken
        if lots.items[emptied].amount == 0:
            emptied += 1
    lots_drop(lots, 0, emptied)
    return 0


cdef int32_t lots_debts(const Lots* lots) noexcept nogil:
    """Return how many of the lots are debts: they stand first."""
    cdef int32_t debts = 0
    while debts < lots.length and lot_expires_day(lots.items[debts].key) == DEBT_DAY:
        debts += 1
    return debts


cdef bint lots_are_mixed(const Lots* lots) noexcept nogil:
    """Return whether there are debts and lots to repay them from."""
    return (lots.length > 1 and lot_expires_day(lots.items[0].key) == DEBT_DAY
            and lot_expires_day(lots.items[lots.length - 1].key) != DEBT_DAY)


cdef int64_t lots_expire(Lots* lots, int64_t today, Lots* moved) except -1:
    """Take the lots whose last day is before `today` (PTS-5); return how much they held."""
    cdef:
        int32_t debts = lots_debts(lots)
        int32_t end = debts
        int64_t total = 0
    moved.length = 0
    while end < lots.length and lot_expires_day(lots.items[end].key) < today:
        lots_add(moved, lots.items[end].key, lots.items[end].amount)
        total += lots.items[end].amount
        end += 1
    lots_drop(lots, debts, end - debts)
    return total


cdef int64_t lots_repay(Lots* lots, Lots* moved) except -1:
    """Repay debts in their order from the earliest lots on, as far as these go; return how much.

    `moved` gets what is added to debts and what is taken from lots: its sum is 0.
    """
    cdef:
        int32_t debts = lots_debts(lots)
        int32_t repaid = 0
        int32_t emptied = debts
        int64_t taken
        int64_t total = 0
    moved.length = 0
    while repaid < debts and emptied < lots.length:
        taken = min(-lots.items[repaid].amount, lots.items[emptied].amount)
        lots_add(moved, lots.items[repaid].key, taken)
        lots_add(moved, lots.items[emptied].key, -taken)
        lots.items[repaid].amount += taken
        lots.items[emptied].amount -= taken
        total += taken
        if lots.items[emptied].amount == 0:
            emptied += 1
        if lots.items[repaid].amount == 0:
            repaid += 1
    lots_drop(lots, debts, emptied - debts)
    lots_drop(lots, 0, repaid)
    return total


cdef int64_t lots_amount(const Lots* lots, int64_t key) noexcept nogil:
    """Return what the lot `key` holds, 0 where there is none."""
    cdef int32_t at
    for at in range(lots.length):
        if lots.items[at].key == key:
            return lots.items[at].amount
    return 0


cdef bint lots_are_sound(const Lots* lots) noexcept nogil:
    """Return whether the lots are sorted, each key once, debts below zero and the others above."""
    cdef:
        int32_t debts = lots_debts(lots)
        int32_t at
    for at in range(lots.length):
        if lots.items[at].amount == 0 or (lots.items[at].amount < 0) != (at < debts):
            return False
        if at > 0 and lots.items[at - 1].key >= lots.items[at].key:
            return False
    return True


cdef int64_t lots_total(const Lots* lots) noexcept nogil:
    cdef:
        int64_t total = 0
        int32_t at
    for at in range(lots.length):
        total += lots.items[at].amount
    return total


cdef uint8_t* put_lots_field(uint8_t* at, const Lots* lots, int64_t sign) noexcept nogil:
    """Write lots as a bigint[] of key, amount, key, amount …; the amounts times `sign`."""
    cdef int32_t number
    if lots.length == 0:
        at = put_int32(at, 12)
        at = put_int32(at, 0)
        at = put_int32(at, 0)
        return put_int32(at, BIGINT_OID)
    at = put_int32(at, ARRAY_HEADER_SIZE + LOT_WIRE_SIZE * lots.length)
    at = put_int32(at, 1)
    at = put_int32(at, 0)
    at = put_int32(at, BIGINT_OID)
    at = put_int32(at, 2 * lots.length)
    at = put_int32(at, 1)
    for number in range(lots.length):
        at = put_int64_field(at, lots.items[number].key)
        at = put_int64_field(at, sign * lots.items[number].amount)
    return at


cdef int take_lots(Lots* lots, const uint8_t* data, Py_ssize_t length) except -1:
    """Read what put_lots_field wrote, without its length; raises ValueError on anything else."""
    cdef Py_ssize_t count, at
    lots.length = 0
    if length == 12 and take_int32(data) == 0:
        return 0
    if (length < ARRAY_HEADER_SIZE or (length - ARRAY_HEADER_SIZE) % LOT_WIRE_SIZE
            or take_int32(data) != 1 or take_int32(&data[8]) != BIGINT_OID):
        raise ValueError("not an array of lots")
    count = (length - ARRAY_HEADER_SIZE) // LOT_WIRE_SIZE
    lots_reserve(lots, count)
    for at in range(count):
        lots.items[at].key = take_int64(&data[ARRAY_HEADER_SIZE + LOT_WIRE_SIZE * at + 4])
        lots.items[at].amount = take_int64(&data[ARRAY_HEADER_SIZE + LOT_WIRE_SIZE * at + 16])
    lots.length = <int32_t> count
    return 0


cdef list lots_list(const Lots* lots):
    return [(lots.items[at].key, lots.items[at].amount) for at in range(lots.length)]
