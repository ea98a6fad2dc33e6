# The customers that a ledger has loaded, by their ids and in the order in which they were loaded.
#
# What a dict is, without a copy of each id and of each hash: `order` has the customers, with a hole
# where one was removed, and `slots` says where in it a customer stands. A clash goes on to the next
# slot. Holes leave when both are built anew, which happens when three quarters of the slots are
# used, so that a search is short.

cdef enum:
    SLOTS_MIN = 64


cdef inline uint64_t id_hash(const uint8_t* id) noexcept nogil:
    cdef uint64_t halves[2]
    memcpy(halves, id, ID_SIZE)
    return ((halves[0] ^ halves[1]) * 0x9E3779B97F4A7C15ULL) >> 32


@cython.final
cdef class Customers:
    cdef:
        list order
        int32_t* slots              # where in `order`, counted from 1; 0 is free
        Py_ssize_t size             # of slots: a power of two
        Py_ssize_t count            # of customers
        Py_ssize_t oldest           # where in `order` the oldest may stand

    def __cinit__(self):
        self.rebuild()

    def __dealloc__(self):
        free(self.slots)

    cdef Customer find(self, const uint8_t* id):
        """Return a customer by the 16 bytes of their id, or None."""
        cdef Py_ssize_t at = self.place(id)
        return None if at < 0 else self.order[at]

    cdef int add(self, Customer customer) except -1:
        """Add a customer who is not there."""
        if 4 * (len(self.order) + 1) > 3 * self.size:
            self.rebuild()
        self.order.append(customer)
        self.count += 1
        self.enter(customer, len(self.order))
        return 0

    cdef Customer remove(self, const uint8_t* id):
        """Remove a customer and return them, None where there is none."""
        cdef:
            Py_ssize_t at = self.place(id)
            Customer customer
        if at < 0:
            return None
        customer = self.order[at]
        self.order[at] = None
        self.count -= 1
        return customer

    cdef Customer remove_oldest(self):
        """Remove the customer who was added first, and return them; there must be one."""
        cdef Customer customer
        while self.order[self.oldest] is None:
            self.oldest += 1
        customer = self.order[self.oldest]
        self.order[self.oldest] = None
        self.count -= 1
        return customer

    cdef int clear(self) except -1:
        self.order = []
        self.count = 0
        return self.rebuild()

    cdef Py_ssize_t place(self, const uint8_t* id) except -2:
        """Return where in `order` a customer stands, -1 where there is none."""
        cdef:
            Py_ssize_t at = id_hash(id) & (self.size - 1)
            Customer customer
        while self.slots[at]:
            customer = self.order[self.slots[at] - 1]
            if customer is not None and memcmp(customer.id, id, ID_SIZE) == 0:
                return self.slots[at] - 1
            at = (at + 1) & (self.size - 1)
        return -1

    cdef void enter(self, Customer customer, Py_ssize_t number) noexcept:
        cdef Py_ssize_t at = id_hash(customer.id) & (self.size - 1)
        while self.slots[at]:
            at = (at + 1) & (self.size - 1)
        self.slots[at] = <int32_t> number

    cdef int rebuild(self) except -1:
        """Close the holes, and make slots for twice as many customers as there are."""
        cdef:
            list order = [] if self.order is None else [
                customer for customer in self.order if customer is not None]
            Py_ssize_t size = SLOTS_MIN
            int32_t* slots
            Py_ssize_t number
        while 3 * size < 8 * len(order):
            size *= 2
        slots = <int32_t*> calloc(size, sizeof(int32_t))
        if slots == NULL:
            raise MemoryError("no memory for more customers")
        free(self.slots)
        self.slots = slots
        self.size = size
        self.order = order
        self.oldest = 0
        for number in range(len(order)):
            self.enter(<Customer> order[number], number + 1)
        return 0
