# Ids as text and as bytes, and the fingerprint of a request: small, and on every request's way.

cdef const char* HEX = b"0123456789abcdef"


cdef inline int hex_value(Py_UCS4 character) noexcept nogil:
    if 48 <= character <= 57:
        return <int> character - 48
    if 97 <= character <= 102:
        return <int> character - 87
    if 65 <= character <= 70:
        return <int> character - 55
    return -1


def uuid_bytes(str text not None):
    """Return the 16 bytes of a UUID's text (8-4-4-4-12 hexadecimal digits), None for other text."""
    cdef:
        uint8_t raw[16]
        Py_ssize_t at = 0
        int byte, high, low
    if len(text) != 36:
        return None
    for byte in range(16):
        if byte in (4, 6, 8, 10):
            if text[at] != "-":
                return None
            at += 1
        high = hex_value(text[at])
        low = hex_value(text[at + 1])
        if high < 0 or low < 0:
            return None
        raw[byte] = <uint8_t> (high << 4 | low)
        at += 2
    return PyBytes_FromStringAndSize(<char*> raw, 16)


def uuid_text(bytes raw not None):
    """Return the text of a UUID's 16 bytes; raises ValueError for another number of them."""
    cdef:
        char text[36]
        int at = 0
        int byte
        uint8_t value
    if PyBytes_GET_SIZE(raw) != 16:
        raise ValueError("a UUID has 16 bytes")
    for byte in range(16):
        if byte in (4, 6, 8, 10):
            text[at] = 45
            at += 1
        value = <uint8_t> PyBytes_AS_STRING(raw)[byte]
        text[at] = HEX[value >> 4]
        text[at + 1] = HEX[value & 15]
        at += 2
    return text[:36].decode("ascii")


def transaction_id_of(bytes scope not None, bytes customer_id not None, bytes key not None):
    """Return the UUIDv8 of a key: BLAKE2b of its scope (16 bytes), the customer and the key."""
    cdef:
        uint8_t digest[HASH_SIZE]
        bytes name = customer_id + key
    if PyBytes_GET_SIZE(scope) != HASH_SIZE or PyBytes_GET_SIZE(customer_id) != 16:
        raise ValueError("a scope and a customer id have 16 bytes")
    chain_hash(&KEYLESS, <const uint8_t*> PyBytes_AS_STRING(scope),
               <const uint8_t*> PyBytes_AS_STRING(name), PyBytes_GET_SIZE(name), digest)
    return uuid_of(digest)


cdef bytes uuid_of(uint8_t* digest):
    """Return a hash as a UUID of version 8: made by our own rule (RFC 9562)."""
    digest[6] = (digest[6] & 0x0F) | 0x80
    digest[8] = (digest[8] & 0x3F) | 0x80
    return PyBytes_FromStringAndSize(<char*> digest, HASH_SIZE)


def fingerprint_of(bytes meaning not None):
    """Return 64 bits of BLAKE2b of what a request means: they tell a retry from a reused key."""
    cdef uint8_t digest[HASH_SIZE]
    chain_hash(&KEYLESS, <const uint8_t*> PyBytes_AS_STRING(ZERO_HASH),
               <const uint8_t*> PyBytes_AS_STRING(meaning), PyBytes_GET_SIZE(meaning), digest)
    return take_int64(digest)


def claim_key_of(bytes text not None, bytes scope=None):
    """Return the normal form by which something is claimed once (INV-4, INV-8).

    Letters and digits count, in capitals; what else stands in `text` does not. `scope` is what
    names the thing beside it, such as a day.
    """
    cdef:
        Py_ssize_t length = PyBytes_GET_SIZE(text)
        bytes key = PyBytes_FromStringAndSize(NULL, length)
    length = put_claim_key(<uint8_t*> PyBytes_AS_STRING(key),
                           <const uint8_t*> PyBytes_AS_STRING(text), length)
    return key[:length] if scope is None else key[:length] + SCOPE_SIGN + scope


cdef bytes SCOPE_SIGN = b"@"        # no letter and no digit, so no text has it in its key


cdef Py_ssize_t put_claim_key(uint8_t* target, const uint8_t* text,
                              Py_ssize_t length) noexcept nogil:
    """Write the key of a text to `target`; return its length, which is no longer."""
    cdef:
        Py_ssize_t written = 0
        Py_ssize_t at
        uint8_t character
    for at in range(length):
        character = text[at]
        if 97 <= character <= 122:                          # a small letter
            character -= 32
        elif not (48 <= character <= 57 or 65 <= character <= 90):
            continue
        target[written] = character
        written += 1
    return written
