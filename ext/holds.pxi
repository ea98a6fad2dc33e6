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
# A hold for an invoice (INV-8) has bit 30 set, and after that
#   length of its key 2 · key

cdef enum:
    HOLD_SIZE = 64
    HOLD_ITEM_SIZE = 12
    HOLD_LOT_SIZE = 16
    HOLD_COINS = 16                 # where its coins stand
    HOLD_LOTS = 60                  # where the number of its lots stands
    LOTS_MASK = 0x3FFFFFFF
    INVOICE_BIT = 1 << 30

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
        readonly bytes invoice_key      # of an invoice of the store; None: of no invoice
        Lots lots_taken

    def __dealloc__(self):
        PyMem_Free(self.lots_taken.items)

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
    changed.invoice_key = hold.invoice_key
    lots_copy(&changed.lots_taken, &hold.lots_taken)
    return changed


cdef Py_ssize_t holds_size(list holds):
    cdef:
        Py_ssize_t size = 0
        Hold hold
    for hold in holds:
        size += (HOLD_SIZE + (HOLD_ITEM_SIZE if hold.item_id else 0)
                 + HOLD_LOT_SIZE * hold.lots_taken.length)
        if hold.invoice_key is not None:
            size += 2 + PyBytes_GET_SIZE(hold.invoice_key)
    return size


cdef uint8_t* put_holds_field(uint8_t* at, list holds):
    cdef:
        Hold hold
        int32_t lot
    if not holds:
        return put_null(at)
    at = put_int32(at, holds_size(holds))
    for hold in holds:
        at = put_bytes(at, PyBytes_AS_STRING(hold.payment_id), 16)
        at = put_int64(at, hold.coins)
        at = put_int64(at, hold.expires_at)
        at = put_bytes(at, PyBytes_AS_STRING(hold.code_mac), 16)
        at = put_int32(at, hold.brand_id)
        at = put_int32(at, hold.store_id)
        at = put_int16(at, hold.tries_left)
        at = put_int16(at, hold.resends_left)
        at = put_int32(at, hold.lots_taken.length | (ITEM_BIT if hold.item_id else 0)
                       | (INVOICE_BIT if hold.invoice_key is not None else 0))
        if hold.item_id:
            at = put_int32(at, hold.item_id)
            at = put_int32(at, hold.unit)
            at = put_int32(at, hold.turn)
        if hold.invoice_key is not None:
            at = put_int16(at, <int> PyBytes_GET_SIZE(hold.invoice_key))
            at = put_bytes(at, PyBytes_AS_STRING(hold.invoice_key),
                           PyBytes_GET_SIZE(hold.invoice_key))
        for lot in range(hold.lots_taken.length):
            at = put_int64(at, hold.lots_taken.items[lot].key)
            at = put_int64(at, hold.lots_taken.items[lot].amount)
    return at


cdef Py_ssize_t hold_size(const uint8_t* data, Py_ssize_t length) noexcept nogil:
    """Return the bytes of the first hold in `data`, -1 where it is cut short."""
    cdef int64_t size = HOLD_SIZE
    if length < HOLD_SIZE:
        return -1
    if take_int32(&data[HOLD_LOTS]) < 0:
        size += HOLD_ITEM_SIZE
    if take_int32(&data[HOLD_LOTS]) & INVOICE_BIT:
        if size + 2 > length:
            return -1
        size += 2 + (<int> data[size] << 8 | data[size + 1])
    size += HOLD_LOT_SIZE * (take_int32(&data[HOLD_LOTS]) & LOTS_MASK)
    return size if size <= length else -1


cdef list take_holds(bytes packed):
    """Read the column `holds`; raises ValueError where it is not what put_holds_field wrote."""
    cdef:
        list holds = []
        const uint8_t* data
        Py_ssize_t at = 0
        Py_ssize_t length
        int32_t count, lot
        bint of_item, of_invoice
        Py_ssize_t key_size
        Hold hold
    if packed is None:
        return holds
    data = <const uint8_t*> PyBytes_AS_STRING(packed)
    length = PyBytes_GET_SIZE(packed)
    while at < length:
        if hold_size(&data[at], length - at) < 0:
            raise ValueError("a hold is cut short")
        hold = Hold.__new__(Hold)
        hold.payment_id = packed[at:at + 16]
        hold.coins = take_int64(&data[at + HOLD_COINS])
        hold.expires_at = take_int64(&data[at + 24])
        hold.code_mac = packed[at + 32:at + 48]
        hold.brand_id = <int32_t> take_int32(&data[at + 48])
        hold.store_id = <int32_t> take_int32(&data[at + 52])
        hold.tries_left = <int32_t> (take_int32(&data[at + 56]) >> 16)
        hold.resends_left = <int32_t> (take_int32(&data[at + 56]) & 0xFFFF)
        of_item = take_int32(&data[at + HOLD_LOTS]) < 0
        of_invoice = (take_int32(&data[at + HOLD_LOTS]) & INVOICE_BIT) != 0
        count = <int32_t> (take_int32(&data[at + HOLD_LOTS]) & LOTS_MASK)
        at += HOLD_SIZE
        if of_item:
            hold.item_id = <int32_t> take_int32(&data[at])
            hold.unit = <int32_t> take_int32(&data[at + 4])
            hold.turn = <int32_t> take_int32(&data[at + 8])
            at += HOLD_ITEM_SIZE
        if of_invoice:
            key_size = <int> data[at] << 8 | data[at + 1]
            hold.invoice_key = packed[at + 2:at + 2 + key_size]
            at += 2 + key_size
        lots_reserve(&hold.lots_taken, count)
        for lot in range(count):
            hold.lots_taken.items[lot].key = take_int64(&data[at])
            hold.lots_taken.items[lot].amount = take_int64(&data[at + 8])
            at += HOLD_LOT_SIZE
        hold.lots_taken.length = count
        holds.append(hold)
    return holds
