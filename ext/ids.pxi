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


cdef enum:
    SCOPE_SIGN = 64                 # "@": no letter and no digit, so no text has it in its key
    CLAIM_KEY_SIZE_USUAL = 192      # a longer key is put together on the heap


def claim_key_of(bytes text not None, bytes scope=None):
    """Return the normal form by which something is claimed once (INV-4, INV-8).

    Letters and digits count, in capitals; what else stands in `text` does not. `scope` is what
    names the thing beside it, such as a day.
    """
    return claim_key(text, scope)


cdef bytes claim_key(bytes text, bytes scope):
    cdef:
        Py_ssize_t size = PyBytes_GET_SIZE(text)
        Py_ssize_t scope_size = -1 if scope is None else PyBytes_GET_SIZE(scope)
        const uint8_t* scope_text = NULL
        uint8_t usual[CLAIM_KEY_SIZE_USUAL]
        uint8_t* key = usual
        bytes longer
    if scope is not None:
        scope_text = <const uint8_t*> PyBytes_AS_STRING(scope)
    if size + 1 + scope_size > CLAIM_KEY_SIZE_USUAL:
        longer = PyBytes_FromStringAndSize(NULL, size + 1 + scope_size)
        key = <uint8_t*> PyBytes_AS_STRING(longer)
    size = put_claim_key(key, <const uint8_t*> PyBytes_AS_STRING(text), size, scope_text,
                         scope_size)
    return PyBytes_FromStringAndSize(<char*> key, size)


cdef Py_ssize_t put_claim_key(uint8_t* target, const uint8_t* text, Py_ssize_t length,
                              const uint8_t* scope, Py_ssize_t scope_length) noexcept nogil:
    """Write the key of a text and its scope to `target`; return its length.

    It is at most that of both and one more. A scope of the length -1 is none.
    """
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
    if scope_length < 0:
        return written
    target[written] = SCOPE_SIGN
    memcpy(&target[written + 1], scope, scope_length)
    return written + 1 + scope_length
