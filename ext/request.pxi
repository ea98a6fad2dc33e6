# A request as nearly every client sends it, read in one pass over its bytes.
#
# What is read here is a part of HTTP/1.1 on which no two readers differ: a known method, a target
# of visible ASCII, one Host, known headers, each once, with values of printable ASCII, and a body
# of the length that was said, if any. Everything else is None: it may be sound, but aiohttp reads
# it.
#
#     head       method SP target SP "HTTP/1.1" CRLF *header CRLF
#     header     name ":" *blank value CRLF        value: printable, no blank at its end
#
# So whoever counts bytes by what is read here and whoever reads them with aiohttp's parser agree
# on where a request ends; `Connection` (engine/http/fast_path.py) stands on that.

cdef enum:
    HEAD_BYTES_MAX = 2048           # aiohttp takes 4096 bytes for each line, and 128 headers
    LENGTH_DIGITS_MAX = 7

# What each header is to whoever reads a request.
cdef enum:
    PASSED_OVER = 0                 # the engine makes nothing of it
    TOLD = 1                        # it is in `headers`
    HOST = 2
    CONTENT_LENGTH = 3
    CONNECTION = 4

cdef struct Known:
    const char* name                # in small letters
    int length
    int part

cdef Known[26] KNOWN
cdef list TOLD_NAMES = [None] * 26
cdef int known_count = 0


cdef int know(str name, int part) except -1:
    """Enter a header in the table; the names live as long as the module."""
    global known_count
    small = name.lower().encode()
    _kept.append(small)
    KNOWN[known_count].name = PyBytes_AS_STRING(small)
    KNOWN[known_count].length = <int> len(small)
    KNOWN[known_count].part = part
    TOLD_NAMES[known_count] = name
    known_count += 1
    return 0


cdef list _kept = []

know("Host", HOST)
know("Authorization", TOLD)
know("Idempotency-Key", TOLD)
know("Content-Type", PASSED_OVER)
know("Content-Length", CONTENT_LENGTH)
know("X-Request-Id", TOLD)
know("traceparent", TOLD)
know("Accept-Language", TOLD)
know("Connection", CONNECTION)
for passed_over in (
    "Accept", "Accept-Encoding", "User-Agent", "tracestate", "baggage", "Cache-Control", "Pragma",
    "Origin", "Referer", "Cookie", "Priority", "Via", "Forwarded", "X-Forwarded-For",
    "X-Forwarded-Proto", "X-Forwarded-Host", "X-Real-Ip",
):
    know(passed_over, PASSED_OVER)

cdef dict METHODS = {
    name.encode(): name for name in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
}


@cython.final
@cython.freelist(64)
cdef class PlainRequest:
    cdef:
        readonly str method
        readonly str target
        readonly dict headers
        readonly Py_ssize_t missing
        bytes data
        Py_ssize_t body_at

    @property
    def body(self):
        return self.data[self.body_at:]


def plain_request(bytes data not None):
    """Return the request that `data` begins and no other follows; None where it is not plain."""
    cdef:
        const unsigned char* raw = <const unsigned char*> PyBytes_AS_STRING(data)
        Py_ssize_t size = PyBytes_GET_SIZE(data)
        Py_ssize_t head_max = min(size, <Py_ssize_t> HEAD_BYTES_MAX)
        Py_ssize_t at = 0
        Py_ssize_t start, end
        Py_ssize_t length = 0
        int which, part
        unsigned int seen = 0
        bint has_host = False
        PlainRequest request
        dict headers = {}
        str method, target

    while at < head_max and 65 <= raw[at] <= 90:
        at += 1
    method = METHODS.get(data[:at])
    if method is None or at >= head_max or raw[at] != 32:
        return None
    at += 1
    start = at
    while at < head_max and 33 <= raw[at] <= 126:
        at += 1
    if head_max - at < 11 or memcmp(&raw[at], b" HTTP/1.1\r\n", 11) != 0 or raw[start] != 47:
        return None
    target = PyUnicode_DecodeASCII(<const char*> &raw[start], at - start, NULL)
    at += 11

    while True:
        if head_max - at < 2:
            return None
        if raw[at] == 13:
            if raw[at + 1] != 10:
                return None
            at += 2
            break
        which = known_header(raw, at, head_max)
        if which < 0 or seen >> which & 1:
            return None
        seen |= 1U << which
        at += KNOWN[which].length + 1
        while at < head_max and (raw[at] == 32 or raw[at] == 9):
            at += 1
        start = at
        while at < head_max and 32 <= raw[at] <= 126:
            at += 1
        end = at
        if (end == start or raw[end - 1] == 32 or head_max - at < 2
                or raw[at] != 13 or raw[at + 1] != 10):
            return None
        at += 2
        part = KNOWN[which].part
        if part == TOLD:
            headers[TOLD_NAMES[which]] = PyUnicode_DecodeASCII(
                <const char*> &raw[start], end - start, NULL
            )
        elif part == HOST:
            has_host = True
        elif part == CONTENT_LENGTH:
            length = number_of(raw, start, end)
            if length < 0:
                return None
        elif part == CONNECTION:
            if not is_word(raw, start, end, b"keep-alive", 10):
                return None

    if not has_host or size - at > length:
        return None
    request = PlainRequest.__new__(PlainRequest)
    request.method = method
    request.target = target
    request.headers = headers
    request.data = data
    request.body_at = at
    request.missing = length - (size - at)
    return request


cdef int known_header(const unsigned char* raw, Py_ssize_t at, Py_ssize_t end) noexcept nogil:
    """Return the place in the table of the header whose name stands at `at`, -1 for none."""
    cdef int which
    for which in range(known_count):
        if (end - at > KNOWN[which].length and raw[at + KNOWN[which].length] == 58
                and is_word(raw, at, at + KNOWN[which].length, KNOWN[which].name,
                            KNOWN[which].length)):
            return which
    return -1


cdef bint is_word(const unsigned char* raw, Py_ssize_t start, Py_ssize_t end, const char* word,
                  int length) noexcept nogil:
    """Return whether the bytes are this word, in letters of any size."""
    cdef:
        int place
        unsigned char letter
    if end - start != length:
        return False
    for place in range(length):
        letter = raw[start + place]
        if 65 <= letter <= 90:
            letter += 32
        if letter != <unsigned char> word[place]:
            return False
    return True


cdef Py_ssize_t number_of(const unsigned char* raw, Py_ssize_t start,
                          Py_ssize_t end) noexcept nogil:
    """Return a number in its shortest spelling, -1 for any other text."""
    cdef Py_ssize_t number = 0
    if end - start > LENGTH_DIGITS_MAX or (raw[start] == 48 and end - start > 1):
        return -1
    while start < end:
        if not 48 <= raw[start] <= 57:
            return -1
        number = 10 * number + raw[start] - 48
        start += 1
    return number
