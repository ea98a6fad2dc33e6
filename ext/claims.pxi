# The invoices that earn in a batch: a table by hash, so that none earns twice (PTS-7).
#
# It has room for all operations of its batch from the beginning, and is at most half full. Equal
# hashes alone refuse nothing: the numbers themselves are compared.

cdef enum:
    CLAIMS_MIN = 16


cdef struct Claim:
    uint32_t hash
    int32_t number                  # of the operation that earns, from 1; 0: this place is free


@cython.final
cdef class Claims:
    cdef:
        list operations             # that earn
        Claim* places
        Py_ssize_t size             # a power of two

    def __cinit__(self, Py_ssize_t operations_max):
        self.operations = []
        self.size = CLAIMS_MIN
        while self.size < 2 * operations_max:
            self.size *= 2
        self.places = <Claim*> calloc(self.size, sizeof(Claim))
        if self.places == NULL:
            raise MemoryError("no memory for the invoices of a batch")

    def __dealloc__(self):
        free(self.places)

    cdef Claim* find(self, Operation operation) except NULL:
        """Return the claim to the invoice of `operation`, or the free place where it belongs."""
        cdef:
            uint32_t hash = invoice_hash(operation)
            Py_ssize_t at = hash & (self.size - 1)
            Claim* claim = &self.places[at]
        while claim.number:
            if claim.hash == hash and is_same_invoice(self.operations[claim.number - 1], operation):
                return claim
            at = (at + 1) & (self.size - 1)
            claim = &self.places[at]
        claim.hash = hash
        return claim

    cdef int add(self, Claim* claim, Operation operation) except -1:
        self.operations.append(operation)
        claim.number = <int32_t> len(self.operations)
        return 0

    cdef list rows(self):
        cdef Operation operation
        return sorted([(operation.store_id, operation.claimed_number, operation.customer_id,
                        operation.transaction_id) for operation in self.operations])


cdef bint is_same_invoice(Operation a, Operation b) except -1:
    return a.store_id == b.store_id and a.claimed_number == b.claimed_number


cdef uint32_t invoice_hash(Operation operation) noexcept:
    """Return FNV-1a of the store and of the one spelling of the number, folded to 32 bits."""
    cdef:
        const uint8_t* number = <const uint8_t*> PyBytes_AS_STRING(operation.invoice_number)
        uint64_t hash = 0xCBF29CE484222325ULL ^ <uint32_t> operation.store_id
        uint8_t character
        Py_ssize_t at
    hash *= 0x100000001B3ULL
    for at in range(PyBytes_GET_SIZE(operation.invoice_number)):
        character = number[at]
        if character == 32:                                 # a blank
            continue
        if 97 <= character <= 122:                          # a small letter
            character -= 32
        hash = (hash ^ character) * 0x100000001B3ULL
    return <uint32_t> (hash ^ hash >> 32)
