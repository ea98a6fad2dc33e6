# BLAKE2b with a 16-byte digest and no key (RFC 7693), the hash that chains a wallet's rows.
#
# It is written out here because hashing a row must not create a Python object: the whole core
# decides and encodes an operation in less time than one call into hashlib takes.
# A test holds it against hashlib.blake2b(digest_size=16).

from libc.string cimport memcpy, memset

cdef enum:
    HASH_SIZE = 16
    BLOCK_SIZE = 128

cdef uint64_t BLAKE2B_IV[8]
BLAKE2B_IV[:] = [
    0x6A09E667F3BCC908ULL, 0xBB67AE8584CAA73BULL, 0x3C6EF372FE94F82BULL, 0xA54FF53A5F1D36F1ULL,
    0x510E527FADE682D1ULL, 0x9B05688C2B3E6C1FULL, 0x1F83D9ABFB41BD6BULL, 0x5BE0CD19137E2179ULL,
]

cdef uint8_t BLAKE2B_SIGMA[192]
BLAKE2B_SIGMA[:] = [
    0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15,
    14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3,
    11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4,
    7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8,
    9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13,
    2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9,
    12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11,
    13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10,
    6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5,
    10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0,
    0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15,
    14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3,
]


cdef inline uint64_t rotate_right(uint64_t word, int bits) noexcept nogil:
    return (word >> bits) | (word << (64 - bits))


cdef inline void blake2b_mix(uint64_t* v, int a, int b, int c, int d,
                             uint64_t x, uint64_t y) noexcept nogil:
    v[a] = v[a] + v[b] + x
    v[d] = rotate_right(v[d] ^ v[a], 32)
    v[c] = v[c] + v[d]
    v[b] = rotate_right(v[b] ^ v[c], 24)
    v[a] = v[a] + v[b] + y
    v[d] = rotate_right(v[d] ^ v[a], 16)
    v[c] = v[c] + v[d]
    v[b] = rotate_right(v[b] ^ v[c], 63)


cdef void blake2b_compress(uint64_t* h, const uint8_t* block, uint64_t counted,
                           bint last) noexcept nogil:
    cdef:
        uint64_t v[16]
        uint64_t m[16]
        const uint8_t* s
        int i
    memcpy(m, block, BLOCK_SIZE)
    memcpy(v, h, 64)
    memcpy(&v[8], BLAKE2B_IV, 64)
    v[12] ^= counted
    if last:
        v[14] = ~v[14]
    for i in range(12):
        s = &BLAKE2B_SIGMA[16 * i]
        blake2b_mix(v, 0, 4, 8, 12, m[s[0]], m[s[1]])
        blake2b_mix(v, 1, 5, 9, 13, m[s[2]], m[s[3]])
        blake2b_mix(v, 2, 6, 10, 14, m[s[4]], m[s[5]])
        blake2b_mix(v, 3, 7, 11, 15, m[s[6]], m[s[7]])
        blake2b_mix(v, 0, 5, 10, 15, m[s[8]], m[s[9]])
        blake2b_mix(v, 1, 6, 11, 12, m[s[10]], m[s[11]])
        blake2b_mix(v, 2, 7, 8, 13, m[s[12]], m[s[13]])
        blake2b_mix(v, 3, 4, 9, 14, m[s[14]], m[s[15]])
    for i in range(8):
        h[i] ^= v[i] ^ v[i + 8]


cdef void chain_hash(const uint8_t* previous, const uint8_t* row, Py_ssize_t length,
                     uint8_t* digest) noexcept nogil:
    """Write BLAKE2b-128(previous ‖ row) to digest; previous and digest are 16 bytes."""
    cdef:
        uint64_t h[8]
        uint8_t block[BLOCK_SIZE]
        Py_ssize_t filled = HASH_SIZE
        Py_ssize_t taken = 0
        Py_ssize_t piece
        uint64_t counted = 0
    memcpy(h, BLAKE2B_IV, 64)
    h[0] ^= 0x01010000ULL ^ HASH_SIZE
    memcpy(block, previous, HASH_SIZE)
    while length - taken > BLOCK_SIZE - filled:
        piece = BLOCK_SIZE - filled
        memcpy(&block[filled], &row[taken], piece)
        taken += piece
        counted += BLOCK_SIZE
        blake2b_compress(h, block, counted, False)
        filled = 0
    piece = length - taken
    memcpy(&block[filled], &row[taken], piece)
    filled += piece
    memset(&block[filled], 0, BLOCK_SIZE - filled)
    blake2b_compress(h, block, counted + <uint64_t>filled, True)
    memcpy(digest, h, HASH_SIZE)
