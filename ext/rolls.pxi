# A roll: a set of records as a number, so that two sets are compared and neither sorted nor joined.
#
# Each record is hashed with a key that nobody could know beforehand, and the hashes are added up,
# each half modulo 2^64. Equal sets have equal rolls, in whatever order they come; two sets that
# differ have equal rolls in one of 2^128 cases, whoever made them differ.
#
# A record is the COPY row of a companion of the journal. The auditor writes those that the journal
# calls for, and a RollReader reads those that are there.


cdef struct Roll:
    int64_t records
    uint64_t sums[2]


cdef void roll_add(Roll* roll, const uint8_t* key, const uint8_t* record,
                   Py_ssize_t length) noexcept nogil:
    cdef:
        uint8_t digest[HASH_SIZE]
        uint64_t halves[2]
    chain_hash(&KEYLESS, key, record, length, digest)
    memcpy(halves, digest, HASH_SIZE)
    roll.records += 1
    roll.sums[0] += halves[0]
    roll.sums[1] += halves[1]


cdef tuple roll_tuple(const Roll* roll):
    return roll.records, roll.sums[0], roll.sums[1]


cdef int take_roll_key(bytes key, uint8_t* target) except -1:
    if PyBytes_GET_SIZE(key) != HASH_SIZE:
        raise ValueError("the key of a roll has 16 bytes")
    memcpy(target, PyBytes_AS_STRING(key), HASH_SIZE)
    return 0


@cython.final
cdef class RollReader(CopyReader):
    """Reads a companion of the journal, as binary COPY of `columns` columns, into its roll."""

    cdef:
        uint8_t key[HASH_SIZE]
        Roll total

    def __init__(self, int columns, bytes key not None):
        if not 0 < columns <= COPY_FIELDS_MAX:
            raise ValueError(f"a row has 1 to {COPY_FIELDS_MAX} columns")
        self.columns = columns
        take_roll_key(key, self.key)

    cdef int take_row(self, const uint8_t* row, Py_ssize_t length) except -1:
        roll_add(&self.total, self.key, row, length)
        return 0

    def feed(self, piece not None):
        """Take the rows in `piece`; raises ValueError where it is no COPY of such rows."""
        self.read(piece)

    @property
    def roll(self):
        """The roll, once the stream is at its end: (records, sum, sum)."""
        if not self.is_whole():
            raise ValueError("the stream of records ended inside a record")
        return roll_tuple(&self.total)
