# A growing byte buffer and the big-endian numbers of PostgreSQL's binary COPY format.


cdef struct Buffer:
    uint8_t* data
    Py_ssize_t length
    Py_ssize_t capacity


cdef int reserve(Buffer* buffer, Py_ssize_t more) except -1:
    """Make room for `more` bytes; raises MemoryError."""
    cdef:
        Py_ssize_t capacity
        uint8_t* data
    if buffer.length + more <= buffer.capacity:
        return 0
    capacity = max(2 * buffer.capacity, buffer.length + more, 1024)
    data = <uint8_t*> realloc(buffer.data, capacity)
    if data == NULL:
        raise MemoryError("no memory for a batch of postings")
    buffer.data = data
    buffer.capacity = capacity
    return 0


# The put_… functions write at a place and return the place after it. They trust that reserve() was
# called for what they write.

cdef inline uint8_t* put_bytes(uint8_t* at, const void* data, Py_ssize_t length) noexcept nogil:
    memcpy(at, data, length)
    return at + length


cdef inline uint8_t* put_int16(uint8_t* at, int value) noexcept nogil:
    cdef uint16_t big = htobe16(<uint16_t> value)
    return put_bytes(at, &big, 2)


cdef inline uint8_t* put_int32(uint8_t* at, int64_t value) noexcept nogil:
    cdef uint32_t big = htobe32(<uint32_t> value)
    return put_bytes(at, &big, 4)


cdef inline uint8_t* put_int64(uint8_t* at, int64_t value) noexcept nogil:
    cdef uint64_t big = htobe64(<uint64_t> value)
    return put_bytes(at, &big, 8)


# A field is its length and its value; a NULL is the length -1 alone.

cdef inline uint8_t* put_int16_field(uint8_t* at, int value) noexcept nogil:
    return put_int16(put_int32(at, 2), value)


cdef inline uint8_t* put_int32_field(uint8_t* at, int64_t value) noexcept nogil:
    return put_int32(put_int32(at, 4), value)


cdef inline uint8_t* put_int64_field(uint8_t* at, int64_t value) noexcept nogil:
    return put_int64(put_int32(at, 8), value)


cdef inline uint8_t* put_field(uint8_t* at, const void* data, Py_ssize_t length) noexcept nogil:
    return put_bytes(put_int32(at, length), data, length)


cdef inline uint8_t* put_null(uint8_t* at) noexcept nogil:
    return put_int32(at, -1)


cdef inline uint8_t* put_optional_bytes(uint8_t* at, bytes value):
    if value is None:
        return put_null(at)
    return put_field(at, PyBytes_AS_STRING(value), PyBytes_GET_SIZE(value))


cdef inline int64_t take_int64(const uint8_t* data) noexcept nogil:
    cdef uint64_t big
    memcpy(&big, data, 8)
    return <int64_t> be64toh(big)


cdef inline int32_t take_int16(const uint8_t* data) noexcept nogil:
    """Return an unsigned number."""
    return (<int32_t> data[0]) << 8 | data[1]


cdef inline int64_t take_int32(const uint8_t* data) noexcept nogil:
    cdef uint32_t big
    memcpy(&big, data, 4)
    return <int32_t> be32toh(big)
