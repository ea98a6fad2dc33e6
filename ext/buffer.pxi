# A growing byte buffer and the big-endian numbers of PostgreSQL's binary COPY format.

from libc.stdlib cimport free, realloc
from libc.string cimport memcpy
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE


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


# The put_… functions trust that reserve() was called for what they write.

cdef inline void put_bytes(Buffer* buffer, const void* data, Py_ssize_t length) noexcept nogil:
    memcpy(&buffer.data[buffer.length], data, length)
    buffer.length += length


cdef inline void put_int16(Buffer* buffer, int value) noexcept nogil:
    cdef uint16_t big = htobe16(<uint16_t> value)
    put_bytes(buffer, &big, 2)


cdef inline void put_int32(Buffer* buffer, int64_t value) noexcept nogil:
    cdef uint32_t big = htobe32(<uint32_t> value)
    put_bytes(buffer, &big, 4)


cdef inline void put_int64(Buffer* buffer, int64_t value) noexcept nogil:
    cdef uint64_t big = htobe64(<uint64_t> value)
    put_bytes(buffer, &big, 8)


# A field is its length and its value; a NULL is the length -1 alone.

cdef inline void put_int16_field(Buffer* buffer, int value) noexcept nogil:
    put_int32(buffer, 2)
    put_int16(buffer, value)


cdef inline void put_int32_field(Buffer* buffer, int64_t value) noexcept nogil:
    put_int32(buffer, 4)
    put_int32(buffer, value)


cdef inline void put_int64_field(Buffer* buffer, int64_t value) noexcept nogil:
    put_int32(buffer, 8)
    put_int64(buffer, value)


cdef inline void put_field(Buffer* buffer, const void* data, Py_ssize_t length) noexcept nogil:
    put_int32(buffer, length)
    put_bytes(buffer, data, length)


cdef inline void put_null(Buffer* buffer) noexcept nogil:
    put_int32(buffer, -1)


cdef inline void put_optional_bytes(Buffer* buffer, bytes value):
    if value is None:
        put_null(buffer)
    else:
        put_field(buffer, PyBytes_AS_STRING(value), PyBytes_GET_SIZE(value))


cdef inline int64_t take_int64(const uint8_t* data) noexcept nogil:
    cdef uint64_t big
    memcpy(&big, data, 8)
    return <int64_t> be64toh(big)


cdef inline int64_t take_int32(const uint8_t* data) noexcept nogil:
    cdef uint32_t big
    memcpy(&big, data, 4)
    return <int32_t> be32toh(big)
