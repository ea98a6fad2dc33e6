# Holds: coins set aside for a payment until its code is typed, it is voided, or its time is up.
#
# A hold keeps the very lots it took, so that a void or a release gives them back with the expiry
# they had. Holds are never changed in place: a change makes a new Hold, so the committed state and
# the one that a batch has planned can share what did not change.
#
# On the wire they stand one after the other in the order in which they were placed, all numbers
# big-endian; the fields of one are in engine/ledger/layout.py. A hold for an item (RED-6) has
# ITEM_BIT set in the number of its lots, one for an invoice (INV-8) INVOICE_BIT.

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
            size += INVOICE_KEY_LENGTH_SIZE + PyBytes_GET_SIZE(hold.invoice_key)
    return size


cdef uint8_t* put_holds_field(uint8_t* at, list holds):
    cdef:
        Hold hold
        int32_t lot
    if not holds:
        return put_null(at)
    at = put_int32(at, holds_size(holds))
    for hold in holds:
        put_bytes(&at[HOLD_PAYMENT_ID], PyBytes_AS_STRING(hold.payment_id), 16)
        put_int64(&at[HOLD_COINS], hold.coins)
        put_int64(&at[HOLD_EXPIRES_AT], hold.expires_at)
        put_bytes(&at[HOLD_CODE_MAC], PyBytes_AS_STRING(hold.code_mac), 16)
        put_int32(&at[HOLD_BRAND_ID], hold.brand_id)
        put_int32(&at[HOLD_STORE_ID], hold.store_id)
        put_int16(&at[HOLD_TRIES_LEFT], hold.tries_left)
        put_int16(&at[HOLD_RESENDS_LEFT], hold.resends_left)
        put_int32(&at[HOLD_LOTS], hold.lots_taken.length | (ITEM_BIT if hold.item_id else 0)
                  | (INVOICE_BIT if hold.invoice_key is not None else 0))
        at += HOLD_SIZE
        if hold.item_id:
            put_int32(&at[HOLD_ITEM_ITEM_ID], hold.item_id)
            put_int32(&at[HOLD_ITEM_UNIT], hold.unit)
            put_int32(&at[HOLD_ITEM_TURN], hold.turn)
            at += HOLD_ITEM_SIZE
        if hold.invoice_key is not None:
            at = put_int16(at, <int> PyBytes_GET_SIZE(hold.invoice_key))
            at = put_bytes(at, PyBytes_AS_STRING(hold.invoice_key),
                           PyBytes_GET_SIZE(hold.invoice_key))
        for lot in range(hold.lots_taken.length):
            put_int64(&at[HOLD_LOT_KEY], hold.lots_taken.items[lot].key)
            put_int64(&at[HOLD_LOT_AMOUNT], hold.lots_taken.items[lot].amount)
            at += HOLD_LOT_SIZE
    return at


cdef Py_ssize_t hold_size(const uint8_t* data, Py_ssize_t length) noexcept nogil:
    """Return the bytes of the first hold in `data`, -1 where it is cut short."""
    cdef int64_t size = HOLD_SIZE
    if length < HOLD_SIZE:
        return -1
    if take_int32(&data[HOLD_LOTS]) < 0:
        size += HOLD_ITEM_SIZE
    if take_int32(&data[HOLD_LOTS]) & INVOICE_BIT:
        if size + INVOICE_KEY_LENGTH_SIZE > length:
            return -1
        size += INVOICE_KEY_LENGTH_SIZE + take_int16(&data[size])
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
        hold.expires_at = take_int64(&data[at + HOLD_EXPIRES_AT])
        hold.code_mac = packed[at + HOLD_CODE_MAC:at + HOLD_BRAND_ID]
        hold.brand_id = <int32_t> take_int32(&data[at + HOLD_BRAND_ID])
        hold.store_id = <int32_t> take_int32(&data[at + HOLD_STORE_ID])
        hold.tries_left = take_int16(&data[at + HOLD_TRIES_LEFT])
        hold.resends_left = take_int16(&data[at + HOLD_RESENDS_LEFT])
        of_item = take_int32(&data[at + HOLD_LOTS]) < 0
        of_invoice = (take_int32(&data[at + HOLD_LOTS]) & INVOICE_BIT) != 0
        count = <int32_t> (take_int32(&data[at + HOLD_LOTS]) & LOTS_MASK)
        at += HOLD_SIZE
        if of_item:
            hold.item_id = <int32_t> take_int32(&data[at])
            hold.unit = <int32_t> take_int32(&data[at + HOLD_ITEM_UNIT])
            hold.turn = <int32_t> take_int32(&data[at + HOLD_ITEM_TURN])
            at += HOLD_ITEM_SIZE
        if of_invoice:
            key_size = take_int16(&data[at])
            at += INVOICE_KEY_LENGTH_SIZE
            hold.invoice_key = packed[at:at + key_size]
            at += key_size
        lots_reserve(&hold.lots_taken, count)
        for lot in range(count):
            hold.lots_taken.items[lot].key = take_int64(&data[at])
            hold.lots_taken.items[lot].amount = take_int64(&data[at + HOLD_LOT_AMOUNT])
            at += HOLD_LOT_SIZE
        hold.lots_taken.length = count
        holds.append(hold)
    return holds


def hold_of(bytes packed, bytes payment_id not None):
    """Return the hold of a payment in the column `holds`, None where it is not held."""
    cdef Hold hold
    for hold in take_holds(packed):
        if hold.payment_id == payment_id:
            return hold
    return None
