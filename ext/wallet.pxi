# A wallet is a customer's account of one asset; its state is what its newest journal row says.
#
# It has its state twice: as committed, and as planned by the batch in flight. A batch plans on a
# copy, so giving a batch up is forgetting the copy, and publishing it is keeping it.

ZERO_HASH = bytes(HASH_SIZE)


cdef struct State:
    int64_t seq
    int64_t balance
    int64_t held
    int64_t recorded_at             # microseconds since 1970, UTC
    int32_t flags
    Lots lots
    uint8_t hash[HASH_SIZE]


@cython.final
@cython.no_gc                      # it holds nothing that could hold it
cdef class Wallet:
    cdef:
        readonly int32_t asset
        bint planning
        bint stored                 # some row of it is committed
        State committed
        State planned
        list committed_holds
        list planned_holds

    def __cinit__(self, int32_t asset):
        self.asset = asset
        self.committed_holds = EMPTY
        self.planned_holds = EMPTY

    def __dealloc__(self):
        free(self.committed.lots.items)
        free(self.planned.lots.items)

    cdef int plan(self) except -1:
        """Start a planned state as a copy of the committed one."""
        cdef Lots lots = self.planned.lots
        self.planned = self.committed
        self.planned.lots = lots
        self.planned.lots.length = 0
        lots_copy(&self.planned.lots, &self.committed.lots)
        self.planned_holds = self.committed_holds
        self.planning = True
        return 0

    cdef void publish(self) noexcept:
        free(self.committed.lots.items)
        self.committed = self.planned
        self.committed_holds = self.planned_holds
        self.stored = True
        self.planned.lots = Lots(NULL, 0, 0)
        self.planned_holds = EMPTY
        self.planning = False

    cdef void discard(self) noexcept:
        free(self.planned.lots.items)
        self.planned.lots = Lots(NULL, 0, 0)
        self.planned_holds = EMPTY
        self.planning = False

    @property
    def seq(self):
        return self.committed.seq

    @property
    def balance(self):
        return self.committed.balance

    @property
    def held(self):
        return self.committed.held

    @property
    def lots(self):
        return lots_list(&self.committed.lots)

    @property
    def holds(self):
        return list(self.committed_holds)

    @property
    def hash(self):
        return PyBytes_FromStringAndSize(<char*> self.committed.hash, HASH_SIZE)

    def available(self, int64_t now, int64_t utc_offset):
        """Return (available, held, lots) at `now`, as the next posting would find them.

        Holds whose time is up are back, due lots are gone, debts are repaid from what is left, in
        this order. `now` is in microseconds since 1970 UTC, `utc_offset` in seconds; lots are (key,
        amount). It says so without waiting for that posting (PTS-5).
        """
        cdef:
            int64_t held = self.committed.held
            Lots lots = Lots(NULL, 0, 0)
            Lots moved = Lots(NULL, 0, 0)
            Hold hold
            int32_t at
        try:
            lots_copy(&lots, &self.committed.lots)
            for hold in self.committed_holds:
                if hold.expires_at <= now:
                    held -= hold.coins
                    for at in range(hold.lots_taken.length):
                        lots_add(&lots, hold.lots_taken.items[at].key,
                                 hold.lots_taken.items[at].amount)
            lots_expire(&lots, local_day(now, utc_offset), &moved)
            lots_repay(&lots, &moved)
            return lots_total(&lots), held, lots_list(&lots)
        finally:
            free(lots.items)
            free(moved.items)


cdef list EMPTY = []


cdef inline int64_t local_day(int64_t now, int64_t utc_offset) noexcept:
    """Return the calendar day, in days since 1970, at `now` microseconds and that offset."""
    return (now // MICROSECONDS + utc_offset) // DAY_SECONDS


@cython.final
cdef class Customer:
    """The wallets of one customer, and what of the customer decisions need to know."""

    cdef:
        readonly bytes customer_id
        readonly int32_t missing_fields
        bint used
        list wallets

    def __cinit__(self, bytes customer_id not None, int32_t missing_fields):
        self.customer_id = customer_id
        self.missing_fields = missing_fields
        self.wallets = []

    cdef Wallet find(self, int32_t asset):
        cdef Wallet wallet
        for wallet in self.wallets:
            if wallet.asset == asset:
                return wallet
        return None

    cdef int32_t flags(self):
        """Return the flags of the customer: every wallet carries them, a new one inherits them."""
        cdef:
            int32_t flags = 0
            Wallet wallet
        for wallet in self.wallets:
            flags |= wallet.planned.flags if wallet.planning else wallet.committed.flags
        return flags
