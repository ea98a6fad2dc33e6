# Lots: what a wallet holds, kept apart by the day it expires and by who issued it.
#
# A lot's key is `expires_day << 32 | issuer`, so the order of keys is the order of spending: the
# earliest expiry first (PTS-4), then the lowest issuer. Lots with one key merge. A vector is always
# sorted by key and holds no empty lot.

from libc.stdlib cimport calloc, malloc

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


cdef int lots_reserve(Lots* lots, Py_ssize_t capacity) except -1:
    cdef Lot* items
    if capacity <= lots.capacity:
        return 0
    items = <Lot*> realloc(lots.items, capacity * sizeof(Lot))
    if items == NULL:
        raise MemoryError("no memory for a wallet's lots")
    lots.items = items
    lots.capacity = <int32_t> capacity
    return 0


cdef int lots_copy(Lots* target, const Lots* source) except -1:
    lots_reserve(target, source.length)
    if source.length:
        memcpy(target.items, source.items, source.length * sizeof(Lot))
    target.length = source.length
    return 0


cdef int lots_add(Lots* lots, int64_t key, int64_t amount) except -1:
    """Merge `amount` (≥ 0) into the lot `key`; raises OverflowError, MemoryError."""
    cdef int32_t at = lots.length
    if amount == 0:
        return 0
    while at > 0 and lots.items[at - 1].key > key:
        at -= 1
    if at > 0 and lots.items[at - 1].key == key:
        lots.items[at - 1].amount = add_checked(lots.items[at - 1].amount, amount)
        return 0
    if lots.length == lots.capacity:
        lots_reserve(lots, max(2, lots.capacity + lots.capacity // 2))
    memmove(&lots.items[at + 1], &lots.items[at], (lots.length - at) * sizeof(Lot))
    lots.items[at].key = key
    lots.items[at].amount = amount
    lots.length += 1
    return 0


cdef void lots_drop_first(Lots* lots, int32_t count) noexcept nogil:
    if count:
        memmove(lots.items, &lots.items[count], (lots.length - count) * sizeof(Lot))
        lots.length -= count


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
    lots_drop_first(lots, emptied)
    return 0


cdef int64_t lots_expire(Lots* lots, int64_t today, Lots* moved) except -1:
    """Take the lots whose last day is before `today` (PTS-5); return how much they held."""
    cdef:
        int32_t expired = 0
        int64_t total = 0
    moved.length = 0
    while expired < lots.length and lot_expires_day(lots.items[expired].key) < today:
        lots_add(moved, lots.items[expired].key, lots.items[expired].amount)
        total += lots.items[expired].amount
        expired += 1
    lots_drop_first(lots, expired)
    return total


cdef bint lots_are_sound(const Lots* lots) noexcept nogil:
    """Return whether the lots are sorted by key, each key once, and none is empty."""
    cdef int32_t at
    for at in range(lots.length):
        if lots.items[at].amount <= 0:
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


cdef void put_lots_field(Buffer* buffer, const Lots* lots, int64_t sign) noexcept nogil:
    """Write lots as a bigint[] of key, amount, key, amount …; the amounts times `sign`."""
    cdef int32_t at
    if lots.length == 0:
        put_int32(buffer, 12)
        put_int32(buffer, 0)
        put_int32(buffer, 0)
        put_int32(buffer, BIGINT_OID)
        return
    put_int32(buffer, ARRAY_HEADER_SIZE + LOT_WIRE_SIZE * lots.length)
    put_int32(buffer, 1)
    put_int32(buffer, 0)
    put_int32(buffer, BIGINT_OID)
    put_int32(buffer, 2 * lots.length)
    put_int32(buffer, 1)
    for at in range(lots.length):
        put_int64_field(buffer, lots.items[at].key)
        put_int64_field(buffer, sign * lots.items[at].amount)


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
