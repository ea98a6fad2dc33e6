# cython: language_level=3, boundscheck=True, wraparound=False, cdivision=True
"""What plain requests are read by and answered with: bytes to values, and values to bytes.

Pure, like the ledger: it never waits, and has no clock and no I/O. Three parts:

    request.pxi   a request as nearly every client sends it
    members.pxi   whether its JSON says the same thing twice
    answer.pxi    the texts of answers, and the whole answer around them
"""

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.unicode cimport PyUnicode_DecodeASCII
from libc.stdint cimport int64_t
from libc.string cimport memcmp, memcpy

include "request.pxi"
include "members.pxi"
include "answer.pxi"
