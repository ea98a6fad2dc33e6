# Chains: each row gets its hash, taken of the row before it in its wallet and of its own bytes.
#
# The rows of a wallet wait for each other, those of different wallets do not: so four wallets are
# hashed side by side, and whichever comes to its end gives its lane to the next one. For that a row
# lies in its batch's buffer as the hash reads it: after room for the hash before it, and followed
# by zeros to the end of a block, where its own hash will stand.

cdef enum:
    LANES = 4
    HASH_FIELD_SIZE = 4 + HASH_SIZE


cdef struct Row:
    int32_t customer
    int32_t asset
    State* state                    # of its wallet; the hash in it is of the last row that has one
    Py_ssize_t start                # in the batch's buffer
    Py_ssize_t length               # without the last field, its hash


cdef struct Lanes:
    const ChainStart* start
    uint8_t* data                   # the batch's buffer
    Row* rows[LANES]                # what is hashed now; NULL: the lane is idle
    const uint8_t* blocks[LANES]
    Py_ssize_t left[LANES]
    uint64_t counted[LANES]
    uint64_t last[LANES]
    uint64_t h[8][LANES]


cdef bint hashes_four = COMPRESSES_FOUR


def hash_one_by_one(bint wanted):
    """Hash rows one by one, as on a processor without words of 256 bits, or as this one can."""
    global hashes_four
    hashes_four = COMPRESSES_FOUR and not wanted


cdef void chain_rows(const ChainStart* start, uint8_t* data, Row* rows,
                     Py_ssize_t count) noexcept nogil:
    """Hash `rows`; those of one wallet stand together, in the order of seq."""
    cdef:
        uint8_t digest[HASH_SIZE]
        Py_ssize_t at
    if hashes_four:
        chain_side_by_side(start, data, rows, &rows[count])
        return
    for at in range(count):
        chain_hash(start, rows[at].state.hash, &data[rows[at].start], rows[at].length, digest)
        keep_hash(data, &rows[at], digest)


cdef inline void keep_hash(uint8_t* data, Row* row, const void* digest) noexcept nogil:
    memcpy(row.state.hash, digest, HASH_SIZE)
    put_field(&data[row.start + row.length], digest, HASH_SIZE)


cdef void chain_side_by_side(const ChainStart* start, uint8_t* data, Row* next,
                             const Row* end) noexcept nogil:
    cdef:
        Lanes lanes
        Row* row
        uint64_t digest[2]
        int lane
        int busy = 0
    memset(&lanes, 0, sizeof(Lanes))
    lanes.start = start
    lanes.data = data
    for lane in range(LANES):
        lanes.blocks[lane] = <const uint8_t*> lanes.h       # an idle lane goes round on anything
        if next != end:
            begin_row(&lanes, lane, next)
            next = next_wallet(next, end)
            busy += 1
    while busy:
        for lane in range(LANES):
            lanes.last[lane] = LAST_BLOCK if lanes.left[lane] <= BLOCK_SIZE else 0
            lanes.counted[lane] += min(lanes.left[lane], BLOCK_SIZE)
        compress_four(lanes.h, lanes.blocks, lanes.counted, lanes.last)
        for lane in range(LANES):
            row = lanes.rows[lane]
            if row == NULL:
                continue
            if not lanes.last[lane]:
                lanes.blocks[lane] += BLOCK_SIZE
                lanes.left[lane] -= BLOCK_SIZE
                continue
            digest[0] = lanes.h[0][lane]
            digest[1] = lanes.h[1][lane]
            keep_hash(data, row, digest)
            if row + 1 != end and row[1].state == row.state:
                begin_row(&lanes, lane, row + 1)
            elif next != end:
                begin_row(&lanes, lane, next)
                next = next_wallet(next, end)
            else:
                lanes.rows[lane] = NULL
                busy -= 1


cdef inline Row* next_wallet(Row* row, const Row* end) noexcept nogil:
    cdef State* state = row.state
    while row != end and row.state == state:
        row += 1
    return row


cdef inline void begin_row(Lanes* lanes, int lane, Row* row) noexcept nogil:
    cdef:
        uint8_t* message = &lanes.data[row.start - HASH_SIZE]
        int word
    memcpy(message, row.state.hash, HASH_SIZE)
    for word in range(8):
        lanes.h[word][lane] = lanes.start.h[word]
    lanes.rows[lane] = row
    lanes.blocks[lane] = message
    lanes.left[lane] = HASH_SIZE + row.length
    lanes.counted[lane] = lanes.start.counted
