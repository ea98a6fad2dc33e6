# Answers as text. What an accumulation is told by has no names nor anything else to be escaped, but
# numbers, ids, days and moments. So it is written field by field, as orjson would write it.

cdef enum:
    BODY_BYTES_MAX = 512            # the longest body of an accumulation has less than 450
    SECONDS_A_DAY = 86400
    MICROSECONDS = 1000000

cdef const char* DIGITS = b"0123456789abcdef"


cdef inline char* put(char* at, bytes text) noexcept:
    memcpy(at, PyBytes_AS_STRING(text), PyBytes_GET_SIZE(text))
    return at + PyBytes_GET_SIZE(text)


cdef char* put_number(char* at, int64_t number) noexcept nogil:
    cdef:
        char[20] digits
        int count = 0
    if number < 0:
        at[0] = 45
        at += 1
        number = -number
    while True:
        digits[count] = <char> (48 + number % 10)
        count += 1
        number //= 10
        if number == 0:
            break
    while count:
        count -= 1
        at[0] = digits[count]
        at += 1
    return at


cdef inline char* put_padded(char* at, int64_t number, int width) noexcept nogil:
    """Write a number of `width` digits, with zeros before it."""
    cdef int place
    for place in range(width - 1, -1, -1):
        at[place] = <char> (48 + number % 10)
        number //= 10
    return at + width


cdef char* put_uuid(char* at, bytes raw) except NULL:
    cdef:
        int place
        unsigned char value
    if PyBytes_GET_SIZE(raw) != 16:
        raise ValueError("a UUID has 16 bytes")
    for place in range(16):
        if place in (4, 6, 8, 10):
            at[0] = 45
            at += 1
        value = <unsigned char> PyBytes_AS_STRING(raw)[place]
        at[0] = DIGITS[value >> 4]
        at[1] = DIGITS[value & 15]
        at += 2
    return at


cdef char* put_day(char* at, int64_t day) except NULL:
    """Write `YYYY-MM-DD` of a day since 1970; years begin in March, so that leap days end them."""
    cdef int64_t era, of_era, year_of_era, of_year, month, year
    if not -719162 <= day <= 2932896:
        raise ValueError("a day is out of the years 1 to 9999")
    day += 719468
    era = day // 146097
    of_era = day - era * 146097
    year_of_era = (of_era - of_era // 1460 + of_era // 36524 - of_era // 146096) // 365
    of_year = of_era - (365 * year_of_era + year_of_era // 4 - year_of_era // 100)
    month = (5 * of_year + 2) // 153
    year = year_of_era + era * 400 + (month >= 10)
    at = put_padded(at, year, 4)
    at[0] = 45
    at = put_padded(at + 1, month + 3 if month < 10 else month - 9, 2)
    at[0] = 45
    return put_padded(at + 1, of_year - (153 * month + 2) // 5 + 1, 2)


cdef char* put_moment(char* at, int64_t moment) except NULL:
    """Write RFC 3339 in UTC of a moment since 1970 in microseconds."""
    cdef int64_t second = moment // MICROSECONDS
    cdef int64_t of_day = second % SECONDS_A_DAY
    if moment < 0:
        raise ValueError("a moment lies before 1970")
    at = put_day(at, second // SECONDS_A_DAY)
    at[0] = 84
    at = put_padded(at + 1, of_day // 3600, 2)
    at[0] = 58
    at = put_padded(at + 1, of_day // 60 % 60, 2)
    at[0] = 58
    at = put_padded(at + 1, of_day % 60, 2)
    at[0] = 46
    at = put_padded(at + 1, moment % MICROSECONDS, 6)
    at[0] = 90
    return at + 1


cdef char* put_earned(char* at, int64_t amount, int64_t balance, int64_t expires_day) except NULL:
    at = put_number(put(at, b'{"earned":'), amount)
    at = put_number(put(at, b',"balance":'), balance)
    if amount == 0:
        return put(at, b',"expires_on":null}')
    at = put_day(put(at, b',"expires_on":"'), expires_day)
    return put(at, b'"}')


def accumulation_text(decided):
    """Return the JSON of an accumulation that was done, of an operation or of its receipt."""
    cdef:
        char[BODY_BYTES_MAX] body
        char* at = body
    at = put_uuid(put(at, b'{"transaction_id":"'), decided.transaction_id)
    at = put_uuid(put(at, b'","customer_id":"'), decided.customer_id)
    at = put_number(put(at, b'","store_id":'), decided.store_id)
    at = put_number(put(at, b',"brand_id":'), decided.brand_id)
    at = put_earned(
        put(at, b',"points":'), decided.amount, decided.balance, decided.earned_expires_day
    )
    at = put(at, b',"coins":')
    if decided.has_coins:
        at = put_earned(at, decided.coins_amount, decided.coins_balance, decided.coins_expires_day)
    else:
        at = put(at, b"null")
    at = put_moment(put(at, b',"recorded_at":"'), decided.recorded_at)
    at = put(at, b'"}')
    return PyBytes_FromStringAndSize(body, at - body)


def whole_answer(bytes usual not None, bytes date not None, dict headers not None,
                 bytes body not None, Py_ssize_t length, bytes close not None):
    """Return an answer as it goes over the wire: its head, with the `length` told, and its body."""
    cdef list parts = [usual, date]
    for name, value in headers.items():
        parts.append(f"{name}: {value}\r\n".encode())
    parts.append(b"Content-Length: %d\r\n" % length)
    parts.append(close)
    parts.append(b"\r\n")
    parts.append(body)
    return b"".join(parts)
