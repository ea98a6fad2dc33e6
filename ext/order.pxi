# The order of a batch: by customer, as the journal's primary key begins, and those of one customer
# as they came.
#
# Ids are random (UUIDs of version 4), so their first byte spreads a batch over 256 buckets of a few
# operations each, and an insertion sort has little left to do. Comparing Python objects takes five
# times as long.

cdef struct Place:
    uint64_t high                   # the customer's id
    uint64_t low
    Py_ssize_t at                   # in the list


cdef inline bint comes_before(const Place* a, const Place* b) noexcept nogil:
    return a.high < b.high or (a.high == b.high and a.low < b.low)


cdef list by_customer(list operations):
    """Return `operations` in the order in which they are to be decided."""
    cdef:
        Py_ssize_t count = len(operations)
        Place* places = <Place*> malloc(max(count, 1) * sizeof(Place))
        list ordered
    if places == NULL:
        raise MemoryError("no memory for a batch of operations")
    try:
        fill_buckets(places, operations)
        sort_nearly_sorted(places, count)
        ordered = [operations[places[at].at] for at in range(count)]
    finally:
        free(places)
    return ordered


cdef int fill_buckets(Place* places, list operations) except -1:
    cdef:
        Operation operation
        Py_ssize_t ends[256]
        Py_ssize_t at
        const uint8_t* customer_id
    memset(ends, 0, sizeof(ends))
    for operation in operations:
        ends[<uint8_t> PyBytes_AS_STRING(operation.customer_id)[0]] += 1
    for at in range(1, 256):
        ends[at] += ends[at - 1]
    for at in range(len(operations) - 1, -1, -1):
        operation = operations[at]
        customer_id = <const uint8_t*> PyBytes_AS_STRING(operation.customer_id)
        ends[customer_id[0]] -= 1
        places[ends[customer_id[0]]] = Place(<uint64_t> take_int64(customer_id),
                                             <uint64_t> take_int64(&customer_id[8]), at)
    return 0


cdef void sort_nearly_sorted(Place* places, Py_ssize_t count) noexcept nogil:
    cdef:
        Place place
        Py_ssize_t number, at
    for number in range(1, count):
        place = places[number]
        at = number
        while at > 0 and comes_before(&place, &places[at - 1]):
            places[at] = places[at - 1]
            at -= 1
        places[at] = place
