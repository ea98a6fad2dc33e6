# Binary COPY read back: rows are found where they lie, and need not be cut where the stream is.

cdef enum:
    COPY_SIGNATURE_SIZE = 11
    COPY_HEADER_SIZE = 19
    COPY_FIELDS_MAX = 48


cdef class CopyReader:
    """Reads a stream of rows; what is done with a row is for its kinds to say.

    `columns` is how many fields each row has.
    """

    cdef:
        int columns
        bint started
        bytes rest
        const uint8_t* fields[COPY_FIELDS_MAX]
        int32_t lengths[COPY_FIELDS_MAX]

    def __cinit__(self):
        self.rest = b""

    cdef int take_row(self, const uint8_t* row, Py_ssize_t length) except -1:
        """Do something with a row, whose `fields` and `lengths` are known."""
        raise NotImplementedError

    cdef int read(self, piece) except -1:
        """Take the rows that end in `piece`; raises ValueError where it is no COPY of such rows."""
        cdef:
            object data = self.rest + bytes(piece) if self.rest else piece
            Py_buffer view
            Py_ssize_t taken
        PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
        try:
            taken = self.read_rows(<const uint8_t*> view.buf, view.len)
            self.rest = PyBytes_FromStringAndSize(<char*> view.buf + taken, view.len - taken)
        finally:
            PyBuffer_Release(&view)
        return 0

    cdef bint is_whole(self):
        """Return whether the stream has come to its end."""
        return self.started and self.rest == COPY_TRAILER

    cdef Py_ssize_t read_rows(self, const uint8_t* data, Py_ssize_t length) except -1:
        """Take the rows that are all there; return where what is left begins."""
        cdef:
            Py_ssize_t at = 0
            Py_ssize_t end
        if not self.started:
            if length < COPY_HEADER_SIZE:
                return 0
            if memcmp(data, PyBytes_AS_STRING(COPY_HEADER), COPY_SIGNATURE_SIZE):
                raise ValueError("the stream is no binary COPY")
            self.started = True
            at = COPY_HEADER_SIZE
        while True:
            end = self.find_fields(data, at, length)
            if end < 0:
                return at
            self.take_row(&data[at], end - at)
            at = end

    cdef Py_ssize_t find_fields(self, const uint8_t* data, Py_ssize_t at,
                                Py_ssize_t length) except? -2:
        """Find the fields of the row at `at`; return where it ends, -1 if it is not all there."""
        cdef int field
        if length - at < 2 or (data[at] == 0xFF and data[at + 1] == 0xFF):
            return -1
        if take_int16(&data[at]) != self.columns:
            raise ValueError(f"a row has not {self.columns} columns")
        at += 2
        for field in range(self.columns):
            if length - at < 4:
                return -1
            self.lengths[field] = <int32_t> take_int32(&data[at])
            at += 4
            self.fields[field] = &data[at]
            at += max(self.lengths[field], 0)
        return at if at <= length else -1
