# The only additions and subtractions on points and coins: they raise OverflowError, never wrap.

cdef extern from *:
    """
    #define add_overflows(a, b, r) __builtin_add_overflow((a), (b), (r))
    #define sub_overflows(a, b, r) __builtin_sub_overflow((a), (b), (r))
    """
    bint add_overflows(int64_t a, int64_t b, int64_t* result) nogil
    bint sub_overflows(int64_t a, int64_t b, int64_t* result) nogil


cdef inline int64_t add_checked(int64_t a, int64_t b) except? -1:
    cdef int64_t result
    if add_overflows(a, b, &result):
        raise OverflowError("a balance would not fit in 64 bits")
    return result


cdef inline int64_t subtract_checked(int64_t a, int64_t b) except? -1:
    cdef int64_t result
    if sub_overflows(a, b, &result):
        raise OverflowError("a balance would not fit in 64 bits")
    return result
