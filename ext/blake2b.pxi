# BLAKE2b with a 16-byte digest, with a key or without one (RFC 7693): the hash that chains a
# wallet's rows, by a key that is not in the database.
#
# It is written out here because hashing a row must not create a Python object: the whole core
# decides and encodes an operation in less time than one call into hashlib takes.
# A test holds it against hashlib.blake2b(key=..., digest_size=16).
#
# A key is hashed as a block of its own, before the message. The state after it is the same for all
# messages, so it is computed once, and a key makes no message longer.
#
# A message is compressed block by block, each on what the one before left; but the blocks of four
# messages do not wait for each other. Where the processor has words of 256 bits they are compressed
# together, in a third of the time. The rounds are written once and mean either: numbers of 64 bits,
# or four of them side by side. Both read blocks as they lie: this is for little-endian machines.

cdef extern from *:
    """
    #define ROUND(MIX, a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p) \\
        MIX(v[0], v[4], v[8], v[12], w[a], w[b]) \\
        MIX(v[1], v[5], v[9], v[13], w[c], w[d]) \\
        MIX(v[2], v[6], v[10], v[14], w[e], w[f]) \\
        MIX(v[3], v[7], v[11], v[15], w[g], w[h]) \\
        MIX(v[0], v[5], v[10], v[15], w[i], w[j]) \\
        MIX(v[1], v[6], v[11], v[12], w[k], w[l]) \\
        MIX(v[2], v[7], v[8], v[13], w[m], w[n]) \\
        MIX(v[3], v[4], v[9], v[14], w[o], w[p])

    #define ROUNDS(MIX) \\
        ROUND(MIX, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15) \\
        ROUND(MIX, 14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3) \\
        ROUND(MIX, 11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4) \\
        ROUND(MIX, 7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8) \\
        ROUND(MIX, 9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13) \\
        ROUND(MIX, 2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9) \\
        ROUND(MIX, 12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11) \\
        ROUND(MIX, 13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10) \\
        ROUND(MIX, 6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5) \\
        ROUND(MIX, 10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0) \\
        ROUND(MIX, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15) \\
        ROUND(MIX, 14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3)

    #define RIGHT(word, bits) ((word) >> (bits) | (word) << (64 - (bits)))
    #define MIX(a, b, c, d, x, y) \\
        a += b + (x); d = RIGHT(d ^ a, 32); c += d; b = RIGHT(b ^ c, 24); \\
        a += b + (y); d = RIGHT(d ^ a, 16); c += d; b = RIGHT(b ^ c, 63);

    static const uint64_t BLAKE2B_IV[8] = {
        0x6A09E667F3BCC908U, 0xBB67AE8584CAA73BU, 0x3C6EF372FE94F82BU, 0xA54FF53A5F1D36F1U,
        0x510E527FADE682D1U, 0x9B05688C2B3E6C1FU, 0x1F83D9ABFB41BD6BU, 0x5BE0CD19137E2179U,
    };

    static void compress(uint64_t *h, const uint8_t *block, uint64_t counted, uint64_t last) {
        uint64_t v[16], w[16];
        memcpy(w, block, sizeof w);
        memcpy(v, h, 8 * sizeof *v);
        memcpy(v + 8, BLAKE2B_IV, sizeof BLAKE2B_IV);
        v[12] ^= counted;
        v[14] ^= last;
        ROUNDS(MIX)
        for (int i = 0; i < 8; i++) h[i] ^= v[i] ^ v[i + 8];
    }

    #ifdef __x86_64__
    #include <immintrin.h>

    typedef uint64_t four __attribute__((vector_size(32)));

    /* Words of 64 bits are turned by whole bytes by naming where each byte comes from. */
    #define BYTES(order) _mm256_set_epi64x((order) + 0x0808080808080808, order, \\
                                           (order) + 0x0808080808080808, order)
    #define RIGHT_32(word) (four) _mm256_shuffle_epi32((__m256i) (word), 0xB1)
    #define RIGHT_24(word) (four) _mm256_shuffle_epi8((__m256i) (word), BYTES(0x0201000706050403))
    #define RIGHT_16(word) (four) _mm256_shuffle_epi8((__m256i) (word), BYTES(0x0100070605040302))
    #define MIX_FOUR(a, b, c, d, x, y) \\
        a += b + (x); d = RIGHT_32(d ^ a); c += d; b = RIGHT_24(b ^ c); \\
        a += b + (y); d = RIGHT_16(d ^ a); c += d; b = RIGHT(b ^ c, 63);

    #define COMPRESSES_FOUR __builtin_cpu_supports("avx2")

    __attribute__((target("avx2")))
    static void compress_four(uint64_t (*h)[4], const uint8_t **blocks, const uint64_t *counted,
                              const uint64_t *last) {
        four v[16], w[16], t;
        for (int i = 0; i < 16; i++)
            for (int lane = 0; lane < 4; lane++)
                memcpy((uint8_t *) &w[i] + 8 * lane, blocks[lane] + 8 * i, 8);
        memcpy(v, h, 8 * sizeof *v);
        for (int i = 0; i < 8; i++) v[i + 8] = (four) _mm256_set1_epi64x((int64_t) BLAKE2B_IV[i]);
        memcpy(&t, counted, sizeof t);
        v[12] ^= t;
        memcpy(&t, last, sizeof t);
        v[14] ^= t;
        ROUNDS(MIX_FOUR)
        for (int i = 0; i < 8; i++) {
            memcpy(&t, h[i], sizeof t);
            t ^= v[i] ^ v[i + 8];
            memcpy(h[i], &t, sizeof t);
        }
    }
    #else
    #define COMPRESSES_FOUR 0
    #define compress_four(h, blocks, counted, last)
    #endif
    """
    const uint64_t[8] BLAKE2B_IV
    bint COMPRESSES_FOUR
    void compress(uint64_t* h, const uint8_t* block, uint64_t counted, uint64_t last) nogil
    void compress_four(uint64_t (*h)[4], const uint8_t** blocks, const uint64_t* counted,
                       const uint64_t* last) nogil

cdef enum:
    HASH_SIZE = 16
    BLOCK_SIZE = 128
    CHAIN_KEY_SIZE_MAX = 64

cdef uint64_t LAST_BLOCK = ~<uint64_t> 0


cdef struct ChainStart:
    uint64_t h[8]                   # the state that a message begins with
    uint64_t counted                # the bytes that it stands for: those of the key's block


cdef int take_chain_key(bytes key, ChainStart* start) except -1:
    """Begin hashes with `key`, or without one where it is empty; raises ValueError if too long."""
    cdef:
        uint8_t block[BLOCK_SIZE]
        Py_ssize_t length = PyBytes_GET_SIZE(key)
    if length > CHAIN_KEY_SIZE_MAX:
        raise ValueError(f"the key of a chain has at most {CHAIN_KEY_SIZE_MAX} bytes")
    memcpy(start.h, BLAKE2B_IV, 64)
    start.h[0] ^= 0x01010000ULL ^ (<uint64_t> length << 8) ^ HASH_SIZE
    start.counted = 0
    if length:
        memset(block, 0, BLOCK_SIZE)
        memcpy(block, PyBytes_AS_STRING(key), length)
        start.counted = BLOCK_SIZE
        compress(start.h, block, BLOCK_SIZE, 0)
    return 0


cdef ChainStart KEYLESS

take_chain_key(b"", &KEYLESS)


cdef void chain_hash(const ChainStart* start, const uint8_t* previous, const uint8_t* row,
                     Py_ssize_t length, uint8_t* digest) noexcept nogil:
    """Write BLAKE2b-128(previous ‖ row) to digest; previous and digest are 16 bytes."""
    cdef:
        uint64_t h[8]
        uint8_t block[BLOCK_SIZE]
        Py_ssize_t filled = HASH_SIZE
        Py_ssize_t taken = 0
        Py_ssize_t piece
        uint64_t counted = start.counted
    memcpy(h, start.h, 64)
    memcpy(block, previous, HASH_SIZE)
    while length - taken > BLOCK_SIZE - filled:
        piece = BLOCK_SIZE - filled
        memcpy(&block[filled], &row[taken], piece)
        taken += piece
        counted += BLOCK_SIZE
        compress(h, block, counted, 0)
        filled = 0
    piece = length - taken
    memcpy(&block[filled], &row[taken], piece)
    filled += piece
    memset(&block[filled], 0, BLOCK_SIZE - filled)
    compress(h, block, counted + <uint64_t>filled, LAST_BLOCK)
    memcpy(digest, h, HASH_SIZE)
