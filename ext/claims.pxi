# What a batch claims: a table by hash, so that nothing is claimed twice (PTS-7, SYS-9, INV-8).
#
# An invoice is a store's, a reference a partner's, an order a brand's: the owner. The table has
# room for all operations of its batch from the beginning, and is at most half full. Equal hashes
# alone refuse nothing: the keys themselves are compared.

cdef enum:
    CLAIMS_MIN = 16


cdef struct ClaimPlace:
    uint32_t hash
    int32_t number                  # of the operation that claims, from 1; 0: this place is free


@cython.final
cdef class Claims:
    cdef:
        list operations             # that claim
        ClaimPlace* places
        Py_ssize_t size             # a power of two

    def __cinit__(self, Py_ssize_t operations_max):
        self.operations = []
        self.size = CLAIMS_MIN
        while self.size < 2 * operations_max:
            self.size *= 2
        self.places = <ClaimPlace*> calloc(self.size, sizeof(ClaimPlace))
        if self.places == NULL:
            raise MemoryError("no memory for the claims of a batch")

    def __dealloc__(self):
        free(self.places)

    cdef ClaimPlace* find(self, Operation operation) except NULL:
        """Return the place of what `operation` claims: taken, or free and where it belongs."""
        cdef:
            uint32_t hash = claim_hash(operation)
            Py_ssize_t at = hash & (self.size - 1)
            ClaimPlace* place = &self.places[at]
        while place.number:
            if place.hash == hash and is_same_claim(self.operations[place.number - 1], operation):
                return place
            at = (at + 1) & (self.size - 1)
            place = &self.places[at]
        place.hash = hash
        return place

    cdef int add(self, ClaimPlace* place, Operation operation) except -1:
        self.operations.append(operation)
        place.number = <int32_t> len(self.operations)
        return 0

    cdef list rows(self):
        cdef Operation operation
        return sorted([(operation.claim_kind, operation.claim_owner, operation.claim_key,
                        operation.customer_id, operation.transaction_id)
                       for operation in self.operations])


cdef bint is_same_claim(Operation a, Operation b) except -1:
    return (a.claim_kind == b.claim_kind and a.claim_owner == b.claim_owner
            and a.claim_key == b.claim_key)


cdef uint32_t claim_hash(Operation operation) noexcept:
    """Return FNV-1a of the owner and of the key, folded to 32 bits."""
    cdef:
        const uint8_t* key = <const uint8_t*> PyBytes_AS_STRING(operation.claim_key)
        uint64_t hash = 0xCBF29CE484222325ULL ^ <uint32_t> operation.claim_owner
        Py_ssize_t at
    hash *= 0x100000001B3ULL
    for at in range(PyBytes_GET_SIZE(operation.claim_key)):
        hash = (hash ^ key[at]) * 0x100000001B3ULL
    return <uint32_t> (hash ^ hash >> 32)
