# Holds: coins set aside for a payment until its code is typed, it is voided, or its time is up.
#
# A hold keeps the very lots it took, so that a void or a release gives them back with the expiry
# they had. Holds are never changed in place: a change makes a new Hold, so the committed state and
# the one that a batch has planned can share what did not change.
#
# On the wire, big-endian, one hold after the other in the order they were placed:
#   payment_id 16 · coins 8 · expires_at 8 · code_mac 16 · brand_id 4 · store_id 4
#   · tries_left 2 · resends_left 2 · number of lots 4 · (lot key 8 · amount 8)…
# A hold for an item (RED-6) has bit 31 of the number of lots set, and after it
#   item_id 4 · unit 4 · turn 4

cdef enum:
    HOLD_SIZE = 64
    HOLD_ITEM_SIZE = 12
    HOLD_LOT_SIZE = 16
    LOTS_MASK = 0x7FFFFFFF

cdef uint32_t ITEM_BIT = <uint32_t> 1 << 31


@cython.final
@cython.freelist(64)
cdef class Hold:
    cdef:
        readonly bytes payment_id
        readonly bytes code_mac
        readonly int64_t coins
        readonly int64_t expires_at
        readonly int32_t brand_id
        readonly int32_t store_id
        readonly int32_t tries_left
        readonly int32_t resends_left
        readonly int32_t item_id
        readonly int32_t unit
        readonly int32_t turn
        Lots lots_taken

    def __dealloc__(self):
        free(self.lots_taken.items)

    @property
    def lots(self):
        return lots_list(&self.lots_taken)


cdef Hold hold_with(Hold hold, bytes code_mac, int tries_left, int resends_left):
    """Return `hold` with another code or other numbers left; the lots are copied."""
    cdef Hold changed = Hold.__new__(Hold)
    changed.payment_id = hold.payment_id
    changed.code_mac = code_mac
    changed.coins = hold.coins
    changed.expires_at = hold.expires_at
    changed.brand_id = hold.brand_id
    changed.store_id = hold.store_id
    changed.tries_left = tries_left
    changed.resends_left = resends_left
    changed.item_id = hold.item_id
    changed.unit = hold.unit
    changed.turn = hold.turn
    lots_copy(&changed.lots_taken, &hold.lots_taken)
    return changed


cdef Py_ssize_t holds_size(list holds):
    cdef:
        Py_ssize_t size = 0
        Hold hold
    for hold in holds:
        size += (HOLD_SIZE + (HOLD_ITEM_SIZE if hold.item_id else 0)
                 + HOLD_LOT_SIZE * hold.lots_taken.length)
    return size


cdef void put_holds_field(Buffer* buffer, list holds):
    cdef:
        Hold hold
        int32_t at
    if not holds:
        put_null(buffer)
        return
    put_int32(buffer, holds_size(holds))
    for hold in holds:
        put_bytes(buffer, PyBytes_AS_STRING(hold.payment_id), 16)
        put_int64(buffer, hold.coins)
        put_int64(buffer, hold.expires_at)
        put_bytes(buffer, PyBytes_AS_STRING(hold.code_mac), 16)
        put_int32(buffer, hold.brand_id)
        put_int32(buffer, hold.store_id)
        put_int16(buffer, hold.tries_left)
        put_int16(buffer, hold.resends_left)
        put_int32(buffer, hold.lots_taken.length | (ITEM_BIT if hold.item_id else 0))
        if hold.item_id:
            put_int32(buffer, hold.item_id)
            put_int32(buffer, hold.unit)
            put_int32(buffer, hold.turn)
        for at in range(hold.lots_taken.length):
            put_int64(buffer, hold.lots_taken.items[at].key)
            put_int64(buffer, hold.lots_taken.items[at].amount)


cdef list take_holds(bytes packed):
    """Read the column `holds`; raises ValueError where it is not what put_holds_field wrote."""
    cdef:
        list holds = []
        const uint8_t* data
        Py_ssize_t at = 0
        Py_ssize_t length
        int32_t count, lot
        bint of_item
        Hold hold
    if packed is None:
        return holds
    data = <const uint8_t*> PyBytes_AS_STRING(packed)
    length = PyBytes_GET_SIZE(packed)
    while at < length:
        if length - at < HOLD_SIZE:
            raise ValueError("a hold is cut short")
        hold = Hold.__new__(Hold)
        hold.payment_id = packed[at:at + 16]
        hold.coins = take_int64(&data[at + 16])
        hold.expires_at = take_int64(&data[at + 24])
        hold.code_mac = packed[at + 32:at + 48]
        hold.brand_id = <int32_t> take_int32(&data[at + 48])
        hold.store_id = <int32_t> take_int32(&data[at + 52])
        hold.tries_left = <int32_t> (take_int32(&data[at + 56]) >> 16)
        hold.resends_left = <int32_t> (take_int32(&data[at + 56]) & 0xFFFF)
        of_item = take_int32(&data[at + 60]) < 0
        count = <int32_t> (take_int32(&data[at + 60]) & LOTS_MASK)
        at += HOLD_SIZE
        if of_item:
            if length - at < HOLD_ITEM_SIZE:
                raise ValueError("the item of a hold is cut short")
            hold.item_id = <int32_t> take_int32(&data[at])
            hold.unit = <int32_t> take_int32(&data[at + 4])
            hold.turn = <int32_t> take_int32(&data[at + 8])
            at += HOLD_ITEM_SIZE
        if length - at < HOLD_LOT_SIZE * <Py_ssize_t> count:
            raise ValueError("the lots of a hold are cut short")
        lots_reserve(&hold.lots_taken, count)
        for lot in range(count):
            hold.lots_taken.items[lot].key = take_int64(&data[at])
            hold.lots_taken.items[lot].amount = take_int64(&data[at + 8])
            at += HOLD_LOT_SIZE
        hold.lots_taken.length = count
        holds.append(hold)
    return holds
