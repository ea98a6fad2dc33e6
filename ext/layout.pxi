# Made by `python -m tools.generate --write`; not to be edited.
# The layout of rows and of packed holds, from engine/ledger/layout.py.

cdef enum:
    FIELD_CUSTOMER_ID = 0
    FIELD_ASSET = 1
    FIELD_BY_ID = 2
    FIELD_SEQ = 3
    FIELD_TRANSACTION_ID = 4
    FIELD_LEG = 5
    FIELD_KIND = 6
    FIELD_REFUSAL = 7
    FIELD_PART = 8
    FIELD_REQUESTED = 9
    FIELD_AMOUNT = 10
    FIELD_HELD_AMOUNT = 11
    FIELD_BALANCE = 12
    FIELD_HELD = 13
    FIELD_COUNTER = 14
    FIELD_CAUSE = 15
    FIELD_COUNTER_PARTY = 16
    FIELD_BRAND_ID = 17
    FIELD_STORE_ID = 18
    FIELD_FLAGS = 19
    FIELD_MISSING_FIELDS = 20
    FIELD_TILL = 21
    FIELD_BATCH_ROWS = 22
    FIELD_WRITER_ID = 23
    FIELD_BATCH = 24
    FIELD_FINGERPRINT = 25
    FIELD_OCCURRED_AT = 26
    FIELD_RECORDED_AT = 27
    FIELD_BILL_AMOUNT = 28
    FIELD_COUNTED_DAY = 29
    FIELD_COUNTED_SALES = 30
    FIELD_COUNTED_POINTS = 31
    FIELD_REFERENCE = 32
    FIELD_LOTS = 33
    FIELD_MOVED = 34
    FIELD_HOLDS = 35
    FIELD_INVOICE_NUMBER = 36
    FIELD_INVOICE_SCOPE = 37
    FIELD_DETAILS = 38
    FIELD_HASH = 39
    JOURNAL_FIELDS = 40

cdef enum:
    NO_VALUE = -1                       # NULL: no such number is below 0
    POSTGRES_EPOCH = 946684800000000    # 2000-01-01, in microseconds since 1970

cdef enum:
    HOLD_PAYMENT_ID = 0
    HOLD_COINS = 16
    HOLD_EXPIRES_AT = 24
    HOLD_CODE_MAC = 32
    HOLD_BRAND_ID = 48
    HOLD_STORE_ID = 52
    HOLD_TRIES_LEFT = 56
    HOLD_RESENDS_LEFT = 58
    HOLD_LOTS = 60
    HOLD_SIZE = 64
    HOLD_ITEM_ITEM_ID = 0
    HOLD_ITEM_UNIT = 4
    HOLD_ITEM_TURN = 8
    HOLD_ITEM_SIZE = 12
    HOLD_LOT_KEY = 0
    HOLD_LOT_AMOUNT = 8
    HOLD_LOT_SIZE = 16
    INVOICE_KEY_LENGTH_SIZE = 2
    INVOICE_BIT = 1073741824
    LOTS_MASK = 1073741823

cdef uint32_t ITEM_BIT = 2147483648


cdef struct Columns:
    const uint8_t* customer_id
    int32_t asset
    int32_t by_id
    int64_t seq
    const uint8_t* transaction_id
    int leg
    int kind
    int refusal
    int part
    int64_t requested
    int64_t amount
    int64_t held_amount
    int64_t balance
    int64_t held
    int counter
    int cause
    int32_t counter_party
    int32_t brand_id
    int32_t store_id
    int flags
    int missing_fields
    int till
    int batch_rows
    int32_t writer_id
    int32_t batch
    int64_t fingerprint
    int64_t occurred_at
    int64_t recorded_at
    int64_t bill_amount
    int32_t counted_day
    int32_t counted_sales
    int64_t counted_points
    const Lots* lots
    int64_t lots_sign
    const Lots* moved
    int64_t moved_sign


cdef inline uint8_t* put_columns(uint8_t* at, const Columns* columns, bytes reference, list holds,
                                 bytes invoice_number, bytes invoice_scope, bytes details):
    """Write all fields of a row but the last one; return the place after them."""
    at = put_field(at, columns.customer_id, 16)
    at = put_int32_field(at, columns.asset)
    at = put_int32_field(at, columns.by_id)
    at = put_int64_field(at, columns.seq)
    at = put_field(at, columns.transaction_id, 16)
    at = put_int16_field(at, columns.leg)
    at = put_int16_field(at, columns.kind)
    at = put_int16_field(at, columns.refusal)
    at = put_int16_field(at, columns.part)
    at = put_int64_field(at, columns.requested)
    at = put_int64_field(at, columns.amount)
    at = put_int64_field(at, columns.held_amount)
    at = put_int64_field(at, columns.balance)
    at = put_int64_field(at, columns.held)
    at = put_int16_field(at, columns.counter)
    at = put_int16_field(at, columns.cause)
    at = put_int32_field(at, columns.counter_party)
    at = put_int32_field(at, columns.brand_id)
    at = put_int32_field(at, columns.store_id)
    at = put_int16_field(at, columns.flags)
    at = put_int16_field(at, columns.missing_fields)
    at = put_int16_field(at, columns.till)
    at = put_int16_field(at, columns.batch_rows)
    at = put_int32_field(at, columns.writer_id)
    at = put_int32_field(at, columns.batch)
    at = put_int64_field(at, columns.fingerprint)
    at = put_int64_field(at, columns.occurred_at - POSTGRES_EPOCH)
    at = put_int64_field(at, columns.recorded_at - POSTGRES_EPOCH)
    if columns.bill_amount == NO_VALUE:
        at = put_null(at)
    else:
        at = put_int64_field(at, columns.bill_amount)
    if columns.counted_day == NO_VALUE:
        at = put_null(at)
    else:
        at = put_int32_field(at, columns.counted_day)
    if columns.counted_sales == NO_VALUE:
        at = put_null(at)
    else:
        at = put_int32_field(at, columns.counted_sales)
    if columns.counted_points == NO_VALUE:
        at = put_null(at)
    else:
        at = put_int64_field(at, columns.counted_points)
    at = put_optional_bytes(at, reference)
    at = put_lots_field(at, columns.lots, columns.lots_sign)
    at = put_lots_field(at, columns.moved, columns.moved_sign)
    at = put_holds_field(at, holds)
    at = put_optional_bytes(at, invoice_number)
    at = put_optional_bytes(at, invoice_scope)
    at = put_optional_bytes(at, details)
    return at
